"""`execute_run`: the function that travels. One plan to one outcome, both steps one after the other, on one host."""

from __future__ import annotations

import platform
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

from codabench.backends.backend import WorkHost
from codabench.backends.engine import Image
from codabench.core.errors import ArchiveError, Interrupted, StorageError
from codabench.core.policy import Network
from codabench.core.problems import Problem
from codabench.core.records import Exit, ExitReason, Outcome, Role, Status, StepName, StepResult, StepUsage
from codabench.core.trees import TreeRef
from codabench.runner import results, verdict
from codabench.runner.effective import effective_policy, not_enforced, refuse_registry
from codabench.runner.layout import RunDirectory
from codabench.runner.plan import RunPlan
from codabench.runner.programs import StepPrograms
from codabench.runner.provenance import provenance, step_digest
from codabench.runner.proxy import AllowListProxy
from codabench.runner.reuse import ReusedStep, no_reuse_note, reason_against, reuse_note
from codabench.storage.extract import full_disk
from codabench.storage.store import Storage

_KILLED = frozenset((ExitReason.TIMEOUT, ExitReason.OUT_OF_MEMORY, ExitReason.OUTPUT_LIMIT, ExitReason.CANCELLED))
"""Ends that fail a run whichever program came to them; an exit code of the ingestion program is a warning."""

_NO_ROOM = "CB707"

_storages: dict[tuple[str, str | None], Storage] = {}
_storages_lock = threading.Lock()


def execute_run(payload: dict[str, Any], host: WorkHost) -> dict[str, Any]:
    """Carry out a plan.

    Parameters
    ----------
    payload
        A `RunPlan` as JSON.
    host
        What this place gives: engine, scratch directory, stop signal, live events.

    Returns
    -------
    dict
        An `Outcome` as JSON; it has also been written to storage under (run, attempt).

    Raises
    ------
    EngineError, StorageError
        If the machine failed; a failed program is an outcome.
    """
    plan = RunPlan.model_validate(payload)
    storage = _storage(plan.storage, str(host.cache) if host.cache else plan.cache, host.cache_bytes)
    with full_disk(host.scratch):
        outcome = _Execution(plan, host, storage).run()
        result = outcome.model_dump(mode="json")
        storage.put_result(plan.run, plan.attempt, result)
    return result


def share_storage(storage: Storage) -> None:
    """Let the runs of this process use a storage as it was opened, with its credentials, which no plan holds."""
    with _storages_lock:
        _storages[storage.url, str(storage.cache)] = storage


def unshare_storage(storage: Storage) -> None:
    """End that."""
    with _storages_lock:
        _storages.pop((storage.url, str(storage.cache)), None)


def _storage(url: str, cache: str | None, cap: int | None) -> Storage:
    with _storages_lock:
        key = (url, cache)
        if key not in _storages:
            _storages[key] = Storage(url, cache=Path(cache) if cache else None, cap=cap)
        return _storages[key]


