"""`backend="inline"`: functions called here, with everything around them as in any other run."""

from __future__ import annotations

import copy
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
from python_bench import MODEL, POINTS, Model, bench, ingest, score, task

import codabench as cb
from codabench.core.errors import BundleError, PolicyError, RunFailed, UsageError
from codabench.runner import calling, inline
from codabench.workspace.workspace import Workspace


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "_told", told := threading.Event())
    told.set()


def run(comp: cb.Competition, submission: Any = None, **options: Any) -> Any:
    return comp.run(submission or Model(), backend="inline", progress="none", **options)


def scorer(function: Any, **changes: Any) -> cb.Competition:
    """A competition of results, with another scoring function."""
    return bench(task(scoring_program=function, ingestion_program=None, **changes))


def test_an_object_is_scored() -> None:
    with bench() as comp:
        good, poor = run(comp), run(comp, Model(3.0), name="poor", params={"level": 3.0, "acc": "a word"})
        assert (good.status, good.scores) == (cb.Status.FINISHED, {"acc": 1.0, "loss": 0.001})
        assert good.name == "Model"
        assert "predicting 4" in good.logs["prediction_ingestion_stdout"]
        assert "&lt;yes&gt;" in (good.run.detailed_results or "")
        assert "<pre>&lt;done&gt;</pre>" in (good.run.detailed_results or "")
        frame = comp.leaderboard().to_frame()
        assert frame["submission"].tolist() == ["Model", "poor"]
        assert frame["level"].tolist()[1] == 3.0
        assert frame["fact.acc"].tolist()[1] == "a word"
        assert poor.record.fact_sheet == {"level": 3.0, "acc": "a word"}


def test_it_is_marked_as_not_isolated() -> None:
    with bench() as comp:
        handle = run(comp)
        assert handle.run.isolated is False
        assert handle.run.provenance["engine"]["name"] == "inline"
        assert handle.run.provenance["engine"]["isolation"] == "none"
        assert [w.code for w in handle.run.warnings] == ["CB660"]
        board = comp.leaderboard()
        assert "° not isolated" in repr(board)
        assert "<small>not isolated</small>" in board._repr_html_()
        comp.run({"model.py": MODEL}, backend="process", progress="none")
        isolated = [row.isolated for row in comp.leaderboard()]
        assert sorted(isolated) == [False, True]


def test_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    inline._told.clear()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(2):
            with bench() as comp:
                run(comp)
    assert [str(w.message)[:7] for w in told] == ["[CB690]"]
    assert told[0].filename == __file__, "the line that asked for it"


