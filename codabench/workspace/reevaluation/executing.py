"""One process at work on a batch. Any number of them may be, and each may die at any instant: rows say what is left."""

from __future__ import annotations

import math
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.backends.backend import Backend
from codabench.core.errors import BatchAborted, StateError, UsageError
from codabench.core.evaluations import Batch, BatchRun, BatchState
from codabench.core.problems import Fault
from codabench.core.records import Run, Status
from codabench.core.text import plural
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.places import BackendLike
from codabench.workspace.reevaluation.causes import Failures, group
from codabench.workspace.reevaluation.interrupting import Interruptions, interruptions
from codabench.workspace.reevaluation.progress import BatchProgress, Pace, Standing, progress_called

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace

MaxFailures = int | float | None
"""A number of runs, or a share below 1 of all."""

DRAINED = "the re-evaluation was interrupted"
"""Why what waited was cancelled: whoever else is at work on the batch queues it again."""
_ABORTED = "the re-evaluation was given up"
_LOOK = 0.5
"""Seconds between two looks at the rows, if nothing is heard: other processes may be at work, too."""
_AHEAD = 4
"""Queued runs for each that can run at the same time: enough never to wait, few enough to stop soon."""
_OVER = (Status.FAILED, Status.CANCELLED)


def execute(
    workspace: Workspace,
    batch: Batch,
    backend: BackendLike,
    jobs: int | None,
    *,
    retries: int,
    max_failures: MaxFailures,
    progress: str | BatchProgress,
) -> None:
    """Carry a batch out until nothing is left, or somebody interrupts.

    Raises
    ------
    BatchAborted
        More failed than `max_failures`.
    KeyboardInterrupt
        Somebody pressed Ctrl-C; what had begun has come to its end.
    StateError
        The batch was promoted or abandoned.
    """
    rows = [row for row in workspace.db.batch_runs(batch.id) if row.action != "nothing"]
    total = len(rows)
    most = allowed(max_failures, total)
    place = _place(workspace, rows, backend, jobs)  # one that does not answer is no reason to begin
    _running(workspace, batch.id)
    shown = progress_called(progress)
    try:
        with interruptions(lambda count: shown.tell(_HEARD[count])) as hands:
            _Execution(workspace, batch, place, total, retries, most, shown, hands).run()
    finally:
        shown.close()


class Place(NamedTuple):
    """Where new runs go.

    Attributes
    ----------
    slots
        Runs at the same time.
    backend
        What this process carries them out with; None: what the word stands for.
    same
        Each one where the run was carried out that it replaces.
    """

    slots: int
    backend: Backend | None = None
    word: Any = None
    pinned: str | None = None
    same: bool = False


def _place(workspace: Workspace, rows: Sequence[BatchRun], backend: BackendLike, jobs: int | None) -> Place:
    if backend is None and jobs is None:
        before = workspace.db.run(rows[0].replaces).backend if rows else None
        workspace.place_for(before if isinstance(before, str) else None, None)
        return Place(workspace.places.slots(), same=True)
    made = workspace.place_for(backend, None, jobs)
    slots = made.info().slots if made is not None else workspace.places.slots()
    return Place(slots, made, *workspace.word_for(backend, made))


_HEARD = {
    1: "interrupted: nothing new is started, what runs comes to its end; Ctrl-C again cancels it",
    2: "interrupted again: what runs is cancelled; the same line again continues",
}


def allowed(max_failures: MaxFailures, total: int) -> float | None:
    """How many of `total` runs may fail.

    Raises
    ------
    UsageError
        ``CB651``: it is neither a number nor a share.
    """
    if max_failures is None:
        return None
    share = isinstance(max_failures, float) and max_failures < 1
    if not 0 <= max_failures < math.inf or (not share and max_failures != int(max_failures)):
        hint = "max_failures=20, or max_failures=0.05 for one in twenty"
        raise UsageError(f"{max_failures} is no number of failures", code="CB651", hint=hint)
    return max_failures * total if share else max_failures


def _running(workspace: Workspace, batch: str) -> None:
    try:
        workspace.db.set_batch_state(batch, BatchState.RUNNING)
    except StateError:
        if workspace.db.batch(batch).state is not BatchState.RUNNING:  # others, or we before, are at work on it
            raise


