"""Every acceptance bundle and example, saved: it reads back equal, and a second reader takes it for the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import server_reader

import codabench as cb
from codabench.backends.select import engine_named
from codabench.bundle.canonical import as_v2
from codabench.core.competition import CompetitionSpec
from codabench.core.problems import Severity
from codabench.core.trees import tree_digest
from codabench.storage.sources import manifest, open_source
from codabench.workspace.competition import Competition

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CHANGED = {"file", "path", "unpacked"}
"""Where a file of v1.5 lies is not kept: programs are unpacked, empty pages get a file."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "source" in metafunc.fixturenames:
        folder = metafunc.config.getoption("--bundles")
        given = [pytest.param(path, marks=pytest.mark.bundles, id=name) for name, path in _given(folder)]
        ours = [pytest.param(path, id=f"examples/{path.parent.name}") for path in sorted(EXAMPLES.glob("*/bundle"))]
        metafunc.parametrize("source", [*ours, *given])


def _given(folder: Path | None) -> Iterator[tuple[str, Path]]:
    for file in sorted(folder.resolve().glob("*/expected.json")) if folder else ():
        expected = json.loads(file.read_text())
        for case in expected.get("cases", [expected]):
            if case["check"]["ok"]:
                yield f"{file.parent.name}/{case['bundle']}", file.parent / case["bundle"]


@pytest.fixture(params=["directory", "zip"])
def dest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / ("saved.zip" if request.param == "zip" else "saved")


def trees(competition: Competition) -> dict[str, str]:
    """The digest of everything that programs and people get, by what it is for."""
    spec = competition.spec
    parts = {f"task {t.index} {role}": part for t in spec.tasks for role, part in t.parts.items()}
    for phase in spec.phases:
        kits = {"public data": phase.public_data, "starting kit": phase.starting_kit}
        parts |= {f"phase {phase.index} {role}": part for role, part in kits.items() if part}
    parts |= {f"solution {solution.index}": solution for solution in spec.solutions}
    return {what: tree_digest(manifest(competition.tree(part))) for what, part in parts.items()}


def files(path: Path) -> dict[str, str]:
    with open_source(path) as tree:
        return {e.path: hashlib.sha256(tree.read_bytes(e.path)).hexdigest() for e in tree.entries() if e.kind == "file"}


def _comparable(spec: CompetitionSpec) -> Any:
    return without_places(spec.model_dump(mode="json"))


def without_places(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_places(inner) for key, inner in value.items() if key not in CHANGED}
    return [without_places(item) for item in value] if isinstance(value, list) else value


def test_it_reads_back_equal(source: Path, dest: Path) -> None:
    competition = cb.load(source)
    report = competition.save(dest)
    saved = cb.load(dest)
    assert not report.errors
    assert trees(saved) == trees(competition)
    if competition.spec.format == "v2":
        assert saved.spec == competition.spec
        assert {p.code for p in report} <= {"CB159"}
        return
    expected, problems = as_v2(competition.spec)
    assert _comparable(saved.spec) == _comparable(expected)
    assert set(problems) <= set(report)


def test_all_other_files_come_along(source: Path, dest: Path) -> None:
    competition = cb.load(source)
    report = competition.save(dest)
    before, after = files(source), files(dest)
    names = {name.removeprefix(_wrapping(before)): digest for name, digest in before.items()}
    del names["competition.yaml"], after["competition.yaml"]
    programs = [part for t in competition.spec.tasks for part in (t.scoring_program, t.ingestion_program) if part]
    unpacked = tuple(part.path for part in programs if part.unpacked and part.path)
    assert {
        name: digest for name, digest in names.items() if after.get(name) != digest and not name.startswith(unpacked)
    } == {}
    if "CB156" not in {p.code for p in report} and not unpacked:
        assert after == names


def _wrapping(names: dict[str, str]) -> str:
    return "" if "competition.yaml" in names else next(n for n in names if n.endswith("/competition.yaml"))[:-16]


def test_the_same_content_gives_the_same_bytes(source: Path, tmp_path: Path) -> None:
    competition = cb.load(source)
    for name in ("first.zip", "second.zip", "folder"):
        competition.save(tmp_path / name)
    cb.load(tmp_path / "folder").save(tmp_path / "third.zip")
    cb.load(tmp_path / "first.zip").save(tmp_path / "fourth.zip")
    assert len({(tmp_path / f"{n}.zip").read_bytes() for n in ("first", "second", "third", "fourth")}) == 1


