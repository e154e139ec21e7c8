"""Revisions of tasks, steps by digest, re-evaluations, hand-set scores, choices, deletion."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from db_samples import AT, TREE, K, NewUrl, admitted, end, started

from codabench.core.competition import CompetitionSpec, DataSpec, ProgramSpec, TaskSpec
from codabench.core.errors import NotFound, StateError, StorageError
from codabench.core.evaluations import BATCH_STEPS, Batch, BatchRun, BatchState, Revision
from codabench.core.problems import Fault
from codabench.core.records import (
    BoardChoice,
    Exit,
    ExitReason,
    HandScore,
    Outcome,
    Run,
    Status,
    StepResult,
)
from codabench.db.database import Database

DONE = {"program": Exit(reason=ExitReason.EXITED, code=0)}
S = BatchState


def step(digest: str, **more: Any) -> StepResult:
    usual = {"name": "prediction", "exits": DONE, "output": TREE, "seconds": 2.0}
    return StepResult(digest=digest, **{**usual, **more})


def finish(db: Database, run: str, *steps: StepResult, score: float = 1.0, attempt: str | None = None) -> None:
    me = started(db, run, attempt or f"a-{run}")
    outcome = Outcome(status=Status.FINISHED, scores={"score": score}, steps=steps)
    db.append(run, [K.SCORING_STARTED, K.RUN_FINISHED], outcome=outcome, **me)


# ---------------------------------------------------------------- revisions
OTHER = TREE.model_copy(update={"digest": "sha256:other"})


def with_task(spec: CompetitionSpec, task: TaskSpec) -> CompetitionSpec:
    return spec.model_copy(update={"tasks": tuple(task if t.index == task.index else t for t in spec.tasks)})


def test_the_first_change_keeps_how_it_came(db: Database) -> None:
    scoring, data = ProgramSpec(path="scoring"), DataSpec(path="data")
    tasks = (TaskSpec(index=0, name="t", reference_data=data), TaskSpec(index=1, name="u", scoring_program=scoring))
    spec = CompetitionSpec(title="D", tasks=tasks)
    db.add_competition("d", spec, source="", at=AT)
    db.set_trees("d", {"scoring": TREE, "scoring#inline": TREE, "data": TREE})
    assert db.revisions("d") == []
    assert db.revision("d", 1, 1) is None
    changed = spec.task(1).model_copy(update={"name": "u, mended"})
    mended = with_task(spec, changed)
    (second,) = db.change_competition("d", spec, mended, {"scoring": OTHER}, revised=[1], note="off by one", at=AT)
    (third,) = db.change_competition("d", mended, mended, {"scoring": TREE}, revised=[1], at=AT)
    assert [r.number for r in (second, third)] == [2, 3]
    assert second.note == "off by one"
    assert second.trees == {"scoring": OTHER, "scoring#inline": TREE}
    trees = {"scoring": TREE, "scoring#inline": TREE}
    came = Revision(competition="d", task=1, number=1, spec=spec.task(1), trees=trees, created_at=AT)
    assert db.revisions("d", 1) == [came, second, third] == db.revisions("d")
    assert (db.revision("d", 1, 2), db.revision("d", 1, 4)) == (second, None)
    assert db.revisions("d", 0) == []
    assert db.kept_competition("d") == (mended, "", AT, {"data": TREE, **trees})


def test_a_change_of_what_somebody_else_changed_is_refused(db: Database) -> None:
    spec = CompetitionSpec(title="D", tasks=(TaskSpec(index=0, name="t"),))
    db.add_competition("d", spec, source="", at=AT)
    renamed = spec.model_copy(update={"title": "E"})
    assert db.change_competition("d", spec, renamed, {"a": TREE, "b": TREE}, at=AT) == []
    with pytest.raises(StateError, match="somebody else") as caught:
        db.change_competition("d", spec, spec, {"a": OTHER}, revised=[0], at=AT)
    assert caught.value.code == "CB717"
    assert db.kept_competition("d") == (renamed, "", AT, {"a": TREE, "b": TREE})
    assert db.revisions("d") == []
    db.change_competition("d", renamed, spec, {}, gone=["a"], at=AT)
    assert db.competitions()[-1] == ("d", "D")
    assert db.trees("d") == {"b": TREE}


@pytest.mark.parametrize(("competition", "task"), [("nothing", 0), ("c", 7)])
def test_a_revision_of_nothing(db: Database, competition: str, task: int) -> None:
    spec = db.competition("c")
    with pytest.raises(NotFound):
        db.change_competition(competition, spec, spec, {}, revised=[task], at=AT)


# ---------------------------------------------------------------- steps
def test_a_step_is_found_by_its_digest(db: Database) -> None:
    (run,) = admitted(db)
    finish(db, run, step("d1"), step("d2", name="scoring"))
    found = db.find_step("d1")
    assert found is not None
    assert (found.run, found.attempt, found.output, found.seconds, found.ok) == (run, "a-s-0", TREE, 2.0, True)
    assert {s.name for s in db.steps("c")[run]} == {"prediction", "scoring"}
    assert db.find_step("d1", submission="s") == found
    assert db.find_step("d1", submission="other") is None
    assert set(db.find_steps([*(f"x{n}" for n in range(1200)), "d2", "d1"])) == {"d1", "d2"}


@pytest.mark.parametrize(
    "made",
    [
        step("d", exits={"program": Exit(reason=ExitReason.EXITED, code=1)}),
        step("d", exits={"program": Exit(reason=ExitReason.TIMEOUT)}),
        step("d", exits={**DONE, "ingestion": Exit(reason=ExitReason.EXITED, code=2)}),
        step("d", exits={}, skipped=True),
        step("d", output=None),
        step(""),
    ],
)
def test_what_did_not_exit_with_0_is_not_found(db: Database, made: StepResult) -> None:
    finish(db, admitted(db)[0], made)
    assert db.find_step("d") is None
    assert db.find_step("") is None


def test_the_newest_step_is_found_and_never_one_of_a_deleted_submission(db: Database) -> None:
    for n, id in enumerate("ab"):
        (run,) = admitted(db, id)
        db.start_attempt(run, attempt=f"x{id}", token="t", at=AT + timedelta(minutes=n))
        outcome = Outcome(status=Status.FAILED, steps=(step("d", reused_from="before" if n else None),))
        db.append(run, [K.RUN_FAILED], at=AT, attempt=f"x{id}", token="t", outcome=outcome)
    found = db.find_step("d")
    assert found is not None
    assert (found.attempt, found.reused_from) == ("xb", "before")
    db.delete_submission("b", at=AT)
    found = db.find_step("d")
    assert found is not None
    assert found.attempt == "xa"


# ---------------------------------------------------------------- re-evaluations
def planned(db: Database, *submissions: str, id: str = "b", key: str = "k") -> Batch:
    """A batch that does the only run of each submission again."""
    batch = Batch(id=id, competition="c", key=key, plan={"why": "é"}, created_at=AT)
    runs = [
        BatchRun(batch=id, replaces=f"{s}-0", position=n, action="score", reason="scoring program")
        for n, s in enumerate(submissions)
    ]
    return db.add_batch(batch, runs)


def again(submission: str, number: int = 0) -> Run:
    return Run(id=f"{submission}-again{number}", submission=submission, task=0, position=0, created_at=AT, revision=2)


def test_the_way_of_a_batch(db: Database) -> None:
    for n, id in enumerate("xyz"):
        finish(db, admitted(db, id)[0], score=n)
    made = planned(db, *"xyz")
    assert db.batch("b") == made
    db.set_batch_state("b", S.RUNNING)
    for id in "xyz":
        assert db.queue_batch_run("b", f"{id}-0", again(id))
        assert not db.queue_batch_run("b", f"{id}-0", again(id, 1))
    assert db.batch_runs("b", unqueued=True) == []
    finish(db, "x-again0", score=10)
    finish(db, "y-again0", score=11)
    end(db, "z-again0", K.RUN_FAILED, Fault.OPERATOR)
    assert db.batch_progress("b") == {Status.FINISHED: 2, Status.FAILED: 1}
    assert [r.id for r in db.runs("c")] == ["x-0", "y-0", "z-0"]  # nothing is on a board yet
    db.set_batch_state("b", S.DONE)
    assert db.promote_batch("b", at=AT, note="issue 12") == 2
    assert [(r.id, r.revision, r.batch) for r in db.runs("c")] == [
        ("x-again0", 2, "b"),
        ("y-again0", 2, "b"),
        ("z-0", 1, None),
    ]
    assert len(db.runs("c", shown=False)) == 6  # what was there before stays readable
    found = db.batch("b")
    assert (found.state, found.note, found.promoted_at) == (S.PROMOTED, "issue 12", AT)
    assert len(db.submission_times("c", 0, "p")) == 3


def test_a_failed_one_is_tried_again(db: Database) -> None:
    finish(db, admitted(db, "x")[0])
    planned(db, "x")
    db.set_batch_state("b", S.RUNNING)
    db.queue_batch_run("b", "x-0", again("x"))
    end(db, "x-again0", K.RUN_FAILED, Fault.OPERATOR)
    assert db.queue_batch_run("b", "x-0", again("x", 1))
    assert [r.id for r in db.runs_of_batch("b")] == ["x-again1"]


def test_the_same_plan_finds_its_batch(db: Database) -> None:
    finish(db, admitted(db, "x")[0])
    first = planned(db, "x", id="one")
    assert planned(db, "x", id="two") == first
    assert planned(db, "x", id="other", key="another plan").id == "other"
    db.set_batch_state("one", S.ABANDONED)
    assert planned(db, "x", id="three").id == "three"
    assert [b.id for b in db.batches("c")] == ["one", "other", "three"]


def test_of_two_batches_that_replace_the_same_run_one_is_promoted(db: Database) -> None:
    finish(db, admitted(db, "x")[0])
    for n, id in enumerate(("one", "two")):
        planned(db, "x", id=id, key=id)
        db.set_batch_state(id, S.RUNNING)
        db.queue_batch_run(id, "x-0", again("x", n))
        finish(db, f"x-again{n}")
        db.set_batch_state(id, S.DONE)
    assert db.promote_batch("two", at=AT, note="") == 1
    with pytest.raises(StateError, match="no board shows any more") as caught:
        db.promote_batch("one", at=AT, note="")
    assert caught.value.code == "CB712"
    assert [r.id for r in db.runs("c")] == ["x-again1"]
    assert db.batch("one").state is S.DONE


@pytest.mark.parametrize("before", list(BatchState))
@pytest.mark.parametrize("after", list(BatchState))
def test_batches_move_as_the_table_says(before: BatchState, after: BatchState) -> None:
    db = Database()
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    db.add_batch(Batch(id="b", competition="c", key="k", plan={}, state=before, created_at=AT), [])
    legal = (before, after) in BATCH_STEPS
    try:
        if after is S.PROMOTED:
            db.promote_batch("b", at=AT, note="")
        else:
            db.set_batch_state("b", after)
    except StateError:
        assert not legal
    else:
        assert legal
    assert db.batch("b").state is (after if legal else before)
    db.close()


def test_batches_that_are_not_there(db: Database) -> None:
    for ask in (
        db.batch,
        lambda id: db.set_batch_state(id, S.RUNNING),
        lambda id: db.promote_batch(id, at=AT, note=""),
    ):
        with pytest.raises(NotFound, match="nothing"):
            ask("nothing")


def test_a_submission_has_one_shown_run_for_each_task(new_url: NewUrl) -> None:
    """By the database itself: a second one is refused."""
    db = Database(new_url())
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    admitted(db)
    same = Run(id="other", submission="s", task=0, position=0, created_at=AT)
    with pytest.raises(StorageError, match=r"(?i)unique"), db._change() as raw:
        db._add_run(raw, same, db.submission("s"), K.RUN_QUEUED)
    db.close()


# ---------------------------------------------------------------- what people say
def test_hand_set_scores_and_choices_are_kept_in_order(db: Database) -> None:
    (run,) = admitted(db)
    scores = [HandScore(run=run, key="k", value=v, by="ada", note="é", at=AT) for v in (1.0, None)]
    choices = [BoardChoice(submission="s", shown=shown, by="bob", at=AT) for shown in (True, False)]
    for score, choice in zip(scores, choices, strict=True):
        db.set_score(score)
        db.choose(choice)
    assert db.hand_scores("c") == scores
    assert db.choices("c") == choices
    assert (db.hand_scores("d"), db.choices("d")) == ([], [])


# ---------------------------------------------------------------- deletion and phases
def test_a_deleted_submission_is_not_listed(db: Database) -> None:
    (run,) = admitted(db)
    with pytest.raises(StateError, match="not over"):
        db.delete_submission("s", at=AT)
    end(db, run, K.RUN_FAILED)
    db.delete_submission("s", at=AT)
    db.delete_submission("s", at=AT + timedelta(days=1), kind="hard")
    assert (db.submissions("c"), db.runs("c")) == ([], [])
    (kept,) = db.submissions("c", deleted=True)
    assert (kept.deletion, kept.deleted_at) == ("hard", AT)
    assert db.submission("s") == kept
    assert len(db.events(run)) == 2
    assert [s.number for s in (db.submission(admitted(db, "t")[0].removesuffix("-0")),)] == [2]
    with pytest.raises(NotFound):
        db.delete_submission("nothing", at=AT)


def test_a_deleted_competition_is_not_listed_until_it_is_added_again(db: Database) -> None:
    db.delete_competition("c", at=AT)
    assert db.competitions() == []
    assert db.competition("c").title == "C"
    db.add_competition("c", CompetitionSpec(title="Other"), source="", at=AT)
    assert db.competitions() == [("c", "C")]
    with pytest.raises(NotFound):
        db.delete_competition("nothing", at=AT)


def test_a_phase_is_migrated_to_once(db: Database) -> None:
    assert db.mark_migrated("c", 1, at=AT)
    assert not db.mark_migrated("c", 1, at=AT + timedelta(days=1))
    assert db.migrated("c") == {1: AT}


# ---------------------------------------------------------------- what a plan over many runs asks
def test_what_boards_show_as_plain_values(db: Database) -> None:
    runs = [admitted(db, id, phase=n % 2)[0] for n, id in enumerate("xyz")]
    for n, run in enumerate(runs):
        finish(db, run, step("d1"), score=n)
    db.delete_submission("z", at=AT)
    planned(db, "x")
    db.set_batch_state("b", S.RUNNING)
    db.queue_batch_run("b", "x-0", again("x"))
    found = db.evaluated("c")
    assert [(e.run, e.submission, e.task, e.revision, e.status, e.phase) for e in found] == [
        ("x-0", "x", 0, 1, Status.FINISHED, 0),
        ("y-0", "y", 0, 1, Status.FINISHED, 1),
    ]
    assert Outcome.model_validate_json(found[0].outcome or "") == db.run("x-0").outcome
    assert [e.run for e in db.evaluated("c", 1)] == ["y-0"]
    assert db.evaluated("d") == []


def test_many_are_queued_at_once_and_each_once(db: Database) -> None:
    for id in "xyz":
        finish(db, admitted(db, id)[0])
    planned(db, *"xyz")
    with pytest.raises(StateError, match="is planned, not running"):
        db.queue_batch_runs("b", {"x-0": again("x")})
    db.set_batch_state("b", S.RUNNING)
    assert [row.replaces for row in db.batch_runs("b", unqueued=True, limit=2)] == ["x-0", "y-0"]
    assert db.queue_batch_runs("b", {f"{id}-0": again(id) for id in "xy"}) == {"x-again0", "y-again0"}
    assert db.queue_batch_runs("b", {f"{id}-0": again(id, 1) for id in "xyz"}) == {"z-again1"}
    end(db, "x-again0", K.RUN_CANCELLED, Fault.ORGANIZER)
    assert [row.run for row in db.batch_runs("b", statuses=[Status.CANCELLED])] == ["x-again0"]
    assert len(db.batch_runs("b", statuses=[Status.SUBMITTED])) == 2
    with pytest.raises(NotFound, match="does not do run"):
        db.queue_batch_runs("b", {"nothing": again("x", 2)})
    assert len(db.runs("c", shown=False)) == 6


def test_a_batch_by_the_beginning_of_its_id(db: Database) -> None:
    finish(db, admitted(db, "x")[0])
    for id in ("abcd01", "abcd02", "abc"):
        planned(db, "x", id=id, key=id)
    assert db.batch_called("abcd01").id == "abcd01"
    assert db.batch_called("abc").id == "abc"
    assert db.batch_called("abcd02").id == "abcd02"
    for wanted in ("ab", "abcd0", "abcd", "nothing", "%", "a%"):
        with pytest.raises(NotFound):
            db.batch_called(wanted)
