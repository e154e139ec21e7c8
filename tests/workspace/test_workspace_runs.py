"""Submitting, waiting, cancelling; machines that fail; two workspaces on one file. Real processes throughout."""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import PHASE, Watcher, alive, answer, bundle, yaml

import codabench as cb
from codabench.backends.engine import ContainerSpec, Deadline, LogSink, StopSignal
from codabench.backends.process import ProcessContainer, ProcessEngine
from codabench.core.errors import (
    EngineError,
    EngineUnavailable,
    NotFound,
    RunFailed,
    StorageError,
    SubmissionRejected,
    UsageError,
)
from codabench.core.events import fold
from codabench.core.problems import Fault
from codabench.core.records import Exit, Outcome, Status
from codabench.storage.sources import remove_tree

SLEEPS = '{"score": 1, "sleep": 60}'


@pytest.fixture
def comp(tmp_path: Path) -> Iterator[cb.Competition]:
    made = cb.load(bundle(tmp_path / "bundle"))
    yield made
    made.close()


def test_many_are_not_the_letters_of_one(comp: cb.Competition, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="list of submissions"):
        comp.run_many(str(answer(tmp_path / "one")), backend="process")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., cb.Competition]]:
    """Competitions with other bundles."""
    made: list[cb.Competition] = []

    def load(text: str | None = None, **files: bytes) -> cb.Competition:
        named = {name.replace("__", "/").replace("_DOT_", "."): data for name, data in files.items()}
        made.append(cb.load(bundle(tmp_path / f"bundle{len(made)}", text, named)))
        return made[-1]

    yield load
    for one in made:
        one.close()


def run(comp: cb.Competition, submission: Path, **options: Any) -> cb.SubmissionHandle:
    return comp.run(submission, **{"backend": "process", "progress": "none", **options})


# ---------------------------------------------------------------- what comes out
def test_a_submission_from_its_files_to_its_scores(comp: cb.Competition, tmp_path: Path) -> None:
    sub = run(comp, answer(tmp_path / "mine"))
    assert (sub.status, sub.incomplete, sub.scores) == (Status.FINISHED, False, {"score": 0.5, "time": 5.0})
    assert sub.run.exit_code("scoring") == 0
    assert sub.run.exit_code("prediction") is None
    assert sub.run.logs["scoring_stdout"] == "scoring {'score': 0.5}\n"
    with sub.run.output("prediction") as predictions, sub.run.output() as output:
        assert predictions.is_file("answer.json")
        assert {e.path for e in output.entries()} == {"scores.json", "metadata"}
    assert fold(sub.run.history()) is Status.FINISHED
    assert sub.run.provenance["engine"]["isolation"] == "none"
    assert sub.raise_for_status() is sub
    assert sub.run.detailed_results is None


def test_what_was_waited_for_is_known_after_the_close(tmp_path: Path) -> None:
    with cb.load(bundle(tmp_path / "bundle")) as comp:
        made = comp.run(answer(tmp_path / "one"), backend="process")
    assert made.run.scores == made.run.outcome.scores != {}
    assert made.run.by_hand == []
    assert "score" in repr(made)


def test_a_failure_is_a_value(comp: cb.Competition, tmp_path: Path) -> None:
    sub = run(comp, answer(tmp_path / "mine", '{"exit": 3}'))
    assert sub.status is Status.FAILED
    assert sub.problem is not None
    assert (sub.problem.code, sub.run.exit_code("scoring"), sub.scores) == ("CB612", 3, {})
    assert comp.leaderboard().rows == ()
    with pytest.raises(RunFailed, match="did not finish: the scoring program exited with 3"):
        sub.raise_for_status()


def test_many_come_in_their_order_failures_included(comp: cb.Competition, tmp_path: Path) -> None:
    paths = [answer(tmp_path / f"s{n}", f'{{"score": {n}}}' if n != 2 else '{"exit": 1}') for n in range(5)]
    subs = comp.run_many(paths, backend="process", jobs=2, progress="none")
    assert [s.name for s in subs] == ["s0", "s1", "s2", "s3", "s4"]
    assert [s.status is Status.FINISHED for s in subs] == [True, True, False, True, True]
    board = comp.leaderboard()
    assert [board.name(r) for r in board] == ["s4", "s3", "s1", "s0"]
    assert [(r.rank, r.scores["score"]) for r in board] == [(1, 4), (2, 3), (3, 1), (4, 0)]


