"""Submissions that are run and waited for, together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from codabench.core.errors import SubmissionRejected
from codabench.core.records import Status
from codabench.workspace.handles import SubmissionHandle
from codabench.workspace.planning import Submitted, opened_submission
from codabench.workspace.progress import Progress, follow

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


def look_at(competition: Competition, submissions: Sequence[Submitted]) -> None:
    """Before the first one starts: a bad archive costs nobody a run.

    Raises
    ------
    BundleError
        One of them cannot be read.
    """
    for submission in submissions:
        with opened_submission(competition, submission):
            pass


def run_all(
    competition: Competition,
    submissions: Sequence[Submitted],
    options: dict[str, Any],
    *,
    on_rejected: Callable[[int, SubmissionRejected], None] | None,
    progress: str | Progress,
) -> list[SubmissionHandle]:
    """Run submissions and wait for all of them; see `Competition.run_many`.

    Parameters
    ----------
    options
        Of `Workspace.submit`.
    """
    workspace = competition.workspace
    handles: list[SubmissionHandle] = []
    with follow(workspace, competition, progress) as shown:
        try:
            for number, submission in enumerate(submissions):
                try:
                    handle = workspace.submit(competition, submission, **options)
                except SubmissionRejected as error:
                    if on_rejected is None:
                        raise
                    on_rejected(number, error)
                    continue
                handles.append(handle)
                shown.added(handle)
            # What is held waits for somebody, and nobody waits for that.
            workspace.wait([r.id for h in handles for r in h.runs if r.status is not Status.SUBMITTING])
        except BaseException:
            # Ctrl-C, or a later submission that was refused: nothing is left running.
            ids = [r.id for h in handles for r in h.runs]
            workspace.cancel(ids, "interrupted")
            workspace.wait(ids, work=False)
            raise
    return handles
