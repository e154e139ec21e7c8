"""Tasks: made of data sets, edited in part, shared, uploaded as archives, deleted where no competition has them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hosting_lab import bundle, hosted, zipped
from site_lab import person
from upload_lab import announced, sent

from codabench.core.errors import BundleError, Invalid, NotFound, NotSignedIn, Refused
from codabench.core.hosting import SharedTask
from codabench.core.trees import TreeRef
from codabench.db.resources import WantedDatasets
from codabench.db.shared_tasks import WantedTasks
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.site import Site

SCORING = zipped({"metadata": b"command: python3 $program/score.py\n", "score.py": b"1"})
OTHER = zipped({"metadata": b"command: python3 $program/score.py\n", "score.py": b"2"})
TRUTH = zipped({"labels.csv": b"SECRET-LABELS\n"})
NOBODY = "8e2b7a44-0c1d-4b6f-a5e3-6f7081920a02"


def made(site: Site, actor: Actor, **more: Any) -> SharedTask:
    scoring = sent(site, actor, SCORING, "scoring_program", name=None).key
    truth = sent(site, actor, TRUTH, "reference_data").key
    return site.tasks.create(actor, {"name": "Capitals", "scoring_program": scoring, "reference_data": truth, **more})


# ---------------------------------------------------------------------- making
def test_a_task_is_made_of_data_sets(site: Site) -> None:
    alice, carol = person(site, "alice"), person(site, "carol")
    task = made(site, alice, description="Name them", is_public=True, shared_with=[carol.account])
    assert (task.owner, task.name, task.description, task.is_public) == (alice.account, "Capitals", "Name them", True)
    assert list(task.parts) == ["scoring_program", "reference_data"]
    assert task.shared_with == {carol.account}
    assert site.tasks.get(alice, task.id) == site.tasks.get(alice, task.key) == task


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({}, ["name", "scoring_program"]),
        ({"name": " "}, ["name", "scoring_program"]),
        ({"name": "x" * 256}, ["name", "scoring_program"]),
        ({"name": 1, "description": []}, ["name", "scoring_program", "description"]),
        ({"name": "a", "scoring_program": NOBODY}, ["scoring_program"]),
        ({"name": "a", "scoring_program": ["x"]}, ["scoring_program"]),
        ({"name": "a", "is_public": "yes"}, ["scoring_program", "is_public"]),
        ({"name": "a", "owner": 1}, ["owner", "scoring_program"]),
        ({"name": "a", "shared_with": [99]}, ["scoring_program", "shared_with"]),
        ({"name": "a", "shared_with": "99"}, ["scoring_program", "shared_with"]),
    ],
)
def test_what_is_no_task(fields: dict[str, Any], wrong: list[str], site: Site) -> None:
    with pytest.raises(Invalid) as caught:
        site.tasks.create(person(site, "alice"), fields)
    assert set(caught.value.fields) == set(wrong)


def test_parts_have_to_fit_and_to_be_for_the_actor(site: Site) -> None:
    alice, mallory = person(site, "alice"), person(site, "mallory")
    scoring = sent(site, alice, SCORING, "scoring_program").key
    truth = sent(site, alice, TRUTH, "reference_data").key
    empty = announced(site, alice, role="input_data").key
    submission = sent(site, alice).key
    for role, key in [("reference_data", scoring), ("scoring_program", truth), ("input_data", submission)]:
        with pytest.raises(Invalid) as caught:
            site.tasks.create(alice, {"name": "a", "scoring_program": scoring, role: key})
        assert list(caught.value.fields) == [role]
    with pytest.raises(Invalid, match="Nothing was uploaded"):
        site.tasks.create(alice, {"name": "a", "scoring_program": scoring, "input_data": empty})
    # What is somebody else's, and what is not there, are told in the same words.
    said = []
    for key in (truth, NOBODY):
        mine = sent(site, mallory, SCORING, "scoring_program").key
        with pytest.raises(Invalid) as caught:
            site.tasks.create(mallory, {"name": "a", "scoring_program": mine, "reference_data": key})
        said.append(caught.value.fields["reference_data"][0].replace(key, "KEY"))
    assert said[0] == said[1] == "Object with key=KEY does not exist."
    site.datasets.edit(alice, truth, {"is_public": True})
    assert site.tasks.create(mallory, {"name": "a", "scoring_program": mine, "reference_data": truth})


def test_nobody_makes_none(site: Site) -> None:
    for who in (ANONYMOUS, OPERATOR):
        with pytest.raises((NotSignedIn, Invalid)):
            site.tasks.create(who, {"name": "a"})
        with pytest.raises((NotSignedIn, Invalid)):
            site.tasks.upload(who, io.BytesIO(b""))
    with pytest.raises(NotSignedIn):
        site.tasks.list(ANONYMOUS)


# ---------------------------------------------------------------------- changing
def test_what_is_not_named_stays(site: Site) -> None:
    """platform.md section 6, 21."""
    alice = person(site, "alice")
    task = made(site, alice, description="old")
    assert site.tasks.edit(alice, task.id, {"name": "New"}) == task.model_copy(update={"name": "New"})
    changed = site.tasks.edit(alice, task.id, {"reference_data": None, "description": None})
    assert (changed.reference_data, changed.description) == (None, "")
    assert changed.scoring_program == task.scoring_program
    assert site.tasks.set_public(alice, task.key, True).is_public
    with pytest.raises(Invalid):
        site.tasks.edit(alice, task.id, {"name": "Newer", "scoring_program": None})
    assert site.tasks.get(alice, task.id).name == "New"


def test_who_sees_and_changes_tasks(site: Site) -> None:
    alice, carol, mallory = person(site, "alice"), person(site, "carol"), person(site, "mallory")
    root = person(site, "admin", is_superuser=True)
    task = made(site, alice)
    for who in (carol, mallory, ANONYMOUS):
        with pytest.raises(NotFound):
            site.tasks.get(who, task.id)
    site.tasks.share(alice, task.id, [carol.account or 0])
    assert site.tasks.get(carol, task.id).name == "Capitals"
    assert [t.id for t in site.tasks.list(carol).items] == [task.id]
    assert site.tasks.list(mallory, WantedTasks(or_public=True)).total == 0
    with pytest.raises(Refused):
        site.tasks.edit(carol, task.id, {"name": "mine"})
    # Whoever may use a task may have what it is made of.
    assert site.datasets.download(carol, task.reference_data or "")
    with pytest.raises(NotFound):
        site.datasets.download(mallory, task.reference_data or "")
    site.tasks.share(alice, task.id, [])
    with pytest.raises(NotFound):
        site.tasks.get(carol, task.id)
    site.tasks.set_public(alice, task.id, True)
    assert site.tasks.get(mallory, task.id)
    assert site.tasks.list(mallory).total == 0
    assert [t.id for t in site.tasks.list(mallory, WantedTasks(or_public=True, text="CAPIT")).items] == [task.id]
    assert site.tasks.edit(root, task.id, {"name": "Cities"}).name == "Cities"
    with pytest.raises(Refused):
        site.tasks.delete(root, task.id)


def document(task: SharedTask) -> dict[str, Any]:
    return {
        "title": "Cities",
        "terms": "Be fair.",
        "pages": [{"title": "Overview", "content": "# Cities"}],
        "phases": [{"name": "First", "start": "2026-01-01", "tasks": [task.key]}],
        "leaderboards": [
            {"title": "Board", "key": "b", "columns": [{"title": "Score", "key": "score", "index": 0}]},
        ],
    }


def test_an_edited_task_is_used_from_then_on_where_its_owner_organizes(site: Site) -> None:
    """platform.md O71: new submissions run on it; what others made of a public task stays as it was."""
    alice, carol = person(site, "alice"), person(site, "carol")
    task = made(site, alice, is_public=True)
    mine, theirs = (site.competitions.describe(who, document(task)) for who in (alice, carol))
    new = sent(site, alice, OTHER, "scoring_program")
    site.tasks.edit(alice, task.id, {"name": "Towns", "scoring_program": new.key})
    kept = {id: site.db.competition(id).tasks[0] for id in (mine, theirs)}
    assert (kept[mine].name, kept[theirs].name) == ("Towns", "Capitals")
    for id, data in ((mine, b"2"), (theirs, b"1")):
        competition = site.workspace.competition(id)
        assert competition.tree(kept[id].scoring_program).read_bytes("score.py") == data  # type: ignore[arg-type]
        competition.close()
    assert (kept[mine].key, kept[mine].index) == (kept[theirs].key, kept[theirs].index)
    assert [r.number for r in site.workspace.competition(mine).revisions()] == [1, 2]
    # The old program is needed by the other competition still; the task by both.
    assert {each.id for each in site.tasks.used_by(alice, [task.key])[task.key]} == {mine}
    with pytest.raises(Refused):
        site.datasets.delete(alice, task.scoring_program or "")


# ---------------------------------------------------------------------- deleting
def test_only_what_no_competition_has_is_deleted(site: Site) -> None:
    alice, mallory = person(site, "alice"), person(site, "mallory")
    used, free = made(site, alice), made(site, alice)
    id = site.competitions.describe(alice, document(used))
    for several in ([used.id], [free.id, used.id], [free.id, 999]):
        with pytest.raises((Refused, NotFound)):
            site.tasks.delete_many(alice, several)
    with pytest.raises(NotFound):
        site.tasks.delete(mallory, free.id)
    assert site.tasks.list(alice).total == 2
    with pytest.raises(Refused):
        site.datasets.delete(alice, free.reference_data or "")
    assert site.tasks.delete_many(alice, [free.id, free.key, free.id]) == 2
    site.datasets.delete(alice, free.reference_data or "")
    site.competitions.delete(alice, id)
    site.tasks.delete(alice, used.id)
    assert site.tasks.list(alice).total == 0


# ---------------------------------------------------------------------- archives
TASK = """\
name: Capitals
description: Name the capitals
is_public: true
scoring_program: {zip: scoring.zip}
reference_data: {zip: truth.zip}
"""


def archive(text: str | None = TASK, **files: bytes) -> io.BytesIO:
    given = {"scoring.zip": SCORING, "truth.zip": TRUTH, **files}
    return io.BytesIO(zipped({**given, **({"task.yaml": text.encode()} if text is not None else {})}))


def test_a_task_is_uploaded(site: Site) -> None:
    alice = person(site, "alice")
    task = site.tasks.upload(alice, archive())
    assert (task.name, task.description, task.is_public) == ("Capitals", "Name the capitals", True)
    truth = site.datasets.get(alice, task.reference_data or "")
    assert (truth.type, truth.file_name, truth.name) == (
        "reference_data", "truth.zip", "Capitals - reference data truth.zip",
    )  # fmt: skip
    assert isinstance(truth.content, TreeRef)
    assert site.workspace.storage.open_tree(truth.content).read_bytes("labels.csv") == b"SECRET-LABELS\n"
    # The same once more is another task.
    assert site.tasks.upload(alice, archive()).key != task.key


def test_parts_of_a_task_by_key(site: Site) -> None:
    """A key and a zip: the key counts."""
    alice, mallory = person(site, "alice"), person(site, "mallory")
    truth = sent(site, alice, TRUTH, "reference_data")
    before = site.datasets.list(alice).total
    text = TASK.replace("{zip: truth.zip}", f"{{zip: truth.zip, key: {truth.key}}}")
    assert site.tasks.upload(alice, archive(text)).reference_data == truth.key
    assert site.datasets.list(alice).total == before + 1
    with pytest.raises(BundleError, match=truth.key):
        site.tasks.upload(mallory, archive(text.replace("zip: truth.zip, ", "")))
    assert site.datasets.list(mallory).total == 0


@pytest.mark.parametrize(
    ("file", "code"),
    [
        (io.BytesIO(b"no zip"), "CB023"),
        (io.BytesIO(zipped({"x": b""})), "CB110"),
        (archive(None), "CB110"),
        (archive("- a\n- b\n"), "CB009"),
        (archive(TASK.replace("name: Capitals\n", "")), "CB101"),
        (archive(TASK.replace("scoring_program: {zip: scoring.zip}\n", "")), "CB101"),
        (archive(TASK.replace("{zip: scoring.zip}", "{file: scoring.zip}")), "CB161"),
        (archive(TASK.replace("scoring.zip", "scoring.tar")), "CB162"),
        (archive(TASK.replace("truth.zip", "missing.zip")), "CB301"),
        (archive(TASK.replace("{zip: truth.zip}", "{key: truth}")), "CB163"),
        (archive(TASK.replace("{zip: truth.zip}", f"{{key: {NOBODY}}}")), "CB304"),
        (archive(**{"truth.zip": zipped({"../evil": b""})}), "CB308"),
        (archive("a: [\n"), "CB001"),
    ],
)  # fmt: skip
def test_archives_that_are_no_task(file: io.BytesIO, code: str, site: Site) -> None:
    alice = person(site, "alice")
    file.seek(0)
    with pytest.raises(BundleError) as caught:
        site.tasks.upload(alice, file, "my task.zip")
    report = caught.value.report
    codes = {caught.value.code} | {p.code for p in (report.errors if report else ())}
    assert code in codes, json.dumps(sorted(codes))
    assert str(site.workspace.scratch) not in str(caught.value) + str(report)
    assert site.tasks.list(alice).total == 0
    assert site.datasets.list(alice, WantedDatasets()).total == 0


def test_the_bundle_of_a_competition_is_no_task(site: Site) -> None:
    with pytest.raises(BundleError, match="bundle of a competition"):
        site.tasks.upload(person(site, "alice"), io.BytesIO(bundle()))


def test_solutions_are_for_those_who_take_part(site: Site) -> None:
    """platform.md O77, P25."""
    alice, mallory = person(site, "alice"), person(site, "mallory")
    id = hosted(site, alice, published=True)
    key = site.db.competition(id).tasks[0].key or ""
    (solution,) = site.tasks.solutions(alice, key)
    assert solution.type == "solution"
    assert site.tasks.solutions(mallory, key) == []
    with pytest.raises(NotFound):
        site.datasets.download(mallory, solution.key)
