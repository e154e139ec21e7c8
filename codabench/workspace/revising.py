"""Tasks that get other programs or data: a new revision, while what ran on the old one keeps its scores."""

from __future__ import annotations

import contextlib
import itertools
import os
import posixpath
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.bundle.defined.data import tree_of
from codabench.bundle.defined.programs import FunctionProgram, Kind, as_program
from codabench.bundle.fields import shorten
from codabench.bundle.keys import parts_of
from codabench.bundle.load import Bundle, read_bundle
from codabench.bundle.metadata import read_metadata
from codabench.bundle.v15_trees import unpack_program
from codabench.core.competition import CompetitionSpec, DataRole, DataSpec, ProgramSpec, TaskSpec
from codabench.core.errors import BundleError, UsageError
from codabench.core.evaluations import Revision
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.report import Report
from codabench.core.trees import TreeRef
from codabench.storage.sources import ArchiveLimits, TreeSource, open_source
from codabench.workspace import admission
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.reopened import LAYOUT, Layout, Lies, StoredBundle

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.workspace import Workspace


class Part(NamedTuple):
    """Files that a task gets in a role; `spec` is without a path."""

    spec: DataSpec
    tree: TreeSource


def revise(
    workspace: Workspace,
    competition: Competition,
    task: int | str,
    *,
    note: str,
    archive: str | os.PathLike[str] | None,
    given: Mapping[str, Any],
) -> Revision:
    """What `Workspace.revise` does; `given` has the parts by role, None for those that stay."""
    workspace._fresh(competition)
    kept = workspace.trees.kept(competition.id)
    before = admission.pick(kept.spec.tasks, task, "task", lambda t: t.index, lambda t: t.name)
    given = {role: value for role, value in given.items() if value is not None}
    if not given and archive is None:
        hint = "name what is new: scoring program, ingestion program, input data, reference data, or a task archive"
        raise UsageError(f"nothing of task {before.name!r} is to be revised", code="CB353", hint=hint)
    with contextlib.ExitStack() as stack:
        after = before
        parts: dict[str, Part | None] = {}
        if archive is not None:
            after, parts = _of_archive(*stack.enter_context(_task_archive(archive)), before)
        for role, value in given.items():
            parts[role] = _part(stack, DataRole(role), value, before, kept.spec)
        refs = {role: workspace.storage.put_tree(part.tree) for role, part in parts.items() if part}
        change = _Change(kept, after, parts, refs)
    newest = workspace.db.newest_revisions(competition.id).get(before.index, 1)
    if change.is_none:
        return next(r for r in workspace.revisions(competition) if (r.task, r.number) == (before.index, newest))
    spec, trees, layout, gone = change.made(newest + 1)
    trees[LAYOUT] = workspace.storage.put_tree(layout.tree())
    (revision,) = workspace.db.change_competition(
        competition.id, kept.spec, spec, trees, revised=[before.index], gone=gone, note=note, at=utc_now()
    )
    competition._reopen(competition.id, workspace.trees.kept(competition.id))
    return revision


# ---------------------------------------------------------------------- what is given
@contextlib.contextmanager
def _task_archive(archive: str | os.PathLike[str]) -> Iterator[tuple[Bundle, TaskSpec]]:
    with read_bundle(archive) as bundle:
        bundle.report.raise_for_errors()
        if bundle.spec is None or bundle.spec.format != "task":
            hint = "write one with save(dest, task=...), or name the program that is new: scoring_program="
            raise UsageError(f"{shorten(os.fspath(archive))} is no archive of one task", code="CB353", hint=hint)
        yield bundle, bundle.spec.tasks[0]


def _of_archive(bundle: Bundle, task: TaskSpec, before: TaskSpec) -> tuple[TaskSpec, dict[str, Part | None]]:
    """A task with the programs and data of an archive, and with none where that has none."""
    parts = {role: Part(part, bundle.tree(part)) for role, part in task.parts.items()}
    after = before.model_copy(update={"ingestion_only_during_scoring": task.ingestion_only_during_scoring})
    return after, {**dict.fromkeys(before.parts), **parts}


