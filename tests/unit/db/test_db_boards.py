"""Boards from the database: kept up to date they are what they are anew, and what their history leads to."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

import pytest
from db_samples import AT, K, end, submission

from codabench.core.boards import BoardRows
from codabench.core.competition import ColumnSpec, CompetitionSpec, LeaderboardSpec, PhaseSpec, SubmissionRule
from codabench.core.evaluations import Batch, BatchRun, BatchState
from codabench.core.records import BoardChoice, HandScore, Outcome, Run, Status
from codabench.db.database import Database
from codabench.leaderboard.loading import definitions, events_of
from codabench.leaderboard.standings import Standings
from codabench.workspace import boards as workspace_boards
from codabench.workspace.boards import Boards

COLUMNS = (ColumnSpec(key="s", title="S", index=0), ColumnSpec(key="t", title="T", index=1, sorting="asc"))
PHASE = PhaseSpec(index=0, name="P", start=AT, tasks=(0, 1))


def spec(rule: SubmissionRule) -> LeaderboardSpec:
    return LeaderboardSpec(key="b", title="B", columns=COLUMNS, submission_rule=rule)


class Lab:
    """Does things to submissions, one second after the other."""

    def __init__(self, db: Database, seed: int = 0) -> None:
        self.db, self.random, self.seconds = db, random.Random(seed), 0
        self.live: list[str] = []
        self.ended: list[str] = []
        self.there: list[str] = []

    def now(self) -> Any:
        self.seconds += 1
        return AT + timedelta(seconds=self.seconds)

    def submit(self, participant: str = "p", *, tasks: tuple[int, ...] = (0,), phase: int = 0, **more: Any) -> str:
        at, id = self.now(), f"s{self.seconds}"
        made = submission(id, participant=participant, phase=phase, at=at, tasks=tasks, **more)
        runs = [Run(id=f"{id}-{t}", submission=id, task=t, position=t, created_at=at) for t in tasks]
        self.db.add_submission(made, runs, kind=K.RUN_QUEUED)
        self.live += [run.id for run in runs]
        self.there.append(id)
        return id

    def finish(self, run: str, scores: dict[str, float]) -> None:
        attempt = f"a-{run}"
        self.db.start_attempt(run, attempt=attempt, token="t", at=self.now())
        steps = [K.SCORING_STARTED, K.SCORING_FINISHED, K.SCORES_PARSED, K.RUN_FINISHED]
        outcome = Outcome(status=Status.FINISHED, scores=scores)
        self.db.append(run, steps, at=self.now(), attempt=attempt, token="t", outcome=outcome)
        self._over(run)

    def fail(self, run: str) -> None:
        end(self.db, run, K.RUN_FAILED)
        self._over(run)

    def _over(self, run: str) -> None:
        self.live = [r for r in self.live if r != run]
        self.ended.append(run)

    def scored(self, participant: str, value: float, **more: Any) -> str:
        id = self.submit(participant, **more)
        for run in [r for r in self.live if r.startswith(f"{id}-")]:
            self.finish(run, {"s": value})
        return id

    def choose(self, id: str, shown: bool = True) -> None:
        self.db.choose(BoardChoice(submission=id, shown=shown, by="o", at=self.now()))

    def set_score(self, run: str, value: float | None, key: str = "s") -> None:
        self.db.set_score(HandScore(run=run, key=key, value=value, by="o", note="", at=self.now()))

    def reevaluate(self, runs: list[str], value: float, *, promote: bool = True) -> None:
        id = f"b{self.seconds}"
        rows = [BatchRun(batch=id, replaces=r, position=n, action="score", reason="") for n, r in enumerate(runs)]
        batch = Batch(id=id, competition="c", key=id, plan={}, state=BatchState.PLANNED, note="", created_at=self.now())
        self.db.add_batch(batch, rows)
        self.db.set_batch_state(id, BatchState.RUNNING)
        for n, old in enumerate(runs):
            was = self.db.run(old)
            made = Run(id=f"{id}-{n}", submission=was.submission, task=was.task, position=0, created_at=self.now())
            self.db.queue_batch_run(id, old, made)
            self.finish(made.id, {"s": value})
            self.ended.remove(made.id)
        self.db.set_batch_state(id, BatchState.DONE)
        if promote:
            self.db.promote_batch(id, at=self.now(), note="")

    def define(self, rule: SubmissionRule) -> None:
        """The competition is edited: its board has another rule."""
        before = self.db.competition("c")
        after = before.model_copy(update={"leaderboards": (spec(rule),)})
        self.db.change_competition("c", before, after, {}, at=self.now())

    def something(self) -> None:
        """Anything that can happen."""
        value = self.random.choice([0.0, 1.0, 2.0, 3.0])
        some = {"s": value} | ({"t": 1.0} if self.random.random() < 0.5 else {})
        match self.random.randrange(10):
            case 0 | 1 | 2:
                tasks = self.random.choice([(0,), (0, 1)])
                origin = self.random.choice(self.there) if self.there and self.random.random() < 0.3 else None
                kind = "rerun" if origin else None
                phase = int(self.random.random() < 0.1)
                self.submit(self.random.choice("pqr"), tasks=tasks, phase=phase, origin=origin, origin_kind=kind)
            case 3 | 4 | 5 if self.live:
                self.finish(self.random.choice(self.live), some)
            case 6 if self.live:
                self.fail(self.random.choice(self.live))
            case 7 if self.ended:
                self.set_score(self.random.choice(self.ended), self.random.choice([value, None]))
            case 8 if self.there:
                self.choose(self.random.choice(self.there), self.random.random() < 0.8)
            case 9 if self.there:
                id = self.random.choice(self.there)
                if not any(r.startswith(f"{id}-") for r in self.live):
                    self.db.delete_submission(id, at=self.now())
                    self.there.remove(id)


def board(boards: Boards, rule: SubmissionRule | None, phase: PhaseSpec = PHASE) -> Any:
    with boards.look("c", phase, spec(rule or SubmissionRule.ADD), rule=rule) as standings:
        return standings.board()


@pytest.mark.parametrize("rule", [None, *SubmissionRule])
@pytest.mark.parametrize("seed", range(2))
def test_a_board_kept_up_to_date_is_the_board_read_anew(db: Database, rule: SubmissionRule | None, seed: int) -> None:
    lab, kept = Lab(db, seed), Boards(db)
    for n in range(45):
        lab.something()
        found = board(kept, rule)
        assert found == board(Boards(db), rule)
        if n % 9:
            continue
        rows = db.board_rows("c", 0)
        assert rows is not None
        history = events_of(rows, PHASE.tasks)
        told = Standings.after(spec(rule or SubmissionRule.ADD), history, rule=rule, tasks=PHASE.tasks)
        assert [(r.submission, r.scores, r.incomplete) for r in told.board().rows] == [
            (r.submission, r.scores, r.incomplete) for r in found.rows
        ]
    assert len(lab.there) > 5


@pytest.mark.parametrize("seed", range(3))
def test_a_board_whose_rule_changes_is_what_its_history_leads_to(db: Database, seed: int) -> None:
    lab, kept, rule = Lab(db, seed), Boards(db), SubmissionRule.FORCE_BEST
    lab.define(rule)
    for n in range(60):
        if lab.random.random() < 0.1:
            rule = lab.random.choice(list(SubmissionRule))
            lab.define(rule)
        else:
            lab.something()
        found = board(kept, rule)
        assert found == board(Boards(db), rule)
        if n % 6:
            continue
        rows = db.board_rows("c", 0)
        assert rows is not None
        first, edits = definitions(rows, spec(rule))
        events = events_of(rows, PHASE.tasks, edits=edits)
        told = Standings.after(first, events, rule=first.submission_rule, tasks=PHASE.tasks)
        assert told.rule is rule
        assert told.submissions == [r.submission for r in found.rows]
    assert edits


def test_another_rule_begins_with_who_is_there(db: Database) -> None:
    """Hand-computed: what people chose before forces nothing, and who is there stays until replaced."""
    best, add, last = SubmissionRule.FORCE_BEST, SubmissionRule.ADD, SubmissionRule.FORCE_LAST
    lab, boards = Lab(db), Boards(db)

    def on(rule: SubmissionRule) -> list[str]:
        return [r.submission for r in board(boards, rule).rows]

    lab.define(best)
    low, high, other = lab.scored("p", 1), lab.scored("p", 3), lab.scored("q", 2)
    lab.scored("q", 1)
    lab.define(add)
    assert on(add) == [high, other]
    lab.scored("p", 9)
    lab.choose(low)
    assert on(add) == [other, low]
    lab.define(last)
    assert [r.scores["s"] for r in board(boards, last).rows] == [9, 1]
    lab.define(add)
    assert [r.scores["s"] for r in board(boards, add).rows] == [9, 1], "the choice of before counts no more"


def test_a_clock_that_goes_wrong_does_not_hide_what_was_done(db: Database) -> None:
    lab = Lab(db)
    id = lab.scored("p", 1)
    db.choose(BoardChoice(submission=id, shown=True, by="o", at=AT - timedelta(hours=1)))
    rows = db.board_rows("c", 0)
    assert rows is not None
    events = events_of(rows, PHASE.tasks)
    assert [e.at for e in events] == sorted(e.at for e in events)
    assert events[0].at == events[1].at


def test_what_has_not_changed_is_not_read_again(db: Database) -> None:
    lab, boards = Lab(db), Boards(db)
    lab.scored("p", 1)
    with boards.look("c", PHASE, spec(SubmissionRule.FORCE_BEST), rule=SubmissionRule.FORCE_BEST) as first:
        pass
    mark = db.board_mark("c", 0)
    assert db.board_rows("c", 0, since=mark) == BoardRows(mark)
    lab.scored("p", 2)
    assert db.board_mark("c", 0) != mark
    with boards.look("c", PHASE, spec(SubmissionRule.FORCE_BEST), rule=SubmissionRule.FORCE_BEST) as second:
        assert second is first
        assert second.board().rows[0].scores["s"] == 2
    # Other columns: another board, though nothing has happened.
    with boards.look("c", PHASE, spec(SubmissionRule.ADD), rule=SubmissionRule.FORCE_BEST) as third:
        assert third is not first


def test_a_re_evaluation_is_on_the_board_when_it_is_promoted(db: Database) -> None:
    lab, boards = Lab(db), Boards(db)
    one, two = lab.scored("p", 1), lab.scored("p", 2)
    last, best = SubmissionRule.FORCE_LAST, SubmissionRule.FORCE_BEST
    lab.reevaluate([f"{one}-0"], 5, promote=False)
    assert [r.submission for r in board(boards, best).rows] == [two]
    lab.reevaluate([f"{one}-0"], 7)
    assert [(r.submission, r.scores["s"]) for r in board(boards, best).rows] == [(one, 7)]
    assert [r.submission for r in board(boards, last).rows] == [two], "it does not make it the last one scored"
    lab.set_score(f"{one}-0", 0.5)
    assert [r.submission for r in board(boards, best).rows] == [two], "what organizers set stays"


def test_a_rerun_of_some_tasks_is_on_no_board(db: Database) -> None:
    lab, boards = Lab(db), Boards(db)
    first = lab.scored("p", 1, tasks=(0, 1))
    part = lab.scored("p", 9, tasks=(0,), origin=first, origin_kind="rerun")
    whole = lab.scored("p", 0.5, tasks=(0, 1), origin=first, origin_kind="rerun")
    assert [r.submission for r in board(boards, SubmissionRule.FORCE_LATEST_MULTIPLE).rows] == [first, whole]
    aside = lab.scored("p", 9, tasks=(0, 1), origin=first, origin_kind="aside")
    assert [r.submission for r in board(boards, SubmissionRule.FORCE_LATEST_MULTIPLE).rows] == [first, whole]
    for each in (part, aside):
        lab.choose(each)
    assert [r.submission for r in board(boards, SubmissionRule.FORCE_BEST).rows] == [first]
    assert part in [r.submission for r in board(boards, None).rows]


def test_phases_and_competitions_have_boards_of_their_own(db: Database) -> None:
    db.add_competition("d", CompetitionSpec(title="D"), source="", at=AT)
    lab, boards = Lab(db), Boards(db)
    here, there = lab.scored("p", 1), lab.scored("p", 2, phase=1)
    other = PhaseSpec(index=1, name="Q", start=AT, tasks=(0,))
    assert [r.submission for r in board(boards, None).rows] == [here]
    assert [r.submission for r in board(boards, None, other).rows] == [there]
    assert db.latest_phase("c") == 1
    assert db.latest_phase("d") is None
    assert db.holdouts("c") == {0: 2}
    assert list(db.called("c", 0)) == [here]


def test_of_large_boards_few_are_kept(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_boards, "_KEPT_ROWS", 5)
    lab, boards = Lab(db), Boards(db)
    for n in range(3):
        lab.scored(f"p{n}", n)
    for rule in (SubmissionRule.FORCE_BEST, SubmissionRule.FORCE_LAST, None):
        assert len(board(boards, rule).rows) == 3
        assert len(boards._kept) == 1
    monkeypatch.setattr(workspace_boards, "_KEPT_ROWS", 6)
    board(boards, SubmissionRule.FORCE_BEST)
    assert len(boards._kept) == 2
