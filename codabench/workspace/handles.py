"""`SubmissionHandle` and `RunHandle`: what happened to a submission, asked from the database at each look."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import indent
from typing import TYPE_CHECKING, Any

from codabench.core.competition import PhaseSpec, TaskSpec
from codabench.core.errors import EngineError, RunFailed, StorageError
from codabench.core.events import StatusEvent, submission_status
from codabench.core.live import AnyEvent
from codabench.core.policy import Policy
from codabench.core.problems import Fault, Problem
from codabench.core.records import HandScore, Outcome, Role, Run, Status, StepName, Submission, effective
from codabench.core.report import render_problem
from codabench.core.text import printable
from codabench.runner.inline import NAME as INLINE
from codabench.storage.sources import TreeSource
from codabench.workspace.logs import Logs

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.explaining import Explanation
    from codabench.workspace.progress import Progress
    from codabench.workspace.receipts import Receipt
    from codabench.workspace.workspace import Workspace


class RunHandle:
    """One task of one submission."""

    def __init__(self, workspace: Workspace, id: str, row: Run | None = None) -> None:
        self._workspace, self.id = workspace, id
        self._final = row if row is not None and row.status.is_final else None
        self._by_hand: list[HandScore] | None = None  # as last seen; None: never looked

    @property
    def record(self) -> Run:
        """The row as it is now; a final one is not asked for again."""
        return self._final or self.look()

    def look(self) -> Run:
        """The row as it is now; what is final is kept, and known also when the workspace is closed."""
        row = self._workspace.db.run(self.id)
        if row.status.is_final:
            self._final, self._by_hand = row, self._workspace.db.hand_scores_of(self.id)
        return row

    @property
    def status(self) -> Status:
        return self.record.status

    @property
    def outcome(self) -> Outcome | None:
        """What it came to; None until its status is final."""
        return self.record.outcome

    @property
    def scores(self) -> dict[str, float]:
        """Column key -> value that counts; what the scoring program wrote is in ``outcome.scores``."""
        outcome = self.outcome
        return effective(outcome.scores, self.by_hand) if outcome else {}

    @property
    def by_hand(self) -> list[HandScore]:
        """What was set by hand for it, oldest first; when the workspace is closed: as last seen."""
        if self.status is not Status.FINISHED:
            return []
        if self._by_hand is None or not self._workspace.db.closed:
            self._by_hand = self._workspace.db.hand_scores_of(self.id)
        return self._by_hand

    def set_score(self, key: str, value: float | None, *, note: str = "", by: str | None = None) -> HandScore:
        """Set a number by hand, or take it back; see `Workspace.set_score`."""
        return self._workspace.set_score(self, key, value, note=note, by=by)

    @property
    def problem(self) -> Problem | None:
        """Why it failed, root cause first."""
        return self.outcome.problem if self.outcome else None

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return self.outcome.warnings if self.outcome else ()

    @property
    def logs(self) -> Logs:
        """What its programs printed, by name; while it goes on in this process, what came so far."""
        feed = self._workspace.live(self.id)
        outcome = self.outcome
        return Logs(self._workspace, outcome, feed.logs() if feed is not None and outcome is None else None)

    def events(self, *, after: int = 0, follow: bool = True) -> Iterator[AnyEvent]:
        """What it reports: status, output, plots, messages, use of the machine, the page, each once and in order.

        A reader that comes late gets everything from the beginning; of a flood of output the beginning and the end.
        What another process drives is heard about a second later.

        Parameters
        ----------
        after
            The sequence number of the last event that is known already.
        follow
            Go on until the run is over; False: stop at what there is now.
        """
        return self._workspace.events(self.id, after=after, follow=follow)

    def watch(self, progress: str | Progress = "follow") -> RunHandle:
        """Show what it prints and how it stands until it is over; ``"follow"``: lines on standard error."""
        from codabench.workspace.progress import watch

        watch(self, progress)
        return self

    @property
    def seconds(self) -> float:
        """Wall clock of the whole attempt."""
        return self.outcome.seconds if self.outcome else 0.0

    @property
    def provenance(self) -> dict[str, Any]:
        """One portable record: image digest, tree digests, policy, engine, limits, host, versions."""
        return dict(self.outcome.provenance) if self.outcome else {}

    def receipt(self) -> Receipt:
        """What decided its scores, as one record that can be kept, given away and verified (docs/receipts.md).

        The scores are those that its scoring program wrote.

        Raises
        ------
        UsageError
            ``CB381``: it did not finish, or called functions of this process.
        """
        from codabench.workspace.issuing import receipt_of

        return receipt_of(self._workspace, self)

    @property
    def policy(self) -> Policy | None:
        """What held while it ran: what was asked for, as far as the worker granted it. None until it has ended."""
        kept = self.provenance.get("policy")
        return Policy.model_validate(kept) if kept else None

    @property
    def isolated(self) -> bool:
        """Whether its programs were programs of their own; a function that was called here (``inline``) is not."""
        engine = self.provenance.get("engine", {})
        return bool(engine.get("name") != INLINE)

    def exit_code(self, step: StepName, role: Role = "program") -> int | None:
        """Exit code of a program; None if it did not run, or was killed by us."""
        found = self.outcome.step(step) if self.outcome else None
        end = found.exits.get(role) if found else None
        return end.code if end else None

    def output(self, step: StepName = "scoring") -> TreeSource:
        """What a step left in ``/app/output``.

        Raises
        ------
        StorageError
            If the step did not take place.
        """
        found = self.outcome.step(step) if self.outcome else None
        if found is None or found.output is None:
            raise StorageError(f"run {self.id} has no output of its {step} step", code="CB705")
        return self._workspace.storage.open_tree(found.output)

    @property
    def detailed_results(self) -> str | None:
        """The scorer's page (HTML written by untrusted code: show it in a sandboxed frame only), or None.

        While the scoring program runs in this process: the page that it published last.
        """
        feed = self._workspace.live(self.id)
        blob = self.outcome.detailed_results if self.outcome else feed.page if feed else None
        return self._workspace.storage.get(blob).decode("utf-8", "replace") if blob else None

    def history(self) -> list[StatusEvent]:
        """Its status events."""
        return self._workspace.db.events(self.id)

    @property
    def worker(self) -> str:
        """The worker of a cluster that its last attempt has begun on; empty: on none, or on none that is known."""
        attempt = self.record.attempt
        said = [event.data.get("worker") for event in self.history() if event.attempt == attempt]
        return str(next((worker for worker in reversed(said) if worker), ""))

    def explain(self) -> Explanation:
        """Where it stands, since when, why, and what comes next."""
        from codabench.workspace.explaining import explain

        return explain(self._workspace, self.id)

    def cancel(self, reason: str = "cancelled") -> None:
        """Have it stopped, and return when it is gone."""
        self._workspace.cancel([self.id], reason)
        self._workspace.wait([self.id], work=False)

    def __repr__(self) -> str:
        written = self.outcome.scores if self.outcome else {}
        said = [f"{k} {v:g}{'' if v == written.get(k) else ' (set by hand)'}" for k, v in self.scores.items()]
        scores = "   ".join(said)
        text = f"Run {self.status.value}" + (f" in {self.seconds:.1f} s" if self.outcome else "")
        return "\n".join([f"{text}   {scores}".rstrip(), *_details(self)])

    def _repr_html_(self) -> str:
        from codabench.workspace.display import run_html

        return run_html(self)


class SubmissionHandle:
    """A submission and its runs, one for each task."""

    def __init__(self, workspace: Workspace, competition: Competition, record: Submission, runs: Iterable[Run]) -> None:
        self._workspace, self.competition, self.record = workspace, competition, record
        self.runs = [RunHandle(workspace, run.id, run) for run in runs]

    def showing(self, runs: Iterable[Run]) -> SubmissionHandle:
        """The same submission with these runs in the place of its own on the same tasks."""
        others = {run.task: run for run in runs}
        rows = [others.get(run.record.task, run.record) for run in self.runs]
        return SubmissionHandle(self._workspace, self.competition, self.record, rows)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def phase(self) -> PhaseSpec:
        return self.competition.spec.phases[self.record.phase]

    @property
    def tasks(self) -> list[TaskSpec]:
        """The tasks of `runs`, in their order."""
        return [self.competition.spec.task(t) for t in self.record.tasks]

    def files(self) -> TreeSource:
        """What was submitted.

        Raises
        ------
        StorageError
            It is not stored any more: the submission was deleted.
        """
        return self._workspace.storage.open_tree(self.record.tree)

    @property
    def status(self) -> Status:
        """Finished when every run finished, Failed when every run failed; a mixture is Finished and `incomplete`."""
        return submission_status(r.status for r in self.runs)[0]

    @property
    def incomplete(self) -> bool:
        """Finished, but not on every task."""
        return submission_status(r.status for r in self.runs)[1]

    @property
    def run(self) -> RunHandle:
        """The only run.

        Raises
        ------
        ValueError
            If there are several tasks.
        """
        if len(self.runs) != 1:
            raise ValueError(f"{self.name!r} has {len(self.runs)} runs, one for each task: use .runs")
        return self.runs[0]

    @property
    def logs(self) -> Logs:
        """The logs of the only run; see `run`."""
        return self.run.logs

    @property
    def scores(self) -> dict[str, float]:
        """Column key -> value of the leaderboard: with several tasks the mean over them, computed columns included.

        Without a leaderboard, that of a single task: what its scoring program wrote.
        """
        from codabench.workspace.leaderboard import row_of

        if not self.competition.spec.leaderboards:
            return self.run.scores
        row = row_of(self)
        return {k: v for k, v in row.scores.items() if v is not None} if row else {}

    @property
    def problem(self) -> Problem | None:
        """The first run's problem that is there."""
        return next((r.problem for r in self.runs if r.problem), None)

    def wait(self, timeout: float | None = None) -> SubmissionHandle:
        """Wait until every run has a final status.

        Raises
        ------
        TimeoutError
            If that takes longer than `timeout` seconds; the work goes on.
        """
        if not self._workspace.wait([r.id for r in self.runs], timeout):
            raise TimeoutError(f"{self.name!r} is {self.status.value} after {timeout} s")
        return self

    def cancel(self, reason: str = "cancelled") -> None:
        """Have every run stopped, and return when all are gone."""
        ids = [r.id for r in self.runs]
        self._workspace.cancel(ids, reason)
        self._workspace.wait(ids, work=False)

    def start(self) -> SubmissionHandle:
        """Queue it, if it is held; see `Workspace.start`."""
        return self._workspace.start(self)

    def rerun(self, **options: Any) -> SubmissionHandle:
        """Run it once more, as a new submission; see `Workspace.rerun`."""
        return self._workspace.rerun(self, **options)

    def delete(self, *, hard: bool = False, cancel: bool = False) -> None:
        """List it no more; see `Workspace.delete`."""
        self._workspace.delete(self, hard=hard, cancel=cancel)

    def raise_for_status(self) -> SubmissionHandle:
        """Raise `RunFailed` unless every run finished."""
        for run in self.runs:
            if run.status is not Status.FINISHED:
                why = run.problem.message if run.problem else run.status.value
                raise RunFailed(f"{self.name!r} did not finish: {why}", hint=run.problem.hint if run.problem else None)
        return self

    def raise_for_machine(self) -> SubmissionHandle:
        """Raise what made the machine fail, if it did: that is nobody's submission's fault."""
        for run in self.runs:
            error = self._workspace.error_of(run.id)
            if isinstance(error, (EngineError, StorageError)) or (
                error is not None and run.problem is not None and run.problem.fault is Fault.OPERATOR
            ):
                raise error
        return self

    def __repr__(self) -> str:
        word = self.status.value + (" (incomplete)" if self.incomplete else "")
        lines = [f"Submission {printable(self.name)!r}  {word}  {self._scores_text()}".rstrip()]
        if len(self.runs) == 1:
            return "\n".join([*lines, *_details(self.run)])
        several = zip(self.tasks, self.runs, strict=True)
        return "\n".join([*lines, *(indent(f"{printable(task.name)}: {run!r}", "  ") for task, run in several)])

    def _scores_text(self) -> str:
        return "   ".join(f"{k} {v:g}" for k, v in self.scores.items()) if self.status is Status.FINISHED else ""

    def _repr_html_(self) -> str:
        from codabench.workspace.display import submission_html

        return submission_html(self)


def _details(run: RunHandle) -> list[str]:
    """Why it failed, and what is visible also where it finished."""
    problem = [render_problem(run.problem)] if run.problem else []
    return [*problem, *(indent(render_problem(warning), "  ") for warning in run.warnings)]
