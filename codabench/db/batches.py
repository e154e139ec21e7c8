"""Steps that can be reused, and batches that evaluate many runs again."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, func, insert, select, update

from codabench.core.errors import NotFound, StateError
from codabench.core.evaluations import BATCH_STEPS, Batch, BatchRun, BatchState, Evaluated
from codabench.core.events import EventKind
from codabench.core.records import Run, Status, StepRecord
from codabench.db.convert import batch_from, batch_run_from, run_from, step_from, submission_from
from codabench.db.finding import SHORTEST
from codabench.db.runs import Runs
from codabench.db.tables import ATTEMPT, BATCH, BATCH_RUN, COMPETITION, RUN, STEP, SUBMISSION

T = TypeVar("T")
_MANY = 500
"""Values in one statement."""


class Batches(Runs):
    """Steps by digest; re-evaluations as rows, so that they go on where they were stopped."""

    def find_steps(self, digests: Iterable[str], *, submission: str | None = None) -> dict[str, StepRecord]:
        """For each digest the newest step that exited 0 and whose output is kept; a digest without one is absent.

        Parameters
        ----------
        submission
            Only steps of its runs.
        """
        found: dict[str, StepRecord] = {}
        usable = select(STEP).join(ATTEMPT, STEP.c.attempt == ATTEMPT.c.id).join(RUN, STEP.c.run == RUN.c.id)
        usable = usable.join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
        usable = usable.where(STEP.c.ok, STEP.c.output.is_not(None), SUBMISSION.c.deleted_at.is_(None))
        if submission is not None:
            usable = usable.where(RUN.c.submission == submission)
        with self._read() as db:
            for part in _parts(dict.fromkeys(digests)):
                rows = db.execute(usable.where(STEP.c.digest.in_(part)).order_by(ATTEMPT.c.started_at, ATTEMPT.c.id))
                found |= {row.digest: step_from(row) for row in rows}
        return found

    def find_step(self, digest: str, *, submission: str | None = None) -> StepRecord | None:
        """The newest step of that digest that exited 0 and whose output is kept; see `find_steps`."""
        return self.find_steps([digest], submission=submission).get(digest)

    def steps(self, competition: str, phase: int | None = None) -> dict[str, list[StepRecord]]:
        """The steps of the attempts that count, by run: what a plan over many runs needs, without their outcomes."""
        query = select(STEP).join(RUN, (STEP.c.run == RUN.c.id) & (STEP.c.attempt == RUN.c.attempt))
        query = query.where(RUN.c.competition == competition)
        if phase is not None:
            query = query.join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id).where(SUBMISSION.c.phase == phase)
        found: dict[str, list[StepRecord]] = {}
        with self._read() as db:
            for row in db.execute(query.order_by(STEP.c.run, STEP.c.name)):
                found.setdefault(row.run, []).append(step_from(row))
        return found

    def evaluated(self, competition: str, phase: int | None = None) -> list[Evaluated]:
        """The runs that boards show, of submissions that are not deleted, in the order of `runs`.

        Nothing is read into records: of tens of thousands of runs a plan looks at a few values each.
        """
        columns = (RUN.c.id, RUN.c.submission, RUN.c.task, RUN.c.position, RUN.c.revision, RUN.c.status, RUN.c.backend)
        of = (SUBMISSION.c.name, SUBMISSION.c.participant, SUBMISSION.c.phase, SUBMISSION.c.number)
        query = (
            select(*columns, *of, SUBMISSION.c.tree, SUBMISSION.c.options, RUN.c.outcome)
            .join(SUBMISSION, RUN.c.submission == SUBMISSION.c.id)
            .where(SUBMISSION.c.competition == competition, SUBMISSION.c.deleted_at.is_(None), RUN.c.shown)
            .order_by(SUBMISSION.c.sequence, RUN.c.position)
        )
        if phase is not None:
            query = query.where(SUBMISSION.c.phase == phase)
        with self._read() as db:
            # Few tasks, statuses and backends differ: each is read once.
            read = lru_cache(maxsize=None)(_told)
            found = []
            for id, of_, text, place, number, word, where, *rest in db.execute(query):
                task, status, backend = read(text, word, where)
                found.append(Evaluated(id, of_, task, place, number, status, backend, *rest))
            return found

    # ------------------------------------------------------------------ batches
    def add_batch(self, batch: Batch, runs: Sequence[BatchRun]) -> Batch:
        """Keep a plan and what it does again. If one of the same key is not over, that one is returned instead."""
        going = [BatchState.PLANNED.value, BatchState.RUNNING.value, BatchState.DONE.value]
        with self._change() as db:
            # Two who ask for the same plan at the same time: the second one waits for the first.
            db.execute(select(COMPETITION.c.id).where(COMPETITION.c.id == batch.competition).with_for_update())
            same = select(BATCH).where(BATCH.c.key == batch.key, BATCH.c.state.in_(going))
            known = db.execute(same.order_by(BATCH.c.created_at.desc())).first()
            if known is not None:
                return batch_from(known)
            row = batch.model_dump() | {"plan": json.dumps(batch.plan), "state": batch.state.value}
            db.execute(insert(BATCH).values(**row))
            if runs:
                db.execute(insert(BATCH_RUN), [run.model_dump() for run in runs])
        return batch

    def batch(self, id: str) -> Batch:
        """A batch by its id; `NotFound` if there is none."""
        with self._read() as db:
            row = db.execute(select(BATCH).where(BATCH.c.id == id)).first()
        if row is None:
            raise NotFound(f"no batch {id!r} in {self.url}")
        return batch_from(row)

    def batch_called(self, wanted: str) -> Batch:
        """A batch by its id, or by a beginning of four characters or more that only one has; else `NotFound`."""
        begins = BATCH.c.id.startswith(wanted, autoescape=True) if len(wanted) >= SHORTEST else BATCH.c.id == wanted
        with self._read() as db:
            rows = db.execute(select(BATCH).where(begins).order_by(BATCH.c.id).limit(2)).all()
        if len(rows) == 1:
            return batch_from(rows[0])
        raise NotFound(f"{'several batches begin with' if rows else 'no batch'} {wanted!r} in {self.url}")

    def batches(self, competition: str) -> list[Batch]:
        """The batches of a competition, oldest first."""
        query = select(BATCH).where(BATCH.c.competition == competition).order_by(BATCH.c.created_at, BATCH.c.id)
        with self._read() as db:
            return [batch_from(row) for row in db.execute(query)]

    def batch_runs(
        self, batch: str, *, unqueued: bool = False, statuses: Collection[Status] = (), limit: int | None = None
    ) -> list[BatchRun]:
        """What a batch does again, in its order.

        Parameters
        ----------
        unqueued
            Only what has no run yet and is to have one.
        statuses
            Only what has a new run of one of these.
        limit
            The first so many.
        """
        query = select(BATCH_RUN).where(BATCH_RUN.c.batch == batch)
        if unqueued:
            query = query.where(BATCH_RUN.c.run.is_(None), BATCH_RUN.c.action != "nothing")
        if statuses:
            query = query.join(RUN, BATCH_RUN.c.run == RUN.c.id)
            query = query.where(RUN.c.status.in_([status.value for status in statuses]))
        with self._read() as db:
            return [batch_run_from(row) for row in db.execute(query.order_by(BATCH_RUN.c.position).limit(limit))]

    def runs_of_batch(self, batch: str) -> list[Run]:
        """The new runs of a batch that are queued so far, in the order of the batch."""
        query = select(RUN).join(BATCH_RUN, BATCH_RUN.c.run == RUN.c.id).where(BATCH_RUN.c.batch == batch)
        with self._read() as db:
            return [run_from(row) for row in db.execute(query.order_by(BATCH_RUN.c.position))]

    def queue_batch_run(self, batch: str, replaces: str, run: Run) -> bool:
        """Queue the new run for one that a batch does again; False if it has one that goes on or finished."""
        return bool(self.queue_batch_runs(batch, {replaces: run}))

    def queue_batch_runs(self, batch: str, runs: Mapping[str, Run]) -> set[str]:
        """Queue new runs for those that a batch does again; returns the ids of those that were queued.

        What has a new run already that goes on or finished gets no other one. No board shows a new run before
        `promote_batch`. It takes the place of one that failed or was cancelled.

        Parameters
        ----------
        runs
            By the run that each one replaces.

        Raises
        ------
        StateError
            If the batch is not running.
        """
        queued = set()
        over = (Status.FAILED.value, Status.CANCELLED.value)
        with self._change() as db:
            self._expect(self._locked(db, batch), BatchState.RUNNING)
            for replaces, run in runs.items():
                mine = (BATCH_RUN.c.batch == batch) & (BATCH_RUN.c.replaces == replaces)
                row = db.execute(select(BATCH_RUN).where(mine).with_for_update()).first()
                if row is None:
                    raise NotFound(f"batch {batch} does not do run {replaces!r} again")
                if row.run is not None:
                    before = db.execute(select(RUN.c.status).where(RUN.c.id == row.run)).scalar_one()
                    if before not in over:
                        continue
                of = db.execute(select(SUBMISSION).where(SUBMISSION.c.id == run.submission)).one()
                made = run.model_copy(update={"batch": batch, "shown": False})
                self._add_run(db, made, submission_from(of), EventKind.RUN_QUEUED)
                db.execute(update(BATCH_RUN).where(mine).values(run=run.id))
                queued.add(run.id)
        return queued

    def set_batch_state(self, id: str, state: BatchState) -> Batch:
        """Move a batch on; `StateError` if that cannot follow what it is. To put it on boards is `promote_batch`."""
        with self._change() as db:
            found = self._locked(db, id)
            if state is BatchState.PROMOTED or (found.state, state) not in BATCH_STEPS:
                raise StateError(f"batch {id} is {found.state.value} and cannot become {state.value}")
            db.execute(update(BATCH).where(BATCH.c.id == id).values(state=state.value))
        return found.model_copy(update={"state": state})

    def promote_batch(self, id: str, *, at: datetime, note: str) -> int:
        """Have boards show every finished run of a batch instead of the one it replaces; returns how many.

        All of them at once: no board ever shows some. What did not finish leaves the board as it was.

        Raises
        ------
        StateError
            If the batch is not done, or another one replaced one of these runs in the meantime.
        """
        finished = (
            select(BATCH_RUN.c.replaces, BATCH_RUN.c.run)
            .join(RUN, BATCH_RUN.c.run == RUN.c.id)
            .where(BATCH_RUN.c.batch == id, RUN.c.status == Status.FINISHED.value)
        )
        with self._change() as db:
            self._expect(self._locked(db, id), BatchState.DONE)
            pairs = db.execute(finished.order_by(BATCH_RUN.c.replaces)).all()
            hidden = sum(
                db.execute(update(RUN).where(RUN.c.id.in_(part), RUN.c.shown).values(shown=False)).rowcount
                for part in _parts(pair.replaces for pair in pairs)
            )
            if hidden != len(pairs):
                missing = len(pairs) - hidden
                raise StateError(
                    f"batch {id} replaces {missing} runs that no board shows any more",
                    code="CB712",
                    hint="another batch was promoted after this one was planned: plan again",
                )
            for part in _parts(pair.run for pair in pairs):
                db.execute(update(RUN).where(RUN.c.id.in_(part)).values(shown=True))
            values = {"state": BatchState.PROMOTED.value, "promoted_at": at, "note": note}
            db.execute(update(BATCH).where(BATCH.c.id == id).values(**values))
        return len(pairs)

    def _locked(self, db: Connection, id: str) -> Batch:
        """A batch that nobody else can move before the end of the transaction."""
        row = db.execute(select(BATCH).where(BATCH.c.id == id).with_for_update()).first()
        if row is None:
            raise NotFound(f"no batch {id!r} in {self.url}")
        return batch_from(row)

    def _expect(self, batch: Batch, state: BatchState) -> None:
        if batch.state is not state:
            raise StateError(f"batch {batch.id} is {batch.state.value}, not {state.value}")

    def batch_progress(self, id: str) -> dict[Status, int]:
        """How many of a batch's new runs have which status."""
        query = select(RUN.c.status, func.count()).join(BATCH_RUN, BATCH_RUN.c.run == RUN.c.id)
        with self._read() as db:
            rows = db.execute(query.where(BATCH_RUN.c.batch == id).group_by(RUN.c.status))
            return {Status(status): int(count) for status, count in rows}


def _told(task: str, status: str, backend: str | None) -> tuple[int | str, Status, str | None]:
    """What columns say of a run; a backend only if it is a word."""
    word = json.loads(backend) if backend else None
    return json.loads(task), Status(status), word if isinstance(word, str) else None


def _parts(values: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(values)
    while part := list(islice(rest, _MANY)):
        yield part
