"""Keys of a site, and links that work by themselves."""

from __future__ import annotations

import os
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.errors import Refused, UsageError
from codabench.site.signing import Signer, secret_of

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    file = tmp_path / "new" / "secret.key"
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(secret_of(file))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(file.parent) == ["secret.key"]
    assert secret_of(file) == found[0] != secret_of(tmp_path / "another.key")


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        ("x" * 64, 0o600, "guessed"),
        ("short", 0o600, "guessed"),
        ("", 0o600, "guessed"),
        ("0123456789abcdef" * 4, 0o644, "others can read"),
        ("0123456789abcdef" * 4, 0o620, "others can read"),
    ],
)
def test_a_key_that_is_none(text: str, mode: int, said: str, tmp_path: Path) -> None:
    file = tmp_path / "secret.key"
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(UsageError, match=said) as caught:
        secret_of(file)
    assert caught.value.code == "CB822"


@pytest.mark.parametrize("there", [True, False], ids=["to a key", "to nothing"])
def test_a_link_in_its_place_is_not_followed(there: bool, tmp_path: Path) -> None:
    if there:
        (tmp_path / "mine").write_text("0123456789abcdef" * 4)
    (tmp_path / "secret.key").symlink_to(tmp_path / "mine")
    with pytest.raises(UsageError, match="cannot be kept"):
        secret_of(tmp_path / "secret.key")


def test_a_ticket_is_for_one_verb_and_a_while() -> None:
    signer = Signer(b"k" * 32)
    ticket = signer.ticket("GET", {"blob": "ab", "name": "ü.zip"}, until=LATER)
    assert signer.read(ticket, "GET", now=LATER) == {"blob": "ab", "name": "ü.zip"}
    for verb, now, reader in [
        ("PUT", NOW, signer),
        ("GET", LATER + timedelta(seconds=2), signer),
        ("GET", NOW, Signer(b"o" * 32)),
    ]:
        with pytest.raises(Refused) as caught:
            reader.read(ticket, verb, now=now)
        assert caught.value.code == "CB809"


@given(place=st.integers(min_value=0), other=st.characters())
def test_a_ticket_that_was_changed_is_none(place: int, other: str) -> None:
    signer = Signer(b"k" * 32)
    ticket = signer.ticket("GET", {"blob": "ab"}, until=LATER)
    place %= len(ticket)
    changed = ticket[:place] + other + ticket[place + 1 :]
    if changed == ticket:
        return
    with pytest.raises(Refused):
        signer.read(changed, "GET", now=NOW)


@given(st.text())
def test_no_text_is_a_ticket(text: str) -> None:
    with pytest.raises(Refused):
        Signer(b"k" * 32).read(text, "GET", now=NOW)


def test_parts_do_not_run_together() -> None:
    signer = Signer(b"k" * 32)
    assert signer.mark("a", "b", "c") != signer.mark("a", "bc") != signer.mark("ab", "c")
    assert signer.holds(signer.mark("a", "b"), "a", "b")
    assert not signer.holds(signer.mark("a", "b"), "b", "b")
    assert not signer.holds("\udcff", "a")
