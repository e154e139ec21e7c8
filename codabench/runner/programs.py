"""The programs of one step: their containers made ahead, run together under one deadline, watched, and judged."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from codabench.backends.backend import WorkHost
from codabench.backends.engine import Container, ContainerSpec, Deadline, Image, StopSignal
from codabench.core.problems import Problem
from codabench.core.records import Exit, ExitReason, Role, StepName
from codabench.runner import verdict
from codabench.runner.containers import container_spec, with_proxy
from codabench.runner.contract import command_line
from codabench.runner.layout import RunDirectory
from codabench.runner.logs import ProgramLog
from codabench.runner.plan import ProgramPlan, RunPlan
from codabench.runner.proxy import AllowListProxy
from codabench.runner.quota import Quota
from codabench.runner.watching import Watch


class StepPrograms:
    """The one or two programs of a step.

    Attributes
    ----------
    logs
        By role: what they print.
    watch
        Looks at them while they run.
    """

    def __init__(
        self,
        step: StepName,
        plan: RunPlan,
        host: WorkHost,
        directory: RunDirectory,
        image: Image,
        proxy: AllowListProxy | None,
    ) -> None:
        self._step, self._plan, self._host, self._image = step, plan, host, image
        self._directory, self._proxy = directory, proxy
        self._programs = plan.step(step).programs
        self._waiting: dict[Role, Container] = {}
        self._too_much: Problem | None = None
        # What ends the programs of this step only; what ends the run ends them, too.
        self._stop = StopSignal()
        self.logs = {p.role: ProgramLog(step, p.role, plan.policy.log_keep, host.emit) for p in self._programs}
        self.watch = Watch(step, self.logs, host.emit)

    def create(self) -> None:
        """Make the containers; their directories may still be filled."""
        for program in self._programs:
            self._waiting[program.role] = self._host.engine.create(self._spec(program.role, program.commands[0]))

    def discard(self) -> None:
        """Remove what was made and never started."""
        while self._waiting:
            self._waiting.popitem()[1].discard()

    def _spec(self, role: Role, command: str) -> ContainerSpec:
        argv = command_line(command, self._step, role)
        spec = container_spec(self._plan, self._directory, self._image, self._step, role, argv, self._host.local_data)
        return spec if self._proxy is None else with_proxy(spec, self._directory.path("proxy"))

    def run(self) -> dict[Role, Exit]:
        """Run them together under one deadline; return when every one of them is gone."""
        deadline, host = Deadline(self._plan.time_limit), self._host
        forget = host.stop.on_set(lambda: self._stop.set(host.stop.reason or "cancelled"))
        quota = Quota(self._directory.writable(self._step), self._plan.policy.limits, host.scratch)
        self.watch.quota(quota, self._stop)
        try:
            with self.watch:
                exits = self._run_all(deadline)
        finally:
            forget()
        if self.watch.too_much is None or host.stop.is_set():
            return exits
        self._too_much = verdict.wrote_too_much(self._step, self.watch.too_much, disk_full=quota.disk_full)
        return {role: _as_output_limit(end) for role, end in exits.items()}

    def _run_all(self, deadline: Deadline) -> dict[Role, Exit]:
        if len(self._programs) == 1:
            return {self._programs[0].role: self._run_one(self._programs[0], deadline)}
        with ThreadPoolExecutor(len(self._programs), thread_name_prefix="codabench-step") as pool:
            running = {p.role: pool.submit(self._run_one, p, deadline) for p in self._programs}
            return {role: future.result() for role, future in running.items()}

    def _run_one(self, program: ProgramPlan, deadline: Deadline) -> Exit:
        """The commands of a program in order; the first failure ends it."""
        log, container = self.logs[program.role], self._waiting.pop(program.role)
        try:
            self.watch.started(program.role, container)
            end = container.run(log, self._stop, deadline)
            seconds = end.seconds
            for command in program.commands[1:]:
                if not end.ok:
                    break
                container = self._host.engine.create(self._spec(program.role, command))
                self.watch.started(program.role, container)
                end = container.run(log, self._stop, deadline)
                seconds += end.seconds
        except BaseException:
            # The other program of the step may wait for this one, and the run is over anyway.
            self._host.stop.set("the engine failed")
            raise
        return end.model_copy(update={"seconds": seconds})

    def problem(self, role: Role, end: Exit) -> Problem | None:
        """What is wrong with the way a program ended; None if it ended well."""
        if end.reason is ExitReason.OUTPUT_LIMIT and self._too_much is not None:
            return self._too_much
        return verdict.exit_problem(self._plan, self._step, role, end, self.logs[role])


def _as_output_limit(end: Exit) -> Exit:
    """We stopped the step for what it wrote: the program that still ran did not end by itself."""
    return end.model_copy(update={"reason": ExitReason.OUTPUT_LIMIT}) if end.reason is ExitReason.CANCELLED else end
