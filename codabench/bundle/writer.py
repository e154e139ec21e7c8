"""Bundles written: the canonical form of a competition or task with its files, in a directory or a zip."""

from __future__ import annotations

import itertools
import os
import posixpath
import tempfile
from collections.abc import Iterable
from pathlib import Path

from codabench.bundle.canonical import as_v2
from codabench.bundle.datasets import Datasets
from codabench.bundle.document import to_yaml
from codabench.bundle.fields import shorten, spelled
from codabench.bundle.keys import Keys, known_again, parts_of, with_keys, without_places
from codabench.bundle.load import NAME, Bundle, read_bundle
from codabench.bundle.reading import Readable
from codabench.bundle.task_writer import task_of
from codabench.core.competition import CompetitionSpec, DataSpec, PageSpec, ProgramSpec, TaskSpec
from codabench.core.errors import BundleError, StorageError, UsageError
from codabench.core.problems import Problem, Severity
from codabench.core.report import Report
from codabench.storage.sources import Content, Overlay, TreeSource, extract, remove_tree, write_zip

_LOGO = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c636868680000030401814bd3d2100000000049454e44ae426082"
)
"""One pixel: what stands where version 2 wants a logo and there is none."""


def save_bundle(
    bundle: Bundle, dest: str | os.PathLike[str], *, task: TaskSpec | None = None, keys: Keys | None = None
) -> Report:
    """Write a competition as a version 2 bundle, or a task as a task archive; it appears when it has been read back.

    Programs and data stay as they are: a folder is copied, an archive keeps its bytes. Files that nothing names are
    copied, too. Equal competitions with equal files give equal bytes.

    Parameters
    ----------
    dest
        A path that ends in ``.zip``, or a directory; nothing, or an empty directory, may be there.
    task
        Only this task of the competition, as a task archive.
    keys
        None: everything with its files. Otherwise parts of these paths are written as these UUIDs, and their files are
        left out; so is what was read by key.

    Returns
    -------
    Report
        What version 2 or a task archive cannot say, and what was changed for that.

    Raises
    ------
    UsageError
        ``CB150``: something is at `dest` already, or it lies inside the bundle. ``CB170``: `keys` names what is not
        there.
    BundleError
        The competition cannot be written: it has errors, or what is written would have; ``CB038``: one of its files
        cannot be read.
    StorageError
        ``CB704``: `dest` cannot be written.
    """
    bundle.report.raise_for_errors()
    if bundle.spec is None:
        raise BundleError(f"{bundle.source} holds no competition", report=bundle.report)
    place = _free(dest, bundle.source)
    keyed, problems = with_keys(bundle.spec, keys)
    if task is None and keyed.format == "task":
        task = keyed.tasks[0]
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".codabench-", dir=place.parent))
        try:
            if task is not None:
                tree, spec, more = task_of(bundle, keyed.task(task.index), work)
            else:
                tree, spec, more = _competition(bundle, keyed)
            written = _write(Readable(tree), work / f"bundle{place.suffix if _is_zip(place) else ''}")
            problems += [*more, *_read_back(written, spec, os.fspath(dest), known_again(bundle, spec))]
            written.rename(place)
        finally:
            remove_tree(work)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{place} cannot be written: {error.strerror or error}", code="CB704") from error
    count = sum(entry.kind == "file" for entry in tree.entries())
    return Report(source=os.fspath(dest), problems=tuple(problems), files=count)


def _competition(bundle: Bundle, keyed: CompetitionSpec) -> tuple[TreeSource, CompetitionSpec, list[Problem]]:
    """The files of a version 2 bundle, what it reads back as, and what it cannot say."""
    spec, problems = as_v2(keyed)
    files = _Files(bundle)
    spec = files.complete(spec)
    return files.tree(to_yaml(files.by_key(spec), files.is_folder)), spec, [*problems, *files.problems]


