"""`View`: one competition as its pages show it to one visitor, and what all of these pages have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, urlencode, urlsplit

from fastapi import Depends, Request
from starlette.responses import HTMLResponse, Response

from codabench.core.competition import CompetitionSpec, PhaseSpec
from codabench.core.errors import CodabenchError, NotFound
from codabench.core.hosting import Hosted
from codabench.site import numbers
from codabench.site.actors import Actor
from codabench.site.competitions import Found
from codabench.site.links import HOUR
from codabench.site.policy import Action
from codabench.site.submission_files import FileTicket
from codabench.web.identity import Who, site_of
from codabench.web.messages import Kind
from codabench.web.pages.common import again, onward
from codabench.web.pages.timeline import timeline
from codabench.web.rendering import render

if TYPE_CHECKING:
    from codabench.site.site import Site


@dataclass(frozen=True)
class View:
    """A competition for whoever asks.

    Attributes
    ----------
    number
        As in its address.
    key
        That of the secret link which was shown, if one was: links of the page carry it on.
    """

    request: Request
    site: Site
    actor: Actor
    number: int
    key: str
    found: Found

    @property
    def id(self) -> str:
        return self.found.id

    @property
    def spec(self) -> CompetitionSpec:
        return self.found.spec

    @property
    def hosted(self) -> Hosted:
        return self.found.hosted

    def may(self, action: Action) -> bool:
        """Whether the actor may do that here, for what a page offers: the parts of the site decide again."""
        return self.site.policy.allows(self.actor, action, self.found.facts)

    @property
    def organizes(self) -> bool:
        return self.may(Action.COMPETITION_EDIT)

    def url(self, path: str = "", **query: Any) -> str:
        """The address of a page of it."""
        kept = {name: value for name, value in query.items() if value not in (None, "", False)}
        if self.key:
            kept["secret_key"] = self.key
        return f"/competitions/{self.number}/{path}{'?' + urlencode(kept, quote_via=quote) if kept else ''}"

    def link(self, ticket: FileTicket | None) -> str | None:
        """An address on this host under which a file can be had for an hour."""
        return None if ticket is None else urlsplit(self.site.links.url("GET", ticket.what, HOUR)).path

    # ------------------------------------------------------------------ phases
    @cached_property
    def current(self) -> PhaseSpec | None:
        """The phase that is open."""
        return next((phase for phase in self.spec.phases if phase.is_open(self.site.now())), None)

    def chosen(self, given: str | None) -> PhaseSpec:
        """The phase that an address names by its place, else the one that is open, else the last that has begun."""
        phases = self.spec.phases
        if given and given.isdecimal() and int(given) < len(phases):
            return phases[int(given)]
        begun = [phase for phase in phases if phase.start <= self.site.now()]
        return self.current or (begun or list(phases))[-1 if begun else 0]

    def state(self, phase: PhaseSpec) -> str:
        """Where a phase stands by the clock."""
        now = self.site.now()
        return "open" if phase.is_open(now) else "to come" if now < phase.start else "over"

    # ------------------------------------------------------------------ answers
    def _known(self, tab: str) -> dict[str, Any]:
        """What the header of every page of it shows."""
        owner = self.hosted.owner
        return {
            "view": self,
            "tab": tab,
            "Action": Action,
            "card": self.site.competitions.counted(self.found),
            "organizer": self.site.accounts.shown_names([owner]).get(f"u{owner}", ""),
            "timeline": timeline(self.spec.phases, self.site.now()),
            "participation": self.found.participation.status if self.found.participation else None,
            "readable": self.may(Action.COMPETITION_READ),
        }

    def page(self, template: str, tab: str, **values: Any) -> HTMLResponse:
        """A page of it, below its header."""
        return render(self.request, f"competition/{template}", {**self._known(tab), **values})

    def again(
        self, template: str, tab: str, fields: Mapping[str, object], error: CodabenchError, **values: Any
    ) -> HTMLResponse:
        """A page of it with a form as it was filled in, and what is wrong with that."""
        return again(self.request, f"competition/{template}", fields, error, **self._known(tab), **values)

    def onward(self, path: str, text: str = "", kind: Kind = "good", **query: Any) -> Response:
        """To a page of it, which says what was done."""
        return onward(self.request, self.url(path, **query), text, kind)


def look(request: Request, number: int, actor: Who) -> View:
    """The competition of an address; also for those who asked to take part and may read only its terms."""
    site, key = site_of(request), request.query_params.get("secret_key", "")
    id = site.numbers.key(numbers.Kind.COMPETITION, number)
    found = site.competitions.look(actor, id, Action.COMPETITION_OPEN, key=key)
    return View(request, site, actor, number, key, found)


def read(view: Annotated[View, Depends(look)]) -> View:
    """The same for those who may read all of it.

    Raises
    ------
    NotFound
        The actor may not.
    """
    if not view.may(Action.COMPETITION_READ):
        raise NotFound("there is no such page, or not for you")
    return view


Opened = Annotated[View, Depends(look)]
Read = Annotated[View, Depends(read)]


def csv(text: str, name: str) -> Response:
    """A table for spreadsheets, to be saved."""
    return Response(text, media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'})
