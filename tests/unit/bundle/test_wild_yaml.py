"""What real bundles hold: each line of the list of quirks is a test, each clause of it a case.

A quirk is never an error. Where one is worth a word, the code of that word is given with the case.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from bundle_maker import GOOD, write
from test_bundle_v15 import OLD
from wild_cases import (
    KEY,
    ORDINARY,
    OTHER,
    WHOLE,
    Case,
    check,
    day,
    ends,
    line,
    names,
    paths,
    read,
    starts,
    title,
    v2,
    v15,
    whole,
)

from codabench.bundle.load import read_bundle
from codabench.core.competition import CompetitionSpec
from codabench.core.problems import Severity


# ---------------------------------------------------------------------- the file
@line(
    Case("byte order mark", b"\xef\xbb\xbf" + GOOD.encode(), whole, WHOLE),
    Case("crlf", GOOD.replace("\n", "\r\n"), whole, WHOLE),
    Case("crlf and lf mixed", GOOD.replace("\n", "\r\n", 7), whole, WHOLE),
    Case(
        "byte order mark, crlf and lf mixed",
        b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n", 7).encode(),
        whole,
        WHOLE,
    ),
    Case("crlf, old format", OLD.replace("\n", "\r\n"), title, "Old"),
    Case(
        "crlf in metadata",
        GOOD,
        lambda s: s.tasks[0].scoring_program.commands,
        ("python3 score.py",),
        files={"scoring__metadata": b"\xef\xbb\xbfcommand: python3 score.py\r\ndescription: it scores\r\n"},
    ),
)
def test_a_byte_order_mark_with_crlf_and_lf_mixed(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


@line(
    Case("competition.yaml", GOOD.rstrip("\n"), lambda s: s.leaderboards[0].columns[1].sorting.value, "asc"),
    Case("old format", OLD.rstrip("\n"), lambda s: len(s.leaderboards[0].columns), 3),
    Case(
        "metadata",
        GOOD,
        lambda s: s.tasks[0].scoring_program.commands,
        ("python3 score.py",),
        files={"scoring__metadata": b"command: python3 score.py"},
    ),
)
def test_no_newline_at_the_end(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


@line(
    Case("at the start", "---\n" + GOOD, whole, WHOLE),
    Case("after a comment line", "# A competition\n---\n" + GOOD, whole, WHOLE),
    Case("after a byte order mark", b"\xef\xbb\xbf---\r\n" + GOOD.encode(), whole, WHOLE),
    Case("and three dots at the end", "---\n" + GOOD + "...\n", whole, WHOLE),
    Case("old format", "---\n" + OLD, title, "Old"),
)
def test_three_dashes_at_the_start_or_after_a_comment_line(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


SOLUTIONS = "solutions:\n- {index: 0, tasks: [0], path: data/}\n"


@line(
    Case(
        "an empty list, later a real one",
        "solutions: []\n" + v2(more=SOLUTIONS),
        lambda s: [x.path for x in s.solutions],
        ["data"],
        ("CB003",),
    ),
    Case("the last one counts", "title: Before\n" + GOOD, title, "Small", ("CB003",)),
    Case("old format", "title: Before\n" + OLD, title, "Old", ("CB003",)),
)
def test_a_top_level_key_twice(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
    _, report = read(tmp_path, case.text)
    assert report.problems[0].severity is Severity.WARNING


# A board is defined inside the first column that names it, and `leaderboards` holds the alias.
INSIDE = (
    ("    Main: &MAIN {label: Main board, rank: 1}", "    Main: *MAIN"),
    ("slow: {leaderboard: *MAIN,", "slow: {leaderboard: &MAIN {label: Main board, rank: 1},"),
)


def inside_a_column() -> str:
    top, board = v15(*INSIDE).split("leaderboard:\n", 1)
    boards, columns = board.split("  columns:\n")
    return f"{top}leaderboard:\n  columns:\n{columns}{boards}"


def boards(spec: CompetitionSpec) -> list[tuple[str, int]]:
    return [(board.key, len(board.columns)) for board in spec.leaderboards]


@line(
    Case("anchor and alias", OLD, boards, [("Main", 3)]),
    Case("the anchor inside a column, the board an alias", inside_a_column(), boards, [("Main", 3)]),
    Case(
        "by label without regard to case",
        OLD.replace("leaderboard: *MAIN", "leaderboard: {label: MAIN BOARD, rank: 1}"),
        boards,
        [("Main", 3)],
    ),
    Case(
        "by identity where two boards have one label",
        v15(
            ("rank: 1}\n", "rank: 1}\n    Other: &OTHER {label: Main board, rank: 2}\n"),
            ("slow: {leaderboard: *MAIN", "slow: {leaderboard: *OTHER"),
            ("big one, slow", "big one"),
        ),
        boards,
        [("Main", 2), ("Other", 1)],
    ),
    Case(
        "aliases in version 2",
        v2(("  - index: 1\n", "  - &two\n    index: 1\n"), more="again: *two\n"),
        whole,
        WHOLE,
        ("CB105",),
    ),
)
def test_aliases_and_anchors(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def form(spec: CompetitionSpec) -> str:
    return spec.format


@line(
    Case("an integer", GOOD, form, "v2"),
    Case("in quotes", v2(("version: 2", "version: '2'")), form, "v2"),
    Case("absent", OLD, form, "v1.5"),
    Case("absent, old keys in a list of pages beside", v15(more="pages: []\n"), form, "v1.5", ("CB105",)),
)
def test_version(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def test_version_2_without_the_version_is_said_to_look_like_it(tmp_path: Path) -> None:
    with read_bundle(write(tmp_path, v2(("version: 2\n", "")))) as bundle:
        (problem,) = bundle.report.errors
    assert (problem.code, problem.hint) == ("CB113", "add 'version: 2'")
    assert "looks like version 2" in problem.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("title: A\npages: [{title: A, file: a.md}]\ntasks: [{id: a, name: A}]\n", "add 'version: 2'"),
        ("title: A\nsubmission_format: a.py\n", "add 'version: 2'"),
        ("version: 1\ntitle: A\nphases: [{name: A}]\ntasks: [{name: A}]\n", "write 'version: 2'"),
        ("title: A\nhtml: {overview: a.html}\n", None),
    ],
    ids=["pages and tasks, no phases", "something else", "keys of version 2 in version 1", "html"],
)
def test_what_is_of_no_format_is_judged_as_version_2(text: str, hint: str | None, tmp_path: Path) -> None:
    (tmp_path / "competition.yaml").write_text(text)
    with read_bundle(tmp_path) as bundle:
        hints = [p.hint for p in bundle.report if p.code == "CB113"]
        assert hints == ([hint] if hint else [])
        assert ("html is missing" in str(bundle.report)) is False


def test_an_image_at_a_url_says_to_download_it(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("image: logo.png", "image: https://example.org/logo.svg"))
    with read_bundle(tmp_path) as bundle:
        (problem,) = [p for p in bundle.report if p.code == "CB302"]
        assert problem.hint == "download it into the bundle, and name its path there"


def test_dates_with_the_day_first_are_told_both_ways(tmp_path: Path) -> None:
    write(tmp_path, GOOD.replace("end: 2026-02-01", "end: 03-09-2025"))
    with read_bundle(tmp_path) as bundle:
        hints = {p.code: p.hint or "" for p in bundle.report}
        assert hints["CB203"].endswith("; if the day stands first, 2025-09-03")
        assert hints["CB207"].endswith("or the order of day and month")


# ---------------------------------------------------------------------- dates and phases
DATES = [
    ("1-1-2026", day(2026, 1, 1), False),
    ("12-31-2026", day(2026, 12, 31), False),
    ("9-30-2019", day(2019, 9, 30), False),
    ("08-01-2018", day(2018, 8, 1), True),
    ("2026-01-01", day(2026, 1, 1), False),
    ("2015-12-07", day(2015, 12, 7), False),
    ("2013-10-1", day(2013, 10, 1), False),
    ("2012-10-2", day(2012, 10, 2), False),
    ("2016-03-14 23:59:00", day(2016, 3, 14, 23, 59), False),
    ("2019-09-24 17:00:00+00:00", day(2019, 9, 24, 17), False),
    ("2014-06-24 15:41:24.745117", day(2014, 6, 24, 15, 41, 24, 745117), False),
]


@pytest.mark.parametrize("quotes", ["", "'", '"'], ids=["plain", "single", "double"])
@pytest.mark.parametrize("old", [False, True], ids=["v2", "v1.5"])
@pytest.mark.parametrize(("written", "moment", "ambiguous"), DATES, ids=[d[0] for d in DATES])
def test_dates(written: str, moment: datetime, ambiguous: bool, old: bool, quotes: str, tmp_path: Path) -> None:
    date = f"{quotes}{written}{quotes}"
    if old:
        text = v15(("2026-02-01", date))
    else:
        early = (("start: 2026-01-01", "start: 2000-01-01"), ("end: 2026-02-01", "end: 2000-02-01"))
        text = v2(*early, ("start: 2026-02-02", f"start: {date}"))
    spec, report = read(tmp_path, text)
    assert moment in starts(spec)
    # Month first is told where day first were possible.
    assert ("CB203" in [p.code for p in report]) == ambiguous


@line(
    Case("null", v2(("    start: 2026-02-02", "    end: null\n    start: 2026-02-02")), ends, [day(2026, 2, 1), None]),
    Case(
        "nothing after it",
        v2(("    start: 2026-02-02", "    end:\n    start: 2026-02-02")),
        ends,
        [day(2026, 2, 1), None],
    ),
    Case("absent", GOOD, ends, [day(2026, 2, 1), None]),
    Case("end_date: null", v15(more="end_date: null\n"), ends, [day(2026, 3, 1, 12), None]),
    Case("end_date: with nothing after it", v15(more="end_date:\n"), ends, [day(2026, 3, 1, 12), None]),
    Case("the text null", v15(more="end_date: 'null'\n"), ends, [day(2026, 3, 1, 12), None]),
    Case("end_date absent", OLD, ends, [day(2026, 3, 1, 12), None]),
)
def test_dates_that_are_not_there(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


SAME = ("start_date: 2026-03-01 12:00:00", "start_date: 2026-02-01")


@line(
    Case("the last phase without end", GOOD, ends, [day(2026, 2, 1), None]),
    Case("the next start closes an old phase", OLD, ends, [day(2026, 3, 1, 12), None]),
    Case("end_date closes the last", v15(more="end_date: 2026-05-01\n"), ends, [day(2026, 3, 1, 12), day(2026, 5, 1)]),
    Case("two start at the same minute", v15(SAME), ends, [day(2026, 2, 1), None], ("CB207",)),
    Case(
        "two start on the same day",
        v15(("start_date: 2026-03-01 12:00:00", "start_date: 2026-02-01 08:00:00")),
        ends,
        [day(2026, 2, 1, 8), None],
    ),
    Case(
        "end_date before every phase",
        v15(more="end_date: 2015-01-01\n"),
        ends,
        [day(2026, 3, 1, 12), day(2015, 1, 1)],
        ("CB207",),
    ),
)
def test_the_last_phase_without_end(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def numbered(first: str, second: str, low: int) -> str:
    text = v15(("  b: {phasenumber: 2", f"  {second}: {{phasenumber: {low + 1}"))
    return text.replace("  a: {phasenumber: 1", f"  {first}: {{phasenumber: {low}")


@line(
    Case("a list with index", GOOD, names, ["One", "Two"]),
    Case(
        "a list without",
        v2(("  - index: 0\n    name: One", "  - name: One"), ("  - index: 1\n    name: Two", "  - name: Two")),
        names,
        ["One", "Two"],
    ),
    Case("a mapping from 0", numbered("0", "1", 1), names, ["Early", "Late"]),
    Case("a mapping from 1", numbered("1", "2", 1), names, ["Early", "Late"]),
    Case("a mapping of anything", numbered("first", "~", 1), names, ["Early", "Late"]),
    Case("phasenumber from 0", numbered("x", "y", 0), names, ["Early", "Late"]),
    Case("keys against the phasenumber", numbered("2", "1", 1), names, ["Early", "Late"]),
)
def test_phases_are_a_list_or_a_mapping(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


def moved(text: str, key: str) -> str:
    """With the block of a key at the end."""
    lines = text.splitlines(keepends=True)
    start = lines.index(f"{key}:\n")
    end = next(n for n in range(start + 1, len(lines)) if not lines[n].startswith((" ", "-")))
    return "".join([*lines[:start], *lines[end:], *lines[start:end]])


def outdented(text: str, key: str) -> str:
    """With the list of a key not indented below it."""
    lines = text.splitlines(keepends=True)
    start = lines.index(f"{key}:\n") + 1
    for n in range(start, len(lines)):
        if not lines[n].startswith("  "):
            break
        lines[n] = lines[n][2:]
    return "".join(lines)


def task_names(spec: CompetitionSpec) -> list[tuple[int | str, ...]]:
    return [phase.tasks for phase in spec.phases]


TASKS = ("tasks:\n", "tasks:\n  - {index: 7, name: Seven, scoring_program: scoring}\n")


@line(
    Case("tasks after phases", moved(GOOD, "tasks"), whole, WHOLE),
    Case("lists not indented", outdented(outdented(outdented(GOOD, "tasks"), "phases"), "pages"), whole, WHOLE),
    Case("one indented, one not", outdented(GOOD, "tasks"), whole, WHOLE),
    Case(
        "no solutions, at the top and in a phase",
        v2(("    name: One\n", "    name: One\n    solutions: []\n"), more="solutions: []\n"),
        whole,
        WHOLE,
    ),
    Case("indexes, not positions", v2(TASKS, ("tasks: [0]", "tasks: [7]")), task_names, [(7,), (0,)]),
    Case("in the order of the phase", v2(TASKS, ("tasks: [0]", "tasks: [0, 7]")), task_names, [(0, 7), (0,)]),
)
def test_tasks_may_come_after_phases(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


# ---------------------------------------------------------------------- paths


def zip_of(**files: bytes) -> bytes:
    import io
    import zipfile

    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return packed.getvalue()


DATA_ZIP = {"data_DOT_zip": zip_of(x=b"1")}


@line(
    Case("with and without a slash", GOOD, paths, ORDINARY),
    Case(
        "to a zip",
        v2(("input_data: data", "input_data: data.zip")),
        paths,
        (*ORDINARY[:2], "data.zip", "data"),
        files=DATA_ZIP,
    ),
    Case(
        "to a folder in a folder",
        v2(("reference_data: data", "reference_data: reference_data/valid")),
        paths,
        (*ORDINARY[:3], "reference_data/valid"),
        files={"reference_data__valid__y": b"1"},
    ),
    Case("the same for input_data and reference_data", GOOD, lambda s: paths(s)[2:], ("data", "data")),
    Case(
        "the same for public_data and input_data",
        v2(("    end:", "    public_data: data\n    end:")),
        lambda s: s.phases[0].public_data.path,
        "data",
    ),
    Case("the same for several tasks", v2(TASKS), lambda s: {t.scoring_program.path for t in s.tasks}, {"scoring"}),
    Case("X.zip named, only X/ there", v2(("input_data: data", "input_data: data.zip")), paths, ORDINARY, ("CB303",)),
    Case(
        "X.zip named, only X/ there, old format",
        OLD.replace("scoring_program: scoring", "scoring_program: scoring.zip"),
        paths,
        ("scoring", None, None, "data"),
        ("CB303",),
    ),
    Case("X named, X and X.zip there", GOOD, paths, ORDINARY, files=DATA_ZIP),
    Case("X/ named, X and X.zip there", v2(("input_data: data", "input_data: data/")), paths, ORDINARY, files=DATA_ZIP),
    Case(
        "X.zip named, X and X.zip there",
        v2(("input_data: data", "input_data: data.zip")),
        paths,
        (*ORDINARY[:2], "data.zip", "data"),
        files=DATA_ZIP,
    ),
    Case("with ./ before it", v2(("input_data: data", "input_data: ./data/")), paths, ORDINARY),
    Case("with a blank after it, in quotes", v2(("input_data: data", "input_data: 'data/ '")), paths, ORDINARY),
)
def test_paths_with_and_without_trailing_slash(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        v2(("scoring_program: scoring", f"scoring_program: {KEY}"), ("input_data: data", f"input_data: {OTHER}")),
        v15(("scoring_program: scoring", f"scoring_program: {KEY}"), ("ce_data: data", f"ce_data: {OTHER}")),
    ],
    ids=["v2", "v1.5"],
)
def test_a_uuid_where_a_path_is_expected(text: str, tmp_path: Path) -> None:
    with read_bundle(write(tmp_path, text)) as bundle:
        assert [p.code for p in bundle.report.errors] == ["CB304", "CB304"]
        assert all("another server" in p.message for p in bundle.report.errors)


IMAGE = "codalab/codalab-legacy:py37"


def image(spec: CompetitionSpec) -> str:
    return spec.docker_image


@line(
    Case("docker_image", v2(more="docker_image: python:3.12-slim\n"), image, "python:3.12-slim"),
    Case(
        "competition_docker_image", v15(more="competition_docker_image: python:3.12-slim\n"), image, "python:3.12-slim"
    ),
    Case("absent", GOOD, image, IMAGE),
    Case("empty", v2(more="docker_image: ''\n"), image, IMAGE),
    Case("nothing", v2(more="docker_image:\n"), image, IMAGE),
    Case("absent, old format", OLD, image, IMAGE),
    Case("empty, old format", v15(more="competition_docker_image: ''\n"), image, IMAGE),
    Case("nothing, old format", v15(more="competition_docker_image:\n"), image, IMAGE),
)
def test_docker_image(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("title: 'it's mine'\nversion: 2\n", 1, "text follows the quote that closes the text before it"),
        ("version: 2\ntitle mine\ndescription: x\n", 2, "there is no colon after the key"),
        ("version: 2\n title: 'mine'\n", 2, "a colon where none can stand"),
        ("title: mine\n  - a\nversion\n", 3, "there is no colon after the key"),
    ],
)
def test_mistakes_of_yaml_are_told_where_they_are(text: str, line: int, says: str, tmp_path: Path) -> None:
    (tmp_path / "competition.yaml").write_text(text)
    with read_bundle(tmp_path) as bundle:
        (problem,) = bundle.report
        assert (problem.code, problem.where.line, problem.message) == ("CB001", line, f"not YAML: {says}")
        assert problem.hint
