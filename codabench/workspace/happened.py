"""What happened to a board, told from the rows of the database: nothing is stored for it that is not there anyway."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from codabench.core.errors import UsageError
from codabench.core.records import Run, Status, Submission
from codabench.core.text import distinct, printable
from codabench.db.database import Database
from codabench.leaderboard import events as happened
from codabench.leaderboard.events import BoardEvent
from codabench.runner.inline import NAME as INLINE


class Past:
    """The submissions and runs of a phase, deleted and replaced ones included.

    Parameters
    ----------
    keys
        Keys of the columns that scores are kept of.
    """

    def __init__(self, db: Database, competition: str, phase: int, keys: Collection[str]) -> None:
        self._keys = frozenset(keys)
        self.submissions = {s.id: s for s in db.submissions(competition, phase, deleted=True)}
        self._runs: dict[str, list[Run]] = defaultdict(list)
        for run in db.runs(competition, phase, shown=False):
            self._runs[run.submission].append(run)
        for submission in self.submissions.values():
            if submission.deleted_at is not None:
                self._runs[submission.id] = db.runs_of(submission.id)
        promoted = {b.id: b.promoted_at for b in db.batches(competition) if b.promoted_at is not None}
        of_run = {run.id: run for runs in self._runs.values() for run in runs}
        told = [
            *(self._admitted(n, s) for n, s in enumerate(self.submissions.values())),
            *(event for s in self.submissions for event in self._ended(s, promoted)),
            *(
                happened.ScoreEdited(e.at, of_run[e.run].submission, of_run[e.run].task, e.key, e.value)
                for e in db.hand_scores(competition)
                if e.run in of_run
            ),
            *(
                happened.EntryChosen(c.at, c.submission, c.shown, c.by)
                for c in db.choices(competition)
                if c.submission in self.submissions
            ),
            *(happened.Deleted(s.deleted_at, s.id) for s in self.submissions.values() if s.deleted_at is not None),
        ]
        # What happened in one instant stays in the order of this list.
        self.events: list[BoardEvent] = sorted(told, key=lambda e: e.at)

    def until(self, moment: datetime) -> list[BoardEvent]:
        """What happened up to a moment, that moment included."""
        return [e for e in self.events if e.at <= moment]

    def names(self, known: Mapping[str, str]) -> dict[str, str]:
        """What submissions are called: as `known`, and those that are not known any more by a name of their own."""
        gone = [s for s in self.submissions.values() if s.id not in known]
        called = distinct([s.name for s in gone], known.values())
        return {**known, **{s.id: name for s, name in zip(gone, called, strict=True)}}

    def tasks(self, events: Iterable[BoardEvent]) -> set[int | str]:
        """What somebody had been run on."""
        return {t for e in events if isinstance(e, happened.Submitted) for t in e.tasks}

    def _admitted(self, number: int, submission: Submission) -> happened.Submitted:
        origin = self.submissions.get(submission.origin or "")
        partly = submission.origin_kind == "rerun" and origin is not None and set(origin.tasks) != set(submission.tasks)
        made = [r.outcome.provenance for r in self._runs[submission.id] if r.outcome]
        return happened.Submitted(
            at=submission.created_at,
            submission=submission.id,
            participant=submission.participant,
            sequence=number,
            tasks=submission.tasks,
            eligible=not partly,
            isolated=all(p.get("engine", {}).get("name") != INLINE for p in made),
        )

    def _ended(self, submission: str, promoted: Mapping[str, datetime]) -> Iterator[BoardEvent]:
        """How its own runs ended, and what re-evaluations that were promoted made of it."""
        own = [r for r in self._runs[submission] if r.batch is None]
        ends = [r.finished_at for r in own if r.finished_at is not None]
        if not own or len(ends) < len(own):
            return
        finished = [r for r in own if r.status is Status.FINISHED]
        if finished:
            yield happened.Scored(max(ends), submission, self._scores(finished))
        else:
            yield happened.Failed(max(ends), submission)
        again: dict[str, list[Run]] = defaultdict(list)
        for run in self._runs[submission]:
            if run.batch in promoted and run.status is Status.FINISHED:
                again[run.batch or ""].append(run)
        for batch, runs in sorted(again.items(), key=lambda i: promoted[i[0]]):
            kind = happened.Reevaluated if finished else happened.Scored
            yield kind(promoted[batch], submission, self._scores(runs))
            finished = runs

    def _scores(self, runs: Iterable[Run]) -> dict[int | str, dict[str, float]]:
        return {
            run.task: {k: v for k, v in (run.outcome.scores if run.outcome else {}).items() if k in self._keys}
            for run in runs
        }


def moment_of(given: datetime | str) -> datetime:
    """An instant in UTC; one without a zone is taken as UTC.

    Raises
    ------
    UsageError
        ``CB353``: the text is no ISO 8601 date or time.
    """
    try:
        moment = datetime.fromisoformat(given) if isinstance(given, str) else given
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        hint = 'write "2026-03-01" or "2026-03-01 12:30"'
        raise UsageError(f"{printable(str(given))!r} is no time", code="CB353", hint=hint) from None
