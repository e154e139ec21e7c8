"""A board as it was, what changed since, and the best of each over time: from the rows that there are anyway."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

import codabench as cb
from codabench.core.errors import NotFound, UsageError
from codabench.core.records import BoardChoice, HandScore
from codabench.workspace.sources import moment_of

pytestmark = pytest.mark.filterwarnings("ignore:.*CB690")


@cb.scoring
def score(io: cb.ScoringIO) -> dict[str, float]:
    return {"acc": float((io.predictions / "a.txt").read_text())}


class Story:
    """A competition, and the moments between which things happened to it."""

    def __init__(self, comp: cb.Competition) -> None:
        self.comp, self.moments = comp, [datetime.now(UTC)]

    def submit(self, who: str, name: str, value: object) -> cb.SubmissionHandle:
        options = {"participant": who, "name": name, "backend": "inline", "progress": "none"}
        return self.comp.run({"a.txt": str(value)}, **options)

    def later(self) -> datetime:
        time.sleep(0.01)
        self.moments.append(datetime.now(UTC))
        time.sleep(0.01)
        return self.moments[-1]


@pytest.fixture(scope="module")
def story() -> Iterator[Story]:
    comp = cb.Competition(
        title="Numbers",
        tasks=[cb.Task(name="n", scoring_program=score)],
        columns=[cb.Column(key="acc", title="Accuracy")],
    )
    told = Story(comp)
    told.later()
    first = told.submit("ada", "a1", 0.5)
    told.submit("bo", "b1", 0.6)
    told.later()
    told.submit("ada", "a2", 0.7)
    told.submit("bo", "b2", "broken")
    told.later()
    db = comp.workspace.db
    run = first.runs[0].id
    db.set_score(HandScore(run=run, key="acc", value=0.9, by="org", note="", at=datetime.now(UTC)))
    told.later()
    db.choose(BoardChoice(submission=first.id, shown=False, by="ada", at=datetime.now(UTC)))
    db.delete_submission(first.id, at=datetime.now(UTC))
    told.later()
    yield told
    comp.close()


def rows(board: cb.Leaderboard) -> list[tuple[str, float | None]]:
    return [(board.name(r), r.scores["acc"]) for r in board]


def test_the_board_at_each_moment(story: Story) -> None:
    board = story.comp.leaderboard()
    assert rows(board) == [("a2", 0.7), ("b1", 0.6)]
    at = [rows(board.at(moment)) for moment in story.moments]
    assert at[0] == at[1] == []
    assert at[2] == [("b1", 0.6), ("a1", 0.5)]
    assert at[3] == [("a2", 0.7), ("b1", 0.6), ("a1", 0.5)]
    assert at[4] == [("a1", 0.9), ("a2", 0.7), ("b1", 0.6)]
    assert at[5] == rows(board)
    assert "as it was on 20" in repr(board.at(story.moments[2]))
    assert board.at(story.moments[2]).at(story.moments[5]).rows == board.at(story.moments[5]).rows


def test_times_in_words(story: Story) -> None:
    board = story.comp.leaderboard()
    assert len(board.at("2020-01-01")) == 0
    assert len(board.at("2999-01-01 12:30")) == 2
    assert moment_of("2026-03-01T01:00+02:00") == datetime(2026, 2, 28, 23, tzinfo=UTC)
    assert moment_of(datetime(2026, 3, 1)) == datetime(2026, 3, 1, tzinfo=UTC)
    assert moment_of(date(2026, 3, 1)) == datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(UsageError, match="is no board"):
        board.diff("2026-03-01")  # type: ignore[arg-type]
    for wrong in ("yesterday", "2026-13-01", "\x1b", None):
        with pytest.raises(UsageError, match="is no time") as caught:
            board.at(wrong)  # type: ignore[arg-type]
        assert caught.value.code == "CB353"


def test_what_changed(story: Story) -> None:
    board = story.comp.leaderboard()
    changed = board.at(story.moments[2]).diff(board)
    assert [(r.name, r.rank_before, r.rank_after, r.reason) for r in changed] == [
        ("a2", None, 1, "in place of a1"),
        ("b1", 1, 2, "behind a2"),
        ("a1", 2, None, "replaced by a2"),
    ]
    assert not board.diff(story.comp.leaderboard())
    assert "Accuracy 0.50 → 0.90" in repr(board.at(story.moments[3]).diff(board.at(story.moments[4])))


def test_the_best_over_time(story: Story) -> None:
    found = story.comp.leaderboard().history()
    assert [(s.participant, s.name, s.value, s.why) for s in found] == [
        ("ada", "a1", 0.5, "scored"),
        ("bo", "b1", 0.6, "scored"),
        ("ada", "a2", 0.7, "scored"),
        ("ada", "a1", 0.9, "score set by hand"),
        ("ada", "a2", 0.7, "deleted"),
    ]
    assert found.until > found.steps[-1].at
    assert found.plot().svg().startswith("<svg")
    with pytest.raises(NotFound, match="no column 'x'"):
        story.comp.leaderboard().history("x")


def test_the_board_without_rules_is_the_board_of_now(story: Story) -> None:
    board = story.comp.leaderboard()
    now = board.at(datetime.now(UTC) + timedelta(seconds=1))
    assert now.board.rows == board.board.rows
    assert now.statistics().notes == board.statistics().notes


def test_under_the_rule_of_a_workspace(tmp_path) -> None:
    """Force_Best: the past has the best of then, people by the names they have now, and a ranking of one's own."""
    comp = cb.Competition(
        title="Best",
        tasks=[cb.Task(name="n", scoring_program=score)],
        leaderboards=[cb.Leaderboard(key="m", columns=[cb.Column(key="acc")], submission_rule="Force_Best")],
    )
    with cb.Workspace(tmp_path / "lab") as ws:
        ws.add(comp)
        story = Story(comp)
        story.submit("ada", "a1", 0.5)
        story.submit("bo", "b1", 0.6)
        story.later()
        story.submit("ada", "a2", 0.7)
        story.submit("bo", "b2", 0.4)
        board = comp.leaderboard(participants={"ada": "Ada L."})
        assert rows(board) == [("a2", 0.7), ("b1", 0.6)]
        before = board.at(story.moments[1])
        assert rows(before) == [("b1", 0.6), ("a1", 0.5)]
        assert [r.participant for r in before] == ["bo", "Ada L."]
        assert [s.participant for s in board.history()] == ["Ada L.", "bo", "Ada L."]
        assert [r.reason for r in before.diff(board)] == ["in place of a1", "behind a2", "replaced by a2"]
        upside_down = comp.leaderboard(ranking=lambda row: row.scores["acc"])
        assert len(upside_down.at("2999-01-01")) == 2
        assert "is not made of scores of tasks" in upside_down.statistics().notes[0]
        with pytest.raises(UsageError, match="no board that can be compared"):
            board.diff(board.page(1, 1))
        assert board.at("2999-01-01").to_csv() == board.to_csv()


