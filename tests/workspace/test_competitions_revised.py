"""Tasks that get other programs or data, and bundles that are edited, while submissions stay."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from python_bench import Model, score, task
from test_competitions_reopened import below, keyed, lone_task, old, packed, rich
from test_workspace_v15 import PROGRAM
from tiny import FILES, PHASE, SCORER, answer, bundle, yaml

import codabench as cb
from codabench.core.errors import BundleError, NotFound, StateError, UsageError

QUIET: dict[str, Any] = {"progress": "none"}
TWO = yaml(("First", "Second"))


def scorer(place: Path, factor: int, command: str = "") -> Path:
    """A scoring program that multiplies the score."""
    place.mkdir(parents=True)
    (place / "score.py").write_text(SCORER.replace('answer["score"]', f'{factor} * answer["score"]'))
    (place / "metadata").write_bytes(command.encode() or FILES["scoring/metadata"])
    return place


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[cb.Workspace]:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        yield ws


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return answer(tmp_path / "mine")


def scores(comp: cb.Competition, submission: Path) -> list[float]:
    return [run.scores["score"] for run in comp.run(submission, **QUIET).runs]


# ---------------------------------------------------------------------- revisions
def test_old_scores_stay_and_new_submissions_run_on_the_newest(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    comp = lab.add(cb.load(bundle(tmp_path / "bundle", TWO)))
    before = comp.run(mine, **QUIET)
    made = comp.revise("Second", scoring_program=scorer(tmp_path / "new", 10), note="tenfold")
    assert (made.number, made.task, made.note) == (2, 1, "tenfold")
    assert scores(comp, mine) == [0.5, 5] == scores(lab.competition("Tiny"), mine)
    assert [run.scores["score"] for run in before.runs] == [0.5, 0.5]
    assert [(r.task, r.number) for r in comp.revisions()] == [(0, 1), (1, 1), (1, 2)]
    assert [[run.record.revision for run in s.runs] for s in comp.submissions()] == [[1, 1], [1, 2], [1, 2]]
    again = comp.revise("Second", scoring_program=tmp_path / "new", note="the same")
    assert again == made, "what is the same makes nothing new"
    assert comp.revise(1, scoring_program=scorer(tmp_path / "newer", 100), note="more").number == 3
    assert scores(comp, mine) == [0.5, 50]


def test_a_run_that_waits_is_of_the_revision_it_was_submitted_to(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    slow = answer(tmp_path / "slow", '{"score": 1, "sleep": 1}')
    comp = lab.add(cb.load(bundle(tmp_path / "bundle")))
    waits = [lab.submit(comp, slow) for _ in range(5)]
    comp.revise(0, scoring_program=scorer(tmp_path / "new", 10), note="tenfold")
    assert scores(comp, mine) == [5]
    assert [s.wait().scores["score"] for s in waits] == [1] * 5


def test_a_path_of_its_own_stays_and_one_that_others_share_does_not(lab: cb.Workspace, tmp_path: Path) -> None:
    comp = lab.add(rich(tmp_path / "bundle"))
    data = {"x.csv": b"1234567"}
    comp.revise(0, reference_data=data, note="a folder for an archive")
    comp.revise(1, reference_data=data, note="a folder for a folder")
    comp.revise(1, scoring_program=scorer(tmp_path / "new", 2), note="shared")
    assert [task.reference_data and task.reference_data.path for task in comp.tasks] == ["data-r2", "data"]
    assert [task.scoring_program and task.scoring_program.path for task in comp.tasks] == ["scoring", "scoring-r3"]
    comp.save(tmp_path / "saved")
    assert {p.name for p in (tmp_path / "saved").iterdir()} >= {"data", "data-r2", "scoring", "scoring-r3"}
    assert not (tmp_path / "saved" / "data.zip").exists()
    with cb.load(tmp_path / "saved") as saved:
        assert saved.tasks == comp.tasks
    assert comp.check().ok
    assert comp.check(target="codabench.org").ok


@pytest.mark.parametrize("kind", [old, keyed, lone_task])
def test_what_was_revised_is_saved_and_read_again(kind: Any, lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    comp = lab.add(kind(tmp_path / "came"))
    if kind is old:
        mine = answer(tmp_path / "mine", '{"score": 1, "time": 2}')
        new = tmp_path / "s.zip"
        files = {name: data.replace(b"answer['score']", b"answer['score'] + 1") for name, data in PROGRAM.items()}
        files["scorer/tools.zip"] = packed({"grade.py": b"def grade(a):\n    return {'score': 7, 'time': 2}\n"})
        new.write_bytes(packed(files))
    else:
        new = scorer(tmp_path / "new", 14)
    comp.revise(0, scoring_program=new, note="")
    again = lab.competition(comp.title)
    wanted = [7.0, 1.0] if kind is old else [7.0, 0.5][: len(comp.tasks)]
    assert scores(again, mine) == wanted
    again.save(tmp_path / "saved.zip")
    with cb.load(tmp_path / "saved.zip") as saved:
        assert scores_of(saved, mine) == wanted
    assert "s.zip" not in {e.path for e in again.bundle.files.entries()} or kind is not lone_task


def scores_of(comp: cb.Competition, submission: Path) -> list[float]:
    return [run.scores["score"] for run in comp.run(submission, backend="process", **QUIET).runs]


def test_a_task_archive_replaces_all_of_a_task(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    text = b"name: Other\ndescription:\nscoring_program: {zip: s.zip}\nreference_data: {zip: d.zip}\n"
    program = {**below("scoring/"), "score.py": SCORER.replace('answer["score"]', "9").encode()}
    files = {"task.yaml": text, "s.zip": packed(program), "d.zip": packed({"x.csv": b"1"})}
    (tmp_path / "task.zip").write_bytes(packed(files))
    comp = lab.add(cb.load(bundle(tmp_path / "bundle", TWO)))
    comp.revise(0, archive=tmp_path / "task.zip", note="all of it")
    done = comp.run(mine, **QUIET)
    assert [run.scores for run in done.runs] == [{"score": 9, "time": 1}, {"score": 0.5, "time": 5}]
    assert comp.tasks[0].name == "First"
    comp.save(tmp_path / "again.zip", task=0)
    with cb.load(tmp_path / "again.zip") as saved:
        assert scores_of(saved, mine) == [9]
    with pytest.raises(UsageError, match="no archive of one task"):
        comp.revise(0, archive=tmp_path / "bundle", note="")


def test_a_function_for_a_function(lab: cb.Workspace, tmp_path: Path) -> None:
    comp = lab.add(
        cb.Competition(title="Points", tasks=[task()], columns=[cb.Column(key="acc"), cb.Column(key="loss")])
    )
    model = {"model.py": "class Model:\n    def predict(self, points):\n        return [0 for _ in points]\n"}
    assert comp.run(model, **QUIET).scores["acc"] == 0.25

    @cb.scoring
    def upside_down(io: cb.ScoringIO) -> dict[str, float]:
        return {"acc": -1.0, "loss": 0.0}

    comp.revise(0, scoring_program=upside_down, note="the other way round")
    assert comp.run(model, **QUIET).scores["acc"] == -1
    comp.revise(0, scoring_program=score, note="and back")
    assert lab.competition("Points").run(model, **QUIET).scores["acc"] == 0.25
    with pytest.raises(UsageError, match="inline"):
        comp.run(Model(), backend="inline", **QUIET)


@pytest.mark.parametrize(
    ("parts", "error", "code"),
    [
        ({}, UsageError, "CB353"),
        ({"scoring_program": {"score.py": "pass"}}, BundleError, "CB401"),
        ({"ingestion_program": {"score.py": "pass"}}, BundleError, "CB402"),
        ({"scoring_program": "nothing/here"}, BundleError, "CB021"),
        ({"input_data": 7}, UsageError, "CB324"),
    ],
)
def test_what_cannot_be_a_revision(
    parts: dict[str, Any], error: type[Exception], code: str, lab: cb.Workspace, tmp_path: Path
) -> None:
    comp = lab.add(cb.load(bundle(tmp_path / "bundle")))
    for role, value in parts.items():
        if isinstance(value, dict):
            parts = {role: tmp_path / "program"}
            (tmp_path / "program").mkdir()
            (tmp_path / "program" / "score.py").write_text("pass")
    with pytest.raises(error) as caught:
        comp.revise(0, note="", **parts)
    assert getattr(caught.value, "code", None) == code
    assert [r.number for r in comp.revisions()] == [1]


def test_what_is_not_kept_with_its_files_is_not_revised(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    comp = cb.load(bundle(tmp_path / "bundle"))
    lab.submit(comp, mine).wait()
    with pytest.raises(NotFound, match="kept here"):
        lab.revise(comp, 0, input_data={"a.json": 1}, note="")


# ---------------------------------------------------------------------- the same bundle again
def test_changed_files_of_an_added_bundle_are_a_revision(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    place = bundle(tmp_path / "bundle", TWO)
    comp = lab.add(cb.load(place))
    lab.add(cb.load(place))
    assert [r.number for r in comp.revisions()] == [1, 1]
    (place / "data" / "x.csv").write_text("123")
    again = lab.add(cb.load(place))
    assert again.id == comp.id
    assert [(r.task, r.number) for r in comp.revisions()] == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert str(place) in comp.revisions()[1].note
    assert [run.scores["time"] for run in again.run(mine, **QUIET).runs] == [3, 3]
    (place / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n another")
    lab.add(cb.load(place))
    assert len(comp.revisions()) == 4
    assert lab.competition("Tiny").bundle.files.read_bytes("logo.png").endswith(b"another")


def test_what_was_revised_here_outlives_the_bundle_that_is_added_again(
    lab: cb.Workspace, tmp_path: Path, mine: Path
) -> None:
    place = bundle(tmp_path / "bundle", TWO)
    comp = lab.add(cb.load(place))
    comp.revise(0, scoring_program=scorer(tmp_path / "new", 10), note="tenfold")
    again = lab.add(cb.load(place))
    assert (scores(again, mine), again.spec) == ([5, 0.5], comp.spec)
    (place / "data" / "x.csv").write_text("123")
    lab.submit(cb.load(place), mine).wait()
    changed = lab.add(cb.load(place))
    assert [r.number for r in changed.revisions(0)] == [1, 2, 3]
    done = changed.run(mine, **QUIET)
    assert [run.scores for run in done.runs] == [{"score": 5, "time": 3}, {"score": 0.5, "time": 3}]


# ---------------------------------------------------------------------- edited bundles
def test_an_edited_bundle_replaces_the_one_before(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    comp = lab.add(cb.load(bundle(tmp_path / "one", TWO)))
    first = comp.run(mine, **QUIET)
    edited = TWO.replace("title: Tiny", "title: Mended").replace("name: One", "name: Only, max_submissions: 3")
    edited = edited.replace("title: Time", "title: Seconds").replace("name: Second", "name: The second")
    place = bundle(tmp_path / "two", edited, {"overview.md": b"# Mended\n"})
    assert comp.update(place) == []
    assert (comp.title, comp.phases[0].max_submissions, comp.tasks[1].name) == ("Mended", 3, "The second")
    assert lab.competitions() == {comp.id: "Mended"}
    assert lab.competition("Mended").spec.pages[0].content == "# Mended\n"
    assert [s.id for s in comp.submissions()] == [first.id]
    assert repr(comp.leaderboard()).count("Seconds") == 1
    (place / "scoring" / "score.py").write_text(SCORER.replace('answer["score"]', "3"))
    made = comp.update(place, note="three")
    assert [(r.task, r.number, r.note) for r in made] == [(0, 2, "three"), (1, 2, "three")]
    assert scores(comp, mine) == [3, 3]
    comp.save(tmp_path / "saved.zip")
    with cb.load(place) as wanted:
        wanted.save(tmp_path / "wanted.zip")
    assert (tmp_path / "saved.zip").read_bytes() == (tmp_path / "wanted.zip").read_bytes()


def test_the_bundle_before_an_update_is_added_again(lab: cb.Workspace, tmp_path: Path) -> None:
    place = bundle(tmp_path / "one", TWO)
    comp = lab.add(cb.load(place))
    comp.update(bundle(tmp_path / "two", TWO.replace("title: Tiny", "title: Mended")))
    assert lab.add(cb.load(place)).title == "Mended"
    (place / "data" / "x.csv").write_text("123")
    with pytest.raises(UsageError) as caught:
        lab.add(cb.load(place))
    assert caught.value.code == "CB718"


OPEN = PHASE.format(0, "One", "2020-01-01, end: 2021-01-01", "0, 1", "")
PHASES = OPEN + PHASE.format(1, "Two", "2022-01-01", "1", "")
ONE_PHASE = PHASE.format(0, "One", "2020-01-01", "0, 1", "")
ONE_TASK = yaml(("First",), PHASES.replace("0, 1", "0").replace("tasks: [1]", "tasks: [0]"))
SWAPPED = PHASES.replace("name: One", "name: X").replace("name: Two", "name: One").replace("name: X", "name: Two")


@pytest.mark.parametrize(
    ("phase", "text", "said"),
    [
        (1, yaml(("First", "Second"), ONE_PHASE), "phase 1 Two has 1 submission and is not there any more"),
        (0, yaml(("First", "Second"), SWAPPED), "phase 0 One has 1 submission and would become phase 1"),
        (0, ONE_TASK, "task 1 Second has 1 run and is not there any more"),
        (0, yaml(("First", "Second"), ONE_PHASE), None),
        (1, ONE_TASK, "task 1 Second has 1 run and is not there any more"),
        (0, yaml(("First", "Second"), PHASES.replace("name: One", "name: Warm-up")), None),
    ],
)
def test_what_submissions_name_stays(
    phase: int, text: str, said: str | None, lab: cb.Workspace, tmp_path: Path, mine: Path
) -> None:
    comp = lab.add(cb.load(bundle(tmp_path / "one", yaml(("First", "Second"), PHASES))))
    comp.run(mine, phase=phase, **QUIET)
    place, before = bundle(tmp_path / "two", text), comp.spec
    if said is None:
        comp.update(place)
        assert comp.spec != before
        return
    with pytest.raises(UsageError) as caught:
        comp.update(place)
    assert caught.value.code == "CB719"
    assert said in str(caught.value).replace("'", "")
    assert lab.competition("Tiny").spec == before == comp.spec


def test_an_edited_bundle_with_errors_changes_nothing(lab: cb.Workspace, tmp_path: Path) -> None:
    comp = lab.add(cb.load(bundle(tmp_path / "one", TWO)))
    with pytest.raises(BundleError) as caught:
        comp.update(bundle(tmp_path / "two", TWO.replace("tasks: [0, 1]", "tasks: [7]")))
    assert caught.value.report is not None
    assert lab.competition("Tiny").spec == comp.spec


def test_two_who_change_a_competition_at_once(lab: cb.Workspace, tmp_path: Path) -> None:
    comp = lab.add(cb.load(bundle(tmp_path / "one", TWO)))
    stale = comp.spec
    comp.update(bundle(tmp_path / "two", TWO.replace("title: Tiny", "title: Mended")))
    with pytest.raises(StateError) as caught:
        lab.db.change_competition(comp.id, stale, stale, {}, at=comp.revisions()[0].created_at)
    assert caught.value.code == "CB717"
