"""A site in memory, its clock, and people on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import codabench as cb
from codabench.site.actors import OPERATOR, Actor
from codabench.site.credentials import actor_of
from codabench.site.settings import SiteSettings
from codabench.site.site import Site

QUICK = {"password_memory": "1 MiB"}
"""Settings with which tests need not wait for passwords."""

PASSWORD = "correct horse battery"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = datetime(2026, 3, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **time: float) -> None:
        self.at += timedelta(**time)


def make_site(clock: Clock, db: str | None = None, workspace: cb.Workspace | None = None, **settings: Any) -> Site:
    """A site around a workspace, or one of its own that carries nothing out; close both (`close_site`)."""
    ws = workspace or cb.Workspace(db=db, backend="process", dispatch=False)
    return Site(ws, SiteSettings.model_validate({**QUICK, **settings}), now=clock)


def close_site(site: Site) -> None:
    site.close()
    site.workspace.close()


def person(site: Site, name: str, *, password: str | None = None, email: str | None = "", **flags: bool) -> Actor:
    """A new account that may enter, as one who asks; its address is made of its name."""
    address = f"{name}@example.org" if email == "" else email
    return actor_of(site.accounts.add(OPERATOR, name, email=address, password=password, **flags))
