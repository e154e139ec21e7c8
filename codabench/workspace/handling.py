"""What a workspace does with submissions that are there."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from codabench.core.errors import StateError
from codabench.core.events import EventKind, submission_status
from codabench.core.records import HandScore, Run, Status
from codabench.core.text import printable
from codabench.workspace import admission, corrections
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.finding import the_run, the_submission
from codabench.workspace.handles import RunHandle, SubmissionHandle
from codabench.workspace.places import BackendLike
from codabench.workspace.repeating import rerun
from codabench.workspace.rooms import Rooms
from codabench.workspace.submitting import user_name

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


class Handling(Rooms):
    """Submissions: found, started, run again, corrected, deleted."""

    def submissions(
        self,
        competition: Competition,
        phase: int | str | None = None,
        *,
        participant: str | None = None,
        status: Status | str | None = None,
        deleted: bool = False,
    ) -> list[SubmissionHandle]:
        """The submissions to a competition, oldest first.

        Parameters
        ----------
        phase
            Only those to it, by index or name.
        participant, status
            Only those of that participant; of that status, such as ``"Finished"``.
        deleted
            Also those that were deleted.
        """
        index = None if phase is None else admission.find_phase(competition.spec, phase).index
        runs: dict[str, list[Run]] = defaultdict(list)
        for run in self.db.runs(competition.id, index):
            runs[run.submission].append(run)
        found = self.db.submissions(competition.id, index, deleted=deleted)
        for gone in found if deleted else ():
            if gone.deleted_at is not None:
                runs[gone.id] = [run for run in self.db.runs_of(gone.id) if run.shown]
        return [
            SubmissionHandle(self._whole, competition, s, runs[s.id])
            for s in found
            if participant in (None, s.participant)
            and (status is None or submission_status(r.status for r in runs[s.id])[0] == Status(status))
        ]

    def submission(self, wanted: str) -> SubmissionHandle:
        """A submission of any competition: by its id or the beginning of it, its name, or ``participant#number``.

        Raises
        ------
        NotFound
            There is none, or (``CB343``) it may be several; the message lists them.
        """
        found = the_submission(self.db, wanted)
        runs = [run for run in self.db.runs_of(found.id) if run.shown]
        return SubmissionHandle(self._whole, self._whole.competition(found.competition), found, runs)

    def run(self, id: str) -> RunHandle:
        """A run by its id."""
        return RunHandle(self._whole, id)

    # ------------------------------------------------------------------ run once more
    def start(self, submission: SubmissionHandle | str) -> SubmissionHandle:
        """Queue what is held: submissions to a competition with ``auto_run_submissions: false`` wait for this.

        Raises
        ------
        StateError
            ``CB714``: none of its runs is held.
        """
        handle = self._meant(submission)
        held = [run for run in self.db.runs_of(handle.id) if run.status is Status.SUBMITTING]
        if not held:
            message = f"submission {printable(handle.name)!r} is {handle.status.value}: only what is held is started"
            raise StateError(message, code="CB714", hint="to run it once more: rerun")
        for run in held:
            with contextlib.suppress(StateError):  # somebody else was quicker
                self.db.append(run.id, [EventKind.RUN_QUEUED], at=utc_now())
        self._wake()
        return handle

    def rerun(
        self,
        submission: SubmissionHandle | str,
        *,
        backend: BackendLike = None,
        task: int | str | Sequence[int | str] | None = None,
        phase: int | str | None = None,
        aside: bool = False,
    ) -> SubmissionHandle:
        """Run a submission once more, as a new one; the old one and its scores stay. Every program is carried out.

        Dates and limits of the phase do not hold.

        Parameters
        ----------
        submission
            A handle, or what `submission` takes.
        backend
            None: where it ran before.
        task
            By index or name, any of the competition; None: the same as before.
        phase
            By index or name; None: the same. Without a task: on all tasks of that phase.
        aside
            To see what comes of it: no board takes it, whatever its tasks are.

        Raises
        ------
        NotFound
            No such submission, task or phase.
        StateError
            ``CB714``: it was deleted.
        """
        return rerun(self._whole, self._meant(submission), backend=backend, task=task, phase=phase, aside=aside)

    # ------------------------------------------------------------------ what people decide
    def delete(self, submission: SubmissionHandle | str, *, hard: bool = False, cancel: bool = False) -> None:
        """List a submission no more. What only it has in storage goes with the next `gc`.

        Parameters
        ----------
        hard
            For good: it does not count against limits any more, either, and it may be on the board.
        cancel
            Cancel first what is not over.

        Raises
        ------
        StateError
            Runs of it are not over; without `hard` (``CB714``), its competition's board shows it, or it was deleted.
        """
        corrections.delete(self._whole, self._meant(submission), hard=hard, cancel=cancel)

    def set_score(
        self, run: RunHandle | str, key: str, value: float | None, *, note: str = "", by: str | None = None
    ) -> HandScore:
        """Set a number of a finished run by hand; boards rank by it. What the scoring program wrote stays beside it.

        Parameters
        ----------
        run
            A handle, an id or the beginning of one.
        key
            Of a column that scoring programs write.
        value
            None takes back what was set.
        note, by
            Why, and who; None: the user of this process.

        Raises
        ------
        NotFound
            No such run; no such column, or it is computed.
        StateError
            ``CB714``: the run has not finished.
        """
        id = run.id if isinstance(run, RunHandle) else the_run(self.db, run).id
        return corrections.set_score(self._whole, id, key, value, note=note, by=by or user_name())

    def choose(self, submission: SubmissionHandle | str, shown: bool = True, *, by: str | None = None) -> None:
        """Put a submission on the board, or take it off; the rule of the board says what that does, and whether.

        Under ``Force_*`` what is put there stays until the participant's next scored run.

        Parameters
        ----------
        by
            Who; None: the user of this process.

        Raises
        ------
        StateError
            ``CB714``: it was deleted, the rule does not allow it, or it is a rerun on tasks of somebody's choice.
        """
        corrections.choose(self._whole, self._meant(submission), shown, by=by or user_name())

    def _meant(self, submission: SubmissionHandle | str) -> SubmissionHandle:
        return self.submission(submission) if isinstance(submission, str) else submission
