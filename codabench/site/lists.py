"""The lists in which competitions are found (platform.md V01-V03, V07, V08, V10, P05, O43)."""

from __future__ import annotations

import random
from typing import Generic, Literal, NamedTuple, TypeVar

from codabench.core.errors import NotSignedIn
from codabench.core.hosting import Listed
from codabench.db.hosting import Wanted
from codabench.site.actors import Actor
from codabench.site.facts import AccountFacts
from codabench.site.part import Part
from codabench.site.policy import Action

T = TypeVar("T")

PAGE, SHORT = 20, 10
"""Of lists that everybody sees, and of one's own."""
MOST = 1000
"""Of one page."""
_POPULAR, _RECENT, _NEWEST = 4, 4, 8

Order = Literal["recent", "popular", "busy"]


class Page(NamedTuple, Generic[T]):
    """A page of a list, counted from 1, and how many there are in all."""

    items: list[T]
    number: int
    size: int
    total: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.size))


class FrontPage(NamedTuple):
    """What a visitor sees first."""

    popular: list[Listed]
    recent: list[Listed]


class Counters(NamedTuple):
    """Published competitions, accounts, submissions."""

    competitions: int
    users: int
    submissions: int


class Lists(Part):
    """Everybody finds what they may see. Nobody needs to be signed in, but where it is about them."""

    def front_page(self, actor: Actor, draw: random.Random | None = None) -> FrontPage:
        """Four popular competitions, featured ones first; and four of the eight newest others, drawn by lot."""
        popular = self.db.listed(Wanted(visible_to=0, order="popular"), limit=_POPULAR)
        shown = {each.hosted.competition for each in popular}
        newest = self.db.listed(Wanted(visible_to=0, featured=False, order="recent"), limit=_NEWEST + len(shown))
        others = [each for each in newest if each.hosted.competition not in shown][:_NEWEST]
        if len(others) > _RECENT:
            # Which four is of no consequence to anybody.
            drawn = set((draw or random.Random()).sample(range(len(others)), _RECENT))  # noqa: S311
            others = [each for place, each in enumerate(others) if place in drawn]
        return FrontPage(popular, others)

    def counters(self, actor: Actor) -> Counters:
        """The three numbers of the front page."""
        published = self.db.count_listed(Wanted(published=True))
        return Counters(published, self.db.count_accounts(), self.db.count_submissions())

    def public(
        self,
        actor: Actor,
        *,
        page: int = 1,
        size: int = PAGE,
        title: str | None = None,
        text: str | None = None,
        with_reward: bool = False,
        participating: bool = False,
        organizing: bool = False,
        order: Order = "recent",
    ) -> Page[Listed]:
        """Published competitions.

        Parameters
        ----------
        title, text
            A part of the title; of the title or the description.
        participating, organizing
            Only those in which the actor does.

        Raises
        ------
        NotSignedIn
            ``CB801``: nobody is signed in, and the list is about who asks.
        """
        me = self._me(actor) if participating or organizing else None
        wanted = Wanted(
            visible_to=0,
            title=title or None,
            text=text or None,
            with_reward=with_reward,
            taken_part_in_by=me if participating else None,
            organized_by=me if organizing else None,
            order=order,
        )
        page, size = max(1, page), max(1, min(size, MOST))
        items = self.db.listed(wanted, offset=(page - 1) * size, limit=size)
        return Page(items, page, size, self.db.count_listed(wanted))

    def all(
        self,
        actor: Actor,
        *,
        text: str | None = None,
        competition_type: Literal["competition", "benchmark"] | None = None,
        key: str = "",
    ) -> list[Listed]:
        """What the actor may see, oldest first.

        Parameters
        ----------
        text
            In the title or the description.
        key
            Of a secret link: the competition that it opens is among them.
        """
        visible = None if actor.is_superuser else actor.account or 0
        return self.db.listed(
            Wanted(visible_to=visible, text=text or None, competition_type=competition_type, with_key=key or None)
        )

    def mine(self, actor: Actor) -> list[Listed]:
        """Competitions that the actor organizes, newest first."""
        return self.db.listed(Wanted(organized_by=self._me(actor), order="recent"))

    def organized_by(self, actor: Actor, account: int) -> list[Listed]:
        """Published competitions that somebody organizes, newest first."""
        self.site.policy.require(actor, Action.ACCOUNT_READ, AccountFacts(account))
        return self.db.listed(Wanted(visible_to=0, organized_by=account, order="recent"))

    def entered(self, actor: Actor) -> list[Listed]:
        """Competitions in which the actor takes part, newest first."""
        return self.db.listed(Wanted(taken_part_in_by=self._me(actor), order="recent"))

    def _me(self, actor: Actor) -> int:
        if actor.account is None:
            raise NotSignedIn("Authentication required for filtering by participating in or organizing.")
        return actor.account