def test_columns_and_rule_are_those_of_then(tmp_path) -> None:
    def made(rule: str, *more: str) -> cb.Competition:
        columns = [cb.Column(key=key) for key in ("acc", *more)]
        boards = [cb.Leaderboard(key="m", columns=columns, submission_rule=rule)]
        tasks = [cb.Task(name="n", scoring_program=score)]
        return cb.Competition(title="Best", tasks=tasks, leaderboards=boards)

    with cb.Workspace(tmp_path / "lab") as ws:
        comp = made("Force_Best")
        ws.add(comp)
        story = Story(comp)
        story.submit("ada", "a1", 0.7)
        story.submit("ada", "a2", 0.5)
        then = story.later()
        comp.update(made("Force_Last", "f1"))
        board = comp.leaderboard()
        assert rows(board) == [("a2", 0.5)]
        before = board.at(then)
        assert rows(before) == [("a1", 0.7)]
        assert [c.key for c in before.board.columns] == ["acc"]
        assert before.spec.submission_rule == "Force_Best"
        assert before.diff(board).notes == (
            "the columns of the two boards differ",
            "the submission rule is Force_Last, before Force_Best",
        )
        assert rows(board.at("2999-01-01")) == rows(board)
        comp.update(made("Add", "f1"))
        assert rows(comp.leaderboard()) == [("a2", 0.5)], "who is there stays"
        assert [(s.name, s.value) for s in comp.leaderboard().history()] == [("a1", 0.7)]


def test_a_board_of_nowhere_has_no_past(story: Story) -> None:
    board = story.comp.leaderboard()
    alone: cb.Leaderboard = cb.Leaderboard(board.board, board.phase, board.names)
    with pytest.raises(UsageError, match="made without a workspace"):
        alone.history()
    assert not alone.statistics().known
    assert board.plot().svg().startswith("<svg")
