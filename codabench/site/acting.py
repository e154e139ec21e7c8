"""What owners and organizers do to submissions (platform.md 2.2; P20-P22, O52-O61, R12-R14).

A submission of several tasks is one thing (platform.md section 6, row 28): what is said of one of its parts is said of
all of it, but that a part can be cancelled and run again by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from codabench.core.competition import DataRole
from codabench.core.errors import Invalid, NotFound, Refused, StateError, UsageError
from codabench.core.hosting import Posted
from codabench.core.problems import Fault
from codabench.core.records import Run, Status
from codabench.site.actors import Actor
from codabench.site.finding import FoundSubmission, find, find_many, number_of, score_of, status_of
from codabench.site.numbers import Kind
from codabench.site.part import Part
from codabench.site.policy import Action
from codabench.site.submission_files import FileTicket, data_file
from codabench.workspace.handles import SubmissionHandle

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition

_UNFINISHED = "Cannot request a re-run on a submission that has not finished processing."
"""What clients know word by word."""

_PATIENCE = 10.0
"""Seconds in which what is cancelled has to be gone; whoever waits for an answer does not wait longer."""


class Acts(Part):
    """Every method takes the number of a submission, or of what it is on one of its tasks.

    What concerns several is asked of each of them first, and then is done to all of them or to none.

    Raises
    ------
    NotFound
        There is no such submission, or the actor may not know of it.
    Refused, NotSignedIn
        The actor may not do that, or not to what it is now.
    """

    # ------------------------------------------------------------------ runs
    def cancel(self, actor: Actor, number: int) -> bool:
        """Have a submission stopped, or the part of it on one task; False: it was over already."""
        found = find(self.site, actor, number, Action.SUBMISSION_CANCEL)
        return bool(self._stop(actor, found, found.asked))

    def run(self, actor: Actor, number: int) -> None:
        """Start a submission that waits for its organizers."""
        found = find(self.site, actor, number, Action.SUBMISSION_RUN)
        if not any(run.status is Status.SUBMITTING for run in found.runs):
            raise Refused("It does not wait to be started.")
        with self._handle(found) as handle:
            self.site.workspace.start(handle)

    def rerun(self, actor: Actor, number: int, *, task: str | None = None) -> int:
        """Run a submission once more, as a new one of the same owner; returns its number (platform.md 3.6).

        Limits and dates do not hold. What was run on a task of somebody's choice stays off leaderboards.

        Parameters
        ----------
        task
            The key of any task that the actor may use; None: the same as before.
        """
        return self._rerun(actor, [find(self.site, actor, number, Action.SUBMISSION_RERUN)], task)[0]

    def rerun_many(self, actor: Actor, numbers: Sequence[int]) -> list[int]:
        """The same of several; returns the numbers of the new ones."""
        return self._rerun(actor, find_many(self.site, actor, dict.fromkeys(numbers), Action.SUBMISSION_RERUN))

    def rerun_phase(self, actor: Actor, competition: str, phase: int) -> int:
        """Run every submission to a phase once more that is over; returns how many.

        Those that were run on a task of somebody's choice are left out.

        Raises
        ------
        Refused
            There are more than a site runs again at one time for others than administrators.
        """
        found = self.site.competitions.look(actor, competition, Action.PHASE_RERUN)
        if not 0 <= phase < len(found.spec.phases):
            raise NotFound("there is no such phase, or not for you")
        ids = [each.id for each in self.db.submissions(competition, phase)]
        postings, runs = self.db.postings(ids), self.db.run_briefs(ids)
        over = [
            id
            for id, posting in postings.items()
            if not posting.posted.is_specific_task and status_of(run.status for run in runs.get(id, ())).is_final
        ]
        limit = self.site.settings.rerun_limit
        if len(over) > limit and not self.site.policy.allows(actor, Action.PHASE_RERUN_WITHOUT_LIMIT, found.facts):
            raise Refused(f"These are {len(over)} submissions; more than {limit} are run again by administrators only.")
        numbers = self.site.numbers.many(Kind.SUBMISSION, over)
        return len(self.rerun_many(actor, [numbers[id] for id in over]))

    def _rerun(self, actor: Actor, several: Sequence[FoundSubmission], task: str | None = None) -> list[int]:
        for found in several:
            if found.facts.is_deleted:
                raise Refused("It was deleted, and its files are gone.")
            if not all(run.status.is_final for run in found.asked):
                raise Refused(_UNFINISHED)
        made = []
        for found in several:
            chosen: int | str | None = found.run.task if found.is_child and found.run is not None else None
            if task is not None:
                chosen = self.site.competitions.adopt(actor, found.found.id, task)
            # What was made to try out a task does not come onto a board by being done again.
            aside = chosen is not None or found.posted.is_specific_task
            with self._handle(found) as handle:
                again = self.site.workspace.rerun(handle, task=chosen, aside=aside).record
            self.db.post(Posted(submission=again.id, dataset=found.posted.dataset, is_specific_task=aside))
            made.append(number_of(self.site, again))
        return made

    # ------------------------------------------------------------------ the end of them
    def soft_delete(self, actor: Actor, number: int) -> None:
        """Take one's own submission away: its files and logs go, what it came to stays (platform.md P21)."""
        found = find(self.site, actor, number, Action.SUBMISSION_SOFT_DELETE)
        self._delete(found, hard=False)

    def delete(self, actor: Actor, number: int) -> None:
        """Take a submission away for good; what runs is cancelled."""
        self.delete_many(actor, [number])

    def delete_many(self, actor: Actor, numbers: Sequence[int]) -> int:
        """The same of several; returns how many.

        Raises
        ------
        StateError
            ``CB714``: one is not over in time after it was cancelled; those before it are gone.
        """
        several = find_many(self.site, actor, dict.fromkeys(numbers), Action.SUBMISSION_HARD_DELETE)
        whole = {found.id: found for found in several if not found.is_child}
        if any(found.is_child and found.id not in whole for found in several):
            raise Invalid("What a submission is on one of its tasks goes with the whole of it.")
        stopped = [run.id for found in whole.values() for run in self._stop(actor, found, found.runs)]
        if stopped and not self.site.workspace.wait(stopped, _PATIENCE, work=False):
            raise StateError("it is being cancelled", code="CB714", hint="delete it when it is over")
        for found in whole.values():
            self._delete(found, hard=True)
        return len(whole)

    def _delete(self, found: FoundSubmission, *, hard: bool) -> None:
        if found.is_child:
            raise Invalid("What a submission is on one of its tasks goes with the whole of it.")
        with self._handle(found) as handle:
            self.site.workspace.delete(handle, hard=hard)
        file = next(iter(self.db.datasets(keys=[found.posted.dataset])), None) if found.posted.dataset else None
        if file is not None and file.type is DataRole.SUBMISSION:
            # It stays where another submission has it, too.
            self.db.drop_datasets([file.key], at=self.site.now())

    # ------------------------------------------------------------------ boards and scores
    def put_on_board(self, actor: Actor, number: int) -> None:
        """Have a submission stand on the leaderboards of its competition; the rule says what goes for it."""
        found = find(self.site, actor, number, Action.SUBMISSION_PUT_ON_BOARD)
        if found.facts.status is not Status.FINISHED or found.facts.is_deleted:
            raise Refused("Only what has finished stands on a leaderboard.")
        self._choose(actor, found, shown=True)

    def take_off_board(self, actor: Actor, number: int) -> None:
        """Have a submission stand on no leaderboard."""
        self._choose(actor, find(self.site, actor, number, Action.SUBMISSION_TAKE_OFF_BOARD), shown=False)

    def _choose(self, actor: Actor, found: FoundSubmission, *, shown: bool) -> None:
        with self._handle(found) as handle:
            self.site.workspace.choose(handle, shown, by=_name(actor))

    def score(self, actor: Actor, number: int, value: float | None, *, note: str = "") -> None:
        """Set the score of that number by hand; computed columns and boards follow.

        Parameters
        ----------
        value
            None takes back what was set.

        Raises
        ------
        Invalid
            ``CB802``: it is no number, or the column is computed.
        """
        submission, place, column = score_of(self.site, number)
        self._score(actor, self.site.numbers.of(Kind.SUBMISSION, submission), column, value, note, place)

    def set_score(self, actor: Actor, number: int, column: str, value: float | None, *, note: str = "") -> None:
        """The same by submission and key of the column; of one of several tasks by the number of its part."""
        self._score(actor, number, column, value, note, None)

    def _score(self, actor: Actor, number: int, column: str, value: float | None, note: str, place: int | None) -> None:
        found = find(self.site, actor, number, Action.SUBMISSION_SCORE)
        run = found.run if place is None else next((run for run in found.runs if run.position == place), None)
        if run is None:
            raise Invalid({"score": "Say on which of its tasks."})
        try:
            self.site.workspace.set_score(run.id, column, value, note=note, by=_name(actor))
        except (NotFound, StateError, UsageError) as error:
            raise Invalid({"score": error.message}, hint=error.hint) from error

    # ------------------------------------------------------------------ files
    def download_many(self, actor: Actor, numbers: Sequence[int]) -> list[FileTicket]:
        """What was submitted, each under a name of its own; of those that were deleted there is nothing any more."""
        several = find_many(self.site, actor, dict.fromkeys(numbers), Action.SUBMISSION_DOWNLOAD)
        whole = {found.id: found for found in several}.values()
        names = self.db.usernames({found.owner for found in whole if found.owner is not None})
        files = []
        for found in whole:
            file, owner = data_file(found), names.get(found.owner or 0, found.submission.participant)
            if file is not None:
                name = f"{number_of(self.site, found.submission)}-{owner}-{file.name}"
                files.append(file._replace(name=name, what={**file.what, "name": name}))
        return files

    # ------------------------------------------------------------------ what they have in common
    def _stop(self, actor: Actor, found: FoundSubmission, runs: Iterable[Run]) -> list[Run]:
        """Cancel what is not over of these; what its owner cancels counts against limits."""
        going = [run for run in runs if not run.status.is_final]
        own = actor.account is not None and actor.account == found.owner
        fault, why = (Fault.PARTICIPANT, "its participant") if own else (Fault.ORGANIZER, "an organizer")
        self.site.workspace.cancel([run.id for run in going], f"cancelled by {why}", fault=fault)
        return going

    @contextmanager
    def _handle(self, found: FoundSubmission) -> Iterator[SubmissionHandle]:
        """A submission as the workspace knows it."""
        workspace = self.site.workspace
        competition: Competition = workspace.competition(found.found.id)
        try:
            yield SubmissionHandle(workspace, competition, found.submission, found.runs)
        finally:
            competition.close()


def _name(actor: Actor) -> str:
    """By which what somebody decides is kept: never changes, says nothing of the person."""
    return actor.username if actor.account is None else actor.participant
