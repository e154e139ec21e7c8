"""Calls for competitions, data sets, tasks and people against the table of permissions that was written by hand.

Every route, with every verb, for everybody, in every state.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from fastapi.routing import APIRoute
from hosting_lab import FILES, hosted, zipped
from permission_lab import Everybody, fits
from permission_matrix import Section, sections
from site_lab import Clock, close_site, make_site, person
from submission_states import everybody
from web_lab import robot

from codabench.core.competition import DataRole
from codabench.core.hosting import Dataset, JobKind, SharedTask
from codabench.core.people import ParticipationStatus
from codabench.site.numbers import Kind, joined
from codabench.site.policy import Policy
from codabench.web.api import competitions, datasets, housekeeping, organizing, people, phases, tasks
from codabench.web.routing import DECIDED, OPEN


class Call(NamedTuple):
    """A call. `changes`: what it does, if it may, spoils what comes after it."""

    action: str
    verb: str
    path: str
    body: Any = None
    changes: bool = False


ONE, PHASE, PERSON = "/api/competitions/{id}/", "/api/phases/{phase}/", "/api/participants/{participant}/"
COMPETITION = [
    Call("competition.read", "GET", ONE),
    Call("competition.open", "GET", f"{ONE}logo/"),
    Call("competition.edit", "PATCH", ONE, {"description": "x"}),
    Call("competition.edit", "PUT", ONE, {"description": "x"}),
    Call("competition.publish", "POST", f"{ONE}toggle_publish/", changes=True),
    Call("competition.delete", "DELETE", ONE, changes=True),
    Call("competition.register", "POST", f"{ONE}register/", changes=True),
    Call("dumps.list", "GET", f"{ONE}get_files/"),
    Call("dumps.create", "POST", f"{ONE}create_dump/", {}, changes=True),
    Call("participants.mail_all", "POST", f"{ONE}email_all_participants/", {"message": "x"}),
    Call("participants.list", "GET", "/api/participants/?competition={id}"),
    Call("participants.decide", "PATCH", PERSON, {"status": "pending"}),
    Call("participants.mail", "POST", f"{PERSON}send_email/", {"message": "x"}),
    Call("competition.read", "GET", PHASE),
    Call("competition.edit", "POST", "/api/phases/", {"competition": "{id}", "name": ""}),
    Call("competition.edit", "PATCH", PHASE, {"name": "x"}),
    Call("competition.edit", "PUT", PHASE, {"name": "x"}),
    Call("competition.edit", "DELETE", PHASE, changes=True),
    Call("phase.migrate", "POST", f"{PHASE}manually_migrate/"),
]
OPENED = {"competition.read", "competition.open", "competition.register"}
"""What the key of a link opens."""
DATASET = [
    Call("dataset.read", "GET", "/api/datasets/{id}/"),
    Call("dataset.download", "GET", "/datasets/download/{key}/"),
    Call("dataset.download", "GET", "/datasets/download/id/{id}/"),
    Call("dataset.edit", "PATCH", "/api/datasets/{id}/", {"description": "x"}),
    Call("dataset.edit", "PUT", "/api/datasets/{id}/", {"description": "x"}),
    Call("dataset.verify", "PATCH", "/api/datasets/{id}/", {"is_verified": False}),
    Call("dataset.verify", "PUT", "/api/datasets/{id}/", {"is_verified": False}),
    Call("dataset.delete", "DELETE", "/api/datasets/{id}/", changes=True),
    Call("dataset.delete", "POST", "/api/datasets/delete_many/", ["{id}"], changes=True),
]
TASK = [
    Call("task.read", "GET", "/api/tasks/{id}/"),
    Call("task.edit", "PATCH", "/api/tasks/{id}/", {"description": "x"}),
    Call("task.edit", "PUT", "/api/tasks/{id}/", {"description": "x"}),
    Call("task.delete", "DELETE", "/api/tasks/{id}/", changes=True),
    Call("task.delete", "POST", "/api/tasks/delete_many/", ["{id}"], changes=True),
]
ACCOUNT = [
    Call("account.read", "GET", "/api/users/{id}/"),
    Call("account.read", "GET", "/api/users/{id}/photo/"),
    Call("account.edit", "PATCH", "/api/users/{id}/", {"display_name": "x"}),
    Call("account.edit", "PUT", "/api/users/{id}/", {"display_name": "x"}),
    Call("job.read", "GET", "/api/competitions/{job}/creation_status/"),
]
SITE = [
    Call("competition.create", "POST", "/api/competitions/", {}),
    Call("dataset.create", "POST", "/api/datasets/", {}),
    Call("task.create", "POST", "/api/tasks/", {}),
    Call("task.create", "POST", "/api/tasks/upload_task/"),
    Call("task.create", "POST", "/tasks/upload_task/"),
    Call("account.search", "GET", "/api/user_lookup/?q=a"),
    Call("site.analytics", "GET", "/api/analytics/"),
    Call("site.analytics", "GET", "/api/analytics/competitions_usage/"),
    Call("site.analytics", "GET", "/api/analytics/users_usage/"),
    Call("site.administer", "GET", "/api/analytics/get_orphan_files/"),
    Call("site.administer", "DELETE", "/api/analytics/delete_orphan_files/"),
]
ONES_OWN = [
    Call("account.read", "GET", "/api/my_profile/"),
    Call("account.see_use", "GET", "/api/user_quota/"),
    Call("account.see_use", "GET", "/api/user_quota_cleanup/"),
    Call("account.edit", "DELETE", "/api/delete_unused_tasks/"),
    Call("account.edit", "DELETE", "/api/delete_unused_datasets/"),
    Call("account.edit", "DELETE", "/api/delete_unused_submissions/"),
    Call("account.edit", "DELETE", "/api/delete_failed_submissions/"),
    Call("account.delete", "DELETE", "/api/delete_account/", {}),
]
ELSEWHERE = {
    ("GET", "/api/competitions/"): "test_lists_have_what_the_table_says",
    ("GET", "/api/datasets/"): "test_lists_have_what_the_table_says",
    ("GET", "/api/datasets/public/"): "test_lists_have_what_the_table_says",
    ("GET", "/api/tasks/"): "test_lists_have_what_the_table_says",
    ("PUT", "/api/datasets/completed/{key}/"): "test_an_upload_is_over_for_its_owner",
}


@pytest.fixture(scope="module")
def asks() -> Iterator[Everybody]:
    site = make_site(Clock())
    actors = everybody(site)
    actors |= {role: person(site, name) for role, name in {"Pe": "paula", "De": "denis", "Sh": "shari"}.items()}
    with robot(site) as client:
        yield Everybody(site, client, actors)
    close_site(site)


def of(kind: str) -> list[Section]:
    return [section for section in sections() if section.kind == kind]


def filled(value: Any, names: dict[str, Any]) -> Any:
    """With numbers for names."""
    if isinstance(value, dict):
        return {name: filled(item, names) for name, item in value.items()}
    if isinstance(value, list):
        return [filled(item, names) for item in value]
    if isinstance(value, str) and value[:1] == "{" and value[1:-1] in names:
        return names[value[1:-1]]
    return value


def told(asks: Everybody, call: Call, role: str, names: dict[str, Any], key: str = "") -> str:
    path, _, query = call.path.format(**names).partition("?")
    body = filled(call.body, names)
    return asks(role, call.verb, f"{path}?{query}" if query else path, body, key)


# ---------------------------------------------------------------------- competitions
class State:
    """A competition in the state of a section, and where everybody stands in it."""

    def __init__(self, asks: Everybody, section: Section) -> None:
        site, actors, words = asks.site, asks.actors, section.words
        self.id = hosted(site, actors["Cr"])
        said = {"allow_robots": "robots" in words, "collaborators": [actors["Co"].account]}
        shows = {"make_programs_available": "programs" in words, "make_input_data_available": "inputs" in words}
        site.competitions.edit(actors["Cr"], self.id, said | shows)
        standing = {"Pe": "pending", "De": "denied", "Ap": "approved"}
        for role, status in standing.items():
            account = actors[role].account or 0
            made = site.db.add_participation(self.id, account, ParticipationStatus(status), at=site.now())
            assert made is not None
            self.participant = made.id if role == "Pe" else getattr(self, "participant", made.id)
        site.competitions.publish(actors["Cr"], self.id, "published" in words)
        self.key = site.competitions.look(actors["Cr"], self.id).hosted.secret_key if "key" in words else ""
        phase = site.numbers.of(Kind.PHASE, joined(self.id, 0))
        number = site.competitions.number(self.id)
        self.names = {"id": number, "phase": phase, "participant": self.participant}


@pytest.mark.parametrize("section", of("competition"), ids=lambda section: section.state)
def test_calls_for_a_competition(asks: Everybody, section: Section) -> None:
    state = State(asks, section)
    for refused in (True, False):
        for call in COMPETITION:
            for role, wanted in section.cells[call.action].items():
                if (wanted == "y") is refused or (wanted == "y" and call.changes):
                    continue
                if state.key and call.action not in OPENED:
                    continue  # organizers need no key
                found = told(asks, call, role, state.names, state.key)
                assert fits(found, wanted, role), f"{call.verb} {call.path} by {role} in {section}: {found}"


@pytest.mark.parametrize("call", [call for call in COMPETITION if call.changes], ids=lambda call: call.path)
def test_what_may_be_done_to_a_competition_is_done(asks: Everybody, call: Call) -> None:
    section = next(section for section in of("competition") if section.words == {"published"})
    for role, cell in section.cells[call.action].items():
        if cell == "y" and role in ("Au", "Co", "Cr", "Su"):
            assert told(asks, call, role, State(asks, section).names) == "y", role


def test_a_site_that_asks_nobody_does_not_hold_the_table(asks: Everybody, monkeypatch: pytest.MonkeyPatch) -> None:
    """The twin: what is seen above is seen because the policy is asked."""
    monkeypatch.setattr(Policy, "require", lambda *_args: None)
    (section,) = (section for section in of("competition") if not section.words)
    with pytest.raises(AssertionError, match="by An in competition: unpublished: y"):
        test_calls_for_a_competition(asks, section)


def test_files_are_named_to_whom_the_table_says(asks: Everybody) -> None:
    """In a competition, and in nothing else of it."""
    kinds = {
        "files.kits": {"public_data", "starting_kit", "solution"},
        "files.programs": {"scoring_program"},
        "files.inputs": {"input_data"},
        "files.reference": {"reference_data"},
    }
    for section in of("competition"):
        state = State(asks, section)
        for role in section.cells["files.kits"]:
            answer = asks.answer(role, "GET", ONE.format(**state.names), key=state.key)
            shown = answer.json() if answer.status_code == 200 else {"phases": []}
            named = {name for phase in shown["phases"] for name in ("public_data", "starting_kit") if phase[name]}
            for task in (task for phase in shown["phases"] for task in phase["tasks"]):
                named |= {each["type"] for each in task["public_datasets"]}
                named |= {"solution" for _ in task["solutions"]}
            if answer.status_code == 200:
                secrets = section.cells["competition.see_secrets"][role] == "y"
                assert ("secret_key" in shown, "whitelist_emails" in shown) == (secrets, secrets), f"{role}: {section}"
            wanted = {action for action in kinds if section.cells[action][role] == "y" and answer.status_code == 200}
            assert named == {name for action in wanted for name in kinds[action]}, f"{role}: {section}"


# ---------------------------------------------------------------------- data sets and tasks
class Kept:
    """Data sets and tasks of Bobby's."""

    def __init__(self, asks: Everybody) -> None:
        self.asks, self.site = asks, asks.site
        self.owner = asks.actors["Ow"].account or 0
        self.organized = hosted(asks.site, asks.actors["Co"])

    def dataset(self, *, public: bool = False, used: bool = False, organized: bool = False) -> dict[str, Any]:
        data, key = zipped({"x.csv": b"1\n"}), str(uuid.uuid4())
        made = self.site.db.add_dataset(
            Dataset(
                key=key, owner=self.owner, type=DataRole.PUBLIC_DATA, name=key, file_name="x.zip", size=len(data),
                content=self.site.workspace.storage.put(data), is_public=public, created_at=self.site.now(),
                competition=self.organized if organized else None,
            )
        )  # fmt: skip
        if used:
            self.task(scoring=made.key)
        return {"id": made.id, "key": made.key}

    def task(self, *, public: bool = False, scoring: str | None = None) -> dict[str, Any]:
        """Shared with Shari."""
        key = str(uuid.uuid4())
        made = self.site.db.add_task(
            SharedTask(
                key=key, owner=self.owner, name=key, scoring_program=scoring, is_public=public,
                created_at=self.site.now(),
            )
        )  # fmt: skip
        self.site.db.share_task(made.id, {self.asks.actors["Sh"].account or 0})
        return {"id": made.id, "key": key}


