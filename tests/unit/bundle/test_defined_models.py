"""Definitions: what is given is what the bundle says, and every mistake is named at once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.bundle.defined.bundle import DefinedBundle
from codabench.bundle.defined.models import CompetitionDefinition, LeaderboardDefinition
from codabench.bundle.load import read_bundle
from codabench.bundle.writer import save_bundle
from codabench.core.competition import Computation, QuestionSpec, Sorting, SubmissionRule
from codabench.core.errors import BundleError, UsageError


def score(io: cb.ScoringIO) -> dict[str, float]:
    return {"acc": float((io.predictions / "a.txt").read_text())}


TASK = cb.Task(name="one", scoring_program=score, reference_data={"y.txt": "1"})
ACC = cb.Column(key="acc")


def defined(**given: Any) -> DefinedBundle:
    return DefinedBundle(CompetitionDefinition(**{"title": "T", "tasks": [TASK], "columns": [ACC], **given}))


def test_defaults() -> None:
    spec = defined().spec
    (phase,) = spec.phases
    assert (phase.name, phase.tasks, phase.end, phase.execution_time_limit) == ("Main", (0,), None, 600)
    assert phase.is_open(datetime.now(UTC))
    assert spec.leaderboard.primary.key == "acc"
    assert spec.leaderboard.submission_rule is SubmissionRule.ADD
    assert spec.pages[0].content == "# T\n"
    assert spec.terms.strip()
    assert spec.docker_image == "codalab/codalab-legacy:py312"
    assert spec.enable_detailed_results is False


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    other = cb.Task(name="two", scoring_program=score, input_data={"x.json": [1]})
    bundle = defined(
        tasks=[TASK, other],
        phases=[
            cb.Phase(
                name="dev", start="2026-12-01", tasks=["two"], execution_time_limit="10 min", max_submissions=None
            ),
            cb.Phase(name="final", start=date(2027, 1, 1), end=datetime(2027, 2, 1, 12), public_data={"p.txt": "p"}),
        ],
        columns=None,
        leaderboards=[
            cb.Leaderboard(
                key="main",
                columns=[ACC, {"key": "t", "sorting": "asc"}, cb.Column(key="m", computation="avg", over=["acc", "t"])],
                primary="t",
                submission_rule="Force_Best",
            )
        ],
        pages={"Über uns": "# A\n", "A b": "x"},
        terms="Be nice.",
        image=b"\x89PNG\r\n\x1a\n and more",
        fact_sheet={
            "method": "Which method?",
            "deep": {"type": "checkbox", "title": "Deep?", "selection": [True, False]},
        },
        solutions=[{"a.txt": "1"}, cb.Solution(files={"a.txt": "0"}, name="Zero", tasks=["two"])],
        starting_kit={"README.md": "kit"},
        contact_email="me@example.org",
    )
    spec = bundle.spec
    dev, final = spec.phases
    assert (dev.tasks, dev.execution_time_limit, dev.max_submissions) == ((1,), 600, None)
    assert dev.end == datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert (final.tasks, final.end) == ((0, 1), datetime(2027, 2, 1, 12, tzinfo=UTC))
    assert final.public_data is not None
    assert dev.starting_kit == final.starting_kit
    board = spec.leaderboard
    assert (board.primary.key, board.submission_rule) == ("t", SubmissionRule.FORCE_BEST)
    assert [c.sorting for c in board.columns] == [Sorting.DESC, Sorting.ASC, Sorting.DESC]
    assert (board.columns[2].computation, board.columns[2].computation_indexes) == (Computation.AVG, (0, 1))
    assert [q.key for q in spec.fact_sheet] == ["method", "deep"]
    assert isinstance(spec.fact_sheet[0], QuestionSpec)
    assert [(s.name, s.tasks) for s in spec.solutions] == [(None, (0, 1)), ("Zero", (1,))]
    assert [p.title for p in spec.pages] == ["Über uns", "A b"]
    assert spec.tasks[0].scoring_program == spec.tasks[1].scoring_program, "what is shared lies there once"
    assert bundle.report.ok, bundle.report
    save_bundle(bundle, tmp_path / "out")
    with read_bundle(tmp_path / "out") as back:
        assert back.spec == spec
        assert back.report.ok
        assert spec.tasks[1].input_data is not None
        assert back.tree(spec.tasks[1].input_data).read_bytes("x.json") == b"[\n 1\n]\n"


def test_equal_definitions_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        save_bundle(defined(), tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_page_of_details_is_wanted_where_the_function_makes_one() -> None:
    def detailed(io: cb.ScoringIO) -> dict[str, float]:
        io.details.text("x")
        return {"acc": 1.0}

    assert defined(tasks=[cb.Task(scoring_program=detailed)]).spec.enable_detailed_results is True
    assert defined(enable_detailed_results=True).spec.enable_detailed_results is True


def test_answers_that_are_given_away_are_seen() -> None:
    answers = {"labels.csv": "1,2,3\n" * 20}
    task = cb.Task(scoring_program=score, reference_data=answers, input_data={"x.csv": "0\n", **answers})
    assert [p.code for p in defined(tasks=[task]).report] == ["CB504"]
    other = cb.Task(scoring_program=score, reference_data=answers, input_data={"x.csv": "0\n"})
    assert [p.code for p in defined(tasks=[other]).report] == []


def returns_more(io: cb.ScoringIO) -> dict[str, float]:
    def inner() -> dict[str, float]:
        return {"inner": 1.0}

    if not io.predictions.exists():
        return {"acc": 0.0, "balanced_acc": 0.0}
    return {"acc": 1.0, "balanced_acc": inner()["inner"]}


def returns_a_name(io: cb.ScoringIO) -> dict[str, float]:
    found = {"balanced_acc": 1.0}
    return found  # noqa: RET504


def returns_any(io: cb.ScoringIO) -> dict[str, float]:
    return {"acc": 1.0, **{f"x{n}": 1.0 for n in range(3)}}


@pytest.mark.parametrize(
    ("function", "columns", "codes"),
    [
        (score, ["acc", "recall"], ["CB502"]),
        (score, ["acc"], []),
        (returns_more, ["acc", "balanced_acc"], []),
        (returns_more, ["acc"], []),
        (returns_more, ["acc", "balanced-acc"], ["CB503"]),
        (returns_more, ["inner"], ["CB502"]),
        (returns_a_name, ["acc"], []),
        (returns_any, ["acc", "x1"], []),
    ],
)
def test_a_key_that_is_never_returned_is_seen(function: Any, columns: list[str], codes: list[str]) -> None:
    bundle = defined(tasks=[cb.Task(scoring_program=function)], columns=[cb.Column(key=key) for key in columns])
    assert [p.code for p in bundle.report] == codes
    for problem in bundle.report:
        assert problem.where.file == __file__
        assert '"' in (problem.where.excerpt or "")


@pytest.mark.parametrize(
    ("make", "says", "hint"),
    [
        (lambda: cb.Column(key="a", sort="desc"), ["it takes no sort"], "did you mean sorting?"),
        (lambda: cb.Column(ky="a", sorting="up"), ["key is missing", "it takes no ky", "sorting: "], "key?"),
        (lambda: cb.Phase(name="x", strat="2026-01-01"), ["cb.Phase 'x'", "it takes no strat"], "start?"),
        (lambda: cb.Phase(start="soon", end=3), ["start: 'soon' is not a date", "end: a date is written"], None),
        (lambda: cb.Phase(start="1-2-2026"), ["read month first"], None),
        (lambda: cb.Phase(execution_time_limit="ten"), ["not a duration"], None),
        (lambda: cb.Phase(execution_time_limit=True), ["a duration is written"], None),
        (lambda: cb.Phase(execution_time_limit=0), ["at least one second"], None),
        (lambda: cb.Task(name="x"), ["scoring_program is missing"], None),
        (lambda: cb.Task(scoring_program=3), ["a scoring program is a function, not a int"], None),
        (lambda: cb.Task(scoring_program=cb.ingestion(score)), ["is an ingestion program"], None),
        (lambda: cb.Task(scoring_program="/no/where"), ["cannot be read"], None),
        (lambda: cb.Task(scoring_program=score, input_data={"a.h5": 1}), ["input_data: 'a.h5' cannot be"], None),
        (lambda: cb.scoring(requires="numpy")(score), ["requires is a list"], None),
        (lambda: cb.Leaderboard(key="x", colums=[]), ["columns is missing"], "did you mean columns?"),
        (lambda: cb.Competition(title="T", tsks=[TASK]), ["tasks is missing", "it takes no tsks"], "tasks?"),
        (lambda: defined(leaderboards=[{"key": "x", "colums": []}], columns=None), ["it takes no colums"], "columns?"),
        (lambda: defined(columns=None), ["there are no columns"], "cb.Column"),
        (lambda: defined(leaderboards=[{"columns": [ACC]}]), ["both given"], None),
    ],
)
def test_what_is_refused_where_it_is_made(make: Any, says: list[str], hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        make()
    assert caught.value.code == "CB320"
    assert [text for text in says if text not in caught.value.message] == []
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("given", "codes"),
    [
        ({"phases": [cb.Phase(tasks=["too"]), cb.Phase(name="b")]}, ["CB108", "CB101"]),
        ({"columns": [ACC, ACC], "primary": "ac"}, ["CB107", "CB214"]),
        ({"columns": [ACC, cb.Column(key="m", computation="avg")]}, ["CB210"]),
        ({"columns": [ACC, cb.Column(key="m", computation="avg", over=["x"])]}, ["CB212"]),
        ({"columns": []}, ["CB109"]),
        ({"solutions": [cb.Solution(files={"a": "x"}, tasks=[9])]}, ["CB108"]),
        ({"pages": {}, "terms": " ", "image": "nowhere.png"}, ["CB109", "CB305", "CB301"]),
        ({"pages": {"A": ""}}, ["CB305"]),
        ({"title": "x" * 300, "contact_email": "me"}, ["CB103", "CB117"]),
        ({"phases": [cb.Phase(start="2026-02-01"), cb.Phase(name="b", start="2026-01-01")]}, ["CB206"]),
    ],
    ids=str,
)
def test_what_does_not_fit_together(given: dict[str, Any], codes: list[str]) -> None:
    with pytest.raises(BundleError) as caught:
        defined(**given)
    assert caught.value.report is not None
    assert sorted(p.code for p in caught.value.report) == sorted(codes)


def test_a_program_may_be_a_directory(tmp_path: Path) -> None:
    (tmp_path / "scoring").mkdir()
    (tmp_path / "scoring" / "metadata.yaml").write_text("command: python3 s.py")
    (tmp_path / "scoring" / "s.py").write_text("print('acc')")
    for program in (cb.Program.from_dir(tmp_path / "scoring"), tmp_path / "scoring", str(tmp_path / "scoring")):
        bundle = defined(tasks=[cb.Task(scoring_program=program)])
        (task,) = bundle.spec.tasks
        assert task.scoring_program is not None
        assert task.scoring_program.commands == ("python3 s.py",)
        assert bundle.tree(task.scoring_program).read_bytes("s.py") == b"print('acc')"


def test_a_board_is_defined_with_keywords() -> None:
    board = cb.Leaderboard(key="main", columns=[ACC])
    assert isinstance(board, LeaderboardDefinition)
    assert board.columns == (ACC,)
