"""From a definition to what its bundle says and where its files lie."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from codabench.bundle.defined.logo import placeholder_logo
from codabench.bundle.defined.models import (
    Column,
    CompetitionDefinition,
    LeaderboardDefinition,
    Phase,
    Solution,
    Task,
)
from codabench.bundle.defined.programs import FunctionProgram, ProgramDirectory
from codabench.bundle.fields import shorten, spelled
from codabench.bundle.metadata import read_metadata
from codabench.core.competition import (
    ColumnSpec,
    CompetitionSpec,
    DataSpec,
    LeaderboardSpec,
    PageSpec,
    PhaseSpec,
    ProgramSpec,
    SolutionSpec,
    TaskSpec,
)
from codabench.core.errors import UsageError
from codabench.core.problems import Problem, Severity
from codabench.core.report import Report
from codabench.core.text import did_you_mean, distinct
from codabench.storage.overlay import Content
from codabench.storage.sources import TreeSource

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
_SAME = (
    "title", "description", "docker_image", "fact_sheet", "competition_type", "queue", "reward", "contact_email",
    "registration_auto_approve", "make_programs_available", "make_input_data_available",
    "show_detailed_results_in_submission_panel", "show_detailed_results_in_leaderboard", "auto_run_submissions",
    "can_participants_make_submissions_public", "forum_enabled",
)  # fmt: skip

Part = TreeSource | FunctionProgram | ProgramDirectory


class Layout(NamedTuple):
    """A competition before it is packed.

    Attributes
    ----------
    spec
        What the bundle will say.
    parts
        Programs and data by the folder they get.
    texts
        The other files: pages, terms, logo.
    """

    spec: CompetitionSpec
    parts: dict[str, Part]
    texts: dict[str, Content]


def lay_out(definition: CompetitionDefinition) -> Layout:
    """Where everything goes.

    Raises
    ------
    BundleError
        The parts do not fit together; the report holds everything that is wrong.
    """
    return _Layout(definition).result()


class _Layout:
    def __init__(self, definition: CompetitionDefinition) -> None:
        self._definition = definition
        self._problems: list[Problem] = []
        self._parts: dict[str, Part] = {}
        self._texts: dict[str, Content] = {}
        self._folders: dict[object, str] = {}

    def result(self) -> Layout:
        given = self._definition
        functions = [t.scoring_program for t in given.tasks if isinstance(t.scoring_program, FunctionProgram)]
        details = given.enable_detailed_results
        spec = {
            **{name: getattr(given, name) for name in _SAME},
            "tasks": tuple(self._task(n, task) for n, task in enumerate(given.tasks)),
            "phases": self._phases(given.phases),
            "leaderboards": tuple(self._board(board) for board in self._boards()),
            "solutions": tuple(self._solution(n, s) for n, s in enumerate(given.solutions)),
            "pages": self._pages(given.pages if given.pages is not None else {"Overview": self._overview()}),
            "terms_file": self._text("terms.md", given.terms, "terms"),
            "terms": given.terms,
            "image": self._image(given.image),
            "enable_detailed_results": any(f.writes_details for f in functions) if details is None else details,
        }
        if self._problems:
            report = Report(source=given.title, problems=tuple(self._problems))
            report.raise_for_errors()
        return Layout(CompetitionSpec.model_validate(spec), self._parts, self._texts)

    def _wrong(self, code: str, message: str, hint: str | None = None) -> None:
        self._problems.append(Problem(code=code, severity=Severity.ERROR, message=message, hint=hint))

    # ------------------------------------------------------------------ files
    def _folder(self, role: str, part: Any) -> str | None:
        """The folder of a part; what several tasks share lies there once."""
        if part is None:
            return None
        key = _identity(part)
        if key not in self._folders:
            name = distinct([role], self._parts)[0].replace(" #", "_")
            while name in self._parts:
                name += "_"
            self._folders[key] = name
            self._parts[name] = part
        return self._folders[key]

    def _data(self, role: str, tree: TreeSource | None) -> DataSpec | None:
        path = self._folder(role, tree)
        return DataSpec(path=path) if path else None

    def _program(self, role: str, program: Any) -> ProgramSpec | None:
        path = self._folder(role, program)
        if path is None:
            return None
        if isinstance(program, FunctionProgram):
            return ProgramSpec(path=path, commands=(program.command,), metadata="metadata.yaml")
        found = read_metadata(program.tree)
        return ProgramSpec(path=path, commands=found.commands, metadata=found.file)

    def _text(self, path: str, text: str, what: str) -> str:
        if not text.strip():
            self._wrong("CB305", f"the {what} are empty" if what == "terms" else f"{what} is empty", "write something")
        self._texts[path] = Content.of_bytes(text.encode("utf-8", "replace"))
        return path

    def _pages(self, pages: dict[str, str]) -> tuple[PageSpec, ...]:
        if not pages:
            self._wrong("CB109", "a competition needs at least one page", 'pages={"Overview": "# ..."}')
        names = distinct([_slug(title) for title in pages])
        return tuple(
            PageSpec(
                title=title,
                file=self._text(f"pages/{name.replace(' #', '_')}.md", content, f"the page {shorten(title, 40)}"),
                content=content,
            )
            for name, (title, content) in zip(names, pages.items(), strict=True)
        )

    def _overview(self) -> str:
        given = self._definition
        return f"# {given.title}\n" + (f"\n{given.description}\n" if given.description else "")

    def _image(self, image: Any) -> str:
        if image is None:
            self._texts["logo.png"] = Content.of_bytes(placeholder_logo(self._definition.title))
            return "logo.png"
        if isinstance(image, bytes):
            self._texts["logo.png"] = Content.of_bytes(image)
            return "logo.png"
        place = Path(image).expanduser().absolute() if isinstance(image, (str, os.PathLike)) else None
        if place is None or not place.is_file():
            self._wrong("CB301", f"there is no image {image!r}", "give the path of a PNG or JPEG, or its bytes")
            return "logo.png"
        name = f"logo{place.suffix.lower()}"
        self._texts[name] = Content.of_path(place)
        return name

    # ------------------------------------------------------------------ tasks, phases, solutions
    def _task(self, index: int, task: Task) -> TaskSpec:
        return TaskSpec(
            index=index,
            name=task.name,
            description=task.description,
            input_data=self._data("input_data", task.input_data),
            reference_data=self._data("reference_data", task.reference_data),
            scoring_program=self._program("scoring_program", task.scoring_program),
            ingestion_program=self._program("ingestion_program", task.ingestion_program),
            ingestion_only_during_scoring=task.ingestion_only_during_scoring,
        )

    def _indexes(self, wanted: Iterable[int | str] | None, what: str) -> tuple[int, ...]:
        """Tasks by place or name as indexes."""
        names = [task.name for task in self._definition.tasks]
        found = []
        for one in range(len(names)) if wanted is None else wanted:
            if isinstance(one, int) and 0 <= one < len(names):
                found.append(one)
            elif isinstance(one, str) and names.count(one) == 1:
                found.append(names.index(one))
            else:
                guess = did_you_mean(str(one), names)
                there = f"the tasks are 0 to {len(names) - 1}: {spelled(names, 'and')}"
                hint = f"did you mean {guess!r}?" if guess else there
                self._wrong("CB108", f"{what} names the task {one!r}, which is not there", hint)
        return tuple(found)

    def _phases(self, phases: tuple[Phase, ...]) -> tuple[PhaseSpec, ...]:
        found = []
        for place, phase in enumerate(phases):
            following = phases[place + 1].start if place + 1 < len(phases) else None
            if phase.start is None and place:
                self._wrong("CB101", f"phase {shorten(phase.name)} has no start", 'add start="2026-12-01"')
            # Servers refuse phases that touch each other.
            until = following - timedelta(seconds=1) if following else None
            end = phase.end or (until if until and until >= (phase.start or LONG_AGO) else None)
            kit = phase.starting_kit if phase.starting_kit is not None else self._definition.starting_kit
            given = phase.model_dump(exclude={"start", "end", "tasks", "public_data", "starting_kit"})
            found.append(
                PhaseSpec(
                    **given,
                    index=place,
                    start=phase.start or LONG_AGO,
                    end=end,
                    tasks=self._indexes(phase.tasks, f"phase {shorten(phase.name)}"),
                    public_data=self._data("public_data", phase.public_data),
                    starting_kit=self._data("starting_kit", kit),
                )
            )
        return tuple(found)

    def _solution(self, place: int, solution: Solution) -> SolutionSpec:
        return SolutionSpec(
            index=place,
            name=solution.name,
            description=solution.description,
            tasks=self._indexes(solution.tasks, f"solution {place}"),
            path=self._folder("solution", solution.files),
        )

    # ------------------------------------------------------------------ leaderboards
    def _boards(self) -> tuple[LeaderboardDefinition, ...]:
        given = self._definition
        if given.leaderboards is not None and given.columns is None:
            return given.leaderboards
        if given.columns is None or given.leaderboards is not None:
            both = given.leaderboards is not None
            message = "columns and leaderboards are both given" if both else "there are no columns"
            raise UsageError(f"cb.Competition: {message}", code="CB320", hint='columns=[cb.Column(key="score")]')
        rule = given.submission_rule
        return (LeaderboardDefinition(columns=given.columns, primary=given.primary, submission_rule=rule),)

    def _board(self, board: LeaderboardDefinition) -> LeaderboardSpec:
        keys = [column.key for column in board.columns]
        for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
            self._wrong("CB107", f"the column {shorten(key)} is there more than once")
        if not keys:
            hint = 'columns=[cb.Column(key="score")]'
            self._wrong("CB109", f"leaderboard {shorten(board.title)} has no column", hint)
        primary = self._places([board.primary] if board.primary else keys[:1], keys, "primary", "CB214")
        return LeaderboardSpec(
            key=board.key,
            title=board.title,
            columns=tuple(self._column(n, column, keys) for n, column in enumerate(board.columns)),
            primary_index=next(iter(primary), 0),
            hidden=board.hidden,
            submission_rule=board.submission_rule,
        )

    def _column(self, place: int, column: Column, keys: list[str]) -> ColumnSpec:
        if (column.computation is None) == bool(column.over):
            hint = 'write both, such as computation="avg", over=["a", "b"]'
            self._wrong("CB210", f"column {shorten(column.key)} has only one of computation and over", hint)
        return ColumnSpec(
            **column.model_dump(exclude={"title", "over"}),
            title=column.title if column.title is not None else column.key,
            index=place,
            computation_indexes=self._places(column.over, keys, f"over of column {shorten(column.key)}", "CB212"),
        )

    def _places(self, wanted: Iterable[str], keys: list[str], what: str, code: str) -> tuple[int, ...]:
        found = []
        for key in wanted:
            if key in keys:
                found.append(keys.index(key))
                continue
            guess = did_you_mean(key, keys)
            hint = f"did you mean {guess!r}?" if guess else f"the columns are {spelled(keys, 'and')}"
            self._wrong(code, f"{what}: there is no column {shorten(key)}", hint)
        return tuple(found)


def _identity(part: Part) -> object:
    """Equal for what is one folder, whichever task it was given to."""
    if isinstance(part, FunctionProgram):
        return (part.function, part.kind, part.requires)
    return part.path if isinstance(part, ProgramDirectory) else id(part)


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_") or "page"


__all__ = ["Layout", "Part", "lay_out"]
