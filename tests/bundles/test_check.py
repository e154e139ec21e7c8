"""What `read_bundle` says of the acceptance bundles: sound ones, broken ones, hostile ones."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from codabench.bundle.dates import DateError, parse_date
from codabench.bundle.fact_sheet import check_answers
from codabench.bundle.load import Bundle, read_bundle
from codabench.bundle.nodes import Mapping, Scalar
from codabench.bundle.yaml import read_yaml
from codabench.core.competition import ColumnSpec, CompetitionSpec, LeaderboardSpec
from codabench.core.errors import ArchiveError, BundleError
from codabench.core.problems import Location, Problem
from codabench.core.report import Report
from codabench.storage.sources import ArchiveLimits, extract, open_source

pytestmark = pytest.mark.bundles
EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def read(path: Path) -> tuple[Bundle | None, Report]:
    """The bundle, if it can be read at all, and its report."""
    try:
        bundle = read_bundle(path)
    except BundleError as error:
        return None, error.report or Report(source="an error without a report")
    return bundle, bundle.report


def cases(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for file in sorted(folder.glob("*/expected.json")):
        expected = json.loads(file.read_text())
        for case in expected.get("cases", [expected]):
            yield file.parent / case["bundle"], case


# ---------------------------------------------------------------------- problems
def agrees(problem: Problem, wanted: dict[str, Any], severity: str | None = None) -> bool:
    """Severity, file and line as expected, and carets that stand on the line."""
    if problem.severity.value not in (severity or wanted["severity"]).split(" or "):
        return False
    if "file" in wanted and problem.file != wanted["file"]:
        return False
    return "line" not in wanted or (problem.line == wanted["line"] and sensible(problem.where))


def sensible(where: Location) -> bool:
    assert where.excerpt is not None
    assert where.column is not None
    end = where.end_column or len(where.excerpt) + 1
    return 1 <= where.column <= len(where.excerpt) and where.column < end <= len(where.excerpt) + 1


def assert_reported(report: Report, wanted: list[dict[str, Any]], severity: str | None = None) -> None:
    left = list(report.problems)
    for want in wanted:
        match = next((p for p in left if agrees(p, want, severity)), None)
        assert match is not None, f"not reported: {want}\n{report}"
        left.remove(match)
        if "quote" in want:
            assert match.where.excerpt is not None
            assert want["quote"] in match.where.excerpt
        for other in want.get("also", ()):
            assert any(w.file == other["file"] and w.line == other["line"] for w in match.also)
    assert str(report)
    json.dumps([p.to_dict() for p in report])


def assert_check(path: Path, check: dict[str, Any], alternative: dict[str, Any] | None = None) -> Bundle | None:
    bundle, report = read(path)
    alternative = alternative or check.get("alternative")
    if report.ok != check["ok"]:
        assert alternative is not None, f"{path.name}: ok is {report.ok}\n{report}"
        assert report.ok == alternative["ok"], str(report)
        assert_reported(report, alternative.get("problems", check["problems"]), alternative.get("severity"))
    else:
        assert_reported(report, check["problems"])
    if check["ok"] or report.ok:
        assert bundle is not None
        assert bundle.spec is not None
    if "must_not_say" in check:
        assert "version" not in str(report)
        assert not any(p.line == 1 and p.column == 1 for p in report)
    return bundle


def test_sound_bundles(bundles: Path) -> None:
    seen = 0
    for path, case in (*cases(bundles), *cases(EXAMPLES)):
        bundle = assert_check(path, case["check"])
        seen += 1
        if "structure" in case["check"] and case["check"]["ok"]:
            assert bundle is not None
            assert bundle.spec is not None
            assert_structure(bundle.spec, case["check"]["structure"])
    assert seen >= 38


def test_invalid_bundles(bundles: Path) -> None:
    index = json.loads((bundles / "invalid" / "index.json").read_text())
    for case in index["cases"]:
        path = bundles / "invalid" / case["bundle"]
        assert_check(path, case["check"], case.get("alternative"))


KEYS = ("5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01", "8e2b7a44-0c1d-4b6f-a5e3-6f7081920a02")


def test_task_archives(bundles: Path) -> None:
    folder = bundles / "task_zips"
    for case in json.loads((folder / "index.json").read_text())["cases"]:
        path, check = folder / case["bundle"], case["check"]
        elsewhere = [p for p in check["problems"] if "server" in p["severity"]]
        if elsewhere:
            _, report = read(path)
            assert_reported(report, elsewhere, severity="error")
            assert len(report.errors) == len(elsewhere)
            bundle = read_bundle(path, datasets=dict.fromkeys(KEYS, bundles / "13-references-to-another-server/bundle"))
            assert bundle.report.ok
        else:
            bundle = assert_check(path, check, case.get("alternative"))
        if "structure" in case:
            assert bundle is not None
            assert bundle.spec is not None
            assert task_structure(bundle.spec, case["structure"]) == case["structure"]


def task_structure(spec: CompetitionSpec, wanted: dict[str, Any]) -> dict[str, Any]:
    (task,) = spec.tasks
    found = {**task.model_dump(include={"name", "description", "ingestion_only_during_scoring"}), **task.extras}
    return {**{key: found[key] for key in wanted if key != "parts"}, "parts": list(task.parts)}


# ---------------------------------------------------------------------- structure
def utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


RULED: dict[tuple[str, str], dict[str, Any]] = {
    # "its primary column is the one with the highest `selection_default`, else the first"
    ("Dates and flags", "N"): {"primary_index": 1},
    # "each has its own column order": the indexes of the second board do not go on from those of the first.
    ("Two boards", "Large"): {"columns": [{"index": 0}, {"index": 1}]},
}
"""Where an expectation and a ruling of contract.md section 7 differ, the ruling wins."""


def structure(spec: CompetitionSpec, wanted: dict[str, Any]) -> dict[str, Any]:
    """The spec in the shape of ``expected.json``, the keys that are wanted."""
    found: dict[str, Any] = {key: getattr(spec, key) for key in wanted if hasattr(spec, key)}
    if "terms" in wanted:
        found["terms"] = spec.terms_file
    found["pages"] = [page.title for page in spec.pages]
    found["phases"] = [
        {**{k: getattr(p, k, None) for k in want}, "start": utc(p.start), "end": utc(p.end)}
        | {"tasks": [t.name for t in spec.tasks_of(p)]}
        | {k: getattr(p, k) is not None for k in ("starting_kit", "public_data") if k in want}
        | {k: p.accepts_only_result_submissions for k in ("is_scoring_only",) if k in want}
        for p, want in zip(spec.phases, wanted["phases"], strict=True)
    ]
    found["leaderboards"] = [
        {**{k: getattr(b, k) for k in want}, "columns": columns(b, want["columns"])}
        for b, want in zip(spec.leaderboards, wanted["leaderboards"], strict=True)
    ]
    if "solutions" in wanted:
        found["solutions"] = [s.name for s in spec.solutions]
    if "fact_sheet" in wanted:
        found["fact_sheet"] = [
            {"key": q.key, "type": q.type, "required": q.is_required, "on_leaderboard": q.is_on_leaderboard}
            for q in spec.fact_sheet
        ]
    return found


def columns(board: LeaderboardSpec, wanted: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: said(board, c, k) for k in want} for c, want in zip(board.columns, wanted, strict=True)]


def said(board: LeaderboardSpec, column: ColumnSpec, key: str) -> Any:
    """What a column says, in the words of ``expected.json``."""
    if key == "column_group":
        return column.extras["column_group"]["label"]
    if key == "legacy_computed":
        keys = [board.columns[n].key for n in column.computation_indexes]
        return {"operation": {"mean_rank": "Avg", "mrr": "MRR"}[str(column.computation)], "fields": keys}
    value = getattr(column, key)
    return list(value) if isinstance(value, tuple) else value


def assert_structure(spec: CompetitionSpec, wanted: dict[str, Any]) -> None:
    for board in wanted["leaderboards"]:
        ruled = dict(RULED.get((spec.title, board["key"]), {}))
        for column, changes in zip(board["columns"], ruled.pop("columns", ()), strict=False):
            column.update(changes)
        board.update(ruled)
    assert structure(spec, wanted) == wanted


# ---------------------------------------------------------------------- dates, fact sheets
def test_dates(bundles: Path) -> None:
    for row in json.loads((bundles / "11-date-zoo" / "dates.json").read_text())["dates"]:
        root, _ = read_yaml(b"start: " + row["yaml"].encode() + b"\n", "x")
        assert isinstance(root, Mapping)
        node = root.get("start")
        try:
            if not isinstance(node, Scalar):
                raise DateError("not text")
            got = utc(parse_date(node.text, plain=node.plain)[0])
        except DateError:
            got = "error"
        assert got == row["utc"], row


def test_fact_sheet_answers(bundles: Path) -> None:
    folder = bundles / "08-phases-tasks-fact-sheet"
    bundle, _ = read(folder / "bundle")
    assert bundle is not None
    assert bundle.spec is not None
    for row in json.loads((folder / "expected.json").read_text())["fact_sheet_answers"]:
        assert (not check_answers(bundle.spec.fact_sheet, row["answers"])) == row["ok"], row


# ---------------------------------------------------------------------- hostile
@pytest.fixture(scope="module")
def hostile(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Archives that mean harm, made by the script among the acceptance bundles."""
    target = tmp_path_factory.mktemp("made") / "hostile"
    maker = request.config.getoption("--bundles").resolve() / "hostile" / "make_hostile.py"
    subprocess.run([sys.executable, str(maker), str(target)], check=True, capture_output=True)
    return target


