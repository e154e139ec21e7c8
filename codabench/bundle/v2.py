"""Bundles with ``version: 2`` (contract.md section 1, with its Decisions and the Rulings of section 7)."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from codabench.bundle.datasets import plain_key
from codabench.bundle.edits import dated, mending, unquoted
from codabench.bundle.fact_sheet import read_fact_sheet
from codabench.bundle.fields import Fields, identifier, is_uuid, shorten
from codabench.bundle.files import BundleFiles
from codabench.bundle.leaderboards import read_leaderboards
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, Source, value
from codabench.bundle.task import read_task_at
from codabench.core.competition import (
    DEFAULT_IMAGE,
    TASK_ROLES,
    CompetitionSpec,
    DataSpec,
    PageSpec,
    PhaseSpec,
    SolutionSpec,
    TaskSpec,
)

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_DEFAULT_LIMIT = 600
LONGEST_LIMIT = 2**31 - 1
"""Seconds."""
_FLAGS = {
    "registration_auto_approve": False,
    "make_programs_available": False,
    "make_input_data_available": False,
    "enable_detailed_results": False,
    "show_detailed_results_in_submission_panel": True,
    "show_detailed_results_in_leaderboard": True,
    "auto_run_submissions": True,
    "can_participants_make_submissions_public": True,
    "forum_enabled": True,
}
_NEVER_READ = (
    "published",
    "is_public",
    "whitelist_emails",
    "collaborators",
    "admins",
    "allow_robot_submissions",
    "report",
    "secret_key",
)


def read_v2(root: Mapping, source: Source, files: BundleFiles) -> CompetitionSpec:
    """The competition that a version 2 bundle describes; every problem goes to `source`.

    What is returned is complete only if there was no error.
    """
    top = Fields(root, source)
    for key in ("version", "tasks", "phases", "pages", "leaderboards", "solutions", "terms", "image"):
        top.get(key)  # so that no key that is known is taken for a misspelling of another
    title = top.text("title", "", required=True, most=256) or ""
    tasks = _tasks(top, files)
    phases = _phases(top, files, {t.index for t in tasks})
    terms = _terms(top, files)
    spec: dict[str, Any] = {
        "title": title,
        "description": top.text("description", "") or "",
        "image": _image(top, files),
        "terms_file": terms[0],
        "terms": terms[1],
        "pages": _pages(top, files),
        "tasks": tasks,
        "phases": phases,
        "leaderboards": read_leaderboards(top),
        "solutions": _solutions(top, files, {t.index for t in tasks}),
        "fact_sheet": read_fact_sheet(top),
        "docker_image": (top.text("docker_image", most=128) or "").strip() or DEFAULT_IMAGE,
        "competition_type": top.choice("competition_type", ("competition", "benchmark"), "competition"),
        "queue": read_queue(top),
        "reward": top.text("reward", most=256),
        "contact_email": _email(top),
        **{name: top.flag(name, default) for name, default in _FLAGS.items()},
    }
    return CompetitionSpec(**spec, extras=top.extras(_NEVER_READ))


# ---------------------------------------------------------------------- files at the top
def _image(top: Fields, files: BundleFiles) -> str | None:
    node = top.get("image")
    if node is None:
        top.missing("image", "image is missing: a competition needs a logo")
        return None
    return files.logo(top, "image", node)


def _terms(top: Fields, files: BundleFiles) -> tuple[str | None, str]:
    node = top.get("terms")
    if node is None:
        top.missing("terms", "terms is missing: the file with the terms of participation")
        return None, ""
    return files.page(top, "terms", node) or (None, "")


def _pages(top: Fields, files: BundleFiles) -> tuple[PageSpec, ...]:
    pages = []
    for fields in top.children("pages", "page", required=True):
        title = fields.text("title", "", required=True, most=255) or ""
        node = fields.get("file")
        found = files.page(fields, "file", node) if node is not None else None
        if node is None:
            fields.missing("file")
        fields.extras(expected=("index",))
        if found:
            pages.append(PageSpec(title=title, file=found[0], content=found[1]))
    return tuple(pages)


def read_queue(top: Fields) -> str | None:
    """The UUID of the queue that a server is to use."""
    name = top.text("queue")
    if name is not None and name.strip() and not is_uuid(name.strip()):
        hint = "a queue of a server is named by its UUID; elsewhere the key has no effect"
        top.warn("CB117", f"the queue {shorten(name)} is a name: it is given by its UUID", top.get("queue"), hint)
    return name.strip() or None if name else None


def _email(top: Fields) -> str | None:
    address = (top.text("contact_email") or "").strip()
    if address and not _EMAIL.fullmatch(address):
        top.error(
            "CB117",
            f"contact_email {shorten(address)} is not an e-mail address",
            top.get("contact_email"),
            "write name@example.org",
        )
    return address or None


# ---------------------------------------------------------------------- tasks
def _tasks(top: Fields, files: BundleFiles) -> tuple[TaskSpec, ...]:
    found: dict[int | str, TaskSpec] = {}
    said: dict[int | str, Any] = {}
    children = top.children("tasks", "task", required=True)
    if isinstance(listed := top.get("tasks"), Sequence) and not listed.items:
        top.error(
            "CB109", "a competition needs at least one task", listed, "add a task with index, name, scoring_program"
        )
    for fields in children:
        index = identifier(fields.get("index"))
        if index is None:
            fields.missing("index", hint="phases name tasks by their index: add index: 0")
        elif said.get(index) == value(fields.node):
            message = f"task {index} stands here a second time, word for word: it is taken once"
            fields.warn("CB107", message, fields.get("index"), "remove one of them; codabench.org refuses both")
            continue
        elif index in found:
            fields.error("CB107", f"the task index {index} is used twice", fields.get("index"), "choose another")
        if index is not None:
            said[index] = value(fields.node)
        task = _task(fields, files, index if index is not None else f"?{len(found)}")
        found.setdefault(task.index, task)
    return tuple(found.values())


def _task(fields: Fields, files: BundleFiles, index: int | str) -> TaskSpec:
    key = fields.get("key")
    if key is not None and (task := _task_by_key(fields, key, files, index)):
        return task
    name = fields.text("name", "", required=True, most=256) or ""
    description = fields.text("description")
    if fields.get("scoring_program") is None:
        for role in TASK_ROLES:
            fields.get(role)
        fields.missing("scoring_program")
    parts: dict[str, Any] = {
        role.value: files.program(fields, role, role.words) if role.is_program else files.data(fields, role, role.words)
        for role in TASK_ROLES
    }
    return TaskSpec(
        index=index,
        name=name,
        description=description,
        key=_spelt(key.text.strip()) if isinstance(key, Scalar) else None,
        **parts,
        ingestion_only_during_scoring=fields.flag("ingestion_only_during_scoring"),
        extras=fields.extras(expected=("is_public", "id", "solutions")),
    )


def _spelt(key: str) -> str:
    return plain_key(key) if is_uuid(key) else key


def _task_by_key(fields: Fields, key: Node, files: BundleFiles, index: int | str) -> TaskSpec | None:
    """The task archive that stands for a key; None if the other keys describe the task and there is none."""
    name = fields.text("name")
    if not isinstance(key, Scalar):
        fields.text("key")
        return TaskSpec(index=index, name=name or "")
    described = fields.get("scoring_program") is not None
    if described and not files.knows(key):
        message = f"{fields.what} has a key, under which another server may hold it: what it says here is taken"
        fields.note("CB166", message, key, f"to take the task itself, give its archive: --dataset {key.text}=TASK.zip")
        return None
    folder = files.by_key(fields, key, f"task {index} is a task stored on another server", as_file=False)
    if described and folder is not None:
        fields.note("CB166", f"{fields.what} has a key, for which a task is given: what it says here is not read", key)
    if folder is not None and (task := read_task_at(fields, key, files, folder)):
        return task.model_copy(update={"index": index, "key": plain_key(key.text)})
    return TaskSpec(index=index, name=name or key.text, key=key.text)


# ---------------------------------------------------------------------- phases
def _phases(top: Fields, files: BundleFiles, tasks: Collection[int | str]) -> tuple[PhaseSpec, ...]:
    children = top.children("phases", "phase", required=True)
    if isinstance(listed := top.get("phases"), Sequence) and not listed.items:
        top.error("CB109", "a competition needs at least one phase", listed, "add a phase with name, start, tasks")
    read = [(fields, fields.whole("index", 0) or 0, _phase(fields, files, tasks)) for fields in children]
    read.sort(key=lambda item: item[1])
    ordered = [(fields, phase.model_copy(update={"index": n})) for n, (fields, _, phase) in enumerate(read)]
    for place, (fields, phase) in enumerate(ordered):
        _check_period(fields, phase, ordered[place + 1] if place + 1 < len(ordered) else None)
    if ordered and ordered[0][1].auto_migrate_to_this_phase:
        fields = ordered[0][0]
        message = f"{fields.what} is the first: there is nothing to migrate from"
        node = fields.get("auto_migrate_to_this_phase")
        fix = mending("write false", unquoted(fields.source, node, "false")) if node else None
        fields.error("CB208", message, node, "remove the key, or set it to false", fix)
    return tuple(phase for _, phase in ordered)


UNKNOWN_MOMENT = datetime.max.replace(tzinfo=UTC)
"""Stands in where a date is missing, which is an error."""


def _phase(fields: Fields, files: BundleFiles, tasks: Collection[int | str]) -> PhaseSpec:
    name = fields.text("name", "", required=True, most=256) or ""
    return PhaseSpec(
        index=0,
        name=name,
        description=fields.text("description"),
        start=fields.date("start", required=True) or UNKNOWN_MOMENT,
        end=fields.date("end"),
        tasks=_task_indexes(fields, tasks),
        max_submissions_per_day=_limit(fields, "max_submissions_per_day", 5),
        max_submissions=_limit(fields, "max_submissions", 100),
        execution_time_limit=_seconds(fields),
        auto_migrate_to_this_phase=fields.flag("auto_migrate_to_this_phase"),
        accepts_only_result_submissions=fields.flag("accepts_only_result_submissions"),
        hide_output=fields.flag("hide_output"),
        hide_prediction_output=fields.flag("hide_prediction_output"),
        hide_score_output=fields.flag("hide_score_output"),
        public_data=files.data(fields, "public_data", "public data", download=True),
        starting_kit=files.data(fields, "starting_kit", "starting kit", download=True),
        extras=fields.extras(
            expected=("index", "solutions", "id", "status", "is_final_phase", "has_max_submissions"),
        ),
    )


def _task_indexes(fields: Fields, known: Collection[int | str]) -> tuple[int | str, ...]:
    node = fields.get("tasks")
    if node is None:
        fields.missing("tasks", hint="list the indexes of its tasks: tasks: [0]")
        return ()
    indexes = fields.indexes("tasks")
    if indexes is not None and isinstance(node, Sequence) and not node.items:
        fields.error("CB109", f"{fields.what} has no task", node, "list the indexes of its tasks: tasks: [0]")
    return _known(fields, indexes or [], known)


def _known(
    fields: Fields, indexes: list[tuple[int | str, Node]], known: Collection[int | str]
) -> tuple[int | str, ...]:
    found: list[int | str] = []
    for index, where in indexes:
        if index in known and index not in found:
            found.append(index)
        elif index in known:
            fields.warn("CB107", f"{fields.what} names task {index} twice", where)
        else:
            there = ", ".join(str(k) for k in known if not str(k).startswith("?"))
            hint = "use the index of a task, or add the task"
            fields.error("CB108", f"there is no task with index {index}; there is {there or 'none'}", where, hint)
    return tuple(found)


def _limit(fields: Fields, key: str, default: int) -> int | None:
    """A number of submissions; 0 and null mean that there is no limit."""
    if isinstance(node := fields.node.get(key), Scalar) and node.is_null:
        fields.get(key)
        return None
    number = fields.whole(key, default, least=0)
    if number == 0:
        fields.note("CB209", f"{key}: 0 means no limit", fields.get(key), "to take no submissions, end the phase")
    return number or None


def _seconds(fields: Fields) -> int:
    number = fields.whole("execution_time_limit", 0, least=0, unit="seconds") or _DEFAULT_LIMIT
    return min(number, LONGEST_LIMIT)


def _check_period(fields: Fields, phase: PhaseSpec, following: tuple[Fields, PhaseSpec] | None) -> None:
    if phase.end is not None and phase.start is not UNKNOWN_MOMENT and phase.end < phase.start:
        hint = "exchange start and end, or correct the year, or the order of day and month"
        fields.warn("CB207", f"{fields.what} ends before it begins", fields.get("end"), hint)
    if following is None:
        return
    later, after = following
    if phase.end is None:
        if not fields.get("end"):
            message = f"{fields.what} needs an end, because {later.what} follows it"
            fields.error("CB206", message, hint="add end: with a moment before the next phase begins")
        return
    if after.start is UNKNOWN_MOMENT:
        return
    if after.start < phase.end:
        hint = f"start it after {phase.end:%Y-%m-%d %H:%M:%S} UTC"
        later.error("CB204", f"{later.what} begins before {fields.what} has ended", later.get("start"), hint)
    elif after.start == phase.end:
        message = f"{later.what} begins at the moment {fields.what} ends; codabench.org refuses this"
        end = fields.get("end")
        sooner = phase.end - timedelta(seconds=1) if phase.end.year > 1 else phase.end
        what = f"end {fields.what} one second sooner"
        fix = mending(what, dated(fields.source, end, sooner), safe=False) if end else None
        later.warn("CB205", message, later.get("start"), "begin it one second later", fix)


# ---------------------------------------------------------------------- solutions
def _solutions(top: Fields, files: BundleFiles, tasks: Collection[int | str]) -> tuple[SolutionSpec, ...]:
    found: dict[int | str, SolutionSpec] = {}
    for fields in top.children("solutions", "solution"):
        index = identifier(fields.get("index"))
        if index is None:
            fields.missing("index")
        elif index in found:
            fields.error("CB107", f"the solution index {index} is used twice", fields.get("index"), "choose another")
        if fields.get("tasks") is None:
            fields.missing("tasks", hint="list the indexes of the tasks that it solves: tasks: [0]")
        data = _solution_files(fields, files)
        solution = SolutionSpec(
            index=index if index is not None else f"?{len(found)}",
            name=fields.text("name", most=256),
            description=fields.text("description"),
            tasks=_known(fields, fields.indexes("tasks") or [], tasks),
            path=data.path if data else None,
            key=data.key if data else None,
            extras=fields.extras(expected=("id",)),
        )
        found.setdefault(solution.index, solution)
    return tuple(found.values())


def _solution_files(fields: Fields, files: BundleFiles) -> DataSpec | None:
    if fields.get("key") is not None:
        return files.data(fields, "key", "solution", by_key=True)
    if fields.get("path") is None:
        fields.missing("path")
    return files.data(fields, "path", "path")
