"""A competition as version 2 can say it, with a problem for all that it cannot (contract.md sections 1 and 7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from codabench.bundle.fields import is_uuid, shorten, spelled
from codabench.core.base import Record
from codabench.core.competition import (
    ColumnSpec,
    CompetitionSpec,
    Computation,
    LeaderboardSpec,
    PageSpec,
    PhaseSpec,
    SolutionSpec,
    TaskSpec,
)
from codabench.core.problems import Problem, Severity

R = TypeVar("R", bound=Record)

_SECOND = timedelta(seconds=1)
_FIRST = datetime.min.replace(tzinfo=UTC) + _SECOND
_NOT_WRITTEN = {Computation.MEAN_RANK: "the mean of ranks", Computation.MRR: "the mean of 1/rank"}
_LONGEST = {
    CompetitionSpec: {"title": 256},
    PageSpec: {"title": 255},
    TaskSpec: {"name": 256},
    PhaseSpec: {"name": 256},
    SolutionSpec: {"name": 256},
    # The key of a board is only a name; that of a column is what programs write, and cannot be changed.
    LeaderboardSpec: {"title": 64, "key": 36},
    ColumnSpec: {"title": 36},
}
_OURS = frozenset(("format", "terms_file", "computation_weights", "extras"))
"""Fields of specs that are no keys of a bundle."""


def as_v2(spec: CompetitionSpec) -> tuple[CompetitionSpec, list[Problem]]:
    """What a version 2 bundle says of this competition, and what is lost or changed on the way.

    A competition that was read from a version 2 bundle which codabench.org would take comes back equal.
    """
    return _Canonical().competition(spec)


class _Canonical:
    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._left_out: dict[str, list[str]] = {}

    def competition(self, spec: CompetitionSpec) -> tuple[CompetitionSpec, list[Problem]]:
        phases = [self._phase(phase) for phase in spec.phases]
        changed = spec.model_copy(
            update={
                "format": "v2",
                "queue": self._queue(spec.queue),
                "pages": tuple(self._fitting(page, f"page {shorten(page.title, 40)}") for page in spec.pages),
                "tasks": tuple(self._fitting(task, f"task {shorten(task.name, 40)}") for task in spec.tasks),
                "phases": tuple(self._sequential(phases)),
                "leaderboards": tuple(self._board(board) for board in spec.leaderboards),
                "solutions": tuple(self._fitting(s, f"solution {s.index}") for s in spec.solutions),
            }
        )
        changed = self._fitting(changed, "the competition")
        self._tell_format(spec)
        for key, places in self._left_out.items():
            where = spelled(dict.fromkeys(places), "and")
            self._add(
                "CB157", Severity.WARNING, f"the key {shorten(key)} of {where} would get a meaning: it is left out"
            )
        return changed, self._problems

    def _add(self, code: str, severity: Severity, message: str, hint: str | None = None) -> None:
        self._problems.append(Problem(code=code, severity=severity, message=message, hint=hint))

    def _tell_format(self, spec: CompetitionSpec) -> None:
        if len(spec.leaderboards) > 1:
            message = f"only the first of {len(spec.leaderboards)} leaderboards ranks; the others are written, unused"
            self._add("CB154", Severity.WARNING, message, "save one bundle for each, if all are needed")
        if spec.format == "v1.5":
            message = "a folder around everything in a submission was taken off in format v1.5; in version 2 it stays"
            self._add("CB159", Severity.NOTE, message, "tell participants to pack the files, not their folder")
        programs = [p for task in spec.tasks for p in (task.scoring_program, task.ingestion_program) if p]
        for path in dict.fromkeys(str(p.path) for p in programs if len(p.commands) > 1):
            message = f"the program {shorten(path)} has a list of commands, of which codabench.org runs none"
            self._add("CB159", Severity.WARNING, message, "write one command, or a script that runs them all")

    # ------------------------------------------------------------------ texts and keys, at every level
    def _fitting(self, spec: R, what: str) -> R:
        """Names as long as they may be; unknown keys only where they stay unknown."""
        update: dict[str, Any] = {}
        for field, most in _LONGEST.get(type(spec), {}).items():
            text = getattr(spec, field)
            if text is not None and len(text) > most:
                update[field] = f"{text[: most - 3].rstrip()}..."
                message = f"the {field} of {what} has {len(text)} characters; it is cut to {most}"
                self._add("CB152", Severity.WARNING, message, "shorten it by hand, if that reads badly")
        if isinstance(spec, PageSpec) and not spec.title.strip():
            update["title"] = spec.file[:255]
            self._add("CB152", Severity.NOTE, f"the page without a title gets that of its file, {shorten(spec.file)}")
        if extras := getattr(spec, "extras", None):
            update["extras"] = self._unknown(type(spec), extras, what)
        return spec.model_copy(update=update)

    def _unknown(self, kind: type[Record], extras: Mapping[str, Any], what: str) -> dict[str, Any]:
        known = set(kind.model_fields) - _OURS | ({"version", "terms"} if kind is CompetitionSpec else set())
        for key in sorted(known & set(extras)):
            self._left_out.setdefault(key, []).append(what)
        return {key: value for key, value in extras.items() if key not in known}

    def _queue(self, queue: str | None) -> str | None:
        if queue is None or is_uuid(queue):
            return queue
        message = f"the queue {shorten(queue)} is a name, which codabench.org refuses: it is left out"
        self._add("CB159", Severity.WARNING, message, "add queue: with its UUID")
        return None

    # ------------------------------------------------------------------ phases
    def _phase(self, phase: PhaseSpec) -> PhaseSpec:
        what = f"phase {shorten(phase.name, 40)}"
        update: dict[str, Any] = {}
        for key in ("max_submissions", "max_submissions_per_day"):
            if getattr(phase, key) == 0:
                update[key] = 1
                message = f"{what} takes no submissions ({key} is 0), which version 2 cannot say: 1 is written"
                self._add("CB155", Severity.WARNING, message, "0 would mean no limit; to take none, end the phase")
        if phase.accepts_only_result_submissions:
            message = f"{what} takes results only; codabench.org does not know that and runs what is submitted"
            self._add("CB159", Severity.NOTE, message)
        return self._fitting(phase.model_copy(update=update), what)

    def _sequential(self, phases: list[PhaseSpec]) -> list[PhaseSpec]:
        """Every phase but the last ends before the next begins: equal moments are refused by codabench.org."""
        ordered = []
        for phase, following in zip(phases, [*phases, None][1:], strict=True):
            if following is None or (phase.end is not None and phase.end < following.start):
                ordered.append(phase)
                continue
            end = max(following.start, _FIRST) - _SECOND
            touching = phase.end == following.start
            when = "one second sooner" if touching else f"at {end:%Y-%m-%d %H:%M:%S} UTC"
            why = "codabench.org refuses phases that touch" if touching else "another phase begins then"
            severity = Severity.NOTE if touching else Severity.WARNING
            self._add("CB151", severity, f"phase {shorten(phase.name, 40)} ends {when}: {why}")
            ordered.append(phase.model_copy(update={"end": end}))
        return ordered

    # ------------------------------------------------------------------ leaderboards
    def _board(self, board: LeaderboardSpec) -> LeaderboardSpec:
        what = f"leaderboard {shorten(board.title, 40)}"
        update: dict[str, Any] = {}
        lost = [column for column in board.columns if column.computation in _NOT_WRITTEN]
        if lost:
            update = self._without(board, lost, what)
        columns = update.get("columns", board.columns)
        update["columns"] = tuple(self._fitting(c, f"column {shorten(c.key, 40)}") for c in columns)
        return self._fitting(board.model_copy(update=update), what)

    def _without(self, board: LeaderboardSpec, lost: list[ColumnSpec], what: str) -> dict[str, Any]:
        """A board without the columns that only v1.5 computes; if one of them ranked, another takes its place."""
        kept = [column for column in board.columns if column not in lost]
        by_index = {column.index: column for column in kept}
        update: dict[str, Any] = {}
        for column in lost:
            over = [by_index[i] for i in column.computation_indexes if i in by_index]
            message = (
                f"the column {shorten(column.key)} of {what}, {_NOT_WRITTEN[column.computation]} in "  # type: ignore[index]
                f"{spelled([shorten(c.key) for c in over], 'and')}, cannot be computed in version 2: it is left out"
            )
            if column.index == board.primary_index and kept:
                first = next(iter(over), kept[0])
                update["primary_index"] = first.index
                kept[kept.index(first)] = first.model_copy(update={"hidden": False})
                message += f"; {shorten(first.key)} ranks instead"
            self._add("CB153", Severity.WARNING, message, "let the scoring program write it, as far as it can")
        return {**update, "columns": tuple(kept)}
