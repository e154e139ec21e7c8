"""What runs report while they go on. Real processes; the feed itself as a property."""

from __future__ import annotations

import base64
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_workspace_shared import DRIVER, until
from tiny import SCORER, answer, bundle

import codabench as cb
from codabench.core.events import fold
from codabench.core.live import AnyEvent, LogWritten, PagePublished, StatusChanged
from codabench.core.records import Status
from codabench.storage.store import Storage
from codabench.workspace.addresses import usual_database
from codabench.workspace.live import Feed

SPEAKS = SCORER.replace(
    "print(",
    """for n in range(answer.get("lines", 0)):
    print("line", n, flush=True)
    (output / "detailed_results.html").write_text(f"<p>{n}</p>") if n % 5 == 0 else None
    time.sleep(answer.get("pause", 0))
print('{"type": "plot", "y": [1, 2]}')
print('{"type": "message", "text": "half way", "level": "info"}')
print(""",
    1,
)


@pytest.fixture
def comp(tmp_path: Path) -> Iterator[cb.Competition]:
    place = bundle(tmp_path / "bundle", files={"scoring/score.py": SPEAKS.encode()})
    text = (place / "competition.yaml").read_text()
    (place / "competition.yaml").write_text(text.replace("title: Tiny", "title: Tiny\nenable_detailed_results: true"))
    with cb.load(place) as made, cb.Workspace(tmp_path / "lab", backend="process") as ws:
        yield ws.add(made)


def submit(comp: cb.Competition, tmp_path: Path, **said: object) -> cb.RunHandle:
    text = "{" + ", ".join(f'"{k}": {v}' for k, v in {"score": 1, **said}.items()) + "}"
    return comp.workspace.submit(comp, answer(tmp_path / "mine", text)).run


def lines(events: list[AnyEvent]) -> list[str]:
    text = "".join(e.text for e in events if isinstance(e, LogWritten) and e.name == "scoring_stdout")
    return [line for line in text.splitlines() if line.startswith("line")]


def of_programs(events: Iterable[AnyEvent]) -> list[AnyEvent]:
    return [event for event in events if event.type != "status"]


