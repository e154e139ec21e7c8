"""Phases of format v1.5: each has one task, or one for each of its children (contract.md 2.3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from codabench.bundle.fields import Fields, whole_number
from codabench.bundle.files import BundleFiles
from codabench.bundle.nodes import Node, Scalar, Sequence
from codabench.bundle.v2 import LONGEST_LIMIT, UNKNOWN_MOMENT
from codabench.bundle.v15_losses import (
    IMAGES,
    LOST_IN_PHASES,
    LOST_WITH_PARENTS,
    note_losses,
    warn_of_losses,
)
from codabench.core.competition import DataSpec, PhaseSpec, TaskSpec

_PER_DAY, _IN_ALL, _SECONDS = 999, 100, 300
_HIDING = ("hide_output", "hide_prediction_output", "hide_score_output")
_BLIND = {"leaderboard_management_mode": "results are shown, CodaLab hid them from participants"}
_KNOWN = (
    *("phasenumber", "parent_phasenumber", "is_parallel_parent", "label", "description", "start_date"),
    *("phase_never_ends", "auto_migration", "is_scoring_only", "ingestion_program_only_during_scoring"),
    *("max_submissions", "max_submissions_per_day", "execution_time_limit", "starting_kit", "public_data"),
    "force_best_submission_to_leaderboard",
    *LOST_WITH_PARENTS,
)


class _Family(NamedTuple):
    """A phase as participants see it, and what it holds: itself, or in "v1.8" its children."""

    head: Fields
    members: list[Fields]

    @property
    def merged(self) -> bool:
        return self.members != [self.head]


class PhaseReader:
    """The phases of a bundle and their tasks.

    Attributes
    ----------
    read
        Every phase as it is written, parents and children included.
    tasks, phases
        What they become: children of one parent are one phase with several tasks.
    """

    def __init__(self, top: Fields, files: BundleFiles) -> None:
        self._files = files
        self.tasks: tuple[TaskSpec, ...] = ()
        self.read = _read(top)
        families = _families(self.read)
        starts = [_start(family) for family in families]
        close = None if _is_null(top.get("end_date")) else top.date("end_date")
        ends = [*starts[1:], close][: len(starts)]
        self.phases = tuple(
            self._phase(n, family, start, None if family.head.flag("phase_never_ends") else end)
            for n, (family, start, end) in enumerate(zip(families, starts, ends, strict=True))
        )
        for place, (family, phase) in enumerate(zip(families, self.phases, strict=True)):
            _check_period(top, family.head, phase, families[place + 1].head if place + 1 < len(families) else None)
        note_losses(self.read, LOST_IN_PHASES, " in phases")
        warn_of_losses(self.read, {**IMAGES, **_BLIND}, " in phases")

    def _phase(self, index: int, family: _Family, start: datetime, end: datetime | None) -> PhaseSpec:
        head = family.head
        first = len(self.tasks)
        self.tasks += tuple(self._task(member, first + n, family) for n, member in enumerate(family.members))
        name = head.text("label", "", required=True, most=256) or ""
        if family.merged:
            _note_merged(family, start)
        shared = family.members if not family.merged else [head, *family.members]
        return PhaseSpec(
            index=index,
            name=name,
            description=head.text("description"),
            start=start,
            end=end,
            tasks=tuple(task.index for task in self.tasks[first:]),
            max_submissions_per_day=_number(family, "max_submissions_per_day", _count(_PER_DAY), min),
            max_submissions=_number(family, "max_submissions", _count(_IN_ALL), min),
            execution_time_limit=_number(family, "execution_time_limit", _seconds, max),
            auto_migrate_to_this_phase=_migrates(shared, index),
            accepts_only_result_submissions=_results_only(family),
            **{key: any(fields.flag(key) for fields in shared) for key in _HIDING},
            public_data=self._download(shared, "public_data"),
            starting_kit=self._download(shared, "starting_kit"),
            extras=_extras(head),
        )

    def _task(self, fields: Fields, index: int, family: _Family) -> TaskSpec:
        if fields.get("scoring_program") is None:
            fields.missing("scoring_program")
        label = fields.text("label", "", required=family.merged, most=256) or ""
        return TaskSpec(
            index=index,
            name=f"{label} Task",
            description=fields.text("description"),
            scoring_program=self._files.program(fields, "scoring_program", "scoring program"),
            ingestion_program=self._files.program(fields, "ingestion_program", "ingestion program"),
            input_data=self._files.data(fields, "input_data", "input data"),
            reference_data=self._files.data(fields, "reference_data", "reference data"),
            ingestion_only_during_scoring=fields.flag("ingestion_program_only_during_scoring"),
            extras=_extras(fields) if family.merged else {},
        )

    def _download(self, shared: list[Fields], key: str) -> DataSpec | None:
        role = key.replace("_", " ")
        found = [data for fields in shared if (data := self._files.data(fields, key, role, download=True))]
        if len(set(found)) > 1:
            others = ", ".join(str(data.path) for data in dict.fromkeys(found[1:]) if data != found[0])
            shared[0].note("CB218", f"{shared[0].what} keeps the {role} of one task only; not kept: {others}")
        return found[0] if found else None


# ---------------------------------------------------------------------- order, parents and children
def _read(top: Fields) -> list[Fields]:
    if isinstance(top.get("phases"), Sequence):
        hint = "write 1: {phasenumber: 1, ...} for each; or is this version 2? Then add 'version: 2'"
        top.error("CB102", "phases must be a mapping in this format, it is a list", top.node.key("phases"), hint)
        return []
    found = [fields for _, fields in top.named("phases", "phase", required=True)]
    if top.get("phases") is not None and not found:
        top.error("CB109", "a competition needs at least one phase", top.node.key("phases"), "add one")
    numbers: dict[int | None, Fields] = {}
    for fields in found:
        for key in _KNOWN:
            fields.get(key)
        number = fields.whole("phasenumber")
        if fields.get("phasenumber") is None:
            fields.missing("phasenumber", hint="it says in which order phases follow each other: phasenumber: 1")
        elif numbers.setdefault(number, fields) is not fields:
            fields.warn("CB107", f"the phasenumber {number} is used twice", fields.get("phasenumber"))
    return sorted(found, key=_place)


def _place(fields: Fields) -> tuple[bool, int]:
    number = whole_number(fields.node.get("phasenumber"))
    return (number is None, number or 0)


def _whole(fields: Fields, key: str) -> int:
    return whole_number(fields.node.get(key)) or 0


def _start(family: _Family) -> datetime:
    """When the phase begins; a parent that does not say it begins with the first of its children."""
    head, members = family
    moments = [m for fields in members if (m := fields.date("start_date"))] if family.merged else []
    return head.date("start_date", required=not moments) or min(moments, default=UNKNOWN_MOMENT)


def _families(phases: list[Fields]) -> list[_Family]:
    """Phases in their order, children with their parents."""
    parents = {_whole(f, "phasenumber"): f for f in reversed(phases) if not _whole(f, "parent_phasenumber")}
    children: dict[int, list[Fields]] = {}
    for fields in phases:
        fields.flag("is_parallel_parent")
        number = fields.whole("parent_phasenumber")
        parent = None if number is None else parents.get(number)
        # 0 says that there is no parent, unless phases are counted from 0.
        if number == 0 and (parent is None or parent is fields or not parent.flag("is_parallel_parent")):
            continue
        if number is not None and parent is not None:
            children.setdefault(number, []).append(fields)
        elif number is not None:
            message = f"{fields.what} names phase {number} as its parent, which is not there: it is a phase of its own"
            fields.warn("CB217", message, fields.get("parent_phasenumber"), "use the phasenumber of a parent")
    adopted = [fields for group in children.values() for fields in group]
    return [
        _Family(f, children[n] if parents.get(n := _whole(f, "phasenumber")) is f and n in children else [f])
        for f in phases
        if f not in adopted
    ]


def _note_merged(family: _Family, start: datetime) -> None:
    head, members = family
    names = ", ".join(member.what.removeprefix("phase ") for member in members)
    note = f"{head.what} has {names} for its tasks: each submission runs on all of them"
    moments = [member.date("start_date") for member in members]
    if any(moment not in (None, start) for moment in moments):
        note += "; they begin with it, their own start_date is lost"
    head.note("CB218", note)
    note_losses([head], LOST_WITH_PARENTS, f" in {head.what}")


def _extras(fields: Fields) -> dict[str, object]:
    expected = (*_KNOWN, *_HIDING, *LOST_IN_PHASES, *IMAGES, *_BLIND)
    return fields.extras(expected=expected)


# ---------------------------------------------------------------------- settings
def _number(
    family: _Family, key: str, read: Callable[[Fields, str], int], choose: Callable[[Iterable[int]], int]
) -> int:
    """What the phase says; where only its children say it, one value that suits all."""
    head, members = family
    if not family.merged:
        return read(head, key)
    said = head.get(key) is not None
    values = [read(member, key) for member in members if not said or member.get(key) is not None]
    chosen = read(head, key) if said else choose(values)
    if set(values) - {chosen}:
        listed = ", ".join(map(str, values))
        head.note("CB218", f"{key} of {head.what} is {chosen}; its children say {listed}")
    return chosen


def _count(default: int) -> Callable[[Fields, str], int]:
    def read(fields: Fields, key: str) -> int:
        number = fields.whole(key, least=0)
        if number == 0:
            message = f"{key}: 0 means that {fields.what} takes no submissions, as in CodaLab"
            fields.warn("CB209", message, fields.get(key), "codabench.org would read: no limit")
        return default if number is None else number

    return read


def _seconds(fields: Fields, key: str) -> int:
    return min(fields.whole(key, _SECONDS, least=0, unit="seconds") or _SECONDS, LONGEST_LIMIT)


def _migrates(shared: list[Fields], index: int) -> bool:
    asking = [fields for fields in shared if fields.flag("auto_migration")]
    if asking and index == 0:
        message = f"{asking[0].what} is the first: there is nothing to migrate from, auto_migration is taken as false"
        asking[0].warn("CB208", message, asking[0].get("auto_migration"), "remove it: codabench.org refuses this")
    return bool(asking) and index > 0


def _results_only(family: _Family) -> bool:
    """Only what a phase says of itself counts: what its parent says does not keep a child from running."""
    said = [member.flag("is_scoring_only") for member in family.members]
    if any(said) and not all(said):
        message = f"is_scoring_only differs among the children of {family.head.what}: submissions are run in all"
        family.head.warn("CB218", message)
    return all(said)


def _check_period(top: Fields, fields: Fields, phase: PhaseSpec, following: Fields | None) -> None:
    if phase.end is None or UNKNOWN_MOMENT in (phase.start, phase.end) or phase.end > phase.start:
        return
    if following is not None:
        when = "when" if phase.end == phase.start else "before"
        message = f"{fields.what} never opens: {following.what}, which follows it, begins {when} it does"
        fields.warn("CB207", message, fields.get("start_date"), "correct start_date or phasenumber")
    else:
        message = f"end_date lies before the start of {fields.what}, which never opens"
        top.warn("CB207", message, top.get("end_date"), "correct the year, or leave end_date out")


def _is_null(node: Node | None) -> bool:
    """Nothing, also where it is written as the text ``null``."""
    return node is None or (isinstance(node, Scalar) and node.text.strip().lower() in ("null", "none", ""))
