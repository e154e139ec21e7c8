"""What happened: submissions, runs, attempts, steps, scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from codabench.core.base import Record
from codabench.core.policy import Policy
from codabench.core.problems import Fault, Problem
from codabench.core.trees import BlobRef, TreeRef


class Status(StrEnum):
    """Where a submission or a run stands; the words are Codabench's (contract.md 4.3)."""

    SUBMITTING = "Submitting"
    SUBMITTED = "Submitted"
    PREPARING = "Preparing"
    RUNNING = "Running"
    SCORING = "Scoring"
    FINISHED = "Finished"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Finished, Failed or Cancelled: never left again."""
        return self in (Status.FINISHED, Status.FAILED, Status.CANCELLED)


StepName = Literal["prediction", "scoring"]
Role = Literal["program", "ingestion"]


class ExitReason(StrEnum):
    """How a container ended."""

    EXITED = "exited"
    NOT_STARTED = "not_started"
    TIMEOUT = "timeout"
    OUT_OF_MEMORY = "out_of_memory"
    OUTPUT_LIMIT = "output_limit"
    CANCELLED = "cancelled"


class Exit(Record):
    """How one program of a step ended.

    Attributes
    ----------
    code
        Exit code; 128 + n for signal n; 126 or 127 with ``not_started`` where the command cannot be executed or is not
        there; None where the program was killed by us.
    seconds
        Wall clock from start to end.
    detail
        The engine's words where it could not start the program, or where in it something went wrong.
    fault
        Whose code failed, where the engine can tell.
    """

    reason: ExitReason
    code: int | None = None
    seconds: float = 0.0
    detail: str | None = None
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        """It ended by itself with exit code 0."""
        return self.reason is ExitReason.EXITED and self.code == 0


class LogRecord(Record):
    """One stream of one program: what was kept, and how much there was."""

    name: str
    blob: BlobRef
    total: int
    truncated: bool = False


class StepUsage(Record):
    """What a program used, as far as samples saw: nothing is known of one that ended within a second.

    Attributes
    ----------
    cpu_seconds
        At the last sample.
    memory
        Bytes, the most of any sample.
    """

    cpu_seconds: float
    memory: int


class StepResult(Record):
    """What one step came to.

    Attributes
    ----------
    exits
        By role; a role that did not run is absent.
    output
        What was in ``/app/output``, as stored.
    digest
        Of everything that decides the outcome (architecture.md section 2).
    reused_from
        The attempt whose result this is; None where the step was carried out.
    """

    name: StepName
    digest: str = ""
    exits: dict[Role, Exit] = {}
    output: TreeRef | None = None
    logs: tuple[LogRecord, ...] = ()
    usage: dict[Role, StepUsage] = {}
    seconds: float = 0.0
    skipped: bool = False
    reused_from: str | None = None


class Outcome(Record):
    """What an attempt came to: a value also when the program failed.

    Attributes
    ----------
    scores
        Columns of the leaderboard only; `raw_scores` is the whole scores file.
    problem
        Why it failed, root cause first; `warnings` are visible also on a finished run.
    events
        What it reported while it went on, as JSON lines; the bytes of its logs are where logs are.
    provenance
        One portable JSON record: image digest, tree digests, policy, engine, host, versions.
    """

    status: Status
    scores: dict[str, float] = {}
    raw_scores: dict[str, Any] = {}
    problem: Problem | None = None
    warnings: tuple[Problem, ...] = ()
    steps: tuple[StepResult, ...] = ()
    detailed_results: BlobRef | None = None
    events: BlobRef | None = None
    provenance: dict[str, Any] = {}
    seconds: float = 0.0

    def step(self, name: StepName) -> StepResult | None:
        """The step of that name, if it took place."""
        return next((s for s in self.steps if s.name == name), None)

    def stored(self) -> Iterator[TreeRef | BlobRef]:
        """All that storage keeps of it."""
        for step in self.steps:
            if step.output is not None:
                yield step.output
            yield from (log.blob for log in step.logs)
        yield from (blob for blob in (self.detailed_results, self.events) if blob is not None)


class RunOptions(Record):
    """How the runs of a submission are carried out, where it differs from what the bundle says.

    Attributes
    ----------
    image
        Instead of the competition's image.
    time_limit
        Seconds for each step, instead of the phase's.
    keep
        Leave run directories where they are.
    """

    policy: Policy = Policy()
    image: str | None = None
    pull: Literal["missing", "always", "never"] = "missing"
    platform: str | None = None
    time_limit: int | None = None
    keep: bool = False


class Submission(Record):
    """A submission as it was admitted.

    Attributes
    ----------
    number
        Counts the submissions of a participant to a competition from 1.
    deleted_at
        Since when it is not listed any more, and its files may go.
    deletion
        A soft deletion still counts against limits, a hard one does not.
    origin, origin_kind
        The submission that this one repeats (``rerun``; ``aside``: and no board takes it), or was made of when its
        phase ended (``migration``).
    """

    id: str
    competition: str
    phase: int
    name: str
    participant: str
    tree: TreeRef
    created_at: datetime
    tasks: tuple[int | str, ...] = ()
    fact_sheet: dict[str, Any] | None = None
    options: RunOptions = RunOptions()
    number: int = 1
    deleted_at: datetime | None = None
    deletion: Literal["soft", "hard"] | None = None
    origin: str | None = None
    origin_kind: Literal["rerun", "aside", "migration"] | None = None


class Run(Record):
    """One task of one submission.

    Attributes
    ----------
    sequence
        Number of its last status event.
    attempt
        The attempt that counts; None while it waits.
    revision
        Which revision of the task it is of.
    priority
        A larger one is taken first, whoever waits.
    scoring_only
        Its prediction is known already: such runs are short and are taken first.
    shown
        Boards show it: of the runs of one submission on one task, one.
    backend
        The word or URL it was submitted with, or what else JSON can say; None: the workspace's own.
    pinned
        The only holder that can carry it out, because what it needs lives in that process.
    batch
        The re-evaluation it belongs to.
    fault
        Whose fault it was, if it failed or was cancelled.
    cancel_reason, cancel_fault
        That somebody wants it cancelled, and who; its holder has not done it yet.
    not_before
        Not to be taken earlier.
    finished_at
        Since when its status is final.
    """

    id: str
    submission: str
    task: int | str
    position: int
    status: Status = Status.SUBMITTED
    sequence: int = 0
    created_at: datetime
    attempt: str | None = None
    outcome: Outcome | None = None
    revision: int = 1
    priority: int = 0
    scoring_only: bool = False
    shown: bool = True
    backend: Any = None
    pinned: str | None = None
    batch: str | None = None
    fault: Fault | None = None
    cancel_reason: str | None = None
    cancel_fault: Fault | None = None
    not_before: datetime | None = None
    finished_at: datetime | None = None


class Attempt(Record):
    """One try at a run. Its token decides whether its result counts.

    Attributes
    ----------
    number
        Counts the attempts at the run from 1.
    holder
        Which dispatcher drives it.
    expires_at
        When others may take the run over, unless its holder is heard of before; None: at once.
    heartbeat_at
        When its holder was heard of last.
    """

    id: str
    run: str
    number: int
    token: str
    started_at: datetime
    holder: str | None = None
    expires_at: datetime | None = None
    heartbeat_at: datetime | None = None


class StepRecord(Record):
    """What a step of an attempt came to, as it is found again by its digest.

    Attributes
    ----------
    ok
        Every program of the step ended by itself with exit code 0.
    reused_from
        The attempt whose result it is, if it was not carried out.
    """

    run: str
    attempt: str
    name: StepName
    digest: str
    ok: bool
    output: TreeRef | None = None
    seconds: float = 0.0
    reused_from: str | None = None


class HandScore(Record):
    """A number that an organizer set for a run; None takes back what was set."""

    run: str
    key: str
    value: float | None
    by: str
    note: str
    at: datetime


def effective(written: Mapping[str, float], by_hand: Iterable[HandScore]) -> dict[str, float]:
    """The scores of a run that count: what its scoring program wrote, but where somebody set a number.

    Parameters
    ----------
    by_hand
        Oldest first; the last for a key holds, and None takes back what was set before.
    """
    last = {score.key: score.value for score in by_hand}
    return {**written, **{key: value for key, value in last.items() if value is not None}}


class BoardChoice(Record):
    """Somebody put a submission on the board, or took it off."""

    submission: str
    shown: bool
    by: str
    at: datetime


UNCOUNTED = frozenset(
    [(Status.FAILED, Fault.OPERATOR), (Status.CANCELLED, Fault.OPERATOR), (Status.CANCELLED, Fault.ORGANIZER)]
)
"""How a run ended, and by whose fault, where it does not count against the limits of its participant (contract.md
section 7, "whose fault")."""
