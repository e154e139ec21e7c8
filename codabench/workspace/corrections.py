"""What people decide about submissions: numbers that they set, what stands on the board, what goes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from codabench.core.competition import CompetitionSpec, LeaderboardSpec
from codabench.core.errors import NotFound, StateError, UsageError
from codabench.core.problems import Fault
from codabench.core.records import BoardChoice, HandScore, Status
from codabench.core.text import did_you_mean, printable
from codabench.leaderboard.rules import refusal, refused_deletion
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.handles import SubmissionHandle

if TYPE_CHECKING:
    from codabench.leaderboard.standings import Standings
    from codabench.workspace.workspace import Workspace


def set_score(workspace: Workspace, id: str, key: str, value: float | None, *, note: str, by: str) -> HandScore:
    """What `Workspace.set_score` does."""
    run = workspace.db.run(id)
    if run.status is not Status.FINISHED or run.outcome is None:
        raise StateError(
            f"run {run.id} is {run.status.value}: only a finished one has scores",
            code="CB714",
            hint="wait for it, or run it again: codabench rerun",
        )
    spec = workspace.db.competition(workspace.db.submission(run.submission).competition)
    check_score(spec, run.outcome.scores, key, value)
    number = None if value is None else float(value)
    score = HandScore(run=run.id, key=key, value=number, by=by, note=note, at=utc_now())
    workspace.db.set_score(score)
    return score


def check_score(spec: CompetitionSpec, written: Mapping[str, float], key: str, value: Any) -> None:
    """See that a number can be set for a key.

    Raises
    ------
    NotFound
        No scoring program writes that column.
    UsageError
        It is no finite number.
    """
    keys = spec.written if spec.leaderboards else tuple(written)
    if key not in keys:
        computed = any(key == c.key for board in spec.ranking for c in board.columns)
        why = "it is computed from others" if computed else f"there are: {', '.join(map(printable, keys)) or 'none'}"
        guess = did_you_mean(key, list(keys))
        hint = f"did you mean {guess!r}?" if guess else "name the key of a column that scoring programs write"
        raise NotFound(f"{printable(key)!r} cannot be set by hand; {why}", hint=hint)
    number = not isinstance(value, bool) and isinstance(value, (int, float)) and math.isfinite(value)
    if value is not None and not number:
        raise UsageError(f"a score is a finite number, not {value!r:.60}", code="CB353", hint="None takes it back")


def choose(workspace: Workspace, submission: SubmissionHandle, shown: bool, *, by: str) -> None:
    """What `Workspace.choose` does."""
    _see_that_it_is_there(workspace, submission)
    boards = submission.competition.spec.ranking
    if not boards:
        why: str | None = "there is no leaderboard"
    else:
        with _standings(workspace, submission, boards[0]) as standings:
            eligible = standings.is_eligible(submission.id)
        # Whoever has the workspace is its operator.
        why = refusal(boards[0].submission_rule, shown=shown, role="operator", eligible=eligible)
    if why is not None:
        what = "put on the board" if shown else "taken off the board"
        raise StateError(f"submission {printable(submission.name)!r} cannot be {what}: {why}", code="CB714")
    workspace.db.choose(BoardChoice(submission=submission.id, shown=shown, by=by, at=utc_now()))


def delete(workspace: Workspace, submission: SubmissionHandle, *, hard: bool, cancel: bool) -> None:
    """What `Workspace.delete` does."""
    see_that_it_may_go(workspace, submission, hard=hard)
    if cancel:
        going = [run.id for run in workspace.db.runs_of(submission.id) if not run.status.is_final]
        workspace.cancel(going, "its submission is deleted", fault=Fault.ORGANIZER)
        workspace.wait(going, work=False)
    workspace.db.delete_submission(submission.id, at=utc_now(), kind="hard" if hard else "soft")


def see_that_it_may_go(workspace: Workspace, submission: SubmissionHandle, *, hard: bool) -> None:
    """See that a submission may be deleted (contract.md 5.5): what is on a board goes only for good.

    Raises
    ------
    StateError
        ``CB714``: it is on a board, or deleted already.
    """
    if hard:
        return
    _see_that_it_is_there(workspace, submission)
    if submission.competition.is_private:
        return  # its board lists whatever has finished
    for board in submission.competition.spec.ranking:
        with _standings(workspace, submission, board) as standings:
            why = refused_deletion(standings.is_on(submission.id), role="operator")
        if why is not None:
            message = f"submission {printable(submission.name)!r} cannot be deleted: {why}"
            raise StateError(message, code="CB714", hint="delete(hard=True), or codabench delete --hard")


def _see_that_it_is_there(workspace: Workspace, submission: SubmissionHandle) -> None:
    if workspace.db.submission(submission.id).deleted_at is not None:
        raise StateError(f"submission {printable(submission.name)!r} was deleted", code="CB714")


def _standings(
    workspace: Workspace, submission: SubmissionHandle, board: LeaderboardSpec
) -> AbstractContextManager[Standings]:
    """A board of the phase of a submission, as its rule says."""
    competition = submission.competition
    phase = competition.spec.phases[submission.record.phase]
    return workspace.boards.look(competition.id, phase, board, rule=board.submission_rule)
