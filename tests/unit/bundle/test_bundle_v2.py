"""Version 2 bundles: what each key means, and what is said of each mistake (contract.md section 1)."""

from __future__ import annotations

import io
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bundle_maker import GOOD, codes, marked, report, spec, write

from codabench.bundle.load import read_bundle
from codabench.core.competition import DEFAULT_IMAGE, Computation, Sorting, SubmissionRule
from codabench.core.problems import Severity


def test_defaults_and_values(tmp_path: Path) -> None:
    found = spec(tmp_path)
    one, two = found.phases
    assert (one.start, one.end) == (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
    assert (two.start, two.end) == (datetime(2026, 2, 2, tzinfo=UTC), None)
    assert (one.max_submissions_per_day, one.max_submissions, one.execution_time_limit) == (5, 100, 600)
    assert found.docker_image == DEFAULT_IMAGE
    assert found.forum_enabled
    assert not found.registration_auto_approve
    assert found.leaderboard.submission_rule is SubmissionRule.ADD
    assert [c.sorting for c in found.leaderboard.columns] == [Sorting.DESC, Sorting.ASC]
    assert found.leaderboard.primary.key == "score"
    task = found.task(0)
    assert task.scoring_program is not None
    assert task.ingestion_program is not None
    assert task.input_data is not None
    assert task.scoring_program.commands == ("python3 score.py",)
    assert (task.ingestion_program.path, task.ingestion_program.metadata) == ("ingestion", "metadata.yaml")
    assert found.pages[0].content == "# Small\n"
    assert found.terms == "Be fair.\n"
    with read_bundle(tmp_path) as bundle:
        assert [e.path for e in bundle.tree(task.input_data).entries()] == ["x.csv"]


SPOILED = [  # (what is replaced, by what, codes of the errors, what the carets show)
    ("title: Small\n", "", ["CB101"], None),
    ("title: Small\n", "titel: Small\n", ["CB101"], "titel"),
    ("title: Small", "title: [a]", ["CB102"], "[a]"),
    ("title: Small", "title: " + "x" * 257, ["CB103"], "x" * 257),
    ("image: logo.png\n", "", ["CB101"], None),
    ("image: logo.png", "image: overview.md", ["CB306"], "overview.md"),
    ("image: logo.png", "image: data", ["CB301"], "data"),
    ("terms: terms.md", "terms: term.md", ["CB301"], "term.md"),
    ("pages:", "page:", ["CB101"], "page"),
    ("    file: overview.md\n", "", ["CB101"], "title: Overview"),
    ("  - title: Overview\n    file: overview.md", "  - overview.md", ["CB102"], "overview.md"),
    ("name: First", "name: ''", ["CB101"], None),
    ("index: 0\n    name: First", "name: First", ["CB101", "CB108", "CB108"], "name: First"),
    ("scoring_program: scoring", "scoring_programme: scoring", ["CB101"], "scoring_programme"),
    ("scoring_program: scoring", "scoring_program: nowhere", ["CB301"], "nowhere"),
    ("scoring_program: scoring", "scoring_program: overview.md", ["CB307"], "overview.md"),
    ("input_data: data", "input_data: ../data", ["CB302"], "../data"),
    ("input_data: data", "input_data: [data]", ["CB102"], "[data]"),
    ("tasks: [0]\n  - index: 1", "tasks: []\n  - index: 1", ["CB109"], "[]"),
    ("tasks: [0]\n  - index: 1", "tasks: [0, 7]\n  - index: 1", ["CB108"], "7"),
    ("tasks: [0]\n  - index: 1", "tasks: 0\n  - index: 1", ["CB102"], "0"),
    ("start: 2026-01-01", "start: soon", ["CB201"], "soon"),
    ("start: 2026-01-01", "start: 20260101", ["CB202"], "20260101"),
    ("start: 2026-01-01", "", ["CB101"], "name: One"),
    ("    end: 2026-02-01\n", "", ["CB206"], "name: One"),
    ("end: 2026-02-01", "end: 2026-03-01", ["CB204"], "2026-02-02"),
    ("name: One", "name: One\n    auto_migrate_to_this_phase: yes", ["CB208"], "yes"),
    ("name: One", "name: One\n    max_submissions: -1", ["CB106"], "-1"),
    ("name: One", "name: One\n    max_submissions: 1.5", ["CB102"], "1.5"),
    ("name: One", "name: One\n    hide_output: maybe", ["CB102"], "maybe"),
    ("name: One", "name: One\n    execution_time_limit: 20 min", ["CB102"], "20 min"),
    ("leaderboards:", "leaderboard:", ["CB101"], "leaderboard"),
    ("key: loss", "key: score", ["CB107"], "score"),
    ("index: 1\n        sorting", "index: 0\n        sorting", ["CB107"], "0"),
    ("sorting: asc", "sorting: ascending", ["CB104"], "ascending"),
    ("sorting: asc", "computation: avg", ["CB210"], "avg"),
    ("sorting: asc", "computation_indexes: [0]", ["CB211"], "[0]"),
    ("sorting: asc", "computation: avg\n        computation_indexes: [0, 9]", ["CB212"], "9"),
    ("sorting: asc", "computation: avg\n        computation_indexes: [1]", ["CB213"], "1"),
    ("sorting: asc", "computation: mrr\n        computation_indexes: [0]", ["CB104"], "mrr"),
    ("key: board", "key: board\n    primary_index: 5", ["CB214"], "5"),
    ("key: board", "key: board\n    submission_rule: force_last", ["CB104"], "force_last"),
    ("version: 2", "version: 2\ncompetition_type: contest", ["CB104"], "contest"),
    ("version: 2", "version: 2\ncontact_email: nobody", ["CB117"], "nobody"),
    ("version: 2", "version: 2\nreward: " + "1" * 257, ["CB103"], "1" * 257),
    ("version: 2\n", "", ["CB113"], None),
    ("version: 2", "version: 2.0", ["CB114"], "2.0"),
    ("version: 2", "version: 1.8", ["CB114"], "1.8"),
    ("version: 2", "version: [2]", ["CB114"], "[2]"),
    ("version: 2", "version: 2\nsolutions: [{index: 0, tasks: [0]}]", ["CB101"], None),
    ("version: 2", "version: 2\nsolutions: [{index: 0, tasks: [4], path: data}]", ["CB108"], "4"),
    ("version: 2", "version: 2\nfact_sheet: [1]", ["CB120"], "[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected", "shown"), SPOILED)
def test_mistakes(before: str, after: str, expected: list[str], shown: str | None, tmp_path: Path) -> None:
    assert before in GOOD
    found = report(tmp_path, GOOD.replace(before, after, 1))
    assert codes(found) == expected, str(found)
    if shown is not None:
        assert marked(found.errors[0]) == shown
    assert all(p.hint for p in found.errors), str(found)


OTHER_BOARD = "{title: A, key: a, columns: [{title: A, key: a, index: 4}], primary_index: 4}"
TOLERATED = [  # (what is replaced, by what, codes of warnings and notes)
    ("version: 2", 'version: "2"', []),
    ("version: 2", "version: 2\nfuture_key: 1", ["CB105"]),
    ("version: 2", "version: 2\npublished: true", ["CB116"]),
    ("version: 2", "version: 2\nqueue: big", ["CB117"]),
    ("version: 2", "version: 2\ntitle: Old", ["CB003"]),
    ("version: 2", "version: 2\nsolutions: []\nfact_sheet: null\ndocker_image: ''\ndescription:", []),
    ("end: 2026-02-01", "end: 2026-02-02", ["CB205"]),
    ("end: 2026-02-01", "end: 2025-02-01", ["CB207"]),
    ("end: 2026-02-01", "end: 1-2-2026", ["CB203"]),
    ("name: One", "name: One\n    max_submissions: 0", ["CB209"]),
    ("name: One", "name: One\n    max_submissions_per_person: 3", ["CB116"]),
    ("name: One", "name: One\n    max_submissions: '7'\n    execution_time_limit: 300.0", []),
    ("name: One", "name: One\n    execution_time_limit: null\n    max_submissions: null", []),
    ("tasks: [0]\n  - index: 1", "tasks: ['0']\n  - index: 1", []),
    ("scoring_program: scoring", "scoring_program: scoring.zip", ["CB303"]),
    ("scoring_program: scoring", "scoring_program: ./scoring//", []),
    ("scoring_program: scoring", "scoring_program: data", ["CB401"]),
    ("ingestion_program: ingestion/", "ingestion_program: data", ["CB402"]),
    ("input_data: data", "input_data: null", []),
    ("sorting: asc", "computation: null\n        computation_indexes: null", []),
    ("sorting: asc", "computation: max\n        computation_indexes: ['0']", []),
    ("sorting: asc", "precision: -1\n        hidden: 1", []),
    ("    columns:\n", "    index: 3\n    columns:\n", []),
    ("name: First", "name: First\n    is_public: true\n    solutions: []", []),
    ("version: 2", "version: 2\nexecution_time_limit: 60", ["CB116"]),
    ("name: First", "name: First\n    docker_image: python", ["CB116"]),
    ("leaderboards:", f"leaderboards:\n  - {OTHER_BOARD}", ["CB215"]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), TOLERATED)
def test_what_is_taken(before: str, after: str, expected: list[str], tmp_path: Path) -> None:
    assert before in GOOD
    found = report(tmp_path, GOOD.replace(before, after, 1))
    assert found.ok, str(found)
    assert codes(found, Severity.WARNING) + codes(found, Severity.NOTE) == expected, str(found)


def test_one_remark_for_a_key_that_every_column_has(tmp_path: Path) -> None:
    text = GOOD.replace("        index: 0\n", "        index: 0\n        sort: asc\n        unit: s\n")
    text = text.replace("        index: 1\n", "        index: 1\n        sort: asc\n        unit: s\n")
    found = report(tmp_path, text)
    assert text.count("sort: asc") == 2
    assert [(p.code, p.message, p.hint) for p in found.problems] == [
        ("CB116", "sort in 2 columns has no effect here", "write sorting"),
        ("CB105", "unknown key 'unit' in 2 columns is kept aside", "it can be removed, or stay"),
    ]
    assert found.problems[0].line == text[: text.index("sort: asc")].count("\n") + 1


def test_a_column_listed_twice_is_one_column(tmp_path: Path) -> None:
    head, columns = GOOD.split("    columns:\n")
    twice = f"{head}    columns:\n{columns.rstrip()}\n{columns.rstrip()}\n"
    with read_bundle(write(tmp_path / "a", twice)) as bundle:
        assert codes(bundle.report, Severity.WARNING) == ["CB107", "CB107"]
        assert bundle.spec is not None
        assert [c.key for c in bundle.spec.leaderboard.columns] == ["score", "loss"]
    differing = twice.removesuffix("\n") + "\n        precision: 7\n"
    assert codes(report(tmp_path / "b", differing)) == ["CB107", "CB107"]


def test_a_known_key_is_no_misspelling_of_another(tmp_path: Path) -> None:
    found = report(tmp_path, GOOD.replace("image: logo.png\n", "").replace("phases:", "fases:"))
    assert [(p.message, p.hint) for p in found.errors] == [
        ("image is missing: a competition needs a logo", "add image"),
        ("phases is missing", "did you mean phases?"),
    ]


def test_values_that_are_read_from_text(tmp_path: Path) -> None:
    more = "version: 2\nregistration_auto_approve: yes\nforum_enabled: 'OFF'\nreward: 010\nx: {y: [1, no]}\n"
    text = GOOD.replace("version: 2\n", more).replace("title: Small", "title: 2026-01-01")
    text = text.replace("sorting: asc", "computation: max\n        computation_indexes: '0'")
    found = spec(tmp_path, text)
    assert (found.title, found.reward) == ("2026-01-01", "010")
    assert (found.registration_auto_approve, found.forum_enabled) == (True, False)
    assert found.extras == {"x": {"y": [1, False]}}
    time = found.leaderboard.columns[1]
    assert (time.computation, time.computation_indexes) == (Computation.MAX, (0,))


def test_phases_are_sorted_then_renumbered(tmp_path: Path) -> None:
    text = GOOD.replace("index: 0\n    name: One", "index: 7\n    name: One").replace("end: 2026-02-01\n", "\n")
    text = text.replace("2026-02-02", "2025-01-01\n    end: 2025-02-01")
    found = spec(tmp_path, text)
    assert [(p.index, p.name) for p in found.phases] == [(0, "Two"), (1, "One")]


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("title: Small\n", "").replace("sorting: asc", "sorting: up").replace("2026-01-01", "soon")
    found = report(tmp_path, text.replace("terms.md", "nowhere.md"), overview_DOT_md=b"")
    assert codes(found) == ["CB101", "CB301", "CB305", "CB201", "CB104"]
    assert [p.line for p in found.errors] == [None, 3, 6, 17, 34]


# ---------------------------------------------------------------------- files
def inner(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return stream.getvalue()


def test_programs_and_data_may_be_archives(tmp_path: Path) -> None:
    text = GOOD.replace("scoring_program: scoring", "scoring_program: s.zip").replace(
        "input_data: data", "input_data: d.zip"
    )
    program = inner(metadata=b"command: [python3 a.py, python3 b.py]", score=b"")
    folder = write(tmp_path / "b", text, s_DOT_zip=program, d_DOT_zip=inner(x=b"1"))
    stream = tmp_path / "bundle.zip"
    with zipfile.ZipFile(stream, "w") as archive:
        for file in folder.rglob("*"):
            archive.write(file, file.relative_to(folder))
    for source in (folder, stream):
        with read_bundle(source) as bundle:
            assert bundle.spec is not None, str(bundle.report)
            task = bundle.spec.task(0)
            assert task.scoring_program is not None
            assert task.input_data is not None
            assert task.scoring_program.commands == ("python3 a.py", "python3 b.py")
            assert codes(bundle.report, Severity.NOTE) == ["CB404"]
            tree = bundle.tree(task.input_data)
            assert tree.read_bytes("x") == b"1"
            archive = tree.archive
            assert archive is not None
            assert archive.pread(archive.size + 1, 0) == (folder / "d.zip").read_bytes()


def test_an_archive_inside_that_is_unsafe_or_broken(tmp_path: Path) -> None:
    text = GOOD.replace("input_data: data", "input_data: d.zip")
    assert codes(report(tmp_path / "a", text, d_DOT_zip=inner(__x=b"1"))) == ["CB308"]
    assert codes(report(tmp_path / "b", text, d_DOT_zip=inner(x=b"1")[:-3])) == ["CB308"]
    assert codes(report(tmp_path / "c", text, d_DOT_zip=b"a,b\n1,2\n")) == ["CB307"]


def test_a_page_of_blanks_is_a_page(tmp_path: Path) -> None:
    found = report(tmp_path, overview_DOT_md=b" \n")
    assert (found.ok, codes(found, Severity.WARNING)) == (True, ["CB305"])


def test_one_file_is_a_folder_that_holds_it(tmp_path: Path) -> None:
    text = GOOD.replace("input_data: data", "input_data: data/x.csv")
    with read_bundle(write(tmp_path, text)) as bundle:
        assert bundle.report.ok
        assert codes(bundle.report, Severity.WARNING) == ["CB307"]
        assert bundle.spec is not None
        data = bundle.spec.task(0).input_data
        assert data is not None
        tree = bundle.tree(data)
        assert [(e.path, tree.read_bytes(e.path)) for e in tree.entries()] == [("x.csv", b"1\n")]
        file = tree.random_access("x.csv")
        assert file is not None
        assert file.pread(10, 0) == b"1\n"


def test_what_people_only_download_may_be_any_file(tmp_path: Path) -> None:
    text = GOOD.replace("name: One", "name: One\n    starting_kit: overview.md\n    public_data: data/x.csv")
    found = report(tmp_path, text)
    assert (found.ok, found.problems) == (True, ())


def test_an_archive_of_data_with_one_folder_around_everything(tmp_path: Path) -> None:
    text = GOOD.replace("input_data: data", "input_data: d.zip")
    found = report(tmp_path, text, d_DOT_zip=inner(data__x=b"1", data__y=b"2"))
    assert (found.ok, codes(found, Severity.WARNING)) == (True, ["CB311"])


def test_the_folder_is_taken_where_the_archive_lies_beside_it(tmp_path: Path) -> None:
    with read_bundle(write(tmp_path, data_DOT_zip=inner(other=b""))) as bundle:
        assert bundle.spec is not None
        data = bundle.spec.task(0).input_data
        assert data is not None
        assert [e.path for e in bundle.tree(data).entries()] == ["x.csv"]


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (b"command: python3 score.py", []),
        (b"\xef\xbb\xbfcommand: python3 score.py\r\n", []),
        (b"command: [python3 score.py]", ["CB404"]),
        (b"command: [[a]]", ["CB403", "CB401"]),
        (b"command:", ["CB401"]),
        (b"stride: 1", ["CB401"]),
        (b"just a sentence", ["CB401"]),
        (b"- a\n- b", ["CB401"]),
        (b"", ["CB401"]),
        (b"a: 'b", ["CB403", "CB401"]),
        (b"\xff\xfe", ["CB403", "CB401"]),
    ],
)
def test_metadata(metadata: bytes, expected: list[str], tmp_path: Path) -> None:
    found = report(tmp_path, scoring__metadata=metadata)
    assert found.ok
    assert sorted(p.code for p in found) == sorted(expected)


def test_what_lies_on_another_server_is_all_reported(tmp_path: Path) -> None:
    key = "0b9d1f52-4c7e-4e0a-9d55-2f6f0a7c1e01"
    text = GOOD.replace("scoring_program: scoring", f"scoring_program: {key}").replace(
        "input_data: data", f"input_data: {key}"
    )
    text += f"solutions:\n  - {{index: 0, key: {key}, tasks: [0]}}\n"
    assert codes(report(tmp_path, text)) == ["CB304"] * 3


def test_pages_are_read_once_and_checked(tmp_path: Path) -> None:
    found = report(tmp_path / "a", overview_DOT_md=b"caf\xe9")
    assert (found.ok, codes(found, Severity.WARNING)) == (True, ["CB309"])
    assert spec(tmp_path / "b", overview_DOT_md=b"\xef\xbb\xbf<b>x</b>").pages[0].content == "<b>x</b>"


def test_a_bundle_of_forty_files_is_checked_in_a_moment(tmp_path: Path) -> None:
    files = {f"data__{n}_DOT_csv": b"1" for n in range(33)}
    folder = write(tmp_path, **files)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        with read_bundle(folder) as bundle:
            assert bundle.report.files == 42
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.06
