"""Data sets: uploaded, found, shared, offered by competitions, deleted where nothing needs them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hosting_lab import bundle, hosted, zipped
from site_lab import QUICK, Clock, close_site, person
from upload_lab import ZIP, announced, fetched, pieces, sent, ticket_of

import codabench as cb
from codabench.core.competition import DataRole
from codabench.core.errors import (
    ArchiveError,
    Invalid,
    NotFound,
    NotSignedIn,
    Refused,
    StateError,
    StorageError,
    TooMany,
)
from codabench.core.hosting import JobState
from codabench.core.people import ParticipationStatus
from codabench.core.trees import BlobRef, TreeRef
from codabench.db.naming import named_digests
from codabench.db.resources import WantedDatasets
from codabench.db.shared_tasks import WantedTasks
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.facts import DatasetFacts
from codabench.site.offers import task_facts
from codabench.site.policy import Action
from codabench.site.receiving import AT_ONCE, Incoming
from codabench.site.settings import SiteSettings
from codabench.site.site import Site

SCORING = zipped({"metadata": b"command: python3 $program/score.py\n", "score.py": b"1"})


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


def test_what_a_browser_says_of_data(site: Site) -> None:
    alice = person(site, "alice")
    made = announced(site, alice, b"1,2\n", "input_data", file_name="x.csv")
    ticket = ticket_of(site.datasets.upload_url(alice, made.key))
    assert site.datasets.receive(ticket, [b"1,2\n"], 4, "text/csv; charset=utf-8").content is not None


def test_a_disk_that_is_full_is_said_in_words() -> None:
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(StorageError) as caught:
        Incoming(cast("BinaryIO", full), 10).write(b"x")
    assert caught.value.code == "CB707"


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


def test_a_bundle_that_cannot_be_used_leaves_nothing(site: Site) -> None:
    alice = person(site, "alice")
    made = sent(site, alice, b"broken", "competition_bundle")
    job = site.datasets.completed(alice, made.key).job
    assert job is not None
    assert site.jobs.wait(alice, job.id, 60).state is JobState.FAILED
    assert made.blob is not None
    assert made.blob.sha256 not in named_digests(site.db)
    assert site.quota.usage(alice).used == 0


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


# ---------------------------------------------------------------------- found
def test_ones_own_and_what_others_share(site: Site) -> None:
    alice, robert = person(site, "alice"), person(site, "robert")
    first = sent(site, alice, role="input_data", name="Capitals", description="of Europe")
    second = sent(site, alice, role="public_data", name="Rivers", is_public=True, license="MIT")
    third = sent(site, robert, role="public_data", name="Lakes", is_public=True)
    announced(site, alice, role="public_data", name="Not there yet", is_public=True)
    sent(site, robert, role="input_data", name="Secret")

    def names(actor: Actor, **wanted: Any) -> list[str]:
        return [d.name for d in site.datasets.list(actor, WantedDatasets(**wanted)).items]

    assert names(alice) == ["Not there yet", "Rivers", "Capitals"]
    assert names(alice, or_public=True, uploaded=True) == ["Lakes", "Rivers", "Capitals"]
    assert names(alice, text="euro%") == []
    assert names(alice, text="EURO", order="oldest") == ["Capitals"]
    assert names(alice, types=(DataRole.INPUT_DATA,)) == names(alice, is_public=False) == ["Capitals"]
    assert names(alice, key=first.key) == names(alice, name="Capitals") == ["Capitals"]
    assert names(alice, has_license=True) == ["Rivers"]
    assert names(robert, or_public=True, has_license=False, types=(DataRole.PUBLIC_DATA,), uploaded=True) == ["Lakes"]
    with pytest.raises(NotSignedIn):
        site.datasets.list(ANONYMOUS)
    page = site.datasets.list(alice, page=2, size=2)
    assert ([d.name for d in page.items], page.total, page.pages) == (["Capitals"], 3, 2)

    root = person(site, "admin", is_superuser=True)
    site.datasets.verify(root, third.key)
    for _ in range(2):
        assert fetched(site, site.datasets.download(ANONYMOUS, second.id)) == ZIP
    found = [[d.name for d in site.datasets.public(ANONYMOUS, **how).items] for how in (
        {}, {"order": "downloads"}, {"licensed": True}, {"verified": True}, {"text": "lak"},
    )]  # fmt: skip
    assert found == [["Lakes", "Rivers"], ["Rivers", "Lakes"], ["Rivers"], ["Lakes"], ["Lakes"]]


def test_lists_are_what_the_policy_says(site: Site) -> None:
    """The database finds what is listed; the table of permissions decides what should be."""
    people = [person(site, name) for name in ("alice", "robert", "mallory")]
    made = [sent(site, who, role="input_data", is_public=public) for who in people for public in (True, False)]
    tasks = []
    for who, other in zip(people, (*people[1:], people[0]), strict=True):
        program = sent(site, who, SCORING, "scoring_program").key
        for more in ({}, {"is_public": True}, {"shared_with": [other.account]}):
            tasks.append(site.tasks.create(who, {"name": "a", "scoring_program": program, **more}))
    for who in people:
        wanted = WantedDatasets(or_public=True, types=(DataRole.INPUT_DATA,))
        assert {d.key for d in site.datasets.list(who, wanted, size=100).items} == {
            d.key
            for d in made
            if site.policy.allows(who, Action.DATASET_LIST, DatasetFacts(d.owner, is_public=d.is_public))
        }
        assert {t.key for t in site.tasks.list(who, WantedTasks(or_public=True), size=100).items} == {
            t.key for t in tasks if site.policy.allows(who, Action.TASK_LIST, task_facts(t))
        }


def test_who_sees_and_changes_data_sets(site: Site) -> None:
    """platform.md section 6, 1 and 7."""
    alice, mallory = person(site, "alice"), person(site, "mallory")
    root = person(site, "admin", is_superuser=True)
    mine = sent(site, alice, role="public_data", name="Mine")
    for who in (mallory, root, ANONYMOUS):
        for which in (mine.id, mine.key):
            with pytest.raises(NotFound):
                site.datasets.get(who, which)
            with pytest.raises(NotFound):
                site.datasets.download(who, which)
        with pytest.raises((NotFound, NotSignedIn)):
            site.datasets.delete(who, mine.key)
    changed = site.datasets.edit(alice, mine.id, {"is_public": True, "description": "x", "license": " MIT "})
    assert (changed.is_public, changed.description, changed.license, changed.name) == (True, "x", "MIT", "Mine")
    for who, error in ((mallory, Refused), (ANONYMOUS, NotSignedIn)):
        for change in (
            lambda who: site.datasets.edit(who, mine.key, {"name": "Theirs"}),
            lambda who: site.datasets.delete(who, mine.key),
            lambda who: site.datasets.upload_url(who, mine.key),
            lambda who: site.datasets.verify(who, mine.key),
        ):
            with pytest.raises(error):
                change(who)
    assert site.datasets.edit(root, mine.key, {"name": "Better"}).name == "Better"
    with pytest.raises((Refused, NotFound)):
        site.datasets.completed(root, mine.key)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Taken"}, "name"),
        ({"name": 3}, "name"),
        ({"description": "x" * 10_001}, "description"),
        ({"is_public": 1}, "is_public"),
        ({"owner": 1, "name": "ok"}, "owner"),
        ({"is_verified": True}, "is_verified"),
        ({"content": None}, "content"),
    ],
)
def test_edits_that_are_refused_change_nothing(changes: dict[str, Any], field: str, site: Site) -> None:
    alice = person(site, "alice")
    announced(site, alice, name="Taken")
    mine = announced(site, alice, name="Mine")
    with pytest.raises(Invalid) as caught:
        site.datasets.edit(alice, mine.key, changes)
    assert list(fields(caught)) == [field]
    assert site.datasets.get(alice, mine.key) == mine


# ---------------------------------------------------------------------- offered by competitions
def offered(site: Site, actor: Actor, id: str) -> list[str]:
    return [each.offer.role for each in site.datasets.files(actor, id)]


def test_what_a_competition_gives_to_whom(site: Site) -> None:
    """platform.md section 6, 1: what participants may have, and nothing else, also by key."""
    alice, robert, mallory = person(site, "alice"), person(site, "robert"), person(site, "mallory")
    id = hosted(site, alice, published=True)
    site.registrations.register(robert, id)
    waiting = person(site, "waiting")
    site.registrations.register(waiting, id)
    (entry,) = [p.participation for p in site.registrations.participants(alice, id) if p.account.id == robert.account]
    site.registrations.decide(alice, entry.id, ParticipationStatus.APPROVED)
    everything = [
        "scoring_program", "reference_data", "scoring_program", "input_data", "reference_data", "public_data",
        "starting_kit", "solution",
    ]  # fmt: skip
    assert sorted(offered(site, alice, id)) == sorted(everything)
    assert sorted(offered(site, robert, id)) == ["public_data", "solution", "starting_kit"]
    assert offered(site, waiting, id) == offered(site, mallory, id) == offered(site, ANONYMOUS, id) == []
    keys = {each.offer.role: each.dataset.key for each in site.datasets.files(alice, id)}

    def downloadable(actor: Actor) -> set[str]:
        found = set()
        for role, key in keys.items():
            try:
                site.datasets.download(actor, key)
            except NotFound:
                continue
            found.add(role)
        return found

    assert downloadable(alice) == set(everything)
    assert downloadable(robert) == {"public_data", "starting_kit", "solution"}
    assert downloadable(waiting) == downloadable(mallory) == downloadable(ANONYMOUS) == set()
    site.competitions.edit(alice, id, {"make_programs_available": True, "make_input_data_available": True})
    assert downloadable(robert) == set(everything) - {"reference_data"}
    assert downloadable(mallory) == set()
    site.registrations.decide(alice, entry.id, ParticipationStatus.DENIED)
    assert downloadable(robert) == set()
    assert {each.id for each in site.datasets.used_by(mallory, list(keys.values()))[keys["input_data"]]} == {id}
    site.competitions.publish(alice, id, False)
    assert site.datasets.used_by(mallory, [keys["input_data"]]) == {keys["input_data"]: []}


# ---------------------------------------------------------------------- deleted
def test_what_is_needed_is_not_deleted(site: Site) -> None:
    """platform.md section 6, 14: starting kits, public data and solutions are in use, too."""
    alice = person(site, "alice")
    id = hosted(site, alice)
    used = [d for d in site.db.datasets(competition=id) if d.type is not DataRole.COMPETITION_BUNDLE]
    assert {d.type.value for d in used} >= {
        "scoring_program",
        "reference_data",
        "input_data",
        "public_data",
        "solution",
    }
    free = sent(site, alice)
    for dataset in used:
        with pytest.raises(Refused, match="in use"):
            site.datasets.delete(alice, dataset.id)
        with pytest.raises(Refused):
            site.datasets.delete_many(alice, [free.key, dataset.key])
    assert site.datasets.get(alice, free.key)
    site.competitions.delete(alice, id)
    for task in site.tasks.list(alice).items:
        site.tasks.delete(alice, task.id)
    assert site.datasets.delete_many(alice, [free.key, *(d.id for d in used)]) == len(used) + 1
    assert site.datasets.list(alice, WantedDatasets(types=tuple({d.type for d in used}))).total == 0


def test_bytes_of_what_was_deleted_may_go(site: Site) -> None:
    alice = person(site, "alice")
    gone, kept = sent(site, alice), sent(site, alice, zipped({"other.csv": b""}))
    site.datasets.delete(alice, gone.key)
    named = named_digests(site.db)
    assert gone.blob is not None
    assert kept.blob is not None
    assert gone.blob.sha256 not in named
    assert kept.blob.sha256 in named


def test_a_backup_has_what_people_uploaded(tmp_path: Path, clock: Clock) -> None:
    ws = cb.Workspace(tmp_path / "lab", backend="process", dispatch=False)
    site = Site(ws, SiteSettings.model_validate(QUICK), now=clock)
    alice = person(site, "alice")
    keys = [sent(site, alice).key, sent(site, alice, b"1,2\n", "input_data", file_name="x.csv").key]
    assert ("", "u1", "data") in {(row.competition, row.user, row.kind) for row in ws.usage().rows}
    ws.backup(tmp_path / "copy")
    close_site(site)
    again = cb.Workspace.restore(tmp_path / "copy", tmp_path / "new", backend="process", dispatch=False)
    with Site(again, SiteSettings.model_validate(QUICK), now=clock) as restored:
        assert [fetched(restored, restored.datasets.download(alice, key)) for key in keys] == [ZIP, b"1,2\n"]
    again.close()
