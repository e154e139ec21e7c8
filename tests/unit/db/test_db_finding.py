"""Submissions and runs by what people type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from db_samples import AT, K, admitted, end, submission

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import NotFound
from codabench.core.events import EventKind
from codabench.core.problems import Fault
from codabench.core.records import Run, Status
from codabench.db.database import Database
from codabench.workspace.finding import run_or_submission, the_run, the_submission

ONE, OTHER, THIRD = "abcd1111" + "0" * 24, "abcd2222" + "0" * 24, "0123" + "f" * 28


def add(db: Database, id: str, name: str, participant: str = "p", competition: str = "c") -> None:
    made = submission(id, participant=participant).model_copy(update={"name": name, "competition": competition})
    run = Run(id=id[::-1], submission=id, task=0, position=0, created_at=AT)
    db.add_submission(made, [run], kind=EventKind.RUN_QUEUED)


def found(db: Database, wanted: str, competition: str | None = None) -> list[str]:
    return [each.id for each in db.find_submissions(wanted, competition)]


def test_ids_their_beginnings_names_and_numbers(db: Database) -> None:
    add(db, ONE, "good")
    add(db, OTHER, "good")
    add(db, THIRD, "no#2", participant="a#b")
    for wanted, expected in {
        ONE: [ONE],
        "abcd1": [ONE],
        "abcd": [ONE, OTHER],
        "abc": [],  # too short
        "good": [ONE, OTHER],
        "p#2": [OTHER],
        "a#b#1": [THIRD],
        "no#2": [THIRD],
        "goo": [],
        "ABCD1": [],
        "p#99999999999": [],
        "%": [],
        "": [],
    }.items():
        assert found(db, wanted) == expected, wanted


def test_a_name_cannot_stand_in_the_way_of_a_submission(db: Database) -> None:
    add(db, ONE, "good")
    add(db, OTHER, "abcd1", participant="mallory")
    add(db, THIRD, "p#1", participant="mallory")
    assert found(db, "abcd1") == [ONE, OTHER]
    assert found(db, "p#1") == [ONE, THIRD]
    add(db, "f" * 32, ONE, participant="mallory")
    assert found(db, ONE) == [ONE]


def test_what_was_deleted_is_found_by_its_id_only(db: Database) -> None:
    add(db, ONE, "good")
    end(db, ONE[::-1], K.RUN_CANCELLED, Fault.PARTICIPANT)
    db.delete_submission(ONE, at=AT)
    assert (found(db, "good"), found(db, "p#1")) == ([], [])
    assert found(db, "abcd1") == found(db, ONE) == [ONE]


def test_in_one_competition(db: Database) -> None:
    db.add_competition("d", CompetitionSpec(title="D"), source="there", at=AT)
    add(db, ONE, "good")
    add(db, OTHER, "good", competition="d")
    assert found(db, "p#1") == [ONE, OTHER]
    assert found(db, "p#1", "d") == found(db, "good", "d") == [OTHER]


def test_runs(db: Database) -> None:
    add(db, ONE, "good")
    add(db, THIRD, "good")
    assert [run.id for run in db.find_runs("ffff")] == [THIRD[::-1]]
    assert [run.id for run in db.find_runs(ONE[::-1])] == [ONE[::-1]]
    assert db.find_runs("good") == []


def test_counts(db: Database) -> None:
    admitted(db, "s", runs=2)
    admitted(db, "t", participant="q")
    end(db, "t-0", K.RUN_CANCELLED, Fault.PARTICIPANT)
    assert db.submission_counts() == {"c": 2}
    assert db.run_counts() == {"c": {Status.SUBMITTED: 2, Status.CANCELLED: 1}}
    db.delete_submission("t", at=AT)
    assert db.submission_counts() == {"c": 1}
    assert db.run_counts() == {"c": {Status.SUBMITTED: 2}}


def test_what_may_be_several_is_listed(db: Database) -> None:
    add(db, ONE, "good")
    add(db, OTHER, "good\x1b[2J", participant="q")
    with pytest.raises(NotFound) as error:
        the_submission(db, "abcd")
    assert error.value.code == "CB343"
    assert error.value.message.splitlines() == [
        "'abcd' may mean 2 things:",
        "  submission abcd1111  p#1  'good'  2026-01-01 12:00",
        r"  submission abcd2222  q#1  'good\\x1b[2J'  2026-01-01 12:00",
    ]
    assert (the_submission(db, "good").id, run_or_submission(db, "q#1").id) == (ONE, OTHER)


def test_a_run_and_a_submission_may_be_called_alike(db: Database) -> None:
    add(db, ONE, THIRD[::-1][:8])
    add(db, THIRD, "other")
    assert the_run(db, "ffff").id == THIRD[::-1]
    with pytest.raises(NotFound, match="may mean 2 things") as error:
        run_or_submission(db, THIRD[::-1][:8])
    assert "run ffffffff  of submission 0123ffff, task 0  Submitted" in error.value.message


@pytest.mark.parametrize(("what", "find"), [("submission", the_submission), ("run", the_run)])
def test_what_is_not_there(db: Database, what: str, find: Callable[[Database, str], object]) -> None:
    with pytest.raises(NotFound, match=f"there is no {what} 'abcd'") as error:
        find(db, "abcd")
    assert "4 characters" in (error.value.hint or "")


def test_runs_with_their_submissions(db: Database) -> None:
    db.add_competition("d", CompetitionSpec(title="D"), source="there", at=AT)
    admitted(db, "s", runs=2)
    admitted(db, "t", participant="q")
    add(db, ONE, "other", competition="d")
    end(db, "t-0", K.RUN_CANCELLED, Fault.PARTICIPANT)

    def listed(**which: Any) -> list[str]:
        return [f"{run.id} {whose.participant}" for run, whose in db.list_runs(**which)]

    assert listed() == ["s-0 p", "s-1 p", "t-0 q", f"{ONE[::-1]} p"]
    assert listed(competition="c", last=2) == ["s-1 p", "t-0 q"]
    assert listed(submission="s") == ["s-0 p", "s-1 p"]
    assert listed(statuses=[Status.CANCELLED]) == ["t-0 q"]
    assert listed(statuses=[]) == []
    db.delete_submission("t", at=AT)
    assert listed(competition="c") == ["s-0 p", "s-1 p"]
    assert listed(submission="t") == ["t-0 q"]