def test_several_tasks_and_one_that_fails(make: Callable[..., cb.Competition], tmp_path: Path) -> None:
    choosy = b"import json, sys, pathlib; a = json.loads((pathlib.Path(sys.argv[1]) / 'answer.json').read_text())\n"
    choosy += b"sys.exit(9) if a.get('second') == 'fails' else None\n"
    choosy += (
        b"(pathlib.Path(sys.argv[3]) / 'scores.json').write_text(json.dumps({'score': a['score'] + 2, 'time': 1}))\n"
    )
    text = yaml(("First", "Second")).replace(
        "name: Second, scoring_program: scoring", "name: Second, scoring_program: choosy"
    )
    command = b"command: python3 $program/score.py $predictions $hidden $output\n"
    comp = make(text, choosy__metadata=command, choosy__score_DOT_py=choosy)
    whole = run(comp, answer(tmp_path / "whole", '{"score": 1}'))
    half = run(comp, answer(tmp_path / "half", '{"score": 9, "second": "fails"}'))
    assert [r.scores.get("score") for r in whole.runs] == [1, 3]
    assert whole.scores == {"score": 2, "time": 3}
    assert (half.status, half.incomplete) == (Status.FINISHED, True)
    assert [r.status for r in half.runs] == [Status.FINISHED, Status.FAILED]
    assert [comp.leaderboard().name(r) for r in comp.leaderboard()] == ["whole", "half"]  # complete ones first
    with pytest.raises(ValueError, match="has 2 runs"):
        _ = whole.run
    alone = run(comp, answer(tmp_path / "alone"), task="Second")
    assert [t.name for t in alone.tasks] == ["Second"]


def test_equal_names_stay_apart_on_the_board(comp: cb.Competition, tmp_path: Path) -> None:
    paths = [answer(tmp_path / d / name) for d, name in (("x", "a"), ("y", "a"), ("z", "a #2"))]
    comp.run_many(paths, backend="process", progress="none")
    board = comp.leaderboard()
    assert sorted(board.name(r) for r in board) == ["a", "a #2", "a #2 #2"]


def test_names_that_are_no_text(comp: cb.Competition, tmp_path: Path) -> None:
    sub = run(comp, answer(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))))
    assert (sub.status, sub.name) == (Status.FINISHED, "caf\ufffd")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere file names are text")
def test_a_bundle_in_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    place = tmp_path / os.fsdecode(b"caf\xe9")
    with cb.Workspace(tmp_path / "lab", backend="process") as ws, cb.load(bundle(place)) as comp:
        ws.add(comp)
        made = ws.submit(comp, answer(place / os.fsdecode(b"\xff one"))).wait()
        assert made.status is Status.FINISHED
        assert made.name == "\ufffd one"
        assert ws.competition(comp.id).submissions()[0].id == made.id
        with pytest.raises(UsageError, match="no text") as caught:
            ws.submission(os.fsdecode(b"caf\xe9"))
        assert caught.value.code == "CB353"


def test_a_command_that_cannot_be_split_is_the_participants(comp: cb.Competition, tmp_path: Path) -> None:
    sub = run(comp, answer(tmp_path / "mine", metadata='command: "python3 \'model.py"'))
    assert sub.problem is not None
    assert (sub.status, sub.problem.code, sub.problem.fault) == (Status.FAILED, "CB405", Fault.PARTICIPANT)


def test_hostile_raw_scores_are_kept(comp: cb.Competition, tmp_path: Path) -> None:
    wild = r'{"score": 1, "time": 2, "x": "\ud800", "y": ' + "[" * 200 + "]" * 200 + "}"
    sub = run(comp, answer(tmp_path / "mine", f'{{"write": {wild}, "score": 1}}'))
    assert sub.status is Status.FINISHED
    assert sub.run.outcome is not None
    assert sub.run.outcome.raw_scores["x"] == "?"


def test_the_time_limit_holds(comp: cb.Competition, tmp_path: Path) -> None:
    sub = run(comp, answer(tmp_path / "mine", SLEEPS), timeout=1)
    assert sub.problem is not None
    assert sub.problem.code == "CB610"
    assert "the limit was 1 seconds" in sub.problem.message
    assert "pid" in sub.run.logs["scoring_stdout"]


