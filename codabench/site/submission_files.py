"""The files of a submission, each for whom the phase does not hide it (platform.md sections 2.3 and 2.5)."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.core.competition import LeaderboardSpec
from codabench.core.records import Run, StepName
from codabench.core.trees import BlobRef, TreeRef
from codabench.site import links
from codabench.site.actors import Actor
from codabench.site.facts import BoardFacts
from codabench.site.finding import FoundSubmission
from codabench.site.policy import Action

if TYPE_CHECKING:
    from codabench.site.site import Site


class FileTicket(NamedTuple):
    """A file that may be downloaded by whoever gets a link to it.

    Attributes
    ----------
    what
        What such a link stands for; `Links.url` makes one of it.
    """

    name: str
    size: int
    what: dict[str, Any]


class Details(NamedTuple):
    """Files and logs of a submission.

    Attributes
    ----------
    logs
        By the names that clients know: ``scoring_stdout``. Of a parent none: its children have them.
    leaderboards
        Those of the competition that the actor may see.
    """

    data_file: FileTicket | None
    prediction_result: FileTicket | None
    scoring_result: FileTicket | None
    detailed_result: FileTicket | None
    logs: tuple[tuple[str, FileTicket], ...]
    leaderboards: tuple[LeaderboardSpec, ...]
    fact_sheet: dict[str, Any] | None


def details_of(site: Site, actor: Actor, found: FoundSubmission) -> Details:
    """What the actor gets, who may ask for details."""

    def if_allowed(action: Action, ticket: FileTicket | None) -> FileTicket | None:
        return ticket if site.policy.allows(actor, action, found.facts) else None

    # What somebody deleted may be gone from the storage at any time.
    run = found.run if found.submission.deleted_at is None else None
    logs = logs_of(run) if run and site.policy.allows(actor, Action.SUBMISSION_LOGS, found.facts) else ()
    visible = (
        board
        for board in found.found.spec.ranking
        if site.policy.allows(actor, Action.BOARD_READ, BoardFacts(found.found.facts, hidden=board.hidden))
    )
    return Details(
        data_file=data_file(found),
        prediction_result=if_allowed(Action.SUBMISSION_PREDICTION_OUTPUT, output_of(run, "prediction")),
        scoring_result=if_allowed(Action.SUBMISSION_SCORING_OUTPUT, output_of(run, "scoring")),
        detailed_result=if_allowed(Action.SUBMISSION_DETAILED_RESULT, page_of(site, found)),
        logs=logs,
        leaderboards=tuple(visible),
        fact_sheet=found.submission.fact_sheet,
    )


def data_file(found: FoundSubmission) -> FileTicket | None:
    """What was submitted; None: it was deleted."""
    if found.submission.deleted_at is not None:
        return None
    dataset, name, size = found.posted.dataset, found.posting.file_name, found.posting.size
    if dataset is not None and name is not None and size is not None:
        return FileTicket(name, size, {"dataset": dataset, "name": name})
    return _ticket(found.submission.tree, posixpath.basename(found.submission.name) or "submission.zip")


def output_of(run: Run | None, step: StepName) -> FileTicket | None:
    """What a step left; None: nothing, or it did not take place."""
    done = run.outcome.step(step) if run is not None and run.outcome else None
    if done is None or done.output is None:
        return None
    return _ticket(done.output, f"{step}_result.zip")


def page_of(site: Site, found: FoundSubmission) -> FileTicket | None:
    """The page that the scoring program wrote; while it runs in this process, the one that it wrote last."""
    run = found.run if found.submission.deleted_at is None else None
    if run is None:
        return None
    feed = site.workspace.live(run.id)
    page = run.outcome.detailed_results if run.outcome else feed.page if feed else None
    return None if page is None else _ticket(page, "detailed_results.html")


def logs_of(run: Run) -> tuple[tuple[str, FileTicket], ...]:
    """What its programs printed, by the name of the log."""
    steps = run.outcome.steps if run.outcome else ()
    return tuple((log.name, _ticket(log.blob, f"{log.name}.txt")) for step in steps for log in step.logs)


def _ticket(ref: BlobRef | TreeRef, name: str) -> FileTicket:
    return FileTicket(name, ref.size, links.file(ref, name))
