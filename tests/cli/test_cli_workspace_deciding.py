"""Running again, starting what is held, scores by hand, deletion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_lab import Ended
from tiny import LAST, answer, bundle, yaml
from typer.testing import CliRunner

from codabench.cli.app import app

SLEEPS = '{"score": 1, "sleep": 60}'


def codabench(*words: object) -> Ended:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


def document(*words: object) -> Any:
    return codabench(*words, "--json").document


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lab with one finished submission, `alice#1`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODABENCH_WORKSPACE", "lab")
    monkeypatch.delenv("CODABENCH_DB", raising=False)
    removable = LAST.replace("    key: board\n", "    key: board\n    submission_rule: Add_And_Delete\n")
    codabench("add", bundle(tmp_path / "bundle", yaml(last=removable)))
    assert submit("good", '{"score": 0.5}').code == 0
    return tmp_path


def submit(name: str, text: str, *words: object) -> Ended:
    answer(Path(name), text)
    mine = ("--participant", "alice", "--backend", "process")
    return codabench("submit", "Tiny", name, *mine, *(words or ["--wait"]))


def board(*words: str) -> list[tuple[str, float]]:
    """What is on the leaderboard, where the rule lets people choose; with ``--all`` everything."""
    return [(row["submission"], row["scores"]["score"]) for row in document("leaderboard", "Tiny", *words)["rows"]]


def test_once_more() -> None:
    found = document("rerun", "alice#1")
    (again,) = found["submissions"]
    assert (again["number"], again["name"], again["status"]) == (2, "good", "Submitted")
    assert again["origin"] == document("show", "alice#1")["submission"]["id"]
    assert "rerun of" in codabench("show", "alice#2").out
    assert codabench("rerun", "alice#1", "--backend", "process", "--wait").out.count("Finished") == 1
    assert [run["status"] for run in document("runs")["runs"]] == ["Finished"] * 3  # the second one on the way


def test_once_more_on_something_that_is_not_there() -> None:
    assert codabench("rerun", "bob#1").code == 2
    assert codabench("rerun", "alice#1", "--task", "9").code == 2
    assert len(document("runs")["runs"]) == 1


def test_what_is_held_is_started(here: Path) -> None:
    text = yaml().replace("title: Tiny", "title: Held", 1).replace("terms:", "auto_run_submissions: false\nterms:", 1)
    codabench("add", bundle(here / "held", text))
    answer(here / "later")
    found = codabench("submit", "Held", "later", "--backend", "process", "--participant", "bob", "--wait")
    assert (found.code, "Submitting" in found.out) == (1, True)
    (run,) = document("runs", "Held")["runs"]
    assert run["next"] == "somebody has to start it"
    assert codabench("start", "bob#1", "--wait").code == 0
    found = codabench("start", "bob#1")
    assert (found.code, "CB714" in found.err) == (2, True)


def test_a_score_by_hand() -> None:
    assert codabench("score", "alice#1", "score", "0.9", "--note", "seen by eye").code == 0
    assert board("--all") == [("good", 0.9)]
    assert "score 0.9" in codabench("runs").out
    assert "score 0.5 → 0.9  by " in codabench("show", "good").out
    assert document("score", "good", "score", "none", "--note", "no")["value"] is None
    assert "score 0.5" in codabench("runs").out
    for wrong in (["scor", "1"], ["score", "much"], ["score", "nan"]):
        assert codabench("score", "good", *wrong, "--note", "x").code == 2


def test_on_the_board_and_off_it() -> None:
    assert board() == []
    assert codabench("choose", "good").code == 0
    assert board() == [("good", 0.5)]
    assert document("choose", "good", "--off")["shown"] is False
    assert board() == []
    assert codabench("choose", "bad").code == 2


def test_deletion() -> None:
    submit("other", '{"score": 0.75}')
    found = codabench("delete", "other")
    assert (found.code, "--yes" in found.err, len(board("--all"))) == (2, True, 2)
    assert "alice#2  Submission 'other'" in found.err
    assert codabench("delete", "other", "--yes").code == 0
    assert board("--all") == [("good", 0.5)]
    id = document("submissions", "Tiny")["submissions"][0]["id"]
    assert document("delete", id[:8], "--hard", "--yes")["submissions"] == [id]
    assert document("show", id)["submission"]["deleted"] == "hard"
    assert document("submissions", "Tiny")["submissions"] == []


def test_what_is_not_over_is_not_deleted() -> None:
    submit("long", SLEEPS, "--name", "long")
    for word in ("long", "Tiny"):
        found = codabench("delete", word, "--yes")
        assert (found.code, "not over" in found.err) == (2, True)
    assert codabench("delete", "long", "--yes", "--cancel").code == 0


def test_a_competition_is_listed_no_more(here: Path) -> None:
    found = codabench("delete", "Tiny")
    assert "'Tiny' with 1 submission" in found.err
    assert len(document("delete", "Tiny", "--yes")["competitions"]) == 1
    assert codabench("competitions").err.startswith("there is none yet")
    assert codabench("runs").code == 0
    codabench("add", "bundle")
    assert board("--all") == [("good", 0.5)]