def test_everything_comes_once_to_who_is_early_late_and_after_the_end(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path, lines=30, pause=0.05)
    early: list[AnyEvent] = []
    reader = threading.Thread(target=lambda: early.extend(run.events()))
    reader.start()
    while not run.logs.get("scoring_stdout", "").count("line"):
        time.sleep(0.01)
    assert not run.status.is_final
    late = list(run.events())
    reader.join()
    after = list(run.events())
    wanted = [f"line {n}" for n in range(30)]
    for events in (early, late, after):
        assert lines(events) == wanted
        assert [e.status.value for e in events if isinstance(e, StatusChanged)][-1] == "Finished"
        assert [e.data["y"] for e in events if e.type == "plot"] == [[1, 2]]
        assert [e.text for e in events if e.type == "message"] == ["half way"]
        numbers = [e.sequence for e in events]
        assert numbers == sorted(set(numbers))
    assert early == late == after
    middle = after[len(after) // 2]
    assert list(run.events(after=middle.sequence)) == after[len(after) // 2 + 1 :]


def test_a_page_is_published_while_the_program_writes_it(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path, lines=11, pause=0.3)
    pages = []
    for event in run.events():
        if isinstance(event, PagePublished):
            assert not run.status.is_final
            assert run.detailed_results == comp.workspace.storage.get(event.blob).decode()
            pages.append(run.detailed_results)
    assert pages[:2] == ["<p>0</p>", "<p>5</p>"]
    assert run.detailed_results == "<p>10</p>"


def test_what_a_program_uses_is_sampled(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path, lines=1, pause=1.6)
    samples = [event for event in run.events() if event.type == "usage"]
    assert samples
    assert all((s.step, s.role) == ("scoring", "program") and s.memory > 1 << 20 for s in samples)
    step = run.outcome.step("scoring") if run.outcome else None
    assert step is not None
    assert step.usage["program"].memory == max(s.memory for s in samples)


def test_another_process_reads_it_after_the_end(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path, lines=20)
    here = list(run.events())
    with cb.Workspace(tmp_path / "lab") as other:
        there = list(other.run(run.id).events())
    assert there == here


def test_another_process_hears_it_while_it_goes_on(comp: cb.Competition, tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", dispatch=False) as other:
        run = submit(comp, tmp_path, lines=30, pause=0.1)
        there, while_it_went_on = [], 0
        for event in other.run(run.id).events():
            there.append(event)
            while_it_went_on += event.type == "log" and not run.status.is_final
        assert while_it_went_on > 1
        # A status comes as soon as the database has it, the rest a moment later.
        assert of_programs(there) == of_programs(run.events())
        assert [e.status for e in there if e.type == "status"] == [e.status for e in run.events() if e.type == "status"]
        assert lines(there) == [f"line {n}" for n in range(30)]
    until_gone = time.monotonic() + 10
    while list((tmp_path / "lab").glob("live/*/*")):
        assert time.monotonic() < until_gone
        time.sleep(0.05)


def test_nothing_is_stored_where_nobody_listens(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path, lines=15, pause=0.1)
    assert len(lines(list(run.events()))) == 15
    assert not (tmp_path / "lab" / "live").exists()


def test_who_listens_late_elsewhere_hears_it_from_the_beginning(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path, lines=40, pause=0.1)
    while not run.logs.get("scoring_stdout", "").count("line"):
        time.sleep(0.01)
    with cb.Workspace(tmp_path / "lab", dispatch=False) as other:
        first = []
        for event in other.run(run.id).events():
            first.append(event)
            if event.type == "log" and event.text.count("line") and len(first) > 6:
                break
        assert not run.status.is_final
        rest = list(other.run(run.id).events(after=first[-1].sequence))
    assert of_programs([*first, *rest]) == of_programs(run.events())


def test_who_listens_elsewhere_hears_also_who_takes_over(tmp_path: Path) -> None:
    """A process is killed in the midst of a run; each attempt is heard from its beginning, in its turn."""
    place = bundle(tmp_path / "bundle", files={"scoring/score.py": SPEAKS.encode()})
    command = [
        sys.executable,
        "-c",
        DRIVER,
        str(tmp_path / "lab"),
        usual_database(str(tmp_path / "lab")),
        "process",
        "30",
    ]
    heard: list[AnyEvent] = []
    with cb.load(place) as made, cb.Workspace(tmp_path / "lab", dispatch=False, backend="process") as ws:
        run = ws.submit(ws.add(made), answer(tmp_path / "mine", '{"score": 1, "lines": 25, "pause": 0.1}')).run
        reader = threading.Thread(target=lambda: heard.extend(run.events()))
        reader.start()
        first = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(lambda: len(lines(heard)) > 5)
        first.kill()
        first.wait()
        second = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            reader.join(60)
            assert run.status is Status.FINISHED
            attempts = [attempt.id for attempt in ws.db.attempts(run.id)]
            told = {id: lines([e for e in heard if e.attempt == id]) for id in attempts}
            wanted = [f"line {n}" for n in range(25)]
            assert told[attempts[1]] == wanted
            assert told[attempts[0]] == wanted[: len(told[attempts[0]])]
            assert len(told[attempts[0]]) > 5
            statuses = [e.status.value for e in heard if isinstance(e, StatusChanged)]
            assert statuses == ["Submitted", "Preparing", "Scoring", "Submitted", "Preparing", "Scoring", "Finished"]
        finally:
            second.kill()
            second.wait()


def test_the_statuses_are_those_of_the_database(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path)
    said = [e.status for e in run.events() if isinstance(e, StatusChanged)]
    assert said == [Status.SUBMITTED, Status.PREPARING, Status.SCORING, Status.FINISHED]
    assert fold(run.history()) is said[-1]


def test_a_run_that_was_cancelled_before_it_began(comp: cb.Competition, tmp_path: Path) -> None:
    first, second = (submit(comp, tmp_path, sleep=60) for _ in range(2))
    for run in (second, first):
        run.cancel()
        assert [e.status for e in run.events() if isinstance(e, StatusChanged)][-1] is Status.CANCELLED


def test_what_there_is_now(comp: cb.Competition, tmp_path: Path) -> None:
    run = submit(comp, tmp_path, sleep=60)
    while not any(e.type == "log" for e in run.events(follow=False)):
        time.sleep(0.01)
    assert "pid" in run.logs["scoring_stdout"]
    run.cancel()


def test_watching_prints_the_lines(comp: cb.Competition, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run = submit(comp, tmp_path, lines=3, pause=0.1)
    assert run.watch() is run
    said = capfd.readouterr().err
    assert [line for line in said.splitlines() if "| line" in line] == [f"scoring_stdout | line {n}" for n in range(3)]
    assert "run  Finished" in said


# ---------------------------------------------------------------------- the feed
def fill(keep: int, sizes: list[int]) -> tuple[Feed, bytes]:
    feed, written = Feed("run", keep, lambda: datetime.now(UTC)), bytearray()
    for number, size in enumerate(sizes):
        data = bytes([number % 256]) * size
        event: dict[str, Any] = {"type": "log", "attempt": "a", "name": "log", "offset": len(written)}
        feed.add({**event, "data": base64.b64encode(data).decode()})
        written += data
    return feed, bytes(written)


@settings(max_examples=200)
@given(st.integers(0, 40), st.lists(st.integers(1, 15)))
def test_a_feed_keeps_the_beginning_and_the_end_and_says_what_is_missing(keep: int, sizes: list[int]) -> None:
    feed, written = fill(keep, sizes)
    events = [e for e in feed.read(follow=False) if isinstance(e, LogWritten)]
    place = 0
    for event in events:
        assert event.offset == place + event.missing
        assert event.data == written[event.offset : event.offset + len(event.data)]
        place = event.offset + len(event.data)
    assert place == len(written), "the end is always there"
    kept = sum(len(e.data) for e in events)
    assert kept <= 2 * keep + 15
    if len(written) <= keep:
        assert not any(e.missing for e in events)
    assert len(feed.logs().get("log", b"")) >= kept


def test_who_reads_along_misses_nothing_that_a_late_reader_misses() -> None:
    feed, _ = fill(10, [5, 5])
    reader = feed.read()
    first = [next(reader), next(reader)]
    more, _ = fill(10, [5] * 50)
    assert [e.missing for e in first if isinstance(e, LogWritten)] == [0, 0]
    assert any(e.missing for e in more.read(follow=False) if isinstance(e, LogWritten))


def test_nothing_comes_after_the_end() -> None:
    feed, _ = fill(10, [5])
    blob = feed.seal(Storage("memory://feeds"))
    feed.add({"type": "pull", "image": "late"})
    feed.add({"type": "status", "status": Status.FINISHED})
    feed.add({"type": "status", "status": Status.FAILED})
    assert [e.type for e in feed.read()] == ["log", "status"]
    assert blob.size > 0


def test_a_reader_is_told_when_nothing_more_will_come() -> None:
    feed, _ = fill(10, [5])

    def dead() -> None:
        raise RuntimeError("the dispatcher stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        list(feed.read(check=dead))
