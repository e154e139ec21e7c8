"""What a workspace does with competitions."""

from __future__ import annotations

import os
from datetime import datetime
from typing import TYPE_CHECKING, Any

from codabench.core.errors import NotFound
from codabench.core.evaluations import Revision
from codabench.core.problems import Fault
from codabench.workspace import admission
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.finding import the_competition
from codabench.workspace.reopened import StoredBundle
from codabench.workspace.revisions import revisions_of
from codabench.workspace.rooms import Rooms

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.migration import Migration


class Organizing(Rooms):
    """Competitions: kept, opened again, changed."""

    def add(self, competition: Competition) -> Competition:
        """Keep a competition here, with all its files. Its runs go to this workspace from now on.

        One that is here already and came from the same place: where files of its tasks have changed, the tasks get new
        revisions; what was revised here since stays revised.

        Raises
        ------
        BundleError
            Something in it cannot be read, or a function of it cannot be exported.
        UsageError
            ``CB718``: its files have changed, and the workspace updated it from another bundle.
        """
        self.trees.add(competition)
        self._attach(competition)
        competition._use(self._whole)
        self._fresh(competition)
        return competition

    def competition(self, wanted: str) -> Competition:
        """A competition that is kept here, without its bundle: by its id, the beginning of it, or its title.

        Raises
        ------
        NotFound
            There is none, or (``CB343``) it may be several; the message lists them.
        """
        from codabench.workspace.competition import Competition

        id = the_competition(self.db, wanted)
        found = self.trees.kept(id)
        opened = Competition(found)
        opened.id = id
        opened._use(self._whole)
        return opened

    def competitions(self) -> dict[str, str]:
        """What is kept here: the id and the title of every competition, oldest first."""
        return dict(self.db.competitions())

    # ------------------------------------------------------------------ revisions
    def revise(
        self,
        competition: Competition,
        task: int | str,
        *,
        note: str,
        scoring_program: Any = None,
        ingestion_program: Any = None,
        input_data: Any = None,
        reference_data: Any = None,
        archive: str | os.PathLike[str] | None = None,
    ) -> Revision:
        """Give a task other programs or data. Submissions that come from now on run on them; old scores stay.

        What is given is stored and never changes again. The same as before makes nothing new.

        Parameters
        ----------
        task
            By index or name.
        note
            Why, for those who look at it later.
        scoring_program, ingestion_program
            A directory, a zip or a URL of one with its ``metadata.yaml``; or a function, as in `Task`.
        input_data, reference_data
            A directory, a zip, one file, a URL; or a mapping of file names to values.
        archive
            A task archive: all programs and data of the task are those in it.

        Returns
        -------
        Revision
            The newest one of the task. Re-evaluate to bring old scores up to date.

        Raises
        ------
        NotFound
            No such task; ``CB342``: the files of the competition are not kept here.
        BundleError
            What is given cannot be read; ``CB401``, ``CB402``: a program without a command.
        StateError
            ``CB717``: somebody else changed the competition at the same time.
        """
        from codabench.workspace.revising import revise

        given = {
            "scoring_program": scoring_program,
            "ingestion_program": ingestion_program,
            "input_data": input_data,
            "reference_data": reference_data,
        }
        return revise(self._whole, competition, task, note=note, archive=archive, given=given)

    def revisions(self, competition: Competition, task: int | str | None = None) -> list[Revision]:
        """Every revision of the tasks of a competition, or of one task, oldest first; 1 is how it came.

        Parameters
        ----------
        task
            By index or name.
        """
        kept = self.db.kept_competition(competition.id)
        tasks = kept.spec.tasks
        if task is not None:
            tasks = (admission.pick(tasks, task, "task", lambda t: t.index, lambda t: t.name),)
        changed = self.db.revisions(competition.id)
        return [r for each in tasks for r in revisions_of(competition.id, kept, each, changed)]

    def update(
        self, competition: Competition, bundle: Competition | str | os.PathLike[str], *, note: str = ""
    ) -> list[Revision]:
        """Have a competition be what an edited bundle says, with the same submissions, scores and id.

        Texts, dates, limits, columns, phases and tasks may change; so may programs and data, which makes revisions of
        their tasks.

        Parameters
        ----------
        bundle
            The edited bundle: a path, a URL, or what `load` returns.
        note
            Why, for the revisions.

        Returns
        -------
        list of Revision
            Those that were made; empty if programs and data are the same.

        Raises
        ------
        BundleError
            It has errors; ``.report`` holds them, and nothing has changed.
        UsageError
            ``CB719``: phases or tasks that have submissions would go, or change places.
        """
        from codabench.workspace.updating import update

        return update(self._whole, competition, bundle, note=note)

    def delete_competition(self, competition: Competition, *, cancel: bool = False) -> None:
        """List a competition no more. Its submissions and files stay; added again, it is there with all of them.

        Parameters
        ----------
        cancel
            Cancel first what is not over.

        Raises
        ------
        StateError
            Runs of it are not over.
        """
        if cancel:
            going = [run.id for run in self.db.runs(competition.id, shown=False) if not run.status.is_final]
            self._whole.cancel(going, "its competition is deleted", fault=Fault.ORGANIZER)
            self._whole.wait(going, work=False)
        self.db.delete_competition(competition.id, at=utc_now())

    # ------------------------------------------------------------------ phases
    def migrate(self, competition: Competition, phase: int | str, *, leave_unfinished: bool = False) -> Migration:
        """Take what stands on the board of the phase before to a phase, as new submissions that run on all its tasks.

        Once for each phase: asked again it takes nothing, and where it was stopped half-way it goes on. Dates and
        limits do not hold, and nothing is held back. While submissions of the phase before are not over it only says
        so.

        Parameters
        ----------
        phase
            The later one, by index or name.
        leave_unfinished
            Do not wait for what is not over: it is never taken.

        Raises
        ------
        NotFound
            No such phase.
        UsageError
            ``CB341``: it is the first.
        """
        from codabench.workspace.migration import migrate

        return migrate(self._whole, competition, phase, leave_unfinished=leave_unfinished)

    def tick(self, now: datetime | None = None) -> list[Migration]:
        """Do what is due by the clock: `migrate` to the phases that have begun and say ``auto_migrate_to_this_phase``.

        To be called about once a minute; any number of processes may do so.

        Parameters
        ----------
        now
            None: this moment.
        """
        from codabench.workspace.migration import tick

        return tick(self._whole, now or utc_now())

    def _attach(self, competition: Competition) -> None:
        self.db.add_competition(competition.id, competition.spec, source=competition.source, at=utc_now())

    def _fresh(self, competition: Competition) -> None:
        """Have an object show its competition as it is kept now: others may have changed it."""
        if competition._private:
            return  # nobody else knows that workspace
        try:
            kept = self.trees.kept(competition.id)
        except NotFound:
            return  # nobody knows it yet
        known = competition.bundle
        if kept.spec != competition.spec or (isinstance(known, StoredBundle) and known.kept != kept.kept):
            competition._reopen(competition.id, kept)
