"""``--target codabench.org``: each rule with a near miss, and a second reader that has to agree."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import server_reader
from hypothesis import given, settings
from hypothesis import strategies as st

import codabench as cb
from codabench.core.problems import Severity

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "bundle"))

from bundle_maker import GOOD, write

EXAMPLES = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*/bundle"))
ORG = "codabench.org"
END = "end: 2026-02-01"
SECOND = "start: 2026-02-02"
ASC = "sorting: asc"
FACT = (
    "fact_sheet:\n  q: {key: q, type: text, title: Q, selection: '', is_required: %s, is_on_leaderboard: 'false'}"
    "\ntasks:"
)


class Case(NamedTuple):
    """An edit of the good bundle that earns a code there, and a near miss; both are fine here."""

    code: str
    good: str
    bad: str
    near: str


def column(*lines: str) -> str:
    return "\n        ".join([ASC, *lines])


CASES = [
    Case("CB180", "title: Small", "title: Small\ndocker_image:", "title: Small\ndocker_image: python:3"),
    Case("CB180", "title: Small", "title: Small\nreward: ''", "title: Small\nreward:"),
    Case("CB180", "input_data: data", "input_data: ~", "input_data: data"),
    Case("CB180", END, f"{END}\n    hide_output: null", f"{END}\n    max_submissions: null"),
    Case("CB180", END, f"{END}\n    public_data:", f"{END}\n    description:"),
    Case("CB180", ASC, "sorting:", ASC),
    Case("CB180", ASC, column("precision: null"), column("precision: -1")),
    Case("CB181", "title: Small", "title: yes", "title: 'yes'"),
    Case("CB181", "title: Small", "title: 2026-01-01", "title: 2026"),
    Case("CB181", "title: Small", "title: Small\ndescription: no", "title: Small\ndescription: none"),
    Case("CB181", "version: 2", "version: ' 2 '", "version: '2'"),
    Case("CB181", "- index: 1\n    name: Two", "- index: '1'\n    name: Two", "- index: 7\n    name: Two"),
    Case("CB181", ASC, column("precision: 3.0"), column("precision: 3")),
    Case("CB181", END, f"{END}\n    execution_time_limit: 3000000000", f"{END}\n    execution_time_limit: 0"),
    Case("CB181", END, f"{END}\n    hide_output: 'tRue'", f"{END}\n    hide_output: 'ON'"),
    Case("CB181", "title: Small", "title: Small\ncontact_email: me@home", "title: Small\ncontact_email: me@home.org"),
    Case("CB510", "title: Small", "title: 1.50", "title: 1.5"),
    Case("CB510", END, f"{END}\n    max_submissions: 010", f"{END}\n    max_submissions: 10"),
    Case("CB182", "tasks:", FACT % "yes", FACT % "'true'"),
    Case("CB183", SECOND, "start: 2026-02-01 10:00:00", "start: 2026-02-02 10:00:00"),
    Case("CB184", ASC, column("computation:"), column("computation:", "computation_indexes:")),
    Case(
        "CB184",
        ASC,
        column("computation: avg", "computation_indexes: '0'"),
        column("computation: avg", "computation_indexes: [0]"),
    ),
    Case(
        "CB184",
        ASC,
        column("computation: avg_rank", "computation_indexes: [0]"),
        column("computation: sum", "computation_indexes: ['0']"),
    ),
    Case("CB185", "tasks: [0]", "tasks: ['0']", "tasks: [0]"),
    Case("CB185", "terms: terms.md", "terms: 'terms.md '", "terms: ./terms.md"),
    Case(
        "CB185",
        "tasks:",
        (FACT % "'true'").replace("  q: {key: q", "  1: {key: '1'"),
        (FACT % "'true'").replace("  q: {key: q", "  1: {key: 1"),
    ),
    Case(
        "CB186",
        "        index: 0\n",
        "        index: 0\n        hidden: on\n",
        "        index: 0\n        hidden: off\n",
    ),
    Case("CB187", "title: Small", "title: 2026-02-30", "title: '2026-02-30'"),
    Case("CB187", "title: Small", "title: =", "title: =x"),
    Case(
        "CB188",
        END,
        f"{END}\n    accepts_only_result_submissions: true",
        f"{END}\n    accepts_only_result_submissions: false",
    ),
    Case("CB205", SECOND, "start: 2026-02-01", 'start: "2026-02-01 00:00:02"'),
    Case("CB303", "input_data: data", "input_data: data.zip", "input_data: data/"),
    Case("CB307", "input_data: data", "input_data: terms.md", "input_data: data"),
    Case(
        "CB117", "title: Small", "title: Small\nqueue: gpu", "title: Small\nqueue: a1b2c3d4-0000-4000-8000-0123456789ab"
    ),
]
HIDE_LOSS = {"CB186": ("        index: 1\n", "        index: 1\n        hidden: true\n")}


def edited(case: Case, text: str) -> str:
    good = GOOD.replace(*HIDE_LOSS.get(case.code, ("", "")), 1) if case.code in HIDE_LOSS else GOOD
    assert case.good in good
    return good.replace(case.good, text, 1)


def words(case: Case) -> str:
    return f"{case.code}: {case.bad.strip()[-40:]}"


@pytest.mark.parametrize("case", CASES, ids=words)
def test_what_is_wrong_there(case: Case, tmp_path: Path) -> None:
    bundle = write(tmp_path, edited(case, case.bad))
    assert cb.check(bundle).ok
    found = [p for p in cb.check(bundle, target=ORG) if p.code == case.code]
    assert found, str(cb.check(bundle, target=ORG))
    assert found[0].severity is not Severity.NOTE
    assert found[0].hint
    assert any(p.severity is Severity.ERROR for p in found) == (not server_reader.accepts(bundle))


@pytest.mark.parametrize("case", CASES, ids=words)
def test_a_near_miss_is_silent(case: Case, tmp_path: Path) -> None:
    bundle = write(tmp_path, edited(case, case.near))
    report = cb.check(bundle, target=ORG)
    assert case.code not in [p.code for p in report]
    assert report.ok == server_reader.accepts(bundle)


@pytest.mark.parametrize("case", [c for c in CASES if c.code.startswith("CB18")], ids=words)
def test_a_safe_fix_makes_it_fit(case: Case, tmp_path: Path) -> None:
    """What can be mended is mended, with the same meaning here."""
    bundle = write(tmp_path, edited(case, case.bad))
    before = cb.load(bundle).spec
    mendable = any(p.fix and p.fix.safe for p in cb.check(bundle, target=ORG) if p.code == case.code)
    mendable |= case.code == "CB183"  # by the quotes of CB509
    fixed = cb.fix(bundle, target=ORG)
    assert (case.code in [p.code for p in fixed.report]) != mendable
    assert cb.load(bundle).spec == before
    assert cb.fix(bundle, target=ORG).applied == ()


# ---------------------------------------------------------------------- the second reader
@given(st.lists(st.sampled_from([(c, bad) for c in CASES for bad in (True, False)]), max_size=4))
@settings(max_examples=60, deadline=None)
def test_both_readers_agree(tmp_path_factory: pytest.TempPathFactory, chosen: list[tuple[Case, bool]]) -> None:
    text = GOOD
    for case, bad in chosen:
        whole = re.escape(case.good) + ("" if case.good.endswith("\n") else r"(?![^\n])")
        text = re.sub(whole, lambda _, new=case.bad if bad else case.near: new, text, count=1)
    bundle = write(tmp_path_factory.mktemp("b"), text)
    assert cb.check(bundle, target=ORG).ok == server_reader.accepts(bundle), text


WORDS = "yes no ~ 010 1.0 3 -1 '' '3' x 2026-01-01 [] {} 1_0 0x1 true 'true' 1:30 2026-02-30 = .5"
VALUES = st.sampled_from(WORDS.split())
LINES = [n for n, line in enumerate(GOOD.splitlines()) if ": " in line]


@given(st.lists(st.tuples(st.sampled_from(LINES), VALUES), min_size=1, max_size=2))
@settings(max_examples=150, deadline=None)
def test_what_has_no_error_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, str]]
) -> None:
    """Any value anywhere: nothing passes here that is refused there."""
    lines = GOOD.splitlines()
    for line, value in changes:
        lines[line] = f"{lines[line].split(': ')[0]}: {value}"
    bundle = write(tmp_path_factory.mktemp("b"), "\n".join(lines))
    if cb.check(bundle, target=ORG).ok:
        assert server_reader.accepts(bundle), "\n".join(lines)


@pytest.mark.parametrize("wrapped", [True, False])
def test_a_folder_around_everything(wrapped: bool, tmp_path: Path) -> None:
    source = write(tmp_path / "in")
    packed = tmp_path / "a.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for file in sorted(p for p in source.rglob("*") if p.is_file()):
            archive.write(file, ("top/" if wrapped else "") + file.relative_to(source).as_posix())
    assert cb.check(packed).ok
    assert cb.check(packed, target=ORG).ok == server_reader.accepts(packed) == (not wrapped)


def test_a_page_that_is_not_utf8(tmp_path: Path) -> None:
    bundle = write(tmp_path, overview_DOT_md=b"caf\xe9")
    assert cb.check(bundle).ok
    assert not cb.check(bundle, target=ORG).ok
    assert not server_reader.accepts(bundle)


def test_a_column_that_stands_twice(tmp_path: Path) -> None:
    last = GOOD[GOOD.index("      - title: Loss") :]
    bundle = write(tmp_path, GOOD + last)
    assert cb.check(bundle).ok
    assert not cb.check(bundle, target=ORG).ok
    assert not server_reader.accepts(bundle)


def test_an_old_bundle_is_read_otherwise(tmp_path: Path) -> None:
    from test_bundle_v15 import OLD

    report = cb.check(write(tmp_path, OLD), target=ORG)
    assert [p.severity for p in report if p.code == "CB189"] == [Severity.WARNING]


def test_a_target_that_is_not_known(tmp_path: Path) -> None:
    with pytest.raises(cb.errors.UsageError, match="no target 'codabench'") as raised:
        cb.check(write(tmp_path), target="codabench")
    assert raised.value.hint == "write codabench.org"


# ---------------------------------------------------------------------- bundles
def test_saved_bundles_have_no_error(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    sources = [*EXAMPLES, *_sound(request.config.getoption("--bundles"))]
    for n, source in enumerate(sources):
        dest = tmp_path / f"{n}.zip"
        cb.load(source).save(dest)
        report = cb.check(dest, target=ORG)
        assert report.ok, f"{source}\n{report}"
        assert not [p for p in report if p.code.startswith("CB18") and p.code != "CB188"], source


def _sound(folder: Path | None) -> Iterator[Path]:
    for file in sorted(folder.resolve().glob("*/expected.json")) if folder else ():
        expected = json.loads(file.read_text())
        for case in expected.get("cases", [expected]):
            if case["check"]["ok"]:
                yield file.parent / case["bundle"]


def test_both_readers_agree_on_bundles(request: pytest.FixtureRequest) -> None:
    """Bundles of version 2 as they are, not saved: no error here is accepted there, and the other way round."""
    for source in [*EXAMPLES, *_sound(request.config.getoption("--bundles"))]:
        with cb.load(source) as competition:
            if competition.spec.format == "v2":
                assert cb.check(source, target=ORG).ok == server_reader.accepts(source), source
