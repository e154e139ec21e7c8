"""A site with a competition, people around it, and robots of theirs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from hosting_lab import bundle, hosted
from site_lab import PASSWORD, person
from starlette.testclient import TestClient
from web_lab import robot

from codabench.site.actors import Actor
from codabench.site.site import Site


@dataclass
class World:
    """Annie organizes, Bobby is signed in, Suzie is superuser; `nobody` shows nothing.

    Attributes
    ----------
    id
        Of Annie's competition.
    """

    site: Site
    actors: dict[str, Actor]
    id: str

    @cached_property
    def annie(self) -> TestClient:
        return robot(self.site, self.actors["annie"])

    @cached_property
    def bobby(self) -> TestClient:
        return robot(self.site, self.actors["bobby"])

    @cached_property
    def suzie(self) -> TestClient:
        return robot(self.site, self.actors["suzie"])

    @cached_property
    def nobody(self) -> TestClient:
        return robot(self.site)

    @cached_property
    def number(self) -> int:
        return self.site.competitions.number(self.id)

    @property
    def path(self) -> str:
        return f"/api/competitions/{self.number}/"


def world(site: Site, *, published: bool = True, more: str = "") -> World:
    """A competition of Annie's, made of the bundle of the tests of sites."""
    actors = {name: person(site, name, password=PASSWORD) for name in ("annie", "bobby")}
    actors["suzie"] = person(site, "suzie", is_superuser=True)
    return World(site, actors, hosted(site, actors["annie"], bundle(more), published=published))
