"""The page on which a Dask scheduler shows itself. Dask names one also where there is none, so it is looked for.

The scheduler of ``codabench scheduler`` has its HTTP server on loopback: who is on another machine gets no link,
because nothing would answer there.
"""

from __future__ import annotations

import json
import socket
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

_PLOTS = "individual-plots.json"
"""What plots the dashboard has: none where there is only an HTTP server. Its pages cost the scheduler far more."""

_SECONDS = 1.0
_MOST = 1 << 20


def dashboard_of(said: Mapping[str, Any], given: str | None = None) -> str | None:
    """Where the dashboard of a scheduler answers; None if it does not answer from here, or has nothing to show.

    Parameters
    ----------
    said
        What the scheduler says of itself: ``address`` and ``services``.
    given
        A link that a cluster object has.
    """
    host, port = urlsplit(str(said["address"])).hostname or "", said.get("services", {}).get("dashboard")
    links = [given] if given else []
    if port:
        named = f"[{host}]" if ":" in host else host
        links += [f"http://{named}:{port}/status"] if named else []
        links += [f"http://127.0.0.1:{port}/status"] if is_here(host) else []
    return next((link for link in dict.fromkeys(links) if _answers(link)), None)


def is_here(host: str) -> bool:
    """Whether an address is one of this machine: only then can something listen there; without a host it is."""
    if not host:
        return True
    with suppress(OSError):
        for family, kind, _, _, place in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with suppress(OSError), socket.socket(family, kind) as trial:
                trial.bind(place)
                return True
    return False


def _answers(link: str) -> bool:
    """Whether there is a dashboard with something on it; no proxy is asked, which has no way to our machines."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{link.rpartition('/')[0]}/{_PLOTS}", timeout=_SECONDS) as answer:
            return bool(json.loads(answer.read(_MOST)))
    except (OSError, ValueError):
        return False