def _part(stack: contextlib.ExitStack, role: DataRole, value: Any, task: TaskSpec, spec: CompetitionSpec) -> Part:
    """What somebody gives for a role, as the reader of bundles would take it."""
    if role.is_program:
        tree = _program(value, "scoring" if role is DataRole.SCORING_PROGRAM else "ingestion")
    else:
        tree = tree_of(value, f"the {role.words}")
    if isinstance(value, (str, os.PathLike)):
        stack.callback(tree.close)
    if not role.is_program:
        return Part(DataSpec(), tree)
    if spec.format == "v1.5" and (unpacked := unpack_program(tree, ArchiveLimits.OWN)) is not tree:
        tree = unpacked
        stack.callback(tree.close)
    metadata = read_metadata(tree)
    if not metadata.commands:
        code = "CB401" if role is DataRole.SCORING_PROGRAM else "CB402"
        message = f"the new {role.words} of task {shorten(task.name, 40)} has no command and would not run"
        hint = "add a file metadata.yaml at its top with a line: command: python3 program.py"
        problem = Problem(code=code, severity=Severity.ERROR, message=message, hint=hint, fault=Fault.ORGANIZER)
        report = Report(source=tree.name, problems=(*metadata.problems, problem))
        raise BundleError(message, code=code, report=report, hint=hint)
    return Part(ProgramSpec(commands=metadata.commands, metadata=metadata.file), tree)


def _program(value: Any, kind: Kind) -> TreeSource:
    if isinstance(value, (str, os.PathLike)):
        return open_source(value)
    program = as_program(value, kind)
    return program.tree() if isinstance(program, FunctionProgram) else program.tree


# ---------------------------------------------------------------------- where it lies
class _Change:
    """A competition in which one task has other parts."""

    def __init__(
        self, kept: StoredBundle, task: TaskSpec, parts: Mapping[str, Part | None], refs: Mapping[str, TreeRef]
    ) -> None:
        self._kept, self._task, self._refs = kept, task, refs
        self._before = kept.spec.task(task.index)
        there = {role: kept.kept.trees[part.tree or ""].digest for role, part in self._before.parts.items()}
        now = {role: refs[role].digest if part else None for role, part in parts.items()}
        self._parts = {role: part for role, part in parts.items() if now[role] != there.get(role)}
        self._kinds: dict[str, Lies] = dict(kept.layout.kinds)
        self._taken = {entry.path.split("/")[0].casefold() for entry in kept.files.entries()}

    @property
    def is_none(self) -> bool:
        """Whether everything is as it was."""
        return not self._parts and self._task == self._before

    def made(self, number: int) -> tuple[CompetitionSpec, dict[str, TreeRef], Layout, set[str]]:
        """The competition, its new trees, its layout, and the names of the trees that it has no more."""
        update: dict[str, Any] = {"key": None}
        trees: dict[str, TreeRef] = {}
        for role, part in self._parts.items():
            placed = None if part is None else self._placed(role, part, number)
            update[role] = placed
            if placed is not None:
                trees[placed.tree or ""] = self._refs[role]
        task = self._task.model_copy(update=update)
        tasks = tuple(task if each.index == task.index else each for each in self._kept.spec.tasks)
        spec = self._kept.spec.model_copy(update={"tasks": tasks})
        used = {part.path for part in parts_of(spec)}
        names = {part.tree for part in parts_of(spec)}
        kinds = {path: kind for path, kind in self._kinds.items() if path in used}
        gone = {part.tree for part in self._before.parts.values() if part.tree and part.tree not in names}
        # What a program was unpacked from lies among the files that are no part.
        left = {part.path for part in self._before.parts.values() if part.path and part.path not in used | kinds.keys()}
        layout = self._kept.layout
        layout = layout.model_copy(update={"kinds": kinds, "gone": tuple(sorted({*layout.gone, *left}))})
        return spec, trees, layout, gone

    def _placed(self, role: str, part: Part, number: int) -> DataSpec:
        """The part with its path: that of what it replaces, if nothing else lies there, else a new one."""
        before: DataSpec | None = getattr(self._before, role)
        kind: Lies = "folder" if part.tree.archive is None else "archive"
        path = before.path if before else None
        if path is None or not self._is_free(path, role, kind):
            path = self._unused(path or role, kind, number)
            self._kinds[path] = kind
        update: dict[str, Any] = {"path": path, "key": None}
        if isinstance(part.spec, ProgramSpec):
            update["unpacked"] = False
        return part.spec.model_copy(update=update)

    def _is_free(self, path: str, role: str, kind: Lies) -> bool:
        """Whether what lies there belongs to this role alone, and is of the same kind."""
        own = getattr(self._before, role)
        others = [part for part in parts_of(self._kept.spec) if part is not own]
        alone = not any(f"{o.path}/".startswith(f"{path}/") or f"{path}/".startswith(f"{o.path}/") for o in others)
        return alone and own.key is None and own.tree == path and self._kinds.get(path) == kind

    def _unused(self, path: str, kind: Lies, number: int) -> str:
        stem = posixpath.basename(path)
        stem = f"{stem[:-4] if stem.lower().endswith('.zip') else stem}-r{number}"
        end = ".zip" if kind == "archive" else ""
        names = itertools.chain([stem + end], (f"{stem}-{n}{end}" for n in itertools.count(2)))
        found = next(name for name in names if name.casefold() not in self._taken)
        self._taken.add(found.casefold())
        return found
