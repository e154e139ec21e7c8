"""The plan of one run: decided before anything starts, plain JSON, all that travels to where the run takes place."""

from __future__ import annotations

from codabench.core.base import Record
from codabench.core.competition import TaskSpec
from codabench.core.policy import Policy
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.records import Role, StepName
from codabench.core.trees import TreeRef
from codabench.runner.reuse import ReusedStep


class ProgramPlan(Record):
    """A program that a step starts.

    Attributes
    ----------
    role
        ``program`` (the submission, or the scorer) or ``ingestion``.
    commands
        As written; run one after the other, the first failure ends it.
    """

    role: Role
    commands: tuple[str, ...]


class StepPlan(Record):
    """One step.

    Attributes
    ----------
    programs
        Started together under one deadline. Empty: nothing runs, and what the submission holds is the result.
    copy_submission
        The files of the submission are put into the output first (contract.md 4.5, cases A, B and D).
    """

    name: StepName
    programs: tuple[ProgramPlan, ...] = ()
    copy_submission: bool = False

    def program(self, role: Role) -> ProgramPlan | None:
        """The program with that role, if it runs in this step."""
        return next((p for p in self.programs if p.role == role), None)


class SubmissionFacts(Record):
    """What the plan has to know of a submission (contract.md 4.5).

    Attributes
    ----------
    metadata
        The name of its metadata file, if it has one at its root.
    commands
        Its own commands, if the metadata gives any.
    wrapped_in
        The one folder that everything lies in, if so.
    packed_wrongly
        The folder seems to be there by mistake, as when a folder is compressed by a click.
    """

    metadata: str | None = None
    commands: tuple[str, ...] = ()
    wrapped_in: str | None = None
    packed_wrongly: bool = False


class StepsPlan(Record):
    """What decides what the steps of a run come to, but for the image.

    Attributes
    ----------
    trees
        By role of the data: ``submission``, ``ingestion_program``, ``scoring_program``, ``input_data``,
        ``reference_data``.
    """

    policy: Policy
    trees: dict[str, TreeRef]
    steps: tuple[StepPlan, StepPlan]

    def step(self, name: StepName) -> StepPlan:
        """The step of that name."""
        return self.steps[0 if name == "prediction" else 1]

    @property
    def during_scoring(self) -> bool:
        """Whether ingestion runs in the scoring step."""
        return self.steps[1].program("ingestion") is not None


class RunPlan(StepsPlan):
    """Everything that an attempt needs.

    Attributes
    ----------
    image
        Name as asked for; resolved to a digest once, where the run takes place.
    columns
        Keys that the scorer is expected to write.
    keep
        Leave the run directory where it is, to be looked at.
    scorer_metadata
        For messages: the scorer's metadata file.
    facts
        What was known of the submission: kept in the provenance, so that later plans need not open it again.
    reused
        A prediction step to start scoring from, if its digest is that of this run's. Else it is carried out.
    """

    run: str
    attempt: str
    token: str
    storage: str
    cache: str | None = None
    image: str
    pull: str = "missing"
    platform: str | None = None
    time_limit: int
    columns: tuple[str, ...]
    detailed_results: bool = False
    keep: bool = False
    warnings: tuple[Problem, ...] = ()
    scorer_metadata: str | None = None
    facts: SubmissionFacts = SubmissionFacts()
    reused: ReusedStep | None = None


def plan_steps(
    task: TaskSpec, submission: SubmissionFacts, *, results_only: bool
) -> tuple[tuple[StepPlan, StepPlan], tuple[Problem, ...]]:
    """The two steps of a run, by the decision table of contract.md 4.5, and what is worth a warning.

    Parameters
    ----------
    results_only
        The phase accepts results only: the prediction step is left out, and nothing of the submission is executed.
    """
    warnings: list[Problem] = []
    during = task.ingestion_only_during_scoring
    ingestion = task.ingestion_program
    in_prediction = ingestion is not None and not during and not results_only
    programs: list[ProgramPlan] = []
    if submission.wrapped_in and submission.packed_wrongly:
        warnings.append(_wrapped(submission.wrapped_in))
    if ingestion is not None and not results_only and not ingestion.commands:
        warnings.append(_not_run("ingestion", ingestion.metadata))
    if submission.commands and not results_only:
        programs.append(ProgramPlan(role="program", commands=submission.commands))
    if in_prediction and ingestion is not None and ingestion.commands:
        programs.append(ProgramPlan(role="ingestion", commands=ingestion.commands))
    copy = results_only or (not submission.commands and (submission.metadata is None or not in_prediction))
    if copy and submission.metadata and ingestion is None and not results_only:
        warnings.append(_metadata_without_command(submission.metadata))
    scoring: list[ProgramPlan] = []
    if task.scoring_program is not None and task.scoring_program.commands:
        scoring.append(ProgramPlan(role="program", commands=task.scoring_program.commands))
    if ingestion is not None and during and ingestion.commands:
        scoring.append(ProgramPlan(role="ingestion", commands=ingestion.commands))
    steps = (
        StepPlan(name="prediction", programs=tuple(programs), copy_submission=copy),
        StepPlan(name="scoring", programs=tuple(scoring)),
    )
    return steps, tuple(warnings)


def _not_run(what: str, metadata: str | None) -> Problem:
    lacking = f"its {metadata} has no command" if metadata else "it has no metadata file"
    return Problem(
        code="CB402",
        severity=Severity.WARNING,
        message=f"the {what} program was not run: {lacking}",
        hint="put a file metadata.yaml beside it: 'command: python3 program.py'",
        fault=Fault.ORGANIZER,
    )


def _wrapped(folder: str) -> Problem:
    return Problem(
        code="CB622",
        severity=Severity.WARNING,
        message=f"the whole submission lies in the folder {folder!r}: programs find it there, as on codabench.org",
        hint="zip the files themselves, not the folder",
        fault=Fault.PARTICIPANT,
    )


def _metadata_without_command(metadata: str) -> Problem:
    return Problem(
        code="CB621",
        severity=Severity.WARNING,
        message=f"the submission has {metadata} without a command and no ingestion program runs it: "
        "its files are taken as the result",
        hint="give a command to have it run, or leave the file out",
        fault=Fault.PARTICIPANT,
    )
