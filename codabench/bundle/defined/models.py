"""What a competition is defined with in Python: tasks, phases, columns, leaderboards.

Each is checked when it is made: everything that is wrong with it is said at once.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from codabench.bundle.dates import DateError, parse_date
from codabench.bundle.defined.data import tree_of
from codabench.bundle.defined.programs import FunctionProgram, ProgramDirectory, as_program
from codabench.bundle.fields import shorten
from codabench.core.competition import Computation, QuestionSpec, Sorting, SubmissionRule
from codabench.core.errors import CodabenchError, UsageError
from codabench.core.text import did_you_mean, parse_duration
from codabench.storage.sources import TreeSource

DOCKER_IMAGE = "codalab/codalab-legacy:py312"
"""The image of a competition that names none: functions of today's Python run in it."""


class Definition(BaseModel):
    """The base: keywords only, frozen, every mistake in one error."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise _refusal(type(self), given, error) from None


def _refusal(kind: type[Definition], given: dict[str, Any], error: ValidationError) -> UsageError:
    name = next((given[key] for key in ("name", "title", "key") if isinstance(given.get(key), str)), None)
    what = f"cb.{kind.__name__.removesuffix('Definition')}" + (f" {shorten(name)}" if name else "")
    said: list[str] = []
    hints: list[str] = []
    for found in error.errors():
        where = ".".join(str(part) for part in found["loc"])
        if found["type"] == "extra_forbidden" and len(found["loc"]) == 1:
            guess = did_you_mean(where, kind.model_fields)
            said.append(f"it takes no {where}")
            hints += [f"did you mean {guess}?"] if guess else [f"it takes {', '.join(kind.model_fields)}"]
        elif found["type"] == "missing":
            said.append(f"{where} is missing")
        elif isinstance(inner := found.get("ctx", {}).get("error"), CodabenchError):
            said.append(f"{where}: {inner.message}")
            hints += [inner.hint] if inner.hint else []
        else:
            said.append(f"{where}: {found['msg'].removeprefix('Value error, ')}")
    return UsageError(f"{what}: {'; '.join(said)}", code="CB320", hint="; ".join(dict.fromkeys(hints)) or None)


def _data(value: Any, name: str) -> TreeSource | None:
    """Files, read or made now: what is changed later does not change the competition."""
    try:
        return None if value is None else tree_of(value, name)
    except CodabenchError as error:
        if error.code == "CB370":
            raise
        said = error.message.removeprefix(f"{name}: ")
        raise ValueError(f"{said}; {error.hint}" if error.hint else said) from None


def _moment(value: Any) -> datetime | None:
    text = value.isoformat() if isinstance(value, (date, datetime)) else value
    if not isinstance(text, str):
        raise ValueError(f"a date is written as 2026-02-01 or 2026-02-01 14:00, not {text!r}")
    try:
        found, doubt = parse_date(text)
    except DateError as error:
        raise ValueError(str(error)) from None
    if doubt:
        raise ValueError(f"{doubt}: write the year first")
    return found


class Task(Definition):
    """What is scored.

    Attributes
    ----------
    name
        What people call it; phases and solutions may name it so.
    input_data, reference_data
        ``{"X.npy": array, "train.csv": frame, "notes.txt": "text", "raw.bin": b"..", "setup.json": {...},
        "large.h5": Path(...)}``, or the path of a directory or zip.
    scoring_program, ingestion_program
        A function under `scoring` or `ingestion`, or a directory (`Program.from_dir`, or its path).
    ingestion_only_during_scoring
        Both programs run together, while scoring.
    """

    name: str = "Task"
    description: str | None = None
    input_data: Any = None
    reference_data: Any = None
    scoring_program: Any
    ingestion_program: Any = None
    ingestion_only_during_scoring: bool = False

    @field_validator("input_data", "reference_data", mode="before")
    @classmethod
    def _files(cls, value: Any, info: Any) -> TreeSource | None:
        return _data(value, str(info.field_name).replace("_", " "))

    @field_validator("scoring_program", "ingestion_program", mode="before")
    @classmethod
    def _program(cls, value: Any, info: Any) -> FunctionProgram | ProgramDirectory | None:
        if value is None:
            return None
        try:
            return as_program(value, "scoring" if info.field_name == "scoring_program" else "ingestion")
        except CodabenchError as error:
            raise ValueError(error.message) from None


class Phase(Definition):
    """A period with its tasks and limits.

    Attributes
    ----------
    start, end
        ``"2026-12-01"``, ``"2026-12-01 14:00"`` (UTC), or a `datetime`. No start: open since long ago; no end: open
        until the next phase begins, or for ever.
    tasks
        By place or name; None: all.
    execution_time_limit
        For each step: ``"10 min"``, or seconds.
    max_submissions, max_submissions_per_day
        None: no limit.
    public_data, starting_kit
        Files for participants, given as the data of a task.
    """

    name: str = "Main"
    description: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    tasks: tuple[int | str, ...] | None = None
    max_submissions_per_day: int | None = 5
    max_submissions: int | None = 100
    execution_time_limit: int = 600
    auto_migrate_to_this_phase: bool = False
    hide_output: bool = False
    hide_prediction_output: bool = False
    hide_score_output: bool = False
    public_data: Any = None
    starting_kit: Any = None

    @field_validator("start", "end", mode="before")
    @classmethod
    def _date(cls, value: Any) -> datetime | None:
        return None if value is None else _moment(value)

    @field_validator("execution_time_limit", mode="before")
    @classmethod
    def _duration(cls, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            raise ValueError(f'a duration is written as 600 or "10 min", not {value!r}')
        seconds = parse_duration(value)
        if not 1 <= seconds < 1e9:
            raise ValueError(f"a time limit is at least one second, not {value}")
        return round(seconds)

    @field_validator("public_data", "starting_kit", mode="before")
    @classmethod
    def _files(cls, value: Any, info: Any) -> TreeSource | None:
        return _data(value, str(info.field_name).replace("_", " "))


class Column(Definition):
    """A column of a leaderboard.

    Attributes
    ----------
    key
        What the scoring program returns it as.
    title
        None: the key.
    sorting
        ``desc``: larger is better; ``asc``: smaller is better.
    precision
        Digits that are shown; ranking uses all.
    computation, over
        How it is computed (``avg``, ``sum``, ``min``, ``max``, ``avg_rank``) from the columns with these keys.
    """

    key: str
    title: str | None = None
    sorting: Sorting = Sorting.DESC
    precision: int = 2
    hidden: bool = False
    computation: Computation | None = None
    over: tuple[str, ...] = ()


class LeaderboardDefinition(Definition):
    """A leaderboard: its columns, the key of the one that ranks first (None: the first), and its submission rule."""

    key: str = "main"
    title: str = "Leaderboard"
    columns: tuple[Column, ...]
    primary: str | None = None
    hidden: bool = False
    submission_rule: SubmissionRule = SubmissionRule.ADD


class Solution(Definition):
    """A sample submission of the organizer; `tasks` by place or name, None: all."""

    files: Any
    name: str | None = None
    description: str | None = None
    tasks: tuple[int | str, ...] | None = None

    @field_validator("files", mode="before")
    @classmethod
    def _files(cls, value: Any) -> TreeSource | None:
        return _data(value, "the solution")


class CompetitionDefinition(Definition):
    """Everything that `Competition` takes; see there."""

    title: str
    description: str = ""
    tasks: tuple[Task, ...]
    phases: tuple[Phase, ...] = (Phase(),)
    columns: tuple[Column, ...] | None = None
    primary: str | None = None
    submission_rule: SubmissionRule = SubmissionRule.ADD
    leaderboards: tuple[LeaderboardDefinition, ...] | None = None
    pages: dict[str, str] | None = None
    terms: str = "There are no special terms."
    image: Any = None
    docker_image: str = DOCKER_IMAGE
    fact_sheet: tuple[QuestionSpec, ...] = ()
    solutions: tuple[Solution, ...] = ()
    starting_kit: Any = None
    competition_type: str = "competition"
    queue: str | None = None
    reward: str | None = None
    contact_email: str | None = None
    registration_auto_approve: bool = False
    make_programs_available: bool = False
    make_input_data_available: bool = False
    enable_detailed_results: bool | None = None
    show_detailed_results_in_submission_panel: bool = True
    show_detailed_results_in_leaderboard: bool = True
    auto_run_submissions: bool = True
    can_participants_make_submissions_public: bool = True
    forum_enabled: bool = True

    @field_validator("fact_sheet", mode="before")
    @classmethod
    def _questions(cls, value: Any) -> Any:
        """A mapping from keys to titles, or to what a question says."""
        if not isinstance(value, dict):
            return value
        return tuple(
            {"key": key, "type": "text", "title": str(key), **({"title": q} if isinstance(q, str) else dict(q))}
            for key, q in value.items()
        )

    @field_validator("solutions", mode="before")
    @classmethod
    def _solutions(cls, value: Any) -> Any:
        return tuple(item if isinstance(item, Solution) else Solution(files=item) for item in value)

    @field_validator("starting_kit", mode="before")
    @classmethod
    def _files(cls, value: Any) -> TreeSource | None:
        return _data(value, "starting kit")
