"""Bundles with ``version: 2`` (contract.md section 1, with its Decisions and the Rulings of section 7)."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from codabench.bundle.fact_sheet import read_fact_sheet
from codabench.bundle.fields import Fields, identifier, is_uuid, shorten
from codabench.bundle.files import BundleFiles
from codabench.bundle.leaderboards import read_leaderboards
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, Source
from codabench.core.competition import (
    DEFAULT_IMAGE,
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
_DATA = ("input_data", "reference_data")
_PROGRAMS = ("scoring_program", "ingestion_program")


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
    children = top.children("tasks", "task", required=True)
    if isinstance(listed := top.get("tasks"), Sequence) and not listed.items:
        top.error(
            "CB109", "a competition needs at least one task", listed, "add a task with index, name, scoring_program"
        )
    for fields in children:
        index = identifier(fields.get("index"))
        if index is None:
            fields.missing("index", hint="phases name tasks by their index: add index: 0")
        elif index in found:
            fields.error("CB107", f"the task index {index} is used twice", fields.get("index"), "choose another")
        task = _task(fields, files, index if index is not None else f"?{len(found)}")
        found.setdefault(task.index, task)
    return tuple(found.values())


def _task(fields: Fields, files: BundleFiles, index: int | str) -> TaskSpec:
    if (key := fields.text("key")) is not None:
        hint = "put its programs and data into the bundle and describe it here"
        message = f"task {index} is a task stored on another server: {shorten(key)}"
        fields.error("CB304", message, fields.get("key"), hint)
        return TaskSpec(index=index, name=fields.text("name") or key, key=key)
    name = fields.text("name", "", required=True, most=256) or ""
    description = fields.text("description")
    if fields.get("scoring_program") is None:
        for other in (*_DATA, "ingestion_program"):
            fields.get(other)
        fields.missing("scoring_program")
    programs = {role: files.program(fields, role, role.replace("_", " ")) for role in _PROGRAMS}
    data = {role: files.data(fields, role, role.replace("_", " ")) for role in _DATA}
    during_scoring = fields.flag("ingestion_only_during_scoring")
    return TaskSpec(
        index=index,
        name=name,
        description=description,
        scoring_program=programs["scoring_program"],
        ingestion_program=programs["ingestion_program"],
        input_data=data["input_data"],
        reference_data=data["reference_data"],
        ingestion_only_during_scoring=during_scoring,
        extras=fields.extras(expected=("is_public", "id", "solutions")),
    )


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
        fields.error("CB208", message, fields.get("auto_migrate_to_this_phase"), "remove the key, or set it to false")
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
        hint = "exchange start and end, or correct the year"
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
        later.warn("CB205", message, later.get("start"), "begin it one second later")


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
    key = fields.text("key")
    if key is not None:
        message = f"{fields.what} is stored on another server: {shorten(key)}"
        fields.error("CB304", message, fields.get("key"), "put it into the bundle and name its path")
        return None
    if fields.get("path") is None:
        fields.missing("path")
    return files.data(fields, "path", "path")
