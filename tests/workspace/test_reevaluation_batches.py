"""Re-evaluations with real processes: plan, carry out, compare, promote; failures; what is gone; retries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rescored import MENDED, SCORER, code, make, revise, scores, submitted

import codabench as cb
from codabench.backends.engine import Image
from codabench.backends.process import ProcessEngine
from codabench.core.errors import BatchAborted, EngineError, NotFound, StateError, UsageError
from codabench.core.evaluations import BatchState
from codabench.core.problems import Fault
from codabench.core.records import HandScore, Run, Status, StepResult
from codabench.runner.provenance import step_digest
from codabench.storage.contents import blob_name


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[cb.Workspace]:
    with cb.Workspace(tmp_path / "ws", backend="process", jobs=2) as opened:
        yield opened


@pytest.fixture
def comp(ws: cb.Workspace, tmp_path: Path) -> Iterator[cb.Competition]:
    with cb.load(make(tmp_path / "bundle")) as loaded:
        yield ws.add(loaded)


def prediction(run: cb.RunHandle) -> StepResult:
    assert run.outcome is not None
    found = run.outcome.step("prediction")
    assert found is not None
    return found


def test_a_scoring_bug_from_plan_to_promotion(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    runs = submitted(comp, tmp_path, [{"score": n} for n in range(3)])
    nothing = ws.reevaluate(comp)
    assert (nothing.counts["current"], len(nothing), sum(nothing.containers.values())) == (3, 0, 0)
    assert "nothing has to be done" in repr(nothing)

    revise(comp, tmp_path / "v2")
    plan = ws.reevaluate(comp, note="issue 12")
    assert plan.counts == {"score": 3, "full": 0, "impossible": 0, "current": 0}
    assert plan.reasons("score") == [("scoring program r1 → r2", 3)]
    assert plan.containers == {"prediction": 0, "scoring": 3}
    assert plan.estimate.scoring is not None
    assert plan.estimate.seconds == pytest.approx(3 * plan.estimate.scoring.median / 2)
    assert "score only  3   scoring program r1 → r2" in repr(plan)
    assert json.loads(json.dumps(plan.to_dict()))["runs"]["score"] == 3
    assert list(plan.to_frame()["action"]) == ["score"] * 3
    assert [run.id for run in ws.db.runs(comp.id, shown=False)] == runs, "nothing was started"

    batch = plan.execute(progress="none")
    assert batch.state is BatchState.DONE
    assert [run.status for run in batch.runs] == [Status.FINISHED] * 3
    assert [prediction(run).reused_from for run in batch.runs] == [ws.run(id).record.attempt for id in runs]
    assert [run.outcome.raw_scores["id"] for run in batch.runs if run.outcome] == [
        ws.run(id).outcome.raw_scores["id"]  # type: ignore[union-attr]
        for id in runs
    ]
    assert scores(comp.leaderboard(rule=False)) == {"s0": 0, "s1": 1, "s2": 2}, "boards are as they were"

    diff = batch.diff()
    assert diff.summary().startswith("3 rescored · 2 scores changed · 2 ranks changed · top 3 changed: ")
    assert diff.summary().endswith("equal to the last bit: 1")
    frame = diff.to_frame().set_index("submission")
    assert list(frame.loc["s2", ["rank_before", "rank_after", "change"]]) == [1, 3, -2]
    assert list(frame.loc["s2", ["score_before", "score_after", "score_change"]]) == [2, -2, -4]
    assert set(frame["evaluated"]) == {"scoring program r1 → r2"}
    assert json.loads(json.dumps(diff.to_dict(), default=str))["finished"] == 3
    assert scores(ws.leaderboard(comp, batch=batch.id, rule=False)) == {"s0": 0, "s1": -1, "s2": -2}

    assert batch.promote() == 3
    assert scores(comp.leaderboard(rule=False)) == {"s0": 0, "s1": -1, "s2": -2}
    assert any(
        "3 runs re-evaluated" in note and "issue 12" in note for note in comp.leaderboard(rule=False).board.notes
    )
    assert scores(batch.board("before")) == {"s0": 0, "s1": 1, "s2": 2}, "what was there stays readable"
    assert batch.diff().summary() == diff.summary()
    assert not ws.reevaluate(comp)
    with pytest.raises(StateError, match="is promoted, not done"):
        batch.promote()
    with pytest.raises(StateError, match="cannot become abandoned"):
        batch.abandon()


def test_the_same_plan_continues_its_batch(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    submitted(comp, tmp_path, [{"score": 1}])
    revise(comp, tmp_path / "v2")
    first = ws.reevaluate(comp).execute(progress="none")
    runs = [run.id for run in first.runs]
    second = ws.reevaluate(comp).execute(progress="none")
    assert (second.id, [run.id for run in second.runs]) == (first.id, runs)
    assert [batch.id for batch in ws.batches(comp)] == [first.id]
    assert ws.batch(first.id[:8]).runs[0].id == runs[0]
    with pytest.raises(NotFound):
        ws.batch("nothing")
    first.abandon()
    with pytest.raises(StateError):
        first.resume(progress="none")
    assert ws.reevaluate(comp).execute(progress="none").id != first.id


def test_of_two_batches_one_is_promoted(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    submitted(comp, tmp_path, [{"score": 1}])
    revise(comp, tmp_path / "v2")
    old = ws.reevaluate(comp).execute(progress="none")
    revise(comp, tmp_path / "v3", SCORER.replace('answer["score"]', '7 * answer["score"]'))
    new = ws.reevaluate(comp).execute(progress="none")
    assert new.id != old.id
    assert new.promote("r3") == 1
    with pytest.raises(StateError) as caught:
        old.promote("r2")
    assert caught.value.code == "CB712"
    assert scores(comp.leaderboard(rule=False)) == {"s0": 7}
    assert new.state is BatchState.PROMOTED


# ---------------------------------------------------------------- failures
BROKEN = MENDED.replace("time.sleep", 'labels = {"ok": 1}\nlabels[answer.get("label", "ok")]\ntime.sleep')


def test_failures_have_causes_and_are_never_published(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    labels = ["a", "ok", "b", "c", "ok"]
    submitted(comp, tmp_path, [{"score": 1, "label": label} for label in labels])
    revise(comp, tmp_path / "v2", BROKEN)
    plan = ws.reevaluate(comp)
    with pytest.raises(BatchAborted) as caught:
        plan.execute(jobs=1, max_failures=0.3, progress="none")
    assert caught.value.code == "CB650"
    assert caught.value.message.startswith("stopped: 2 of 5 runs failed. 2 share one cause: scoring: KeyError")
    batch = ws.batch(caught.value.batch)
    assert batch.state is BatchState.RUNNING
    with pytest.raises(StateError, match="is not done"):
        batch.promote()

    assert plan.execute(progress="none", retries=3).id == batch.id, "the same line goes on"
    (cause,) = batch.failures()
    assert (cause.cause.step, cause.cause.what, cause.cause.raised) == ("scoring", "exit code 1", "KeyError score.py:5")
    assert cause.names == ("s0", "s2", "s3")
    assert "3 failures, 1 cause\n  3 × scoring: KeyError: 'a' in score.py:5" in repr(batch.failures())
    assert list(batch.failures().to_frame()["runs"]) == [3]
    assert batch.progress().to_dict() == {
        "batch": batch.id, "total": 5, "finished": 2, "failed": 3, "cancelled": 0, "left": 0,
    }  # fmt: skip
    assert "3 failures" in repr(batch)
    diff = batch.diff()
    assert "3 failed" in diff.summary()
    assert diff.evaluated[next(r.submission for r in diff.rows if r.name == "s0")].startswith("failed: scoring: KeyE")
    assert batch.promote("half of it") == 2
    assert scores(comp.leaderboard(rule=False)) == {"s0": 1, "s1": -1, "s2": 1, "s3": 1, "s4": -1}
    notes = comp.leaderboard(rule=False).board.notes
    assert any("3 runs of revision 1, 2 runs of revision 2" in note for note in notes)


class Flaky(ProcessEngine):
    """Fails to do its work the first few times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def resolve(self, image: str, **options: Any) -> Image:
        if options.get("pull") != "never" and self.left > 0:
            self.left -= 1
            raise EngineError("the daemon is away")
        return super().resolve(image, **options)