@pytest.mark.parametrize("section", of("dataset"), ids=lambda section: section.state)
def test_calls_for_a_data_set(asks: Everybody, section: Section) -> None:
    kept, public = Kept(asks), "public" in section.words
    for call in DATASET:
        for role, wanted in section.cells[call.action].items():
            # Who was given it has it by a task that needs it, and so it is in use.
            used = "in_use" in section.words or (role == "Sh" and not public)
            names = kept.dataset(public=public, used=used, organized=role == "Co")
            found = told(asks, call, role, names)
            assert fits(found, wanted, role), f"{call.verb} {call.path} by {role} in {section}: {found}"


@pytest.mark.parametrize("section", of("task"), ids=lambda section: section.state)
def test_calls_for_a_task(asks: Everybody, section: Section) -> None:
    kept = Kept(asks)
    if "in_use" in section.words:
        site, owner = asks.site, asks.actors["Ow"]
        spec = site.competitions.look(owner, hosted(site, owner)).spec
        (used,) = site.db.tasks([spec.tasks[0].key or ""])
        site.db.share_task(used.id, {asks.actors["Sh"].account or 0})
    for call in TASK:
        for role, wanted in section.cells[call.action].items():
            names = {"id": used.id} if "in_use" in section.words else kept.task(public="public" in section.words)
            found = told(asks, call, role, names)
            assert fits(found, wanted, role), f"{call.verb} {call.path} by {role} in {section}: {found}"


