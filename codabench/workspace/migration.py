"""Phases that begin with what stands on the board of the phase before (contract.md 4.16)."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from codabench.core.base import Record
from codabench.core.competition import CompetitionSpec, PhaseSpec
from codabench.core.errors import CodabenchError, UsageError
from codabench.core.events import EventKind
from codabench.core.records import Submission
from codabench.core.text import plural, preformatted, printable
from codabench.workspace import admission
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.repeating import copy_of, runs_of

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.workspace import Workspace

log = logging.getLogger("codabench.workspace")


class Migration(Record):
    """What was taken to a phase.

    Attributes
    ----------
    competition
        Its id.
    phase
        The place of the phase that got the submissions.
    submissions
        The ids of those that it got.
    waiting
        How many of the phase before are not over: nothing was taken yet, and it is to be tried again.
    """

    competition: str
    phase: int
    submissions: tuple[str, ...] = ()
    waiting: int = 0

    def __str__(self) -> str:
        if self.waiting:
            return f"phase {self.phase}: waits for {plural(self.waiting, 'submission')} of the phase before"
        return f"phase {self.phase}: {plural(len(self.submissions), 'submission')} of the phase before"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self), "cb-migration")


def due(spec: CompetitionSpec, migrated: Mapping[int, datetime], now: datetime) -> list[PhaseSpec]:
    """The phases that have begun, want the submissions of the phase before, and did not get them yet."""
    wanted = (phase for phase in spec.phases if phase.index and phase.auto_migrate_to_this_phase)
    return [phase for phase in wanted if phase.start <= now and phase.index not in migrated]


def migrate(workspace: Workspace, competition: Competition, phase: int | str, *, leave_unfinished: bool) -> Migration:
    """What `Workspace.migrate` does for one phase."""
    workspace._fresh(competition)
    target = admission.find_phase(competition.spec, phase)
    if target.index == 0:
        raise UsageError(f"no phase is before {printable(target.name)!r}", code="CB341", hint="name a later phase")
    if target.index in workspace.db.migrated(competition.id):
        return Migration(competition=competition.id, phase=target.index)
    going = _unfinished(workspace, competition.id, target.index - 1)
    if going and not leave_unfinished:
        return Migration(competition=competition.id, phase=target.index, waiting=going)
    shown = _on_board(workspace, competition, target.index - 1)
    made = [_taken(workspace, competition.spec, before, target).id for before in shown]
    # Last of all: whoever is stopped before this goes on where it was, because each copy has the id of its origin.
    workspace.db.mark_migrated(competition.id, target.index, at=utc_now())
    workspace._wake()
    return Migration(competition=competition.id, phase=target.index, submissions=tuple(made))


def tick(workspace: Workspace, now: datetime) -> list[Migration]:
    """What `Workspace.tick` does."""
    found = []
    for id, title in workspace.db.competitions():
        phases = due(workspace.db.competition(id), workspace.db.migrated(id), now)
        if not phases:
            continue
        try:
            competition = workspace.competition(id)
            found += [migrate(workspace, competition, phase.index, leave_unfinished=False) for phase in phases]
        except CodabenchError as error:
            # One competition that cannot be migrated keeps no other from it.
            log.error("the submissions to %s cannot be taken to their next phase: %s", title, error)
    return found


def _unfinished(workspace: Workspace, competition: str, phase: int) -> int:
    runs = workspace.db.runs(competition, phase)
    return len({run.submission for run in runs if not run.status.is_final})


def _on_board(workspace: Workspace, competition: Competition, phase: int) -> list[Submission]:
    """What stands on the board of a phase as its rule says, in the order in which it was submitted."""
    rows = workspace.leaderboard(competition, phase=phase, rule=True).rows
    shown = {row.submission for row in rows}
    return [each for each in workspace.db.submissions(competition.id, phase) if each.id in shown]


def _taken(workspace: Workspace, spec: CompetitionSpec, before: Submission, target: PhaseSpec) -> Submission:
    id = hashlib.sha256(f"migration\0{before.id}\0{target.index}".encode()).hexdigest()[:32]
    tasks = admission.find_tasks(spec, target, None)
    made = copy_of(before, target, tasks, kind="migration", id=id)
    runs = runs_of(workspace, made)
    return workspace.db.add_submission(made, runs, kind=EventKind.RUN_QUEUED, once=True)
