"""Competitions as clients of Codabench read them (platform.md 3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import Request
from pydantic import BaseModel

from codabench.bundle.document import to_document
from codabench.core.competition import DataRole
from codabench.core.hosting import Dataset, Listed, SharedTask
from codabench.site.accounts import Called
from codabench.site.numbers import Kind, joined
from codabench.site.overview import Overview, ShownPhase
from codabench.site.policy import Action
from codabench.web.api.common import absolute, wire
from codabench.web.api.dataset_shapes import DatasetItem, Titled, dataset_item
from codabench.web.api.shapes import Leaderboard, leaderboard_of
from codabench.web.identity import site_of

if TYPE_CHECKING:
    from codabench.site.actors import Actor
    from codabench.site.site import Site

ICON = 100
"""Pixels of the small logo (platform.md O86)."""


class CompetitionItem(BaseModel):
    """A competition in a list."""

    id: int
    title: str
    created_by: str
    owner_display_name: str
    created_when: str
    published: bool
    participants_count: int
    logo: str | None
    logo_icon: str | None
    description: str
    competition_type: str
    reward: str | None
    contact_email: str | None
    report: str | None
    is_featured: bool
    submissions_count: int


class Page(BaseModel):
    """A page of a competition."""

    id: int
    title: str
    content: str
    index: int


class Person(BaseModel):
    """Somebody who organizes."""

    id: int
    name: str
    username: str


class Solution(BaseModel):
    """A sample submission, for those who may have it."""

    name: str
    description: str
    key: str
    tasks: list[int]
    data: str
    md5: None
    size: int


class TaskOfPhase(BaseModel):
    """A task in a phase; programs and data are named to those who may have them."""

    task: str
    order_index: int
    phase: int
    id: int
    value: str
    key: str
    created_when: str
    name: str
    solutions: list[Solution]
    public_datasets: list[DatasetItem]


class Phase(BaseModel):
    """A phase with its tasks; a limit of null is none."""

    id: int
    index: int
    start: str
    end: str | None
    name: str
    description: str
    status: str
    execution_time_limit: int
    tasks: list[TaskOfPhase]
    has_max_submissions: bool
    max_submissions_per_day: int | None
    max_submissions_per_person: int | None
    auto_migrate_to_this_phase: bool
    accepts_only_result_submissions: bool
    hide_output: bool
    hide_prediction_output: bool
    hide_score_output: bool
    public_data: DatasetItem | None
    starting_kit: DatasetItem | None
    is_final_phase: bool
    used_submissions_per_day: int
    used_submissions_per_person: int


class CompetitionDetail(CompetitionItem):
    """A competition with all that one may see of it.

    ``secret_key``, ``whitelist_emails`` are for organizers and staff; ``participant_status`` is of who is signed in.
    """

    secret_key: str | None = None
    terms: str
    pages: list[Page]
    phases: list[Phase]
    leaderboards: list[Leaderboard]
    collaborators: list[Person]
    participant_status: str | None = None
    registration_auto_approve: bool
    queue: None
    enable_detailed_results: bool
    show_detailed_results_in_submission_panel: bool
    show_detailed_results_in_leaderboard: bool
    auto_run_submissions: bool
    can_participants_make_submissions_public: bool
    make_programs_available: bool
    make_input_data_available: bool
    docker_image: str
    allow_robot_submissions: bool
    fact_sheet: dict[str, Any] | None
    forum: None
    whitelist_emails: list[str] | None = None
    forum_enabled: bool


# ---------------------------------------------------------------------- of what the site knows
def items_of(request: Request, listed: list[Listed], *, key: str = "") -> list[CompetitionItem]:
    """A list of competitions."""
    site = site_of(request)
    people = site.accounts.called({each.hosted.owner for each in listed})
    numbers = site.numbers.many(Kind.COMPETITION, [each.hosted.competition for each in listed])
    return [
        CompetitionItem.model_validate(
            _about(request, each, numbers[each.hosted.competition], people[each.hosted.owner], key)
        )
        for each in listed
    ]


def _about(request: Request, listed: Listed, number: int, owner: Called, key: str) -> dict[str, Any]:
    hosted = listed.hosted
    return {
        "id": number,
        "title": listed.title,
        "created_by": owner.username,
        "owner_display_name": owner.shown,
        "created_when": wire(hosted.created_at),
        "published": hosted.published,
        "participants_count": listed.participants,
        "logo": logo_url(request, number, key=key) if listed.image else None,
        "logo_icon": logo_url(request, number, width=ICON, key=key) if listed.image else None,
        "description": listed.description,
        "competition_type": listed.competition_type,
        "reward": listed.reward,
        "contact_email": listed.contact_email,
        "report": hosted.report,
        "is_featured": hosted.is_featured,
        "submissions_count": listed.submissions,
    }


def logo_url(request: Request, number: int, *, width: int | None = None, key: str = "") -> str:
    """Where the logo of a competition is."""
    said = [f"width={width}"] if width else []
    said += [f"secret_key={key}"] if key else []
    return absolute(request, f"/api/competitions/{number}/logo/{'?' if said else ''}{'&'.join(said)}")


def detail_of(request: Request, actor: Actor, shown: Overview, *, key: str = "") -> CompetitionDetail:
    """A competition; what is not for the one who looks is not among the fields that are set."""
    site, found, spec = site_of(request), shown.found, shown.found.spec
    owner = shown.people[found.hosted.owner]
    pages = [joined(found.id, index) for index in range(len(spec.pages))]
    numbers = site.numbers.many(Kind.PAGE, pages)
    fields: dict[str, Any] = {
        **_about(request, shown.listed, shown.number, owner, key if found.facts.has_key else ""),
        "terms": spec.terms,
        "pages": [
            Page(id=numbers[pages[index]], title=page.title, content=page.content, index=index)
            for index, page in enumerate(spec.pages)
        ],
        "phases": [phase_of(site, phase, shown) for phase in shown.phases],
        "leaderboards": [leaderboard_of(head) for head in site.boards.list(actor, found.id, key=key)],
        "collaborators": [
            Person(id=id, name=shown.people[id].shown, username=shown.people[id].username)
            for id in sorted(found.hosted.collaborators)
        ],
        "queue": None,
        "allow_robot_submissions": found.hosted.allow_robots,
        "fact_sheet": to_document(spec, lambda _path: False).get("fact_sheet") or None,
        "forum": None,
        **{name: getattr(spec, name) for name in _SAID},
    }
    if actor.account is not None:
        fields["participant_status"] = found.participation.status.value if found.participation else None
    if site.policy.allows(actor, Action.COMPETITION_SEE_SECRETS, found.facts):
        fields |= {"secret_key": found.hosted.secret_key, "whitelist_emails": list(found.hosted.whitelist)}
    return CompetitionDetail.model_validate(fields)


_SAID = (
    "registration_auto_approve",
    "enable_detailed_results",
    "show_detailed_results_in_submission_panel",
    "show_detailed_results_in_leaderboard",
    "auto_run_submissions",
    "can_participants_make_submissions_public",
    "make_programs_available",
    "make_input_data_available",
    "docker_image",
    "forum_enabled",
)
"""What a competition says in the same words."""


def phase_of(site: Site, phase: ShownPhase, shown: Overview) -> Phase:
    """A phase of a competition."""
    spec = phase.spec
    kits = {role: _file(site, shown, part.key) for role, part in spec.parts.items()}
    return Phase(
        id=phase.number,
        index=spec.index,
        start=wire(spec.start),
        end=wire(spec.end) if spec.end else None,
        name=spec.name,
        description=spec.description or "",
        status=phase.status,
        execution_time_limit=spec.execution_time_limit,
        tasks=[_task(site, task, place, phase, shown) for place, task in enumerate(phase.tasks)],
        has_max_submissions=spec.max_submissions_per_day is not None or spec.max_submissions is not None,
        max_submissions_per_day=spec.max_submissions_per_day,
        max_submissions_per_person=spec.max_submissions,
        auto_migrate_to_this_phase=spec.auto_migrate_to_this_phase,
        accepts_only_result_submissions=spec.accepts_only_result_submissions,
        hide_output=spec.hide_output,
        hide_prediction_output=spec.hide_prediction_output,
        hide_score_output=spec.hide_score_output,
        public_data=kits.get(DataRole.PUBLIC_DATA.value),
        starting_kit=kits.get(DataRole.STARTING_KIT.value),
        is_final_phase=phase.is_final,
        used_submissions_per_day=phase.used_today,
        used_submissions_per_person=phase.used,
    )


def _task(site: Site, task: SharedTask, place: int, phase: ShownPhase, shown: Overview) -> TaskOfPhase:
    named = [dataset for key in task.parts.values() if (dataset := shown.files.get(key)) is not None]
    return TaskOfPhase(
        task=task.key,
        order_index=place,
        phase=phase.number,
        id=task.id,
        value=task.key,
        key=task.key,
        created_when=wire(task.created_at),
        name=task.name,
        solutions=_solutions(task, shown),
        public_datasets=[_item(site, dataset, shown) for dataset in named],
    )


def _solutions(task: SharedTask, shown: Overview) -> list[Solution]:
    spec = shown.found.spec
    index = next((each.index for each in spec.tasks if each.key == task.key), None)
    numbers: Mapping[str, int] = {each.key: each.id for phase in shown.phases for each in phase.tasks}
    keys = {each.index: each.key or "" for each in spec.tasks}
    found = []
    for solution in spec.solutions:
        dataset = shown.files.get(solution.key or "")
        if dataset is None or index not in solution.tasks:
            continue
        tasks = [numbers[keys[each]] for each in solution.tasks if keys[each] in numbers]
        found.append(
            Solution(
                name=solution.name or dataset.name,
                description=solution.description or "",
                key=dataset.key,
                tasks=tasks,
                data=dataset.key,
                md5=None,
                size=dataset.size,
            )
        )
    return found


def _file(site: Site, shown: Overview, key: str | None) -> DatasetItem | None:
    dataset = shown.files.get(key or "")
    return None if dataset is None else _item(site, dataset, shown)


def _item(site: Site, dataset: Dataset, shown: Overview) -> DatasetItem:
    people = shown.people if dataset.owner in shown.people else site.accounts.called([dataset.owner])
    title = Titled(id=shown.number, title=shown.found.spec.title)
    return dataset_item(dataset, people[dataset.owner], competition=title)
