"""What a bundle says: specs of a competition (contract.md section 1).

Specs name files by their path inside the bundle; they hold no files. Times are timezone-aware and in UTC.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from codabench.core.base import Record

DEFAULT_IMAGE = "codalab/codalab-legacy:py37"
"""The image of a bundle that names none (contract.md appendix B)."""


class SubmissionRule(StrEnum):
    """How submissions come to stand on the leaderboard (contract.md 5.5)."""

    ADD = "Add"
    ADD_AND_DELETE = "Add_And_Delete"
    ADD_AND_DELETE_MULTIPLE = "Add_And_Delete_Multiple"
    FORCE_LAST = "Force_Last"
    FORCE_LATEST_MULTIPLE = "Force_Latest_Multiple"
    FORCE_BEST = "Force_Best"


class Sorting(StrEnum):
    """``desc``: larger is better."""

    DESC = "desc"
    ASC = "asc"


class Computation(StrEnum):
    """How a column is computed from others (contract.md 5.3).

    ``avg_rank`` is the mean of fractional ranks, as bundles of 2026 use it; ``mean_rank`` and ``mrr`` are v1.5's
    (section 2.4). All three compare submissions with each other.
    """

    SUM = "sum"
    AVG = "avg"
    MIN = "min"
    MAX = "max"
    AVG_RANK = "avg_rank"
    MEAN_RANK = "mean_rank"
    MRR = "mrr"


class DataRole(StrEnum):
    """What a data set is for (contract.md 3.2): the keys that tasks, phases and servers have for it."""

    SCORING_PROGRAM = "scoring_program"
    INGESTION_PROGRAM = "ingestion_program"
    INPUT_DATA = "input_data"
    REFERENCE_DATA = "reference_data"
    PUBLIC_DATA = "public_data"
    STARTING_KIT = "starting_kit"
    SOLUTION = "solution"
    SUBMISSION = "submission"
    COMPETITION_BUNDLE = "competition_bundle"

    @property
    def words(self) -> str:
        """For messages."""
        return self.value.replace("_", " ")

    @property
    def is_program(self) -> bool:
        return self in (DataRole.SCORING_PROGRAM, DataRole.INGESTION_PROGRAM)


TASK_ROLES = (DataRole.SCORING_PROGRAM, DataRole.INGESTION_PROGRAM, DataRole.INPUT_DATA, DataRole.REFERENCE_DATA)
PHASE_ROLES = (DataRole.PUBLIC_DATA, DataRole.STARTING_KIT)


class DataSpec(Record):
    """A data set, program or kit of the bundle: a directory or an archive.

    Attributes
    ----------
    path
        Inside the bundle, as resolved (``X/`` where the bundle names ``X.zip`` and only the folder is there).
    key
        UUID of a data set on a server, if the bundle names it by that; `path` is where the files given for it lie.
    """

    path: str | None = None
    key: str | None = None

    @property
    def tree(self) -> str | None:
        """What names its files inside the competition: they depend on the path, and on how it is unpacked."""
        return self.path


class ProgramSpec(DataSpec):
    """A program: a directory with a metadata file that holds its command (contract.md 4.5).

    Attributes
    ----------
    commands
        As written, before substitution; more than one where ``command`` is a list. Empty: nothing to run.
    metadata
        ``metadata.yaml`` or ``metadata``, or None if there is none.
    unpacked
        Its files are not those of the path as they are, but what CodaLab made of them (contract.md 2.5).
    """

    commands: tuple[str, ...] = ()
    metadata: str | None = None
    unpacked: bool = False

    @property
    def tree(self) -> str | None:
        return f"{self.path}/" if self.path and self.unpacked else self.path


class PageSpec(Record):
    """A page of the competition.

    Attributes
    ----------
    title
        The name of its tab.
    file
        Its path in the bundle: Markdown or HTML.
    content
        The text of the file, verbatim.
    """

    title: str
    file: str
    content: str


class TaskSpec(Record):
    """What is scored: programs and data (contract.md 1.4).

    Attributes
    ----------
    index
        The identifier that phases and solutions use inside the bundle.
    name
        Shown to participants.
    description
        What is to be done.
    scoring_program
        The folder or archive of the program that writes the scores.
    ingestion_program
        The program that runs what is submitted, if that is code.
    input_data
        What the ingestion program and submissions may read.
    reference_data
        The answers: only the scoring program reads them.
    ingestion_only_during_scoring
        Run the ingestion program beside the scoring program, not before it.
    key
        UUID of a task on a server, if the bundle names it by that.
    extras
        Unknown keys, and those that only a server heeds (``is_public``), kept aside.
    """

    index: int | str
    name: str
    description: str | None = None
    key: str | None = None
    scoring_program: ProgramSpec | None = None
    ingestion_program: ProgramSpec | None = None
    input_data: DataSpec | None = None
    reference_data: DataSpec | None = None
    ingestion_only_during_scoring: bool = False
    extras: dict[str, Any] = {}

    @property
    def parts(self) -> dict[str, DataSpec]:
        """The programs and data that there are, by role."""
        found = {role.value: getattr(self, role) for role in TASK_ROLES}
        return {role: part for role, part in found.items() if part is not None}


class PhaseSpec(Record):
    """A period with its tasks and limits (contract.md 1.6).

    Attributes
    ----------
    index
        Place after sorting, 0-based.
    name
        Shown to participants.
    description
        What the phase is for, in Markdown.
    start, end
        UTC; the phase is open for ``start <= now < end``; ``end`` None: open for ever.
    tasks
        Indexes of tasks, in the order of the phase's own list.
    max_submissions_per_day, max_submissions
        None: unlimited.
    execution_time_limit
        Seconds, wall clock, for each step.
    auto_migrate_to_this_phase
        When it begins, the submissions of the phase before are run in it.
    accepts_only_result_submissions
        Submissions are results; nothing in them is run.
    hide_output, hide_prediction_output, hide_score_output
        Participants do not get that output of their submissions.
    public_data, starting_kit
        A folder or file that participants can download.
    """

    index: int
    name: str
    description: str | None = None
    start: datetime
    end: datetime | None = None
    tasks: tuple[int | str, ...] = ()
    max_submissions_per_day: int | None = 5
    max_submissions: int | None = 100
    execution_time_limit: int = 600
    auto_migrate_to_this_phase: bool = False
    accepts_only_result_submissions: bool = False
    hide_output: bool = False
    hide_prediction_output: bool = False
    hide_score_output: bool = False
    public_data: DataSpec | None = None
    starting_kit: DataSpec | None = None
    extras: dict[str, Any] = {}

    def is_open(self, now: datetime) -> bool:
        """Whether submissions are accepted at `now`: ``start <= now < end``."""
        return self.start <= now and (self.end is None or now < self.end)

    @property
    def parts(self) -> dict[str, DataSpec]:
        """What participants are offered, by role."""
        found = {role.value: getattr(self, role) for role in PHASE_ROLES}
        return {role: part for role, part in found.items() if part is not None}


class ColumnSpec(Record):
    """A column of a leaderboard (contract.md 1.9).

    Attributes
    ----------
    key
        The key under which scoring programs write the score, letter by letter.
    title
        The heading.
    index
        Its place, and how other columns name it.
    sorting
        ``desc``: larger is better; ``asc``: smaller is better.
    precision
        Digits that are shown after the point.
    hidden
        It is not shown.
    computation
        How it is computed from other columns; nothing, if programs write it.
    computation_indexes
        The indexes of the columns that it is computed from.
    """

    key: str
    title: str
    index: int
    sorting: Sorting = Sorting.DESC
    precision: int = 2
    hidden: bool = False
    computation: Computation | None = None
    computation_indexes: tuple[int, ...] = ()
    computation_weights: tuple[float, ...] = ()
    extras: dict[str, Any] = {}


class LeaderboardSpec(Record):
    """A leaderboard; columns are kept in the order of their index.

    Attributes
    ----------
    key
        Its identifier.
    title
        The heading.
    columns
        What is shown, one column for each score.
    primary_index
        The index of the column that ranks first.
    hidden
        Participants do not see it.
    submission_rule
        How submissions come to stand on it.
    """

    key: str
    title: str
    columns: tuple[ColumnSpec, ...]
    primary_index: int = 0
    hidden: bool = False
    submission_rule: SubmissionRule = SubmissionRule.ADD
    extras: dict[str, Any] = {}

    @property
    def primary(self) -> ColumnSpec:
        """The column that ranks first."""
        return next(c for c in self.columns if c.index == self.primary_index)

    @property
    def written(self) -> tuple[str, ...]:
        """The keys that scoring programs write: those of columns that are not computed."""
        return tuple(c.key for c in self.columns if c.computation is None)


class QuestionSpec(Record):
    """A question of the fact sheet (contract.md 1.10).

    Attributes
    ----------
    key
        The key that it stands under.
    title
        What is asked.
    type
        How it is answered.
    selection
        What can be chosen, if there is a choice.
    is_required
        There has to be an answer.
    is_on_leaderboard
        The answer is shown there.
    """

    key: str
    title: str
    type: Literal["checkbox", "text", "select"]
    selection: tuple[bool | str, ...] = ()
    is_required: bool = False
    is_on_leaderboard: bool = False


class SolutionSpec(DataSpec):
    """A sample submission of the organizer (contract.md 1.8).

    Attributes
    ----------
    index
        The identifier inside the bundle.
    name
        Shown to participants.
    description
        What it is.
    tasks
        Indexes of the tasks that it solves.
    """

    index: int | str
    name: str | None = None
    description: str | None = None
    tasks: tuple[int | str, ...] = ()
    extras: dict[str, Any] = {}


class CompetitionSpec(Record):
    """A whole competition as its bundle describes it (contract.md 1.2).

    Attributes
    ----------
    title
        Its name.
    description
        A few sentences, in Markdown.
    image
        The logo: JPEG, PNG or GIF.
    pages
        The tabs of the competition, in their order.
    tasks
        What is scored: programs and data.
    phases
        Periods with their tasks and limits.
    leaderboards
        The first one ranks every phase.
    solutions
        Sample submissions.
    docker_image
        The image that programs run in.
    registration_auto_approve
        Whoever registers may take part at once.
    make_programs_available, make_input_data_available
        Participants can download them.
    enable_detailed_results
        Scoring programs may write a page with details.
    show_detailed_results_in_submission_panel, show_detailed_results_in_leaderboard
        Where that page is linked.
    auto_run_submissions
        Submissions run at once, not when an organizer starts them.
    can_participants_make_submissions_public
        Participants may publish what they submitted.
    forum_enabled
        There is a forum.
    competition_type
        Competition or benchmark.
    queue
        UUID of the queue of a server that runs the submissions.
    reward
        What the winners get.
    contact_email
        Whom participants can ask.
    """

    format: Literal["v2", "v1.5", "task"] = "v2"
    title: str
    description: str = ""
    image: str | None = None
    terms: str = ""
    terms_file: str | None = None
    pages: tuple[PageSpec, ...] = ()
    tasks: tuple[TaskSpec, ...] = ()
    phases: tuple[PhaseSpec, ...] = ()
    leaderboards: tuple[LeaderboardSpec, ...] = ()
    solutions: tuple[SolutionSpec, ...] = ()
    fact_sheet: tuple[QuestionSpec, ...] = ()
    docker_image: str = DEFAULT_IMAGE
    registration_auto_approve: bool = False
    make_programs_available: bool = False
    make_input_data_available: bool = False
    enable_detailed_results: bool = False
    show_detailed_results_in_submission_panel: bool = True
    show_detailed_results_in_leaderboard: bool = True
    auto_run_submissions: bool = True
    can_participants_make_submissions_public: bool = True
    forum_enabled: bool = True
    competition_type: Literal["competition", "benchmark"] = "competition"
    queue: str | None = None
    reward: str | None = None
    contact_email: str | None = None
    extras: dict[str, Any] = {}

    def task(self, index: int | str) -> TaskSpec:
        """The task with this index; KeyError if there is none."""
        for task in self.tasks:
            if task.index == index:
                return task
        raise KeyError(index)

    def tasks_of(self, phase: PhaseSpec) -> tuple[TaskSpec, ...]:
        """The tasks of a phase, in the phase's own order."""
        return tuple(self.task(i) for i in phase.tasks)

    @property
    def leaderboard(self) -> LeaderboardSpec:
        """The leaderboard that ranks every phase: the first."""
        return self.leaderboards[0]

    @property
    def ranking(self) -> tuple[LeaderboardSpec, ...]:
        """The leaderboards that are used: every one of a v1.5 bundle, else the first."""
        return self.leaderboards if self.format == "v1.5" else self.leaderboards[:1]

    @property
    def written(self) -> tuple[str, ...]:
        """The keys that scoring programs write for the leaderboards that are used; none: whatever they write counts."""
        return tuple(dict.fromkeys(key for board in self.ranking for key in board.written))


COMPETITION_FLAGS = tuple(name for name, of in CompetitionSpec.model_fields.items() if of.annotation is bool)
"""What is switched on or off for a whole competition."""
