"""The lists in which submissions are found (platform.md P18, O50, O51, R08)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict, Unpack

from codabench.core.errors import Invalid
from codabench.core.posted import Posting
from codabench.core.records import Status
from codabench.db.postings import Sought
from codabench.leaderboard.exports import table
from codabench.site.actors import Actor
from codabench.site.facts import SubmissionFacts
from codabench.site.finding import Looked
from codabench.site.lists import MOST, Page
from codabench.site.part import Part
from codabench.site.policy import Action
from codabench.site.showing import Showing, Shown, items_of

SIZE = 50
"""Submissions of a page."""

_LATELY = 1000
"""Submissions that are looked at for a stranger who names no competition."""


class Filters(TypedDict, total=False):
    """Which submissions a list shows; everything that is said has to hold.

    Attributes
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
    """

    competition: str | None
    phase: int | None
    status: Status | str | None
    search: str | None
    owner: int | None
    deleted: bool


class _Found(NamedTuple):
    postings: Sequence[Posting]
    showing: Showing
    total: int


class Listings(Part):
    """Everybody finds what they may see.

    That is their own and what was submitted to competitions that they organize; to staff, and to robots where they are
    allowed, everything; to who is not signed in what stands on boards that everybody sees (platform.md section 2.2)
    and, where no competition is named, of what was submitted lately.

    A method that takes `key`: of the secret link of a competition.
    """

    def list(
        self,
        actor: Actor,
        *,
        children: bool = False,
        offset: int = 0,
        limit: int | None = None,
        key: str = "",
        **filters: Unpack[Filters],
    ) -> list[Shown]:
        """The submissions that the actor may see in lists, newest first.

        Parameters
        ----------
        children
            After a submission on several tasks, also what it is on each of them.
        offset, limit
            So many submissions are left out at the beginning, and so many at most are listed.
        filters
            See `Filters`.

        Raises
        ------
        Invalid
            ``CB802``: there is no such status.
        """
        found = self._found(actor, filters, children=children, offset=offset, limit=limit, key=key)
        wanted, showing = _status(filters), found.showing
        items = [item for posting in found.postings for item in items_of(posting, children=children)]
        return showing.make([item for item in items if wanted is None or showing.status(item) is wanted])

    def page(
        self, actor: Actor, *, number: int = 1, size: int = SIZE, key: str = "", **filters: Unpack[Filters]
    ) -> Page[Shown]:
        """A page of them, and how many there are in all.

        Parameters
        ----------
        number
            Of the page, from 1.
        """
        number, size = max(1, number), max(1, min(size, MOST))
        found = self._found(actor, filters, offset=(number - 1) * size, limit=size, key=key, counts=True)
        shown = found.showing.make([item for each in found.postings for item in items_of(each, children=False)])
        return Page(shown, number, size, found.total)

    def to_csv(self, actor: Actor, **filters: Unpack[Filters]) -> str:
        """What `list` gives, as a table for spreadsheets (platform.md O51)."""
        rows = [
            (s.number, s.file_name or "", s.owner_name, s.created_at.isoformat(), s.status.value, s.phase_name)
            for s in self.list(actor, **filters)
        ]
        return table([("Submission ID", "File Name", "Owner", "Created When", "Status", "Phase"), *rows])

    # ------------------------------------------------------------------ what is asked of the database
    def _found(
        self,
        actor: Actor,
        filters: Filters,
        *,
        children: bool = False,
        offset: int,
        limit: int | None,
        key: str,
        counts: bool = False,
    ) -> _Found:
        stranger, everything = actor.is_anonymous, actor.is_superuser or actor.is_staff
        competition, wanted = filters.get("competition"), _status(filters)
        sought = Sought(
            competition=competition,
            phase=filters.get("phase"),
            status=Status.FINISHED if stranger else wanted,
            of_runs=children and not stranger,
            text=filters.get("search") or None,
            owner=filters.get("owner"),
            deleted=filters.get("deleted", False),
            visible_to=None if everything or stranger else actor.account,
            robots=actor.is_bot,
            published=stranger and not key,
        )
        if not stranger:
            candidates = self.db.sought(sought, offset=offset, limit=limit)
            showing = Showing(self.site, actor, candidates, key=key)
            total = self.db.count_sought(sought) if counts else 0
            return _Found(self._listed(actor, candidates, showing.facts), showing, total)
        if wanted not in (None, Status.FINISHED) and not children:
            return _Found([], Showing(self.site, actor, [], key=key), 0)  # nothing else stands on boards
        # What does is not known to the database.
        candidates = self.db.sought(sought, limit=_LATELY if competition is None else None)
        statuses = {each.submission.id: Status.FINISHED for each in candidates}
        on_boards = self._listed(actor, candidates, Looked(self.site, actor, key=key).facts(candidates, statuses))
        part = on_boards[offset : None if limit is None else offset + limit]
        return _Found(part, Showing(self.site, actor, part, key=key), len(on_boards))

    def _listed(
        self, actor: Actor, candidates: Sequence[Posting], facts: Mapping[str, SubmissionFacts]
    ) -> Sequence[Posting]:
        """Those that are in lists for this actor; what belongs to a competition that is gone has no facts."""
        known = ((each, facts.get(each.submission.id)) for each in candidates)
        allows = self.site.policy.allows
        return [each for each, of in known if of is not None and allows(actor, Action.SUBMISSION_LIST, of)]


def _status(filters: Filters) -> Status | None:
    word = filters.get("status")
    try:
        return None if word is None else Status(word)
    except ValueError:
        known = ", ".join(Status)
        raise Invalid({"status": f"There is no status {word!r:.40}; there are: {known}."}) from None