# ---------------------------------------------------------------- phases, answers, limits
PERIODS = (
    PHASE.format(0, "Past", "2001-01-01", "0", ", end: 2002-01-01")
    + PHASE.format(1, "Twin", "2003-01-01", "0", ", end: 2004-01-01")
    + PHASE.format(2, "Future", "2990-01-01", "0", "")
)


def test_dates_hold_only_where_they_are_enforced(make: Callable[..., cb.Competition], tmp_path: Path) -> None:
    comp, mine = make(yaml(phases=PERIODS)), answer(tmp_path / "mine")
    assert run(comp, mine).phase.name == "Twin"  # the last that began
    assert run(comp, mine, phase="Future").phase.index == 2
    for phase, said in ((0, "ended 2002-01-01"), (2, "begins 2990-01-01")):
        with pytest.raises(SubmissionRejected, match=said) as caught:
            run(comp, mine, phase=phase, enforce=True)
        assert caught.value.code == "CB331"
    assert len(comp.submissions()) == 2


@pytest.mark.parametrize(("limit", "code"), [("max_submissions: 2", "CB333"), ("max_submissions_per_day: 2", "CB332")])
def test_limits_hold_and_a_failure_of_the_participant_counts(
    make: Callable[..., cb.Competition], tmp_path: Path, limit: str, code: str
) -> None:
    comp = make(yaml(phases=PHASE.format(0, "One", "2020-01-01", "0", f", {limit}")))
    good, bad = answer(tmp_path / "good"), answer(tmp_path / "bad", '{"exit": 1}')
    run(comp, good, enforce=True)
    run(comp, bad, enforce=True)
    run(comp, good, enforce=True, participant="somebody else")
    with pytest.raises(SubmissionRejected, match="2 of 2") as caught:
        run(comp, good, enforce=True)
    assert caught.value.code == code
    run(comp, good)


SHEET = """\
fact_sheet:
  team: {key: team, type: text, title: Team, selection: "", is_required: "true", is_on_leaderboard: "true"}
"""


def test_answers_of_the_fact_sheet(make: Callable[..., cb.Competition], tmp_path: Path) -> None:
    comp, mine = make(yaml(extra=SHEET)), answer(tmp_path / "mine")
    assert run(comp, mine, fact_sheet={"team": "us"}, enforce=True).record.fact_sheet == {"team": "us"}
    run(comp, mine)  # a local run does not ask
    for answers in (None, {"team": ""}, {"tem": "us"}, {"team": ["us"]}):
        with pytest.raises(SubmissionRejected, match="fact sheet is not complete"):
            run(comp, mine, fact_sheet=answers, enforce=True)
    assert len(comp.submissions()) == 2


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"phase": "Onne"}, NotFound, "no phase 'Onne'; there are: 0 'One'"),
        ({"phase": 7}, NotFound, "no phase 7"),
        ({"task": "Frist"}, NotFound, "no task 'Frist'"),
        ({"policy": "strickt"}, UsageError, "no policy"),
        ({"network": "bogus"}, UsageError, "no network"),
        ({"memory": "x"}, UsageError, "not a size"),
        ({"memory": "1k"}, UsageError, "too little"),
        ({"cpus": 0}, UsageError, "more than 0"),
        ({"cpus": float("nan")}, UsageError, "more than 0"),
        ({"gpus": "some"}, UsageError, "gpus"),
        ({"timeout": "soon"}, UsageError, "not a duration"),
        ({"timeout": float("inf")}, UsageError, "more than 0"),
        ({"timeout": 0}, UsageError, "more than 0"),
        ({"jobs": 0}, UsageError, "at least 1"),
        ({"backend": "dokcer"}, UsageError, "no engine 'dokcer'"),
        ({"backend": 5}, UsageError, "not int"),
        ({"progress": "loud"}, UsageError, "progress"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_what_cannot_be_meant(
    comp: cb.Competition, tmp_path: Path, options: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        run(comp, answer(tmp_path / "mine"), **options)
    assert comp.submissions() == []


def test_one_that_cannot_be_read_stops_all_before_they_start(comp: cb.Competition, tmp_path: Path) -> None:
    with pytest.raises(cb.errors.BundleError):
        comp.run_many([answer(tmp_path / "good"), tmp_path / "nothing"], backend="process", progress="none")
    assert comp.submissions() == []


# ---------------------------------------------------------------- cancelling
def sleeper(comp: cb.Competition, tmp_path: Path, **options: Any) -> tuple[cb.SubmissionHandle, Watcher]:
    watcher = Watcher()
    comp.workspace.observe(watcher.event)
    sub = comp.workspace.submit(comp, answer(tmp_path / "sleeper", SLEEPS), backend="process", enforce=False, **options)
    assert watcher.sleeping.wait(20)
    return sub, watcher


def test_cancelling_what_runs_ends_its_processes(comp: cb.Competition, tmp_path: Path) -> None:
    sub, watcher = sleeper(comp, tmp_path)
    with pytest.raises(TimeoutError, match="is Scoring after"):
        sub.wait(timeout=0.1)
    began = time.monotonic()
    sub.cancel()
    assert time.monotonic() - began < 10
    assert sub.status is Status.CANCELLED
    assert sub.problem is not None
    assert sub.problem.fault is Fault.PARTICIPANT
    assert not alive(watcher.pids[0])
    assert watcher.statuses(sub.run.id) == ["Preparing", "Scoring", "Cancelled"]
    sub.cancel()  # once more changes nothing
    assert sub.status is Status.CANCELLED


def test_cancelling_what_waits(tmp_path: Path) -> None:
    with cb.Workspace(backend="process", jobs=1) as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "bundle")))
        first, watcher = sleeper(comp, tmp_path)
        waiting = [ws.submit(comp, answer(tmp_path / f"s{n}"), enforce=False) for n in range(3)]
        for one in waiting[1:]:
            one.cancel("changed my mind")
            assert one.status is Status.CANCELLED
            assert "changed my mind" in str(one.problem)
        first.cancel()
        assert waiting[0].wait(20).status is Status.FINISHED
        assert len(watcher.pids) == 1


