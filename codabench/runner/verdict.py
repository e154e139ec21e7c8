"""From how programs ended to what is reported: root cause first, whose fault, what to do (contract.md section 7)."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from pathlib import Path

from codabench.core.errors import ArchiveError, UsageError
from codabench.core.policy import Policy, User
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.records import Exit, ExitReason, Role, StepName
from codabench.core.text import human_size, printable
from codabench.runner.contract import INPUT_DATA, OUTPUT, PROGRAM, REFERENCE, SHARED, command_line
from codabench.runner.logs import ProgramLog
from codabench.runner.plan import RunPlan

CANCELLED = "CB615"
_FRAME = re.compile(r'File "(/app/[^"]+)"')
_IMPORT = ("ModuleNotFoundError", "ImportError", "AttributeError", "FileNotFoundError")
_READ_ONLY = re.compile(r"Read-only file system(?:: '([^'\n]*)')?")
_NETWORK = ("Network is unreachable", "Name or service not known", "Temporary failure in name resolution",
            "Could not resolve host", "getaddrinfo failed")  # fmt: skip


def program_name(step: StepName, role: Role) -> str:
    """How messages call a program."""
    if role == "ingestion":
        return "the ingestion program"
    return "the submission's program" if step == "prediction" else "the scoring program"


def exit_problem(plan: RunPlan, step: StepName, role: Role, end: Exit, log: ProgramLog) -> Problem | None:
    """What is wrong with the way a program ended; None if it ended well."""
    if end.ok:
        return None
    code, what = _what(plan, step, role, end, log)
    return Problem(
        code=code,
        severity=Severity.ERROR,
        message=what,
        hint=_hint(plan, log, end),
        fault=_fault(step, role, end, log),
    )


def _what(plan: RunPlan, step: StepName, role: Role, end: Exit, log: ProgramLog) -> tuple[str, str]:
    name = program_name(step, role)
    if end.reason is ExitReason.TIMEOUT:
        return "CB610", f"execution time limit exceeded in the {step} step: the limit was {plan.time_limit} seconds"
    if end.reason is ExitReason.OUT_OF_MEMORY:
        limit = plan.policy.limits.memory
        return "CB611", f"{name} ran out of memory" + (f" (the limit is {human_size(limit)})" if limit else "")
    if end.reason is ExitReason.CANCELLED:
        return CANCELLED, f"{name} was cancelled"
    if end.reason is ExitReason.NOT_STARTED:
        detail = f": {printable(end.detail)}" if end.detail else ""
        return "CB613", f"{name} could not be started (exit code {end.code}){detail}"
    last = log.stderr.last_lines(1)
    said = f": {printable(last[0].strip())[:200]}" if last and last[0].strip() else ""
    if end.code is not None and end.code > 128:
        return "CB614", f"{name} was ended by {_signal(end.code - 128)} (exit code {end.code}){said}"
    where = f" ({printable(end.detail)})" if end.detail else ""
    return "CB612", f"{name} exited with {end.code}{said}{where}"


def _signal(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _hint(plan: RunPlan, log: ProgramLog, end: Exit) -> str | None:
    text = "\n".join(log.stderr.last_lines(40))
    if end.reason is ExitReason.TIMEOUT:
        return "the limit is execution_time_limit of the phase; --timeout changes it for a local run"
    if end.reason is ExitReason.OUT_OF_MEMORY or end.code == 137:
        return "give it more with --memory, or make it need less"
    if any(sign in text for sign in _NETWORK) and plan.policy.network.value == "none":
        return "programs have no network by default; allow it with --network open"
    if re.search(r"No such file or directory: '/app/data(/|')", text):
        return "/app/data holds directories of a worker that were asked for: --local-data NAME=/path, or use input_data"
    if match := _READ_ONLY.search(text):
        return _read_only_hint(plan.policy, match[1] or "")
    if match := re.search(r"No module named '([^']+)'", text):
        if plan.policy.user is User.NOBODY and "Successfully installed" in "\n".join(log.stdout.last_lines(40)):
            return (
                "pip installs for a user who is not root where a program that runs already does not look: "
                "--policy trusted, or an image that has it"
            )
        return f"module {match[1]!r} is neither in the image {plan.image} nor among the files beside the program"
    if end.reason is ExitReason.NOT_STARTED:
        return f"is it in the image {plan.image}? The command is run without a shell"
    return None


def _read_only_hint(policy: Policy, path: str) -> str:
    if policy.name == "strict":
        return "the policy strict mounts programs read-only; use --policy standard for writable private copies"
    if path.startswith("/") and not path.startswith((INPUT_DATA, REFERENCE)):
        return (
            f"the policy {policy.name} keeps the image as it is: programs write to {OUTPUT}, {SHARED}, {PROGRAM} "
            "and /tmp; or anywhere, with --policy trusted"
        )
    return (
        f"the policy {policy.name} mounts input and reference data read-only; "
        "--policy trusted, or Policy(writable_inputs=True), gives private copies"
    )


def _fault(step: StepName, role: Role, end: Exit, log: ProgramLog) -> Fault:
    if end.fault is not None:
        return end.fault
    if end.reason is ExitReason.CANCELLED:
        return Fault.OPERATOR
    if end.reason is ExitReason.NOT_STARTED:
        return Fault.PARTICIPANT if (step, role) == ("prediction", "program") else Fault.ORGANIZER
    if (step, role) == ("prediction", "program"):
        return Fault.PARTICIPANT
    frames = _FRAME.findall("\n".join(log.stderr.last_lines(60)))
    if role == "ingestion":
        return _ingestion_fault(frames, log)
    return Fault.PARTICIPANT if "/app/input/res" in "\n".join(log.stderr.last_lines(60)) else Fault.ORGANIZER


def _ingestion_fault(frames: list[str], log: ProgramLog) -> Fault:
    """The organizer's only where it clearly died in its own code, before participant code could matter."""
    if not frames or any(f.startswith("/app/ingested_program") for f in frames):
        return Fault.PARTICIPANT
    last = (log.stderr.last_lines(1) or [""])[0]
    return Fault.PARTICIPANT if last.startswith(_IMPORT) else Fault.ORGANIZER


