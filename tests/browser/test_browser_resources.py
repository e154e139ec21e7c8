"""Buttons of data sets and tasks, pressed without scripts; the effect is read from the REST API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser_lab import Person, Served, answer
from hosting_lab import zipped

Sit = Callable[..., Person]

PROGRAM = zipped({"metadata": b"command: python3 $program/score.py\n", "score.py": b""})
_FOR_EVER = "Delete for ever"


@pytest.mark.presses(
    ("POST", "/datasets/create/upload/", "Upload"),
    ("POST", "/datasets/N/edit/", "Save"),
    ("POST", "/datasets/N/publish/", "Make public"),
    ("POST", "/datasets/N/publish/", "Make private"),
    ("POST", "/datasets/N/verify/", "Verify"),
    ("POST", "/datasets/N/verify/", "Take the verification back"),
    ("POST", "/datasets/delete/", _FOR_EVER),
    ("GET", "/datasets/delete/", "Delete what is chosen"),
    ("GET", "/datasets/", "Show"),
    ("GET", "/datasets/submissions/", "Show"),
    ("GET", "/datasets/bundles/", "Show"),
    ("GET", "/datasets/public/", "Show"),
)
def test_data_sets(served: Served, sit_down: Sit) -> None:
    actor, root = served.somebody("dora"), served.somebody("root", is_superuser=True)
    me, name = sit_down(actor, java_script_enabled=False), served.name("data")
    with me.api() as api:
        me.open("/datasets/create/").press("Upload", type="public_data", name=name, data=answer())
        found = api.get("/datasets/", params={"search": name}).json()["results"][0]
        at = f"/datasets/{found['id']}/"
        assert api.get(found_at := f"/datasets/{found['id']}/").json()["name"] == name
        me.open(f"{at}edit/").press("Save", description="Of wheat.")
        assert api.get(found_at).json()["description"] == "Of wheat."
        me.open(at).press("Make public")
        assert api.get(found_at).json()["is_public"] is True
        boss = sit_down(root, java_script_enabled=False)
        boss.open(at).press("Verify")
        assert served.site.datasets.get(actor, found["id"]).is_verified
        me.open("/datasets/public/").press("Show", search=name, verified=True)
        assert name in me.words
        boss.open(at).press("Take the verification back")
        assert not served.site.datasets.get(actor, found["id"]).is_verified
        me.open(at).press("Make private")
        assert api.get(found_at).json()["is_public"] is False
        for listed, shows in (("", True), ("submissions/", False), ("bundles/", False)):
            me.open(f"/datasets/{listed}").press("Show", search=name)
            assert (name in me.page.locator("tbody").inner_text()) if shows else (name not in me.words)
        me.open("/datasets/")
        me.page.get_by_label(f"Choose {name}").check()
        me.press("Delete what is chosen").press(_FOR_EVER)
        assert api.get(found_at).status_code == 404


@pytest.mark.presses(
    ("POST", "/tasks/create/", "Save"),
    ("POST", "/tasks/N/edit/", "Save"),
    ("POST", "/tasks/N/publish/", "Make public"),
    ("POST", "/tasks/N/publish/", "Make private"),
    ("POST", "/tasks/N/share/", "Share"),
    ("POST", "/tasks/upload/", "Upload"),
    ("POST", "/tasks/delete/", _FOR_EVER),
    ("GET", "/tasks/delete/", "Delete what is chosen"),
    ("GET", "/tasks/", "Show"),
)
def test_tasks(served: Served, sit_down: Sit) -> None:
    actor, friend = served.somebody("emma"), served.somebody("fred")
    me, name = sit_down(actor, java_script_enabled=False), served.name("task")
    program = served.uploaded(actor, "scoring_program", PROGRAM)
    with me.api() as api, served.api(friend) as theirs:
        me.open("/tasks/create/").press("Save", name=name, scoring_program=program)
        found = api.get("/tasks/", params={"search": name}).json()["results"][0]
        at = f"/tasks/{found['id']}/"
        assert theirs.get(at).status_code == 404
        me.open(f"{at}edit/").press("Save", description="To be scored.")
        assert api.get(at).json()["description"] == "To be scored."
        me.open(at).press("Share", shared_with=friend.username)
        assert theirs.get(at).status_code == 200
        me.open(at).press("Make public")
        assert api.get(at).json()["is_public"] is True
        me.press("Make private")
        assert api.get(at).json()["is_public"] is False
        text = f"name: {name} again\ndescription: Twice.\nscoring_program: {{zip: program.zip}}\n".encode()
        me.open("/tasks/upload/").press("Upload", data=zipped({"task.yaml": text, "program.zip": PROGRAM}))
        assert api.get("/tasks/", params={"search": f"{name} again"}).json()["results"]
        me.open("/tasks/").press("Show", search=f"{name} again")
        me.page.get_by_label(f"Choose {name} again").check()
        me.press("Delete what is chosen").press(_FOR_EVER)
        assert not api.get("/tasks/", params={"search": f"{name} again"}).json()["results"]


@pytest.mark.presses(
    ("POST", "/datasets/cleanup/tasks/", _FOR_EVER),
    ("POST", "/datasets/cleanup/datasets/", _FOR_EVER),
    ("POST", "/datasets/cleanup/submissions/", _FOR_EVER),
    ("POST", "/datasets/cleanup/failed/", _FOR_EVER),
)
def test_what_nothing_needs_is_removed(served: Served, sit_down: Sit) -> None:
    actor = served.somebody("gina")
    number = served.competition(actor)
    served.submit(actor, number, zipped({"answer.csv": b"nothing"}))
    program = served.uploaded(actor, "scoring_program", PROGRAM)
    served.uploaded(actor, "submission", PROGRAM)
    served.site.tasks.create(actor, {"name": served.name("spare"), "scoring_program": program})
    me = sit_down(actor, java_script_enabled=False)
    with me.api() as api:
        for path, field in (
            ("tasks", "unused_tasks"),
            ("datasets", "unused_datasets_programs"),
            ("submissions", "unused_submissions"),
            ("failed", "failed_submissions"),
        ):
            assert api.get("/user_quota_cleanup/").json()[field] == 1, field
            me.open("/datasets/cleanup/").open(f"/datasets/cleanup/{path}/").press(_FOR_EVER)
            assert api.get("/user_quota_cleanup/").json()[field] == 0, field
