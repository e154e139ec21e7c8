"""Submissions that are held, run once more, corrected by hand, deleted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import LAST, PHASE, answer, bundle, yaml

import codabench as cb
from codabench.core.errors import NotFound, StateError, SubmissionRejected, UsageError
from codabench.core.records import HandScore, effective
from codabench.db.naming import named_digests

QUIET: dict[str, Any] = {"progress": "none"}
OVER = PHASE.format(0, "One", "2020-01-01, end: 2021-01-01", "0, 1", "")
PHASES = OVER + PHASE.format(1, "Two", "2022-01-01", "1", "")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[cb.Workspace]:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        yield ws


@pytest.fixture
def comp(lab: cb.Workspace, tmp_path: Path) -> cb.Competition:
    return lab.add(cb.load(bundle(tmp_path / "bundle", yaml(("First", "Second"), PHASES))))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return answer(tmp_path / "mine")


def test_what_is_refused_leaves_nothing(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    with cb.load(bundle(tmp_path / "over", yaml(phases=OVER.replace("0, 1", "0")))) as over:
        with pytest.raises(SubmissionRejected, match="ended"):
            lab.submit(over, mine)
        assert lab.competitions() == {}


# ---------------------------------------------------------------------- held
def test_what_is_held_waits_for_an_organizer(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    held = lab.add(cb.load(bundle(tmp_path / "bundle", yaml(extra="auto_run_submissions: false\n"))))
    sub = lab.submit(held, mine)
    assert (sub.status, [e.kind for e in sub.run.history()]) == ("Submitting", ["RunHeld"])
    assert "start it" in sub.run.explain().next
    assert held.run(mine, enforce=True, **QUIET).status == "Submitting", "nobody waits for what is held"
    assert held.run(mine, **QUIET).status == "Finished"
    again = cb.Workspace(tmp_path / "lab", backend="process")
    assert again.start(sub.id[:12]).wait().scores["score"] == 0.5
    again.close()
    assert sub.status == "Finished"
    with pytest.raises(StateError, match="only what is held"):
        sub.start()
    other = lab.submissions(held, status="Submitting")[0]
    other.cancel()
    assert other.status == "Cancelled"


def test_a_private_workspace_holds_nothing_back(tmp_path: Path, mine: Path) -> None:
    with cb.load(bundle(tmp_path / "bundle", yaml(extra="auto_run_submissions: false\n"))) as alone:
        assert alone.run(mine, backend="process", **QUIET).status == "Finished"


# ---------------------------------------------------------------------- once more
def test_a_rerun_is_a_submission_of_its_own(lab: cb.Workspace, comp: cb.Competition, mine: Path) -> None:
    first = comp.run(mine, participant="ada", params={"C": 1}, phase=0, **QUIET)
    again = first.rerun().wait()
    assert (again.record.origin, again.record.origin_kind) == (first.id, "rerun")
    assert (again.name, again.record.participant, again.record.number) == (first.name, "ada", 2)
    assert (again.record.tree, again.record.fact_sheet) == (first.record.tree, {"C": 1})
    assert [run.scores for run in again.runs] == [run.scores for run in first.runs]
    assert {run.id for run in again.runs}.isdisjoint(run.id for run in first.runs)
    steps = [step for run in again.runs for step in (run.outcome.steps if run.outcome else ())]
    assert [step.reused_from for step in steps] == [None] * len(steps), "every program is carried out"
    with pytest.raises(SubmissionRejected):
        lab.submit(comp, mine, phase=0)  # it is over, which stops no rerun


@pytest.mark.parametrize(
    ("where", "phase", "tasks"),
    [
        ({"task": "Second"}, "One", ["Second"]),
        ({"phase": "Two"}, "Two", ["Second"]),
        ({"phase": 1, "task": 0}, "Two", ["First"]),
        ({"task": [1, 0]}, "One", ["First", "Second"]),
    ],
)
def test_a_rerun_elsewhere(
    where: dict[str, Any], phase: str, tasks: list[str], lab: cb.Workspace, comp: cb.Competition, mine: Path
) -> None:
    first = comp.run(mine, phase=0, **QUIET)
    again = lab.rerun(first.id, **where).wait()
    assert (again.phase.name, [task.name for task in again.tasks]) == (phase, tasks)
    assert [run.status for run in again.runs] == ["Finished"] * len(tasks)


def test_a_rerun_is_on_the_newest_revision(lab: cb.Workspace, comp: cb.Competition, mine: Path) -> None:
    first = comp.run(mine, phase=0, **QUIET)
    comp.revise(0, reference_data={"x.csv": b"1"}, note="less")
    assert [run.scores["time"] for run in first.rerun().wait().runs] == [1, 5]


def test_what_was_deleted_is_not_run_again(lab: cb.Workspace, comp: cb.Competition, mine: Path) -> None:
    first = comp.run(mine, phase=0, **QUIET)
    first.delete()
    with pytest.raises(StateError) as caught:
        lab.rerun(first.id)
    assert caught.value.code == "CB714"
    with pytest.raises(NotFound):
        lab.rerun("nothing")


# ---------------------------------------------------------------------- lists
def test_which_submissions_there_are(lab: cb.Workspace, comp: cb.Competition, mine: Path, tmp_path: Path) -> None:
    bad = answer(tmp_path / "bad", '{"exit": 3}')
    ada = comp.run(mine, phase=0, participant="ada", **QUIET)
    bob = comp.run(bad, phase=1, participant="bob", **QUIET)
    gone = comp.run(mine, phase=0, participant="ada", **QUIET)
    gone.delete()

    def ids(**wanted: Any) -> list[str]:
        return [s.id for s in lab.submissions(comp, **wanted)]

    assert ids() == [ada.id, bob.id]
    assert ids(participant="ada") == [ada.id] == ids(phase="One") == ids(status="Finished")
    assert ids(status=cb.Status.FAILED) == [bob.id]
    assert ids(deleted=True, participant="ada") == [ada.id, gone.id]
    assert ids(deleted=True, status="Finished") == [ada.id, gone.id]
    assert lab.submission(bob.id[:8]).status == "Failed"


# ---------------------------------------------------------------------- deleted
def test_what_runs_is_cancelled_first(lab: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    slow = answer(tmp_path / "slow", '{"score": 1, "sleep": 60}')
    sub = lab.submit(comp, slow, phase=1)
    with pytest.raises(StateError, match="not over"):
        sub.delete()
    sub.delete(cancel=True)
    assert lab.submissions(comp) == []
    assert lab.submission(sub.id).status == "Cancelled"


@pytest.mark.parametrize("hard", [False, True])
def test_what_was_deleted_counts_unless_it_was_for_good(hard: bool, lab: cb.Workspace, tmp_path: Path) -> None:
    text = yaml(phases=PHASE.format(0, "One", "2020-01-01", "0", ", max_submissions: 1"))
    comp = lab.add(cb.load(bundle(tmp_path / "limited", text)))
    sub = lab.submit(comp, answer(tmp_path / "one")).wait()
    mine = {sub.record.tree.archive}
    assert mine < named_digests(lab.db)
    sub.delete(hard=hard)
    assert mine.isdisjoint(named_digests(lab.db)), "the next gc may take it"
    assert len(comp.leaderboard()) == 0
    if hard:
        lab.submit(comp, answer(tmp_path / "two")).wait()
    else:
        with pytest.raises(SubmissionRejected):
            lab.submit(comp, answer(tmp_path / "two"))


def test_a_deleted_competition_is_listed_no_more(lab: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    sub = lab.submit(comp, answer(tmp_path / "slow", '{"score": 1, "sleep": 60}'), phase=1)
    with pytest.raises(StateError, match="not over"):
        comp.delete()
    comp.delete(cancel=True)
    assert lab.competitions() == {}
    with pytest.raises(NotFound):
        lab.competition("Tiny")
    again = lab.add(cb.load(comp.source))
    assert [s.id for s in again.submissions()] == [sub.id]


# ---------------------------------------------------------------------- by hand
@pytest.mark.parametrize(
    ("set_by_hand", "wanted"),
    [
        ([], {"a": 1.0, "b": 2.0}),
        ([("a", 3.0)], {"a": 3.0, "b": 2.0}),
        ([("a", 3.0), ("a", 4.0), ("c", 0.0)], {"a": 4.0, "b": 2.0, "c": 0.0}),
        ([("a", 3.0), ("a", None), ("c", 1.0), ("c", None)], {"a": 1.0, "b": 2.0}),
    ],
)
def test_the_last_number_that_was_set_holds(
    set_by_hand: list[tuple[str, float | None]], wanted: dict[str, float], comp: cb.Competition
) -> None:
    at = comp.revisions()[0].created_at
    scores = [HandScore(run="r", key=key, value=value, by="me", note="", at=at) for key, value in set_by_hand]
    assert effective({"a": 1.0, "b": 2.0}, scores) == wanted


def test_a_number_set_by_hand(lab: cb.Workspace, comp: cb.Competition, mine: Path) -> None:
    run = comp.run(mine, phase=1, **QUIET).run
    made = run.set_score("score", 0.75, note="a typing error in line 3", by="eve")
    assert run.by_hand == [made]
    assert run.scores == {"score": 0.75, "time": 5}
    assert run.outcome is not None
    assert run.outcome.scores == {"score": 0.5, "time": 5}
    assert "score 0.75 (set by hand)" in repr(run)
    lab.set_score(run.id[:8], "score", None, by="eve")
    assert run.scores == run.outcome.scores
    assert "by hand" not in repr(run)


def test_what_cannot_be_set(lab: cb.Workspace, tmp_path: Path, mine: Path) -> None:
    board = LAST + "      - {title: Both, key: both, index: 2, computation: avg, computation_indexes: [0, 1]}\n"
    comp = lab.add(cb.load(bundle(tmp_path / "bundle", yaml(last=board))))
    run = comp.run(mine, **QUIET).run
    for key, value, error, said in [
        ("scoer", 1.0, NotFound, "scoer"),
        ("both", 1.0, NotFound, "computed"),
        ("score", math.nan, UsageError, "finite"),
        ("score", "1", UsageError, "finite"),
        ("score", True, UsageError, "finite"),
    ]:
        with pytest.raises(error, match=said):
            run.set_score(key, value)  # type: ignore[arg-type]
    failed = comp.run(answer(tmp_path / "bad", '{"exit": 1}'), **QUIET).run
    with pytest.raises(StateError) as caught:
        failed.set_score("score", 1.0)
    assert caught.value.code == "CB714"
    assert run.by_hand == []


def test_who_is_put_on_the_board(lab: cb.Workspace, comp: cb.Competition, mine: Path) -> None:
    sub = comp.run(mine, phase=1, **QUIET)
    lab.choose(sub, by="eve")
    with pytest.raises(StateError, match="the rule of the board is Add"):
        lab.choose(sub.id, False)
    assert [(c.submission, c.shown, c.by) for c in lab.db.choices(comp.id)] == [(sub.id, True, "eve")]
    with pytest.raises(StateError, match="it is on the leaderboard"):
        sub.delete()
    sub.delete(hard=True)
    with pytest.raises(StateError):
        lab.choose(sub.id)