def test_an_upload_is_over_for_its_owner(asks: Everybody) -> None:
    kept = Kept(asks)
    for role in asks.actors:
        wanted = "y" if role == "Ow" else "s" if role == "An" else "0"
        for public in (False, True):
            path = f"/api/datasets/completed/{kept.dataset(public=public)['key']}/"
            assert asks(role, "PUT", path) == wanted, role


def test_lists_have_what_the_table_says(asks: Everybody) -> None:
    """Lists of things in all states: each is in it for those who find it there."""
    kept = Kept(asks)
    shown: list[tuple[Section, str, str, dict[str, Any]]] = []
    for section in of("competition"):
        state = State(asks, section)
        if not state.key:
            shown.append((section, "competition.read", "/api/competitions/", state.names))
    for public in (False, True):
        words = {"public"} if public else set()
        (dataset,) = (section for section in of("dataset") if section.words == words)
        (task,) = (section for section in of("task") if section.words == words)
        named = kept.dataset(public=public)
        shown.append((dataset, "dataset.list", "/api/datasets/?_public=true&page_size=1000", named))
        shown.append((task, "task.list", "/api/tasks/?public=true&page_size=1000", kept.task(public=public)))
    for section, action, path, names in shown:
        for role, wanted in section.cells[action].items():
            asked = "/api/datasets/public/?page_size=1000" if (role, action) == ("An", "dataset.list") else path
            answer = asks.answer(role, "GET", asked).json()
            items = answer if isinstance(answer, list) else answer.get("results", [])
            assert (names["id"] in {item["id"] for item in items}) == (wanted == "y"), f"{role}: {section}"


