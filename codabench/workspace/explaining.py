"""Where a run stands, since when, why, and what comes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from codabench.core.base import Record
from codabench.core.events import EventKind, StatusEvent
from codabench.core.problems import Fault
from codabench.core.records import Attempt, Run, Status
from codabench.core.text import human_size, plural, preformatted, printable, span
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.endings import DEADLY, NO_PLACE, NO_ROOM, losses
from codabench.workspace.holding import is_dead, shown

if TYPE_CHECKING:
    from codabench.core.live import PullProgressed
    from codabench.workspace.workspace import Workspace

_COUNTS = {
    Fault.PARTICIPANT: "it counts against the limits of the phase",
    Fault.ORGANIZER: "the organizer of the competition has to act; it counts like any other submission",
    Fault.OPERATOR: "the machine failed, not the submission; run it again",
}


class Explanation(Record):
    """What to tell somebody who asks what a run is doing.

    Attributes
    ----------
    since
        When it came to that status, in UTC.
    why
        What it waits for, does, or came to.
    next
        What happens by itself, or what to do.
    """

    status: Status
    since: datetime
    why: str
    next: str

    def __str__(self) -> str:
        ago = span((utc_now() - self.since).total_seconds())
        head = f"{self.status.value}  since {self.since:%Y-%m-%d %H:%M:%S} UTC ({ago})"
        return "\n".join([head, f"why   {self.why}", f"next  {self.next}"])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self), "cb-explanation")


def explain(workspace: Workspace, id: str) -> Explanation:
    """Where a run stands; see `RunHandle.explain`."""
    run, history = workspace.db.run(id), workspace.db.events(id)
    why, then = told(workspace, run, history)
    if run.attempt is not None and not run.status.is_final:
        why += _driven(workspace, run, history)
    return Explanation(status=run.status, since=since_of(history), why=why, next=then)


def told(workspace: Workspace, run: Run, history: list[StatusEvent]) -> tuple[str, str]:
    """Why a run stands where it stands, and what comes next; whoever drives it."""
    return _SAID[run.status](workspace, run, history)


def since_of(history: list[StatusEvent]) -> datetime:
    """When the last status began: events that change nothing come after that."""
    from codabench.workspace.live import statuses

    return statuses(history)[-1].at


# ---------------------------------------------------------------------- before it runs
def _waits(workspace: Workspace, run: Run, history: list[StatusEvent]) -> tuple[str, str]:
    now = workspace.db.now()
    drivers = [shown(holder) for holder in workspace.db.present(now)]
    before = workspace.db.waiting_before(run.id)
    place = f"{plural(before, 'run')} of this workspace {'is' if before == 1 else 'are'} before it"
    lost = losses(history, *DEADLY)
    again = f"; {plural(lost, 'attempt')} at it {'was' if lost == 1 else 'were'} lost" if lost else ""
    if run.cancel_reason is not None:
        return f"it is being cancelled: {run.cancel_reason}", "nothing"
    if run.pinned is not None:
        who = shown(run.pinned)
        return f"only the process {who} can carry it out; {place}{again}", f"it starts when {who} has a free slot"
    if run.not_before is not None and run.not_before > now:
        left = span((run.not_before - now).total_seconds())
        return f"it is tried again in {left}{again}{_not_reached(history)}", "it starts by itself after that"
    if not drivers:
        then = "it starts when a process waits for a run of it, or with: codabench dispatch"
        return f"no process drives this workspace; {place}{again}", then
    those = f"{', '.join(drivers)} {'drives' if len(drivers) == 1 else 'drive'} this workspace"
    return f"{place}{again}{_not_reached(history)}; {those}", "it starts by itself when a slot is free"


def _not_reached(history: list[StatusEvent]) -> str:
    """That a process had it and does not reach its backend."""
    given = [e for e in history if e.kind is EventKind.ATTEMPT_LOST and e.data.get("why") in (NO_PLACE, NO_ROOM)]
    return f"; a process could not carry it out: {printable(str(given[-1].data.get('error')))}" if given else ""


def _held(workspace: Workspace, run: Run, history: list[StatusEvent]) -> tuple[str, str]:
    return "it was submitted and is held back", "somebody has to start it"


def _driven(workspace: Workspace, run: Run, history: list[StatusEvent]) -> str:
    """Where, if that is a worker of a cluster, and by whom, if that is another process."""
    worker = next((e.data["worker"] for e in reversed(history) if e.attempt == run.attempt and "worker" in e.data), "")
    where = f" on the worker {printable(str(worker))}" if worker else ""
    attempt = next((a for a in workspace.db.attempts(run.id) if a.id == run.attempt), None)
    if attempt is None or attempt.holder is None or workspace.drives(attempt.holder):
        return where
    now = workspace.db.now()
    return f"{where}; {shown(attempt.holder)} drives it{driver_left(attempt, now)}"


def driver_left(attempt: Attempt, now: datetime) -> str:
    """That the process which drives an attempt is not there any more, or was not heard of in time; else nothing."""
    if is_dead(attempt.holder):
        return ", which has died: another process takes it over"
    if attempt.expires_at is not None and attempt.expires_at <= now:
        heard = attempt.heartbeat_at or attempt.started_at
        ago = span((now - heard).total_seconds())
        return f", which was heard of {ago} ago: another process may take it over"
    return ""


def _prepares(workspace: Workspace, run: Run, history: list[StatusEvent]) -> tuple[str, str]:
    if workspace.waits_for_slot(run.id):
        return "it was handed to its backend, where no slot is free yet", "it begins by itself when one is"
    feed = workspace.live(run.id)
    pulls = [event for event in (feed.read(follow=False) if feed else ()) if event.type == "pull"]
    if pulls:
        last = pulls[-1]
        return f"the image {printable(last.image)} is being pulled{_progress(last)}", "its programs start after that"
    if feed is None:
        why = "a process has taken it: it waits for a free slot there, or its files and containers are made ready"
        return why, "its programs start after that"
    return "its files and containers are made ready", "its programs start after that"


def _progress(event: PullProgressed) -> str:
    if event.current and event.total:
        return f": {human_size(event.current)} of {human_size(event.total)}"
    return f": {printable(event.status)}" if event.status else ""


# ---------------------------------------------------------------------- while it runs
def _runs(workspace: Workspace, run: Run, history: list[StatusEvent]) -> tuple[str, str]:
    step = "prediction" if run.status is Status.RUNNING else "scoring"
    began = next(event.at for event in reversed(history) if event.kind.value == f"{step.title()}Started")
    ran = (utc_now() - began).total_seconds()
    if any(event.kind.value == f"{step.title()}Finished" for event in history if event.at >= began):
        return f"the programs of the {step} step have ended", "what they left is collected"
    limit = _limit(workspace, run)
    left = max(0.0, limit - ran)
    then = "then scoring" if step == "prediction" else "then it is ranked"
    why = f"the programs of the {step} step run for {span(ran)}; their limit is {span(limit)}"
    return why, f"they end by themselves, or are killed in {span(left)} at the latest; {then}"


def _limit(workspace: Workspace, run: Run) -> int:
    submission = workspace.db.submission(run.submission)
    phase = workspace.db.competition(submission.competition).phases[submission.phase]
    return submission.options.time_limit or phase.execution_time_limit


# ---------------------------------------------------------------------- at its end
def _ended(workspace: Workspace, run: Run, history: list[StatusEvent]) -> tuple[str, str]:
    outcome = run.outcome
    if run.status is Status.FINISHED:
        warnings = len(outcome.warnings) if outcome else 0
        said = f"; {plural(warnings, 'warning')}: see .warnings" if warnings else ""
        return f"it was scored{said}", "nothing: it is on the leaderboard as the rule of the board says"
    problem = outcome.problem if outcome else None
    if problem is None:
        return "nothing is known of its end", "look at .history()"
    advice = [problem.hint] if problem.hint else []
    if run.status is Status.FAILED and problem.fault:
        advice.append(_COUNTS[problem.fault])
    return f"{problem.message} [{problem.code}]", "; ".join(advice) or "submit it again, if it is still wanted"


_SAID: dict[Status, Callable[[Workspace, Run, list[StatusEvent]], tuple[str, str]]] = {
    Status.SUBMITTING: _held,
    Status.SUBMITTED: _waits,
    Status.PREPARING: _prepares,
    Status.RUNNING: _runs,
    Status.SCORING: _runs,
    Status.FINISHED: _ended,
    Status.FAILED: _ended,
    Status.CANCELLED: _ended,
}
