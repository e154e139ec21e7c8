"""W07, W09, W10, W11, G01: keys that can be guessed, uploads that lie, links for something else; each with its twin."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from site_lab import QUICK, Clock, close_site, make_site, person
from upload_lab import ZIP, announced, fetched, pieces, sent, ticket_of

import codabench as cb
from codabench.core.errors import CodabenchError, TooMany, UsageError
from codabench.core.hosting import Dataset
from codabench.site import receiving, signing
from codabench.site.actors import Actor
from codabench.site.settings import SiteSettings
from codabench.site.signing import Signer
from codabench.site.site import Site
from codabench.storage import contents

MARKER = b"LABELS-OF-THE-FINAL-PHASE"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def site(clock: Clock) -> Iterator[Site]:
    made = make_site(clock)
    yield made
    close_site(made)


def secret(site: Site, actor: Actor) -> Dataset:
    """What nobody else may have."""
    return sent(site, actor, MARKER, "reference_data", file_name="labels.csv")


def got(site: Site, ticket: str) -> bytes:
    """What a link gives; nothing where it is refused."""
    try:
        return fetched(site, f"/files/{ticket}/x")
    except (CodabenchError, ValueError, KeyError):
        return b""


# ---------------------------------------------------------------------- W07: keys that others know
KNOWN = [
    "changeme", "secret", "django-insecure-change-me-before-production-please", "0" * 64, "x" * 64, "password" * 8,
    "0123456789abcdef" * 4, "deadbeef" * 8, "00112233445566778899aabbccddeeff" * 2,
    "this is the secret key of our site",
]  # fmt: skip


def forged(folder: Path, key: str, clock: Clock) -> bytes:
    """What a link gives that was made elsewhere with a key that everybody knows, where somebody has written it down."""
    (folder / "key").write_text(key)
    (folder / "key").chmod(0o600)
    site = make_site(clock, secret_file=folder / "key")
    try:
        labels = secret(site, person(site, "alice"))
        ticket = Signer(key.encode()).ticket(
            "GET", {"dataset": labels.key, "name": "x"}, until=clock().replace(year=2030)
        )
        return got(site, ticket)
    except UsageError:
        return b""
    finally:
        close_site(site)


@pytest.mark.row("W07")
@pytest.mark.parametrize("key", KNOWN, ids=range(len(KNOWN)))
def test_a_site_takes_no_key_that_can_be_guessed(key: str, tmp_path: Path, clock: Clock) -> None:
    assert forged(tmp_path, key, clock) == b""


@pytest.mark.twin("W07")
def test_with_a_known_key_everybody_makes_links(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_read", lambda file: file.read_bytes())
    assert [forged(tmp_path, key, clock) for key in KNOWN] == [MARKER] * len(KNOWN)


@pytest.mark.row("W07")
def test_two_sites_have_two_keys_that_nobody_chose(tmp_path: Path) -> None:
    keys = [signing.secret_of(tmp_path / name / "key") for name in ("one", "two")]
    assert keys[0] != keys[1]
    assert all(re.fullmatch(rb"[0-9a-f]{64}", key) and len(zlib.compress(key)) > 48 for key in keys)
    assert "secret" not in {name for name, field in SiteSettings.model_fields.items() if field.default is not None}


# ---------------------------------------------------------------------- W09: many at once
def under_way(site: Site, many: int) -> int:
    """How many uploads one account has open at the same time."""
    alice = person(site, "alice")
    tickets = [ticket_of(site.datasets.upload_url(alice, announced(site, alice).key)) for _ in range(many)]

    def deeper(left: list[str]) -> int:
        if not left:
            return 0
        try:
            with site.datasets.receiving(left[0], None, None):
                return 1 + deeper(left[1:])
        except TooMany:
            return 0

    return deeper(tickets)


@pytest.mark.row("W09")
def test_one_account_has_few_uploads_under_way(site: Site) -> None:
    assert under_way(site, 40) == receiving.AT_ONCE


@pytest.mark.twin("W09")
def test_without_a_count_it_has_all_of_them(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "AT_ONCE", 10**9)
    assert under_way(site, 40) == 40


# ---------------------------------------------------------------------- W10: more than was announced
FLOOD = b"x" * 100_000


def beyond(site: Site, length: int | None) -> int:
    """How many bytes an account has stored that announced ten, and may have a thousand."""
    alice = person(site, "alice")
    made = announced(site, alice, b"x" * 10, "input_data", file_name="x.bin")
    with contextlib.suppress(CodabenchError):
        site.datasets.receive(ticket_of(site.datasets.upload_url(alice, made.key)), pieces(FLOOD, 1000), length)
    objects = site.workspace.storage.objects
    assert not list(site.workspace.scratch.glob("upload-*"))
    return sum(found.size for prefix in ("blobs", "incoming") for found in objects.listed(prefix))


@pytest.mark.row("W10")
@pytest.mark.parametrize("length", [None, 10, 0, len(FLOOD), 10**15], ids=str)
def test_what_is_announced_is_what_is_taken(length: int | None, clock: Clock) -> None:
    site = make_site(clock, quota=1000)
    assert beyond(site, length) == 0
    close_site(site)


@pytest.mark.twin("W10")
@pytest.mark.parametrize("length", [None, 10])
def test_who_believes_what_is_announced_stores_all(
    length: int | None, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = receiving.Incoming.__init__

    def without_a_limit(self: receiving.Incoming, file: Any, size: int) -> None:
        begin(self, file, size)
        self._size = Anything()  # type: ignore[assignment]

    monkeypatch.setattr(receiving.Incoming, "__init__", without_a_limit)
    site = make_site(clock, quota=1000)
    assert beyond(site, length) == len(FLOOD)
    close_site(site)


class Anything(int):
    """A size that fits whatever comes."""

    def __lt__(self, other: object) -> bool:
        return False

    def __ne__(self, other: object) -> bool:
        return False


# ---------------------------------------------------------------------- W11: paths where an id belongs
def spellings(target: Path) -> list[str]:
    up = "../" * 12
    tail = str(target).lstrip("/")
    found = [
        str(target),
        f"/{target}",
        up + tail,
        f"..{up}{tail}",
        f"x/{up}{tail}",
        f"./{up}{tail}",
        f"file://{target}",
    ]
    found += [
        text.replace("../", each) for text in found[2:5] for each in ("..%2f", "%2e%2e/", "..\\", "..%5c", "....//")
    ]
    found += [f"{text}{end}" for text in found[:7] for end in ("\x00", "\x00.zip", "%00", "?", "#", "/", "/.", "\n")]
    return [*found, *("../" * n + target.name for n in range(4)), "~root", "C:\\labels", "\\\\host\\labels", "con", "."]


def read_by_path(place: Path, clock: Clock) -> list[str]:
    """Which spellings of a file of the host give it, put wherever a stranger may say something."""
    (place / "labels.csv").write_bytes(MARKER)
    ws = cb.Workspace(place / "lab", backend="process", dispatch=False)
    site = Site(ws, SiteSettings.model_validate({**QUICK, "secret_file": place / "key"}), now=clock)
    mallory = person(site, "mallory")
    sent(site, mallory)  # from now on there is a folder for paths to begin in
    until = clock().replace(year=2030)
    found = []
    for text in spellings(place / "labels.csv"):
        what = {"blob": text, "size": len(MARKER), "name": text}
        own = Signer(b"m" * 64).ticket("GET", what, until=until)
        if MARKER in {got(site, text), got(site, own), got(site, f"{text}.{own.rpartition('.')[2]}")}:
            found.append(text)
        for ask in (site.datasets.get, site.datasets.download, site.tasks.get):
            with pytest.raises(CodabenchError):
                ask(mallory, text)
    close_site(site)
    return found


@pytest.mark.row("W11")
def test_no_text_of_a_stranger_is_a_path(tmp_path: Path, clock: Clock) -> None:
    assert len(spellings(tmp_path / "x")) > 70
    assert read_by_path(tmp_path, clock) == []


@pytest.mark.twin("W11")
def test_links_that_anybody_writes_and_nobody_checks_read_the_host(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two defences off: whose the link is, and that what is stored has its digest."""
    monkeypatch.setattr(Signer, "holds", lambda *args: True)
    monkeypatch.setattr(contents.CheckedBlob, "readinto", unchecked)
    assert len(read_by_path(tmp_path, clock)) > 3


