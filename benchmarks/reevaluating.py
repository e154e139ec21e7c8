"""Re-evaluation: what it costs to find out that nothing has to be done, and to score again after a fix."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import competition
from measure import Benchmark, CannotMeasureError, Side, milliseconds, python

ROOT = Path(__file__).resolve().parents[1]
RUNS, PARTICIPANTS, PART = 20_000, 997, 2_000
SCORED, PARALLEL = 200, os.cpu_count() or 1
PLAN = """\
import sys, codabench
ws = codabench.Workspace(sys.argv[1], backend="docker")
plan = ws.reevaluate(ws.competition("Nothing"))
assert plan.counts["current"] == int(sys.argv[2]) == len(plan.items), plan
assert not plan.containers["scoring"] + plan.containers["prediction"], plan
ws.close()
"""


def fill(workspace: Any, pattern: Any, runs: int, *, alike: bool = False) -> None:
    """So many stored runs, as if each had been carried out: those of a pattern, with digests of their own.

    These are computed one by one, from a whole plan of each run.

    Parameters
    ----------
    alike
        With the same files and the same predictions, which are stored.
    """
    from sqlalchemy import insert

    from codabench.backends.engine import Image
    from codabench.db.convert import run_row, submission_row
    from codabench.db.tables import EVENT, RUN, SUBMISSION

    run, submission = pattern.run.record, pattern.record
    plan = workspace.plans.planner([run])(run, workspace.db.attempts(run.id)[-1])
    image = Image.model_validate(run.outcome.provenance["image"])
    made = [_again(plan, image, run, submission, n, 0 if alike else n) for n in range(1, runs)]
    event = {"sequence": 1, "kind": "RunQueued", "at": datetime.now(UTC), "attempt": None, "data": "{}"}
    for start in range(0, len(made), PART):
        part = made[start : start + PART]
        with workspace.db._change() as db:
            db.execute(insert(SUBMISSION), [submission_row(s) for s, _ in part])
            ended = {"status": run.status.value, "last_event": 1}
            rows = [run_row(r, s) | ended | {"outcome": r.outcome.model_dump_json()} for s, r in part]
            db.execute(insert(RUN), [row | {"attempt": run.attempt if alike else None} for row in rows])
            db.execute(insert(EVENT), [{"run": r.id, **event} for _, r in part])


def _again(plan: Any, image: Any, run: Any, submission: Any, n: int, files: int) -> tuple[Any, Any]:
    """Another submission, and its run."""
    from codabench.runner.provenance import step_digest

    tree, output = submission.tree, run.outcome.steps[0].output
    if files:
        tree = tree.model_copy(update={"digest": _digest("files", files)})
        output = output.model_copy(update={"digest": _digest("predictions", files)})
    mine = plan.model_copy(update={"trees": {**plan.trees, "submission": tree}})
    engine = run.outcome.provenance["engine"]["name"]
    digests = [step_digest(mine, "prediction", image, engine), step_digest(mine, "scoring", image, engine, output)]
    steps = [step.model_copy(update={"digest": d}) for step, d in zip(run.outcome.steps, digests, strict=True)]
    steps[0] = steps[0].model_copy(update={"output": output})
    trees = {**run.outcome.provenance["trees"], "submission": tree.digest}
    provenance = {**run.outcome.provenance, "trees": trees}
    outcome = run.outcome.model_copy(update={"steps": tuple(steps), "provenance": provenance})
    who = {"participant": f"p{n % PARTICIPANTS}", "number": n + 1, "id": f"s{n}", "tree": tree}
    of = {"id": f"r{n}", "submission": f"s{n}", "outcome": outcome}
    return submission.model_copy(update=who), run.model_copy(update=of)


def _digest(*words: object) -> str:
    return "sha256:" + hashlib.sha256(repr(words).encode()).hexdigest()


@contextmanager
def _lab(runs: int, *, alike: bool) -> Iterator[tuple[Path, Any, Any]]:
    """A folder, a workspace in it with so many runs, and its competition; Docker has carried out one of them."""
    import codabench as cb

    engine: Any = competition.engine("docker")
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text:
        folder = Path(text)
        bundle, submission = competition.write(folder)
        with cb.load(bundle) as loaded, cb.Workspace(folder / "lab", backend=engine, jobs=PARALLEL) as ws:
            comp = ws.add(loaded)
            first = comp.run(submission, progress="none")
            if first.run.scores != {"score": 1.0}:
                raise CannotMeasureError(f"the submission did not run: {first}")
            fill(ws, first, runs, alike=alike)
            yield folder, ws, comp


def _created(action: Callable[[], object], workspace: Path) -> list[dict[str, str]]:
    """The labels of the containers of a workspace that the engine says it created while something was done."""
    import docker

    engine: Any = competition.engine("docker")
    # While it goes on: the engine remembers the last few hundred events only.
    mine = {"event": "create", "label": f"codabench.workspace={workspace}"}
    stream = docker.DockerClient(base_url=engine.url, version="auto").events(decode=True, filters=mine)
    seen: list[dict[str, str]] = []
    reader = threading.Thread(target=lambda: seen.extend(event["Actor"]["Attributes"] for event in stream), daemon=True)
    reader.start()
    action()
    time.sleep(1)
    stream.close()
    return seen


@contextmanager
def _plans() -> Iterator[tuple[Side, Side]]:
    """A new process plans over the full one, against the same over one with a single run."""
    with _lab(RUNS, alike=False) as (folder, _, _), _lab(1, alike=False) as (empty, _, _):
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "PYTHONPATH": str(ROOT)}

        def planned(place: Path, runs: int) -> float:
            return milliseconds(lambda: python("-c", PLAN, str(place / "lab"), str(runs), env=env))

        if made := _created(lambda: planned(folder, RUNS), folder / "lab"):
            raise CannotMeasureError(f"a plan created {len(made)} containers")
        yield lambda: planned(folder, RUNS), lambda: planned(empty, 1)


@contextmanager
def _rescored() -> Iterator[tuple[Side, Side]]:
    """A batch after a scoring fix, against bare containers of the same scoring program."""
    from bare_many import Many

    with _lab(SCORED, alike=True) as (folder, ws, comp):
        numbers = count(2)
        engine: Any = competition.engine("docker")
        bare = Many(engine.url, competition.IMAGE, ["python3", "/app/program/score.py", "/app/output"], PARALLEL)

        def rescore() -> float:
            program = folder / f"scorer{next(numbers)}"
            shutil.copytree(folder / "bundle" / "scorer", program)
            (program / "score.py").write_text(f"# {program.name}\n{competition.SCORER}")
            comp.revise(0, scoring_program=program, note="mended")
            taken: list[float] = []
            plan = ws.reevaluate(comp)
            made = _created(lambda: taken.append(milliseconds(lambda: plan.execute(progress="none"))), folder / "lab")
            steps = [labels.get("codabench.step") for labels in made]
            if steps != ["scoring"] * SCORED:
                raise CannotMeasureError(f"not {SCORED} scoring containers alone: {plan}, {set(steps)} {len(steps)}")
            return SCORED / taken[0] * 1000

        def containers() -> float:
            places = [_places(folder, n) for n in range(SCORED)]
            seconds = milliseconds(lambda: bare.run(places))
            shutil.rmtree(folder / "bare")
            return SCORED / seconds * 1000

        yield rescore, containers


def _places(folder: Path, n: int) -> list[tuple[str, str, bool]]:
    """The directories of a bare scoring container: they are there before the time is taken."""
    mine = folder / "bare" / str(n)
    for name in ("input", "output", "shared"):
        (mine / name).mkdir(parents=True)
        (mine / name).chmod(0o777)
    for name in ("res", "ref"):
        (mine / "input" / name).mkdir()
    shutil.copy(folder / "submission" / "main.py", mine / "input" / "res")
    written = [(str(mine / name), f"/app/{name}", False) for name in ("input", "output", "shared")]
    read = [("bundle/scorer", "/app/program"), ("bundle/reference", "/app/input/ref")]
    return [*written, *((str(folder / source), target, True) for source, target in read)]


nothing_changed = Benchmark(
    name="reevaluate_nothing_changed",
    about="a new process plans over 20,000 stored runs of which none changed, against one run",
    unit="ms",
    sides=_plans,
    must=("value", 4000),
)
rescore_batch = Benchmark(
    name="rescore_batch",
    about=f"200 submissions scored again after a fix, {PARALLEL} at a time, against bare containers",
    unit="/s",
    sides=_rescored,
    must=("least", 0.9),
    most=3,
)
