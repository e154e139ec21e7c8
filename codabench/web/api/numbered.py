"""What the numbers in a request mean."""

from __future__ import annotations

from fastapi import Request

from codabench.core.errors import Invalid, NotFound
from codabench.site.numbers import Kind
from codabench.site.site import Site

_CHOICE = "Select a valid choice. That choice is not one of the available choices."


def phase_of(site: Site, number: int) -> tuple[str, int]:
    """The competition of a phase, and its place there.

    Raises
    ------
    NotFound
        There is no such phase.
    """
    competition, place = site.numbers.parts(Kind.PHASE, number)
    return competition, int(place)


def chosen(site: Site, kind: Kind, field: str, number: int) -> str:
    """The key of what somebody chose in a list by its number.

    Raises
    ------
    Invalid
        ``CB802``: there is no such choice.
    """
    try:
        return site.numbers.key(kind, number)
    except NotFound:
        raise Invalid({field: _CHOICE}) from None


def related(site: Site, kind: Kind, field: str, number: int) -> str:
    """The key of what a body names by its number.

    Raises
    ------
    Invalid
        ``CB802``: there is no such thing.
    """
    try:
        return site.numbers.key(kind, number)
    except NotFound:
        raise Invalid({field: f'Invalid pk "{number}" - object does not exist.'}) from None


def secret_of(request: Request) -> str:
    """The key of a secret link, if the request shows one."""
    return request.query_params.get("secret_key", "")
