"""Phases, tasks and leaderboards by the names people know them by."""

from datetime import timedelta
from pathlib import Path

import pytest

import codabench as cb
from codabench.core.errors import NotFound, PolicyError, UsageError
from codabench.workspace.described import period_text

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def comp():
    return cb.load(EXAMPLES / "several-tasks" / "bundle")


def test_by_place_by_name_and_as_a_tuple(comp):
    first = comp.phases[0]
    assert comp.phases[first.name] is first
    assert comp.phases[:1] == (first,)
    assert list(comp.phases) == list(comp.spec.phases)
    assert comp.tasks[comp.tasks[1].name].name == comp.tasks[1].name
    assert comp.leaderboards[comp.spec.leaderboard.key] is comp.spec.leaderboard


def test_a_miss_says_what_there_is(comp):
    name = comp.phases[0].name
    with pytest.raises(NotFound) as caught:
        comp.phases[name + "s"]
    assert name in caught.value.message
    assert name in caught.value.hint


def test_check_gives_the_report_of_a_bundle_with_errors(tmp_path):
    (tmp_path / "competition.yaml").write_text("version: 2\ntitle: T\n")
    report = cb.check(tmp_path)
    assert not report.ok
    assert len(report.errors) > 3


def test_a_workspace_says_what_it_keeps(tmp_path):
    with cb.Workspace(tmp_path / "lab") as ws:
        kept = ws.add(cb.load(EXAMPLES / "result-submission" / "bundle"))
    with cb.Workspace(tmp_path / "lab") as again:
        assert again.competitions() == {kept.id: kept.title}


def test_where_a_phase_stands(comp):
    first, last = comp.phases[0], comp.phases[-1]
    day = timedelta(days=1)
    assert period_text(first, first.start - day).endswith("(not begun)")
    assert "(open, " in period_text(first, first.start)
    assert period_text(first, first.end).endswith("(over)")
    assert period_text(last, last.start + day).endswith("no end (open)")


def test_a_competition_in_a_with_statement_and_the_best_of_its_board():
    folder = EXAMPLES / "code-submission"
    with cb.load(folder / "bundle") as comp:
        options = {"backend": "process", "progress": "none"}
        comp.run_many([folder / "submissions" / name for name in ("baseline", "good")], **options)
        board = comp.leaderboard()
        assert board.name(board[0]) == "good"
        with pytest.raises(PolicyError, match="strict cannot be kept by process"):
            comp.run(folder / "submissions" / "good", policy="strict", **options)
        with pytest.raises(UsageError, match="no policy 3"):
            comp.run(folder / "submissions" / "good", policy=3, **options)