# ---------------------------------------------------------------------- people, and the site
def test_calls_for_an_account(asks: Everybody) -> None:
    (section,) = of("account")
    owner = asks.actors["Ow"]
    asks.site.accounts.set_photo(owner, owner.account or 0, FILES["logo.png"])
    job = asks.site.db.add_job(JobKind.DUMP, owner.account or 0, {}, at=asks.site.now())
    names = {"id": owner.account, "job": job.id}
    for call in ACCOUNT:
        for role, wanted in section.cells[call.action].items():
            found = told(asks, call, role, names)
            assert fits(found, wanted, role), f"{call.verb} {call.path} by {role}: {found}"
    for role, wanted in section.cells["account.see_email"].items():
        shown = asks.answer(role, "GET", f"/api/users/{owner.account}/").json()
        assert (shown.get("email") is not None) == (wanted == "y"), role
    for call in ONES_OWN:
        for role in section.cells[call.action]:
            assert told(asks, call, role, {}) == ("s" if role == "An" else "y"), f"{call.verb} {call.path} by {role}"


def test_calls_for_the_site(asks: Everybody) -> None:
    (section,) = of("site")
    for call in SITE:
        for role, wanted in section.cells[call.action].items():
            found = told(asks, call, role, {})
            assert fits(found, wanted, role), f"{call.verb} {call.path} by {role}: {found}"


def test_no_route_is_left_out() -> None:
    calls = [*COMPETITION, *DATASET, *TASK, *ACCOUNT, *SITE, *ONES_OWN]
    modules = (competitions, datasets, housekeeping, organizing, people, phases, tasks)
    for route in (route for module in modules for route in module.router.routes):
        assert isinstance(route, APIRoute)
        extra = route.openapi_extra or {}
        if OPEN in extra:
            continue
        plain = route.path.replace("{id}", "{}").replace("{key}", "{}")
        for verb in route.methods:
            if (verb, route.path) in ELSEWHERE:
                continue
            asked = [c for c in calls if c.verb == verb and _plain(c.path) == plain]
            assert asked, f"{verb} {route.path}"
            assert {c.action for c in asked} == set(extra[DECIDED]), f"{verb} {route.path}"
    assert set(ELSEWHERE.values()) <= set(globals())


def _plain(path: str) -> str:
    for name in ("id", "key", "phase", "participant", "job"):
        path = path.replace(f"{{{name}}}", "{}")
    return path.partition("?")[0]