class _Execution:
    def __init__(
        self,
        workspace: Workspace,
        batch: Batch,
        place: Place,
        total: int,
        retries: int,
        most: float | None,
        shown: BatchProgress,
        hands: Interruptions,
    ) -> None:
        self._workspace, self._db, self._batch, self._place = workspace, workspace.db, batch, place
        self._total, self._retries, self._most, self._shown, self._hands = total, retries, most, shown, hands
        self._ahead = _AHEAD * place.slots
        self._revisions = dict(batch.plan["revisions"])
        self._news = threading.Event()
        self._mine: set[str] = set()
        self._tries: Counter[str] = Counter()
        self._given_up: set[str] = set()
        self._seen: dict[Status, int] = {}

    def run(self) -> None:
        again = self._db.batch_runs(self._batch.id, statuses=_OVER)
        for start in range(0, len(again), self._ahead):
            self._queue(again[start : start + self._ahead])
        pace = Pace(self._look().open)
        with self._listening():
            while True:
                standing = self._look()
                if self._again(standing):
                    continue
                self._shown.update(standing._replace(eta=pace.eta(standing.open)))
                if self._most is not None and standing.failed > self._most:
                    self._abort(standing)
                if self._hands.draining:
                    self._drain()
                    raise KeyboardInterrupt
                if not standing.open:
                    break
                self._fill(standing)
                self._pause()
        self._done()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Look again whenever a run of this process has ended."""

        def heard(event: dict[str, Any]) -> None:
            if event["type"] == "status" and event["status"].is_final:
                self._news.set()

        stop = self._workspace.observe(heard)
        try:
            yield
        finally:
            stop()

    def _look(self) -> Standing:
        self._news.clear()  # what comes from now on is not in these rows
        counts = self._db.batch_progress(self._batch.id)
        return Standing(self._batch.id, self._total, counts, retries=sum(self._tries.values()))

    def _pause(self) -> None:
        self._workspace.work_until(self._news.is_set, _LOOK)

    # ------------------------------------------------------------------ queueing
    def _fill(self, standing: Standing) -> None:
        """Keep some runs waiting, so that there is always one to take."""
        unqueued = self._total - sum(standing.counts.values())
        room = self._ahead - standing.waiting
        if unqueued > 0 and 2 * room >= self._ahead:
            self._queue(self._db.batch_runs(self._batch.id, unqueued=True, limit=room))

    def _queue(self, rows: Sequence[BatchRun]) -> None:
        made = {row.replaces: self._new(row) for row in rows}
        if self._place.backend is not None:
            for run in made.values():
                self._workspace.places.assign(run.id, self._place.backend)
        queued = self._db.queue_batch_runs(self._batch.id, made)
        self._mine |= queued

    def _new(self, row: BatchRun) -> Run:
        before = self._db.run(row.replaces)
        return Run(
            id=uuid.uuid4().hex,
            submission=before.submission,
            task=before.task,
            position=before.position,
            created_at=utc_now(),
            revision=self._revisions[before.task],
            scoring_only=row.action == "score",
            batch=self._batch.id,
            shown=False,
            backend=before.backend if self._place.same and before.pinned is None else self._place.word,
            pinned=self._place.pinned,
        )

    def _again(self, standing: Standing) -> bool:
        """Queue what is to be tried again: the machine failed, or others were interrupted before they began it."""
        ended = {status: standing.counts.get(status, 0) for status in _OVER}
        if ended == self._seen or self._hands.draining:
            return False
        self._seen = ended
        rows = []
        for row in self._db.batch_runs(self._batch.id, statuses=_OVER):
            if row.run is None or row.run in self._given_up:
                continue
            run = self._db.run(row.run)
            if run.cancel_reason == DRAINED:
                rows.append(row)
            elif self._machine_failed(run) and self._tries[row.replaces] < self._retries:
                self._tries[row.replaces] += 1
                rows.append(row)
            else:
                self._given_up.add(run.id)
        if rows:
            self._queue(rows)
        return bool(rows)

    def _machine_failed(self, run: Run) -> bool:
        return run.status is Status.FAILED and run.fault is Fault.OPERATOR and run.id in self._mine

    # ------------------------------------------------------------------ the end
    def _done(self) -> None:
        try:
            self._db.set_batch_state(self._batch.id, BatchState.DONE)
        except StateError:
            if self._db.batch(self._batch.id).state not in (BatchState.DONE, BatchState.PROMOTED):
                raise  # others who were at work on it said the same

    def _drain(self) -> None:
        """Cancel what waits, let what runs come to its end; a second Ctrl-C cancels that, too."""
        cancelled = False
        self._cancel([Status.SUBMITTED], DRAINED)
        while True:
            standing = self._look()
            self._shown.update(standing)
            if not self._going():
                return
            if self._hands.cancelling and not cancelled:
                cancelled = True
                self._cancel([Status.SUBMITTED, Status.PREPARING, Status.RUNNING, Status.SCORING], DRAINED)
            self._pause()

    def _abort(self, standing: Standing) -> None:
        self._cancel([Status.SUBMITTED, Status.PREPARING, Status.RUNNING, Status.SCORING], _ABORTED)
        while self._going():
            self._pause()
        failures = failures_of(self._workspace, self._batch.id)
        first = f" {len(failures[0].runs)} share one cause: {failures[0].message}" if failures else ""
        raise BatchAborted(
            f"stopped: {standing.failed} of {plural(self._total, 'run')} failed.{first}",
            batch=self._batch.id,
            failures=failures,
            hint=f"nothing was published, and {standing.finished} finished runs are kept. If it was the machine, the "
            "same line again continues; if it was the program, revise the task and plan again",
        )

    def _going(self) -> list[str]:
        """Runs that this process queued and that are not over."""
        rows = self._db.batch_runs(self._batch.id, statuses=[status for status in Status if not status.is_final])
        return [row.run for row in rows if row.run in self._mine]

    def _cancel(self, statuses: Sequence[Status], reason: str) -> None:
        rows = self._db.batch_runs(self._batch.id, statuses=statuses)
        mine = [row.run for row in rows if row.run in self._mine]
        self._workspace.cancel(mine, reason, fault=Fault.ORGANIZER)


def failures_of(workspace: Workspace, batch: str) -> Failures:
    """The failures of a batch by cause."""
    rows = workspace.db.batch_runs(batch, statuses=[Status.FAILED])
    runs = [workspace.db.run(row.run) for row in rows if row.run is not None]
    names = {run.submission: workspace.db.submission(run.submission).name for run in runs}
    return group(runs, names, workspace.storage)
