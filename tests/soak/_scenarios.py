"""What processes do when they are killed: small stories, each told by a process of its own.

A scenario is a function of (lab, workspace, competition, word): the word is new each time. What the library has
acknowledged to it, it writes down. It begins in a workspace in which every run is over.
"""

from __future__ import annotations

import contextlib
import random
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from _lab import ALLOWED, Lab

import codabench as cb
from codabench.core.errors import SubmissionRejected
from codabench.core.evaluations import BatchState

Scenario = Callable[[Lab, cb.Workspace, cb.Competition, str], None]


def submit_and_run(lab: Lab, ws: cb.Workspace, comp: cb.Competition, word: str) -> None:
    """One more submission than is allowed, and their runs."""
    made = []
    for _ in range(ALLOWED + 1):
        try:
            made.append(ws.submit(comp, lab.submission(word), participant=word))
        except SubmissionRejected:
            continue
        lab.acknowledge("submission", made[-1].id)
    for each in made:
        finished(lab, each)


def finished(lab: Lab, submission: Any) -> None:
    """Wait, and write down the scores that the caller sees."""
    for run in submission.wait().runs:
        if run.status == "Finished":
            lab.acknowledge("score", run.id, scores=run.scores)


def one_finished(lab: Lab, ws: cb.Workspace, comp: cb.Competition, word: str) -> Any:
    """A submission that has its score."""
    made = ws.submit(comp, lab.submission(word), participant=word)
    lab.acknowledge("submission", made.id)
    finished(lab, made)
    return made


def reevaluate_and_promote(lab: Lab, ws: cb.Workspace, comp: cb.Competition, word: str) -> None:
    """Another scoring program, the scores that it gives, and then they are on the board."""
    one_finished(lab, ws, comp, word)
    ws.revise(comp, 0, note=word, scoring_program=lab.scoring_program(word))
    batch = ws.reevaluate(comp, where={"participants": [word]}, note=word).execute(progress="none")
    lab.acknowledge("batch", batch.id, promoted=False)
    batch.promote(word)
    lab.acknowledge("batch", batch.id, promoted=True)


def rerun_and_delete(lab: Lab, ws: cb.Workspace, comp: cb.Competition, word: str) -> None:
    """Run a submission once more, and then list neither of them any more."""
    first = one_finished(lab, ws, comp, word)
    again = ws.rerun(first)
    lab.acknowledge("submission", again.id)
    finished(lab, again)
    for each, hard in ((first, True), (again, False)):
        ws.delete(each, hard=hard)
        lab.acknowledge("deleted", each.id)


def migrate(lab: Lab, ws: cb.Workspace, comp: cb.Competition, word: str) -> None:
    """Take what is on the board to the next phase; that happens once, and asked again it goes on where it was."""
    one_finished(lab, ws, comp, word)
    moved = ws.migrate(comp, "Two", leave_unfinished=True)
    for each in moved.submissions:
        lab.acknowledge("submission", each)
    lab.acknowledge("migrated", str(moved.phase))


def collect_and_back_up(lab: Lab, ws: cb.Workspace, comp: cb.Competition, word: str) -> None:
    """Remove what nobody needs, while nobody else writes, and copy the rest."""
    ws.storage.put(word.encode())
    ws.gc(dry_run=False, older_than=0)
    ws.backup(lab.backups / word)
    lab.acknowledge("backup", word)


SCENARIOS: tuple[Scenario, ...] = (submit_and_run, reevaluate_and_promote, rerun_and_delete, migrate)
ALONE: tuple[Scenario, ...] = (collect_and_back_up,)
"""Those that want nobody else to write."""


def told(scenario: Scenario) -> Callable[[Lab, str], None]:
    """A story from the opening of the workspace to its end."""

    def tell(lab: Lab, word: str) -> None:
        with opened(lab) as (ws, comp):
            scenario(lab, ws, comp, word)

    return tell


@contextlib.contextmanager
def opened(lab: Lab, **options: Any) -> Iterator[tuple[cb.Workspace, cb.Competition]]:
    """The workspace and its competition, which the first who comes adds from its bundle."""
    with lab.workspace(**options) as ws:
        known = list(ws.competitions())
        with ws.competition(known[0]) if known else cb.load(lab.bundle) as comp:
            yield ws, comp if known else ws.add(comp)


def recovered(lab: Lab, word: str = "") -> None:
    """What a process does that finds what others left: it carries everything to its end."""
    with lab.workspace() as ws:
        ws.dispatch(drain=True)
        for competition in ws.competitions():
            with ws.competition(competition) as comp:
                resumed(ws, comp)


def resumed(ws: cb.Workspace, comp: cb.Competition) -> None:
    """Go on with what was begun and not done."""
    for batch in ws.batches(comp):
        if batch.state in (BatchState.PLANNED, BatchState.RUNNING):
            batch.resume(progress="none")


# ---------------------------------------------------------------------- processes that go on and on
def dispatching(lab: Lab) -> None:
    """Carries out what is queued, until it is killed."""
    with lab.workspace() as ws:
        ws.dispatch()


def submitting(lab: Lab) -> None:
    """Tells one story after the other, and leaves the work to others."""
    draw = random.SystemRandom()  # a child begins with the state of its parent
    with opened(lab, dispatch=False) as (ws, comp):
        resumed(ws, comp)
        while True:
            draw.choice(SCENARIOS)(lab, ws, comp, f"w{uuid.uuid4().hex}")


class Story(NamedTuple):
    """What a process does that is to be killed.

    Attributes
    ----------
    before
        A story that another process told before, and the passing of a point at which it was killed.
    once
        It can be told only once in a workspace.
    """

    tell: Callable[[Lab, str], None]
    before: tuple[str, tuple[str, int]] | None = None
    once: bool = False


STORIES = {each.__name__: Story(told(each), once=each is migrate) for each in (*SCENARIOS, *ALONE)}
STORIES["takeover"] = Story(recovered, before=("submit_and_run", ("Runs.record: after its commit", 1)))
WITH_ENGINE = ("submit_and_run", "takeover")
"""Those in which containers are made."""
