"""From the rows of a database to a `Table`, and to the events of a history."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from codabench.core.boards import BoardRows, RunSeen, SubmissionSeen
from codabench.core.records import Status
from codabench.leaderboard import events as happened
from codabench.leaderboard.rules import Choice, Position
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
        eligible = True
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


def events_of(rows: BoardRows, tasks: Sequence[Task], known: Iterable[str] = ()) -> list[happened.BoardEvent]:
    """The history of a phase, in its order.

    Parameters
    ----------
    tasks
        Those of the phase, in its order.
    known
        Submissions of the phase that are not among the rows, and of which there may be news.
    """
    runs = _Runs(rows, tasks)
    scores: dict[str, dict[str, float]] = defaultdict(dict)
    for run, key, value in rows.scores:
        scores[run][key] = value
    where = {r.id: (r.submission, r.task) for r in rows.runs}
    there = {*known, *(s.id for s in rows.submissions)}
    found: list[happened.SubmissionEvent] = []
    for seen in rows.submissions:
        found.append(runs.submitted(seen))
        if seen.deleted_at is not None:
            found.append(happened.Deleted(seen.deleted_at, seen.id))
    for submission in runs.of:
        if submission in there:
            found += _outcomes(runs, submission, scores)
    for edit in rows.edits:
        submission, task = where.get(edit.run, ("", 0))
        if submission in there:
            found.append(happened.ScoreEdited(edit.at, submission, task, edit.key, edit.value))
    found += [happened.EntryChosen(c.at, c.submission, c.shown, c.by) for c in rows.choices if c.submission in there]
    # Clocks differ: nothing happens to a submission before it is there.
    made = {s.id: s.created_at for s in rows.submissions}
    found.sort(key=lambda e: (max(e.at, made.get(e.submission, e.at)), _ORDER[type(e)]))
    return [*found]


def _outcomes(
    runs: _Runs, submission: str, scores: Mapping[str, Mapping[str, float]]
) -> Iterable[happened.Scored | happened.Failed | happened.Reevaluated]:
    """What its runs came to."""
    ended = runs.ended(submission)
    if ended is None:
        return
    first = {r.task: scores.get(r.id, {}) for r in runs.finished(submission)}
    yield happened.Scored(ended, submission, first) if first else happened.Failed(ended, submission)
    for n, (at, batch) in enumerate(runs.batches(submission)):
        again = {r.task: scores.get(r.id, {}) for r in runs.finished(submission, batch)}
        later = first or n > 0
        yield happened.Reevaluated(at, submission, again) if later else happened.Scored(at, submission, again)


def table_of(rows: BoardRows, tasks: Sequence[Task]) -> Table:
    """What `events_of` leads to, without the events: for boards of many thousands."""
    runs, wanted = _Runs(rows, tasks), {task: (task,) for task in tasks}
    told: list[tuple[tuple[Task, ...], bool, Position | None]] = []
    for n, seen in enumerate(rows.submissions):
        own = runs.of.get(seen.id, ())
        if len(own) == 1 and own[0].batch is None and seen.origin is None:
            # One run that was never replaced: nothing has to be looked up.
            run = own[0]
            scored = (run.finished_at or _EARLY, 0, n) if run.status == _FINISHED else None
            told.append((wanted.get(run.task, ()), True, scored))
        else:
            made, at = runs.submitted(seen), runs.scored(seen.id)
            told.append((made.tasks, made.eligible, None if at is None else (at, 0, n)))
    table = Table.of(rows.submissions, told)
    number, shown = table.number, {}
    for run in rows.runs:
        if run.shown and run.status == _FINISHED and run.submission in number and table.scored[number[run.submission]]:
            shown[run.id] = (number[run.submission], run.task)
    table.fill(shown, rows.scores)
    place = {r.id: (number[r.submission], r.task) for r in rows.runs if r.submission in number} if rows.edits else {}
    for edit in rows.edits:
        if edit.run in place:
            table.edit(*place[edit.run], edit.key, edit.value)
    for choice in rows.choices:
        known = number.get(choice.submission)
        if known is not None and table.eligible[known]:
            when = (choice.at, 1, known)
            table.choices[table.participant[known]].append(Choice(choice.submission, choice.shown, when))
    return table