def uploads(folder: Path, kind: str) -> list[dict[str, Any]]:
    files = json.loads((folder / "index.json").read_text())["files"]
    return [file for file in files if file["upload"] == kind]


def test_hostile_bundles(bundles: Path, hostile: Path) -> None:
    files = uploads(hostile, "bundle")
    assert len(files) >= 60
    for file in files:
        before = time.perf_counter()
        bundle, report = read(hostile / file["file"])
        assert time.perf_counter() - before < 2, file
        if isinstance(file["must_refuse"], bool):
            assert report.ok != file["must_refuse"], f"{file}\n{report}"
        assert report.ok == (bundle is not None and bundle.spec is not None)
        shown = str(report)
        assert not {"\x1b", "\u202e", "\0"} & set(shown)
        assert "root:" not in shown
    assert not Path("harmed.txt").exists()


def test_hostile_submissions(bundles: Path, hostile: Path, tmp_path: Path) -> None:
    limits = ArchiveLimits(inflated_bytes=40 << 20, entries=20_000)
    files = uploads(hostile, "submission")
    assert len(files) >= 40
    for n, file in enumerate(files):
        target = tmp_path / str(n) / "a" / "b"
        target.mkdir(parents=True)
        before = time.perf_counter()
        try:
            with open_source(hostile / file["file"], limits=limits) as source:
                extract(source, target, limits=limits)
            taken = True
        except ArchiveError:
            taken = False
            assert list(target.iterdir()) == [], file
        assert time.perf_counter() - before < 2, file
        if file["must_refuse"] is True or str(file["must_refuse"]).startswith("when"):
            assert not taken, file
        elif file["must_refuse"] is False:
            assert taken, file
        assert [p.name for p in target.parent.iterdir()] == ["b"], file
        assert all(p.is_file() or p.is_dir() for p in target.rglob("*"))
        assert not any(p.is_symlink() or p.stat().st_mode & 0o7000 for p in target.rglob("*"))
