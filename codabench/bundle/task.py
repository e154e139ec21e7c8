"""Task archives: a zip or folder with ``task.yaml`` at its top (contract.md 3.1)."""

from __future__ import annotations

import posixpath
from datetime import UTC, datetime
from typing import Any

from codabench.bundle.fields import Fields, shorten
from codabench.bundle.files import BundleFiles
from codabench.bundle.nodes import Mapping, Node, Scalar, Source, kind
from codabench.bundle.yaml import MAX_BYTES, read_yaml
from codabench.core.competition import TASK_ROLES, CompetitionSpec, DataRole, DataSpec, PhaseSpec, TaskSpec

TASK = "task.yaml"
_ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)


def read_task_archive(root: Mapping, source: Source, files: BundleFiles) -> CompetitionSpec:
    """A task archive as a competition; every problem goes to `source`."""
    return as_competition(read_task(root, source, files))


def as_competition(task: TaskSpec) -> CompetitionSpec:
    """A task alone: one phase without limits that is always open, no leaderboard."""
    phase = PhaseSpec(
        index=0,
        name=task.name,
        start=_ALWAYS,
        tasks=(task.index,),
        max_submissions=None,
        max_submissions_per_day=None,
    )
    return CompetitionSpec(
        format="task", title=task.name, description=task.description or "", tasks=(task,), phases=(phase,)
    )


def read_task(root: Mapping, source: Source, files: BundleFiles) -> TaskSpec:
    """The task that a ``task.yaml`` describes; every problem goes to `source`."""
    top = Fields(root, source)
    for key in ("name", "description", *TASK_ROLES):
        top.get(key)  # so that no key that is known is taken for a misspelling of another
    name = top.text("name", "", required=True, most=256) or ""
    if top.node.get("description") is None:
        top.missing("description", hint="add description: it may be empty")
    parts: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for role in TASK_ROLES:
        fields = _object(top, role)
        if fields is None:
            continue
        parts[role.value] = _part(fields, role, files, top.node.key(role))
        if extras := fields.extras():
            more[role.value] = extras
    public, during_scoring = top.flag("is_public"), top.flag("ingestion_only_during_scoring")
    return TaskSpec(
        index=0,
        name=name,
        description=top.text("description", "") or "",
        **parts,
        ingestion_only_during_scoring=during_scoring,
        extras={"is_public": public, **more, **top.extras()},
    )


def read_task_at(fields: Fields, key: Node, files: BundleFiles, folder: str) -> TaskSpec | None:
    """The task in a folder that stands for the key of a task; None, with a problem, if there is none."""
    file = posixpath.join(folder, TASK)
    if not files.tree.is_file(file):
        message = f"what is given for {fields.what} is no task: it has no {TASK} at its top"
        fields.error("CB165", message, key, "give the archive of the task, as a server takes it")
        return None
    root, source = read_yaml(files.tree.read_bytes(file, MAX_BYTES + 1), file)
    task, outer = None, files.folder
    if isinstance(root, Mapping):
        files.folder = folder
        task = read_task(root, source, files)
        files.folder = outer
    elif not source.problems:
        fields.error("CB165", f"the {TASK} that is given for {fields.what} describes nothing", key, "see docs/tasks.md")
    fields.source.problems += source.problems
    return task


def _object(top: Fields, role: DataRole) -> Fields | None:
    """The mapping that says where a part of the task is; None where the task has none."""
    node = top.get(role)
    required = role is DataRole.SCORING_PROGRAM
    if node is None or (isinstance(node, Scalar) and not node.text.strip()):
        if required:
            top.missing(role)
        return None
    if isinstance(node, Mapping):
        return Fields(node, top.source, "the task") if node.entries or required else None
    seen = shorten(node.text) if isinstance(node, Scalar) else kind(node)
    hint = f"write {role}: {{zip: NAME.zip}}"
    top.error("CB102", f"{role} must be a mapping with key or zip, it is {seen}", node, hint)
    return None


def _part(fields: Fields, role: DataRole, files: BundleFiles, place: Node | None) -> DataSpec | None:
    key, packed = fields.get("key"), fields.get("zip")
    if key is None and packed is None:
        hint = "write zip: and the name of a file in the archive, or key: and the UUID of a data set"
        fields.error("CB161", f"the {role.words} needs key or zip", place, hint)
        return None
    if key is not None and packed is not None:
        hint = "remove the key to take the file, or the zip to say it once"
        fields.note("CB164", f"the {role.words} has a key and a zip: the key counts", packed, hint)
    which = "zip" if key is None else "key"
    if key is None and isinstance(packed, Scalar) and not packed.text.strip().lower().endswith(".zip"):
        message = f"the {role.words} {shorten(packed.text)} should be a zip"
        fields.error("CB162", message, packed, "pack it as a zip, and name that")
        return None
    if role.is_program:
        return files.program(fields, which, role.words, by_key=key is not None)
    return files.data(fields, which, role.words, by_key=key is not None)
