"""Which phase, which task; the board as text and CSV; results as files; plans; what handles show."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from tiny import FILES, PHASE, answer, bundle, yaml

import codabench as cb
from codabench.core.competition import CompetitionSpec, PhaseSpec, TaskSpec
from codabench.core.errors import NotFound, StorageError, SubmissionRejected, UsageError
from codabench.workspace.admission import admit, choose_phase, find_phase, find_tasks
from codabench.workspace.export import check_free, export_results

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def period(index: int, start: int, end: int | None, **more: object) -> PhaseSpec:
    at = {"start": T0 + timedelta(days=start), "end": None if end is None else T0 + timedelta(days=end)}
    return PhaseSpec.model_validate({"index": index, "name": f"P{index}", **at, **more})


SPEC = CompetitionSpec(title="C", phases=(period(0, 0, 10), period(1, 20, 30), period(2, 25, None)))


@pytest.mark.parametrize(
    ("day", "index"),
    [(-5, 0), (0, 0), (9.99, 0), (10, 0), (15, 0), (20, 1), (24, 1), (26, 1), (30, 2), (999, 2)],
)
def test_the_phase_open_now_else_the_last_that_began_else_the_first(day: float, index: int) -> None:
    assert choose_phase(SPEC, T0 + timedelta(days=day)).index == index


def test_a_phase_by_index_or_name() -> None:
    odd = SPEC.model_copy(
        update={"phases": (period(0, 0, 1, name="1"), period(1, 2, 3, name="Same"), period(2, 4, 5, name="Same"))}
    )
    assert [find_phase(SPEC, w).index for w in (2, "2", "P2")] == [2, 2, 2]
    assert find_phase(odd, "1").index == 1  # an index goes before a name
    with pytest.raises(NotFound, match="2 phases are called 'Same'") as caught:
        find_phase(odd, "Same")
    assert caught.value.hint == "name the phase by its index"
    with pytest.raises(NotFound, match="no phase 'p2'; there are: 0 'P0', 1 'P1', 2 'P2'") as caught:
        find_phase(SPEC, "p2")
    assert caught.value.hint == "did you mean 'P2'?"


def test_a_competition_or_phase_with_nothing_in_it() -> None:
    with pytest.raises(UsageError, match="has no phase"):
        choose_phase(CompetitionSpec(title="C"), T0)
    with pytest.raises(UsageError, match="has no task"):
        find_tasks(SPEC, SPEC.phases[0], None)


def test_tasks_come_in_the_order_of_the_phase() -> None:
    tasks = tuple(TaskSpec(index=i, name=f"T{i}") for i in ("b", "a", 3))
    spec = SPEC.model_copy(update={"tasks": tasks})
    phase = period(0, 0, 1, tasks=(3, "b", "a"))
    assert [t.index for t in find_tasks(spec, phase, None)] == [3, "b", "a"]
    assert [t.index for t in find_tasks(spec, phase, ["Ta", "3", 3])] == [3, "a"]
    with pytest.raises(NotFound):
        find_tasks(spec, period(0, 0, 1, tasks=("a",)), ["b"])


@pytest.mark.parametrize(
    ("day", "earlier", "code"),
    [
        (-0.001, [], "CB331"),
        (0, [], None),
        (9.999, [], None),
        (10, [], "CB331"),
        (5, [4.1, 4.2, 4.9], None),
        (5.5, [5.1, 5.2], "CB332"),
        (5, [4.99, 4.999], None),
        (9, [1, 2, 3, 4], "CB333"),
    ],
)
def test_who_is_admitted(day: float, earlier: list[float], code: str | None) -> None:
    phase = period(0, 0, 10, max_submissions_per_day=2, max_submissions=4)
    made = [T0 + timedelta(days=d) for d in earlier]

    def ask() -> None:
        admit(SPEC, phase, now=T0 + timedelta(days=day), earlier=made)

    if code is None:
        ask()
    else:
        with pytest.raises(SubmissionRejected) as caught:
            ask()
        assert caught.value.code == code


def test_days_are_utc_days() -> None:
    phase = period(0, 0, 10, max_submissions_per_day=1)
    late = datetime(2026, 1, 2, 1, tzinfo=timezone(timedelta(hours=2)))  # 23:00 UTC the day before
    with pytest.raises(SubmissionRejected):
        admit(SPEC, phase, now=late, earlier=[T0])


# ---------------------------------------------------------------- what comes of runs
@pytest.fixture(scope="module")
def comp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cb.Competition]:
    folder = tmp_path_factory.mktemp("views")
    page = b"(pathlib.Path(sys.argv[3]) / 'detailed_results.html').write_text('<p>' + str(answer['score']))\n"
    text = yaml(("A/B", "A_B"), PHASE.format(0, "One", "2020-01-01", "0, 1", ""), "enable_detailed_results: true\n")
    made = cb.load(bundle(folder / "bundle", text, {"scoring/score.py": FILES["scoring/score.py"] + page}))
    named = ["a:b", "a*b", "A_B", "result.json", "=cmd()", "plain"]
    paths = [answer(folder / name, f'{{"score": {n / 2}}}') for n, name in enumerate(named)]
    paths.append(answer(folder / "bad", '{"exit": 1}'))
    made.run_many(paths, backend="process", progress="none")
    yield made
    made.close()


def test_results_as_files(comp: cb.Competition, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    export_results(out, comp.submissions(), [comp.leaderboard()], {"ok": True})
    top = {p.name for p in out.iterdir()}
    assert {"result.json", "leaderboard.txt", "leaderboard.csv"} < top
    folders = {p.name for p in out.iterdir() if p.is_dir()}
    assert len({f.casefold() for f in folders}) == len(folders) == 7
    assert "result.json #2" in folders
    assert {p.name for p in (out / "plain").iterdir()} == {"A_B", "A_B #2"}
    one = out / "plain" / "A_B"
    assert json.loads((one / "scores.json").read_text()) == {"score": 2.5, "time": 5}
    assert (one / "detailed_results.html").read_text() == "<p>2.5"
    assert (one / "logs" / "scoring_stdout.txt").read_text().startswith("scoring")
    assert (one / "scoring_output" / "metadata").is_file()
    assert json.loads((one / "provenance.json").read_text())["contract"] == 1
    assert json.loads((out / "bad" / "A_B" / "scores.json").read_text()) == {}
    assert not list(out.rglob(".codabench-*"))


def test_results_are_not_written_over(comp: cb.Competition, tmp_path: Path) -> None:
    export_results(tmp_path, comp.submissions()[:1], [comp.leaderboard()], {"first": True})
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    with pytest.raises(UsageError, match="already holds results"):
        export_results(tmp_path, comp.submissions(), [comp.leaderboard()], {})
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_what_cannot_be_written_leaves_nothing(comp: cb.Competition, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is no directory"):
        check_free(tmp_path / "file")
    with pytest.raises(StorageError, match="results cannot be written"):
        export_results(tmp_path / "file" / "out", comp.submissions(), [comp.leaderboard()], {})
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(TypeError):
        export_results(out, comp.submissions(), [comp.leaderboard()], {(1, 2): "no JSON"})  # type: ignore[dict-item]
    assert list(out.iterdir()) == []


def test_the_board_as_csv_and_frame(comp: cb.Competition) -> None:
    board = comp.leaderboard()
    rows = list(csv.DictReader(io.StringIO(board.to_csv())))
    assert [r["submission"] for r in rows] == ["plain", "'=cmd()", "result.json", "A_B", "a*b", "a:b"]
    assert [float(r["score"]) for r in rows] == [2.5, 2, 1.5, 1, 0.5, 0]
    frame = board.to_frame()
    assert list(frame.index) == [1, 2, 3, 4, 5, 6]
    assert frame.loc[1, "submission"] == "plain"
    assert frame["time"].tolist() == [5.0] * 6


def test_the_board_says_that_its_rule_is_not_applied(comp: cb.Competition) -> None:
    assert "submission rule Add not applied" in repr(comp.leaderboard())
    assert "<script" not in comp.leaderboard()._repr_html_()


@pytest.mark.parametrize("wanted", ["boad", 3])
def test_a_board_that_there_is_not(comp: cb.Competition, wanted: str | int) -> None:
    with pytest.raises(NotFound, match="there are: 0 'board'"):
        comp.leaderboard(wanted)


def test_what_handles_show(comp: cb.Competition) -> None:
    *_, plain, bad = comp.submissions()
    assert repr(plain).splitlines()[0] == "Submission 'plain'  Finished  score 2.5   time 5"
    assert "A/B: Run Finished in" in repr(plain)
    assert "exited with 1" in repr(bad)
    assert "Submission plain <span" in plain._repr_html_()
    assert "── scoring_stdout ──" in repr(plain.runs[0].logs)
    assert set(plain.runs[0].logs) == {"scoring_stdout", "scoring_stderr"}
    with pytest.raises(KeyError):
        _ = plain.runs[0].logs["prediction_stdout"]
    assert plain.runs[0].detailed_results == "<p>2.5"


def test_a_competition_shows_what_it_is(comp: cb.Competition) -> None:
    assert repr(comp).splitlines()[0] == "Competition 'Tiny'"
    assert "phase 0 One   from 2020-01-01 00:00 UTC, no end (open)   tasks: A/B, A_B" in repr(comp)
    assert "leaderboard board (Add)   Score ▲ · Time ▼" in repr(comp)


def test_a_plan_starts_nothing(comp: cb.Competition, tmp_path: Path) -> None:
    before = len(comp.submissions())
    first, second = comp.plan(answer(tmp_path / "mine"), timeout="2 min", network="open")
    assert (first["task"], second["task"]["name"]) == ({"index": 0, "name": "A/B"}, "A_B")
    assert (first["time_limit"], first["network"]) == (120, "open")
    assert [s["programs"] != [] for s in first["steps"]] == [False, True]
    assert len(comp.submissions()) == before