def test_only_what_the_machine_did_is_tried_again(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    submitted(comp, tmp_path, [{"score": 1}, {"score": 2, "label": "bad"}])
    revise(comp, tmp_path / "v2", BROKEN)
    batch = ws.reevaluate(comp).execute(Flaky(1), jobs=1, retries=1, progress="none")
    assert [run.status for run in batch.runs] == [Status.FINISHED, Status.FAILED]
    every = [run for run in ws.db.runs(comp.id, shown=False) if run.batch == batch.id]
    assert sorted(run.fault or "" for run in every) == ["", Fault.OPERATOR, Fault.PARTICIPANT] or len(every) == 3

    revise(comp, tmp_path / "v3", MENDED)
    batch = ws.reevaluate(comp).execute(Flaky(1), jobs=1, progress="none")
    (cause,) = batch.failures()
    assert (cause.cause.step, cause.cause.code) == ("", "CB600")
    assert batch.resume(Flaky(0), progress="none").progress().failed == 0, "the same line tries them again"


# ---------------------------------------------------------------- what is looked at
def test_what_is_not_in_storage_any_more(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    runs = submitted(comp, tmp_path, [{"score": n} for n in range(3)])
    revise(comp, tmp_path / "v2")
    for id in runs[:2]:
        output = prediction(ws.run(id)).output
        assert output is not None
        ws.storage.objects.remove(blob_name(output.archive), float("inf"))
    lost = ws.db.submission(ws.db.run(runs[1]).submission)
    ws.storage.objects.remove(blob_name(lost.tree.archive), float("inf"))
    plan = ws.reevaluate(comp)
    assert plan.reasons("full") == [("scoring program r1 → r2; its prediction output is gone", 1)]
    assert plan.reasons("impossible") == [("the files of the submission are gone", 1)]
    assert plan.containers == {"prediction": 1, "scoring": 2}
    assert "cannot run  1   the files of the submission are gone: s1" in repr(plan)
    batch = plan.execute(progress="none")
    assert [prediction(run).reused_from is None for run in batch.runs] == [True, False]
    assert "1 could not be run" in batch.diff().summary()
    assert batch.promote() == 2


def test_deleted_submissions_and_those_that_wait_are_left_out(
    ws: cb.Workspace, comp: cb.Competition, tmp_path: Path
) -> None:
    submitted(comp, tmp_path, [{"score": 1}, {"score": 2}])
    revise(comp, tmp_path / "v2")
    ws.db.delete_submission(ws.submissions(comp)[0].id, at=ws.db.now())
    assert [item.name for item in ws.reevaluate(comp).items] == ["s1"]
    with cb.Workspace(ws.url, dispatch=False) as other:
        here = other.competition(comp.id)
        other.submit(here, code(tmp_path / "later", score=3), enforce=False)
        plan = other.reevaluate(here)
        assert (len(plan.items), plan.under_way) == (1, 1)
        assert "1 run not over yet and left out" in repr(plan)


def test_scores_set_by_hand_are_spoken_of(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    runs = submitted(comp, tmp_path, [{"score": 1}, {"score": 2}])
    revise(comp, tmp_path / "v2")
    for run, value in ((runs[0], 5.0), (runs[1], 6.0), (runs[1], None)):
        ws.db.set_score(HandScore(run=run, key="score", value=value, by="ada", note="", at=ws.db.now()))
    assert "1 run with scores set by hand: boards will show what is computed" in repr(ws.reevaluate(comp))


def test_which_runs_are_chosen(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    submitted(comp, tmp_path, [{"score": 1}, {"score": 2}, {"no": "score"}])
    revise(comp, tmp_path / "v2")

    def names(**options: Any) -> list[str]:
        return [item.name for item in ws.reevaluate(comp, **options).items]

    assert names() == ["s0", "s1"]
    assert names(where="failed") == ["s2"]
    assert names(where={"participants": ["p1", "p2"], "status": "all"}) == ["s1", "s2"]
    assert names(where=lambda handle: handle.name != "s1") == ["s0", "s2"]
    assert names(phase="One", task="First") == ["s0", "s1"]
    assert [item.action for item in ws.reevaluate(comp, where="failed").items] == ["score"]
    with pytest.raises(NotFound):
        ws.reevaluate(comp, task="Second")
    with pytest.raises(UsageError):
        ws.reevaluate(comp, where="everything")


def test_everything_again_if_nothing_is_to_be_reused(ws: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    submitted(comp, tmp_path, [{"score": 1}])
    batch = ws.reevaluate(comp, reuse="never").execute(progress="none")
    (run,) = batch.runs
    assert prediction(run).reused_from is None
    assert batch.diff().summary().startswith("1 rescored · 0 scores changed")


# ---------------------------------------------------------------- the plan is right
def test_a_plan_says_what_whole_plans_of_each_run_say(ws: cb.Workspace, tmp_path: Path) -> None:
    """Run by run, with the digests of whole plans: what `execute_run` would come to."""
    with cb.load(make(tmp_path / "bundle", tasks=("First", "Second"))) as loaded:
        comp = ws.add(loaded)
        submitted(comp, tmp_path, [{"score": n} for n in range(3)])
        own = code(tmp_path / "own", score=5)
        (own / "metadata").write_text("command: python3 $program/own.py $output\n")
        (own / "own.py").write_text("print('nothing')\n")
        ws.wait([run.id for run in ws.submit(comp, own, enforce=False).runs])
        revise(comp, tmp_path / "v2", task=1)
        submitted(comp, tmp_path / "late", [{"score": 9}])
        plan = ws.reevaluate(comp)
        assert plan.counts == {"score": 4, "full": 0, "impossible": 0, "current": 6}
        for item in plan.items:
            assert item.action == slowly(ws, ws.db.run(item.run), item.revision), item


def slowly(ws: cb.Workspace, run: Run, revision: int) -> str:
    assert run.outcome is not None
    revised = run.model_copy(update={"revision": revision})
    plan = ws.plans.planner([revised])(revised, ws.db.attempts(run.id)[-1])
    image = Image.model_validate(run.outcome.provenance["image"])
    first, second = run.outcome.steps
    if step_digest(plan, "prediction", image, "process") != first.digest:
        return "full"
    return "current" if step_digest(plan, "scoring", image, "process", first.output) == second.digest else "score"
