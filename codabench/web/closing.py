"""Maintenance: what is shown instead of every page while the site is worked on (platform.md V25)."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from codabench.site.actors import ANONYMOUS, Actor

if TYPE_CHECKING:
    from codabench.site.site import Site

LOOK = 2.0
"""Seconds after which the database is asked again."""
AGAIN = 120
"""Seconds after which clients are told to come again."""
OPEN = ("/accounts/",)
"""Where administrators sign in."""


class Door:
    """Whether a site is open, asked now and then for all requests together."""

    def __init__(self, site: Site) -> None:
        self._site, self._lock = site, threading.Lock()
        self._asked = float("-inf")
        self._text: str | None = None

    def enter(self, actor: Actor, path: str) -> None:
        """Go on only if the site is open to the actor.

        Raises
        ------
        HTTPException
            503, with what administrators have written.
        """
        with self._lock:
            if time.monotonic() - self._asked >= LOOK:
                self._text, self._asked = self._site.status.maintenance(ANONYMOUS), time.monotonic()
        if self._text is None or path.startswith(OPEN):
            return
        if (text := self._site.status.maintenance(actor)) is not None:
            raise HTTPException(503, text, headers={"Retry-After": str(AGAIN)})
