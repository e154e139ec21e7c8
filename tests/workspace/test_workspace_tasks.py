"""Solutions that are run, data sets that are looked at, task archives that are run: with real processes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import FILES, PHASE, answer, bundle, yaml
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app
from codabench.core.competition import DataRole
from codabench.core.errors import NotFound, UsageError

KEY = "5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01"
QUIET: dict[str, Any] = {"backend": "process", "progress": "none"}
SOLUTIONS = """\
solutions:
  - {index: 0, name: Half, path: half, tasks: [1]}
  - {index: 7, path: full.zip, tasks: [0, 1]}
"""


def packed(files: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return made.getvalue()


def below(folder: str) -> dict[str, bytes]:
    return {name.removeprefix(folder): data for name, data in FILES.items() if name.startswith(folder)}


FILES_OF_SOLUTIONS = {
    "half/answer.json": b'{"score": 0.5}',
    "full.zip": packed({"answer.json": b'{"score": 1}'}),
}


def made(folder: Path, text: str) -> Path:
    return bundle(folder, text, FILES_OF_SOLUTIONS)


@pytest.fixture
def comp(tmp_path: Path) -> Iterator[cb.Competition]:
    with cb.load(made(tmp_path / "bundle", yaml(("First", "Second"), extra=SOLUTIONS))) as found:
        yield found


# ---------------------------------------------------------------------- solutions
def test_a_solution_is_a_submission_to_its_tasks(comp: cb.Competition) -> None:
    half, full = comp.run_many(comp.solutions, **QUIET)
    assert (half.name, [t.name for t in half.tasks], half.run.scores["score"]) == ("Half", ["Second"], 0.5)
    assert (full.name, [t.name for t in full.tasks], full.scores["score"]) == ("solution 7", ["First", "Second"], 1)
    named = comp.run(comp.solutions["Half"], task="First", **QUIET)
    assert [t.name for t in named.tasks] == ["First"]
    assert comp.plan(comp.solutions["Half"])[0]["task"]["name"] == "Second"
    with pytest.raises(UsageError):
        comp.run_many(comp.solutions[0], **QUIET)


def test_a_solution_goes_to_the_first_phase_with_one_of_its_tasks(tmp_path: Path) -> None:
    phases = PHASE.format(0, "One", "2020-01-01, end: 2020-02-01", "1", "") + PHASE.format(
        1, "Two", "2020-03-01", "0", ""
    )
    with cb.load(made(tmp_path, yaml(("First", "Second"), phases, SOLUTIONS))) as comp:
        assert comp.choose_phase().name == "Two"
        assert comp.run(comp.solutions["Half"], **QUIET).phase.name == "One"
        elsewhere = comp.run(comp.solutions["Half"], phase="Two", **QUIET)
        assert [t.name for t in elsewhere.tasks] == ["First"], "a phase that is named holds"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--solution", "all"], ["Half", "solution 7"]),
        (["--solution", "7"], ["solution 7"]),
        (["--solution", "Half", "--phase", "0"], ["Half"]),
    ],
)
def test_run_solution(comp: cb.Competition, options: list[str], names: list[str]) -> None:
    done = CliRunner().invoke(app, ["run", comp.source, *options, "--backend", "process", "--json"])
    assert done.exit_code == 0, done.stderr
    assert [s["submission"] for s in json.loads(done.stdout)["submissions"]] == names


@pytest.mark.parametrize(("options", "code"), [([], "CB354"), (["--solution", "Best"], "CB340")])
def test_nothing_to_run(comp: cb.Competition, options: list[str], code: str) -> None:
    done = CliRunner().invoke(app, ["run", comp.source, *options, "--backend", "process"])
    assert done.exit_code == 2
    assert f"error[{code}]" in done.stderr


# ---------------------------------------------------------------------- data sets
def test_data_sets_by_role(comp: cb.Competition) -> None:
    found = [(d.role, d.name, d.used_by) for d in comp.datasets]
    assert found == [
        (DataRole.SCORING_PROGRAM, "scoring", ("First", "Second")),
        (DataRole.REFERENCE_DATA, "data", ("First", "Second")),
        (DataRole.SOLUTION, "half", ("Second",)),
        (DataRole.SOLUTION, "full.zip", ("First", "Second")),
    ]
    data = comp.datasets["data"]
    assert (data.size, data.key, data.tree.read_bytes("x.csv")) == (5, None, b"12345")
    assert repr(data) == "<reference data data: 1 file, 5 B; used by First, Second>"
    assert data.digest.startswith("sha256:")


def test_the_digest_is_that_of_the_files_packed_or_not(tmp_path: Path) -> None:
    text = yaml()
    folder = cb.load(bundle(tmp_path / "a", text)).datasets["data"]
    archive = cb.load(
        bundle(
            tmp_path / "b",
            text.replace("reference_data: data}", "reference_data: data.zip}"),
            {"data.zip": packed(below("data/"))},
        )
    ).datasets["data.zip"]
    other = cb.load(bundle(tmp_path / "c", text, {"data/x.csv": b"54321"})).datasets["data"]
    assert folder.digest == archive.digest != other.digest


# ---------------------------------------------------------------------- tasks
TASK = "name: Tiny\ndescription:\nscoring_program: {zip: scoring.zip}\nreference_data: {key: " + KEY + "}\n"


@pytest.fixture
def task(tmp_path: Path) -> Path:
    place = tmp_path / "task.zip"
    place.write_bytes(packed({"task.yaml": TASK.encode(), "scoring.zip": packed(below("scoring/"))}))
    (tmp_path / "data.zip").write_bytes(packed(below("data/")))
    return place


def test_a_task_is_run_and_has_no_leaderboard(task: Path, tmp_path: Path) -> None:
    text = '{"score": 0.5, "write": {"anything": 3, "word": "yes!", "nested": {"a": 1}}}'
    with cb.load(task, datasets={KEY: tmp_path / "data.zip"}) as comp:
        done = comp.run(answer(tmp_path / "mine"), **QUIET)
        assert done.scores == {"score": 0.5, "time": 5}
        assert comp.run(answer(tmp_path / "other", text), **QUIET).scores == {"anything": 3}
        empty = comp.run(answer(tmp_path / "none", '{"score": 1, "write": {"word": "no"}}'), **QUIET)
        assert (empty.status, empty.scores) == ("Finished", {})
        assert "CB645" in [w.code for w in empty.run.warnings]
        with pytest.raises(NotFound, match="no leaderboard"):
            comp.leaderboard()
        (data,) = (d for d in comp.datasets if d.role is DataRole.REFERENCE_DATA)
        assert data.key == KEY


def test_a_task_in_a_workspace(task: Path, tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(cb.load(task, datasets={KEY: tmp_path / "data.zip"}))
        assert ws.submit(comp, answer(tmp_path / "mine")).wait().scores["score"] == 0.5


def test_run_of_a_task(task: Path, tmp_path: Path) -> None:
    where = ["--dataset", f"{KEY}={tmp_path / 'data.zip'}", "--backend", "process"]
    mine = str(answer(tmp_path / "mine"))
    done = CliRunner().invoke(app, ["run", str(task), mine, *where, "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("Submission 'mine'  Finished  score 0.5   time 5\n")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"result.json", "mine"}
    found = CliRunner().invoke(app, ["run", str(task), mine, *where, "--json"])
    assert json.loads(found.stdout)["leaderboard"] is None
    assert CliRunner().invoke(app, ["run", str(task), mine, "--backend", "process"]).exit_code == 2


def test_scores_are_the_same_before_and_after_writing(tmp_path: Path) -> None:
    comp = cb.load(made(tmp_path / "bundle", yaml(("First", "Second"), extra=SOLUTIONS)))
    mine = answer(tmp_path / "mine")
    wanted = comp.run(mine, task="First", **QUIET).run.scores
    comp.save(tmp_path / "task.zip", task="First")
    comp.save(tmp_path / "keys.zip", keys={"data": KEY})
    task, keyed = (
        cb.load(tmp_path / "task.zip"),
        cb.load(tmp_path / "keys.zip", datasets={KEY: comp.datasets["data"].tree}),
    )
    task.save(tmp_path / "again.zip")
    keyed.save(tmp_path / "files.zip")
    again, files = cb.load(tmp_path / "again.zip"), cb.load(tmp_path / "files.zip")
    for one in (task, keyed, again, files):
        assert one.run(mine, task=one.tasks[0].index, **QUIET).run.scores == wanted == {"score": 0.5, "time": 5}
        one.close()
    comp.close()
