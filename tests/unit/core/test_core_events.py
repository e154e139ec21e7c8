"""The table of transitions as properties, and the status of a submission."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.errors import StateError
from codabench.core.events import TRANSITIONS, EventKind, StatusEvent, fold, next_status, submission_status
from codabench.core.records import Status

AT = datetime(2026, 1, 1, tzinfo=UTC)


@st.composite
def histories(draw: st.DrawFn) -> list[StatusEvent]:
    """Legal histories: at each step one of the events that the table allows."""
    status: Status | None = None
    events: list[StatusEvent] = []
    for number in range(1, draw(st.integers(0, 25)) + 1):
        allowed = [kind for before, kind in TRANSITIONS if before is status]
        if not allowed:
            break
        kind = draw(st.sampled_from(allowed))
        status = TRANSITIONS[status, kind]
        events.append(StatusEvent(run="r", sequence=number, kind=kind, at=AT + timedelta(seconds=number)))
    return events


@given(histories())
def test_a_legal_history_folds_step_by_step(events: list[StatusEvent]) -> None:
    status: Status | None = None
    for event in events:
        status = next_status(status, event.kind)
    assert fold(events) is status


@given(histories())
def test_a_run_ends_once(events: list[StatusEvent]) -> None:
    final = [fold(events[: n + 1]) for n in range(len(events))]
    assert all(not s.is_final for s in final[:-1] if s)


@pytest.mark.parametrize("kind", EventKind)
@pytest.mark.parametrize("status", [s for s in Status if s.is_final])
def test_final_statuses_have_no_way_out(status: Status, kind: EventKind) -> None:
    with pytest.raises(StateError, match=f"{status} cannot take the event {kind}"):
        next_status(status, kind)


def test_what_the_table_does_not_have_is_refused() -> None:
    for before, kind in product([None, *Status], EventKind):
        if (before, kind) not in TRANSITIONS:
            with pytest.raises(StateError):
                next_status(before, kind)


@pytest.mark.parametrize("start", [s for s in Status if not s.is_final])
def test_every_status_is_reached_and_reaches_each_end(start: Status) -> None:
    def reachable(statuses: set[Status | None]) -> set[Status | None]:
        more = statuses | {after for (before, _), after in TRANSITIONS.items() if before in statuses}
        return statuses if more == statuses else reachable(more)

    assert start in reachable({None})
    assert {Status.FINISHED, Status.FAILED, Status.CANCELLED} <= reachable({start})


def test_a_lost_attempt_lets_the_run_wait_again() -> None:
    for status in (Status.PREPARING, Status.RUNNING, Status.SCORING):
        assert next_status(status, EventKind.ATTEMPT_LOST) is Status.SUBMITTED


S = Status


@pytest.mark.parametrize(
    ("runs", "status", "incomplete"),
    [
        ([], S.SUBMITTING, False),
        ([S.FINISHED], S.FINISHED, False),
        ([S.FINISHED, S.FINISHED], S.FINISHED, False),
        ([S.FINISHED, S.FAILED], S.FINISHED, True),
        ([S.FINISHED, S.CANCELLED], S.FINISHED, True),
        ([S.FAILED, S.FAILED], S.FAILED, False),
        ([S.FAILED, S.CANCELLED], S.FAILED, False),
        ([S.CANCELLED, S.CANCELLED], S.CANCELLED, False),
        ([S.SUBMITTED, S.SUBMITTED], S.SUBMITTED, False),
        ([S.SUBMITTING, S.SUBMITTED], S.SUBMITTED, False),
        ([S.SUBMITTING], S.SUBMITTING, False),
        ([S.SUBMITTED, S.FINISHED], S.RUNNING, False),
        ([S.SUBMITTED, S.FAILED], S.RUNNING, False),
        ([S.PREPARING, S.FINISHED], S.PREPARING, False),
        ([S.RUNNING, S.PREPARING], S.RUNNING, False),
        ([S.SCORING, S.RUNNING], S.SCORING, False),
    ],
)
def test_status_of_a_submission(runs: list[Status], status: Status, incomplete: bool) -> None:
    assert submission_status(runs) == (status, incomplete)


@given(st.lists(st.sampled_from(Status), min_size=1))
def test_a_submission_is_final_exactly_when_all_its_runs_are(runs: list[Status]) -> None:
    status, incomplete = submission_status(runs)
    assert status.is_final == all(r.is_final for r in runs)
    assert incomplete <= (status is Status.FINISHED)
    assert submission_status(list(reversed(runs))) == (status, incomplete)