def test_files_and_mappings_are_submissions_too(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.py").write_text(MODEL.replace("0.0", "0.7"))
    with bench() as comp:
        assert run(comp, tmp_path / "mine").scores["acc"] == 0.75
        assert run(comp, {"model.py": MODEL}).scores["acc"] == 1.0
        assert [h.name for h in comp.submissions()] == ["mine", "submission"]
    with scorer(score) as results:
        assert run(results, {"answers.json": [1, 0, 0, 0]}).scores["acc"] == 0.5


def test_modules_of_a_submission_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = type(sys)("model")
    monkeypatch.setitem(sys.modules, "model", ours)
    before = list(sys.path)
    with bench() as comp:
        for level, acc in (("0.0", 1.0), ("0.7", 0.75), ("9.0", 0.25)):
            assert run(comp, {"model.py": MODEL.replace("0.0", level)}).scores["acc"] == acc
    assert sys.modules["model"] is ours
    assert sys.path == before


def test_each_task_gets_a_copy_of_its_own() -> None:
    class Once(Model):
        used = False

        def predict(self, points: list[float]) -> list[int]:
            assert not self.used
            self.used = True
            return super().predict(points)

    tasks = [task("one"), task("two", input_data={"points.json": [-9.0, *POINTS[1:]]})]
    with bench(*tasks) as comp:
        handle = run(comp, once := Once())
        assert [r.scores["acc"] for r in handle.runs] == [1.0, 0.75]
        assert once.used is False


class Estimator:
    """As scikit-learn has it: a clone knows its parameters and nothing of what it learned."""

    def __init__(self, level: float = 0.0) -> None:
        self.level = level

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {"level": self.level}

    def __deepcopy__(self, memo: object) -> None:
        raise TypeError("not this way")


def test_estimators_are_cloned_through_their_parameters() -> None:
    fitted = Estimator(2.5)
    fitted.coef_ = 1  # type: ignore[attr-defined]
    clone = calling.cloned(fitted)
    assert (clone.level, vars(clone)) == (2.5, {"level": 2.5})
    with pytest.raises(TypeError, match="not this way"):
        copy.deepcopy(fitted)


def test_a_class_is_created_with_what_ingestion_gives() -> None:
    def ingest_with(io: cb.IngestionIO) -> None:
        io.submission.create("model:Model", level=9.0)
        (io.output / "answers.json").write_text("[0, 0, 0, 0]")

    with bench(task(ingestion_program=ingest_with)) as comp:
        assert run(comp, Model).scores["acc"] == 0.25
        assert "with arguments again" in run(comp, Model()).problem.message


# ---------------------------------------------------------------------- what goes wrong
def broken(io: cb.ScoringIO) -> dict[str, float]:
    raise ValueError("no such thing")


class Bad(Model):
    def predict(self, points: list[float]) -> list[int]:
        raise KeyError("label")


def ends(io: cb.ScoringIO) -> dict[str, float]:
    sys.exit("enough")


def test_a_mistake_of_the_organizer() -> None:
    with bench(task(scoring_program=broken)) as comp:
        handle = run(comp)
        assert handle.status is cb.Status.FAILED
        assert handle.problem.code == "CB612"
        assert handle.problem.fault is cb.Fault.ORGANIZER
        assert "ValueError: no such thing (in broken, test_inline.py:" in handle.problem.message
        assert 'raise ValueError("no such thing")' in handle.logs["scoring_stderr"]
        assert "inline.py" not in handle.logs["scoring_stderr"].replace("test_inline.py", "")
        with pytest.raises(RunFailed):
            handle.raise_for_status()


@pytest.mark.parametrize(
    "submission",
    [Bad(), {"model.py": "raise KeyError('label')"}, {"model.py": MODEL.replace("return", "raise KeyError('label')#")}],
    ids=["object", "import", "call"],
)
def test_a_mistake_of_the_participant(submission: Any) -> None:
    with bench() as comp:
        handle = run(comp, submission)
        assert handle.status is cb.Status.FAILED
        assert handle.problem.fault is cb.Fault.PARTICIPANT
        assert "KeyError: 'label'" in handle.problem.message


def test_a_file_that_a_submission_did_not_write_is_its_mistake() -> None:
    with scorer(score) as comp:
        handle = run(comp, {"other.json": []})
        assert handle.problem.fault is cb.Fault.PARTICIPANT
        assert "/app/input/res/answers.json" in handle.problem.message


@pytest.mark.parametrize(
    ("function", "code", "says"),
    [
        (ends, "CB612", "exited with 1: enough"),
        (lambda io: 3, "CB612", "returns a dict of column key to number, this one returned int"),
        (lambda io: {"acc": "good"}, "CB612", "the score 'acc' is no number: 'good'"),
        (lambda io: {"acc": float("nan")}, "CB643", "acc in scores.json is not a finite number"),
        (lambda io: {"Acc": 1.0}, "CB644", "none of the leaderboard's columns acc, loss"),
    ],
    ids=["exit", "no dict", "no number", "not finite", "no column"],
)
def test_what_a_scoring_function_may_not_give(function: Any, code: str, says: str) -> None:
    with scorer(function) as comp:
        handle = run(comp, {"x.txt": "x"})
        assert handle.problem.code == code
        assert says in handle.problem.message
        if code == "CB644":
            assert "'acc': did you mean its column for 'Acc'?" in handle.problem.hint


def test_there_is_no_input_for_a_scorer() -> None:
    with scorer(lambda io: {"acc": len(str(io.input))}) as comp:
        assert "this program is given no input data" in run(comp, {"x.txt": "x"}).problem.message


def test_an_interrupt_passes_and_leaves_nothing_behind() -> None:
    calls = []

    def interrupted(io: cb.ScoringIO) -> dict[str, float]:
        calls.append(1)
        raise KeyboardInterrupt

    with scorer(interrupted) as comp:
        with pytest.raises(KeyboardInterrupt):
            comp.run_many([{"x.txt": "x"}, {"x.txt": "y"}], backend="inline", progress="none")
        assert len(calls) == 1
        assert [h.status for h in comp.submissions()] == [cb.Status.CANCELLED, cb.Status.CANCELLED]
        assert list((comp.workspace.scratch / "runs").iterdir()) == []


def directory(tmp_path: Path) -> Path:
    place = tmp_path / "program"
    place.mkdir()
    (place / "metadata.yaml").write_text("command: python3 score.py")
    (place / "score.py").write_text("print('acc')")
    return place


@pytest.mark.parametrize(
    ("changes", "submission", "says"),
    [
        ({"ingestion_program": None}, Model(), "has no ingestion program that could use a Model"),
        ({"ingestion_only_during_scoring": True}, Model(), "two programs run at the same time"),
        ({"scoring_program": "program"}, Model(), "is a directory, no function"),
        ({}, {"metadata.yaml": "command: python3 x.py"}, "a command of its own"),
    ],
)
def test_what_cannot_be_called(
    changes: dict[str, Any], submission: Any, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory(tmp_path)
    monkeypatch.chdir(tmp_path)
    with bench(task(**changes)) as comp, pytest.raises(UsageError, match=says) as caught:
        run(comp, submission)
    assert caught.value.code == "CB691"


def test_a_bundle_has_no_functions(tmp_path: Path) -> None:
    with bench() as comp:
        comp.save(tmp_path / "out")
    with cb.load(tmp_path / "out") as loaded, pytest.raises(UsageError, match="is a directory, no function") as caught:
        run(loaded, {"model.py": MODEL})
    assert caught.value.code == "CB691"


def test_an_object_goes_nowhere_else() -> None:
    with bench() as comp, pytest.raises(UsageError, match="cannot be put into a container") as caught:
        comp.run(Model(), backend="process", progress="none")
    assert caught.value.code == "CB692"


@pytest.mark.parametrize("options", [{"memory": "1g"}, {"cpus": 1.0}, {"policy": "strict"}])
def test_limits_are_not_promised(options: dict[str, Any]) -> None:
    with bench() as comp, pytest.raises(PolicyError):
        run(comp, **options)


def test_functions_may_use_what_is_around_them_here_and_only_here() -> None:
    found = 0.5

    def near(io: cb.ScoringIO) -> dict[str, float]:
        return {"acc": found, "loss": 1.0}

    with scorer(near) as comp:
        assert run(comp, {"x.txt": "x"}).scores["acc"] == 0.5
        assert [p.code for p in comp.check()] == ["CB322"]
        with pytest.raises(BundleError, match="variables of the function around it: found"):
            comp.run({"x.txt": "x"}, backend="process", progress="none")


def test_a_kept_workspace_takes_both(tmp_path: Path) -> None:
    with Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(bench())
        assert comp.run({"model.py": MODEL}, progress="none").scores == run(comp).scores
        late = ws.submit(comp, Model(9.0), backend="inline", enforce=False)
        assert late.wait(30).scores["acc"] == 0.25
        waiting = ws.submit(comp, Model(9.0), backend="inline", enforce=False)
        waiting.cancel()
        assert waiting.status is cb.Status.CANCELLED


def test_a_function_may_run_another_competition_and_not_its_own() -> None:
    other = bench()

    def nested(io: cb.ScoringIO) -> dict[str, float]:
        return {"acc": run(other).scores["acc"], "loss": float("own" in io.predictions.name)}

    def circular(io: cb.ScoringIO) -> dict[str, float]:
        return dict(run(comp, {"x.txt": "x"}).scores)

    with other, scorer(nested) as comp:
        assert run(comp, {"x.txt": "x"}).scores == {"acc": 1.0, "loss": 0.0}
    with scorer(circular) as comp:
        assert "of the competition that calls it" in run(comp, {"x.txt": "x"}).problem.message


def test_what_nobody_waits_for_ends_with_the_workspace() -> None:
    calls: list[int] = []

    def counted(io: cb.ScoringIO) -> dict[str, float]:
        calls.append(1)
        return {"acc": 1.0}

    comp = scorer(counted)
    for _ in range(3):
        comp.workspace.submit(comp, {"x.txt": "x"}, backend="inline", enforce=False)
    comp.close()
    assert calls == []


def test_the_same_functions_in_plain_processes() -> None:
    with bench() as comp:
        there = comp.run({"model.py": MODEL}, backend="process", progress="none")
        here = run(comp, {"model.py": MODEL})
        assert there.scores == here.scores == {"acc": 1.0, "loss": 0.001}
        assert there.run.detailed_results == here.run.detailed_results
        assert ingest.name == "ingest"


def test_a_function_that_goes_elsewhere_comes_back() -> None:
    before = os.getcwd()

    def leaves(io: Any) -> dict[str, float]:
        os.chdir(io.output)
        return {"acc": 1.0}

    with scorer(leaves) as comp:
        assert run(comp, {"x.txt": "x"}).status == cb.Status.FINISHED
    assert os.getcwd() == before
