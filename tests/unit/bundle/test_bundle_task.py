"""Task archives, and data sets and tasks that are named by key."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from bundle_maker import GOOD, codes, marked, write
from task_maker import PARTS, TASK, archive, folder, packed
from typer.testing import CliRunner

from codabench.bundle.load import read_bundle
from codabench.cli.app import app
from codabench.core.competition import CompetitionSpec
from codabench.core.errors import UsageError
from codabench.core.problems import Severity
from codabench.core.report import Report
from codabench.storage.sources import open_source

KEY = "5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01"
OTHER = "8e2b7a44-0c1d-4b6f-a5e3-6f7081920a02"


def report(source: Path, **options: Any) -> Report:
    with read_bundle(source, **options) as bundle:
        assert (bundle.spec is not None) == bundle.report.ok
        return bundle.report


def spec(source: Path, **options: Any) -> CompetitionSpec:
    with read_bundle(source, **options) as bundle:
        assert bundle.spec is not None, str(bundle.report)
        return bundle.spec


# ---------------------------------------------------------------------- what is read
@pytest.mark.parametrize("make", [archive, folder])
def test_a_task_is_a_competition_with_one_phase_and_no_leaderboard(make: Any, tmp_path: Path) -> None:
    found = spec(make(tmp_path / "task.zip"))
    (task,), (phase,) = found.tasks, found.phases
    assert (found.format, found.title, found.description) == ("task", "Capitals", "Name the capitals")
    assert (found.leaderboards, found.written) == ((), ())
    assert {role: part.path for role, part in task.parts.items()} == {
        "scoring_program": "scoring.zip",
        "ingestion_program": "ingestion.zip",
        "input_data": "input.zip",
        "reference_data": "truth.zip",
    }
    assert task.scoring_program is not None
    assert task.scoring_program.commands == ("python3 score.py",)
    assert task.extras == {"is_public": True}
    assert (phase.end, phase.max_submissions, phase.max_submissions_per_day) == (None, None, None)
    assert report(tmp_path / "task.zip").problems == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TASK.replace("\n", "\r\n"), []),
        ("\ufeff" + TASK, []),
        (TASK + "colour: blue\n", ["CB105"]),
        (TASK.replace("zip: input.zip", "zip: input.zip\n  note: mine"), ["CB105"]),
        ("name: X\ndescription:\nscoring_program: {zip: scoring.zip}\nreference_data:\ninput_data: {}\n", []),
        (TASK.replace("zip: input.zip", "zip: input.zip\n  key:"), []),
    ],
    ids=["CR LF", "byte order mark", "unknown key", "unknown key of a part", "empty parts", "empty key"],
)
def test_what_is_taken(text: str, said: list[str], tmp_path: Path) -> None:
    assert [p.code for p in report(archive(tmp_path / "t.zip", text))] == said


def test_unknown_keys_are_kept(tmp_path: Path) -> None:
    text = TASK.replace("zip: input.zip", "zip: input.zip\n  note: mine") + "colour: [blue, 1]\n"
    kept = spec(archive(tmp_path / "t.zip", text)).tasks[0].extras
    assert kept == {"is_public": True, "colour": ["blue", 1], "input_data": {"note": "mine"}}


def test_a_folder_around_everything_and_litter(tmp_path: Path) -> None:
    wrapped = tmp_path / "wrapped.zip"
    with zipfile.ZipFile(wrapped, "w") as made:
        for name, data in {"task.yaml": TASK.encode(), **PARTS}.items():
            made.writestr(f"mine/{name}", data)
        made.writestr("__MACOSX/mine/._task.yaml", b"\0")
    assert [p.code for p in report(wrapped)] == ["CB112"]


def test_a_bundle_that_holds_a_task_archive_stays_a_bundle(tmp_path: Path) -> None:
    assert spec(write(tmp_path, task_DOT_yaml=TASK.encode())).format == "v2"


# ---------------------------------------------------------------------- what is wrong
@pytest.mark.parametrize(
    ("before", "after", "code", "under"),
    [
        ("name: Capitals\n", "", "CB101", None),
        ("name: Capitals", "name: ' '", "CB101", None),
        ("description: Name the capitals\n", "", "CB101", None),
        ("scoring_program:\n  zip: scoring.zip\n", "", "CB101", None),
        ("scoring_program:\n  zip: scoring.zip", "scoring_program:", "CB101", None),
        ("zip: scoring.zip", "file: scoring.zip", "CB161", "scoring_program:"),
        ("scoring_program:\n  zip: scoring.zip", "scoring_program: {}", "CB161", "scoring_program:"),
        ("scoring_program:\n  zip: scoring.zip", "scoring_program: scoring.zip", "CB102", "scoring.zip"),
        ("zip: input.zip", "zip: input.tar", "CB162", "input.tar"),
        ("zip: input.zip", "zip: inputs.zip", "CB301", "inputs.zip"),
        ("zip: input.zip", "zip: ../input.zip", "CB302", "../input.zip"),
        ("zip: input.zip", "zip: [input.zip]", "CB102", "[input.zip]"),
        ("zip: input.zip", "key: mine", "CB163", "mine"),
        ("zip: input.zip", f"key: {KEY}", "CB304", KEY),
        ("is_public: True", "is_public: perhaps", "CB102", "perhaps"),
    ],
)
def test_what_is_refused(before: str, after: str, code: str, under: str | None, tmp_path: Path) -> None:
    found = report(archive(tmp_path / "t.zip", TASK.replace(before, after)))
    (error,) = found.errors
    assert (error.code, error.file) == (code, "task.yaml")
    assert error.hint
    assert under is None or marked(error) in (under, under.rstrip(":"))


def test_everything_is_said_at_once(tmp_path: Path) -> None:
    text = TASK.replace("name: Capitals\n", "").replace("input.zip", "../x.zip").replace("truth.zip", "truth.rar")
    assert codes(report(archive(tmp_path / "t.zip", text))) == ["CB101", "CB302", "CB162"]


def test_a_zip_that_is_none(tmp_path: Path) -> None:
    (error,) = report(archive(tmp_path / "t.zip", truth_DOT_zip=b"not a zip")).errors
    assert error.code == "CB307"
    assert "is not a zip file" in error.message


# ---------------------------------------------------------------------- by key
KEYED = TASK.replace("zip: truth.zip", f"key: {KEY}")


def test_the_key_counts_where_a_zip_is_named_too(tmp_path: Path) -> None:
    source = archive(tmp_path / "t.zip", TASK.replace("zip: truth.zip", f"key: {KEY}\n  zip: truth.zip"))
    assert codes(report(source)) == ["CB304"]
    given = tmp_path / "given"
    given.mkdir()
    (given / "other.csv").write_text("3")
    with read_bundle(source, datasets={KEY: given}) as bundle:
        assert [p.code for p in bundle.report] == ["CB164"]
        assert bundle.spec is not None
        reference = bundle.spec.tasks[0].reference_data
        assert reference is not None
        assert reference.key == KEY
        assert [e.path for e in bundle.tree(reference).entries()] == ["other.csv"]


@pytest.mark.parametrize("how", ["zip", "folder", "tree", "function", "spelling"])
def test_what_is_given_for_a_key_are_its_files(how: str, tmp_path: Path) -> None:
    place = tmp_path / "given.zip"
    place.write_bytes(PARTS["truth.zip"])
    unpacked = tmp_path / "given"
    unpacked.mkdir()
    (unpacked / "answers.csv").write_text("2")
    datasets: Any = {
        "zip": {KEY: place},
        "folder": {KEY: unpacked},
        "tree": {KEY: open_source(place)},
        "function": {KEY: str(place)}.get,
        "spelling": {KEY.upper().replace("-", ""): place},
    }[how]
    with read_bundle(archive(tmp_path / "t.zip", KEYED), datasets=datasets) as bundle:
        assert bundle.spec is not None, str(bundle.report)
        reference = bundle.spec.tasks[0].reference_data
        assert reference is not None
        assert bundle.tree(reference).read_bytes("answers.csv") == b"2"
        assert reference.path is not None
        assert bundle.files.exists(reference.path)


@pytest.mark.parametrize("given", ["nothing/there.zip", "task.yaml"])
def test_what_is_given_and_cannot_be_used_is_a_problem(given: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "t", KEYED)
    (problem,) = report(source, datasets={KEY: source / given}).errors
    assert (problem.code, marked(problem)) == ("CB165", KEY)


def test_a_key_that_is_none_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_bundle(folder(tmp_path / "t"), datasets={"mine": tmp_path})
    assert caught.value.code == "CB170"


BY_KEY = GOOD.replace("reference_data: data", f"reference_data: {KEY}")
TASK_BY_KEY = GOOD.replace("tasks: [0]\nleader", "tasks: [1]\nleader").replace(
    "phases:", f"  - index: 1\n    key: {OTHER}\nphases:"
)


def test_a_bundle_with_data_sets_by_key(tmp_path: Path) -> None:
    source = write(tmp_path / "b", BY_KEY.replace("start: 2026-01-01", f"start: 2026-01-01\n    starting_kit: {OTHER}"))
    assert codes(report(source)) == ["CB304", "CB304"]
    kit = tmp_path / "kit.zip"
    kit.write_bytes(packed(readme_DOT_md="Hello"))
    found = spec(source, datasets={KEY: write(tmp_path / "c"), OTHER: kit})
    assert found.phases[0].starting_kit is not None
    assert found.phases[0].starting_kit.key == OTHER


def test_a_bundle_with_a_task_by_key(tmp_path: Path) -> None:
    source = write(tmp_path / "b", TASK_BY_KEY)
    assert codes(report(source)) == ["CB304"]
    given = archive(tmp_path / "task.zip", KEYED)
    assert codes(report(source, datasets={OTHER: given})) == ["CB304"], "a key in the task that is given"
    truth = tmp_path / "truth.zip"
    truth.write_bytes(PARTS["truth.zip"])
    with read_bundle(source, datasets={OTHER: given, KEY: truth}) as bundle:
        assert bundle.spec is not None, str(bundle.report)
        task = bundle.spec.task(1)
        assert (task.name, task.key) == ("Capitals", OTHER)
        assert task.input_data is not None
        assert task.reference_data is not None
        assert bundle.tree(task.input_data).read_bytes("questions.csv") == b"1"
        assert bundle.tree(task.reference_data).read_bytes("answers.csv") == b"2"


@pytest.mark.parametrize(("text", "code"), [("name: X\n", "CB101"), ("", "CB165"), (None, "CB165")])
def test_what_is_wrong_with_a_task_that_is_given(text: str | None, code: str, tmp_path: Path) -> None:
    given = folder(tmp_path / "task", **{} if text is None else {"text": text})
    if text is None:
        (given / "task.yaml").unlink()
    found = report(write(tmp_path / "b", TASK_BY_KEY), datasets={OTHER: given}).errors
    assert code in {p.code for p in found}
    assert all(p.hint for p in found)


def test_a_solution_by_key(tmp_path: Path) -> None:
    source = write(tmp_path / "b", GOOD + f"solutions: [{{index: 0, key: {KEY}, tasks: [0]}}]\n")
    assert codes(report(source)) == ["CB304"]
    (solution,) = spec(source, datasets={KEY: write(tmp_path / "c")}).solutions
    assert solution.key == KEY


# ---------------------------------------------------------------------- as servers export them
def test_a_task_with_a_key_that_is_described_as_well(tmp_path: Path) -> None:
    described = GOOD.replace("    name: First\n", f"    name: First\n    key: {KEY}\n")
    source = write(tmp_path / "b", described)
    (note,) = report(source)
    assert (note.code, note.severity, marked(note)) == ("CB166", Severity.NOTE, KEY)
    assert spec(source).tasks[0].name == "First"
    given = archive(tmp_path / "task.zip")
    assert spec(source, datasets={KEY: given}).tasks[0].name == "Capitals"
    assert [p.code for p in report(source, datasets={KEY: given})] == ["CB166"]


def test_a_task_that_stands_twice_word_for_word(tmp_path: Path) -> None:
    begin, end = GOOD.index("  - index: 0\n    name: First"), GOOD.index("phases:")
    twice = GOOD[:end] + GOOD[begin:end] + GOOD[end:]
    (warning,) = report(write(tmp_path / "a", twice))
    assert (warning.code, warning.severity) == ("CB107", Severity.WARNING)
    assert len(spec(tmp_path / "a").tasks) == 1
    other = GOOD[:end] + GOOD[begin:end].replace("First", "Second") + GOOD[end:]
    assert codes(report(write(tmp_path / "b", other))) == ["CB107"]


# ---------------------------------------------------------------------- in a terminal
def test_check_takes_data_sets(tmp_path: Path) -> None:
    source = archive(tmp_path / "t.zip", KEYED)
    truth = tmp_path / "truth.zip"
    truth.write_bytes(PARTS["truth.zip"])
    assert CliRunner().invoke(app, ["check", str(source)]).exit_code == 1
    done = CliRunner().invoke(app, ["check", str(source), "--dataset", f"{KEY}={truth}", "--json"])
    assert done.exit_code == 0
    assert json.loads(done.stdout)["format"] == "task"


@pytest.mark.parametrize("given", [KEY, f"{KEY}=", "=x.zip", "mine=x.zip"])
def test_a_data_set_is_given_as_key_and_path(given: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(folder(tmp_path / "t")), "--dataset", given])
    assert done.exit_code == 2
    assert "CB170" in done.stderr
