"""Calls that schemathesis makes of the OpenAPI document end in no server error; how it is asked for often is a soak."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "soak"))

from _rest import ROLES, fuzz


def test_nothing_that_is_asked_breaks_the_server() -> None:
    tried = fuzz(1, seed=1)
    assert tried.failed == []
    for role in ROLES:
        counts = tried.statuses[role]
        assert counts[200], f"{role}: something was done"
        assert counts[404] + counts[400] + counts[403] > 20, f"{role}: and something was refused"
    assert tried.statuses["suzie"][403] < tried.statuses["nobody"][403]


def test_what_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: a part of the site that raises what nobody expects."""
    from codabench.site.lists import Lists

    def broken(*_args: object, **_more: object) -> None:
        raise KeyError("broken")

    monkeypatch.setattr(Lists, "front_page", broken)
    failed = fuzz(1, seed=1, below="/api/competitions/front_page/").failed
    assert failed
    assert failed[0].startswith("500 curl")
