"""Twins of S02-S15, and races: what the same outputs and scores do to readers that believe them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.core.errors import ArchiveError
from codabench.leaderboard import Entry, rank
from codabench.runner.scores import read_scores
from codabench.storage.sources import collect
from codabench.storage.store import Storage

SECRET = b"the truth nobody may see"


@contextlib.contextmanager
def flipping(folder: Path, secret: Path) -> Iterator[Path]:
    """A name that is a file now and a link to the secret then, as fast as can be."""
    place, spare, over = folder / "flip", folder / "spare", threading.Event()
    (folder / "kept").write_bytes(b"kept")

    def flip() -> None:
        while not over.is_set():
            for make in (lambda: spare.symlink_to(secret), lambda: spare.write_bytes(b"own")):
                make()
                os.replace(spare, place)

    thread = threading.Thread(target=flip)
    thread.start()
    try:
        yield place
    finally:
        over.set()
        thread.join()


@pytest.fixture
def race(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "output").mkdir()
    (tmp_path / "secret").write_bytes(SECRET)
    with flipping(tmp_path / "output", tmp_path / "secret") as place:
        yield place


@pytest.mark.row("S02")
def test_a_race_with_the_collector_is_never_won(race: Path) -> None:
    until, tries = time.monotonic() + 3, 0
    while time.monotonic() < until:
        with contextlib.suppress(ArchiveError, FileNotFoundError), collect(race.parent) as tree:
            for entry in tree.entries():
                with contextlib.suppress(ArchiveError):
                    assert SECRET not in tree.read_bytes(entry.path), tries
        tries += 1
    assert tries > 50


@pytest.mark.twin("S02")
def test_a_race_is_won_where_names_are_looked_at_and_then_opened(race: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            if not race.is_symlink() and race.read_bytes() == SECRET:
                return
    pytest.fail("the race was not won once")


@pytest.mark.twin("S06")
def test_what_is_no_number_has_no_place_in_an_order() -> None:
    values = [json.loads(text)["score"] for text in ('{"score": 2}', '{"score": NaN}', '{"score": 1}')]
    orders = {tuple(map(str, sorted(values[n:] + values[:n]))) for n in range(3)}
    assert len(orders) > 1  # who is first depends on who came first


@pytest.mark.twin("S07", "S08")
def test_a_believing_reader_takes_the_last_key_and_breaks_on_others() -> None:
    assert json.loads('{"score": 1, "score": 99}') == {"score": 99}
    with pytest.raises(RecursionError):
        json.loads("[" * 100_000)
    with pytest.raises(TypeError):
        sorted([json.loads('{"score": [1]}')["score"], 0.5])


@pytest.mark.twin("S09")
def test_a_believing_reader_waits_for_a_pipe_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "scores.json")
    reader = threading.Thread(target=(tmp_path / "scores.json").read_bytes, daemon=True)
    reader.start()
    reader.join(1)
    assert reader.is_alive()
    os.close(os.open(tmp_path / "scores.json", os.O_WRONLY))
    reader.join(10)


@pytest.mark.twin("S12")
def test_a_score_is_there_whatever_came_after_it(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"score": 1}')  # the program that wrote it was then killed
    with collect(tmp_path) as source:
        assert read_scores(source, ("score",)).scores == {"score": 1}


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BOARD = LeaderboardSpec(title="B", key="b", columns=(ColumnSpec(title="S", key="score", index=0),))


def arrivals() -> list[Entry]:
    """Equal scores, each two of the same instant, in some order."""
    made = [
        Entry(
            submission=f"s{n}",
            participant=f"p{n}",
            created_at=NOON + timedelta(minutes=n // 2),
            sequence=n,
            tasks={0: {"score": 0.5}},
        )
        for n in range(6)
    ]
    return random.sample(made, len(made))


@pytest.mark.twin("S10")
def test_a_run_without_a_score_would_be_on_the_board() -> None:
    entry = Entry(submission="s", participant="p", created_at=NOON, tasks={0: {"Score": 0.9}})
    assert [row.scores.get("score") for row in rank(BOARD, [entry]).rows] == [None]


@pytest.mark.row("S14")
def test_equal_scores_have_one_order() -> None:
    orders = {tuple(row.submission for row in rank(BOARD, arrivals()).rows) for _ in range(50)}
    assert orders == {tuple(f"s{n}" for n in range(6))}


@pytest.mark.twin("S14")
def test_scores_alone_decide_by_who_is_listed_first() -> None:
    random.seed(1)
    by_score = [sorted(arrivals(), key=lambda e: -e.tasks[0]["score"]) for _ in range(20)]
    assert len({tuple(e.submission for e in listed) for listed in by_score}) > 1


@pytest.mark.twin("S15", "D07")
def test_what_is_stored_of_a_stale_attempt_can_be_read(tmp_path: Path) -> None:
    """Storage takes what any attempt came to: that one of them counts is the database's word alone."""
    storage = Storage(str(tmp_path))
    for attempt, score in (("new", 0.5), ("old", 1.0)):
        storage.put_result("run", attempt, {"score": score})
    assert storage.get_result("run", "old") == {"score": 1.0}