def test_ctrl_c_leaves_nothing_running(comp: cb.Competition, tmp_path: Path) -> None:
    class Impatient(Watcher):
        def event(self, event: dict[str, Any]) -> None:
            super().event(event)
            if len(self.pids) == 2:
                self.pids.append(0)
                os.kill(os.getpid(), signal.SIGINT)

    watcher = Impatient()
    paths = [answer(tmp_path / f"s{n}", SLEEPS) for n in range(3)]
    with pytest.raises(KeyboardInterrupt):
        comp.run_many(paths, backend="process", jobs=2, progress=watcher)  # type: ignore[arg-type]
    assert [s.status for s in comp.submissions()] == [Status.CANCELLED] * 3
    assert not any(alive(pid) for pid in watcher.pids[:2])
    assert run(comp, answer(tmp_path / "next")).status is Status.FINISHED


def test_closing_ends_what_runs(tmp_path: Path) -> None:
    comp = cb.load(bundle(tmp_path / "bundle"))
    _, watcher = sleeper(comp, tmp_path)
    scratch = comp.workspace.scratch
    comp.close()
    assert not alive(watcher.pids[0])
    assert not scratch.exists()
    assert not [t for t in threading.enumerate() if t.name.startswith("codabench-dispatcher")]


def test_a_closed_workspace_says_so(tmp_path: Path) -> None:
    ws = cb.Workspace(backend="process")
    comp = ws.add(cb.load(bundle(tmp_path / "bundle")))
    sub = run(comp, answer(tmp_path / "mine"))
    assert sub.status is Status.FINISHED
    ws.close()
    ws.close()
    assert sub.run.status is Status.FINISHED  # what was seen is known
    with pytest.raises(StorageError, match="is closed"):
        comp.submissions()


def test_a_forgotten_workspace_leaves_no_directory(tmp_path: Path) -> None:
    comp = cb.load(bundle(tmp_path / "bundle"))
    run(comp, answer(tmp_path / "mine"))
    scratch = comp.workspace.scratch
    time.sleep(1.0)  # its dispatcher rests
    del comp
    deadline = time.monotonic() + 5
    while scratch.exists() and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)
    assert not scratch.exists()


def test_keep_leaves_the_run_directories(comp: cb.Competition, tmp_path: Path) -> None:
    sub = run(comp, answer(tmp_path / "mine"), keep=True)
    (kept,) = (comp.workspace.scratch / "runs").iterdir()
    assert kept.name == sub.run.record.attempt
    scratch = comp.workspace.scratch
    comp.close()
    assert (kept / "scoring_output" / "scores.json").is_file()
    remove_tree(scratch)


