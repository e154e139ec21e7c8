"""The benchmarks: what they print, what they compare with, that nothing is left out silently."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
NAMES = [
    "two_step_docker",
    "two_step_podman",
    "two_step_sandbox",
    "sandbox_start",
    "import_codabench",
    "help",
    "check_40_files",
    "check_1000_files",
    "log_memory",
    "open_workspace",
    "reevaluate_nothing_changed",
    "rescore_batch",
    "rank_million",
    "board_page",
    "board_page_one",
    "board_insert",
    "storage_gigabyte_put",
    "storage_gigabyte_get",
    "storage_gigabyte_tree",
    "dask_run_overhead",
    "dask_submit",
    "dask_workspace",
    "dask_workspace_postgres",
    "dask_memory",
]


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(FOLDER / "run"), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **env},
    )


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))


def test_one_object_a_line() -> None:
    ended = run("check_40_files", "import_codabench", "--json", "--rounds", "3", "--warm-up", "1")
    assert ended.returncode == 0, ended.stderr
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    assert [f["name"] for f in found] == ["check_40_files", "import_codabench"]
    for one in found:
        assert list(one) == ["name", "value", "unit", "baseline", "ratio"]
        assert one["ratio"] == pytest.approx(one["value"] / one["baseline"], rel=0.01)


def test_a_table_for_people() -> None:
    ended = run("check_40_files", "--rounds", "3", "--warm-up", "0")
    assert ended.returncode == 0, ended.stderr
    assert "n=3" in ended.stdout
    assert "must: value <= 60 ms" in ended.stdout


@pytest.mark.parametrize("name", ["two_step_docker", "two_step_podman", "log_memory"])
def test_without_engine_it_says_so_and_goes_on(name: str) -> None:
    nowhere = "unix:///nowhere/at/all.sock"
    ended = run(
        name, "check_40_files", "--json", "--rounds", "1", "--warm-up", "0", DOCKER_HOST=nowhere, CONTAINER_HOST=nowhere
    )
    assert ended.returncode == 3
    assert f"{name}: not measured" in ended.stderr
    assert "/nowhere/at/all.sock" in ended.stderr
    assert [json.loads(line)["name"] for line in ended.stdout.splitlines()] == ["check_40_files"]


def test_names_are_known() -> None:
    listed = run("--help").stdout
    assert all(name in listed for name in NAMES)
    ended = run("two_steps")
    assert ended.returncode == 2
    assert all(name in ended.stderr for name in NAMES)


@pytest.mark.parametrize("name", ["bare_docker.py", "bare_many.py", "bare_podman.py"])
def test_the_bare_side_is_short_and_does_not_know_us(name: str) -> None:
    text = (FOLDER / name).read_text()
    assert len(text.splitlines()) <= 40
    assert "codabench" not in text


def test_the_bare_side_starts_without_network_and_attaches_first() -> None:
    text = (FOLDER / "bare_docker.py").read_text()
    assert "network_disabled=True" in text
    calls = [".attach(", ".start()\n        code", ".wait()", ".remove()"]
    assert sorted(calls, key=text.index) == calls


@pytest.mark.usefixtures("modules")
def test_the_bundle_has_forty_files(tmp_path: Path) -> None:
    import checking

    from codabench.bundle.load import read_bundle

    with read_bundle(checking.write(tmp_path)) as bundle:
        assert str(bundle.report) == "✓ 40 files checked · 0 errors, 0 warnings, 0 notes"
        assert len(bundle.files.entries()) == 40


@pytest.mark.usefixtures("modules")
def test_the_large_bundle_has_something_to_compare(tmp_path: Path) -> None:
    import checking

    from codabench.bundle.load import read_bundle

    made = checking.write_many(tmp_path)
    with read_bundle(made) as bundle:
        assert str(bundle.report) == "✓ 1000 files checked · 0 errors, 0 warnings, 0 notes"
    found = checking.compared(made)
    assert len([each for each in found if each.parent.name == "input"]) == 10
    assert len(found) > 400


@pytest.mark.usefixtures("modules")
def test_both_sides_are_measured_in_turn() -> None:
    from contextlib import contextmanager

    from measure import Benchmark

    order = ""

    def side(letter: str, sample: float) -> Any:
        def once() -> float:
            nonlocal order
            order += letter
            return sample

        return once

    @contextmanager
    def sides() -> Any:
        yield side("v", 6), side("b", 4)

    measured = Benchmark(name="x", about="", unit="ms", sides=sides, must=("ratio", 1.25)).measure(rounds=3, warm_up=1)
    assert order == "bvvbbvvb"
    assert (list(measured.values), list(measured.baselines)) == ([6] * 3, [4] * 3)
    assert measured.to_json() == {"name": "x", "value": 6, "unit": "ms", "baseline": 4, "ratio": 1.5}
    assert not measured.holds
    assert Benchmark(name="x", about="", unit="ms", sides=sides, must=("above", 2)).measure(1, 0).holds
