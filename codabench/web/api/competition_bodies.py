"""Competitions as clients of Codabench write them, in the words of a site (platform.md 3.9).

Fields are those that one reads, so what was read can be sent back: what nobody writes, such as a status, is left alone.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, field_validator

from codabench.core.errors import Invalid
from codabench.web.api.common import Body, Id, Moment, Text, picture

_SAME = (
    "title",
    "description",
    "docker_image",
    "competition_type",
    "reward",
    "contact_email",
    "terms",
    "report",
    "registration_auto_approve",
    "enable_detailed_results",
    "show_detailed_results_in_submission_panel",
    "show_detailed_results_in_leaderboard",
    "auto_run_submissions",
    "can_participants_make_submissions_public",
    "make_programs_available",
    "make_input_data_available",
    "forum_enabled",
)
_OTHERWISE = {"allow_robot_submissions": "allow_robots", "whitelist_emails": "whitelist"}
Item = TypeVar("Item", bound=BaseModel)


class Key(Body):
    """A task or a data set, by its key."""

    value: Text | None = None
    key: Text | None = None
    task: Text | None = None

    @property
    def said(self) -> str:
        return self.task or self.value or self.key or ""


class Page(Body):
    """A page of a competition."""

    title: Text = ""
    content: Text = ""
    index: Id | None = None


class Phase(Body):
    """A phase; its tasks, public data and starting kit by their keys."""

    index: Id | None = None
    name: Text = ""
    description: Text | None = None
    start: Moment | None = None
    end: Moment | None = None
    tasks: list[Key | Text] = []
    has_max_submissions: bool | None = None
    max_submissions_per_day: Id | None = None
    max_submissions_per_person: Id | None = None
    execution_time_limit: Id | None = None
    auto_migrate_to_this_phase: bool = False
    accepts_only_result_submissions: bool = False
    hide_output: bool = False
    hide_prediction_output: bool = False
    hide_score_output: bool = False
    public_data: Key | Text | None = None
    starting_kit: Key | Text | None = None

    def in_words(self) -> dict[str, Any]:
        """What is said of a phase, as `Competitions.document` has it."""
        said = {name: getattr(self, name) for name in self.model_fields_set - {"index", "has_max_submissions"}}
        if "max_submissions_per_person" in said:
            said["max_submissions"] = said.pop("max_submissions_per_person")
        if self.has_max_submissions is False:
            said |= {"max_submissions_per_day": None, "max_submissions": None}
        if "tasks" in said:
            said["tasks"] = [_key(task) for task in self.tasks]
        for role in ("public_data", "starting_kit"):
            if role in said:
                said[role] = _key(said[role])
        return said


class Column(Body):
    """A column of a leaderboard."""

    title: Text = ""
    key: Text = ""
    index: Id = 0
    sorting: Text = "desc"
    precision: Id = 2
    hidden: bool = False
    computation: Text | None = None
    computation_indexes: list[Id] | Text | None = None

    def in_words(self) -> dict[str, Any]:
        said = {name: value for name, value in self.model_dump(exclude_unset=True).items() if value not in (None, "")}
        indexes = said.get("computation_indexes")
        if isinstance(indexes, str):
            said["computation_indexes"] = [int(each) for each in indexes.split(",") if each.strip().isdecimal()]
        if "computation" not in said:
            said.pop("computation_indexes", None)
        return said


class Board(Body):
    """A leaderboard with its columns."""

    title: Text = ""
    key: Text = ""
    primary_index: Id | None = None
    hidden: bool = False
    submission_rule: Text | None = None
    columns: list[Column] = []

    def in_words(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in self.model_fields_set if getattr(self, name) is not None}
        return {**said, "columns": [column.in_words() for column in self.columns]}


class Person(Body):
    """An account, by its number."""

    id: Id


class Competition(Body):
    """A competition, or what is to change of one: pages, phases and leaderboards as a whole."""

    title: Text | None = None
    description: Text | None = None
    docker_image: Text | None = None
    competition_type: Text | None = None
    reward: Text | None = None
    contact_email: Text | None = None
    report: Text | None = None
    terms: Text | None = None
    logo: Text | None = None
    pages: list[Page] | None = None
    phases: list[Phase] | None = None
    leaderboards: list[Board] | None = None
    collaborators: list[Id | Person] | None = None
    fact_sheet: dict[str, Any] | None = None
    published: bool | None = None
    registration_auto_approve: bool | None = None
    enable_detailed_results: bool | None = None
    show_detailed_results_in_submission_panel: bool | None = None
    show_detailed_results_in_leaderboard: bool | None = None
    auto_run_submissions: bool | None = None
    can_participants_make_submissions_public: bool | None = None
    make_programs_available: bool | None = None
    make_input_data_available: bool | None = None
    forum_enabled: bool | None = None
    allow_robot_submissions: bool | None = None
    whitelist_emails: list[Text] | None = None
    queue: Any = None

    @field_validator("whitelist_emails", mode="before")
    @classmethod
    def _lines(cls, given: Any) -> Any:
        """A text has one address on each line."""
        return given.split() if isinstance(given, str) else given

    def in_words(self) -> dict[str, Any]:
        """What is said of a competition, as `Competitions.document` has it.

        Raises
        ------
        Invalid
            ``CB802``: the logo is none, or a queue is named.
        """
        if self.queue is not None:
            raise Invalid({"queue": "Submissions run on the machines of this site; leave the queue empty."})
        given = self.model_fields_set
        said = {name: value for name in _SAME if name in given and (value := getattr(self, name)) is not None}
        for name in ("reward", "contact_email", "report"):
            if name in given:
                said[name] = getattr(self, name) or None
        for name, ours in _OTHERWISE.items():
            if (value := getattr(self, name)) is not None:
                said[ours] = value
        if self.pages is not None:
            said["pages"] = [{"title": p.title, "content": p.content} for p in _in_order(self.pages)]
        if self.phases is not None:
            said["phases"] = [phase.in_words() for phase in _in_order(self.phases)]
        if self.leaderboards is not None:
            said["leaderboards"] = [board.in_words() for board in self.leaderboards]
        if self.collaborators is not None:
            said["collaborators"] = [p.id if isinstance(p, Person) else p for p in self.collaborators]
        if "fact_sheet" in given:
            said["fact_sheet"] = self.fact_sheet or {}
        if self.logo and (logo := picture("logo", self.logo)) is not None:
            said["image"] = logo
        return said


def _in_order(items: list[Item]) -> list[Item]:
    """By their indexes, if all have one."""
    indexes = [getattr(item, "index", None) for item in items]
    if any(index is None for index in indexes):
        return items
    return [items[place] for place in sorted(range(len(items)), key=lambda place: indexes[place] or 0)]


def _key(given: Key | str | None) -> str | None:
    return given.said or None if isinstance(given, Key) else given or None