def test_the_dispatcher_ends_and_begins_again(comp: cb.Competition, tmp_path: Path) -> None:
    def threads() -> list[threading.Thread]:
        return [t for t in threading.enumerate() if t.name == "codabench-dispatcher"]

    run(comp, answer(tmp_path / "one"))
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not threads()
    assert run(comp, answer(tmp_path / "two")).status is Status.FINISHED


# ---------------------------------------------------------------- machines that fail
class BrokenContainer(ProcessContainer):
    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        raise EngineError("the daemon went away")


class BrokenEngine(ProcessEngine):
    """An engine whose containers cannot be started."""

    def create(self, spec: ContainerSpec) -> ProcessContainer:
        return BrokenContainer(spec)


class WorseEngine(ProcessEngine):
    """An engine with a mistake."""

    def create(self, spec: ContainerSpec) -> ProcessContainer:
        raise ZeroDivisionError("a mistake")


def test_a_machine_that_fails_raises_from_run(comp: cb.Competition, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the daemon went away"):
        run(comp, answer(tmp_path / "mine"), backend=BrokenEngine())
    (sub,) = comp.submissions()
    assert sub.problem is not None
    assert (sub.status, sub.problem.code, sub.problem.fault) == (Status.FAILED, "CB600", Fault.OPERATOR)


def test_a_mistake_of_an_engine_ends_the_run(comp: cb.Competition, tmp_path: Path) -> None:
    subs = comp.run_many([answer(tmp_path / f"s{n}") for n in range(3)], backend=WorseEngine(), progress="none")
    assert {s.status for s in subs} == {Status.FAILED}
    assert subs[0].problem is not None
    assert (subs[0].problem.code, subs[0].problem.fault) == ("CB699", Fault.OPERATOR)
    with pytest.raises(ZeroDivisionError):
        subs[0].raise_for_machine()


def test_an_engine_that_does_not_answer_admits_nothing(comp: cb.Competition, tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        run(comp, answer(tmp_path / "mine"), backend="docker:unix:///nowhere/docker.sock")
    assert comp.submissions() == []


def test_a_run_without_a_place_fails_and_the_others_go_on(tmp_path: Path) -> None:
    """What another process queued is taken over; where its backend cannot be had, it fails with the reason."""
    with cb.Workspace(tmp_path / "lab", backend="process", jobs=1) as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "bundle")))
        _, _ = sleeper(comp, tmp_path)
        left = ws.submit(comp, answer(tmp_path / "left"))
    with cb.Workspace(tmp_path / "lab", backend="docker:unix:///nowhere/docker.sock") as ws:
        comp = ws.add(cb.load(tmp_path / "bundle"))
        new = run(comp, answer(tmp_path / "new"))
        assert new.status is Status.FINISHED
        assert ws.wait([left.run.id], timeout=10)
        again = ws.run(left.run.id)
        assert again.status is Status.FAILED
        assert again.problem is not None
        assert (again.problem.code, again.problem.fault) == ("CB601", Fault.OPERATOR)


def test_an_observer_that_fails_is_dropped(comp: cb.Competition, tmp_path: Path) -> None:
    calls: list[int] = []

    def bad(event: dict[str, Any]) -> None:
        calls.append(1)
        raise ZeroDivisionError

    end = comp.workspace.observe(bad)
    assert run(comp, answer(tmp_path / "mine")).status is Status.FINISHED
    assert len(calls) == 1
    end()
    end()


def test_observers_see_each_status_once_in_order(comp: cb.Competition, tmp_path: Path) -> None:
    watcher = Watcher()
    sub = run(comp, answer(tmp_path / "mine"), progress=watcher)
    assert watcher.statuses(sub.run.id) == ["Preparing", "Scoring", "Finished"]
    seen = len(watcher.events)
    run(comp, answer(tmp_path / "next"))
    assert len(watcher.events) == seen


# ---------------------------------------------------------------- workspaces that stay
def test_a_workspace_remembers(tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        run(ws.add(cb.load(bundle(tmp_path / "bundle"))), answer(tmp_path / "mine"))
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(cb.load(tmp_path / "bundle"))
        (sub,) = comp.submissions()
        assert (sub.status, sub.scores["score"]) == (Status.FINISHED, 0.5)
        assert sub.run.logs["scoring_stdout"].startswith("scoring")
        assert run(comp, answer(tmp_path / "mine")).record.number == 2
        assert len(comp.leaderboard(rule=False)) == 2


def test_the_workspaces_own_backend_is_used(tmp_path: Path) -> None:
    with cb.Workspace(backend=BrokenEngine()) as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "bundle")))
        with pytest.raises(EngineError, match="the daemon went away"):
            comp.run(answer(tmp_path / "mine"), progress="none")


