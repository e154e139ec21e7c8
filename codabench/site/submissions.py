"""Submissions on a site: made, listed, looked at, watched (platform.md P06-P24)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from codabench.bundle.fact_sheet import check_answers
from codabench.core.errors import Invalid, NotFound
from codabench.site import submitting
from codabench.site.acting import Acts
from codabench.site.actors import Actor
from codabench.site.finding import find, score_of
from codabench.site.listing import Listings
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.site.showing import Item, Showing, Shown, ShownScore
from codabench.site.submission_files import Details, FileTicket, details_of, page_of
from codabench.site.submitting import Allowance
from codabench.site.watching import Told, watch


class Submissions(Acts, Listings):
    """Every method takes the number of a submission, or of what it is on one of several tasks; see `finding`."""

    # ------------------------------------------------------------------ making
    def allowance(self, actor: Actor, competition: str, phase: int, *, key: str = "") -> Allowance:
        """Whether somebody may submit to a phase now, and how much is left; a robot is let in that asks for itself.

        Parameters
        ----------
        phase
            Its place in the competition.
        key
            Of the secret link of the competition.

        Raises
        ------
        NotSignedIn
            Nobody is signed in.
        """
        return submitting.allowance(self.site, actor, competition, phase, key=key)

    def create(
        self,
        actor: Actor,
        competition: str,
        phase: int,
        data: str,
        *,
        tasks: Sequence[int | str] | None = None,
        fact_sheet: Mapping[str, Any] | None = None,
        key: str = "",
    ) -> Shown:
        """Submit what was uploaded; it waits for its turn, or for an organizer where nothing runs by itself.

        Parameters
        ----------
        data
            The key of a data set: one's own.
        tasks
            Numbers or keys of tasks of the phase; none: all.
        fact_sheet
            The answers to the questions of the fact sheet.

        Raises
        ------
        Refused
            ``CB800``: the actor does not take part. ``CB331``: the phase is not open. ``CB332``, ``CB333``: a limit is
            reached, of today or in all.
        Invalid
            ``CB802``: there is no such file or task. ``CB334``: the answers cannot be taken.
        """
        sheet = None if fact_sheet is None else dict(fact_sheet)
        id = submitting.create(self.site, actor, competition, phase, data, tasks=tasks, fact_sheet=sheet, key=key)
        posting = self.db.postings([id])[id]
        return Showing(self.site, actor, [posting], key=key).make([Item(posting)])[0]

    # ------------------------------------------------------------------ looking
    def get(self, actor: Actor, number: int, *, key: str = "") -> Shown:
        """One of them.

        Raises
        ------
        NotFound
            There is none, or the actor may not know of it.
        """
        found = find(self.site, actor, number, key=key)
        position = found.run.position if found.is_child and found.run is not None else None
        showing = Showing(self.site, actor, [found.posting], key=key)
        return showing.make([Item(found.posting, position)])[0]

    def score_shown(self, actor: Actor, number: int) -> ShownScore:
        """The score of that number.

        Raises
        ------
        NotFound
            There is none, or the actor may not know of its submission.
        """
        submission, _, _ = score_of(self.site, number)
        scores = self.get(actor, self.site.numbers.of(Kind.SUBMISSION, submission)).scores
        found = next((score for score in scores if score.number == number), None)
        if found is None:
            raise NotFound("there is no such score, or not for you")
        return found

    def details(self, actor: Actor, number: int, *, key: str = "") -> Details:
        """Its files and logs, as far as the phase does not hide them (platform.md section 2.3).

        Raises
        ------
        Refused
            ``CB800``: the phase hides everything.
        """
        return details_of(self.site, actor, find(self.site, actor, number, Action.SUBMISSION_DETAILS, key=key))

    def detailed_result(self, actor: Actor, number: int, *, key: str = "") -> FileTicket | None:
        """The page that the scoring program wrote; None: it wrote none.

        It is HTML of whoever wrote the program: it is shown in a sandboxed frame only.

        Raises
        ------
        NotFound
            The competition has none.
        Refused
            ``CB800``: it is not published, and the actor does not take part.
        """
        return page_of(self.site, find(self.site, actor, number, Action.SUBMISSION_DETAILED_RESULT, key=key))

    def live(self, actor: Actor, number: int, after: str | None = None) -> Iterator[Told | None]:
        """What it reports until it is over: an id to go on after, a kind, and what it says.

        Kinds are ``status``, ``log``, ``step``, ``pull``, ``usage``, ``plot``, ``message`` and ``detailed_result``:
        that page is another now. Each says the number of the `submission` that it is about; a parent tells of its
        children, too. None comes where nothing has come for a moment: whoever sends events on learns that the other
        side is gone only by sending something.

        Parameters
        ----------
        after
            The id of the last event that is known already.

        Raises
        ------
        Refused
            ``CB800``: the phase hides what is put out.
        """
        return watch(self.site, find(self.site, actor, number, Action.SUBMISSION_LIVE), after)

    # ------------------------------------------------------------------ what its owner says
    def answer(self, actor: Actor, number: int, fact_sheet: Mapping[str, Any]) -> None:
        """Answer the questions of the fact sheet otherwise, for the submission on all of its tasks.

        Raises
        ------
        Invalid
            ``CB334``: the answers cannot be taken.
        """
        found = find(self.site, actor, number, Action.SUBMISSION_ANSWER)
        answers = dict(fact_sheet)
        problems = check_answers(found.found.spec.fact_sheet, answers)
        if problems:
            raise Invalid("; ".join(problem.message for problem in problems), code="CB334")
        self.db.set_fact_sheet(found.id, answers)

    def publish(self, actor: Actor, number: int, public: bool) -> None:
        """Show a submission to everybody who may see the competition, with its file, or to nobody else any more.

        Raises
        ------
        Refused
            ``CB800``: the competition keeps submissions private.
        """
        found = find(self.site, actor, number, Action.SUBMISSION_PUBLISH)
        self.db.post(found.posted.model_copy(update={"is_public": public}))
        if found.posted.dataset is not None:
            try:
                self.db.change_dataset(found.posted.dataset, is_public=public)
            except NotFound:
                return  # the file is gone, and can be shown to nobody
