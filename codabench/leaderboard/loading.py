"""From the rows of a database to a `Table`, and to the events of a history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from codabench.core.boards import BoardRows, RunSeen, SubmissionSeen
from codabench.core.competition import LeaderboardSpec
from codabench.core.records import Status
from codabench.leaderboard import events as happened
from codabench.leaderboard.rules import FORCED, Choice, Position
from codabench.leaderboard.standings import Standings
from codabench.leaderboard.table import Table, Task

_FINISHED = Status.FINISHED.value
_FINAL = frozenset(s.value for s in Status if s.is_final)
_EARLY = datetime(1970, 1, 1, tzinfo=UTC)

_ORDER = {
    kind: place
    for place, kind in enumerate(
        (
            happened.Submitted,
            happened.Failed,
            happened.Scored,
            happened.Reevaluated,
            happened.ScoreEdited,
            happened.EntryChosen,
            happened.Deleted,
            happened.BoardEdited,
        )
    )
}
"""What comes first of things that happened in one instant."""


class _Runs:
    """The runs of submissions."""

    def __init__(self, rows: BoardRows, tasks: Sequence[Task]) -> None:
        self.tasks, self.promoted = tuple(tasks), rows.promoted
        self.of: dict[str, list[RunSeen]] = defaultdict(list)
        for run in rows.runs:
            self.of[run.submission].append(run)

    def submitted(self, seen: SubmissionSeen) -> happened.Submitted:
        ran = {r.task for r in self.of.get(seen.id, ())}
        eligible = seen.origin_kind != "aside"
        if seen.origin_kind == "rerun" and seen.origin is not None:
            first = {r.task for r in self.of.get(seen.origin, ())}
            eligible = ran == first or ran >= set(self.tasks)
        tasks = tuple(t for t in self.tasks if t in ran)
        return happened.Submitted(seen.created_at, seen.id, seen.participant, seen.sequence, tasks, eligible)

    def ended(self, submission: str) -> datetime | None:
        """When the runs that were queued first had all ended."""
        first = [r for r in self.of.get(submission, ()) if r.batch is None]
        if not first or any(r.status not in _FINAL for r in first):
            return None
        return max(r.finished_at or _EARLY for r in first)

    def batches(self, submission: str) -> list[tuple[datetime, str]]:
        """The re-evaluations of a submission that were promoted, by time."""
        again = {r.batch for r in self.of.get(submission, ()) if r.batch is not None and r.status == _FINISHED}
        return sorted((self.promoted[batch], batch) for batch in again if batch in self.promoted)

    def finished(self, submission: str, batch: str | None = None) -> list[RunSeen]:
        return [r for r in self.of.get(submission, ()) if r.status == _FINISHED and r.batch == batch]

    def scored(self, submission: str) -> datetime | None:
        """When it was scored first: its own runs, else those of a re-evaluation."""
        ended = self.ended(submission)
        if ended is None or self.finished(submission):
            return ended
        return next((at for at, _ in self.batches(submission)), None)


def definitions(rows: BoardRows, spec: LeaderboardSpec) -> tuple[LeaderboardSpec, list[happened.BoardEdited]]:
    """How a board was defined at first, and what it became until it was `spec`."""
    past = [(old.until, next((b for b in old.leaderboards if b.key == spec.key), None)) for old in rows.before]
    known = [(until, board) for until, board in past if board is not None]
    boards = [*(board for _, board in known), spec]
    edits = [
        happened.BoardEdited(until, new) for (until, old), new in zip(known, boards[1:], strict=True) if new != old
    ]
    return boards[0], edits


def events_of(
    rows: BoardRows, tasks: Sequence[Task], known: Iterable[str] = (), *, edits: Iterable[happened.BoardEdited] = ()
) -> list[happened.BoardEvent]:
    """The history of a phase, in its order.

    Parameters
    ----------
    tasks
        Those of the phase, in its order.
    known
        Submissions of the phase that are not among the rows, and of which there may be news.
    edits
        What the board became, as `definitions` gives it.
    """
    runs = _Runs(rows, tasks)
    where = {r.id: (r.submission, r.task) for r in rows.runs}
    there = {*known, *(s.id for s in rows.submissions)}
    found: list[happened.BoardEvent] = [*edits]
    for seen in rows.submissions:
        found.append(runs.submitted(seen))
        if seen.deleted_at is not None:
            found.append(happened.Deleted(seen.deleted_at, seen.id))
    for submission in runs.of:
        if submission in there:
            found += _outcomes(runs, submission)
    for edit in rows.edits:
        submission, task = where.get(edit.run, ("", 0))
        if submission in there:
            found.append(happened.ScoreEdited(edit.at, submission, task, edit.key, edit.value))
    found += [happened.EntryChosen(c.at, c.submission, c.shown, c.by) for c in rows.choices if c.submission in there]
    # Clocks differ: nothing happens to a submission before it is there.
    made = {s.id: s.created_at for s in rows.submissions}

    def moment(event: happened.BoardEvent) -> datetime:
        of = None if isinstance(event, happened.BoardEdited) else made.get(event.submission)
        return event.at if of is None else max(event.at, of)

    timed = [(moment(event), _ORDER[type(event)], event) for event in found]
    timed.sort(key=itemgetter(0, 1))
    return [event if event.at == at else replace(event, at=at) for at, _, event in timed]


def _outcomes(runs: _Runs, submission: str) -> Iterable[happened.Scored | happened.Failed | happened.Reevaluated]:
    """What its runs came to."""
    ended = runs.ended(submission)
    if ended is None:
        return
    first = {r.task: r.scores for r in runs.finished(submission)}
    yield happened.Scored(ended, submission, first) if first else happened.Failed(ended, submission)
    for n, (at, batch) in enumerate(runs.batches(submission)):
        again = {r.task: r.scores for r in runs.finished(submission, batch)}
        later = first or n > 0
        yield happened.Reevaluated(at, submission, again) if later else happened.Scored(at, submission, again)


def table_of(rows: BoardRows, tasks: Sequence[Task], since: datetime | None = None) -> Table:
    """What `events_of` leads to, without the events: for boards of many thousands.

    Parameters
    ----------
    since
        Choices up to then count no more: the board got another rule.
    """
    runs, wanted = _Runs(rows, tasks), {task: (task,) for task in tasks}
    told: list[tuple[tuple[Task, ...], bool, Position | None]] = []
    for n, seen in enumerate(rows.submissions):
        own = runs.of.get(seen.id, ())
        if len(own) == 1 and own[0].batch is None and seen.origin is None:
            # One run that was never replaced: nothing has to be looked up.
            _, task, status, _, _, ended, _, _ = own[0]
            told.append((wanted.get(task, ()), True, (ended or _EARLY, 0, n) if status == _FINISHED else None))
        else:
            made, at = runs.submitted(seen), runs.scored(seen.id)
            told.append((made.tasks, made.eligible, None if at is None else (at, 0, n)))
    table = Table.of(rows.submissions, told)
    number, scored_at = table.number, table.scored
    table.fill(
        (place, task, scores)
        for submission, task, status, shown, _, _, _, scores in rows.runs
        if shown and status == _FINISHED and (place := number.get(submission, -1)) >= 0 and scored_at[place]
    )
    of_run = {r.id: (number[r.submission], r.task) for r in rows.runs if r.submission in number} if rows.edits else {}
    for edit in rows.edits:
        if edit.run in of_run:
            table.edit(*of_run[edit.run], edit.key, edit.value)
    for choice in rows.choices:
        known = number.get(choice.submission)
        if known is None or not table.eligible[known]:
            continue
        if since is None or max(choice.at, table.created_at[known]) > since:
            when = (choice.at, 1, known)
            table.choices[table.participant[known]].append(Choice(choice.submission, choice.shown, when))
    return table


def standings_of(
    rows: BoardRows, spec: LeaderboardSpec, *, change: Callable[[Table], None] | None = None, **options: Any
) -> Standings:
    """The board that rows lead to.

    Parameters
    ----------
    change
        What is to be otherwise in the table of the rows.
    options
        Those of `Standings`.
    """
    rule, tasks = options["rule"], options["tasks"]
    first, edits = definitions(rows, spec)
    switch = _last_switch(first, edits) if rule is not None else None
    table = table_of(rows, tasks, since=switch.at if switch else None)
    if change is not None:
        change(table)
    if switch is None or rule in FORCED:
        return Standings(spec, table=table, **options)
    # Who was there when people began to choose stays until replaced.
    events = events_of(rows, tasks, edits=edits)
    before = Standings.after(first, events[: events.index(switch)], **{**options, "rule": first.submission_rule})
    return Standings(spec, table=table, carried=before.entries(), **options)


def _last_switch(first: LeaderboardSpec, edits: Sequence[happened.BoardEdited]) -> happened.BoardEdited | None:
    """When the rule became what it is; None: it was always that."""
    found, rule = None, first.submission_rule
    for edit in edits:
        if edit.leaderboard.submission_rule is not rule:
            found, rule = edit, edit.leaderboard.submission_rule
    return found
