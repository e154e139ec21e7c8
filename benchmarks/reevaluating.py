"""Re-evaluation: what it costs to find out that nothing has to be done, and to score again after a fix."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RUNS, PARTICIPANTS, PART = 20_000, 997, 2_000
PLAN = """\
import sys, codabench
ws = codabench.Workspace(sys.argv[1], backend="docker")
plan = ws.reevaluate(ws.competition(sys.argv[2]))
assert plan.counts["current"] == int(sys.argv[3]) == len(plan.items), plan
ws.close()
"""


def fill(workspace: Any, comp: Any, pattern: Any, runs: int) -> None:
    """So many stored runs, as if each had been carried out: `pattern` with files and predictions of their own.

    Their digests are computed one by one, from a whole plan of each run.
    """
    from sqlalchemy import insert

    from codabench.backends.engine import Image
    from codabench.core.records import Run, Submission
    from codabench.db.convert import run_row, submission_row
    from codabench.db.tables import ATTEMPT, EVENT, RUN, SUBMISSION

    run, submission = pattern.run.record, pattern.record
    assert run.attempt is not None
    plan = workspace.plans.make(run, workspace.db.attempts(run.id)[-1])
    image = Image.model_validate(run.outcome.provenance["image"])
    made = [_again(plan, image, run, submission, n) for n in range(1, runs)]
    event = {"sequence": 1, "kind": "RunQueued", "at": datetime.now(UTC), "attempt": None, "data": "{}"}
    for start in range(0, len(made), PART):
        part: list[tuple[Submission, Run]] = made[start : start + PART]
        with workspace.db._change() as db:
            db.execute(insert(SUBMISSION), [submission_row(s) for s, _ in part])
            ended = {"status": run.status.value, "last_event": 1}
            rows = [run_row(r, s) | ended | {"outcome": r.outcome.model_dump_json()} for s, r in part]
            db.execute(insert(RUN), rows)
            db.execute(insert(EVENT), [{"run": r.id, **event} for _, r in part])
    del ATTEMPT


def _again(plan: Any, image: Any, run: Any, submission: Any, n: int) -> tuple[Any, Any]:
    """Another submission, and its run."""
    from codabench.runner.provenance import step_digest

    tree = submission.tree.model_copy(update={"digest": _digest("files", n)})
    output = run.outcome.steps[0].output.model_copy(update={"digest": _digest("predictions", n)})
    mine = plan.model_copy(update={"trees": {**plan.trees, "submission": tree}})
    engine = run.outcome.provenance["engine"]["name"]
    digests = [step_digest(mine, "prediction", image, engine), step_digest(mine, "scoring", image, engine, output)]
    steps = [step.model_copy(update={"digest": d}) for step, d in zip(run.outcome.steps, digests, strict=True)]
    steps[0] = steps[0].model_copy(update={"output": output})
    trees = {**run.outcome.provenance["trees"], "submission": tree.digest}
    outcome = run.outcome.model_copy(
        update={"steps": tuple(steps), "provenance": {**run.outcome.provenance, "trees": trees}}
    )
    who = {"participant": f"p{n % PARTICIPANTS}", "number": n + 1, "id": f"s{n}", "tree": tree}
    made = submission.model_copy(update=who)
    return made, run.model_copy(update={"id": f"r{n}", "submission": f"s{n}", "attempt": None, "outcome": outcome})


def _digest(*words: object) -> str:
    return "sha256:" + hashlib.sha256(repr(words).encode()).hexdigest()