def test_a_second_reader_takes_it_for_the_same(source: Path, dest: Path) -> None:
    competition = cb.load(source)
    competition.save(dest)
    if competition.spec.format == "v2":
        agree(server_reader.read(dest), competition.spec)
    else:
        agree(server_reader.read(dest), as_v2(competition.spec)[0])


def agree(seen: dict[str, Any], spec: CompetitionSpec) -> None:
    assert (seen["title"], seen["description"], seen["docker_image"], seen["type"]) == (
        spec.title,
        spec.description,
        spec.docker_image,
        spec.competition_type,
    )
    for flag in server_reader.FLAGS:
        assert seen[flag] == getattr(spec, flag)
    assert [page["title"] for page in seen["pages"]] == [page.title for page in spec.pages]
    assert [(i, t["name"], t["ingestion_only_during_scoring"]) for i, t in seen["tasks"].items()] == [
        (t.index, t.name, t.ingestion_only_during_scoring) for t in spec.tasks
    ]
    for task in spec.tasks:
        assert set(task.parts) == set(seen["tasks"][task.index]) & set(task.parts)
    assert [(p["start"], p["end"]) for p in seen["phases"]] == [(p.start, p.end) for p in spec.phases]
    for phase, shown in zip(spec.phases, seen["phases"], strict=True):
        assert (shown["name"], tuple(shown["tasks"]), shown["seconds"]) == (
            phase.name,
            phase.tasks,
            phase.execution_time_limit,
        )
        assert (shown["per_day"], shown["in_all"]) == (phase.max_submissions_per_day, phase.max_submissions)
    assert all(a["end"] < b["start"] for a, b in pairwise(seen["phases"]))
    for board, shown in zip(spec.leaderboards, seen["leaderboards"], strict=True):
        assert (shown["rule"], shown["primary"]) == (board.submission_rule.value, board.primary_index)
        assert [(c["key"], c["sorting"], c["precision"], c["hidden"], *c["computation"]) for c in shown["columns"]] == [
            (c.key, c.sorting.value, c.precision, c.hidden, c.computation, list(c.computation_indexes))
            for c in board.columns
        ]
    assert seen["fact_sheet"] == {
        q.key: {"is_required": q.is_required, "is_on_leaderboard": q.is_on_leaderboard} for q in spec.fact_sheet
    }


@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.parametrize("example", sorted(p.parent.name for p in EXAMPLES.glob("*/expected.json")))
def test_it_scores_the_same(example: str, tmp_path: Path, docker_url: str) -> None:
    expected = json.loads((EXAMPLES / example / "expected.json").read_text())
    wanted = next(s for s in expected["submissions"] if s["status"] == "Finished")
    competition = cb.load(EXAMPLES / example / expected["bundle"])
    competition.save(tmp_path / "saved.zip")
    scores = []
    for one in (competition, cb.load(tmp_path / "saved.zip")):
        made = engine_named(f"docker:{docker_url}")
        submission = EXAMPLES / example / wanted["path"]
        handle = one.run(submission, phase=wanted["phase"], backend=made, progress="none")
        scores.append([run.scores for run in handle.runs])
        one.close()
        made.close()
    assert scores[0] == scores[1]
    assert any(scores[0])


@pytest.mark.bundles
def test_a_loss_of_an_old_bundle_is_a_warning(bundles: Path, tmp_path: Path) -> None:
    """Ranks as v1.5 computes them, a limit of none, a second leaderboard."""
    losses = {"30-v15-leaderboard": "CB153", "32-v15-own-command": "CB155", "36-v15-two-leaderboards": "CB154"}
    for case, code in losses.items():
        report = cb.load(bundles / case / "bundle").save(tmp_path / case)
        assert code in {p.code for p in report.of(Severity.WARNING)}, case


@pytest.mark.bundles
def test_task_archives_are_saved(bundles: Path, tmp_path: Path) -> None:
    cases = json.loads((bundles / "task_zips" / "index.json").read_text())["cases"]
    sound = [bundles / "task_zips" / c["bundle"] for c in cases if c["check"]["ok"] and not c["check"]["problems"]]
    assert len(sound) >= 2
    for source in sound:
        task = cb.load(source)
        for name in ("first.zip", "folder"):
            assert task.save(tmp_path / source.stem / name).problems == ()
        cb.load(tmp_path / source.stem / "folder").save(tmp_path / source.stem / "second.zip")
        saved = cb.load(tmp_path / source.stem / "first.zip")
        assert (saved.spec, trees(saved)) == (task.spec, trees(task))
        first, second = (tmp_path / source.stem / f"{name}.zip" for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
        assert server_reader.read_task(first) == server_reader.read_task(source)
