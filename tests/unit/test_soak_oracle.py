"""The soaks that kill processes find what they look for: each defence taken out, and the oracle says so."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

SOAKS = Path(__file__).resolve().parents[1] / "soak"
ROOT = SOAKS.parents[1]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def soaks() -> Iterator[None]:
    sys.path.insert(0, str(SOAKS))
    yield
    sys.path.remove(str(SOAKS))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, soaks: None) -> Any:
    """A workspace in which two runs have finished; nothing is wrong with it."""
    import _lab
    import _scenarios

    made = _lab.Lab(tmp_path_factory.mktemp("soaks") / "lab")
    _scenarios.told(_scenarios.submit_and_run)(made, "first")
    assert kinds(made) == set()
    return made


@pytest.fixture
def lab(tmp_path: Path, finished: Any) -> Any:
    """A copy of it."""
    import _lab

    shutil.copytree(finished.folder, tmp_path / "lab")
    return _lab.Lab(tmp_path / "lab")


def kinds(lab: Any, saying: str = "") -> set[str]:
    """The kinds of what the oracle finds, and of what it says."""
    import _oracle

    return {kind for kind, text in _oracle.findings(lab) if saying in text}


def change(lab: Any, *statements: str) -> None:
    with closing(sqlite3.connect(lab.db.removeprefix("sqlite:///"))) as raw:
        for statement in statements:
            raw.execute(statement)
        raw.commit()


def value(lab: Any, query: str) -> Any:
    with closing(sqlite3.connect(lab.db.removeprefix("sqlite:///"))) as raw:
        return raw.execute(query).fetchone()[0]


# ---------------------------------------------------------------------- recovery that is broken
class Zombie:
    """A run that was taken from one process by another, and both come to a result."""

    def __init__(self, lab: Any) -> None:
        from codabench.core.events import EventKind
        from codabench.core.records import Outcome, Run, Status
        from codabench.db.database import Database
        from codabench.storage.store import Storage

        self.lab, self.db, self.storage = lab, Database(lab.db), Storage(lab.storage)
        ((competition, _),) = self.db.competitions()
        template = self.db.submissions(competition)[0]
        made = template.model_copy(update={"id": "s", "participant": "zombie", "number": 1})
        run = Run(id="r", submission="s", task=0, position=0, created_at=NOW)
        self.db.add_submission(made, [run], kind=EventKind.RUN_QUEUED)
        for name in ("old", "new"):
            ((taken, _),) = self.db.take_runs(name, [(name, name)], now=NOW, seconds=1)
            assert taken.id == "r"
            if name == "old":
                self.db.lose_attempt("r", name, at=NOW + timedelta(minutes=1))
        self.outcomes = {n: Outcome(status=Status.FINISHED, scores={"score": s}) for n, s in (("old", 1), ("new", 2))}

    def report(self, name: str) -> None:
        """An attempt that ends: its result, and then its row."""
        from codabench.core.events import EventKind

        outcome = self.outcomes[name]
        self.storage.put_result("r", name, outcome.model_dump(mode="json"))
        with open(self.lab.counts, "a") as file:
            file.write(f"{int(outcome.scores['score'])}\n")
        kinds = [EventKind.SCORING_STARTED, EventKind.RUN_FINISHED]
        self.db.append("r", kinds, at=NOW + timedelta(minutes=2), attempt=name, token=name, outcome=outcome)


def test_a_late_result_is_refused(lab: Any) -> None:
    from codabench.core.errors import StateError

    zombie = Zombie(lab)
    with pytest.raises(StateError, match="does not count any more"):
        zombie.report("old")
    zombie.report("new")
    assert kinds(lab) == set()


def test_a_takeover_that_ignores_tokens(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: the check of tokens is not there."""
    from codabench.core.errors import StateError
    from codabench.db.runs import Runs

    zombie = Zombie(lab)
    row = Runs._run_row

    class Believing:
        def __init__(self, found: Any, name: str) -> None:
            self._found, self.attempt, self.token = found, name, name

        def __getattr__(self, name: str) -> Any:
            return getattr(self._found, name)

    monkeypatch.setattr(Runs, "_run_row", lambda self, db, id: Believing(row(self, db, id), "old"))
    zombie.report("old")
    monkeypatch.undo()
    with pytest.raises(StateError):
        zombie.report("new")
    assert kinds(lab, "which did not count any more") == {"double"}