# ---------------------------------------------------------------------- where it goes
def _free(dest: str | os.PathLike[str], source: str) -> Path:
    """The path to write to, if nothing is lost by that."""
    text = os.fspath(dest)
    try:
        home = os.path.expanduser(text)
        if home.startswith("~"):
            raise ValueError("nobody of that name has a home here")
        place = Path(home).absolute()
        origin = Path(os.path.expanduser(source.removeprefix("file://")))
        inside = origin.is_dir() and place.resolve().is_relative_to(origin.resolve())
        taken = place.is_symlink() or (
            place.exists() and (_is_zip(place) or not place.is_dir() or any(place.iterdir()))
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise UsageError(f"{shorten(text)} cannot be used: {why}", code="CB150", hint="name another place") from None
    if not text or "://" in text:
        hint = "name a directory, or a file that ends in .zip"
        raise UsageError(f"{shorten(text)} is no local path", code="CB150", hint=hint)
    if inside:
        message = f"{shorten(text)} would lie inside the bundle that is saved"
        raise UsageError(message, code="CB150", hint="name a place outside of it")
    if taken:
        raise UsageError(
            f"{shorten(text)} is there already", code="CB150", hint="name another place, or remove it first"
        )
    return place


def _is_zip(place: Path) -> bool:
    return place.suffix.lower() == ".zip"


def _write(tree: TreeSource, place: Path) -> Path:
    if _is_zip(place):
        with place.open("wb") as file:
            write_zip(tree, file)
    else:
        place.mkdir()
        extract(tree, place)
    return place


def _read_back(written: Path, spec: CompetitionSpec, name: str, known: Datasets) -> list[Problem]:
    """What would be refused is not written; what would be understood otherwise is told."""
    with read_bundle(written, datasets=known) as bundle:
        bundle.report.model_copy(update={"source": name}).raise_for_errors()
        pairs = ((key, getattr(bundle.spec, key), getattr(spec, key)) for key in CompetitionSpec.model_fields)
        fields = [key for key, read, meant in pairs if without_places(read) != without_places(meant)]
    if not fields:
        return []
    message = f"what is written reads back otherwise in {spelled(fields, 'and')}"
    return [Problem(code="CB160", severity=Severity.WARNING, message=message, hint="compare both before you use it")]


# ---------------------------------------------------------------------- what goes there
class _Files:
    """The files of a bundle, and what has to be changed in them.

    Attributes
    ----------
    problems
        What was changed.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.problems: list[Problem] = []
        self._bundle, self._base = bundle, Readable(bundle.files)
        self._texts: dict[str, bytes] = {}
        self._moved: dict[str, TreeSource] = {}
        self._new_names: dict[str, str] = {}
        self._gone: set[str] = set()
        self._taken = {entry.path.split("/")[0].casefold() for entry in self._base.entries()} | {NAME}

    def complete(self, spec: CompetitionSpec) -> CompetitionSpec:
        """The spec with the names of the files as they will be."""
        self._plan_programs(spec)
        self._plan_single_files(spec)
        self._plan_keys(spec)
        tasks = [
            task.model_copy(update={role: self._renamed(part) for role, part in task.parts.items()})
            for task in spec.tasks
        ]
        terms = PageSpec(title="the terms", file=spec.terms_file or "", content=spec.terms)
        update = {
            "tasks": tuple(tasks),
            "pages": tuple(self._page(page, f"the page {shorten(page.title, 40)}") for page in spec.pages),
            "terms_file": self._page(terms, "the terms").file,
            "image": spec.image or self._logo(),
        }
        return spec.model_copy(update=update)

    def is_folder(self, path: str) -> bool:
        return path in self._moved or self._base.is_dir(path)

    def tree(self, text: str) -> TreeSource:
        """All files, with this description."""
        texts = {**self._texts, NAME: text.encode()}
        files = {name: Content.of_bytes(data) for name, data in texts.items()}
        return Overlay(self._base, files=files, folders=self._moved, gone=self._gone)

    # ------------------------------------------------------------------ programs
    def _plan_programs(self, spec: CompetitionSpec) -> None:
        """Programs whose files are not those of their path get a folder; what they were taken from is left out."""
        parts = [part for part in parts_of(spec) if part.key is None]
        changed = {p.path: p for p in parts if isinstance(p, ProgramSpec) and p.unpacked and p.path}
        others = {p.path for p in parts if p.path and p not in changed.values()} | _texts(spec)
        for path, program in changed.items():
            stem = posixpath.basename(path)
            stem = stem[:-4] if stem.lower().endswith(".zip") else stem
            name, instead = self._move(path, stem, program, {*others, *(set(changed) - {path})})
            self._note(
                f"the program {shorten(path)} is written as CodaLab unpacked it, as {name}/ {instead} it", "CB158"
            )

    def _plan_single_files(self, spec: CompetitionSpec) -> None:
        """Data of a task that are one file get a folder around it: codabench.org unpacks folders and zips only."""
        data = [p for task in spec.tasks for p in task.parts.values() if not isinstance(p, ProgramSpec)]
        lone = {p.path: p for p in data if p.key is None and p.path and self._bundle.is_lone(p.path)}
        ours = {id(p) for p in data if p.path in lone}
        others = {p.path for p in parts_of(spec) if p.path and id(p) not in ours} | _texts(spec)
        for path, part in lone.items():
            stem = posixpath.splitext(posixpath.basename(path))[0]
            name, instead = self._move(path, stem, part, others)
            self._note(f"the data {shorten(path)} are one file: they are written as {name}/ {instead} it", "CB158")

    def _move(self, path: str, stem: str, part: DataSpec, others: Iterable[str]) -> tuple[str, str]:
        """Give the files of a part a folder at the top; what it was taken from goes, unless others need it."""
        if not any(_related(path, other) for other in others):
            self._gone.add(path)
            if "/" not in path:
                self._taken.discard(path.casefold())
        self._new_names[path] = name = self._unused(stem)
        self._moved[name] = self._bundle.tree(part)
        return name, "instead of" if path in self._gone else "beside"

    def _plan_keys(self, spec: CompetitionSpec) -> None:
        """The files of what is written by key are left out, unless something else names them."""
        parts = list(parts_of(spec))
        keyed = {part.path for part in parts if part.key and part.path}
        tasks = {task.key: task for task in spec.tasks if task.key and self._bundle.given(task.key)}
        inside = {part.path for task in tasks.values() for part in task.parts.values()}
        keyed |= {path for path in self._bundle.mounted if self._bundle.key_of(path) in tasks}
        others = {part.path for part in parts if not part.key and part.path} - inside | _texts(spec)
        self._gone |= {path for path in keyed if not any(_related(path, other) for other in others)}

    def by_key(self, spec: CompetitionSpec) -> CompetitionSpec:
        """A task that was given for a key is named by that, and not described."""
        tasks = [
            task.model_copy(update=dict.fromkeys(task.parts)) if task.key and self._bundle.given(task.key) else task
            for task in spec.tasks
        ]
        return spec.model_copy(update={"tasks": tuple(tasks)})

    def _renamed(self, part: DataSpec) -> DataSpec:
        if part.key or part.path not in self._new_names:
            return part
        update: dict[str, object] = {"path": self._new_names[part.path]}
        if isinstance(part, ProgramSpec):
            if not part.unpacked:
                return part
            update["unpacked"] = False
        return part.model_copy(update=update)

    # ------------------------------------------------------------------ pages and logo
    def _page(self, page: PageSpec, what: str) -> PageSpec:
        """A page with something in it, in UTF-8: version 2 takes no other."""
        data = self._base.read_bytes(page.file) if self._base.is_file(page.file) else b""
        if page.content and page.content == _decoded(data):
            return page
        name = self._unused(posixpath.basename(page.file) or "page.md")
        self._texts[name] = (page.content or "\n").encode()
        why = "is not UTF-8" if page.content else "is empty, which version 2 refuses"
        self._note(f"{what}, {shorten(page.file)}, {why}: {name} is written for it", "CB156")
        return page.model_copy(update={"file": name, "content": page.content or "\n"})

    def _logo(self) -> str:
        name = self._unused("logo.png")
        self._texts[name] = _LOGO
        self._note(f"there is no logo, which version 2 wants: {name}, one grey pixel, is written", "CB156")
        return name

    def _note(self, message: str, code: str) -> None:
        self.problems.append(Problem(code=code, severity=Severity.NOTE, message=message))

    def _unused(self, name: str) -> str:
        """A name at the top that nothing has, on no file system."""
        stem, suffix = posixpath.splitext(name)
        names = itertools.chain([name], (f"{stem}-{n}{suffix}" for n in itertools.count(2)))
        found = next(n for n in names if n.casefold() not in self._taken)
        self._taken.add(found.casefold())
        return found


def _texts(spec: CompetitionSpec) -> set[str]:
    """The files that are read by people."""
    return {page.file for page in spec.pages} | {path for path in (spec.image, spec.terms_file) if path}


def _related(path: str, other: str) -> bool:
    """Whether one lies in the other."""
    return f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/")


def _decoded(data: bytes) -> str | None:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
