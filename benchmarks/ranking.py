"""Ranking: a million rows in memory; boards of a workspace with 100,000 submissions."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import tracemalloc
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from measure import Benchmark, Side, milliseconds

ROWS, PEOPLE, COLUMNS = 1_000_000, 100_000, 5
SUBMISSIONS, COMPETITIONS, PART = 100_000, 10, 5_000
AT = datetime(2026, 1, 1, tzinfo=UTC)
PEAK: tuple[str, list[float]] = ("x", [])


@contextmanager
def _million() -> Iterator[tuple[Side, Side]]:
    """The best row of each participant and their order, against two calls of `numpy.lexsort` that give the same."""
    import numpy as np

    from codabench.leaderboard import kernel

    rng = np.random.default_rng(0)
    owners, times = rng.integers(0, PEOPLE, ROWS), rng.permutation(ROWS)
    scores = [np.round(rng.random(ROWS), 4) for _ in range(COLUMNS)]
    columns = [kernel.Column(s) for s in scores]

    def ours() -> Any:
        return kernel.ranks(owners, times, columns, count=PEOPLE)

    def sorting() -> Any:
        rows = np.lexsort([times, *(-s for s in scores[::-1]), owners])
        new = np.ones(ROWS, dtype=bool)
        new[1:] = owners[rows[1:]] != owners[rows[:-1]]
        best = rows[new]
        order = np.lexsort([times[best], *(-s[best] for s in scores[::-1])])
        found = np.zeros(ROWS, dtype=np.int64)
        found[best[order]] = np.arange(1, best.size + 1)
        return found

    assert (ours() == sorting()).all()
    tracemalloc.start()
    ours()
    size = owners.nbytes + times.nbytes + sum(s.nbytes for s in scores)
    PEAK[1].append(tracemalloc.get_traced_memory()[1] / size)
    tracemalloc.stop()
    yield lambda: milliseconds(ours), lambda: milliseconds(sorting)


million = Benchmark(
    name="rank_million",
    about="1,000,000 rows of 100,000 participants, the best of each ranked, 5 columns, against numpy.lexsort; "
    "beside it the peak of memory as a multiple of the input",
    unit="ms",
    sides=_million,
    must=("ratio", 2),
    most=10,
    beside=PEAK,
)


def fill(folder: Path, competitions: int) -> None:
    """A workspace with 100,000 scored submissions with five scores each, in so many competitions."""
    from sqlalchemy import insert

    from codabench.core.competition import CompetitionSpec
    from codabench.core.records import Outcome, Run, Status, Submission
    from codabench.core.trees import TreeRef
    from codabench.db.convert import run_row, submission_row
    from codabench.db.database import Database
    from codabench.db.tables import RUN, SUBMISSION

    rng = random.Random(0)
    db = Database(f"sqlite:///{folder / 'codabench.db'}")
    for n in range(competitions):
        db.add_competition(f"c{n}", CompetitionSpec(title=f"C{n}"), source="", at=AT)
    tree = TreeRef(digest=f"sha256:{'a' * 64}", archive="b" * 64, size=3, files=1)
    # As long as those of real runs, most of which is provenance.
    outcome = Outcome(status=Status.FINISHED, provenance={"host": "x" * 2000}).model_dump_json()
    ended = {"status": Status.FINISHED.value, "last_event": 1, "outcome": outcome}
    people = SUBMISSIONS // competitions // 10
    with db._change() as rows:
        for start in range(0, SUBMISSIONS, PART):
            made = [
                Submission(
                    id=f"{rng.getrandbits(128):032x}",
                    competition=f"c{n % competitions}",
                    phase=0,
                    name=f"{n}.zip",
                    participant=f"p{rng.randrange(people)}",
                    number=n,
                    tree=tree,
                    created_at=AT + timedelta(seconds=n),
                    tasks=(0,),
                )
                for n in range(start, start + PART)
            ]
            runs = [
                Run(
                    id=f"{rng.getrandbits(128):032x}",
                    submission=s.id,
                    task=0,
                    position=0,
                    created_at=s.created_at,
                    finished_at=s.created_at,
                )
                for s in made
            ]
            rows.execute(insert(SUBMISSION), [submission_row(s) for s in made])
            scores = [json.dumps({f"k{n}": rng.random() for n in range(COLUMNS)}) for _ in runs]
            of_run = zip(runs, made, scores, strict=True)
            rows.execute(insert(RUN), [run_row(r, s) | ended | {"scores": own} for r, s, own in of_run])
    db.close()


class Lab:
    """A database, and the board of one of its competitions."""

    def __init__(self, folder: Path) -> None:
        from codabench.core.competition import ColumnSpec, LeaderboardSpec, PhaseSpec, SubmissionRule
        from codabench.db.database import Database
        from codabench.workspace.boards import Boards

        columns = [ColumnSpec(key=f"k{n}", title=f"K{n}", index=n) for n in range(COLUMNS)]
        self.spec = LeaderboardSpec(key="b", title="B", columns=columns)
        self.rule = SubmissionRule.FORCE_BEST
        self.phase = PhaseSpec(index=0, name="P", start=AT, tasks=(0,))
        self.new, self.db = Boards, Database(f"sqlite:///{folder / 'codabench.db'}")

    def page(self, boards: Any) -> Any:
        with boards.look("c0", self.phase, self.spec, rule=self.rule) as standings:
            return standings.board(0, 50)

    def finish(self) -> None:
        """Another submission is scored."""
        from codabench.core.events import EventKind as K
        from codabench.core.records import Outcome, Run, Status, Submission
        from codabench.core.trees import TreeRef

        id, now = uuid.uuid4().hex, datetime.now(UTC)
        tree = TreeRef(digest="sha256:x", archive="y", size=3, files=1)
        made = Submission(
            id=id, competition="c0", phase=0, name="x", participant="p7", tree=tree, created_at=now, tasks=(0,)
        )
        run = Run(id=uuid.uuid4().hex, submission=id, task=0, position=0, created_at=now)
        self.db.add_submission(made, [run], kind=K.RUN_QUEUED)
        about = {"at": now, "attempt": run.id, "token": "t"}
        self.db.start_attempt(run.id, **about)
        outcome = Outcome(status=Status.FINISHED, scores={f"k{n}": random.random() for n in range(COLUMNS)})
        self.db.append(run.id, [K.SCORING_STARTED, K.RUN_FINISHED], **about, outcome=outcome)


@contextmanager
def _lab(competitions: int) -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text:
        # In a process of its own: whoever asks for a page has not just made a hundred thousand submissions.
        here = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
        code = f"import sys; sys.path[:0] = {here}; import ranking as r; r.fill(r.Path(sys.argv[1]), int(sys.argv[2]))"
        subprocess.run([sys.executable, "-c", code, text, str(competitions)], check=True)
        lab = Lab(Path(text))
        yield lab
        lab.db.close()


@contextmanager
def _page() -> Iterator[tuple[Side, Side]]:
    """The first page of a board that nobody has asked for yet, against the same page asked for again."""
    with _lab(COMPETITIONS) as lab:
        warm = lab.new(lab.db)
        lab.page(warm)
        yield lambda: milliseconds(lambda: lab.page(lab.new(lab.db))), lambda: milliseconds(lambda: lab.page(warm))


@contextmanager
def _insert() -> Iterator[tuple[Side, Side]]:
    """The first page after one more submission was scored, against the page when nothing has happened."""
    with _lab(COMPETITIONS) as lab:
        warm = lab.new(lab.db)
        lab.page(warm)

        def after() -> float:
            lab.finish()
            return milliseconds(lambda: lab.page(warm))

        yield after, lambda: milliseconds(lambda: lab.page(warm))


@contextmanager
def _one() -> Iterator[tuple[Side, Side]]:
    with _lab(1) as lab:
        warm = lab.new(lab.db)
        lab.page(warm)
        yield lambda: milliseconds(lambda: lab.page(lab.new(lab.db))), lambda: milliseconds(lambda: lab.page(warm))


page = Benchmark(
    name="board_page",
    about="page 1 of the board of one of ten competitions with 100,000 submissions, nobody having asked for it yet, "
    "against the same page asked for again",
    unit="ms",
    sides=_page,
    must=("value", 100),
    most=20,
)

page_one = Benchmark(
    name="board_page_one",
    about="the same where all 100,000 submissions are on one board",
    unit="ms",
    sides=_one,
    most=5,
)

added = Benchmark(
    name="board_insert",
    about="page 1 after one more submission was scored, against page 1 when nothing has happened",
    unit="ms",
    sides=_insert,
    must=("above", 5),
)