def as_warning(problem: Problem, consequence: str) -> Problem:
    """The same finding where it does not fail the run."""
    return problem.model_copy(update={"severity": Severity.WARNING, "message": f"{problem.message}; {consequence}"})


def unusable_command(plan: RunPlan) -> Problem | None:
    """A command that cannot be split into words; nothing is started then."""
    for step in plan.steps:
        for program in step.programs:
            for command in program.commands:
                try:
                    command_line(command, step.name, program.role)
                except UsageError as error:
                    own = (step.name, program.role) == ("prediction", "program")
                    return Problem(
                        code=error.code,
                        severity=Severity.ERROR,
                        message=f"{program_name(step.name, program.role)} cannot be started: {error.message}",
                        hint="close its quotes; there is no shell in between",
                        fault=Fault.PARTICIPANT if own else Fault.ORGANIZER,
                    )
    return None


def cancelled(message: str) -> Problem:
    """The run was cancelled where no program ran."""
    return Problem(code=CANCELLED, severity=Severity.ERROR, message=message, fault=Fault.OPERATOR)


def hosts_refused(refused: Mapping[str, int]) -> Problem:
    """What programs wanted to reach and the allow-list does not hold."""
    names = sorted(refused)
    shown = ", ".join(printable(name) for name in names[:5]) + (" and others" if len(names) > 5 else "")
    return Problem(
        code="CB664",
        severity=Severity.WARNING,
        message=f"programs tried to reach hosts that are not on the allow-list: {shown}",
        hint="--allow HOST allows one, as far as the worker grants it",
        fault=Fault.PARTICIPANT,
    )


def wrote_too_much(step: StepName, why: str, *, disk_full: bool) -> Problem:
    """The programs of a step were ended for what they wrote."""
    guilty = Fault.PARTICIPANT if step == "prediction" else Fault.ORGANIZER
    return Problem(
        code="CB616",
        severity=Severity.ERROR,
        message=f"the {step} step was ended: {why}",
        hint="make room on it, and run it again" if disk_full else "write less, or remove what is not needed any more",
        fault=Fault.OPERATOR if disk_full else guilty,
    )


def refused_output(step: StepName, directory: Path, error: ArchiveError) -> Problem:
    """What a program left is more than is taken: its own failure, not the machine's."""
    said = error.message.replace(str(directory), OUTPUT)
    return Problem(
        code="CB648",
        severity=Severity.ERROR,
        message=f"what the {step} step left cannot be taken: {said}",
        hint="write less; a file with holes counts as large as it seems",
        fault=Fault.PARTICIPANT if step == "prediction" else Fault.ORGANIZER,
    )


def no_scoring_program(metadata: str | None) -> Problem:
    """A task whose scoring program cannot be run."""
    lacking = f"its {metadata} has no command" if metadata else "it has no metadata file, so there is no command"
    return Problem(
        code="CB401",
        severity=Severity.ERROR,
        message=f"the scoring program cannot be run: {lacking}",
        hint="put a file metadata.yaml beside it: 'command: python3 score.py'",
        fault=Fault.ORGANIZER,
    )


def wrapped_hint(problem: Problem, folder: str) -> Problem:
    """Add the likeliest cause where everything in a submission lies in one folder."""
    hint = f"all files of the submission lie in one folder, {folder!r}: zip the files themselves, not the folder"
    return problem.model_copy(update={"hint": hint})
