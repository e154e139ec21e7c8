"""What a site reads of submissions to list them: of runs as much as a row shows, and no logs or provenance."""

from __future__ import annotations

from datetime import datetime

from codabench.core.base import Record
from codabench.core.hosting import Posted
from codabench.core.problems import Fault, Problem
from codabench.core.records import Status, Submission


class RunBrief(Record):
    """A run of a submission as lists show it.

    Attributes
    ----------
    scores
        That count: what its scoring program wrote, but where an organizer set a number.
    problem
        Why it failed.
    started_at
        When the attempt began that counts.
    """

    id: str
    submission: str
    task: int | str
    position: int
    status: Status
    scores: dict[str, float] = {}
    problem: Problem | None = None
    fault: Fault | None = None
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Posting(Record):
    """A submission with what a site knows of it.

    Attributes
    ----------
    file_name, size
        Of the data set that was submitted; None: there is none any more.
    """

    submission: Submission
    posted: Posted
    file_name: str | None = None
    size: int | None = None
