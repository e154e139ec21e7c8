"""What a site keeps of competitions, of those who take part in them, of jobs and of numbers."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from db_samples import AT, TREE, admitted

from codabench.core.competition import CompetitionSpec, DataRole
from codabench.core.errors import NotFound
from codabench.core.hosting import Dataset, Hosted, JobKind, JobState, SharedTask
from codabench.core.people import ParticipationStatus as P
from codabench.core.trees import BlobRef
from codabench.db.database import Database
from codabench.db.hosting import Wanted

LATER = AT + timedelta(hours=1)


def person(db: Database, name: str) -> int:
    made = db.add_account(name, email=f"{name}@example.org", password=None, at=AT, is_active=True)
    assert made is not None
    return made.id


def competition(db: Database, id: str, owner: int, days: int = 0, **more: Any) -> None:
    said = {key: more.pop(key) for key in ("title", "description", "reward", "competition_type") if key in more}
    db.add_competition(id, CompetitionSpec(**{"title": id, **said}), source="there", at=AT)
    at = AT + timedelta(days=days)
    db.host(Hosted(competition=id, owner=owner, secret_key=f"key-{id}", created_at=at, **more))


def dataset(key: str, owner: int, **more: Any) -> Dataset:
    values = {"type": DataRole.INPUT_DATA, "name": "data", "file_name": "data.zip", "size": 3, "created_at": AT}
    return Dataset(key=key, owner=owner, **{**values, **more})


def ids(db: Database, **wanted: Any) -> list[str]:
    return [each.hosted.competition for each in db.listed(Wanted(**wanted))]


# ---------------------------------------------------------------------- competitions
def test_what_is_hosted_comes_back(db: Database) -> None:
    ann, bob = person(db, "ann"), person(db, "bob")
    given = Hosted(
        competition="c", owner=ann, secret_key="k", published=True, allow_robots=True, report="https://example.org/",
        whitelist=("a@example.org",), collaborators=frozenset({bob}), created_at=AT,
    )  # fmt: skip
    data = dataset("d1", ann, content=TREE, competition="c", came_with_bundle=True)
    task = SharedTask(key="t1", owner=ann, name="T", scoring_program="d1", created_at=AT)
    db.host(given, [data], [task])
    assert db.hosted("c") == given
    assert db.dataset("d1") == data.model_copy(update={"id": 1})
    assert db.tasks(["t1", "t2"])[0].parts == {"scoring_program": "d1"}
    assert {p.account for p, _ in db.participants("c", status=P.APPROVED)} == {ann, bob}
    db.host(given.model_copy(update={"published": False}), [data], [task])  # stopped half-way, and tried again
    assert db.hosted("c") == given


def test_data_sets_are_archives_or_files(db: Database) -> None:
    ann = person(db, "ann")
    for key, content in {"tree": TREE, "file": BlobRef(sha256="y", size=3), "nothing": None}.items():
        assert db.add_dataset(dataset(key, ann, content=content)).content == content
        assert db.dataset(key).content == content
    assert db.dataset("tree").blob == db.dataset("file").blob == BlobRef(sha256="y", size=3)
    assert [d.name for d in db.datasets()] == ["data", "data (file)", "data (nothing)"]
    db.change_dataset("tree", deleted_at=LATER)
    with pytest.raises(NotFound):
        db.dataset("tree")


def test_changes_of_what_is_hosted(db: Database) -> None:
    ann, bob = person(db, "ann"), person(db, "bob")
    competition(db, "x", ann, whitelist=("a@example.org",), report="https://example.org/")
    db.change_hosted("x", published=True, whitelist=["b@example.org"])
    found = db.hosted("x")
    assert (found.published, found.whitelist, found.report) == (True, ("b@example.org",), "https://example.org/")
    db.set_collaborators("x", [bob], at=AT)
    assert db.hosted("x").collaborators == {bob}
    db.set_collaborators("x", [], at=AT)
    assert db.hosted("x").collaborators == frozenset()
    taking_part = db.participation("x", bob)
    assert taking_part is not None  # stays
    assert taking_part.status is P.APPROVED
    with pytest.raises(NotFound):
        db.change_hosted("y", published=True)


def test_what_lists_show(db: Database) -> None:
    ann, bob, eve = person(db, "ann"), person(db, "bob"), person(db, "eve")
    competition(db, "old", ann, published=True, title="Wheat seeds", reward="1 000 €")
    competition(db, "new", ann, days=2, published=True, description="of Wheat, 100%", competition_type="benchmark")
    competition(db, "draft", bob, days=1, title="wheat draft", collaborators=frozenset({eve}))
    competition(db, "gone", ann, published=True)
    db.delete_competition("gone", at=AT)
    db.add_participation("new", bob, P.PENDING, at=AT)
    db.add_participation("old", eve, P.APPROVED, at=AT)

    assert ids(db) == ["old", "draft", "new"]
    assert ids(db, visible_to=0) == ids(db, published=True) == ["old", "new"]
    assert ids(db, visible_to=eve) == ids(db, visible_to=bob) == ["old", "draft", "new"]
    assert ids(db, visible_to=ann) == ["old", "new"]
    assert ids(db, organized_by=eve) == ["draft"]
    assert ids(db, taken_part_in_by=bob) == ["draft"]  # not where he waits
    assert ids(db, taken_part_in_by=eve) == ["old", "draft"]
    assert ids(db, with_reward=True) == ["old"]
    assert ids(db, competition_type="benchmark") == ["new"]
    assert ids(db, title="WHEAT") == ["old", "draft"]
    assert ids(db, text="wheat") == ["old", "draft", "new"]
    assert ids(db, text="100%") == ["new"]
    assert ids(db, text="100_") == []
    assert ids(db, order="recent") == ["new", "draft", "old"]
    assert ids(db, order="popular") == ["old", "draft", "new"]
    db.change_hosted("new", is_featured=True)
    assert ids(db, order="popular") == ["new", "old", "draft"]
    assert ids(db, featured=True) == ["new"]
    assert db.count_listed(Wanted(published=True)) == 2
    shown = db.listed(Wanted(published=True), offset=0, limit=1)
    assert [(s.title, s.reward, s.participants, s.submissions) for s in shown] == [("Wheat seeds", "1 000 €", 2, 0)]
    with pytest.raises(NotFound):
        db.hosted("gone")


def test_submissions_are_counted(db: Database) -> None:
    ann = person(db, "ann")
    db.host(Hosted(competition="c", owner=ann, secret_key="k", created_at=AT))
    competition(db, "quiet", ann, days=1)
    for id in ("s1", "s2", "s3"):
        admitted(db, id, runs=0)
    db.delete_submission("s2", at=AT, kind="soft")
    db.delete_submission("s3", at=AT, kind="hard")
    assert db.count_submissions() == 2
    assert [(s.hosted.competition, s.submissions) for s in db.listed(Wanted(order="busy"))] == [("c", 2), ("quiet", 0)]


# ---------------------------------------------------------------------- participations
def test_one_application_for_ever(db: Database) -> None:
    ann, bob = person(db, "ann"), person(db, "bob")
    competition(db, "x", ann)
    made = db.add_participation("x", bob, P.PENDING, at=AT)
    assert made is not None
    assert (made.status, made.decided_at) == (P.PENDING, None)
    assert db.add_participation("x", bob, P.APPROVED, at=LATER) is None
    assert db.decide_participation(made.id, P.DENIED, at=LATER)
    assert not db.decide_participation(made.id, P.DENIED, at=LATER)
    assert db.approve_participation("x", bob, at=LATER).status is P.DENIED
    assert db.participation_numbered(made.id) == db.participation("x", bob) == db.participations_of(bob)["x"]
    assert [a.username for _, a in db.participants("x")] == ["ann", "bob"]
    assert [a.username for _, a in db.participants("x", status=P.DENIED)] == ["bob"]
    assert [a.username for _, a in db.participants("x", containing="nn@ex")] == ["ann"]
    db.empty_account(bob, at=LATER, digest=None, until=LATER)
    assert [a.id for _, a in db.participants("x")] == [ann]
    assert [a.id for _, a in db.participants("x", deleted=True)] == [ann, bob]


# ---------------------------------------------------------------------- jobs
def test_the_life_of_a_job(db: Database) -> None:
    ann = person(db, "ann")
    job = db.add_job(JobKind.BUNDLE, ann, {"dataset": "d"}, at=AT)
    assert (job.state, job.given) == (JobState.WAITING, {"dataset": "d"})
    taken = db.claim_job("h1", now=AT, until=LATER)
    assert taken is not None
    assert taken.id == job.id
    assert db.claim_job("h2", now=AT, until=LATER) is None
    assert db.beat_job(job.id, "h1", until=LATER, done=0.5, details="reading")
    assert not db.beat_job(job.id, "h2", until=LATER, done=0.6, details="?")
    # Its holder is silent: another takes it, and what the first says does not count any more.
    again = db.claim_job("h2", now=LATER, until=LATER + timedelta(hours=1))
    assert again is not None
    assert again.id == job.id
    assert not db.end_job(job.id, "h1", JobState.FAILED, at=LATER)
    assert db.end_job(job.id, "h2", JobState.FINISHED, at=LATER, result="c", competition="c")
    ended = db.job(job.id)
    assert (ended.state, ended.done, ended.result, ended.competition) == (JobState.FINISHED, 1.0, "c", "c")
    assert db.claim_job("h3", now=LATER + timedelta(days=1), until=LATER) is None
    assert db.jobs(competition="c", kind=JobKind.BUNDLE) == [ended]
    assert db.jobs(kind=JobKind.DUMP) == []


def test_a_job_is_taken_once(db: Database) -> None:
    ann, taken = person(db, "ann"), []
    for _ in range(20):
        db.add_job(JobKind.DUMP, ann, {}, at=AT)

    def take(holder: str) -> None:
        while (job := db.claim_job(holder, now=AT, until=LATER)) is not None:
            taken.append(job.id)

    threads = [threading.Thread(target=take, args=(f"h{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 21))


# ---------------------------------------------------------------------- numbers
def test_numbers_are_given_out_once(db: Database) -> None:
    first = db.numbers("phase", ["c:0", "c:1"])
    assert sorted(first.values()) == [1, 2]
    assert db.numbers("phase", ["c:1", "c:2", "c:0"]) == {**first, "c:2": db.numbers("phase", ["c:2"])["c:2"]}
    other = db.numbers("submission", ["c:0"])["c:0"]
    assert other not in db.numbers("phase", ["c:0", "c:1", "c:2"]).values()
    assert db.numbered("phase", first["c:1"]) == "c:1"
    assert db.numbered("submission", first["c:1"]) is None


def test_whoever_asks_gets_the_same_number(db: Database) -> None:
    found: list[dict[str, int]] = []
    keys = [f"s{n}" for n in range(50)]
    threads = [threading.Thread(target=lambda: found.append(db.numbers("submission", keys))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each == found[0] for each in found)
    assert len(set(found[0].values())) == 50
