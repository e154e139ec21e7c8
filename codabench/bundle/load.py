"""A bundle from wherever it is: what it says, what is wrong with it, and its files."""

from __future__ import annotations

import os
from typing import Any, Self

from codabench.bundle.checks import check_sound
from codabench.bundle.fields import shorten
from codabench.bundle.files import BundleFiles
from codabench.bundle.metadata import LITTER, read_metadata
from codabench.bundle.nodes import Mapping, Scalar, Sequence, Source, kind
from codabench.bundle.v2 import read_v2
from codabench.bundle.v15 import read_v15
from codabench.bundle.yaml import read_yaml
from codabench.core.competition import CompetitionSpec, DataSpec, ProgramSpec
from codabench.core.errors import ArchiveError, BundleError, NotFound
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report
from codabench.storage.sources import ArchiveLimits, EmptySource, TreeSource, open_source

NAME = "competition.yaml"
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
        The tree that holds ``competition.yaml`` at its top.
    source
        As the caller named it.
    """

    def __init__(
        self, source: str, opened: TreeSource, files: BundleFiles, report: Report, spec: CompetitionSpec | None
    ) -> None:
        self.source = source
        self.report = report
        self.files = files.tree
        self.spec = spec if report.ok else None
        self.format = spec.format if spec is not None else None
        self._opened, self._files = opened, files

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

    def close(self) -> None:
        """Release descriptors and temporary files."""
        self._files.close()
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
) -> Bundle:
    """Read a bundle from a directory, a zip or any fsspec URL of one.

    What the bundle says never raises: look at ``report``, or call ``report.raise_for_errors()``.

    Raises
    ------
    BundleError
        The source cannot be read at all: it is not there, not a zip, cut off or empty. ``report`` says so, too.
    """
    name = os.fspath(source)
    try:
        opened = open_source(source, limits=limits, storage_options=storage_options)
    except BundleError as error:
        problem = Problem(code=error.code, severity=Severity.ERROR, message=error.message, hint=error.hint)
        report = error.report or Report(source=name, problems=(problem,))
        error.report = report.model_copy(update={"source": name})
        if error.code in _UNREADABLE:
            raise
        empty = EmptySource(name)
        return Bundle(name, empty, BundleFiles(empty), error.report, None)
    files = BundleFiles(opened, limits)
    try:
        return _read(name, opened, limits)
    except BaseException:
        files.close()
        opened.close()
        raise


def _read(name: str, opened: TreeSource, limits: ArchiveLimits) -> Bundle:
    problems = list(opened.problems)
    tree = _find(opened, problems)
    files = BundleFiles(tree or opened, limits)
    spec = None
    if tree is not None:
        try:
            spec = _read_competition(tree, files, problems)
        except ArchiveError as error:
            # A file is damaged in a way that only reading it shows.
            problem = Problem(code=error.code, severity=Severity.ERROR, message=error.message, hint=error.hint)
            problems.append(problem)
        except OSError as error:
            what = f"{shorten(str(error.filename or name))} cannot be read: {error.strerror or error}"
            problems.append(Problem(code="CB038", severity=Severity.ERROR, message=what))
    count = sum(e.kind == "file" for e in opened.entries())
    # What several phases share, by a merge key or by name, is said once.
    told = tuple(dict.fromkeys(sorted(problems, key=_order)))
    return Bundle(name, opened, files, Report(source=name, problems=told, files=count), spec)


def _order(problem: Problem) -> tuple[bool, str, int, int]:
    where = problem.where
    return (where.file != NAME, where.file or "", where.line or 0, where.column or 0)


def _read_competition(tree: TreeSource, files: BundleFiles, problems: list[Problem]) -> CompetitionSpec | None:
    root, source = read_yaml(tree.read_bytes(NAME, (1 << 20) + 1), NAME)
    source.problems[:0] = problems
    try:
        if isinstance(root, Mapping):
            spec = _by_version(root, source, files)
            if spec is not None and not any(p.severity is Severity.ERROR for p in source.problems):
                source.problems += check_sound(spec, root, source, files)
            return spec
        if root is None or (isinstance(root, Scalar) and root.is_null):
            if not any(p.severity is Severity.ERROR for p in source.problems):
                source.add(
                    "CB008",
                    Severity.ERROR,
                    f"{NAME} is empty",
                    Location(file=NAME),
                    hint="it describes the competition",
                )
        else:
            message = f"{NAME} must be a mapping, it is {kind(root)}"
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
        if not _looks_like_v2(root):
            return read_v15(root, source, files)
        message = (
            "version is missing, and this looks like version 2"
            if version is None
            else (f"version {version} is the old format, and this looks like version 2")
        )
        source.add("CB113", Severity.ERROR, message, node or Location(file=NAME), hint="add 'version: 2'")
    else:
        shown = shorten(version) if version else kind(node) if node else "nothing"
        near = version in ("2.0", "2.", "v2", "2.00", "V2")
        what = f"version {shown} is not known: 2 and 1.5 are" if not near else f"version {shown} is written differently"
        old = version is not None and version.startswith("1.")
        hint = "write 'version: 1.5', or no version at all" if old else "write 'version: 2'"
        source.add("CB114", Severity.ERROR, what, node, hint=hint)
        if not near:
            return None
    return read_v2(root, source, files)


def _looks_like_v2(root: Mapping) -> bool:
    return isinstance(root.get("phases"), Sequence) and any(root.get(key) is not None for key in _V2_KEYS)


def _find(opened: TreeSource, problems: list[Problem]) -> TreeSource | None:
    """The tree whose top holds the description, or None with a problem that says what this is instead."""
    if opened.is_file(NAME):
        return opened
    tops = sorted({e.path.split("/")[0] for e in opened.entries()} - set(LITTER))
    if len(tops) == 1 and opened.is_file(f"{tops[0]}/{NAME}"):
        message = f"{NAME} is not at the top but in the folder {shorten(tops[0])}, from which it is taken"
        hint = "pack what is in the folder, not the folder: codabench.org would refuse it"
        problems.append(Problem(code="CB112", severity=Severity.WARNING, message=message, hint=hint))
        return opened.subtree(tops[0])
    message, hint = _what_it_is(opened, tops)
    problems.append(Problem(code="CB110", severity=Severity.ERROR, message=message, hint=hint))
    return None


def _what_it_is(opened: TreeSource, tops: list[str]) -> tuple[str, str]:
    for top in tops:
        if top.lower() in (NAME, "competition.yml", "competition.json", "competition.yaml.txt"):
            return f"there is no {NAME} at the top; {top} is there", f"rename it to {NAME}"
    inside = [e.path for e in opened.entries() if e.path.endswith(f"/{NAME}") and not e.path.startswith(LITTER)]
    if inside:
        return (
            f"there is no {NAME} at the top; there is {shorten(inside[0])}",
            "give that folder, or pack what is in it",
        )
    metadata = read_metadata(opened)
    if metadata.commands:
        what = f"no {NAME}: this looks like a program, it has a {metadata.file} file with a command"
        return what, "give the bundle that uses it, or submit it to one: codabench run BUNDLE SUBMISSION"
    if opened.is_file("task.yaml"):
        return f"no {NAME}: this looks like the archive of a task", "give the bundle of a competition"
    shown = ", ".join(tops[:5]) + (", ..." if len(tops) > 5 else "")
    what = f"there is no {NAME} at the top; there is {shorten(shown, 100)}"
    return what, "if this is a submission: codabench run BUNDLE SUBMISSION"
