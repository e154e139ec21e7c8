"""A bundle from wherever it is: what it says, what is wrong with it, and its files."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Self

from codabench.bundle.checks import check_sound
from codabench.bundle.checks.target import at_target, check_target
from codabench.bundle.datasets import Datasets, KeyedData
from codabench.bundle.edits import added, mending, unquoted
from codabench.bundle.fields import shorten
from codabench.bundle.files import BundleFiles
from codabench.bundle.metadata import LITTER, read_metadata
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, Source, kind
from codabench.bundle.task import TASK, read_task_archive
from codabench.bundle.v2 import read_v2
from codabench.bundle.v15 import read_v15
from codabench.bundle.yaml import MAX_BYTES, read_yaml
from codabench.core.competition import CompetitionSpec, DataSpec, ProgramSpec
from codabench.core.errors import ArchiveError, BundleError, NotFound, StorageError, UsageError
from codabench.core.problems import Fix, Location, Problem, Severity, Target
from codabench.core.report import Report
from codabench.core.text import did_you_mean
from codabench.storage.sources import ArchiveLimits, Content, EmptySource, Overlay, TreeSource, open_source

NAME = "competition.yaml"
_NAMES = (NAME, TASK)
_UNREADABLE = frozenset(("CB021", "CB022", "CB023", "CB026"))
_V2_KEYS = ("tasks", "leaderboards", "pages", "docker_image", "fact_sheet")


class Bundle:
    """What was read.

    Attributes
    ----------
    spec
        The competition; None if there are errors.
    format
        The format it is written in, also where there are errors; None if that cannot be told.
    report
        Every problem, in the order of the text.
    files
        The tree that holds ``competition.yaml`` or ``task.yaml`` at its top, with the data sets that are named by key.
    source
        As the caller named it.
    text, file
        The bytes of the description, and its name; None if there is none.
    """

    text: bytes | None = None
    file: str | None = None

    def __init__(
        self,
        source: str,
        opened: TreeSource,
        files: BundleFiles,
        report: Report,
        spec: CompetitionSpec | None,
        target: Target = Target.LOCAL,
    ) -> None:
        self.source = source
        self.report = report
        self.files = files.tree
        self.spec = spec if report.ok else None
        self.format = spec.format if spec is not None else None
        self._opened, self._files, self._target = opened, files, target
        self._also: list[BundleFiles] = []

    def report_at(self, target: str) -> Report:
        """Every problem there is where it is to run: ``local``, or ``codabench.org``.

        Raises
        ------
        UsageError
            There is no such target.
        """
        aim = _target(target)
        return self.report if aim is self._target or self.text is None else self.reread(self.text, aim).report

    def reread(self, text: bytes, target: Target | None = None) -> Bundle:
        """What there would be if the description had these bytes; it lives as long as this one."""
        opened, name = self._opened, self.place or NAME
        changed = Overlay(opened, files={name: Content.of_bytes(text)})
        problems = list(opened.problems)
        tree, file = _find(changed, problems)
        files = BundleFiles(tree, self._files.limits, self._files.datasets)
        self._also.append(files)
        return _read(self.source, changed, files, file, problems, target or self._target)

    @property
    def place(self) -> str | None:
        """The path of the description in the source: at its top, or in the one folder that is there."""
        ends = [e.path for e in self._opened.entries() if f"/{e.path}".endswith(f"/{self.file}")]
        return min((path for path in ends if not path.startswith(LITTER)), key=lambda p: p.count("/"), default=None)

    def tree(self, spec: DataSpec) -> TreeSource:
        """The files of a program, data set or solution; they live as long as the bundle.

        Raises
        ------
        NotFound
            It names no path.
        ArchiveError
            It is an archive that cannot be used.
        """
        if spec.path is None:
            raise NotFound(f"{shorten(str(spec.key))} is not in {shorten(self.source)}", code="CB304")
        unpacked = isinstance(spec, ProgramSpec) and spec.unpacked
        return self._files.open_program(spec.path) if unpacked else self._files.open(spec.path)

    def is_lone(self, path: str) -> bool:
        """Whether a path of `files` is data by itself, such as a CSV file: neither a folder nor an archive."""
        return self._files.is_lone(path)

    def given(self, key: str) -> TreeSource | None:
        """The files that were given for the key of a data set or task."""
        return self._files.given(key)

    @property
    def mounted(self) -> tuple[str, ...]:
        """The paths of `files` at which the data sets and tasks lie that were given for keys."""
        return self._files.mounted

    def key_of(self, path: str) -> str | None:
        """The key that was given for what lies at a path of `files`; None for what lies in the bundle itself."""
        return self._files.key_of(path)

    def close(self) -> None:
        """Release descriptors and temporary files."""
        for files in (self._files, *self._also):
            files.close()
        self._opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def read_bundle(
    source: str | os.PathLike[str],
    *,
    limits: ArchiveLimits = ArchiveLimits.OWN,
    storage_options: dict[str, Any] | None = None,
    datasets: Datasets | None = None,
    target: str = Target.LOCAL,
) -> Bundle:
    """Read a bundle or a task archive from a directory, a zip or any fsspec URL of one.

    What the bundle says never raises: look at ``report``, or call ``report.raise_for_errors()``.

    Parameters
    ----------
    datasets
        The files of data sets and tasks that the bundle names by key: by UUID, or a function that is asked for one.
    target
        Where it is to run: ``local``, or ``codabench.org``, which refuses more.

    Raises
    ------
    UsageError
        ``CB170``: a key in `datasets` is no UUID.
    BundleError
        The source cannot be read at all: it is not there, not a zip, cut off or empty. ``report`` says so, too.
    UsageError
        There is no such target.
    """
    name, aim = os.fspath(source), _target(target)
    known = KeyedData(datasets, limits, storage_options)
    try:
        opened = open_source(source, limits=limits, storage_options=storage_options)
    except BundleError as error:
        problem = Problem(code=error.code, severity=Severity.ERROR, message=error.message, hint=error.hint)
        report = error.report or Report(source=name, problems=(problem,))
        error.report = report.model_copy(update={"source": name})
        if error.code in _UNREADABLE or isinstance(error, StorageError):
            raise
        empty = EmptySource(name)
        return Bundle(name, empty, BundleFiles(empty), error.report, None)
    problems = list(opened.problems)
    tree, file = _find(opened, problems)
    files = BundleFiles(tree, limits, known)
    try:
        return _read(name, opened, files, file, problems, aim)
    except BaseException:
        files.close()
        opened.close()
        raise


def _target(name: str) -> Target:
    try:
        return Target(name)
    except ValueError:
        guess = did_you_mean(name, list(Target)) or Target.CODABENCH_ORG
        raise UsageError(f"there is no target {shorten(name)}", hint=f"write {guess}") from None


def read_tree(name: str, opened: TreeSource, *, sound: bool = True, datasets: Datasets | None = None) -> Bundle:
    """Read a bundle from a tree of files, which is closed with it.

    Parameters
    ----------
    sound
        Whether to look for what is no error, too.
    datasets
        As for `read_bundle`.
    """
    problems = list(opened.problems)
    tree, file = _find(opened, problems)
    files = BundleFiles(tree, ArchiveLimits.OWN, KeyedData(datasets))
    return _read(name, opened, files, file, problems, Target.LOCAL, sound)


def _read(
    name: str,
    opened: TreeSource,
    files: BundleFiles,
    file: str | None,
    problems: list[Problem],
    target: Target,
    sound: bool = True,
) -> Bundle:
    spec = None
    if file is not None:
        try:
            spec = _read_description(file, files, problems, target, sound)
        except ArchiveError as error:
            # A file is damaged in a way that only reading it shows.
            problem = Problem(code=error.code, severity=Severity.ERROR, message=error.message, hint=error.hint)
            problems.append(problem)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            what = f"{shorten(str(error.filename or name))} cannot be read: {error.strerror or error}"
            problems.append(Problem(code="CB038", severity=Severity.ERROR, message=what))
    if target is Target.CODABENCH_ORG:
        problems = [at_target(problem) for problem in problems]
    count = sum(e.kind == "file" for e in opened.entries())
    # What several phases share, by a merge key or by name, is said once.
    told = tuple(dict.fromkeys(sorted(problems, key=lambda problem: _order(problem, file))))
    bundle = Bundle(name, opened, files, Report(source=name, problems=told, files=count), spec, target)
    if file is not None:
        bundle.file = file
        with contextlib.suppress(ArchiveError, OSError):
            bundle.text = files.tree.read_bytes(file, MAX_BYTES + 1)
    return bundle


def _order(problem: Problem, first: str | None) -> tuple[bool, str, int, int]:
    where = problem.where
    return (where.file != first, where.file or "", where.line or 0, where.column or 0)


def _read_description(
    file: str, files: BundleFiles, problems: list[Problem], target: Target, sound: bool
) -> CompetitionSpec | None:
    root, source = read_yaml(files.tree.read_bytes(file, MAX_BYTES + 1), file)
    source.problems[:0] = problems
    try:
        if isinstance(root, Mapping):
            spec = (_by_version if file == NAME else read_task_archive)(root, source, files)
            if sound and spec is not None and not any(p.severity is Severity.ERROR for p in source.problems):
                source.problems += check_sound(spec, root, source, files)
            if spec is not None and target is Target.CODABENCH_ORG and file == NAME:
                source.problems += check_target(root, source, files.tree, old=spec.format == "v1.5")
            return spec
        if root is None or (isinstance(root, Scalar) and root.is_null):
            if not any(p.severity is Severity.ERROR for p in source.problems):
                what = "competition" if file == NAME else "task"
                hint = f"it describes the {what}"
                source.add("CB008", Severity.ERROR, f"{file} is empty", Location(file=file), hint=hint)
        else:
            message = f"{file} must be a mapping, it is {kind(root)}"
            source.add(
                "CB009", Severity.ERROR, message, source.at(root.line), hint="write key: value, without a dash before"
            )
        return None
    finally:
        problems[:] = source.problems


def _by_version(root: Mapping, source: Source, files: BundleFiles) -> CompetitionSpec | None:
    node = root.get("version")
    version = node.text.strip() if isinstance(node, Scalar) and not node.is_null else None
    if version == "2":
        return read_v2(root, source, files)
    if version in ("1", "1.0", "1.5") or (version is None and not isinstance(node, (Mapping, Sequence))):
        if not _looks_like_v2(root, version):
            return read_v15(root, source, files)
        message = (
            "version is missing, and this looks like version 2"
            if version is None
            else (f"version {version} is the old format, and this looks like version 2")
        )
        fix = _versioned(root, source, node)
        hint = f"{'add' if version is None else 'write'} 'version: 2'"
        source.add("CB113", Severity.ERROR, message, node or Location(file=NAME), hint=hint, fix=fix)
    else:
        shown = shorten(version) if version else kind(node) if node else "nothing"
        near = version in ("2.0", "2.", "v2", "2.00", "V2")
        what = f"version {shown} is not known: 2 and 1.5 are" if not near else f"version {shown} is written differently"
        old = version is not None and version.startswith("1.")
        hint = "write 'version: 1.5', or no version at all" if old else "write 'version: 2'"
        fix = mending("write version: 2", unquoted(source, node, "2")) if near and node else None
        source.add("CB114", Severity.ERROR, what, node, hint=hint, fix=fix)
        if not near:
            return None
    return read_v2(root, source, files)


def _versioned(root: Mapping, source: Source, node: Node | None) -> Fix | None:
    if node is not None:
        return mending("write version: 2", unquoted(source, node, "2"), safe=False)
    first = min((key for key, _ in root.entries.values()), key=lambda key: (key.line, key.column), default=None)
    return mending("add version: 2", added(source, root, first, "version", "2"))


def _looks_like_v2(root: Mapping, version: str | None) -> bool:
    """Whether it is written in the manner of version 2; what nobody can tell is what is written today."""
    if version is None and all(root.get(key) is None for key in ("html", "phases", "leaderboard")):
        return True
    return isinstance(root.get("phases"), Sequence) and any(root.get(key) is not None for key in _V2_KEYS)


def _find(opened: TreeSource, problems: list[Problem]) -> tuple[TreeSource, str | None]:
    """The tree whose top holds the description, and its name; without a name, a problem says what this is instead."""
    for name in _NAMES:
        if opened.is_file(name):
            return opened, name
    tops = sorted({e.path.split("/")[0] for e in opened.entries()} - set(LITTER))
    for name in _NAMES:
        if len(tops) == 1 and opened.is_file(f"{tops[0]}/{name}"):
            message = f"{name} is not at the top but in the folder {shorten(tops[0])}, from which it is taken"
            hint = "pack what is in the folder, not the folder: codabench.org would refuse it"
            problems.append(Problem(code="CB112", severity=Severity.WARNING, message=message, hint=hint))
            return opened.subtree(tops[0]), name
    message, hint = _what_it_is(opened, tops)
    problems.append(Problem(code="CB110", severity=Severity.ERROR, message=message, hint=hint))
    return opened, None


def _what_it_is(opened: TreeSource, tops: list[str]) -> tuple[str, str]:
    for name in _NAMES:
        stem = name.removesuffix(".yaml")
        for top in tops:
            if top.lower() in (name, f"{stem}.yml", f"{stem}.json", f"{name}.txt"):
                return f"there is no {name} at the top; {top} is there", f"rename it to {name}"
    found = (e.path for e in opened.entries() if not e.path.startswith(LITTER))
    inside = [path for path in found if path.endswith(tuple(f"/{name}" for name in _NAMES))]
    if inside:
        return (
            f"there is no {inside[0].rpartition('/')[2]} at the top; there is {shorten(inside[0])}",
            "give that folder, or pack what is in it",
        )
    metadata = read_metadata(opened)
    if metadata.commands:
        what = f"no {NAME}: this looks like a program, it has a {metadata.file} file with a command"
        return what, "give the bundle that uses it, or submit it to one: codabench run BUNDLE SUBMISSION"
    shown = ", ".join(tops[:5]) + (", ..." if len(tops) > 5 else "")
    what = f"there is no {NAME} at the top; there is {shorten(shown, 100)}"
    return what, "if this is a submission: codabench run BUNDLE SUBMISSION"
