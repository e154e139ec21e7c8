"""What is mended, how little of the text changes, and that nothing is mended away."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from bundle_maker import GOOD, report, write
from hypothesis import given, settings
from hypothesis import strategies as st

import codabench as cb
from codabench.bundle import fix as fixing
from codabench.bundle.edits import apply_edits
from codabench.bundle.load import read_bundle
from codabench.core.competition import CompetitionSpec
from codabench.core.errors import BundleError, StorageError, UsageError
from codabench.core.problems import Edit, Problem
from codabench.core.text import is_slip

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*/bundle"))
QUESTION = "{key: q, type: text, title: Q, selection: '', is_required: false, is_on_leaderboard: false}"
END = "end: 2026-02-01"
TWO = GOOD.replace("sorting: asc", "sorting: asc\n        precision: 3")


class Case(NamedTuple):
    """A code, a piece of the good bundle, what stands there instead, and what stands there when it is mended."""

    code: str
    safe: bool
    good: str
    bad: str
    mended: str


CASES = [
    Case("CB003", False, "title: Small\n", "title: Old # gone\ntitle: Small\n", "title: Small\n"),
    Case("CB003", False, "title: Small\n", "pages:\n  - a\n  # b\ntitle: Small\n", "  # b\ntitle: Small\n"),
    Case("CB101", True, "title: Small", "titel: Small # c", "title: Small # c"),
    Case("CB101", True, "title: Small", "'Title': Small", "'title': Small"),
    Case("CB101", True, "scoring_program: scoring", "scoring_programm: scoring", "scoring_program: scoring"),
    Case("CB101", False, "title: Small", "my_title: Small", "title: Small"),
    Case("CB101", False, "terms: terms.md", "terms_file: terms.md", "terms: terms.md"),
    Case("CB102", False, END, f"{END}\n    execution_time_limit: 10 min", f"{END}\n    execution_time_limit: 600"),
    Case("CB104", True, "sorting: asc", "sorting: ascending", "sorting: asc"),
    Case("CB104", True, "sorting: asc", "sorting: 'Asc'", "sorting: 'asc'"),
    Case("CB104", True, "    key: board", "    key: board\n    submission_rule: force last", "rule: Force_Last"),
    Case("CB104", False, "sorting: asc", "sorting: dasc", "sorting: asc"),
    Case("CB105", True, "sorting: asc", "sorting: asc\n        precison: 3", "precision: 3"),
    Case("CB105", False, "sorting: asc", "sorting: asc\n        column_hidden: true", "        hidden: true"),
    Case("CB113", True, "version: 2\ntitle", "# c\ntitle", "# c\nversion: 2\ntitle"),
    Case("CB113", False, "version: 2\n", "version: 1.5\n", "version: 2\n"),
    Case("CB114", True, "version: 2\n", "version: '2.0' # c\n", "version: 2 # c\n"),
    Case("CB116", False, END, f"{END}\n    max_submissions_per_person: 3", "    max_submissions: 3"),
    Case("CB116", False, "sorting: asc", "sorting: asc\n        numeric_format: 3", "precision: 3"),
    Case(
        "CB121", True, "tasks:\n  -", f"fact_sheet:\n  q: {QUESTION.replace('type', 'tpye')}\ntasks:\n  -", "q, type: t"
    ),
    Case(
        "CB121",
        False,
        "tasks:\n  -",
        f"fact_sheet:\n  q: {QUESTION.replace('is_required', 'required')}\ntasks:\n  -",
        "is_required: f",
    ),
    Case("CB122", False, "tasks:\n  -", f"fact_sheet:\n  p: {QUESTION}\ntasks:\n  -", "{key: p,"),
    Case("CB202", True, END, "end: 20260201", "end: 2026-02-01"),
    Case("CB203", True, END, "end: 1-2-2026 # c", "end: 2026-01-02 # c"),
    Case("CB203", True, END, "end: '1/2/2026'", "end: '2026-01-02'"),
    Case("CB203", True, END, "end: 1/2/2026 2:30 PM", 'end: "2026-01-02 14:30:00"'),
    Case("CB205", False, "start: 2026-02-02", "start: 2026-02-01", 'end: "2026-01-31 23:59:59"'),
    Case("CB208", True, "name: One", "name: One\n    auto_migrate_to_this_phase: yes", "this_phase: false"),
    Case("CB301", False, "input_data: data", "input_data: dta", "input_data: data"),
    Case("CB303", True, "input_data: data", "input_data: data.zip", "input_data: data/"),
    Case("CB501", False, "title: Loss\n        key: loss", "title: Time\n        key: time", "sorting: asc"),
    Case("CB509", True, END, "end: 2026-02-01 12:00:00+02:00 # c", 'end: "2026-02-01 10:00:00" # c'),
    Case("CB509", True, END, "end: '2026-02-01T12:00+02:00'", "end: '2026-02-01 10:00:00'"),
    Case("CB510", True, "title: Small", "title: 12:30 # c", 'title: "12:30" # c'),
    Case("CB510", True, "title: Loss", "title: no", 'title: "no"'),
    Case("CB510", True, END, f"{END}\n    execution_time_limit: 0600", f"{END}\n    execution_time_limit: 600"),
]
EARNS = {"CB501": ("        sorting: asc\n", "")}
"""What else a case changes first."""
SCORER = b'import json\njson.dump({"score": 1, "Loss": 2}, open("o", "w"))'
"""Writes a key that is spelt otherwise than its column."""


def spoilt(case: Case) -> str:
    text = GOOD.replace(*EARNS.get(case.code, ("", "")), 1) if case.code in EARNS else GOOD
    assert case.good in text
    return text.replace(case.good, case.bad, 1)


def words(case: Case) -> str:
    return f"{case.code}: {case.bad.strip()[-40:]}"


def the(code: str, folder: Path, text: str) -> Problem:
    return next(p for p in report(folder, text) if p.code == code)


def spec_of(folder: Path) -> CompetitionSpec | None:
    with read_bundle(folder) as bundle:
        return bundle.spec


def text_of(folder: Path) -> str:
    return (folder / "competition.yaml").read_bytes().decode()


# ---------------------------------------------------------------------- each fix
@pytest.mark.parametrize("case", CASES, ids=words)
def test_it_is_mended(case: Case, tmp_path: Path) -> None:
    problem = the(case.code, tmp_path, spoilt(case))
    assert problem.fix is not None
    assert problem.fix.safe == case.safe
    fixed = cb.fix(tmp_path, unsafe=not case.safe)
    assert case.code in [p.code for p in fixed.applied]
    assert case.mended in text_of(tmp_path)
    assert case.code not in [p.code for p in fixed.report]
    assert fixed.report == cb.check(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=words)
def test_what_is_not_safe_waits_to_be_asked_for(case: Case, tmp_path: Path) -> None:
    bundle = write(tmp_path, spoilt(case))
    fixed = cb.fix(bundle)
    assert (case.code in [p.code for p in fixed.applied]) == case.safe
    if not case.safe:
        assert case.code in [p.code for p in fixed.report]


@pytest.mark.parametrize("case", CASES, ids=words)
def test_only_lines_with_problems_change(case: Case, tmp_path: Path) -> None:
    """Comments, line ends of Windows and a byte order mark stay; the last line still does not end."""
    text = "﻿# my bundle\r\n" + spoilt(case).replace("\n", "\r\n").rstrip() + "\r\n# last"
    write(tmp_path, text)
    cb.fix(tmp_path, unsafe=True)
    before, after = text.split("\r\n"), text_of(tmp_path).split("\r\n")
    assert "\n" not in "".join(after)
    assert (after[0], after[-1]) == (before[0], before[-1])
    assert len(set(before) - set(after)) <= 2
    assert abs(len(before) - len(after)) <= 2


@pytest.mark.parametrize("case", CASES, ids=words)
def test_a_second_time_changes_nothing(case: Case, tmp_path: Path) -> None:
    write(tmp_path, spoilt(case))
    cb.fix(tmp_path, unsafe=True)
    once = text_of(tmp_path)
    again = cb.fix(tmp_path, unsafe=True)
    assert (again.applied, again.diff, again.written, text_of(tmp_path)) == ((), "", False, once)


ALL_BUT_ONE = [c for c in CASES if c.safe and c.code not in ("CB101", "CB113", "CB114", "CB501", "CB303")]


@given(st.lists(st.sampled_from(ALL_BUT_ONE), max_size=5))
@settings(max_examples=40, deadline=None)
def test_several_together(tmp_path_factory: pytest.TempPathFactory, chosen: list[Case]) -> None:
    """Whatever is wrong at once: afterwards it is the good bundle again, or one without what could be mended."""
    text = GOOD
    for case in chosen:
        text = re.sub(re.escape(case.good) + r"(?!\w)", lambda _, bad=case.bad: bad, text, count=1)
    folder = write(tmp_path_factory.mktemp("bundle"), text)
    before, was = cb.check(folder), spec_of(folder)
    fixed = cb.fix(folder)
    assert not any(p.fix and p.fix.safe for p in fixed.report)
    assert len(fixed.report.errors) <= len(before.errors)
    if was is not None and "precison" not in text:
        assert spec_of(folder) == was
        assert {(p.code, p.message) for p in fixed.report} <= {(p.code, p.message) for p in before}


def test_the_document_lists_what_is_mended() -> None:
    """docs/checking.md has a row for each code, and says which fixes are safe."""
    text = (Path(__file__).resolve().parents[3] / "docs" / "checking.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (CB\d{3}) \| ([a-z, ]+) \|", text, re.M))
    tried: dict[str, set[bool]] = {}
    for case in CASES:
        tried.setdefault(case.code, set()).add(case.safe)
    said = {code: {"safe": {True}, "unsafe": {False}, "safe, unsafe": {True, False}}[way] for code, way in rows.items()}
    assert {code: said.get(code) for code in tried} == tried


# ---------------------------------------------------------------------- leaderboard, indexes
BOARD = "leaderboard:\n  # one\n  title: Board\n\n  key: board\n  columns:\n  - {title: S, key: score, index: 0}\n"


def singular(board: str) -> str:
    return GOOD[: GOOD.index("leaderboards:")] + board


@pytest.mark.parametrize(
    ("board", "mended"),
    [
        (BOARD, BOARD.replace("board:", "boards:", 1).replace("\n  ", "\n    ").replace("    title", "  - title")),
        (
            "leaderboard: {title: B, key: b, columns: [{title: S, key: score, index: 0}]} # one",
            "leaderboards: [{title: B, key: b, columns: [{title: S, key: score, index: 0}]}] # one",
        ),
        (
            "leaderboard:\n  - {title: B, key: b, columns: [{title: S, key: score, index: 0}]}",
            "leaderboards:\n  - {title: B, key: b, columns: [{title: S, key: score, index: 0}]}",
        ),
    ],
)
def test_a_single_leaderboard_becomes_a_list(board: str, mended: str, tmp_path: Path) -> None:
    write(tmp_path, singular(board))
    fixed = cb.fix(tmp_path)
    assert fixed.report.ok, str(fixed.report)
    assert text_of(tmp_path).replace("    # one", "  # one") == singular(mended).replace("    # one", "  # one")


def test_columns_without_any_index_are_counted(tmp_path: Path) -> None:
    text = GOOD.replace("        index: 0\n", "").replace("        index: 1\n", "")
    write(tmp_path, text)
    assert cb.fix(tmp_path).report.ok
    spec = spec_of(tmp_path)
    assert spec is not None
    assert [(c.index, c.key) for c in spec.leaderboards[0].columns] == [(0, "score"), (1, "loss")]


def test_one_column_without_index_is_left(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("        index: 1\n", ""))
    assert not cb.fix(tmp_path, unsafe=True).applied


def test_a_column_gets_the_key_that_the_program_writes(tmp_path: Path) -> None:
    write(tmp_path, GOOD, scoring__score_DOT_py=SCORER)
    assert [p.code for p in cb.fix(tmp_path).report if p.fix] == ["CB503"]
    assert [p.code for p in cb.fix(tmp_path, unsafe=True).applied] == ["CB503"]
    assert text_of(tmp_path) == GOOD.replace("key: loss", "key: Loss")


# ---------------------------------------------------------------------- near misses
@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (END, "end: &moment 1-2-2026"),
        ("title: Small", "titel: Small\ntitle: ''"),
        ("start: 2026-01-01", "start: *nowhere"),
        ("sorting: asc", "sorting: asc\n        sortin: desc"),
    ],
)
def test_what_cannot_be_done_simply_is_left(good: str, bad: str, tmp_path: Path) -> None:
    text = GOOD.replace(good, bad)
    write(tmp_path, text)
    assert not cb.fix(tmp_path, unsafe=True).written
    assert text_of(tmp_path) == text


def test_a_fix_that_would_bring_an_error_is_not_applied(tmp_path: Path) -> None:
    """The key is right then, and its value is not: the bundle was usable, so it stays as it is."""
    text = GOOD.replace("sorting: asc", "sorting: asc\n        precison: many")
    write(tmp_path, text)
    fixed = cb.fix(tmp_path)
    assert (fixed.applied, text_of(tmp_path)) == ((), text)
    assert [p.code for p in fixed.report.fixable] == ["CB105"]


def test_an_anchor_that_is_used_is_not_removed(tmp_path: Path) -> None:
    text = GOOD.replace("title: Small\n", "title: &t Old\ntitle: *t\n")
    write(tmp_path, text)
    assert cb.fix(tmp_path, unsafe=True).applied == ()
    assert text_of(tmp_path) == text


def test_one_fix_that_fails_does_not_keep_the_others_back(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace(END, "end: 1-2-2026").replace("sorting: asc", "sorting: asc\n        precison: x"))
    fixed = cb.fix(tmp_path)
    assert [p.code for p in fixed.applied] == ["CB203"]
    assert "end: 2026-01-02" in text_of(tmp_path)


# ---------------------------------------------------------------------- files
def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    text = GOOD.replace(END, "end: 1-2-2026")
    bundle = write(tmp_path, text)
    before = os.stat(bundle / "competition.yaml")
    fixed = cb.fix(bundle, dry_run=True)
    assert (fixed.written, len(fixed.applied), fixed.report.ok) == (False, 1, True)
    assert "-    end: 1-2-2026\n+    end: 2026-01-02" in fixed.diff
    assert os.stat(bundle / "competition.yaml").st_mtime_ns == before.st_mtime_ns
    assert text_of(bundle) == text


def test_the_mode_stays_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    bundle = write(tmp_path, GOOD.replace(END, "end: 1-2-2026"))
    file = bundle / "competition.yaml"
    file.chmod(0o640)
    names = sorted(p.name for p in bundle.iterdir())
    assert cb.fix(bundle).written
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert sorted(p.name for p in bundle.iterdir()) == names


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle", GOOD.replace(END, "end: 1-2-2026"))
    (bundle / "competition.yaml").rename(bundle / "real.yaml")
    (bundle / "competition.yaml").symlink_to("real.yaml")
    before = (bundle / "real.yaml").read_bytes()
    with pytest.raises(UsageError, match="CB359"):
        cb.fix(bundle)
    assert (bundle / "competition.yaml").is_symlink()
    assert (bundle / "real.yaml").read_bytes() == before


def test_what_somebody_else_changed_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = write(tmp_path, GOOD.replace(END, "end: 1-2-2026"))
    mended = fixing._mended

    def slow(*args: object) -> object:
        result = mended(*args)  # type: ignore[arg-type]
        (bundle / "competition.yaml").write_text(GOOD)
        return result

    monkeypatch.setattr(fixing, "_mended", slow)
    with pytest.raises(StorageError, match="changed by somebody else"):
        cb.fix(bundle)
    assert text_of(bundle) == GOOD
    assert not list(bundle.glob(".codabench-*"))


def test_a_zip_is_only_looked_at(tmp_path: Path) -> None:
    bundle = write(tmp_path / "bundle", GOOD.replace(END, "end: 1-2-2026"))
    packed = tmp_path / "bundle.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(p for p in bundle.rglob("*") if p.is_file()):
            archive.write(file, file.relative_to(bundle))
    with pytest.raises(UsageError, match="CB359") as raised:
        cb.fix(packed)
    assert "--diff" in str(raised.value.hint)
    assert "+    end: 2026-01-02" in cb.fix(packed, dry_run=True).diff


def test_a_bundle_in_a_folder_is_mended_there(tmp_path: Path) -> None:
    write(tmp_path / "outer" / "inner", GOOD.replace(END, "end: 1-2-2026"))
    assert cb.fix(tmp_path / "outer").written
    assert "end: 2026-01-02" in text_of(tmp_path / "outer" / "inner")


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        cb.fix(tmp_path / "nothing")
    with pytest.raises(BundleError):
        cb.fix(tmp_path / "nothing", dry_run=True)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.md").write_text("x")
    assert [p.code for p in cb.fix(tmp_path / "a").report] == ["CB110"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.parent.name)
def test_an_example_needs_no_fix(example: Path) -> None:
    assert cb.fix(example, unsafe=True, dry_run=True).applied == ()


# ---------------------------------------------------------------------- acceptance bundles
@pytest.mark.bundles
def test_safe_fixes_of_other_peoples_bundles_keep_their_meaning(bundles: Path) -> None:
    """Every bundle, sound or not: no error more than before, and what could be loaded loads as the same."""
    seen = 0
    for file in sorted([*bundles.rglob("competition.yaml"), *bundles.rglob("*.zip")]):
        source = file.parent if file.name == "competition.yaml" else file
        try:
            with read_bundle(source) as bundle:
                before, was, text = bundle.report, bundle.spec, bundle.text
                fixed = cb.fix(source, dry_run=True)
                assert len(fixed.report.errors) <= len(before.errors), source
                if text is not None and fixed.applied:
                    seen += 1
                    assert fixed.report.ok or not before.ok
                if was is not None and not any(p.code == "CB105" for p in fixed.applied):
                    new, _, _ = fixing._mended(bundle, text or b"", False)
                    assert bundle.reread(new).spec == was, source
        except BundleError:
            continue
    assert seen >= 5


# ---------------------------------------------------------------------- edits
def edit(line: int, column: int, length: int, text: str) -> Edit:
    return Edit(file="x", line=line, column=column, end_line=line, end_column=column + length, text=text)


@given(st.text(st.sampled_from("ab \n\r\u2028\x85é😀"), max_size=40), st.data())
def test_edits_change_their_place_and_nothing_else(text: str, data: st.DataObject) -> None:
    from codabench.bundle.nodes import NEWLINE

    lines = NEWLINE.split(text)
    line = data.draw(st.integers(1, len(lines)))
    column = data.draw(st.integers(1, len(lines[line - 1]) + 1))
    length = data.draw(st.integers(0, len(lines[line - 1]) - column + 1))
    changed = apply_edits(text.encode(), [edit(line, column, length, "XY")]).decode()
    expected = [*lines]
    expected[line - 1] = lines[line - 1][: column - 1] + "XY" + lines[line - 1][column - 1 + length :]
    assert NEWLINE.split(changed) == expected
    assert NEWLINE.findall(changed) == NEWLINE.findall(text)


@pytest.mark.parametrize(
    ("wrong", "right", "slip"),
    [
        ("titel", "title", True),
        ("Title", "title", True),
        ("titles", "title", True),
        ("docker-image", "docker_image", True),
        ("forcelast", "Force_Last", True),
        ("sortng", "sorting", True),
        ("ascending", "asc", False),
        ("page_title", "title", False),
        ("elttit", "title", False),
        ("", "", True),
    ],
)
def test_slips(wrong: str, right: str, slip: bool) -> None:
    check: Callable[[str, str], bool] = is_slip
    assert check(wrong, right) == slip


@pytest.mark.parametrize("data", [b"\x89PNG\0", "title: Größe".encode("latin-1"), "title: A".encode("utf-16")])
def test_what_is_not_utf8_stays_as_it_is(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "competition.yaml").write_bytes(data)
    for dry_run in (True, False):
        found = cb.fix(tmp_path, unsafe=True, dry_run=dry_run)
        assert ([p.code for p in found.report], found.diff, found.written) == (["CB004"], "", False)
    assert (tmp_path / "competition.yaml").read_bytes() == data