def test_an_outcome_that_is_recorded_without_compare_and_set(lab: Any) -> None:
    zombie = Zombie(lab)
    zombie.report("new")
    last = zombie.outcomes["old"].model_dump_json().replace("'", "''")
    change(lab, f"""UPDATE run SET outcome = '{last}', scores = '{{"score": 1.0}}' WHERE id = 'r'""")
    assert kinds(lab, "its attempt came to") == {"double"}


def test_a_row_that_is_admitted_without_its_tree(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import _scenarios

    from codabench.storage.localdisk import LocalObjects

    put = LocalObjects.put

    def forgets(self: Any, name: str, spooled: Any, size: int, sha256: str) -> None:
        if name.startswith("attempts"):
            put(self, name, spooled, size, sha256)

    monkeypatch.setattr(LocalObjects, "put", forgets)
    _scenarios.told(_scenarios.submit_and_run)(lab, "second")
    assert kinds(lab, "a row names what is not stored") == {"lost"}


def test_runs_that_nobody_takes_over(lab: Any) -> None:
    Zombie(lab)
    assert kinds(lab, "nobody carried it to its end") == {"lost"}


def test_a_limit_that_is_not_asked_for_with_the_insert(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import _scenarios

    monkeypatch.setattr("codabench.workspace.admission.admit", lambda *a: None)
    _scenarios.told(_scenarios.submit_and_run)(lab, "third")
    assert kinds(lab, "has 3 submissions") == {"illegal"}


# ---------------------------------------------------------------------- rows, bytes and what is left
RUN = "(SELECT id FROM run ORDER BY id LIMIT 1)"
DAMAGES = {
    "a status that history does not lead to": ("UPDATE run SET status = 'Running'", "illegal"),
    "half a row": ("UPDATE run SET finished_at = NULL", "illegal"),
    "a score is gone": (f"UPDATE run SET scores = NULL WHERE id = {RUN}", "lost"),
    "a score of nobody": ("""UPDATE run SET scores = '{"score": 7}'""", "double"),
    "a run that no board shows": (f"UPDATE run SET shown = 0 WHERE id = {RUN}", "lost"),
    "steps of somebody else": (f"UPDATE step SET run = {RUN}", "double"),
    "a number is left out": ("UPDATE submission SET number = 9 WHERE number = 2", "illegal"),
    "one migrated twice": ("UPDATE submission SET origin = 'o', origin_kind = 'migration'", "double"),
    "a competition without its files": ("DELETE FROM tree", "lost"),
    "a lease of the dead": (
        "INSERT INTO lease (name, holder, token, expires_at) VALUES ('batch', 'gone', 't', '2999-01-01 00:00:00')",
        "left",
    ),
    "a submission without its run": ("DELETE FROM run", "lost"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_rows_that_are_not_right(name: str, lab: Any) -> None:
    statement, kind = DAMAGES[name]
    change(lab, statement)
    assert kind in kinds(lab)


@pytest.mark.parametrize("what", ["submission", "score", "deleted", "batch", "migrated", "backup"])
def test_what_was_acknowledged_and_is_not_there(what: str, lab: Any) -> None:
    lab.acknowledge(what, "0" * 32, scores={}, promoted=False)
    assert kinds(lab) == {"lost"}


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_bytes_that_are_not_right(how: str, lab: Any) -> None:
    blob = max((p for p in (lab.storage / "blobs").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.unlink() if how == "gone" else blob.write_bytes(data if how == "flipped" else data[:10])
    assert kinds(lab) == {"lost"}


def test_a_score_that_was_written_twice(lab: Any) -> None:
    scores = json.loads(value(lab, "SELECT scores FROM run LIMIT 1"))
    with open(lab.counts, "a") as file:
        file.write(f"{int(scores['score'])}\n")
    assert kinds(lab, "was written 2 times") == {"double"}


def test_a_process_that_is_left(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import _oracle

    from codabench.backends.owner import myself
    from codabench.backends.process import OWNER

    monkeypatch.setattr(_oracle, "PATIENCE", 0.1)
    lab.pids.add(os.getpid())
    program = subprocess.Popen(["sleep", "600"], env={**os.environ, OWNER: myself().label()})
    try:
        assert kinds(lab, f"process {program.pid}") == {"left"}
    finally:
        program.kill()
        program.wait()
    assert kinds(lab) == set()


# ---------------------------------------------------------------------- points
LISTS = """
import json, sys
from pathlib import Path
import _lab, _points, _scenarios
lab = _lab.Lab(Path(sys.argv[1]))
points = _points.Points(lab.storage)
_points.install(points, _points.KINDS if sys.argv[2] == "wrapped" else {})
_scenarios.told(_scenarios.submit_and_run)(lab, "word")
print(json.dumps([sorted(points.seen), sorted(points.uncovered)]))
"""


KILLS = """
import json, sys
from pathlib import Path
import _tally, crash_points
from codabench.workspace.takeover import Takeover
if sys.argv[2] == "forgetful":
    Takeover.look = lambda self, mine: None
tally, labs = _tally.Tally(), _tally.fresh_labs(Path(sys.argv[1]), lambda: None)
kills = [crash_points.Kill("submit_and_run", f"{name}: after its commit", 1) for name in json.loads(sys.argv[3])]
crash_points.carry_out("here", labs, kills, len(kills), tally)
print(json.dumps([tally.killed.total(), tally.kinds]))
"""


def alone(script: str, *words: object) -> Any:
    """What a script prints last that has a process of its own."""
    argv = [sys.executable, "-c", script, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": f"{SOAKS}:{ROOT}"}
    ended = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def listed(folder: Path, how: str) -> tuple[set[str], set[str]]:
    seen, uncovered = alone(LISTS, folder, how)
    return set(seen), set(uncovered)


def test_there_is_a_point_around_every_call(tmp_path: Path) -> None:
    seen, uncovered = listed(tmp_path / "lab", "wrapped")
    assert uncovered == set()
    assert {
        "Submissions.add_submission: before its commit",
        "Submissions.add_submission: after its commit",
        "LocalObjects.put: before",
        "ProcessContainer.run: after",
    } <= seen


def test_calls_without_a_point_are_found(tmp_path: Path) -> None:
    seen, uncovered = listed(tmp_path / "lab", "bare")
    assert seen <= {"None: before its commit", "None: after its commit"}
    assert {each.partition(":")[0] for each in uncovered} == {"storage", "database", "engine"}


@pytest.mark.parametrize(("recovery", "kinds"), [("whole", set()), ("forgetful", {"lost"})])
def test_a_recovery_that_forgets_the_runs_of_the_dead(recovery: str, kinds: set[str], tmp_path: Path) -> None:
    points = ["Submissions.add_submission", "Taking.take_runs", "Runs.record"]
    killed, found = alone(KILLS, tmp_path, recovery, json.dumps(points))
    assert killed == len(points)
    assert set(found) == kinds


def test_kills_are_spread_over_stories_and_points(soaks: None) -> None:
    import random
    from collections import Counter

    import crash_points

    points = {"a": Counter({"x": 3, "y": 1}), "b": Counter({"x": 2, "z": 40})}
    kills = crash_points.chosen(points, random.Random(1))
    assert {(kill.story, kill.point) for kill in kills[:4]} == {("a", "x"), ("a", "y"), ("b", "x"), ("b", "z")}
    assert len(set(kills)) == len(kills) == 46
    assert all(1 <= kill.passing <= points[kill.story][kill.point] for kill in kills)
