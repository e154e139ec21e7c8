"""What everybody is told, as cells of the table of permissions."""

from __future__ import annotations

from typing import Any

import httpx
from starlette.testclient import TestClient
from web_lab import token

from codabench.site.actors import Actor
from codabench.site.site import Site

NOT_NOW = {
    "It does not wait to be started.",
    "Only what has finished stands on a leaderboard.",
    "It was deleted, and its files are gone.",
    "Cannot request a re-run on a submission that has not finished processing.",
}
"""What is told to those who may, where it cannot be done."""


class Everybody:
    """A site with somebody for each role, who asks by a token."""

    def __init__(self, site: Site, client: TestClient, actors: dict[str, Actor]) -> None:
        self.site, self.client, self.actors = site, client, actors
        self._tokens = {role: token(site, actor) for role, actor in actors.items() if actor.account}

    def answer(self, role: str, verb: str, path: str, body: Any = None, key: str = "") -> httpx.Response:
        headers = {"authorization": f"Token {self._tokens[role]}"} if role in self._tokens else {}
        more = {"json": body} if body is not None else {}
        params = {"secret_key": key} if key else None
        found: httpx.Response = self.client.request(verb, path, headers=headers, params=params, **more)
        assert found.status_code < 500, found.text
        return found

    def __call__(self, role: str, verb: str, path: str, body: Any = None, key: str = "") -> str:
        """What is told, as a cell of the table."""
        answer = self.answer(role, verb, path, body, key)
        if answer.status_code == 403:
            told = answer.json()
            return "y" if told.get("detail", told.get("error_msg")) in NOT_NOW else "s" if role == "An" else "-"
        return "0" if answer.status_code == 404 else "y"


def fits(told: str, wanted: str, role: str) -> bool:
    """Where somebody has to be signed in, nobody is told anything else, be there what may."""
    return told == wanted or (role, wanted, told) == ("An", "0", "s")
