"""The command line as a real process: exit codes, streams, JSON (contract.md section 7)."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from tiny import alive, answer, bundle, yaml
from typer.testing import CliRunner

import codabench as package
from codabench.cli.app import app
from codabench.cli.output import handled

SLEEPS = '{"score": 1, "sleep": 60}'


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "COLUMNS": "200", **more}


def codabench(*args: object) -> Ended:
    """The command in this process, which spares its start."""
    done = CliRunner().invoke(app, [*map(str, args)], prog_name="codabench", env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ended(done.exit_code, done.stdout, done.stderr)


def process(*args: object, **env: str) -> Ended:
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "codabench", *map(str, args)],
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    found = Ended(
        done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode("utf-8", "replace")
    )
    assert "Traceback" not in found.out + found.err
    return found


def run(*args: object, **env: str) -> Ended:
    return (process if env else codabench)("run", *args, "--backend", "process", **env)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return bundle(tmp_path / "bundle")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return answer(tmp_path / "good")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    return answer(tmp_path / "bad", '{"exit": 3}')


@pytest.fixture
def junk(tmp_path: Path) -> Path:
    (tmp_path / "junk.zip").write_bytes(b"this is no zip")
    return tmp_path / "junk.zip"


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    return bundle(tmp_path / "broken", yaml().replace("title: Tiny", "titel: Tiny"))


# ---------------------------------------------------------------- check
def test_check_of_a_sound_bundle(source: Path) -> None:
    found = codabench("check", source)
    assert found.code == 0
    assert "Competition 'Tiny'" in found.out
    assert "0 errors" in found.err


def test_check_of_a_bundle_with_errors(broken: Path) -> None:
    found = codabench("check", broken)
    assert found.code == 1
    assert "competition.yaml:2:1" in found.err
    assert "^^^^^" in found.err


CHECK = {"ok", "format", "title", "problems", "phases", "leaderboards"}


def test_check_as_json(source: Path, broken: Path) -> None:
    found = codabench("check", source, "--json")
    assert (found.code, found.err) == (0, "")
    assert set(found.document) == CHECK
    assert found.document | {"problems": []} == {
        "ok": True,
        "format": "v2",
        "title": "Tiny",
        "problems": [],
        "phases": [
            {
                "index": 0,
                "name": "One",
                "start": "2020-01-01T00:00:00Z",
                "end": None,
                "tasks": [{"index": 0, "name": "First"}],
            }
        ],
        "leaderboards": [
            {
                "key": "board",
                "columns": [
                    {"key": "score", "title": "Score", "sorting": "desc", "primary": True},
                    {"key": "time", "title": "Time", "sorting": "asc", "primary": False},
                ],
            }
        ],
    }
    found = codabench("check", broken, "--json")
    assert (found.code, found.document["ok"], set(found.document)) == (1, False, CHECK)
    keys = {"code", "severity", "message", "file", "line", "column", "hint", "fix"}
    assert all(set(problem) == keys for problem in found.document["problems"])


@pytest.mark.parametrize("name", ["nothing", "junk.zip", "nosuch://x"])
def test_check_of_what_cannot_be_read(name: str, junk: Path) -> None:
    name = str(junk.parent / name) if ":" not in name else name
    assert codabench("check", name).code == 2
    found = codabench("check", name, "--json")
    assert found.code == 2
    assert set(found.document) >= CHECK
    assert found.document["problems"]


# ---------------------------------------------------------------- run
def test_run_of_good_ones(source: Path, good: Path) -> None:
    found = process("run", source, good, "--backend", "process")
    assert found.code == 0
    assert re.search(r"1 +good +0\.50", found.out)
    assert "phase 0 'One' (chosen: --phase names another)" in found.err


RUN = {"ok", "competition", "phase", "submissions", "leaderboard"}


def test_run_as_json(source: Path, good: Path, bad: Path, junk: Path) -> None:
    found = run(source, junk, good, bad, "--json")
    assert found.code == 1
    document = found.document
    assert set(document) == RUN
    assert (document["ok"], document["competition"], document["phase"]) == (False, "Tiny", {"index": 0, "name": "One"})
    first, second, third = document["submissions"]
    assert [s["submission"] for s in document["submissions"]] == ["junk.zip", "good", "bad"]
    assert [s["status"] for s in document["submissions"]] == ["Failed", "Finished", "Failed"]
    assert set(second) == {"submission", "status", "incomplete", "runs"}
    (done,) = second["runs"]
    assert set(done) == set(first["runs"][0]) == set(third["runs"][0])
    assert (done["task"], done["status"], done["problem"]) == ({"index": 0, "name": "First"}, "Finished", None)
    assert done["scores"] == {"score": 0.5, "time": 5.0}
    assert done["exit_codes"] == {
        "prediction": {"program": None, "ingestion": None},
        "scoring": {"program": 0, "ingestion": None},
    }
    assert done["seconds"] > 0
    assert done["provenance"]["trees"]["submission"].startswith("sha256:")
    assert first["runs"][0]["problem"]["fault"] == "participant"
    assert first["runs"][0]["problem"]["code"] == "CB023"
    assert third["runs"][0]["problem"]["code"] == "CB612"
    assert document["leaderboard"]["rows"] == [{"rank": 1, "submission": "good", "scores": {"score": 0.5, "time": 5.0}}]
    assert [c["key"] for c in document["leaderboard"]["columns"]] == ["score", "time"]


def test_run_of_zips_and_directories(source: Path, good: Path) -> None:
    packed = good.parent / "packed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(good / "answer.json", "answer.json")
    found = run(source, packed, good, "--json", "--jobs", 2)
    assert found.code == 0
    digests = {s["runs"][0]["provenance"]["trees"]["submission"] for s in found.document["submissions"]}
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--backend", "proces"], "did you mean 'process'?"),
        (["--network", "bogus"], "no network 'bogus'; there are none, proxy, open"),
        (["--network", "opne"], "did you mean 'open'?"),
        (["--memory", "x"], "not a size: 'x'"),
        (["--memory", "0"], "too little"),
        (["--cpus", "0"], "cpus must be more than 0"),
        (["--cpus", "many"], "--cpus"),
        (["--gpus", "-1"], "gpus is a number, all, or names"),
        (["--jobs", "0"], "--jobs"),
        (["--policy", "strickt"], "did you mean 'strict'?"),
        (["--timeout", "soon"], "not a duration: 'soon'"),
        (["--timeout", "0"], "more than 0 seconds"),
        (["--phase", "On"], "did you mean 'One'?"),
        (["--phase", "5"], "there are: 0 'One'"),
        (["--task", "Frist"], "did you mean 'First'?"),
        (["--fact-sheet", "nothing.json"], "nothing.json cannot be read"),
        (["--nosuch"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_cannot_be_meant(source: Path, good: Path, options: list[str], said: str) -> None:
    found = run(source, good, *options) if options[0] != "--backend" else codabench("run", source, good, *options)
    assert found.code == 2
    assert found.out == ""
    assert said in " ".join(found.err.replace("│", " ").split())


@pytest.mark.parametrize("line", ["runs --json --colour", "show --json", "runs --last none --json", "db go --json"])
def test_a_wrong_line_as_json(line: str) -> None:
    found = codabench(*line.split())
    assert (found.code, found.document["ok"], found.document["error"]["code"]) == (2, False, "CB353")
    assert found.document["error"]["message"] in found.err
    assert codabench(*line.replace(" --json", "").split()).out == ""


def test_slips_as_json(source: Path, good: Path, broken: Path) -> None:
    for args in ([source, good, "--network", "bogus"], [broken, good], [source, "nothing"]):
        found = run(*args, "--json")
        assert found.code == 2
        assert found.document["ok"] is False
        assert set(found.document["error"]) == {"code", "message", "hint"}
    assert found.document["error"]["code"] == "CB021"


def test_an_engine_that_does_not_answer(source: Path, good: Path) -> None:
    found = codabench("run", source, good, "--backend", "docker:unix:///nowhere.sock", "--json")
    assert (found.code, found.document["error"]["code"]) == (3, "CB601")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"team": "us"}', 0),
        ("team: us", 0),
        ("\ufeffteam: 'us'\r\n", 0),
        ("team: [us]", 2),
        ("tema: us", 2),
        ("[1, 2]", 2),
        ("just text", 2),
        ("a: b: c", 2),
        ("team: 2020-99-99", 2),
        ("team: 2020-01-01", 2),
        ("", 2),
    ],
)
def test_fact_sheets(tmp_path: Path, good: Path, text: str, code: int) -> None:
    sheet = "fact_sheet: {team: {key: team, type: text, title: T, selection: '', is_required: 'true', "
    source = bundle(tmp_path / "asks", yaml(extra=sheet + "is_on_leaderboard: 'true'}}\n"))
    (tmp_path / "answers").write_text(text, encoding="utf-8")
    found = run(source, good, "--fact-sheet", tmp_path / "answers")
    assert (found.code, "fact sheet" in found.err) == (code, code == 2)


def test_enforced_rules(tmp_path: Path, good: Path) -> None:
    text = yaml().replace("start: 2020-01-01", "start: 2020-01-01, end: 2021-01-01")
    source = bundle(tmp_path / "past", text)
    assert run(source, good).code == 0
    found = run(source, good, "--enforce")
    assert found.code == 2
    assert "ended 2021-01-01" in found.err


def test_a_limit_that_is_reached_costs_the_others_nothing(tmp_path: Path, good: Path) -> None:
    text = yaml().replace("start: 2020-01-01", "start: 2020-01-01, max_submissions_per_day: 2")
    found = run(bundle(tmp_path / "two-a-day", text), good, good, good, "--enforce", "--json")
    assert found.code == 1
    assert [s["status"] for s in found.document["submissions"]] == ["Finished", "Finished", "Failed"]
    assert found.document["submissions"][2]["runs"][0]["problem"]["code"] == "CB332"
    assert len(found.document["leaderboard"]["rows"]) == 2


def test_a_dry_run_starts_nothing(source: Path, good: Path) -> None:
    found = run(source, good, "--dry-run")
    assert found.code == 0
    assert re.search(r"/app/input/ref +ro +reference data", found.out)
    found = run(source, good, "--dry-run", "--json")
    (plan,) = found.document["plans"][str(good)]
    assert plan["steps"][1]["programs"][0]["commands"] == ["python3 $program/score.py $predictions $hidden $output"]


@pytest.mark.parametrize(
    ("archive", "inside", "warned"),
    [
        ("mine.zip", "mine/answer.json", True),
        ("mine.zip", "other/metadata", True),
        ("mine.zip", "lessons/answer.json", False),
        ("mine.zip", "mine", False),
        ("mine", "mine/answer.json", True),
    ],
)
def test_a_folder_around_a_submission_is_told(
    source: Path, tmp_path: Path, archive: str, inside: str, warned: bool
) -> None:
    with zipfile.ZipFile(tmp_path / archive, "w") as packed:
        packed.writestr(inside, "{}")
        packed.writestr("__MACOSX/x", "")
    found = run(source, tmp_path / archive, "--dry-run")
    assert found.code == 0
    assert ("lies in the folder" in found.out) == warned


def test_results_are_written_once(source: Path, good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = run(source, good, "--out", out, "--json")
    assert found.code == 0
    assert json.loads((out / "result.json").read_text()) == found.document
    assert (out / "good" / "scores.json").is_file()
    found = run(source, good, "--out", out)
    assert found.code == 2
    assert "already holds results" in found.err
    assert "Submission" not in found.err  # nothing was run for it


def test_kept_directories_are_named(source: Path, good: Path) -> None:
    found = run(source, good, "--keep")
    (place,) = re.findall(r"run directories are in (.+)", found.err)
    assert len(list(Path(place).iterdir())) == 1
    shutil.rmtree(Path(place).parent)


# ---------------------------------------------------------------- interrupts, pipes, terminals
@pytest.mark.parametrize(("number", "as_json"), [
    (signal.SIGINT, False), (signal.SIGINT, True), (signal.SIGTERM, False), (signal.SIGHUP, True),
])  # fmt: skip
def test_ctrl_c_and_what_ends_a_command_politely(
    source: Path, tmp_path: Path, number: signal.Signals, as_json: bool
) -> None:
    pids = tmp_path / "pids"
    scorer = source / "scoring" / "score.py"
    scorer.write_text(f"import os\nopen({str(pids)!r}, 'a').write(f'{{os.getpid()}}\\n')\n" + scorer.read_text())
    submissions = [answer(tmp_path / f"s{n}", SLEEPS) for n in range(2)]
    command = [sys.executable, "-m", "codabench", "run", source, *submissions, "--backend", "process", "--jobs", "2"]
    process = subprocess.Popen(
        [*map(str, command), *(["--json"] if as_json else [])],
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for _ in range(400):
        if pids.exists() and len(pids.read_text().split()) == 2:
            break
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "interrupted" in err
    assert not any(alive(int(pid)) for pid in pids.read_text().split())
    assert not list(tmp_path.glob("codabench-*"))
    assert (json.loads(out)["error"]["code"] == "CB630") if as_json else (out == "")


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_reader_that_goes_away(source: Path, good: Path, command: str) -> None:
    args = [source] if command == "check" else [source, good, "--backend", "process"]
    process = subprocess.Popen(
        [sys.executable, "-m", "codabench", command, *map(str, args)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.wait(30)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}])
def test_a_terminal_without_utf_8(source: Path, good: Path, env: dict[str, str]) -> None:
    env = {**env, "PYTHONCOERCECLOCALE": "0"}
    named = answer(good.parent / "été")
    found = run(source, named, **env)
    assert found.code == 0
    assert found.out.isascii()
    assert run(source, named, "--json", **env).document["submissions"][0]["submission"] == "été"


def test_names_that_are_no_text(source: Path, good: Path, tmp_path: Path) -> None:
    odd = answer(Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")))
    wrong = tmp_path / os.fsdecode(b"no\xff.zip")
    wrong.write_bytes(b"no zip")
    found = process("run", source, odd, wrong, "--backend", "process", "--json")
    assert found.code == 1
    assert [s["submission"] for s in found.document["submissions"]] == ["caf\ufffd", "no\ufffd.zip"]
    assert process("run", source, odd, wrong, "--backend", "process").code == 1


# ---------------------------------------------------------------- the command itself
def test_without_arguments_it_helps() -> None:
    found = codabench()
    assert found.code in (0, 2)
    assert "check" in found.out + found.err


def test_an_unknown_command() -> None:
    found = process("chek")
    assert found.code == 2
    assert "Did you mean 'check'" in found.err


def test_the_version() -> None:
    assert process("--version") == Ended(0, package.__version__ + "\n", "")


@pytest.mark.parametrize("command", ["check", "run", "demo", "doctor"])
def test_every_command_has_help(command: str) -> None:
    found = codabench(command, "--help")
    assert (found.code, found.err) == (0, "")


@pytest.mark.parametrize("args", [["run"], ["run", "x"], ["check"], ["check", "a", "b"]])
def test_missing_and_surplus_arguments(args: list[str]) -> None:
    found = codabench(*args)
    assert (found.code, found.out) == (2, "")


def test_an_operating_system_that_refuses_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    @handled
    def command(as_json: bool) -> None:
        raise OSError(errno.EIO, "Input/output error", "/somewhere")

    with pytest.raises(typer.Exit) as ended:
        command(as_json=True)
    assert ended.value.exit_code == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["error"]["code"] == "CB699"
    assert "/somewhere" in said.err
