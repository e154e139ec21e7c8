"""The soak of the cluster finds what it looks for: runs left behind, late ones, and those that were done twice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.backend import Work
from codabench.backends.handle import WorkHandle
from codabench.backends.local import LocalBackend
from codabench.backends.process import ProcessEngine
from codabench.core.errors import WorkLost
from codabench.core.records import Attempt, Run, Status
from codabench.workspace.hands import Hands
from codabench.workspace.takeover import Takeover

SOAKS = Path(__file__).resolve().parents[1] / "soak"
ENDED = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def soaks() -> Iterator[None]:
    sys.path.insert(0, str(SOAKS))
    yield
    sys.path.remove(str(SOAKS))


def seconds(number: float) -> datetime:
    return ENDED + timedelta(seconds=number)


def stage(**changes: Any) -> Any:
    """Two runs; the first had two attempts. Nothing is wrong with them."""
    import _verdict

    about = {"submission": "s", "task": 0, "position": 0, "created_at": seconds(-60), "status": Status.FINISHED}
    runs = {
        "a": Run(id="a", attempt="a2", finished_at=seconds(30), **about),
        "b": Run(id="b", attempt="b1", finished_at=seconds(500), **about),
    }
    begun = {"a1": -20, "a2": 5, "b1": 499}
    attempts = [Attempt(id=id, run=id[0], number=1, token="t", started_at=seconds(at)) for id, at in begun.items()]
    given = {"runs": runs, "attempts": attempts, "started": ["a1", "a2", "b1"], "ended": ENDED}
    return _verdict.Stage(**given | changes)


def kinds(made: Any) -> set[str]:
    return {kind for kind, _ in made.findings()}


def test_a_stage_in_which_all_is_well() -> None:
    made = stage()
    assert kinds(made) == set()
    assert made.slowest() == 30
    assert kinds(made._replace(in_flight=1)) == set()


def changed(made: Any, run: str, **values: Any) -> Any:
    return made._replace(runs={**made.runs, run: made.runs[run].model_copy(update=values)})


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lambda made: changed(made, "a", status=Status.SCORING, finished_at=None), "lost"),
        (lambda made: changed(made, "a", finished_at=seconds(41)), "late"),
        (lambda made: made._replace(started=["a1", "a2", "a2", "b1"]), "double"),
        (lambda made: made._replace(in_flight=0), "double"),
        (lambda made: made._replace(started=["a1", "b1"]), "illegal"),
        (lambda made: made._replace(started=[*made.started, "x"]), "illegal"),
    ],
)
def test_what_is_wrong_with_a_stage(damage: Any, kind: str) -> None:
    assert kinds(damage(stage())) == {kind}


# ---------------------------------------------------------------------- recovery that is broken
class Careless(LocalBackend):
    """Carries out work, and says at first of each run that its worker is gone, as a cluster does."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(ProcessEngine(), jobs=1, scratch=scratch)
        self.started: list[str] = []
        self._seen: set[str] = set()

    def submit(self, work: Work, *, key: str, on_done: Any = None, **options: Any) -> Any:
        self.started.append(key)
        run = work.payload["run"]
        if run in self._seen:
            return super().submit(work, key=key, on_done=on_done, **options)
        self._seen.add(run)
        super().submit(work, key=key)
        lost = WorkHandle(key, None, lambda: on_done(lost))
        lost.begin()
        lost.fail(WorkLost("its worker is gone"))
        return lost


def test_a_run_whose_worker_is_gone_is_done_again(tmp_path: Path) -> None:
    assert kinds(after_a_loss(tmp_path, 30)) == set()


def test_a_recovery_that_forgets_what_a_worker_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Hands, "_worker_gone", lambda self, flight, error: self._drop(flight))
    monkeypatch.setattr(Takeover, "look", lambda self, mine: None)
    assert kinds(after_a_loss(tmp_path, 2)) == {"lost"}


def after_a_loss(folder: Path, patience: float) -> Any:
    """A run whose first attempt is lost with its worker, and what became of it."""
    import _lab
    import _verdict

    lab = _lab.Lab(folder / "lab")
    place = Careless(folder / "scratch")
    with cb.Workspace(lab.storage, db=lab.db, backend=place) as ws, cb.load(lab.bundle) as comp:
        run = ws.submit(ws.add(comp), lab.submission("word"), enforce=False).run
        ws.wait([run.id], patience)
        ended = datetime.now(UTC)
        found = _verdict.Stage({run.id: ws.db.run(run.id)}, ws.db.attempts(run.id), place.started, ended)
    place.close()
    return found
