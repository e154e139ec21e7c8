"""Data sets: uploaded, found, shared, offered by competitions, deleted where nothing needs them."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hosting_lab import bundle, zipped
from site_lab import Clock, person
from upload_lab import ZIP, announced, fetched, pieces, sent, ticket_of

from codabench.core.errors import ArchiveError, Invalid, NotFound, NotSignedIn, StateError, TooMany
from codabench.core.hosting import JobState
from codabench.core.trees import BlobRef, TreeRef
from codabench.db.resources import WantedDatasets
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.receiving import AT_ONCE
from codabench.site.site import Site


def fields(caught: pytest.ExceptionInfo[Invalid]) -> dict[str, list[str]]:
    return caught.value.fields


# ---------------------------------------------------------------------- announced
@pytest.mark.parametrize(
    ("role", "name", "size", "field"),
    [
        (None, "a.zip", 22, "type"),
        ("malware", "a.zip", 22, "type"),
        ("submission", None, 22, "file_name"),
        ("submission", "../../etc/passwd", 22, "file_name"),
        ("submission", "a\\b.zip", 22, "file_name"),
        ("submission", "a\r\nb.zip", 22, "file_name"),
        ("submission", "a" * 256, 22, "file_name"),
        ("submission", "a.zip", None, "file_size"),
        ("submission", "a.zip", "", "file_size"),
        ("submission", "a.zip", "many", "file_size"),
        ("submission", "a.zip", -1, "file_size"),
        ("submission", "a.zip", True, "file_size"),
        ("submission", "a.zip", float("inf"), "file_size"),
        ("submission", "a.zip", "1" * 400, "file_size"),
        ("submission", "a.zip", 0, "file_size"),
        ("submission", "a.zip", 3 * 1024**3, "file_size"),
    ],
)
def test_what_is_no_upload(role: Any, name: Any, size: Any, field: str, site: Site) -> None:
    with pytest.raises(Invalid) as caught:
        site.datasets.create(person(site, "alice"), role, name, size)
    assert list(fields(caught)) == [field]


def test_everything_that_is_wrong_is_said_at_once(site: Site) -> None:
    alice = person(site, "alice")
    with pytest.raises(Invalid) as caught:
        site.datasets.create(alice, "", "", "x", name="n" * 300, description="d" * 10_001)
    assert list(fields(caught)) == ["type", "file_name", "file_size", "name", "description"]
    assert fields(caught)["type"] == ["This field is required."]
    assert fields(caught)["file_size"] == ["A valid number is required."]
    for nobody in (ANONYMOUS, OPERATOR):
        with pytest.raises((Invalid, NotSignedIn)):
            site.datasets.create(nobody, "submission", "a.zip", 22)


def test_sizes_as_clients_write_them(site: Site) -> None:
    alice = person(site, "alice")
    for size in (22, "22", "22.0", 22.0, "22.00"):
        assert site.datasets.create(alice, "submission", "a.zip", size).size == 22


def test_a_name_that_is_said_is_taken_once(site: Site) -> None:
    alice, bob = person(site, "alice"), person(site, "robert")
    first = announced(site, alice, name="mine")
    with pytest.raises(Invalid) as caught:
        announced(site, alice, name="mine")
    assert fields(caught) == {"": ["You already have a data set of this name."]}
    announced(site, bob, name="mine")
    assert len({announced(site, alice).name for _ in range(3)}) == 3
    site.datasets.delete(alice, first.key)
    announced(site, alice, name="mine")


# ---------------------------------------------------------------------- sent
def test_an_upload(site: Site) -> None:
    alice = person(site, "alice")
    made = announced(site, alice, description="hello", license="CC0-1.0")
    with pytest.raises(NotFound):
        site.datasets.download(alice, made.key)
    with pytest.raises(Invalid):
        site.datasets.completed(alice, made.key)
    url = site.datasets.upload_url(alice, made.key)
    done = site.datasets.receive(ticket_of(url), pieces(ZIP), len(ZIP), "application/zip")
    assert isinstance(done.content, TreeRef)
    assert (done.size, done.license, done.description) == (len(ZIP), "CC0-1.0", "hello")
    assert fetched(site, site.datasets.download(alice, done.id)) == ZIP
    assert site.datasets.get(alice, done.key).downloads == 1
    assert site.datasets.completed(alice, made.key) == (site.datasets.get(alice, made.key), None)
    # Whoever did not hear the answer sends it again; other bytes are refused, and change nothing.
    assert site.datasets.receive(ticket_of(url), [ZIP]).content == done.content
    other = zipped({"answer.csv": b"2\n"})
    assert len(other) == len(ZIP)
    with pytest.raises(StateError):
        site.datasets.receive(ticket_of(url), [other])
    assert fetched(site, site.datasets.download(alice, done.id)) == ZIP


def held(site: Site) -> set[str]:
    """What the storage has."""
    objects = site.workspace.storage.objects
    return {found.name for prefix in ("blobs", "trees", "incoming") for found in objects.listed(prefix)}


@pytest.mark.parametrize(
    ("data", "length", "kind"),
    [
        (ZIP + b"x", None, None),
        (ZIP[:-1], None, None),
        (b"", None, None),
        (ZIP, len(ZIP) + 1, None),
        (ZIP, len(ZIP) - 1, None),
        (ZIP, 0, None),
        (ZIP, None, "text/html"),
    ],
    ids=["more", "less", "nothing", "a lie upwards", "a lie downwards", "no length", "another type"],
)
def test_what_was_not_announced_is_not_there(data: bytes, length: int | None, kind: str | None, site: Site) -> None:
    """security.md W10, G03: bytes are counted, whatever a request says of itself."""
    alice = person(site, "alice")
    made = announced(site, alice)
    ticket = ticket_of(site.datasets.upload_url(alice, made.key))
    with pytest.raises(Invalid) as caught:
        site.datasets.receive(ticket, pieces(data), length, kind)
    assert list(fields(caught)) == ["file"]
    assert site.datasets.get(alice, made.key).content is None
    assert held(site) == set()
    assert not list(site.workspace.scratch.glob("upload-*"))
    assert site.datasets.receive(ticket, [ZIP]).content is not None


def test_reading_stops_at_the_first_byte_too_many(site: Site) -> None:
    alice = person(site, "alice")
    ticket = ticket_of(site.datasets.upload_url(alice, announced(site, alice).key))
    flood = (b"x" * len(ZIP) for _ in range(10**9))
    with pytest.raises(Invalid):
        site.datasets.receive(ticket, flood)


@pytest.mark.parametrize("role", ["submission", "solution", "scoring_program", "ingestion_program"])
def test_programs_and_submissions_are_archives(role: str, site: Site) -> None:
    """The same checks as everywhere: nothing of an unsafe archive is kept."""
    alice = person(site, "alice")
    for data in (b"no zip at all", zipped({"../evil": b""}), ZIP[:-8] + b"\0" * 8):
        with pytest.raises(ArchiveError):
            sent(site, alice, data, role, file_name="x.txt")
    assert held(site) == set()
    assert site.datasets.list(alice, WantedDatasets(uploaded=True)).total == 0


def test_data_may_be_one_file_and_a_bundle_is_kept_as_it_is(site: Site) -> None:
    alice = person(site, "alice")
    assert isinstance(sent(site, alice, b"1,2\n", "input_data", file_name="x.csv").content, BlobRef)
    assert isinstance(sent(site, alice, ZIP, "input_data", file_name="x.ZIP").content, TreeRef)
    assert isinstance(sent(site, alice, b"broken", "competition_bundle").content, BlobRef)
    with pytest.raises(ArchiveError):
        sent(site, alice, b"1,2\n", "input_data", file_name="x.zip")


def test_uploads_at_the_same_time_are_counted(site: Site) -> None:
    alice, bob = person(site, "alice"), person(site, "robert")

    def ticket(actor: Actor) -> str:
        return ticket_of(site.datasets.upload_url(actor, announced(site, actor).key))

    def deeper(depth: int) -> None:
        with site.datasets.receiving(ticket(alice), None, None):
            if depth:
                deeper(depth - 1)
                return
            with pytest.raises(TooMany):
                site.datasets.receive(ticket(alice), [ZIP])
            site.datasets.receive(ticket(bob), [ZIP])

    deeper(AT_ONCE - 1)
    site.datasets.receive(ticket(alice), [ZIP])


def test_two_who_send_the_same_at_once(site: Site) -> None:
    alice = person(site, "alice")
    made = announced(site, alice)
    ticket, came = ticket_of(site.datasets.upload_url(alice, made.key)), []
    threads = [threading.Thread(target=lambda: came.append(site.datasets.receive(ticket, [ZIP]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [done.content for done in came] == [site.datasets.get(alice, made.key).content] * 4


def test_a_bundle_becomes_one_competition(site: Site) -> None:
    alice = person(site, "alice")
    made = sent(site, alice, bundle(), "competition_bundle")
    job = site.datasets.completed(alice, made.key).job
    assert job is not None
    assert site.jobs.wait(alice, job.id, 60).state is JobState.FINISHED
    again = site.datasets.completed(alice, made.key).job
    assert again is not None
    assert again.id == job.id
    with pytest.raises(NotFound):
        site.datasets.completed(person(site, "robert"), made.key)


def test_what_never_came_is_forgotten(site: Site, clock: Clock) -> None:
    alice = person(site, "alice")
    made, kept = announced(site, alice), sent(site, alice)
    clock.forward(days=4)
    site.tick()
    assert site.datasets.get(alice, made.key)
    clock.forward(days=2)
    site.tick()
    with pytest.raises(NotFound):
        site.datasets.get(alice, made.key)
    assert site.datasets.get(alice, kept.key)
