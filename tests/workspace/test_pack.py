"""`pack`: what is written runs without this library, scores the same, and says so; what differs is not written."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest
from python_bench import MODEL, bench, score, task

import codabench as cb
from codabench.backends.select import engine_named
from codabench.core.errors import BundleError, UsageError
from codabench.runner import inline

SAMPLE = {"model.py": MODEL.replace("0.0", "0.7")}
SCORES = {"acc": 0.75, "loss": 1.001}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inline, "_told", told := threading.Event())
    told.set()


def test_it_is_a_bundle_that_proves_itself(tmp_path: Path) -> None:
    with bench() as comp:
        packed = comp.pack(tmp_path / "p.zip", verify="process", submission=SAMPLE)
        assert (packed.files, packed.verified, packed.compared) == (14, "process", True)
        assert packed.scores == {"points": SCORES}
        assert "a submission ran in process: points: acc 0.75 loss 1.001, as in this process" in repr(packed)
        assert comp.submissions() == [], "what proves a bundle is on no board"
        again = comp.pack(tmp_path / "q.zip", submission=SAMPLE)
    assert (tmp_path / "p.zip").read_bytes() == (tmp_path / "q.zip").read_bytes()
    assert again.verified is None
    assert "ran in" not in repr(again)
    with cb.load(tmp_path / "p.zip") as loaded:
        assert loaded.check().ok
        kit = loaded.spec.phases[0].starting_kit
        assert kit is not None
        assert [e.path for e in loaded.tree(kit).entries()] == ["sample_submission/model.py"]
        assert loaded.run(SAMPLE, backend="process", progress="none").scores == SCORES


def test_programs_do_not_import_this_library(tmp_path: Path) -> None:
    with bench() as comp:
        comp.pack(tmp_path / "p")
    programs = sorted(path for path in (tmp_path / "p").rglob("*.py"))
    assert [path.name for path in programs] == ["_cb_io.py", "ingestion.py", "_cb_io.py", "scoring.py"]
    for path in programs:
        assert "codabench" not in path.read_text()


@pytest.mark.engine
@pytest.mark.parametrize(
    "engine",
    [pytest.param("docker", marks=pytest.mark.docker), pytest.param("podman", marks=pytest.mark.podman)],
)
def test_the_same_scores_in_containers(
    engine: str, test_image: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    made = engine_named(f"{engine}:{request.getfixturevalue(f'{engine}_url')}")
    solved = bench(solutions=[SAMPLE], docker_image=test_image)
    try:
        with solved as comp:
            packed = comp.pack(tmp_path / "p.zip", verify=made)
            assert (packed.verified, packed.compared, packed.scores) == (engine, True, {"points": SCORES})
            handle = comp.run(SAMPLE, backend=made, progress="none")
            assert (handle.scores, handle.run.isolated) == (SCORES, True)
            assert "<pre>&lt;done&gt;</pre>" in (handle.run.detailed_results or "")
    finally:
        made.close()


def elsewhere(io: cb.ScoringIO) -> dict[str, float]:
    """Scores that depend on the process: what `verify` is there to find."""
    return {"acc": float(os.getpid()), "loss": 0.0}


def steady(io: cb.ScoringIO) -> dict[str, float]:
    """Its twin."""
    return {"acc": float(os.cpu_count() or 1), "loss": 0.0}


def test_what_scores_otherwise_is_not_written(tmp_path: Path) -> None:
    with bench(task(scoring_program=elsewhere)) as comp:
        with pytest.raises(BundleError, match=r"task 'points': acc is .* in process and .* in this process") as caught:
            comp.pack(tmp_path / "p.zip", verify="process", submission=SAMPLE)
        assert caught.value.code == "CB325"
        assert list(tmp_path.iterdir()) == []
    with bench(task(scoring_program=steady)) as comp:
        assert comp.pack(tmp_path / "p.zip", verify="process", submission=SAMPLE).compared


def test_a_submission_that_fails_proves_nothing(tmp_path: Path) -> None:
    with bench() as comp, pytest.raises(BundleError, match="did not finish in process") as caught:
        comp.pack(tmp_path / "p.zip", verify="process", submission={"model.py": "Model = None"})
    assert caught.value.code == "CB325"
    assert not (tmp_path / "p.zip").exists()


def test_a_program_directory_is_run_and_not_compared(tmp_path: Path) -> None:
    place = tmp_path / "scoring"
    place.mkdir()
    (place / "metadata.yaml").write_text("command: python3 s.py /app/output")
    (place / "s.py").write_text(
        "import pathlib, sys\npathlib.Path(sys.argv[1], 'scores.json').write_text('{\"acc\": 1, \"loss\": 2}')"
    )
    with bench(task(scoring_program=place)) as comp:
        packed = comp.pack(tmp_path / "p.zip", verify="process", submission=SAMPLE)
    assert (packed.compared, packed.scores) == (False, {"points": {"acc": 1.0, "loss": 2.0}})
    assert "as in this process" not in repr(packed)


def test_a_kit_of_its_own_stays(tmp_path: Path) -> None:
    with bench(starting_kit={"README.md": "mine"}) as comp:
        comp.pack(tmp_path / "p", submission=SAMPLE)
    assert [p.name for p in (tmp_path / "p" / "starting_kit").iterdir()] == ["README.md"]


@pytest.mark.parametrize(
    ("make", "options", "says"),
    [
        (bench, {"verify": "process"}, "there is no submission to verify with"),
        (lambda: cb.load(Path(__file__).parents[2] / "examples/inverted/bundle"), {}, "defined in Python"),
    ],
)
def test_what_cannot_be_packed(make: Any, options: dict[str, Any], says: str, tmp_path: Path) -> None:
    with make() as comp, pytest.raises(UsageError, match=says) as caught:
        comp.pack(tmp_path / "p.zip", **options)
    assert caught.value.code == "CB320"


def test_functions_that_stay_here_are_named_all_at_once(tmp_path: Path) -> None:
    with bench(task(ingestion_program=lambda io: None, scoring_program=print)) as comp:
        with pytest.raises(BundleError) as caught:
            comp.pack(tmp_path / "p.zip")
        assert [p.code for p in caught.value.report or ()] == ["CB322", "CB322"]
        assert comp.check().errors == (caught.value.report.errors if caught.value.report else ())
    assert score.kind == "scoring"
