"""Task archives written: one task with its programs and data, each as a zip (contract.md 3.1)."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from codabench.bundle.document import to_text
from codabench.bundle.fields import shorten
from codabench.bundle.load import Bundle
from codabench.bundle.reading import Readable
from codabench.bundle.task import TASK, as_competition
from codabench.core.competition import DEFAULT_IMAGE, TASK_ROLES, CompetitionSpec, DataSpec, ProgramSpec, TaskSpec
from codabench.core.problems import Problem, Severity
from codabench.storage.sources import Content, EmptySource, Overlay, TreeSource, write_zip

_OURS = frozenset(("name", "description", "is_public", "ingestion_only_during_scoring"))


def task_of(bundle: Bundle, task: TaskSpec, work: Path) -> tuple[TreeSource, CompetitionSpec, list[Problem]]:
    """The files of a task archive, what it reads back as, and what it cannot say of the competition.

    A task archive that is written again keeps its files and their names. Of a competition, only the task is written.

    Parameters
    ----------
    task
        With a key on each part that is written by key.
    work
        A directory for parts that have to be packed.
    """
    spec = bundle.spec
    alone = spec is not None and spec.format == "task"
    parts = _Parts(bundle, bundle.files if alone else EmptySource(bundle.source), task, work)
    placed = {role: parts.place(role, part) for role, part in task.parts.items()}
    extras = {key: value for key, value in task.extras.items() if key not in _OURS}
    public = task.extras.get("is_public") is True
    written = task.model_copy(
        update={
            **placed,
            "index": 0,
            "key": None,
            "description": task.description or "",
            "extras": {"is_public": public, **extras},
        }
    )
    document = {
        "name": written.name,
        "description": written.description,
        **{role: _part(part, extras.get(role)) for role, part in placed.items()},
        "is_public": public,
        "ingestion_only_during_scoring": written.ingestion_only_during_scoring,
        **{key: extras[key] for key in sorted(extras) if key not in TASK_ROLES},
    }
    problems = [] if alone or spec is None else _losses(spec, task)
    return parts.tree(to_text(document)), as_competition(written), problems


def _part(part: DataSpec, extras: Any) -> dict[str, Any]:
    return {**({"key": part.key} if part.key else {"zip": part.path}), **(extras if isinstance(extras, dict) else {})}


def _losses(spec: CompetitionSpec, task: TaskSpec) -> list[Problem]:
    problems = []
    if spec.docker_image != DEFAULT_IMAGE:
        message = f"a task archive names no image: {shorten(spec.docker_image)} is left out"
        hint = f"run it with --image {spec.docker_image}; on a server the competition names the image"
        problems.append(Problem(code="CB167", severity=Severity.WARNING, message=message, hint=hint))
    limits = {phase.execution_time_limit for phase in spec.phases if task.index in phase.tasks} - {600}
    if limits:
        message = f"a task archive has no time limit: {max(limits)} seconds are left out, 600 are the default"
        problems.append(Problem(code="CB167", severity=Severity.NOTE, message=message))
    return problems


class _Parts:
    """What lies in the archive: what was there, and what is put there."""

    def __init__(self, bundle: Bundle, base: TreeSource, task: TaskSpec, work: Path) -> None:
        self._bundle, self._base, self._work = bundle, base, work
        self._needed = {part.path for part in task.parts.values() if not part.key}
        self._files: dict[str, Content] = {}
        self._gone: set[str] = set()
        self._names: dict[str, str] = {}
        self._taken = {entry.path.split("/")[0].casefold() for entry in base.entries()}

    def place(self, role: str, part: DataSpec) -> DataSpec:
        """The part as the archive will name it."""
        path, tree = part.path or "", part.tree or ""
        mounted = self._bundle.key_of(path) is not None
        if mounted or (part.key and path not in self._needed):
            self._gone.add(path)
        if part.key:
            return part
        if tree not in self._names:
            kept = self._base.is_file(path) and path.lower().endswith(".zip") and not mounted
            self._names[tree] = path if kept else self._pack(role, part)
        changed = part.model_copy(update={"path": self._names[tree]})
        return changed.model_copy(update={"unpacked": False}) if isinstance(changed, ProgramSpec) else changed

    def tree(self, text: str) -> TreeSource:
        """All of it, with this description."""
        files = {**self._files, TASK: Content.of_bytes(text.encode())}
        return Overlay(self._base, files=files, gone=self._gone)

    def _pack(self, role: str, part: DataSpec) -> str:
        """A zip of the part: the archive that it is, byte for byte, or a new one."""
        names = itertools.chain([f"{role}.zip"], (f"{role}-{n}.zip" for n in itertools.count(2)))
        name = next(name for name in names if name.casefold() not in self._taken)
        self._taken.add(name.casefold())
        tree = self._bundle.tree(part)
        content = Content.of_archive(tree)
        if content is None:
            with (self._work / name).open("wb") as file:
                write_zip(Readable(tree), file)
            content = Content.of_path(self._work / name)
        self._files[name] = content
        return name
