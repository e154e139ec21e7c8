"""Tasks made, changed, shared, uploaded and deleted by forms; and what is cleaned up."""

from __future__ import annotations

import pytest
from hosting_lab import hosted, uploaded, zipped
from pages_lab import Browser
from site_lab import person

from codabench.core.competition import DataRole
from codabench.core.hosting import Dataset, SharedTask
from codabench.site.actors import OPERATOR, Actor
from codabench.site.site import Site

SCORING = zipped({"metadata": b"command: python3 $program/score.py\n", "score.py": b"1"})


@pytest.fixture
def alice(site: Site) -> Actor:
    return person(site, "alice")


@pytest.fixture
def me(site: Site, alice: Actor) -> Browser:
    return Browser(site, alice)


def program(site: Site, actor: Actor, role: DataRole = DataRole.SCORING_PROGRAM) -> Dataset:
    return uploaded(site, actor, SCORING, role=role)


def only(site: Site, actor: Actor) -> SharedTask:
    (task,) = site.tasks.list(actor).items
    return task


def test_a_task_is_made_changed_shared_and_deleted(site: Site, alice: Actor, me: Browser) -> None:
    scoring, truth = program(site, alice), program(site, alice, DataRole.REFERENCE_DATA)
    me.open("/tasks/").follow("Make a task").press("Save", name="Capitals")
    assert me.status == 400
    assert "needs a scoring program" in me.words
    me.press("Save", scoring_program=scoring.key, reference_data=truth.key, description="*Name* them")
    assert "The task is made" in me.words
    task = only(site, alice)
    assert (task.name, task.scoring_program, task.reference_data) == ("Capitals", scoring.key, truth.key)
    assert task.key in me.text
    page = me.path

    bob = person(site, "bobby")
    other = Browser(site, bob)
    assert other.open(page).status == 404
    assert "no account" in me.press("Share", shared_with="nobody1").words
    me.press("Share", shared_with="bobby")
    assert only(site, alice).shared_with == {bob.account}
    assert "Capitals" in other.open("/tasks/").words
    other.open(page)
    assert "Edit" not in other.words
    assert other.open(f"{page}edit/").status == 403
    assert dict(me.open(page).form("Share")[0].fields)["shared_with"] == "bobby"
    me.press("Share", shared_with="")
    assert other.open(page).status == 404

    me.open(page).press("Make public")
    assert "Capitals" in other.open("/tasks/?public=on").words
    me.press("Make private")
    assert "Capitals" not in other.open("/tasks/?public=on").words

    me.follow("Edit").press("Save", name="Rivers", reference_data="", ingestion_only_during_scoring="on")
    task = only(site, alice)
    assert (task.name, task.description, task.reference_data) == ("Rivers", "*Name* them", None)
    assert task.ingestion_only_during_scoring
    assert me.open(f"{page}edit/").press("Save", name="").status == 400

    me.open("/tasks/").press("Delete what is chosen", id=task.id)
    assert "Rivers" in me.words
    me.press("Delete for ever")
    assert "1 task deleted" in me.words
    assert site.tasks.list(alice).items == []


def test_a_task_comes_as_an_archive(site: Site, alice: Actor, me: Browser) -> None:
    me.open("/tasks/").follow("Upload a task").press("Upload")
    assert "Choose a file" in me.words
    me.press("Upload", {"data": ("task.zip", zipped({"readme.md": b"x"}))})
    assert me.status == 400
    assert "task.yaml" in me.words
    text = b"name: Capitals\ndescription: Name them\nscoring_program: {zip: scoring.zip}\n"
    me.press("Upload", {"data": ("task.zip", zipped({"task.yaml": text, "scoring.zip": SCORING}))})
    assert "The task is made" in me.words
    assert only(site, alice).name == "Capitals"


@pytest.mark.row("W03")
def test_secret_files_of_a_public_task_are_not_shown(site: Site, alice: Actor, me: Browser) -> None:
    hosted(site, alice)
    task = next(each for each in site.tasks.list(alice).items if each.name == "First")
    assert "reference data" in me.open(f"/tasks/{task.id}/").words
    site.tasks.set_public(alice, task.id, True)
    other = Browser(site, person(site, "bobby")).open(f"/tasks/{task.id}/")
    assert "not for you" in other.words
    assert task.reference_data is not None
    assert task.reference_data not in other.text


def test_what_a_competition_has_stays(site: Site, alice: Actor, me: Browser) -> None:
    hosted(site, alice)
    assert "Wheat seeds" in me.open("/tasks/").words
    me.follow("Delete First").press("Delete for ever")
    assert "Nothing was deleted" in me.words
    assert len(site.tasks.list(alice).items) == 2


@pytest.mark.parametrize("what", ["tasks", "datasets", "submissions"])
def test_what_nothing_needs_is_cleaned_up(site: Site, alice: Actor, me: Browser, what: str) -> None:
    used, spare = program(site, alice), program(site, alice)
    site.tasks.create(alice, {"name": "Spare", "scoring_program": used.key})
    program(site, alice, DataRole.SUBMISSION)
    before = site.quota.cleanup(alice)
    assert before == (1, 1, 1, 0)
    words = {
        "tasks": "tasks that no competition has",
        "datasets": "datasets and programs that nothing has",
        "submissions": "uploaded files that are no submission",
    }[what]
    me.open("/tasks/").follow("Clean up what nothing needs").follow(f"Delete {words}")
    assert site.quota.cleanup(alice) == before
    me.press("Delete for ever")
    assert f"1 {words} deleted" in me.words
    assert getattr(site.quota.cleanup(alice), what) == 0
    assert site.db.datasets(keys=[used.key])
    assert bool(site.db.datasets(keys=[spare.key])) == (what != "datasets")


def test_how_much_is_used_is_shown(site: Site, alice: Actor, me: Browser) -> None:
    site.accounts.set_quota(OPERATOR, alice.account or 0, 10 * len(SCORING))
    program(site, alice)
    assert 'value="0.1"' in me.open("/datasets/").text
    assert 'value="0.1"' in me.open("/datasets/cleanup/").text
