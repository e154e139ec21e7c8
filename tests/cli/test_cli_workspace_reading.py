"""What a workspace holds, as commands show it: nothing is run here that was not run before."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cli_lab import ANSWERS, Lab

import codabench as cb


def table(out: str) -> list[list[str]]:
    """Rows of a table without its head, split where two blanks are."""
    return [[cell for cell in line.split("  ") if cell] for line in out.splitlines()[2:]]


def test_competitions(lab: Lab) -> None:
    assert [cell.strip() for cell in table(lab("competitions").out)[0]] == [lab.competition[:8], "Tiny", "0 One", "3"]
    (found,) = lab("competitions", "--json").document["competitions"]
    assert (found["id"], found["title"], found["submissions"], found["unfinished"]) == (lab.competition, "Tiny", 3, 0)
    assert found["phases"][0]["open"] is True


def test_submissions(lab: Lab) -> None:
    rows = table(lab("submissions", "Tiny").out)
    assert [row[0] for row in rows] == [id[:8] for id in lab.submissions]
    assert [row[1].strip() for row in rows] == ["alice#1", "alice#2", "bob#1"]
    assert [row[4].strip() for row in rows] == ["Finished", "Failed", "Finished"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), ["good", "bad", "better"]),
        (("--participant", "alice"), ["good", "bad"]),
        (("--status", "failed"), ["bad"]),
        (("--status", "Failed", "--status", "finished"), ["good", "bad", "better"]),
        (("--status", "unfinished"), []),
        (("--phase", "One", "--last", "1"), ["better"]),
    ],
)
def test_some_submissions(lab: Lab, words: tuple[str, ...], names: list[str]) -> None:
    document = lab("submissions", lab.competition[:4], *words, "--json").document
    assert [each["name"] for each in document["submissions"]] == names


def test_nothing_is_no_table(lab: Lab) -> None:
    assert lab("submissions", "Tiny", "--participant", "nobody") == (0, "", "no submission\n")


def test_a_word_that_is_no_status(lab: Lab) -> None:
    code, _, err = lab("runs", "--status", "finish")
    assert (code, "did you mean 'finished'" in err) == (2, True)


def test_runs_and_what_they_came_to(lab: Lab) -> None:
    out = lab("runs").out
    assert [line[:8] for line in out.splitlines()[2:]] == [id[:8] for id in lab.runs]
    assert out.count("score 0.5  time 5") == 2
    assert out.count("the scoring program exited with 3") == 2
    assert [each["id"] for each in lab("runs", "Tiny", "--json").document["runs"]] == lab.runs
    assert [each["id"] for each in lab("runs", "--submission", "bob#1", "--json").document["runs"]] == lab.runs[4:]
    assert [each["id"] for each in lab("runs", "--status", "failed", "--json").document["runs"]] == lab.runs[2:4]


def test_a_table_fits(lab: Lab) -> None:
    for width in (60, 80, 90):
        out = lab("runs", COLUMNS=str(width)).out
        assert max(map(len, out.splitlines())) <= max(width, 78), out  # it cannot be narrower
        assert "…" in out
    assert "…" not in lab("runs", COLUMNS="").out  # nobody looks at it


@pytest.mark.parametrize("word", ["alice#1", "good"])
def test_show(lab: Lab, word: str) -> None:
    out = lab("show", word).out
    head, first, second = out.split("\n\n")
    assert head.startswith(f"Submission 'good'  {lab.submissions[0][:8]}  alice#1  Finished\n")
    assert f"Tiny ({lab.competition[:8]}), phase 0 One" in head
    assert "C  10" in head
    assert first.startswith(f"Run {lab.runs[0][:8]}  task 0 First\n  Finished  since ")
    assert second.startswith(f"Run {lab.runs[1][:8]}  task 1 Second\n")
    assert "scores  score 0.5   time 5" in first
    assert f"codabench logs {lab.runs[0][:8]}" in first


def test_show_one_run(lab: Lab) -> None:
    document = lab("show", lab.runs[3][:6], "--json").document
    (run,) = document["runs"]
    assert (run["id"], run["task"], run["status"]) == (lab.runs[3], 1, "Failed")
    assert run["problem"]["code"] == "CB612"
    assert run["exit_codes"]["scoring"]["program"] == 3
    assert [each["event"] for each in run["history"]][-1] == "RunFailed"
    assert run["provenance"]["engine"]["name"] == "process"
    assert document["submission"]["name"] == "bad"


def test_what_may_be_several(lab: Lab) -> None:
    code, _, err = lab("show", "alice")
    assert (code, "there is no run or submission 'alice'" in err) == (2, True)
    code, _, err = lab("logs", "good")
    assert (code, "'good' has 2 runs" in err, lab.runs[0][:8] in err) == (2, True, True)


def test_logs(lab: Lab, tmp_path: Path) -> None:
    assert lab("logs", lab.runs[0]).out == "── scoring_stdout ──\nscoring {'score': 0.5}\n"
    assert lab("logs", "better", "scoring_stdout").out == "scoring {'score': 0.75}\n"
    assert lab("logs", "better", "scoring_stderr").out == ""
    assert lab("logs", "better", "--json").document["logs"]["scoring_stdout"] == "scoring {'score': 0.75}\n"
    assert lab("logs", "better", "--follow").out == "scoring_stdout | scoring {'score': 0.75}\n"
    assert lab("logs", "better", "scoring_stdout", "--follow").out == "scoring {'score': 0.75}\n"
    done = lab("logs", "better", "--follow", "--json")
    assert done.document["logs"]["scoring_stdout"] == "scoring {'score': 0.75}\n"
    assert "scoring_stdout | scoring {'score': 0.75}\n" in done.err
    code, _, err = lab("logs", "better", "stdout")
    assert (code, "there are: " in err) == (2, True)
    assert lab("logs", "better", "--out", tmp_path / "x").code == 0
    assert lab("logs", "better", "--out", tmp_path / "y", "--json").document["run"] == lab.runs[4]
    assert (tmp_path / "y/scoring_stdout.txt").is_file()
    assert (tmp_path / "x/scoring_stdout.txt").read_text() == "scoring {'score': 0.75}\n"
    code, _, err = lab("logs", "better", "--out", tmp_path / "x")
    assert (code, "is there already" in err) == (2, True)


def test_the_leaderboard(lab: Lab) -> None:
    chosen = lab("leaderboard", "Tiny").out
    assert "participants choose what is on the board; 2 scored submissions" in " ".join(chosen.split())
    out = lab("leaderboard", "Tiny", "--all").out
    assert out.startswith("Board\n")
    assert "good" in out
    assert lab("leaderboard", "Tiny", "board", "--csv").out.startswith("rank,submission,participant,submitted_at,")
    assert lab("leaderboard", "Tiny", "--phase", "0", "--all", "--json").document["rows"][0]["rank"] == 1
    code, _, err = lab("leaderboard", "Tiny", "boar")
    assert (code, "did you mean 'board'?" in err) == (2, True)


def test_export_of_the_bundle(lab: Lab, tmp_path: Path) -> None:
    for dest in (tmp_path / "bundle", tmp_path / "bundle.zip"):
        assert lab("export", "Tiny", dest, "--json").document["dest"] == str(dest)
        with cb.load(dest) as again:
            assert again.title == "Tiny"
    code, _, err = lab("export", "Tiny", tmp_path / "bundle")
    assert (code, "error[CB" in err) == (2, True)


def test_export_of_what_was_submitted_and_came_out(lab: Lab, tmp_path: Path) -> None:
    assert lab("export", "Tiny", tmp_path / "all", "--results", "--submissions").code == 0
    found = sorted(p.relative_to(tmp_path / "all").as_posix() for p in (tmp_path / "all").rglob("*.*"))
    assert "good/submission/answer.json" in found
    assert "good/Second/logs/scoring_stdout.txt" in found
    assert "better/scores.json" in found
    assert "leaderboard.csv" in found
    document = json.loads((tmp_path / "all/result.json").read_text())
    assert [each["name"] for each in document["submissions"]] == list(ANSWERS)
    assert lab("export", "Tiny", tmp_path / "those", "--submissions").code == 0
    found = sorted(p.relative_to(tmp_path / "those").as_posix() for p in (tmp_path / "those").rglob("*.*"))
    assert found == [*(f"{name}/submission/answer.json" for name in sorted(ANSWERS)), "result.json"]
    code, _, err = lab("export", "Tiny", tmp_path / "all", "--results")
    assert (code, "already holds results" in err) == (2, True)


def test_cancelling_what_is_over(lab: Lab) -> None:
    (run,) = lab("cancel", "better", "--json").document["runs"]
    assert run == {"id": lab.runs[4], "status": "Finished", "was_over": True}
    assert lab("cancel", "better").out == f"{lab.runs[4][:8]}  Finished  (it was over)\n"
    code, _, err = lab("cancel", "better", "--by", "nobody")
    assert (code, "participant, organizer, operator" in err) == (2, True)


def test_plain_signs_where_there_are_no_others(lab: Lab) -> None:
    env = {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "60"}
    words = [sys.executable, "-m", "codabench", "runs", "-w", str(lab.place)]
    said = subprocess.run(words, env=env, capture_output=True, check=True, timeout=60).stdout
    assert b"?" not in said
    assert b"----" in said


def test_status(lab: Lab) -> None:
    document = lab("status", "--json").document
    assert document["runs"] == {"Finished": 3, "Failed": 2}
    assert document["last_hour"] == document["runs"]
    assert document["per_minute"] == round(5 / 60, 3)
    assert (document["under_way"], document["waiting"], document["workers"]) == ([], [], [])
    out = lab("status").out
    assert "3 Finished  2 Failed" in out
    assert "nothing is waiting" in out


def test_status_again_and_again(lab: Lab) -> None:
    """Until Ctrl-C: one document on each line, or one text after the other."""
    for words, sign in ((["--json"], '"ok": true'), ([], "last hour")):
        command = [
            sys.executable,
            "-m",
            "codabench",
            "status",
            "-w",
            str(lab.place),
            "--watch",
            "--every",
            "0.2",
            *words,
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        seen = 0
        for line in process.stdout:
            seen += sign in line
            if words:
                assert json.loads(line)["runs"] == {"Finished": 3, "Failed": 2}
            if seen == 3:
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
        assert process.wait(30) == 130