def unchecked(self: contents.CheckedBlob, buffer: bytearray) -> int:
    """As it is, but for the digest."""
    if self._pread is None:
        return 0
    data = self._pread(self._at, self._at + len(buffer), min(len(buffer), self._ref.size - self._at))
    self._at += len(data)
    buffer[: len(data)] = data
    return len(data)


# ---------------------------------------------------------------------- G01: a link, used for something else
def misused(site: Site, clock: Clock) -> list[str]:
    """What a link is good for that it was not made for."""
    alice, mallory = person(site, "alice"), person(site, "mallory")
    labels, mine = secret(site, alice), announced(site, mallory)
    up = ticket_of(site.datasets.upload_url(mallory, mine.key))
    down = ticket_of(site.datasets.download(alice, labels.key))
    found = []
    if got(site, _saying({"dataset": labels.key, "name": "x"}, up)) == MARKER:
        found.append("another thing")
    try:
        site.datasets.receive(down, [ZIP])
        found.append("another verb")
    except (CodabenchError, KeyError) as error:
        found += ["another verb"] if isinstance(error, KeyError) else []
    clock.forward(hours=2)
    if got(site, down) == MARKER:
        found.append("another time")
    return found


def _saying(what: dict[str, Any], own: str) -> str:
    """A link that one has, saying something else."""
    body = Signer(b"m" * 64).ticket("GET", what, until=Clock()().replace(year=2030)).partition(".")[0]
    return f"{body}.{own.partition('.')[2]}"


@pytest.mark.row("G01")
def test_a_link_is_good_for_nothing_else(site: Site, clock: Clock) -> None:
    assert misused(site, clock) == []


@pytest.mark.twin("G01")
def test_a_link_that_is_only_decoded_is_good_for_everything(
    site: Site, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(self: Signer, ticket: str, verb: str, **_: object) -> Any:
        body = ticket.partition(".")[0]
        return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["what"]

    monkeypatch.setattr(Signer, "read", decoded)
    assert misused(site, clock) == ["another thing", "another verb", "another time"]
