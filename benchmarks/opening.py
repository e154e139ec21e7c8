"""Opening a workspace that holds years of work."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from measure import Benchmark, Side, milliseconds, python

ROOT = Path(__file__).resolve().parents[1]
SUBMISSIONS, COMPETITIONS, PARTICIPANTS, PART = 100_000, 10, 997, 5_000
AT = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = "import sys, codabench; ws = codabench.Workspace(sys.argv[1]); print(len(ws.competitions())); ws.close()"


def fill(folder: Path, submissions: int) -> None:
    """A workspace with that many submissions, each with a finished run, in ten competitions."""
    from sqlalchemy import insert

    from codabench.core.competition import CompetitionSpec
    from codabench.core.records import Outcome, Run, Status, Submission
    from codabench.core.trees import TreeRef
    from codabench.db.convert import run_row, submission_row
    from codabench.db.database import Database
    from codabench.db.tables import EVENT, RUN, SUBMISSION

    folder.mkdir()
    db = Database(f"sqlite:///{folder / 'codabench.db'}")
    for n in range(COMPETITIONS):
        db.add_competition(f"c{n}", CompetitionSpec(title=f"C{n}"), source="", at=AT)
    tree = TreeRef(digest=f"sha256:{'a' * 64}", archive="b" * 64, size=3, files=1)
    outcome = Outcome(status=Status.FINISHED, scores={"score": 0.5}).model_dump_json()
    ended = {"status": Status.FINISHED.value, "last_event": 1, "outcome": outcome}
    event = {"sequence": 1, "kind": "RunQueued", "at": AT, "attempt": None, "data": "{}"}
    with db._change() as rows:
        for start in range(0, submissions, PART):
            made = [
                Submission(
                    id=f"s{n}",
                    competition=f"c{n % COMPETITIONS}",
                    phase=0,
                    name="x.zip",
                    participant=f"p{n % PARTICIPANTS}",
                    number=n,
                    tree=tree,
                    created_at=AT + timedelta(seconds=n),
                )
                for n in range(start, min(start + PART, submissions))
            ]
            runs = [Run(id=f"r{s.number}", submission=s.id, task=0, position=0, created_at=s.created_at) for s in made]
            rows.execute(insert(SUBMISSION), [submission_row(s) for s in made])
            rows.execute(insert(RUN), [run_row(r, s) | ended for r, s in zip(runs, made, strict=True)])
            rows.execute(insert(EVENT), [{"run": r.id, **event} for r in runs])
    db.close()


@contextmanager
def _sides() -> Iterator[tuple[Side, Side]]:
    """A new process opens the full one and lists its competitions, against the same with an empty one."""
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text:
        folder = Path(text)
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPYCACHEPREFIX": f"{folder}/compiled", "PYTHONPATH": str(ROOT)}
        fill(folder / "full", SUBMISSIONS)
        fill(folder / "empty", 0)

        def opened(name: str) -> float:
            return milliseconds(lambda: python("-c", OPEN, str(folder / name), env=env))

        opened("empty")
        yield lambda: opened("full"), lambda: opened("empty")


workspace = Benchmark(
    name="open_workspace",
    about="a new process opens a workspace with 100,000 submissions, against one with none",
    unit="ms",
    sides=_sides,
    must=("value", 1000),
)
