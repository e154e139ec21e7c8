"""Submissions on a site: made, listed, looked at, watched (platform.md P06-P24)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from codabench.bundle.fact_sheet import check_answers
from codabench.core.errors import Invalid, NotFound
from codabench.core.posted import Posting
from codabench.core.records import Status
from codabench.db.postings import Sought
from codabench.leaderboard.exports import table
from codabench.site import submitting
from codabench.site.acting import Acts
from codabench.site.actors import Actor
from codabench.site.facts import SubmissionFacts
from codabench.site.finding import Looked, find, score_of
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.site.showing import Item, Showing, Shown, ShownScore, items_of
from codabench.site.submission_files import Details, FileTicket, details_of, page_of
from codabench.site.submitting import Allowance
from codabench.site.watching import Told, watch

Listed: TypeAlias = list[Shown]

_MOST = 1000
"""Submissions that are looked at for a stranger who names no competition."""


class Submissions(Acts):
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
    def list(
        self,
        actor: Actor,
        *,
        competition: str | None = None,
        phase: int | None = None,
        status: Status | str | None = None,
        search: str | None = None,
        owner: int | None = None,
        deleted: bool = False,
        children: bool = False,
        offset: int = 0,
        limit: int | None = None,
        key: str = "",
    ) -> Listed:
        """The submissions that the actor may see in lists, newest first.

        Everybody finds their own and those to competitions that they organize; staff, and robots where they are
        allowed, all; who is not signed in what stands on boards that everybody sees (platform.md section 2.2) and,
        where no competition is named, of what finished lately.

        Parameters
        ----------
        competition, phase
            Only those to it: an id, and the place of a phase.
        status
            Such as ``"Finished"``.
        search
            A part of the file name, or of the name of who submitted it.
        owner
            Only of this account.
        deleted
            Also those that their owners deleted.
        children
            After a submission on several tasks, also what it is on each of them.
        offset, limit
            So many submissions are left out at the beginning, and so many at most are listed.
        key
            Of the secret link of the competition.

        Raises
        ------
        Invalid
            ``CB802``: there is no such status.
        """
        wanted = None if status is None else _status(status)
        stranger, everything = actor.is_anonymous, actor.is_superuser or actor.is_staff
        sought = Sought(
            competition=competition,
            phase=phase,
            status=Status.FINISHED if stranger else wanted,
            of_runs=children and not stranger,
            text=search or None,
            owner=owner,
            deleted=deleted,
            visible_to=None if everything or stranger else actor.account,
            robots=actor.is_bot,
            published=stranger and not key,
        )
        if stranger:
            # What stands on boards is not known to the database.
            candidates = self.db.sought(sought, limit=_MOST if competition is None else None)
            statuses = {each.submission.id: Status.FINISHED for each in candidates}
            postings = self._listed(actor, candidates, Looked(self.site, actor, key=key).facts(candidates, statuses))
            postings = postings[offset : None if limit is None else offset + limit]
            showing = Showing(self.site, actor, postings, key=key)
        else:
            candidates = self.db.sought(sought, offset=offset, limit=limit)
            showing = Showing(self.site, actor, candidates, key=key)
            postings = self._listed(actor, candidates, showing.facts)
        items = [item for posting in postings for item in items_of(posting, children=children)]
        return showing.make([item for item in items if wanted is None or showing.status(item) is wanted])

    def _listed(
        self, actor: Actor, candidates: Sequence[Posting], facts: Mapping[str, SubmissionFacts]
    ) -> Sequence[Posting]:
        """Those that are in lists for this actor; what belongs to a competition that is gone has no facts."""
        known = ((each, facts.get(each.submission.id)) for each in candidates)
        allows = self.site.policy.allows
        return [each for each, of in known if of is not None and allows(actor, Action.SUBMISSION_LIST, of)]

    def to_csv(
        self,
        actor: Actor,
        *,
        competition: str | None = None,
        phase: int | None = None,
        status: Status | str | None = None,
        search: str | None = None,
        deleted: bool = False,
    ) -> str:
        """What `list` gives, as a table for spreadsheets (platform.md O51)."""
        shown = self.list(actor, competition=competition, phase=phase, status=status, search=search, deleted=deleted)
        rows = [
            (s.number, s.file_name or "", s.owner_name, s.created_at.isoformat(), s.status.value, s.phase_name)
            for s in shown
        ]
        return table([("Submission ID", "File Name", "Owner", "Created When", "Status", "Phase"), *rows])

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


def _status(word: Status | str) -> Status:
    try:
        return Status(word)
    except ValueError:
        known = ", ".join(Status)
        raise Invalid({"status": f"There is no status {word!r:.40}; there are: {known}."}) from None
