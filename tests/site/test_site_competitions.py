"""Competitions on a site: from a bundle to its dump, with everything between."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hosting_lab import YAML, bundle, hosted, unpacked, uploaded, zipped
from site_lab import Clock, person

import codabench as cb
from codabench.bundle.keys import parts_of
from codabench.core.competition import DataRole
from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused, UsageError
from codabench.core.hosting import JobKind, JobState
from codabench.core.people import ParticipationStatus as P
from codabench.site.actors import ANONYMOUS, OPERATOR
from codabench.site.policy import Action
from codabench.site.site import Site


# ---------------------------------------------------------------------- from a bundle
def test_a_bundle_becomes_a_competition(site: Site) -> None:
    ann = person(site, "annie")
    id = hosted(site, ann)
    found = site.competitions.look(ann, id)
    assert (found.spec.title, found.hosted.owner, found.hosted.published) == ("Wheat seeds", ann.account, False)
    assert found.participation is not None
    assert found.participation.status is P.APPROVED
    # Every program, data set, kit and task is a resource of hers by a key of its own.
    keys = {part.key for part in parts_of(found.spec)}
    assert None not in keys
    datasets = {d.key: d for d in site.db.datasets(keys=[k for k in keys if k])}
    assert datasets.keys() == keys
    assert {d.owner for d in datasets.values()} == {ann.account}
    assert sorted(d.type.value for d in datasets.values()) == sorted(
        ["scoring_program", "reference_data", "input_data", "public_data", "solution"]
    )
    tasks = site.db.tasks([task.key or "" for task in found.spec.tasks])
    assert [(t.name, t.owner, t.ingestion_only_during_scoring) for t in tasks] == [
        ("First", ann.account, True), ("Second", ann.account, False)
    ]  # fmt: skip
    assert tasks[1].input_data in keys
    with site.workspace.storage.open_tree(datasets[tasks[0].reference_data or ""].content) as tree:  # type: ignore[arg-type]
        assert tree.read_bytes("labels.csv") == b"SECRET-LABELS\n"


def test_how_far_it_is(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    job = site.competitions.create(ann, uploaded(site, ann, bundle()).key)
    assert job.state is JobState.WAITING
    job = site.jobs.wait(ann, job.id)
    assert (job.state, job.done, job.kind) == (JobState.FINISHED, 1.0, JobKind.BUNDLE)
    with pytest.raises(Refused):
        site.jobs.get(bob, job.id)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"no zip at all", "not a zip"),
        (zipped({"readme.md": b"x"}), "no competition.yaml"),
        (bundle(text="version: 2\ntitle: X\n"), "CB"),
        (bundle(files={"overview.md": b""}), "empty"),
        (bundle(text="version: 7\ntitle: X\n"), "not known"),
        (zipped({"task.yaml": b"name: T\ndescription: ''\nscoring_program: {zip: s.zip}\n"}), "task"),
    ],
)
def test_a_bundle_that_cannot_be_used_is_dropped(site: Site, data: bytes, said: str) -> None:
    ann = person(site, "annie")
    dataset = uploaded(site, ann, data)
    job = site.jobs.wait(ann, site.competitions.create(ann, dataset.key).id)
    assert job.state is JobState.FAILED
    assert said in job.details
    assert str(site.workspace.scratch) not in job.details  # no path of this machine
    assert site.competitions.mine(ann) == []
    with pytest.raises(NotFound):
        site.db.dataset(dataset.key)


def test_a_job_that_was_stopped_is_done_once(site: Site, clock: Clock) -> None:
    """Its process is killed after the competition was kept, and another one takes the job over."""
    ann = person(site, "annie")
    job = unpacked(site, ann, bundle())
    again = site.jobs._works[JobKind.BUNDLE](job, lambda done, details: None)
    assert again.result == job.result
    assert [each.hosted.competition for each in site.competitions.mine(ann)] == [job.result]
    assert len(site.db.datasets(competition=job.result)) == 6


def test_a_job_of_a_silent_process_is_taken_over(site: Site, clock: Clock) -> None:
    ann = person(site, "annie")
    dataset = uploaded(site, ann, bundle())
    job = site.db.add_job(JobKind.BUNDLE, ann.account or 0, {"dataset": dataset.key}, at=clock())
    assert site.db.claim_job("somebody who was killed", now=clock(), until=clock() + timedelta(seconds=60))
    site.tick()
    assert site.jobs.wait(ann, job.id, timeout=0.5).state is JobState.RUNNING
    clock.forward(seconds=61)
    assert site.jobs.wait(ann, job.id, timeout=60).state is JobState.FINISHED


def test_only_ones_own_bundle(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    theirs = uploaded(site, ann, bundle())
    with pytest.raises(NotFound):
        site.competitions.create(bob, theirs.key)
    with pytest.raises(NotSignedIn):
        site.competitions.create(ANONYMOUS, theirs.key)
    data = uploaded(site, ann, zipped({"x": b"1"}), role=DataRole.INPUT_DATA)
    with pytest.raises(Invalid):
        site.competitions.create(ann, data.key)


def test_tasks_and_data_are_used_again_by_their_keys(site: Site) -> None:
    """Her own ones; not those of others, unless they are public or shared."""
    ann, bob = person(site, "annie"), person(site, "bobby")
    spec = site.competitions.look(ann, hosted(site, ann)).spec
    task, kit = spec.tasks[0], spec.phases[0].starting_kit
    assert kit is not None
    before = len(site.db.datasets())
    text = YAML_BY_KEY.format(task=task.key, kit=kit.key)
    mine = unpacked(site, ann, bundle(text=text))
    assert mine.state is JobState.FINISHED, mine.details
    found = site.competitions.look(ann, mine.result or "").spec
    assert found.tasks[0].key == task.key
    assert {r: p.key for r, p in found.tasks[0].parts.items()} == {r: p.key for r, p in task.parts.items()}
    assert found.phases[0].starting_kit is not None
    assert found.phases[0].starting_kit.key == kit.key
    assert len(site.db.datasets()) == before + 1  # the bundle
    theirs = unpacked(site, bob, bundle(text=text))
    assert theirs.state is JobState.FAILED
    assert str(task.key) in theirs.details


YAML_BY_KEY = """\
version: 2
title: Again
image: logo.png
terms: terms.md
pages: [{{title: Overview, file: overview.md}}]
tasks: [{{index: 0, key: {task}}}]
phases: [{{name: One, index: 0, start: 2026-01-01, tasks: [0], starting_kit: {kit}}}]
leaderboards: [{{title: Board, key: board, columns: [{{title: Score, key: score, index: 0}}]}}]
"""


# ---------------------------------------------------------------------- published, found, deleted
def test_who_sees_what(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = hosted(site, ann)
    key = site.competitions.look(ann, id).hosted.secret_key
    for actor in (bob, ANONYMOUS):
        with pytest.raises(NotFound) as hidden:
            site.competitions.look(actor, id)
        with pytest.raises(NotFound) as none:
            site.competitions.look(actor, "nothing")
        assert str(hidden.value) == str(none.value)  # nobody learns that it is there
        with pytest.raises(NotFound):
            site.competitions.look(actor, id, key="00000000-0000-0000-0000-000000000000")
        assert site.competitions.look(actor, id, key=key.upper()).id == id
        assert site.competitions.all(actor) == []
        assert [c.hosted.competition for c in site.competitions.all(actor, key=key)] == [id]
    site.competitions.publish(ann, id, True)
    assert site.competitions.look(ANONYMOUS, id).id == id
    with pytest.raises(Refused):
        site.competitions.publish(bob, id, False)
    site.competitions.publish(ann, id, False)
    with pytest.raises(NotFound):
        site.competitions.look(bob, id)


def test_lists(site: Site, clock: Clock) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    ids = []
    for n in range(14):
        clock.forward(days=1)
        text = bundle(more=f"reward: {n} euro\n" if n % 2 else "")
        ids.append(hosted(site, ann, text, published=n != 3))
        site.competitions.edit(ann, ids[-1], {"title": f"Seeds {n}"})
    site.registrations.register(bob, ids[0])
    site.registrations.decide(
        ann, next(p.id for p, a in site.db.participants(ids[0]) if a.id == bob.account), P.APPROVED
    )
    site.competitions.feature(OPERATOR, ids[1], True)
    public = [id for n, id in enumerate(ids) if n != 3]

    page = site.competitions.public(ANONYMOUS, page=2, size=5)
    assert (page.total, page.pages) == (13, 3)
    assert [c.hosted.competition for c in page.items] == public[::-1][5:10]
    assert len(site.competitions.public(ANONYMOUS, with_reward=True).items) == 6
    assert [c.title for c in site.competitions.public(ANONYMOUS, title="seeds 13").items] == ["Seeds 13"]
    assert [c.hosted.competition for c in site.competitions.public(bob, participating=True).items] == [ids[0]]
    assert site.competitions.public(bob, organizing=True).items == []
    with pytest.raises(NotSignedIn):
        site.competitions.public(ANONYMOUS, participating=True)
    assert len(site.competitions.mine(ann)) == 14
    assert [c.hosted.competition for c in site.competitions.entered(bob)] == [ids[0]]
    assert len(site.competitions.all(bob)) == 13
    assert len(site.competitions.all(OPERATOR)) == 14
    assert [c.title for c in site.competitions.all(bob, text="SEEDS 3")] == []
    assert [c.title for c in site.competitions.all(ann, text="SEEDS 3")] == ["Seeds 3"]

    front = site.competitions.front_page(ANONYMOUS, random.Random(1))
    assert [c.hosted.competition for c in front.popular] == [ids[1], ids[0], ids[2], ids[4]]
    recent = [c.hosted.competition for c in front.recent]
    assert len(recent) == 4
    assert set(recent) <= set(ids[-8:])
    assert site.competitions.counters(ANONYMOUS) == (13, 2, 0)


def test_deleted_for_ever(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = hosted(site, ann, published=True)
    site.competitions.edit(ann, id, {"collaborators": [bob.account]})
    with pytest.raises(Refused):
        site.competitions.delete(bob, id)
    site.competitions.delete(ann, id)
    for actor in (ann, bob, OPERATOR):
        with pytest.raises(NotFound):
            site.competitions.look(actor, id)
    assert site.competitions.mine(ann) == site.competitions.mine(bob) == site.competitions.entered(bob) == []


# ---------------------------------------------------------------------- edited
CHANGES: dict[str, Any] = {
    "title": "Rye seeds",
    "description": "Other seeds",
    "docker_image": "example/python:2",
    "competition_type": "benchmark",
    "reward": "1 000 €",
    "contact_email": "ann@example.org",
    "registration_auto_approve": True,
    "make_programs_available": True,
    "make_input_data_available": True,
    "enable_detailed_results": True,
    "show_detailed_results_in_submission_panel": False,
    "show_detailed_results_in_leaderboard": False,
    "auto_run_submissions": False,
    "can_participants_make_submissions_public": False,
    "forum_enabled": False,
    "terms": "Be very fair.\n",
    "pages": [{"title": "Two", "content": "# Two\n"}, {"title": "One", "content": "<b>One</b>\n"}],
    "fact_sheet": {
        "method": {
            "key": "method", "type": "select", "title": "Method?", "selection": ["a", "b"],
            "is_required": "true", "is_on_leaderboard": "false",
        }
    },
    "allow_robots": True,
    "whitelist": ["carol@example.org"],
    "report": "https://example.org/report",
}  # fmt: skip


def test_every_field_is_edited(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = hosted(site, ann)
    before = site.competitions.document(ann, id)
    changes = {**CHANGES, "collaborators": [bob.account]}
    phases = [dict(phase) for phase in before["phases"]]
    phases[0] |= {"name": "Start", "max_submissions_per_day": 3, "max_submissions": None, "execution_time_limit": 60}
    phases[0] |= {"hide_output": True, "hide_prediction_output": True, "hide_score_output": True, "starting_kit": None}
    phases[1] |= {"start": "2026-07-01T00:00:00+00:00", "tasks": phases[0]["tasks"][::-1], "description": "The end"}
    boards = [dict(board) for board in before["leaderboards"]]
    boards[0] |= {"title": "Ranking", "hidden": True, "submission_rule": "Force_Best", "primary_index": 0}
    boards[0]["columns"] = [{**boards[0]["columns"][0], "precision": 4, "hidden": True}, *boards[0]["columns"][1:]]
    site.competitions.edit(ann, id, {**changes, "phases": phases, "leaderboards": boards})
    after = site.competitions.document(bob, id)
    assert {name for name in after if after[name] == before[name]} == {"image", "queue"}
    assert {name: after[name] for name in changes} == changes
    assert after["phases"][1]["tasks"] == before["phases"][0]["tasks"][::-1]
    assert after["phases"][0]["name"] == "Start"
    assert after["phases"][0]["max_submissions"] is None
    assert "starting_kit" not in after["phases"][0]
    assert after["leaderboards"] == boards
    site.competitions.edit(ann, id, after)  # what is given back as it is changes nothing
    assert site.competitions.document(ann, id) == after


def test_one_field_leaves_the_others_alone(site: Site) -> None:
    ann = person(site, "annie")
    id = hosted(site, ann)
    before, spec = site.competitions.document(ann, id), site.competitions.look(ann, id).spec
    for name, value in CHANGES.items():
        site.competitions.edit(ann, id, {name: value})
        assert site.competitions.document(ann, id) == {**before, name: value}, name
        before = {**before, name: value}
    now = site.competitions.look(ann, id).spec
    assert (now.tasks, now.phases, now.solutions) == (spec.tasks, spec.phases, spec.solutions)


def test_what_only_its_bundle_knows_stays(site: Site) -> None:
    """Keys that nobody here knows, in phases, boards and columns: not shown, not edited, and in every dump."""
    annie = person(site, "annie")
    text = YAML.format(more="colour: blue\n").replace("    starting_kit: kit", "    starting_kit: kit\n    shade: dark")
    text = text.replace("key: board", "key: board\n    frame: gold").replace("key: score,", "key: score, unit: m,")
    id = hosted(site, annie, bundle(text=text))
    document = site.competitions.document(annie, id)
    assert "shade" not in document["phases"][0]
    site.competitions.edit(annie, id, {**document, "reward": "gold"})
    spec = site.competitions.look(annie, id).spec
    assert spec.extras == {"colour": "blue"}
    assert spec.phases[0].extras == {"shade": "dark"}
    assert spec.leaderboard.extras == {"frame": "gold"}
    assert spec.leaderboard.columns[0].extras == {"unit": "m"}


def test_two_who_edit_different_fields_at_once(site: Site) -> None:
    annie = person(site, "annie")
    id = hosted(site, annie)
    changes = [{name: CHANGES[name]} for name in ("title", "reward", "terms", "pages")]
    threads = [threading.Thread(target=site.competitions.edit, args=(annie, id, change)) for change in changes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    after = site.competitions.document(annie, id)
    assert {name: after[name] for change in changes for name in change} == {n: v for c in changes for n, v in c.items()}


def test_a_logo_is_drawn_anew(site: Site) -> None:
    from codabench.bundle.defined.logo import placeholder_logo

    ann = person(site, "annie")
    id = hosted(site, ann)
    evil = placeholder_logo("new") + b"<script>alert(1)</script>"
    site.competitions.edit(ann, id, {"image": evil})
    with site.competitions.opened(ann, id) as competition:
        kept = competition.bundle.files.read_bytes(competition.spec.image or "")
    assert kept.startswith(b"\x89PNG")
    assert b"script" not in kept
    icon = site.competitions.logo(ann, id, width=100)
    assert icon is not None
    assert int.from_bytes(icon[16:20]) == 100
    with pytest.raises(Invalid) as refused:
        site.competitions.edit(ann, id, {"image": b"<svg onload=alert(1)>"})
    assert list(refused.value.fields) == ["image"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"titel": "X"}, "titel"),
        ({"owner": 1}, "owner"),
        ({"published": True}, "published"),
        ({"secret_key": "x"}, "secret_key"),
        ({"is_featured": True}, "is_featured"),
        ({"tasks": []}, "tasks"),
        ({"solutions": []}, "solutions"),
        ({"title": ""}, "title"),
        ({"title": "x" * 300}, "title"),
        ({"competition_type": "fair"}, "competition_type"),
        ({"contact_email": "nobody"}, "contact_email"),
        ({"phases": []}, "phases"),
        ({"phases": "none"}, "phases"),
        ({"phases": [{"name": "X", "start": "2026-01-01", "tasks": ["scoring"]}]}, "phases"),
        ({"phases": [{"name": "X", "start": "2026-01-01", "tasks": [], "secret": 1}]}, "phases"),
        ({"phases": [{"name": "X", "start": "when it suits", "tasks": []}]}, "phases"),
        ({"pages": [{"title": "X", "file": "truth/labels.csv"}]}, "pages"),
        ({"leaderboards": []}, "leaderboards"),
        ({"leaderboards": [{"title": "B", "key": "b", "columns": [{"title": "S", "owner": 1}]}]}, "leaderboards"),
        ({"fact_sheet": {"q": {"key": "q"}}}, "fact_sheet"),
        ({"image": "truth/labels.csv", "title": ""}, "title"),
        ({"report": "javascript:alert(1)"}, "report"),
        ({"whitelist": ["nobody"]}, "whitelist"),
        ({"collaborators": [999]}, "collaborators"),
        ({"collaborators": ["annie"]}, "collaborators"),
    ],
)
def test_what_is_not_accepted_names_its_field(site: Site, changes: dict[str, Any], field: str) -> None:
    ann = person(site, "annie")
    id = hosted(site, ann)
    before = site.competitions.document(ann, id), site.competitions.look(ann, id).hosted
    with pytest.raises(Invalid) as refused:
        site.competitions.edit(ann, id, {"description": "new", **changes})
    assert field in refused.value.fields
    assert (site.competitions.document(ann, id), site.competitions.look(ann, id).hosted) == before


def test_nothing_secret_is_offered_by_editing(site: Site) -> None:
    """A collaborator names files of the bundle, or data sets of others, as a starting kit or a page."""
    ann, bob, eve = person(site, "annie"), person(site, "bobby"), person(site, "evita")
    id = hosted(site, ann)
    site.competitions.edit(ann, id, {"collaborators": [bob.account]})
    theirs = uploaded(site, eve, zipped({"x": b"SECRET"}), role=DataRole.INPUT_DATA)
    phases = site.competitions.document(bob, id)["phases"]
    for value in ("truth", "truth/labels.csv", "../x", theirs.key):
        with pytest.raises(Invalid):
            site.competitions.edit(bob, id, {"phases": [{**phases[0], "starting_kit": value}, phases[1]]})


def test_tasks_of_the_site_come_and_go(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id, other = hosted(site, ann), hosted(site, ann)
    task = site.competitions.look(ann, other).spec.tasks[1].key
    assert task is not None
    before = site.competitions.look(ann, id).spec
    phases = site.competitions.document(ann, id)["phases"]
    site.competitions.edit(ann, id, {"phases": [{**phases[0], "tasks": [before.tasks[0].key, task]}, phases[1]]})
    spec = site.competitions.look(ann, id).spec
    assert [t.key for t in spec.tasks] == [before.tasks[0].key, before.tasks[1].key, task]
    assert spec.phases[0].tasks == (0, 2)
    # Nothing uses a task any more, and nothing was run on it: it goes.
    site.competitions.edit(ann, id, {"phases": [{**phases[0], "tasks": [task]}, {**phases[1], "tasks": [task]}]})
    spec = site.competitions.look(ann, id).spec
    assert [t.key for t in spec.tasks] == [task]
    assert spec.solutions == ()
    assert site.db.tasks([before.tasks[0].key or ""])  # on the site it stays
    eves = hosted(site, bob)
    with pytest.raises(Invalid) as refused:
        site.competitions.edit(bob, eves, {"phases": [{**phases[0], "tasks": [task]}]})
    assert refused.value.fields.keys() == {"phases"}


def test_a_task_is_adopted_for_a_rerun(site: Site) -> None:
    ann = person(site, "annie")
    id, other = hosted(site, ann), hosted(site, ann)
    task = site.competitions.look(ann, other).spec.tasks[0].key
    assert task is not None
    index = site.competitions.adopt(ann, id, task)
    assert index == site.competitions.adopt(ann, id, task)
    spec = site.competitions.look(ann, id).spec
    assert spec.task(index).key == task
    assert not any(index in phase.tasks for phase in spec.phases)


def test_submissions_keep_their_meaning(site: Site, tmp_path: Path) -> None:
    ann = person(site, "annie")
    id = hosted(site, ann)
    (tmp_path / "answer.csv").write_text("1")
    with site.competitions.opened(ann, id) as competition:
        site.workspace.submit(competition, tmp_path, phase=0, participant="u9", enforce=False)
    phases = site.competitions.document(ann, id)["phases"]
    names = [phase["name"] for phase in phases[::-1]]
    changed = [{**phase, "name": name} for phase, name in zip(phases, names, strict=True)]
    with pytest.raises(UsageError, match="submission"):
        site.competitions.edit(ann, id, {"phases": changed})
    site.competitions.edit(ann, id, {"title": "Other", "phases": [{**phases[0], "name": "Still the first"}, phases[1]]})
    with site.competitions.opened(ann, id) as competition:
        assert [s.record.phase for s in competition.submissions()] == [0]
        assert competition.revisions(0)[-1].number == 1  # no program and no data have changed


def test_a_competition_of_a_description(site: Site) -> None:
    """As clients send it: no bundle, tasks by key."""
    ann, bob = person(site, "annie"), person(site, "bobby")
    document = site.competitions.document(ann, hosted(site, ann))
    made = site.competitions.describe(ann, {**document, "title": "Mine", "image": None, "collaborators": [bob.account]})
    assert {**site.competitions.document(bob, made), "image": None} == {
        **document, "title": "Mine", "image": None, "collaborators": [bob.account],
    }  # fmt: skip
    with pytest.raises(Invalid) as refused:
        site.competitions.describe(bob, {**document, "image": None})
    assert refused.value.fields.keys() == {"phases"}
    with pytest.raises(Invalid) as lacking:
        site.competitions.describe(ann, {"title": "Nothing else"})
    assert lacking.value.fields
    with pytest.raises(NotSignedIn):
        site.competitions.describe(ANONYMOUS, document)


# ---------------------------------------------------------------------- migration by the clock and by hand
def test_phases_migrate_by_the_clock(site: Site, clock: Clock) -> None:
    ann = person(site, "annie")
    id = hosted(site, ann)
    site.tick()
    assert site.db.migrated(id) == {}
    clock.forward(days=120)
    site.tick()
    assert list(site.db.migrated(id)) == [1]


def test_phases_migrate_by_hand(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = hosted(site, ann, published=True)
    with pytest.raises(Refused):
        site.competitions.migrate(bob, id, 0)
    assert site.competitions.migrate(ann, id, 0).phase == 1
    with pytest.raises(Invalid):
        site.competitions.migrate(ann, id, 1)


# ---------------------------------------------------------------------- dumps
MORE = (
    "reward: gold\nallow_robot_submissions: true\nwhitelist_emails: [Carol@example.org]\nreport: https://example.org/\n"
)


@pytest.mark.parametrize("keys", [False, True], ids=["files", "keys"])
def test_a_dump_loses_nothing(site: Site, tmp_path: Path, keys: bool) -> None:
    """It is uploaded again, and the same competition comes of it."""
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = hosted(site, ann, bundle(MORE))
    site.competitions.edit(ann, id, {name: CHANGES[name] for name in ("title", "pages", "terms", "fact_sheet")})
    site.competitions.publish(ann, id, True)
    with pytest.raises(Refused):
        site.competitions.dump(bob, id)
    job = site.jobs.wait(ann, site.competitions.dump(ann, id, keys=keys).id)
    assert job.state is JobState.FINISHED, job.details
    (original,), (made,) = site.competitions.bundles(ann, id)
    assert made.key == job.result
    assert (original.file_name, made.competition) == ("wheat.zip", id)
    with pytest.raises(Refused):
        site.competitions.bundles(bob, id)

    assert made.blob is not None
    again = hosted(site, ann, site.workspace.storage.get(made.blob))
    before, after = site.competitions.document(ann, id), site.competitions.document(ann, again)
    one, two = site.competitions.look(ann, id).spec, site.competitions.look(ann, again).spec
    assert (after["whitelist"], after["allow_robots"], after["report"]) == (
        ["carol@example.org"], True, "https://example.org/"
    )  # fmt: skip
    changing = () if keys else ("phases", "image")
    assert {k: v for k, v in before.items() if k not in changing} == {
        k: v for k, v in after.items() if k not in changing
    }
    same = [t.key for t in one.tasks] == [t.key for t in two.tasks]
    assert same == keys
    assert [p.start for p in one.phases] == [p.start for p in two.phases]
    assert [t.ingestion_only_during_scoring for t in two.tasks] == [True, False]
    assert two.leaderboard.primary_index == 1
    with site.competitions.opened(ann, id) as a, site.competitions.opened(ann, again) as b:
        assert [(d.role, d.digest) for d in a.datasets] == [(d.role, d.digest) for d in b.datasets]
    if not keys:
        (tmp_path / "dump.zip").write_bytes(site.workspace.storage.get(made.blob))
        assert cb.check(tmp_path / "dump.zip", target="codabench.org").ok


def test_the_policy_is_asked_for_whatever_is_looked_at(site: Site) -> None:
    ann = person(site, "annie")
    id = hosted(site, ann, published=True)
    for action in (Action.COMPETITION_EDIT, Action.DUMPS_LIST, Action.PARTICIPANTS_LIST):
        with pytest.raises(NotSignedIn):
            site.competitions.look(ANONYMOUS, id, action)