def test_a_changed_program_is_used(tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "bundle")))
        assert run(comp, answer(tmp_path / "mine")).scores["score"] == 0.5
        scorer = tmp_path / "bundle" / "scoring" / "score.py"
        scorer.write_text(scorer.read_text().replace('answer["score"]', '10 * answer["score"]'))
        again = ws.add(cb.load(tmp_path / "bundle"))
        assert again.id == comp.id
        assert run(again, answer(tmp_path / "mine")).runs[0].scores["score"] == 5


def test_jobs_are_those_of_the_call(comp: cb.Competition, tmp_path: Path) -> None:
    def most(jobs: int | None) -> int:
        running, peak, watcher = set(), 0, Watcher()
        paths = [answer(tmp_path / f"s{n}", '{"score": 1, "sleep": 0.5}') for n in range(4)]
        comp.run_many(paths, backend="process", jobs=jobs, progress=watcher)  # type: ignore[arg-type]
        for event in watcher.events:
            if event["type"] == "status" and event["status"] is Status.SCORING:
                running.add(event["run"])
            elif event["type"] == "status" and event["status"].is_final:
                running.discard(event["run"])
            peak = max(peak, len(running))
        return peak

    assert most(1) == 1
    assert most(3) == 3


def test_two_workspaces_on_one_file_share_its_lease(tmp_path: Path) -> None:
    source = bundle(tmp_path / "bundle")
    with (
        cb.Workspace(tmp_path / "lab", backend="process") as one,
        cb.Workspace(tmp_path / "lab", backend="process") as two,
    ):
        comps = [ws.add(cb.load(source)) for ws in (one, two)]
        subs = [
            ws.submit(comp, answer(tmp_path / f"{n}{k}"), enforce=False)
            for n in range(4)
            for k, (ws, comp) in enumerate(zip((one, two), comps, strict=True))
        ]
        for sub in subs:
            assert sub.wait(30).status is Status.FINISHED
        attempts = [e.attempt for s in subs for e in s.run.history() if e.kind.value == "AttemptStarted"]
        assert len(set(attempts)) == len(subs)


def test_a_workspace_at_a_file_url_keeps_its_database_there(tmp_path: Path) -> None:
    with cb.Workspace(f"file://{tmp_path}/lab", backend="process") as ws:
        run(ws.add(cb.load(bundle(tmp_path / "bundle"))), answer(tmp_path / "mine"))
    with sqlite3.connect(tmp_path / "lab" / "codabench.db") as db:
        assert db.execute("select status from run").fetchall() == [("Finished",)]


def test_a_workspace_in_memory(tmp_path: Path) -> None:
    with cb.Workspace(f"memory://{tmp_path.name}", backend="process") as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "bundle")))
        subs = comp.run_many([answer(tmp_path / f"s{n}") for n in range(6)], jobs=3, progress="none")
        assert {s.status for s in subs} == {Status.FINISHED}
        assert ws.storage.get_result(subs[0].run.id, subs[0].run.record.attempt or "") is not None


def test_the_result_of_an_attempt_is_what_the_database_says(comp: cb.Competition, tmp_path: Path) -> None:
    sub = run(comp, answer(tmp_path / "mine"))
    kept = comp.workspace.storage.get_result(sub.run.id, sub.run.record.attempt or "")
    assert sub.run.outcome is not None
    assert Outcome.model_validate(kept) == sub.run.outcome.model_copy(update={"events": None})


def test_a_program_that_ends_does_not_wait_for_its_runs(tmp_path: Path) -> None:
    bundle(tmp_path / "bundle")
    answer(tmp_path / "mine", SLEEPS)
    script = """
import time, codabench as cb
ws = cb.Workspace(backend="process")
sub = ws.submit(ws.add(cb.load("bundle")), "mine", enforce=False)
while sub.status.value != "Scoring":
    time.sleep(0.05)
print(ws.scratch)
"""
    began = time.monotonic()
    env = {**os.environ, "PYTHONPATH": str(Path(cb.__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=50
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert time.monotonic() - began < 20
    assert not Path(done.stdout.strip()).exists()
