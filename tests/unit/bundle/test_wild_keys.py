"""What real bundles hold under its keys: each line of the list of quirks is a test, each clause of it a case.

A quirk is never an error. Where one is worth a word, the code of that word is given with the case.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundle_maker import FILES, GOOD
from test_bundle_v15 import OLD
from wild_cases import (
    ORDINARY,
    WHOLE,
    Case,
    check,
    line,
    paths,
    read,
    title,
    v2,
    v15,
    whole,
)

from codabench.bundle.metadata import read_metadata
from codabench.core.competition import CompetitionSpec, Computation, SubmissionRule
from codabench.core.problems import Severity
from codabench.core.text import preformatted
from codabench.storage.sources import DirectorySource


# ---------------------------------------------------------------------- fact sheet
def sheet(selection: str = '""', required: str = '"false"', board: str = '"true"', kind: str = "text") -> str:
    return f"""fact_sheet: {{
    "question": {{
        "key": "question",
        "type": "{kind}",
        "title": "What is it?",
        "selection": {selection},
        "is_required": {required},
        "is_on_leaderboard": {board}
    }}
}}
"""


def question(spec: CompetitionSpec) -> tuple[Any, ...]:
    (only,) = spec.fact_sheet
    return only.selection, only.is_required, only.is_on_leaderboard


@line(
    Case("flags as text", v2(more=sheet()), question, ((), False, True)),
    Case(
        "flags as text, the other way", v2(more=sheet(required='"true"', board='"false"')), question, ((), True, False)
    ),
    Case("real flags", v2(more=sheet(required="false", board="true")), question, ((), False, True)),
    Case(
        "texts to choose from", v2(more=sheet('["a", "b", ""]', kind="select")), question, (("a", "b", ""), False, True)
    ),
    Case(
        "flags to choose from", v2(more=sheet("[true, false]", kind="checkbox")), question, ((True, False), False, True)
    ),
    Case(
        "flags as text to choose from",
        v2(more=sheet('["true", "false"]', kind="select")),
        question,
        (("true", "false"), False, True),
    ),
)
def test_the_fact_sheet_as_a_json_flow_mapping(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


# ---------------------------------------------------------------------- leaderboards
def column(number: int = 0) -> Callable[[CompetitionSpec], tuple[Any, ...]]:
    def seen(spec: CompetitionSpec) -> tuple[Any, ...]:
        found = spec.leaderboards[0].columns[number]
        return found.key, found.title, found.sorting.value, found.computation, found.computation_indexes

    return seen


def rule(spec: CompetitionSpec) -> SubmissionRule:
    return spec.leaderboards[0].submission_rule


COLUMN = "        index: 0\n"
BOARD = "    key: board\n"


@line(
    Case("sorting absent", GOOD, column(), ("score", "Score", "desc", None, ())),
    Case(
        "computation and its indexes null",
        v2((COLUMN, f"{COLUMN}        computation: null\n        computation_indexes: null\n")),
        column(),
        ("score", "Score", "desc", None, ()),
    ),
    Case(
        "computation_indexes a list of numbers",
        v2((COLUMN, f"{COLUMN}        computation: avg\n        computation_indexes: [1]\n")),
        column(),
        ("score", "Score", "desc", Computation("avg"), (1,)),
    ),
    Case("index of the board", v2((BOARD, f"{BOARD}    index: 0\n")), whole, WHOLE),
    Case("no index of the board", GOOD, whole, WHOLE),
    Case(
        "a key with capitals", v2((BOARD, "    key: Main Results\n")), lambda s: s.leaderboards[0].key, "Main Results"
    ),
    Case(
        "key and title equal up to case",
        v2(("key: score", "key: SCORE")),
        column(),
        ("SCORE", "Score", "desc", None, ()),
    ),
    Case("Force_Last", v2((BOARD, f"{BOARD}    submission_rule: Force_Last\n")), rule, SubmissionRule.FORCE_LAST),
    Case(
        "Force_Latest_Multiple",
        v2((BOARD, f"{BOARD}    submission_rule: Force_Latest_Multiple\n")),
        rule,
        SubmissionRule.FORCE_LATEST_MULTIPLE,
    ),
    Case("no rule", GOOD, rule, SubmissionRule.ADD),
)
def test_columns_of_version_2(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def old_columns(*columns: str, more: str = "") -> str:
    head = OLD[: OLD.index("  columns:\n")]
    return head + more + "  columns:\n" + "".join(f"    {text}\n" for text in columns)


def keys(spec: CompetitionSpec) -> list[str]:
    return [c.key for c in spec.leaderboards[0].columns]


def titles(spec: CompetitionSpec) -> list[str]:
    return [c.title for c in spec.leaderboards[0].columns]


def precisions(spec: CompetitionSpec) -> list[int]:
    return [c.precision for c in spec.leaderboards[0].columns]


TWO_BOARDS = "    Second: &SECOND {label: Second, rank: 2}\n"
NINE = [
    f"{board}{n}: {{leaderboard: *{board}, label: {'Dice' if n % 2 else 'Recall'}, column_group: {{label: G{n}}}}}"
    for board in ("MAIN", "SECOND")
    for n in range(9)
]
MEAN = "all: {leaderboard: *MAIN, computed: {operation: Avg, fields: 'a, Mean Error , c'}}"


def main(key: str, more: str = "") -> str:
    return f"{key}: {{leaderboard: *MAIN{more}}}"


@line(
    Case(
        "keys with spaces",
        old_columns(main("Mean Error"), main("False Positives Found")),
        keys,
        ["Mean Error", "False Positives Found"],
    ),
    Case("no rank at all", old_columns(main("b"), main("a")), keys, ["b", "a"]),
    Case("all of rank 1", old_columns(main("b", ", rank: 1"), main("a", ", rank: 1")), keys, ["b", "a"]),
    Case("no label", old_columns(main("b")), titles, ["b"]),
    Case(
        "numeric_format of 0 to 6, or absent",
        old_columns(*(main(f"c{n}", f", numeric_format: {n}") for n in range(7)), main("c")),
        precisions,
        [0, 1, 2, 3, 4, 5, 6, 2],
    ),
    Case("numeric_format in quotes", old_columns(main("c", ", numeric_format: '4'")), precisions, [4]),
    Case("sort: desc", old_columns(main("c", ", sort: desc")), column(), ("c", "c", "desc", None, ())),
    Case(
        "computed over fields in one text, a field with a space",
        old_columns(MEAN, main("a", ", rank: 2"), main("Mean Error", ", rank: 3"), main("c", ", rank: 4")),
        column(),
        ("all", "all", "desc", Computation.MEAN_RANK, (1, 2, 3)),
    ),
    Case(
        "selection_default",
        old_columns(main("a"), main("b", ", selection_default: 1")),
        lambda s: s.leaderboards[0].primary_index,
        1,
    ),
    Case("column_group", old_columns(main("a", ", column_group: {label: Group}")), keys, ["a"], ("CB118",)),
    Case(
        "two boards with the same labels nine times",
        old_columns(*NINE, more=TWO_BOARDS),
        lambda s: [(b.key, len(b.columns)) for b in s.leaderboards],
        [("Main", 9), ("Second", 9)],
        ("CB118",),
    ),
    Case(
        "labels in angle brackets",
        old_columns(main("a", ", label: <Rank>"), main("b", ", label: < Rank >")),
        titles,
        ["<Rank>", "< Rank >"],
    ),
)
def test_columns_of_the_old_format(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def test_labels_in_angle_brackets_are_escaped() -> None:
    assert "<Rank>" not in preformatted("<Rank>", "board")


# ---------------------------------------------------------------------- pages, keys, limits
def pages(spec: CompetitionSpec) -> list[tuple[str, str]]:
    return [(page.title, page.file) for page in spec.pages]


HTML = "html:\n  overview: overview.md\n  terms: terms.md\n  Prizes: overview.md\n"
ANY = (
    "html:\n  Help: h.html\n  overview: overview.md\n  terms: terms.md\n"
    "  p1: h.html\n  credits: h.html\n  Rewards: h.html\n"
)
HELP = {"h_DOT_html": b"<p>Help</p>"}


@line(
    Case(
        "an ordered mapping with any keys, terms among them",
        v15((HTML, ANY)),
        pages,
        [
            ("Help", "h.html"),
            ("overview", "overview.md"),
            ("p1", "h.html"),
            ("credits", "h.html"),
            ("Rewards", "h.html"),
        ],
        files=HELP,
    ),
    Case("the terms of it", v15((HTML, ANY)), lambda s: s.terms, "Be fair.\n", files=HELP),
    Case("pages as a list, terms apart", GOOD, pages, [("Overview", "overview.md")]),
    Case(
        "a page of html in version 2",
        v2(("file: overview.md", "file: h.html")),
        pages,
        [("Overview", "h.html")],
        files=HELP,
    ),
)
def test_pages(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


CARRIED = {
    "admin_names": "one,two,",
    "allow_teams": "true",
    "anonymous_leaderboard": "true",
    "allow_public_submissions": "true",
    "disallow_leaderboard_modifying": "true",
    "enable_forum": "true",
    "enable_per_submission_metadata": "true",
    "force_submission_to_leaderboard": "true",
    "show_datasets_from_yaml": "true",
    "start_date": "2026-02-01",
    "is_public": "true",
}
CARRIED_IN_PHASES = {
    "force_best_submission_to_leaderboard": "true",
    "color": "green",
    "datasets": "{1: {name: Data, url: 'http://example.org', description: Some}}",
    "is_scoring_only": "true",
    "is_parallel_parent": "false",
    "parent_phasenumber": "0",
    "auto_migration": "false",
    "hide_prediction_output": "true",
}


@pytest.mark.parametrize("key", [*CARRIED, *CARRIED_IN_PHASES])
def test_keys_to_carry_or_ignore_without_complaint(key: str, tmp_path: Path) -> None:
    if key in CARRIED:
        text = v15(more=f"{key}: {CARRIED[key]}\n")
    else:
        text = v15(("label: Early", f"label: Early, {key}: {CARRIED_IN_PHASES[key]}"))
    _, report = read(tmp_path, text)
    assert not [p for p in report if p.severity is not Severity.NOTE or p.code == "CB105"], str(report)


@line(
    Case(
        "the list of administrators with its comma",
        v15(more="admin_names: one,two,\n"),
        lambda s: s.extras["admin_names"],
        "one,two,",
        ("CB118",),
    ),
    Case(
        "in version 2 as well",
        v2(more="admin_names: one,two,\n"),
        lambda s: s.extras["admin_names"],
        "one,two,",
        ("CB105",),
    ),
    Case("is_public of a task", v2(("    name: First\n", "    name: First\n    is_public: true\n")), whole, WHOLE),
)
def test_keys_that_are_carried_along(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def limits(spec: CompetitionSpec) -> tuple[int | None, int | None]:
    return spec.phases[0].max_submissions, spec.phases[0].max_submissions_per_day


@line(
    Case(
        "in all, version 2: no limit",
        v2(("    end:", "    max_submissions: 0\n    end:")),
        limits,
        (None, 5),
        ("CB209",),
    ),
    Case(
        "a day, version 2: no limit",
        v2(("    end:", "    max_submissions_per_day: 0\n    end:")),
        limits,
        (100, None),
        ("CB209",),
    ),
    Case(
        "in all, old format: none",
        v15(("label: Early", "label: Early, max_submissions: 0")),
        limits,
        (0, 999),
        ("CB209",),
    ),
    Case(
        "a day, old format: none",
        v15(("label: Early", "label: Early, max_submissions_per_day: 0")),
        limits,
        (100, 0),
        ("CB209",),
    ),
)
def test_limits_of_nought(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
    _, report = read(tmp_path, case.text)
    said = report.problems[0].message
    assert "no limit" in said if "2" in case.name else "takes no submissions" in said


# ---------------------------------------------------------------------- metadata and values
@pytest.mark.parametrize(
    ("files", "file", "commands", "said"),
    [
        ({"metadata": b"command: a"}, "metadata", ("a",), ()),
        ({"metadata.yaml": b"command: b"}, "metadata.yaml", ("b",), ()),
        ({"metadata": b"command: a", "metadata.yaml": b"command: b"}, "metadata.yaml", ("b",), ()),
        ({"metadata": b"command: a", "metadata.yaml": b"description: b"}, "metadata.yaml", (), ()),
        ({"metadata": b"description: My model"}, "metadata", (), ()),
        ({"metadata": b"A sentence that says what this is.\n"}, "metadata", (), ()),
        ({"metadata": b"My submission: it is, as they say: good\n"}, "metadata", (), ("CB403",)),
        ({"metadata": b"stride: 1"}, "metadata", (), ()),
        ({"metadata": b"elapsedTime: 0.5\nsomeKey: someThing\n"}, "metadata", (), ()),
        ({"metadata": b""}, "metadata", (), ()),
        ({"metadata~": b"command: a"}, None, (), ()),
        ({"metadata~": b"command: old", "metadata": b"command: a"}, "metadata", ("a",), ()),
        ({"inner/metadata": b"command: a"}, None, (), ()),
    ],
    ids=["metadata", "metadata.yaml", "both", "both, the first without command", "no command", "plain text",
         "plain text with colons", "another key", "other keys", "empty", "an editor's backup", "a backup beside it",
         "deeper"],
)  # fmt: skip
def test_metadata(
    files: dict[str, bytes], file: str | None, commands: tuple[str, ...], said: tuple[str, ...], tmp_path: Path
) -> None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with DirectorySource(tmp_path) as tree:
        found = read_metadata(tree)
    assert (found.file, found.commands, tuple(p.code for p in found.problems)) == (file, commands, said)
    assert all(p.severity is Severity.WARNING for p in found.problems)


def test_metadata_that_lies_in_data_says_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD, {"data__metadata": b"a sentence: of: no: use"})[1].problems == ()


@line(
    Case("a title in quotes", v2(("title: Small", "title: 'Small'")), title, "Small"),
    Case("a number in quotes", v2(("    end:", "    max_submissions: '7'\n    end:")), limits, (7, 5)),
    Case("a flag in quotes", v2(more="enable_detailed_results: 'True'\n"), lambda s: s.enable_detailed_results, True),
    Case("a comment after a value", v2(("title: Small", "title: Small   # the name")), title, "Small"),
    Case("a comment after a number", v2(("    end:", "    max_submissions: 7 # in all\n    end:")), limits, (7, 5)),
    Case("blanks after a value", v2(("title: Small", "title: Small   ")), title, "Small"),
    Case("blanks after a path", v2(("input_data: data", "input_data: data/  ")), paths, ORDINARY),
    Case("two colons in a title", v2(("title: Small", "title: Small::Large")), title, "Small::Large"),
    Case(
        "a hash and a colon inside quotes",
        v2(("title: Small", 'title: "Challenge #3: the end"')),
        title,
        "Challenge #3: the end",
    ),
    Case("a title that is a number", v2(("title: Small", "title: 2026")), title, "2026"),
    Case("texts as Python 2 tagged them", v2(("title: Small", "title: !!python/unicode 'Small'")), title, "Small"),
    Case("a number tagged as text", v2(("title: Small", "title: !!python/str 2")), title, "2"),
    Case("a title that is a flag", v2(("title: Small", "title: No")), title, "No", ("CB510",)),
)
def test_values_in_quotes_and_with_comments(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def test_the_bundles_these_are_made_of_say_nothing(tmp_path: Path) -> None:
    assert FILES
    assert read(tmp_path / "2", GOOD)[1].problems == ()
    assert read(tmp_path / "1", OLD)[1].problems == ()
