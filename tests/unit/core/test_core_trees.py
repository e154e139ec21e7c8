"""Digests of trees, policies, specs."""

from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.core.errors import UsageError
from codabench.core.policy import Network, Policy, User, policy_named
from codabench.core.trees import TreeEntry, tree_digest

FILE = TreeEntry(path="a/b/x.txt", sha256="1" * 64, size=3)


def entries(*paths: str) -> list[TreeEntry]:
    return [TreeEntry(path=p.rstrip("/"), kind="dir" if p.endswith("/") else "file") for p in paths]


def test_directories_that_hold_something_do_not_count() -> None:
    assert tree_digest(entries("a/b/x")) == tree_digest(entries("a/", "a/b/", "a/b/x"))


def test_empty_directories_count() -> None:
    assert tree_digest(entries("x")) != tree_digest(entries("x", "empty/"))
    assert tree_digest(entries("empty/")) != tree_digest(entries("empty"))
    assert tree_digest(entries("a/", "a/b/")) == tree_digest(entries("a/b/"))


@pytest.mark.parametrize(
    "change", [{"path": "a/b/y.txt"}, {"sha256": "2" * 64}, {"executable": True}, {"kind": "dir"}], ids=str
)
def test_what_changes_a_digest(change: dict[str, object]) -> None:
    assert tree_digest([FILE]) != tree_digest([FILE.model_copy(update=change)])


def test_the_digest_is_known() -> None:
    # Stored references hold it: it may never change.
    rows = '[["a/b/x.txt","file",false,"' + "1" * 64 + '"]]'
    assert tree_digest([FILE]) == "sha256:" + hashlib.sha256(rows.encode()).hexdigest()
    assert tree_digest([]) == "sha256:" + hashlib.sha256(b"[]").hexdigest()


@given(st.lists(st.from_regex(r"[a-c](/[a-c]){0,2}", fullmatch=True), unique=True), st.randoms())
def test_the_order_does_not_matter(paths: list[str], shuffle: random.Random) -> None:
    listed = entries(*paths)
    shuffled = list(listed)
    shuffle.shuffle(shuffled)
    assert tree_digest(listed) == tree_digest(shuffled)


def test_profiles_are_what_they_are_called() -> None:
    standard, strict, trusted = (policy_named(n) for n in ("standard", "strict", "trusted"))
    assert standard == Policy()
    assert {p.network for p in (standard, strict, trusted)} == {Network.NONE}
    assert standard.user is strict.user is User.NOBODY
    assert (standard.writable_program, strict.writable_program, trusted.writable_inputs) == (True, False, True)
    assert all(p.no_new_privileges for p in (standard, strict, trusted))


def test_an_unknown_policy_is_named() -> None:
    with pytest.raises(UsageError, match="no policy 'strickt'; there are standard, strict, trusted") as caught:
        policy_named("strickt")
    assert caught.value.hint == "did you mean 'strict'?"


def test_records_are_frozen_and_know_their_names() -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate({"netwrok": "none"})
    with pytest.raises(ValidationError):
        Policy().network = Network.OPEN  # type: ignore[misc]


def test_the_primary_column() -> None:
    columns = tuple(ColumnSpec(key=k, title=k, index=n) for n, k in enumerate("abc"))
    board = LeaderboardSpec(key="b", title="B", columns=columns, primary_index=2)
    assert board.primary.key == "c"
    assert board.written == ("a", "b", "c")
