"""Every submission of the acceptance bundles and of our own examples, run for real, against `expected.json`.

Where an expectation and a ruling of contract.md section 7 differ, the ruling wins; those places are listed below.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.select import engine_named

sys.path.append(str(Path(__file__).parents[1] / "dask"))
from cluster import Cluster

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"

RULINGS: dict[tuple[str, str], dict[str, Any]] = {
    # "`$tmp` is `/app/output` (programs pass files through it)": one of the eight looks for a folder of its own.
    ("14-placeholders", "anything"): {"scores": {"ingestion": 11, "scoring": 7, "arguments": 11}},
}


WRITABLE = cb.Policy(writable_inputs=True)
POLICIES = {"15-writes-and-working-folder": WRITABLE}
"""Input and reference data are read-only unless `writable_inputs` says otherwise; the folder writes into them."""


def cases(config: pytest.Config) -> list[tuple[Path, dict[str, Any]]]:
    """(folder, case) of every folder with an `expected.json` that can be run."""
    folders = sorted(p.parent for p in EXAMPLES.glob("*/expected.json"))
    if given := config.getoption("--bundles"):
        folders += sorted(p.parent for p in Path(given).resolve().glob("*/expected.json"))
        folders.append(Path(given).resolve() / "task_zips")
    found = []
    for folder in folders:
        name = "index.json" if folder.name == "task_zips" else "expected.json"
        expected = json.loads((folder / name).read_text(encoding="utf-8"))
        for case in expected.get("cases", [expected]):
            if case["check"]["ok"] and case.get("submissions"):
                found.append((folder, case))
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "wanted" in metafunc.fixturenames:
        params, ids = [], []
        for folder, case in cases(metafunc.config):
            for wanted in case["submissions"]:
                params.append(pytest.param(folder, case, wanted, marks=marks(folder)))
                ids.append(f"{folder.name}-{Path(case['bundle']).stem}-{wanted['id']}".replace(" ", "_"))
        metafunc.parametrize(("folder", "case", "wanted"), params, ids=ids)
    elif "boarded" in metafunc.fixturenames:
        listed = [(f, c, b) for f, c in cases(metafunc.config) if "board" in c for b in _boards(c)]
        params = [pytest.param(f, c, b, marks=marks(f)) for f, c, b in listed]
        metafunc.parametrize(
            ("folder", "case", "boarded"), params, ids=[f"{f.name}-{b['phase']}" for f, _, b in listed]
        )


def marks(folder: Path) -> list[pytest.MarkDecorator]:
    """Our own examples run with the engine tests, as root and as an ordinary user; the given folder in its own part."""
    return [] if folder.parent == EXAMPLES else [pytest.mark.bundles]


def _boards(case: dict[str, Any]) -> list[dict[str, Any]]:
    return case["board"] if isinstance(case["board"], list) else [case["board"]]


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    word = f"{request.param}:{request.getfixturevalue(request.param + '_url')}"
    if request.config.getoption("--cluster"):
        with on_a_cluster(word, request.getfixturevalue("tmp_path_factory").mktemp("cluster")) as backend:
            yield backend
        return
    made = engine_named(word)
    yield made
    made.close()


@contextmanager
def on_a_cluster(word: str, place: Path) -> Iterator[Any]:
    """The same engine, on two workers that are processes of their own."""
    cluster = Cluster(place)
    try:
        for _ in range(2):
            cluster.worker(1, engine=word)
        with cb.DaskBackend(cluster.url) as backend:
            yield backend
    finally:
        cluster.close()


class Results:
    """Runs a case once, when its first submission is asked for."""

    def __init__(self, engine: Any) -> None:
        self._engine, self._done = engine, {}

    def of(self, folder: Path, case: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        key = (folder, case["bundle"])
        if key not in self._done:
            competition = cb.load(folder / case["bundle"])
            handles = {}
            for wanted in case["submissions"]:
                phase = competition.phases[wanted["phase"]]
                tasks = [phase.tasks[n] for n in wanted["tasks"]]
                options = {
                    "phase": wanted["phase"],
                    "task": tasks,
                    "backend": self._engine,
                    "participant": wanted["id"],
                }
                options["policy"] = POLICIES.get(folder.name, "standard")
                handles[wanted["id"]] = competition.workspace.submit(
                    competition, (folder / wanted["path"]).resolve(), enforce=False, **options
                )
            for handle in handles.values():
                handle.wait(timeout=180)
            self._done[key] = competition, handles
        return self._done[key]

    def close(self) -> None:
        for competition, _ in self._done.values():
            competition.close()


@pytest.fixture(scope="module")
def results(engine: Any) -> Iterator[Results]:
    made = Results(engine)
    yield made
    made.close()


def same(found: dict[str, float], wanted: dict[str, float], tolerance: float) -> bool:
    return found.keys() == wanted.keys() and all(math.isclose(found[k], wanted[k], abs_tol=tolerance) for k in wanted)


@pytest.mark.engine
def test_submission(folder, case, wanted, results):
    _, handles = results.of(folder, case)
    handle = handles[wanted["id"]]
    assert len(handle.runs) == len(wanted["runs"])
    for run, expected in zip(handle.runs, wanted["runs"], strict=True):
        outcomes = [expected, *([wanted["alternative"]] if "alternative" in wanted else [])]
        if ruled := RULINGS.get((folder.name, wanted["id"])):
            outcomes = [{**expected, **ruled}]
        tolerance = wanted.get("tolerance", 1e-9)
        found = next(
            (o for o in outcomes if run.status == o["status"] and same(run.scores, o["scores"], tolerance)), None
        )
        if found is None and run.status in wanted.get("any_of", ()):
            continue
        assert found is not None, f"{run.status} {run.scores} {run.problem}\n{run.logs}"
        if found["status"] == "Failed":
            assert run.problem is not None
            if "problem" in found:
                check_problem(run, found["problem"])
        for log, text in wanted.get("log_has", {}).items():
            assert text in run.logs[log]
        if "warning" in wanted and run.status == "Finished":
            assert run.warnings, wanted["warning"]
        if "detailed_results" in wanted:
            check_page(run, wanted)
        if "seconds_at_most" in wanted:
            assert run.seconds <= wanted["seconds_at_most"]


@pytest.mark.engine
@pytest.mark.parametrize("name", ["code-submission", "several-tasks"])
def test_examples_in_the_sandbox(name, make_engine_called):
    """The scores are those of the containers."""
    with make_engine_called("sandbox") as engine:
        check_example(name, engine)


@pytest.mark.engine
@pytest.mark.once
@pytest.mark.parametrize("word", ["docker", "podman"])
def test_examples_on_a_cluster(word, request, tmp_path):
    """The scores are those of the same engine on this machine; all of them: pytest tests/bundles --cluster."""
    with on_a_cluster(f"{word}:{request.getfixturevalue(word + '_url')}", tmp_path) as backend:
        for name in ("code-submission", "several-tasks"):
            check_example(name, backend)


def check_example(name, place):
    expected = json.loads((EXAMPLES / name / "expected.json").read_text(encoding="utf-8"))
    wanted = next(s for s in expected["submissions"] if s["status"] == "Finished")
    with cb.load(EXAMPLES / name / expected["bundle"]) as competition:
        phase = competition.phases[wanted["phase"]]
        tasks = [phase.tasks[n] for n in wanted["tasks"]]
        path = EXAMPLES / name / wanted["path"]
        handle = competition.run(path, phase=wanted["phase"], task=tasks, backend=place, progress="none")
        for run, one in zip(handle.runs, wanted["runs"], strict=True):
            assert run.status == one["status"], run.logs
            assert same(run.scores, one["scores"], wanted.get("tolerance", 1e-9))


def check_problem(run, expected):
    assert run.problem.fault in expected["fault"], run.problem
    for log, text in expected.get("log_has", {}).items():
        assert text in run.logs[log]
    if "exit_code" in expected:
        steps = expected["step"] if isinstance(expected["step"], list) else [expected["step"]]
        assert expected["exit_code"] in [run.exit_code(s, r) for s in steps for r in ("program", "ingestion")]


def check_page(run, wanted):
    if wanted["detailed_results"] is None:
        assert run.detailed_results is None
    else:
        assert (
            wanted["detailed_results_has"] in run.detailed_results
            if "detailed_results_has" in wanted
            else run.detailed_results
        )


@pytest.mark.engine
def test_board(folder, case, boarded, results):
    """The board that our own scores lead to, in the order of submission."""
    competition, handles = results.of(folder, case)
    entries = boarded["entries"]
    timed = {s["id"]: s.get("submitted_at") for s in case["submissions"]}
    if any(timed[i] for i in entries):
        pytest.skip("times of submission are given: tests/bundles/test_ranking.py")
    board = competition.leaderboard(phase=boarded["phase"])
    order = [row.participant for row in board.rows if row.participant in entries]
    assert order == boarded["order"]
    assert all(handles[i].status == "Finished" for i in entries)


@pytest.mark.engine
@pytest.mark.bundles
def test_writing_into_inputs_fails_and_says_how_to_allow_it(bundles, engine):
    folder = bundles / "15-writes-and-working-folder"
    competition = cb.load(folder / "bundle")
    run = competition.run(folder / "submissions" / "zero", backend=engine, progress="none").run
    assert run.status == "Failed"
    assert "policy standard" in run.problem.hint
    assert "writable_inputs" in run.problem.hint
    competition.close()
