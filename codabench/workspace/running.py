"""Submissions that are run and waited for, together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from codabench.core.errors import SubmissionRejected
from codabench.core.records import Status
from codabench.workspace.handles import SubmissionHandle
from codabench.workspace.planning import Submitted, opened_submission
from codabench.workspace.progress import Progress, follow

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.workspace import Workspace


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
    wait: bool,
) -> list[SubmissionHandle]:
    """Run submissions and wait for all of them; see `Competition.run_many`.

    Parameters
    ----------
    options
        Of `Workspace.submit`.
    """
    workspace = competition.workspace
    handles: list[SubmissionHandle] = []
    with follow(workspace, progress if wait else "none") as shown, _nothing_left(workspace, handles):
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
        if wait:
            _wait(workspace, handles)
    return handles


def attend(workspace: Workspace, handles: Sequence[SubmissionHandle], progress: str | Progress = "auto") -> None:
    """Show progress of submissions until they are over; whoever interrupts that cancels them."""
    with follow(workspace, progress) as shown, _nothing_left(workspace, handles):
        for handle in handles:
            shown.added(handle)
        _wait(workspace, handles)


def _wait(workspace: Workspace, handles: Sequence[SubmissionHandle]) -> None:
    # What is held waits for somebody, and nobody waits for that.
    waited = [r for h in handles for r in h.runs if r.status is not Status.SUBMITTING]
    workspace.wait([r.id for r in waited])
    for run in waited:
        run.look()  # whoever closes the workspace next still has what came of it


@contextmanager
def _nothing_left(workspace: Workspace, handles: Sequence[SubmissionHandle]) -> Iterator[None]:
    """Cancel submissions where this block is interrupted, or a later one is refused in it."""
    try:
        yield
    except BaseException:
        ids = [r.id for h in handles for r in h.runs]
        workspace.cancel(ids, "interrupted")
        workspace.wait(ids, work=False)
        raise