class _Execution:
    def __init__(self, plan: RunPlan, host: WorkHost, storage: Storage) -> None:
        self.plan, self.host, self.storage = plan, host, storage
        self.asked = plan.policy
        self.engine = host.engine
        self.began = time.monotonic()
        self.steps: list[StepResult] = []
        self.warnings: list[Problem] = list(plan.warnings)
        self.programs: dict[StepName, StepPrograms] = {}
        self.proxy: AllowListProxy | None = None

    def run(self) -> Outcome:
        plan = self.plan
        self._emit("preparing", image=plan.image)
        info = self.engine.probe()
        policy, notes = effective_policy(plan.policy, self.host, info)
        self.warnings += notes
        self.plan = plan = plan.model_copy(update={"policy": policy})
        owner = self.engine.file_owner(plan.policy.user)
        place = self.host.scratch / "runs" / plan.attempt
        enforced = info.enforced.get("read_only_mounts", True)
        self.directory = RunDirectory(place, plan, self.storage, owner, enforced=enforced)
        self.owner = owner
        if policy.network is Network.PROXY:
            self.proxy = AllowListProxy(place / "proxy", policy.hosts or ())
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="codabench-ahead") as ahead:
                resolved = ahead.submit(self._resolve)
                prepared = ahead.submit(self.directory.prepare, "scoring")
                if plan.reused is None:
                    self.directory.prepare("prediction")
                self.image = resolved.result()
                try:
                    return self._both_steps(ahead, prepared)
                except Interrupted as error:
                    # What ran before is kept: its logs say how far it came.
                    return self._outcome(verdict.cancelled(error.message))
        finally:
            # Whatever went wrong on the way: what was created and never started is not left behind.
            for programs in list(self.programs.values()):
                programs.discard()
            if self.proxy is not None:
                self.proxy.close()
            self.directory.release()
            if not plan.keep:
                self.directory.remove()

    def _resolve(self) -> Image:
        plan = self.plan
        pull: Any = plan.pull
        refuse_registry(plan.image, plan.policy)
        return self.engine.resolve(
            plan.image, pull=pull, platform=plan.platform, emit=self.host.emit, stop=self.host.stop
        )

    def _both_steps(self, ahead: ThreadPoolExecutor, prepared: Future[None]) -> Outcome:
        if self.plan.step("scoring").program("program") is None:
            return self._outcome(verdict.no_scoring_program(self.plan.scorer_metadata))
        if problem := verdict.unusable_command(self.plan):
            return self._outcome(problem)
        failed: Problem | None = None
        if not self.plan.step("prediction").programs:
            scoring = ahead.submit(self._created, "scoring")
            self._take_submission(prepared)
        elif (reused := self._reusable()) is not None:
            scoring = ahead.submit(self._created, "scoring")
            if not self._take_reused(reused, prepared):
                failed = self._prediction(self._created("prediction"), prepared)
        else:
            prediction = self._created("prediction")
            # The scoring containers are made while prediction runs: their directories are filled before they start.
            scoring = ahead.submit(self._created, "scoring")
            failed = self._prediction(prediction, prepared)
        if failed is not None:
            return self._outcome(failed)
        return self._scoring(scoring.result())

    def _created(self, step: StepName) -> StepPrograms:
        """The containers of a step, ready to start."""
        self.directory.prepare(step)
        made = self.programs[step] = StepPrograms(step, self.plan, self.host, self.directory, self.image, self.proxy)
        made.create()
        return made

    # ------------------------------------------------------------------ prediction
    def _take_submission(self, prepared: Future[None]) -> None:
        """Nothing runs: what the submission holds is the prediction result."""
        tree = self.plan.trees["submission"]
        prepared.result()
        self._go_on()
        self.storage.materialise(tree, self._received, owner=self.owner)
        self.warnings += results.place_metadata(self._received, {}, self.owner)
        self.steps.append(StepResult(name="prediction", output=tree, skipped=True))
        self._share_predictions()

    def _reusable(self) -> ReusedStep | None:
        """The step to reuse, if it is one that this run would come to."""
        offered = self.plan.reused
        if offered is None:
            return None
        digest = step_digest(self.plan, "prediction", self.image, self.engine.name)
        why = reason_against(offered.step, digest=digest, policy=self.plan.policy, mode=offered.mode)
        if why is None:
            return offered
        self.warnings.append(no_reuse_note(offered, why))
        return None

    def _take_reused(self, reused: ReusedStep, prepared: Future[None]) -> bool:
        """Put what an earlier attempt came to where the scorer finds it; False if storage lost it.

        What is stored is what the scorer was given then, ``metadata`` included: it sees the same bytes again.
        """
        prepared.result()
        self._go_on()
        step = reused.taken()
        try:
            self.storage.materialise(cast(TreeRef, step.output), self._received, owner=self.owner)
        except (ArchiveError, StorageError) as error:
            if error.code == _NO_ROOM:
                raise
            self.warnings.append(no_reuse_note(reused, error.message, damaged=True))
            return False
        self.warnings.append(reuse_note(reused))
        self.steps.append(step)
        self._share_predictions()
        return True

    def _prediction(self, programs: StepPrograms, prepared: Future[None]) -> Problem | None:
        self._emit("PredictionStarted", **self._place())
        began = time.monotonic()
        output = self.directory.path("prediction_output")
        if self.plan.step("prediction").copy_submission:
            self.storage.materialise(self.plan.trees["submission"], output, owner=self.owner)
        exits = programs.run()
        if problem := self._stopped("prediction", exits, began):
            return problem
        self.warnings += results.place_metadata(output, exits, self.owner)
        try:
            taken = results.collected(output, self.host.stop)
        except ArchiveError as error:
            self._finish("prediction", exits, None, began)
            return self._prediction_failed(exits) or verdict.refused_output("prediction", output, error)
        tree = None
        try:
            with taken as source:
                self.warnings += source.problems
                tree = self.storage.put_tree(source)
                prepared.result()
                results.copy_into(source, self._received, self.owner)
        finally:
            # Also where the run is cancelled meanwhile: the logs say how far it came.
            self._finish("prediction", exits, tree, began)
        self._share_predictions()
        return self._prediction_failed(exits)

    def _stopped(self, step: StepName, exits: dict[Role, Exit], began: float) -> Problem | None:
        """What a cancelled step comes to: nothing of its output is taken, which may be much."""
        if not self.host.stop.is_set():
            return None
        self._finish(step, exits, None, began)
        found = [self._exit_problem(step, role, end) for role, end in exits.items()]
        killed = next((problem for problem in found if problem and problem.code == verdict.CANCELLED), None)
        return killed or verdict.cancelled(f"cancelled: {self.host.stop.reason}")

    def _go_on(self) -> None:
        """Between two things that take long.

        Raises
        ------
        Interrupted
            If the run was cancelled.
        """
        if self.host.stop.is_set():
            raise Interrupted(f"cancelled: {self.host.stop.reason}")

    @property
    def _received(self) -> Path:
        """The scorer's ``/app/input/res``."""
        return self.directory.path("scoring_input") / "res"

    def _share_predictions(self) -> None:
        """Ingestion during scoring gets its own copy of the predictions: what it writes never reaches the scorer."""
        if self.plan.during_scoring:
            with results.collected(self._received, self.host.stop) as source:
                results.copy_into(source, self.directory.path("ingested_predictions"), self.owner)

    def _prediction_failed(self, exits: dict[Role, Exit]) -> Problem | None:
        """A failing submission fails the run; a failing ingestion program is a warning (section 7)."""
        found = {r: self._exit_problem("prediction", r, e) for r, e in exits.items()}
        own, ingestion = found.get("program"), found.get("ingestion")
        for role, problem in found.items():
            if problem is not None and exits[role].reason in _KILLED:
                return problem
        if own is not None:
            return own
        if ingestion is not None:
            copied = self.plan.step("prediction").copy_submission
            taken = "the files of the submission were scored as they are" if copied else "scoring went on"
            self.warnings.append(verdict.as_warning(ingestion, taken))
        return None

    # ------------------------------------------------------------------ scoring
    def _scoring(self, programs: StepPrograms) -> Outcome:
        self._emit("ScoringStarted", **self._place())
        began = time.monotonic()
        if self.plan.detailed_results:
            programs.watch.page(self.directory.path("scoring_output"), self.storage)
        exits = programs.run()
        if problem := self._stopped("scoring", exits, began):
            return self._outcome(problem)
        output = self.directory.path("scoring_output")
        self.warnings += results.place_metadata(output, exits, self.owner)
        try:
            taken = results.collected(output, self.host.stop)
        except ArchiveError as error:
            self._finish("scoring", exits, None, began)
            problem = self._exit_problem("scoring", "program", exits["program"])
            return self._outcome(problem or verdict.refused_output("scoring", output, error))
        with taken as source:
            self.warnings += source.problems
            tree = None
            try:
                tree = self.storage.put_tree(source)
            finally:
                self._finish("scoring", exits, tree, began)
            ingestion = exits.get("ingestion")
            if ingestion is not None and (late := self._exit_problem("scoring", "ingestion", ingestion)):
                if ingestion.reason in _KILLED - {ExitReason.OUT_OF_MEMORY}:
                    return self._outcome(late)
                self.warnings.append(verdict.as_warning(late, "scoring went on"))
            if problem := self._exit_problem("scoring", "program", exits["program"]):
                return self._outcome(self._root_cause(problem))
            found = results.read(source, self.plan, self.storage)
        self.warnings += found.scores.warnings
        if found.scores.problem:
            return self._outcome(self._root_cause(found.scores.problem), raw=found.scores.raw, page=found.page)
        self._emit("ScoresParsed")
        return self._outcome(None, scores=found.scores.scores, raw=found.scores.raw, page=found.page)

    def _root_cause(self, problem: Problem) -> Problem:
        """Where ingestion had failed before, that is why (section 7, non-zero exit in prediction)."""
        if problem.code == verdict.CANCELLED:
            return problem
        prediction = self._step("prediction")
        ingestion = prediction.exits.get("ingestion")
        failed = ingestion is not None and not ingestion.ok
        if ingestion is not None and failed and (earlier := self._exit_problem("prediction", "ingestion", ingestion)):
            self.warnings = [w for w in self.warnings if not w.message.startswith(earlier.message)]
            hint = f"then {problem.message}"
            return earlier.model_copy(update={"hint": f"{earlier.hint}; {hint}" if earlier.hint else hint})
        if self.plan.facts.wrapped_in:
            return verdict.wrapped_hint(problem, self.plan.facts.wrapped_in)
        return problem

    # ------------------------------------------------------------------ what comes out
    @property
    def _predictions(self) -> TreeRef | None:
        """What scoring starts from, once it is there."""
        return self.steps[0].output if self.steps else None

    def _exit_problem(self, step: StepName, role: Role, end: Exit) -> Problem | None:
        return self.programs[step].problem(role, end)

    def _finish(self, step: StepName, exits: dict[Role, Exit], output: Any, began: float) -> None:
        programs = self.programs[step]
        self.steps.append(
            StepResult(
                name=step,
                digest=step_digest(self.plan, step, self.image, self.engine.name, self._predictions),
                exits=exits,
                output=output,
                logs=tuple(record for role in exits for record in programs.logs[role].store(self.storage)),
                usage={role: StepUsage(**found.model_dump()) for role, found in programs.watch.usage.items()},
                seconds=time.monotonic() - began,
            )
        )
        finished = "PredictionFinished" if step == "prediction" else "ScoringFinished"
        self._emit(finished, exits={r: e.model_dump(mode="json") for r, e in exits.items()})

    def _step(self, name: StepName) -> StepResult:
        return next(s for s in self.steps if s.name == name)

    def _outcome(
        self, problem: Problem | None, *, scores: dict[str, float] | None = None, raw: Any = None, page: Any = None
    ) -> Outcome:
        info = self.engine.probe()
        self.warnings += not_enforced(info)
        if self.proxy is not None and self.proxy.refused:
            self.warnings.append(verdict.hosts_refused(self.proxy.refused))
        cancelled = problem is not None and problem.code == verdict.CANCELLED
        failed = Status.CANCELLED if cancelled else Status.FAILED
        return Outcome(
            status=failed if problem else Status.FINISHED,
            scores=scores or {},
            raw_scores=raw or {},
            problem=problem,
            warnings=tuple(self.warnings),
            steps=tuple(self.steps),
            detailed_results=page,
            provenance=provenance(self.plan, self.image, info, self.steps, platform.machine(), asked=self.asked),
            seconds=time.monotonic() - self.began,
        )

    def _place(self) -> dict[str, str]:
        """Where it takes place, for the history of the run."""
        return {"engine": self.engine.name} | ({"worker": self.host.name} if self.host.name else {})

    def _emit(self, event: str, **data: Any) -> None:
        self.host.emit({"type": "step", "event": event, "run": self.plan.run, "attempt": self.plan.attempt, **data})
