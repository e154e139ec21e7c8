"""Phases that begin with the board of the phase before."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tiny import LAST, PHASE, answer, bundle, yaml

import codabench as cb
from codabench.core.competition import CompetitionSpec, PhaseSpec
from codabench.core.errors import UsageError
from codabench.workspace import migration

ONE = PHASE.format(0, "One", "2020-01-01, end: 2021-01-01", "0", "")
PHASES = ONE + PHASE.format(1, "Two", "2022-01-01", "0, 1", ", auto_migrate_to_this_phase: true")
BEST = LAST.replace("key: board\n", "key: board\n    submission_rule: Force_Best\n", 1)
TEXT = yaml(("First", "Second"), PHASES, "auto_run_submissions: false\n", BEST)
BEGUN, BEFORE = datetime(2022, 1, 1, tzinfo=UTC), datetime(2021, 12, 31, tzinfo=UTC)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[cb.Workspace]:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        yield ws


@pytest.fixture
def comp(lab: cb.Workspace, tmp_path: Path) -> cb.Competition:
    found = lab.add(cb.load(bundle(tmp_path / "bundle", TEXT)))
    for who, score in (("ada", 0.25), ("ada", 0.75), ("bob", 0.5)):
        name = answer(tmp_path / f"{who}-{score}", f'{{"score": {score}}}')
        found.run(name, participant=who, phase=0, progress="none")
    bad = answer(tmp_path / "bad", '{"exit": 3}')
    found.run(bad, participant="eve", phase=0, progress="none")
    return found


def in_two(comp: cb.Competition) -> list[tuple[str, str | None, int]]:
    return [(s.name, s.record.origin_kind, len(s.runs)) for s in comp.submissions(1)]


@pytest.mark.parametrize(
    ("index", "wanted", "done", "now", "is_due"),
    [
        (1, True, False, BEGUN, True),
        (1, True, False, BEFORE, False),
        (1, True, True, BEGUN, False),
        (1, False, False, BEGUN, False),
        (0, True, False, BEGUN, False),
    ],
)
def test_when_a_phase_is_due(index: int, wanted: bool, done: bool, now: datetime, is_due: bool) -> None:
    phase = PhaseSpec(index=index, name="P", start=BEGUN, auto_migrate_to_this_phase=wanted)
    found = migration.due(CompetitionSpec(title="C", phases=(phase,)), {index: BEGUN} if done else {}, now)
    assert found == ([phase] if is_due else [])


def test_the_board_goes_on_to_the_next_phase_once(lab: cb.Workspace, comp: cb.Competition) -> None:
    assert lab.tick(BEFORE) == []
    (done,) = lab.tick(BEGUN)
    assert in_two(comp) == [("ada-0.75", "migration", 2), ("bob-0.5", "migration", 2)]
    assert done.submissions == tuple(s.id for s in comp.submissions(1))
    assert lab.tick(BEGUN) == []
    assert lab.migrate(comp, "Two").submissions == ()
    assert [s.wait().status for s in comp.submissions(1)] == ["Finished"] * 2, "nothing of it is held back"
    assert [row.participant for row in comp.leaderboard(phase=1)] == ["ada", "bob"]
    assert len(comp.submissions(0)) == 4


def test_one_that_was_stopped_half_way_goes_on(
    lab: cb.Workspace, comp: cb.Competition, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = migration._taken
    calls: list[str] = []

    def stopped(*given: object) -> object:
        calls.append("taken")
        if len(calls) == 2:
            raise KeyboardInterrupt
        return taken(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(migration, "_taken", stopped)
    with pytest.raises(KeyboardInterrupt):
        lab.tick(BEGUN)
    assert len(in_two(comp)) == 1
    assert lab.db.migrated(comp.id) == {}
    monkeypatch.undo()
    (done,) = lab.tick(BEGUN)
    assert len(done.submissions) == 2 == len(in_two(comp))
    numbers = [s.record.number for s in comp.submissions() if s.record.participant == "ada"]
    assert numbers == [1, 2, 3], "what was there already takes no number"


def test_it_waits_for_what_is_not_over(lab: cb.Workspace, comp: cb.Competition, tmp_path: Path) -> None:
    going = answer(tmp_path / "slow", '{"score": 1, "sleep": 60}')
    late = lab.submit(comp, going, participant="eve", phase=0, enforce=False)
    assert lab.tick(BEGUN)[0].waiting == 1
    assert in_two(comp) == []
    assert len(lab.migrate(comp, 1, leave_unfinished=True).submissions) == 2
    late.cancel()


def test_whoever_dispatches_looks_at_the_clock(lab: cb.Workspace, comp: cb.Competition) -> None:
    stop = threading.Event()
    serving = threading.Thread(target=lab.dispatch, kwargs={"stop": stop})
    serving.start()
    end = time.monotonic() + 60
    while 1 not in lab.db.migrated(comp.id) and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    serving.join()
    assert len(in_two(comp)) == 2


def test_there_is_nothing_before_the_first(lab: cb.Workspace, comp: cb.Competition) -> None:
    with pytest.raises(UsageError):
        lab.migrate(comp, 0)
