"""What a board of a workspace says beside its order: names, facts, where things ran, what is there twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codabench.core.competition import CompetitionSpec, LeaderboardSpec, PhaseSpec
from codabench.core.errors import UsageError
from codabench.core.records import Run
from codabench.core.text import plural, printable
from codabench.leaderboard.board import Row
from codabench.leaderboard.rules import FORCED
from codabench.runner.inline import NAME as INLINE
from codabench.workspace import admission

if TYPE_CHECKING:
    from codabench.workspace.boards import Instead
    from codabench.workspace.competition import Competition
    from codabench.workspace.workspace import Workspace

LOOKED_AT = 1000
"""Rows whose runs are read to say where they ran: what they came to is long."""

_OFTEN = 100
"""From so many submissions on the board says that the best of them is partly luck."""


def phase_of(workspace: Workspace, competition: Competition, phase: int | str | None) -> PhaseSpec:
    """The phase that is meant: the one named, else that of the last submission, else the first."""
    if phase is not None:
        return admission.find_phase(competition.spec, phase)
    latest = workspace.db.latest_phase(competition.id)
    return competition.spec.phases[latest or 0]


def page_range(page: int, size: int) -> tuple[int, int]:
    """The places of a page, which are counted from 1.

    Raises
    ------
    UsageError
        There is no such page.
    """
    if not (isinstance(page, int) and isinstance(size, int)) or page < 1 or size < 1:
        hint = "pages are counted from 1, and have a row"
        raise UsageError(f"page {page!r} of {size!r} rows", code="CB350", hint=hint)
    return (page - 1) * size, page * size


def facts_of(spec: CompetitionSpec, called: Mapping[str, tuple[str, Any]]) -> dict[str, dict[str, Any]]:
    """By submission, its parameters and the answers that the fact sheet puts on the leaderboard."""
    asked = {q.key: q.is_on_leaderboard for q in spec.fact_sheet}
    return {
        id: {key: value for key, value in sheet.items() if asked.get(key, True)}
        for id, (_, sheet) in called.items()
        if sheet
    }


def notes_of_rule(spec: LeaderboardSpec, applied: bool, shown: int, scored: int) -> list[str]:
    """What the rule has to do with what is on the board."""
    rule = spec.submission_rule
    notes = []
    if applied and rule not in FORCED and scored and not shown:
        notes.append(
            f"the rule is {rule.value}: participants choose what is on the board; "
            f"{plural(scored, 'scored submission')} can be put there (choose); rule=False, or --all, lists them"
        )
    if applied and spec.hidden:
        notes.append("participants do not see this board")
    if scored >= _OFTEN:
        notes.append(f"{plural(scored, 'submission')} were scored on the same data: the best of many is partly luck")
    return notes


class Details:
    """The runs of the rows that are shown.

    Attributes
    ----------
    pages
        Submission -> task -> run: where a scorer wrote a page with details.
    duplicates
        Groups of submissions of different participants that are equal byte by byte.
    """

    def __init__(self, workspace: Workspace, submissions: Sequence[str], instead: Instead) -> None:
        self._runs: dict[str, list[Run]] = defaultdict(list)
        self._content: dict[str, list[str]] = defaultdict(list)
        for run, tree in workspace.db.shown_runs(submissions):
            shown = instead.get((run.submission, run.task), run)
            self._runs[run.submission].append(shown)
            same = self._content[tree.digest]
            if run.submission not in same:
                same.append(run.submission)
        self.pages: dict[str, dict[int | str, str]] = defaultdict(dict)
        for submission, runs in self._runs.items():
            for run in runs:
                if run.outcome and run.outcome.detailed_results:
                    self.pages[submission][run.task] = run.id

    def runs(self) -> list[Run]:
        """In the order of the board's submissions."""
        return [run for runs in self._runs.values() for run in runs]

    def isolated(self, submission: str) -> bool:
        """Whether every run of it was a program of its own."""
        return all(_engine(run) != INLINE for run in self._runs.get(submission, ()))

    def duplicates(self, rows: Iterable[Row]) -> list[list[str]]:
        """Groups of submissions that are equal byte by byte, of several participants."""
        who = {row.submission: row.participant for row in rows}
        groups = ([s for s in same if s in who] for same in self._content.values())
        return [group for group in groups if len({who[s] for s in group}) > 1]

    def notes(self, names: Mapping[str, str]) -> list[str]:
        """Where something on the board was run, if not in an image, and what was not done again for it."""
        found: dict[str, list[str]] = {}
        reused: list[str] = []
        for submission, runs in self._runs.items():
            made = [run.outcome.provenance for run in runs if run.outcome and run.outcome.provenance]
            for image, engine in {(m["image"]["id"], m["engine"]["name"]) for m in made if "image" in m}:
                kind = image.partition(":")[0]
                if kind in ("host", "rootfs"):
                    where = "this machine's own Python" if kind == "host" else "a root file system of this machine"
                    found.setdefault(f"with {where} ({engine}), not in an image", []).append(names[submission])
            if any(m.get("reused") for m in made):
                reused.append(names[submission])
        places = [f"run {how}: {_few(called)}" for how, called in sorted(found.items())]
        return [*places, *([f"prediction step reused, with its times of then: {_few(reused)}"] if reused else [])]


def same_content(groups: Iterable[Sequence[str]], names: Mapping[str, str], rows: Iterable[Row]) -> list[str]:
    """A note for each group of equal submissions of several participants."""
    who = {row.submission: row.participant for row in rows}
    return [
        f"equal byte by byte: {_few([f'{printable(names[s])} ({printable(who[s])})' for s in group], 5)}"
        for group in groups
    ]


def _engine(run: Run) -> str | None:
    made = run.outcome.provenance.get("engine", {}) if run.outcome else {}
    name: str | None = made.get("name")
    return name


def _few(names: list[str], most: int = 3) -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])
