"""Fields of a task as somebody wrote them, checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from codabench.core.competition import TASK_ROLES, DataRole
from codabench.core.errors import Invalid
from codabench.core.hosting import SharedTask
from codabench.core.text import storable
from codabench.site.actors import Actor
from codabench.site.offers import dataset_facts
from codabench.site.policy import Action

if TYPE_CHECKING:
    from codabench.site.site import Site

LONGEST, _LONGEST_TEXT = 255, 10_000
_PARTS = tuple(role.value for role in TASK_ROLES)
_SWITCHES = ("is_public", "ingestion_only_during_scoring")
_FIELDS = frozenset({"name", "description", *_PARTS, *_SWITCHES, "shared_with"})
_PROGRAMS = frozenset({DataRole.SCORING_PROGRAM, DataRole.INGESTION_PROGRAM})
_FITS = {True: _PROGRAMS, False: frozenset({DataRole.INPUT_DATA, DataRole.REFERENCE_DATA, DataRole.PUBLIC_DATA})}
"""Data sets that a program, or data, of a task may be."""


def checked(
    site: Site, actor: Actor, given: Mapping[str, Any], owner: int, before: SharedTask | None = None
) -> dict[str, Any]:
    """Fields as somebody wrote them; `Invalid` with everything that is wrong."""
    wrong = {name: "There is no such field." for name in given if name not in _FIELDS}
    values: dict[str, Any] = {}
    for name, value in given.items():
        try:
            if name in _PARTS:
                values[name] = _part(site, actor, DataRole(name), value, before)
            elif name == "shared_with":
                values[name] = _people(site, value, owner)
            elif name in _FIELDS:
                values[name] = _plain(name, value)
        except ValueError as error:
            wrong[name] = str(error)
    if wrong:
        raise Invalid(wrong)
    return values


def _part(site: Site, actor: Actor, role: DataRole, key: Any, before: SharedTask | None) -> str | None:
    if key is None or key == "":
        if role is DataRole.SCORING_PROGRAM:
            raise ValueError("A task needs a scoring program.")
        return None
    if before is not None and key == getattr(before, role.value):
        return before.parts[role.value]
    found = site.db.datasets(keys=[key]) if isinstance(key, str) else []
    if not found or not site.policy.allows(actor, Action.DATASET_DOWNLOAD, dataset_facts(site, actor, found[0])):
        raise ValueError(f"Object with key={str(key)[:60]} does not exist.")
    if found[0].content is None:
        raise ValueError(f"Nothing was uploaded as {found[0].name}.")
    if found[0].type not in _FITS[role.is_program]:
        raise ValueError(f"{found[0].name} is a {found[0].type.words}, not a {role.words}.")
    return found[0].key


def _people(site: Site, given: Any, owner: int) -> frozenset[int]:
    if not isinstance(given, (list, tuple, set, frozenset)) or not all(type(each) is int for each in given):
        raise ValueError("Give the numbers of accounts.")
    known = {account.id for account in site.db.accounts(ids=given) if account.may_enter}
    if missing := [each for each in given if each not in known]:
        raise ValueError(f"There is no account {missing[0]}.")
    return frozenset(known) - {owner}


def _plain(name: str, value: Any) -> Any:
    """A text or a switch."""
    if name in _SWITCHES:
        if not isinstance(value, bool):
            raise ValueError("Say true or false.")
        return value
    if value is None and name == "description":
        return ""
    most = LONGEST if name == "name" else _LONGEST_TEXT
    if not isinstance(value, str) or len(value) > most:
        raise ValueError(f"Write a text of at most {most} characters.")
    text = storable(value).strip()
    if name == "name" and not text:
        raise ValueError("This field is required.")
    return text
