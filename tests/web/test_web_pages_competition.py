"""Pages of a competition without a browser: who sees what, forms that are wrong, what is kept when they are saved."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hosting_lab import bundle, hosted, zipped
from pages_lab import Browser
from site_lab import Clock, person
from starlette.datastructures import FormData

from codabench.site.actors import Actor
from codabench.site.site import Site
from codabench.web.pages import fields
from codabench.web.pages.common import Given

FACTS = """\
fact_sheet:
  method: {key: method, type: text, title: Method, selection: "", is_required: "true", is_on_leaderboard: "true"}
  colour: {key: colour, type: select, title: Colour, selection: [red, blue], is_required: "false", is_on_leaderboard: "false"}
  sure: {key: sure, type: checkbox, title: Sure, selection: "", is_required: "false", is_on_leaderboard: "false"}
"""  # noqa: E501
ANSWER = {"data": ("answer.zip", zipped({"answer.csv": b"1\n"}))}


@pytest.fixture
def olga(site: Site) -> Actor:
    return person(site, "olga-1")


@pytest.fixture
def paul(site: Site) -> Actor:
    return person(site, "paul-1")


def made(site: Site, olga: Actor, more: str = FACTS, *, published: bool = True) -> str:
    """The address of a competition."""
    id = hosted(site, olga, bundle(more), published=published)
    return f"/competitions/{site.competitions.number(id)}/"


def id_of(site: Site, at: str) -> str:
    from codabench.site.numbers import Kind

    return site.numbers.key(Kind.COMPETITION, int(at.split("/")[2]))


def approved(site: Site, at: str, actor: Actor, olga: Actor) -> None:
    from codabench.core.people import ParticipationStatus

    asked = site.registrations.register(actor, id_of(site, at))
    site.registrations.decide(olga, asked.id, ParticipationStatus.APPROVED)


# ---------------------------------------------------------------------- visitors
TABS = ("", "terms/", "phases/", "files/", "submissions/", "results/")


def test_everybody_reads_what_is_published(site: Site, olga: Actor) -> None:
    at = made(site, olga)
    visitor = Browser(site)
    for tab in TABS:
        assert visitor.open(at + tab).status == 200, (tab, visitor.words)
        assert "Wheat seeds" in visitor.words
        assert "Delete" not in visitor.words
        assert "SECRET" not in visitor.text
    assert "Log in to take part" in visitor.open(at + "submissions/").words
    assert "Tell seeds apart" not in visitor.open(at).words  # its first page stands there
    assert "<svg" in visitor.text


def test_a_secret_link_opens_every_page_and_is_carried_on(site: Site, olga: Actor) -> None:
    at = made(site, olga, published=False)
    visitor, key = Browser(site), site.db.hosted(id_of(site, at)).secret_key
    assert visitor.open(at).status == 404
    assert visitor.open(f"{at}?secret_key={key}").status == 200
    for link in ("Terms", "Phases", "Files", "My submissions", "Results"):
        assert visitor.follow(link).status == 200
        assert str(visitor.answer.url).endswith(key)
    paul = Browser(site, person(site, "paul-2"))
    paul.open(f"{at}submissions/?secret_key={key}").press("Register", agreed="on")
    assert paul.status == 200
    assert "The organizers will decide" in paul.words
    assert "Terms" in paul.open(at).words, "who asked to take part may read the terms"
    assert paul.open(f"{at}phases/").status == 404


@pytest.mark.parametrize(
    "page",
    ["participants/", "participants.csv", "participants/mail/", "manage/", "submissions.csv", "bundles/", "delete/"],
)
def test_pages_of_organizers_are_theirs(site: Site, olga: Actor, paul: Actor, page: str) -> None:
    at = made(site, olga)
    approved(site, at, paul, olga)
    assert Browser(site, olga).open(at + page).status == 200
    assert Browser(site, paul).open(at + page).status == 403
    assert Browser(site).open(at + page).path == "/accounts/login/"


# ---------------------------------------------------------------------- beginning
def test_a_bundle_becomes_a_competition(site: Site, olga: Actor) -> None:
    browser = Browser(site, olga)
    browser.open("/competitions/upload/").press("Upload", files={"data": ("wheat.zip", bundle())})
    assert browser.path == "/jobs/1/"
    site.jobs.wait(olga, 1, timeout=60)
    browser.open("/jobs/1/").follow("To the competition")
    assert "not published" in browser.words
    assert Browser(site).open(browser.path).status == 404
    browser.press("Publish")
    assert "Everybody sees the competition now" in browser.words
    assert Browser(site).open(browser.path).status == 200
    browser.press("Unpublish")
    assert Browser(site).open(browser.path).status == 404
    assert Browser(site, person(site, "other-1")).open("/jobs/1/").status == 403


def test_a_bundle_that_cannot_be_used_says_why(site: Site, olga: Actor) -> None:
    browser = Browser(site, olga)
    browser.open("/competitions/upload/").press("Upload")
    assert (browser.status, "Choose a file" in browser.words) == (400, True)
    browser.press("Upload", files={"data": ("wheat.zip", b"no zip")})
    if browser.path == "/jobs/1/":
        site.jobs.wait(olga, 1, timeout=60)
        browser.open("/jobs/1/")
    assert "zip" in browser.words
    text = zipped({"competition.yaml": b"version: 2\n"})
    browser.open("/competitions/upload/").press("Upload", files={"data": ("wheat.zip", text)})
    site.jobs.wait(olga, int(browser.path.split("/")[2]), timeout=60)
    assert "title" in browser.open(browser.path).words
    assert browser.follow("Try another bundle").path == "/competitions/upload/"


def test_a_competition_is_described(site: Site, olga: Actor) -> None:
    id = hosted(site, olga)
    key = site.db.competition(id).tasks[0].key
    browser = Browser(site, olga)
    browser.open("/competitions/create/").press("Create")
    assert (browser.status, "There is no task" in browser.words) == (400, True)
    text = browser.form("Create")[0].fields[-1][1].replace("00000000-0000-0000-0000-000000000000", str(key))
    browser.press("Create", document="a: [b")
    assert (browser.status, "Line 1" in browser.words) == (400, True)
    browser.press("Create", document=text)
    assert "The competition was created" in browser.words
    assert "My competition" in browser.words


# ---------------------------------------------------------------------- editing
@pytest.mark.parametrize("part", [part.name for part in fields.PARTS] + ["document"])
def test_saving_what_stands_there_changes_nothing(site: Site, olga: Actor, part: str) -> None:
    at = made(site, olga)
    site.competitions.edit(olga, id_of(site, at), {"collaborators": [person(site, "carla-1").account]})
    before = site.db.competition(id_of(site, at)), site.db.hosted(id_of(site, at))
    browser = Browser(site, olga).open(f"/competitions/edit/{at.split('/')[2]}/?part={part}")
    browser.press("Save")
    assert "The changes were kept" in browser.words
    after = site.db.competition(id_of(site, at)), site.db.hosted(id_of(site, at))
    assert without_files(after[0]) == without_files(before[0])
    assert after[1] == before[1]


def without_files(spec: Any) -> dict[str, Any]:
    """A specification without the names of the files that texts are kept in."""
    said = spec.model_dump()
    said.pop("terms_file")
    for page in said["pages"]:
        page.pop("file")
    return dict(said)


CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "details": ({"title": "Barley", "reward": "A sack"}, {"title": "Barley", "reward": "A sack"}),
    "participation": (
        {"terms": "Be kind.", "whitelist": "A@example.org\nb@example.org", "allow_robots": "on"},
        {"terms": "Be kind.", "whitelist": ["a@example.org", "b@example.org"], "allow_robots": True},
    ),
    "switches": (
        {"enable_detailed_results": "on", "forum_enabled": False},
        {"enable_detailed_results": True, "forum_enabled": False},
    ),
    "pages": (
        {"pages.0.title": "Start", "pages.1.title": "More", "pages.1.content": "# More"},
        {"pages": [{"title": "Start", "content": "# Wheat\n"}, {"title": "More", "content": "# More"}]},
    ),
    "fact_sheet": ({"fact_sheet.1.gone": "on", "fact_sheet.2.gone": "on", "fact_sheet.0.title": "How"}, {}),
    "collaborators": ({"collaborators": "paul-1"}, {}),
    "document": (
        {"document": '{"title": "Rye", "whitelist": ["c@example.org"]}'},
        {"title": "Rye", "whitelist": ["c@example.org"]},
    ),
}


@pytest.mark.parametrize("part", CHANGES)
def test_every_part_is_changed(site: Site, olga: Actor, paul: Actor, part: str) -> None:
    at = made(site, olga)
    given, wanted = CHANGES[part]
    browser = Browser(site, olga).open(f"/competitions/edit/{at.split('/')[2]}/?part={part}").press("Save", **given)
    assert "The changes were kept" in browser.words
    document = site.competitions.document(olga, id_of(site, at))
    assert {name: document[name] for name in wanted} == wanted
    if part == "fact_sheet":
        assert [(q["key"], q["title"]) for q in document["fact_sheet"].values()] == [("method", "How")]
    if part == "collaborators":
        assert document["collaborators"] == [paul.account]


def test_phases_and_columns_are_changed(site: Site, olga: Actor) -> None:
    at = made(site, olga)
    edit = f"/competitions/edit/{at.split('/')[2]}/?part="
    browser = Browser(site, olga).open(edit + "phases")
    tasks = [task.key for task in site.db.competition(id_of(site, at)).tasks]
    browser.press(
        "Save",
        **{
            "phases.0.max_submissions": "",
            "phases.0.end": "2026-05-01T12:00",
            "phases.0.tasks": [tasks[0]],
            "phases.1.name": "Last",
        },
    )
    assert "The changes were kept" in browser.words
    first, last = site.db.competition(id_of(site, at)).phases
    assert (first.max_submissions, first.end.isoformat() if first.end else "", last.name) == (
        None,
        "2026-05-01T12:00:00+00:00",
        "Last",
    )
    assert len(first.tasks) == 1
    column = "leaderboards.0.columns.2"
    browser.open(edit + "leaderboards").press(
        "Save",
        **{
            "leaderboards.0.title": "Ranking",
            "leaderboards.0.primary_index": "0",
            "leaderboards.0.columns.1.gone": "on",
            f"{column}.title": "Twice",
            f"{column}.key": "twice",
            f"{column}.index": "5",
            f"{column}.computation": "avg",
            f"{column}.computation_indexes": "0",
        },
    )
    assert "The changes were kept" in browser.words, browser.words
    board = site.db.competition(id_of(site, at)).leaderboard
    assert board.title == "Ranking"
    assert [(c.key, c.index, c.computation, c.computation_indexes) for c in board.columns] == [
        ("score", 0, None, ()),
        ("twice", 5, "avg", (0,)),
    ]


def test_tasks_of_a_phase_keep_their_order(site: Site, olga: Actor) -> None:
    at = made(site, olga)
    first, *others = site.competitions.document(olga, id_of(site, at))["phases"]
    turned = {**first, "tasks": first["tasks"][::-1]}
    site.competitions.edit(olga, id_of(site, at), {"phases": [turned, *others]})
    Browser(site, olga).open(f"/competitions/edit/{at.split('/')[2]}/?part=phases").press("Save")
    assert site.competitions.document(olga, id_of(site, at))["phases"][0]["tasks"] == turned["tasks"]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "details": ({"title": ""}, "title"),
    "participation": ({"whitelist": "nobody"}, "is no e-mail address"),
    "phases": ({"phases.0.end": ""}, "phases"),
    "leaderboards": ({"leaderboards.0.columns.0.index": "x"}, "whole number"),
    "collaborators": ({"collaborators": "nobody-here"}, "There is no account nobody-here"),
    "document": ({"document": "owner: 1"}, "There is no such field"),
}


@pytest.mark.parametrize("part", WRONG)
def test_what_is_wrong_stands_at_the_form_as_it_was_filled_in(site: Site, olga: Actor, part: str) -> None:
    at = made(site, olga)
    before = site.competitions.document(olga, id_of(site, at))
    given, said = WRONG[part]
    browser = Browser(site, olga).open(f"/competitions/edit/{at.split('/')[2]}/?part={part}").press("Save", **given)
    assert browser.status == 400
    assert said in browser.words
    assert all(value in browser.text for value in given.values())
    assert site.competitions.document(olga, id_of(site, at)) == before


def test_a_logo_is_drawn_anew(site: Site, olga: Actor) -> None:
    from codabench.bundle.defined.logo import placeholder_logo

    at = made(site, olga)
    browser = Browser(site, olga).open(f"/competitions/edit/{at.split('/')[2]}/")
    browser.press("Upload the logo", files={"logo": ("logo.png", placeholder_logo("barley"))})
    assert "The changes were kept" in browser.words
    assert browser.client.get(at + "logo/").content.startswith(b"\x89PNG")
    browser.press("Upload the logo", files={"logo": ("logo.svg", b"<svg onload='alert(1)'/>")})
    assert browser.status == 400
    browser.press("Upload the logo")
    assert "Choose a picture" in browser.words


@pytest.mark.parametrize("part", fields.PARTS, ids=lambda part: part.name)
def test_forms_and_documents_say_the_same(site: Site, olga: Actor, part: fields.Part) -> None:
    at = made(site, olga)
    document = site.competitions.document(olga, id_of(site, at))
    sent: list[tuple[str, str]] = []
    for name, text in fields.filled(part, document).items():
        sent += [(name, each) for each in (text.split("\n") if name.endswith(".tasks") else [text])]
    if part.is_list:
        sent += [(f"{part.name}.place", str(n)) for n in range(len(fields.things(part, document)))]
        for n, item in enumerate(fields.things(part, document)):
            sent += [(f"{part.name}.{n}.{part.inner}.place", str(m)) for m in range(len(item.get(part.inner, ())))]
    read = fields.given(part, Given(FormData(sent)))
    assert set(read) <= set(document)
    for name, value in read.items():
        if name not in ("phases", "leaderboards", "fact_sheet"):
            assert value == document[name], name


# ---------------------------------------------------------------------- participants
def test_participants_are_decided_on_and_written_to(site: Site, olga: Actor, paul: Actor) -> None:
    at, me = made(site, olga), Browser(site, olga)
    Browser(site, paul).open(at + "submissions/").press("Register", agreed="on")
    me.open(at + "participants/").press("Deny paul-1")
    assert site.registrations.status(paul, id_of(site, at)) == "denied"
    assert "did not let you take part" in Browser(site, paul).open(at + "submissions/").words
    me.press("Approve paul-1")
    me.press("Revoke paul-1")
    me.press("Approve paul-1")
    assert site.registrations.status(paul, id_of(site, at)) == "approved"
    me.open(at + "participants/?status=denied")
    assert "Nobody" in me.words
    assert [row["Username"] for row in csv.DictReader(io.StringIO(me.open(at + "participants.csv").text))] == [
        "olga-1",
        "paul-1",
    ]
    me.open(at + "participants/").follow("Write to paul-1").press("Send")
    assert "Write something" in me.words
    me.press("Send", message="Well done.")
    assert "The mail goes to 1 person" in me.words
    me.open(at + "participants/").follow("Write to all").press("Send", message="Hello.", everybody="on")
    assert "The mail goes to 2 person" in me.words


def test_terms_have_to_be_agreed_to(site: Site, olga: Actor, paul: Actor) -> None:
    at, browser = made(site, olga), Browser(site, paul)
    browser.open(at + "submissions/").press("Register")
    assert (browser.status, "agree to them" in browser.words) == (400, True)
    assert site.registrations.status(paul, id_of(site, at)) is None


# ---------------------------------------------------------------------- submissions
def test_what_is_submitted_waits_and_is_cancelled(site: Site, olga: Actor, paul: Actor) -> None:
    at, browser = made(site, olga), Browser(site, paul)
    approved(site, at, paul, olga)
    browser.open(at + "submissions/").press("Submit", files=ANSWER)
    assert (browser.status, "method" in browser.words) == (400, True), "the fact sheet was not answered"
    browser.press("Submit", files=ANSWER, **{"fact:method": "guess", "fact:colour": "blue", "fact:sure": "on"})
    assert "Your submission was taken in" in browser.words
    number = int(browser.path.rstrip("/").rpartition("/")[2])
    shown = site.submissions.get(paul, number)
    assert (shown.fact_sheet, shown.file_name) == ({"method": "guess", "colour": "blue", "sure": True}, "answer.zip")
    browser.press("Keep the answers", **{"fact:method": "think"})
    assert site.submissions.get(paul, number).fact_sheet == {"method": "think", "colour": "blue", "sure": True}
    browser.press("Keep the answers", **{"fact:method": ""})
    assert browser.status == 400
    browser.open(at + f"submissions/{number}/").press(f"Cancel submission {number}")
    assert site.submissions.get(paul, number).status == "Cancelled"
    browser.press(f"Make public submission {number}")
    assert site.submissions.get(person(site, "other-1"), number).is_public
    browser.press(f"Make private submission {number}")
    browser.follow(f"Delete submission {number}").press("Delete it")
    assert site.submissions.get(paul, number).is_deleted


def test_limits_and_dates_are_told(site: Site, clock: Clock, olga: Actor, paul: Actor) -> None:
    at, browser = made(site, olga, ""), Browser(site, paul)
    approved(site, at, paul, olga)
    phases = site.competitions.document(olga, id_of(site, at))["phases"]
    site.competitions.edit(
        olga, id_of(site, at), {"phases": [{**phase, "max_submissions_per_day": 1} for phase in phases]}
    )
    browser.open(at + "submissions/")
    assert "today: 0 of 1" in browser.words
    browser.press("Submit", files=ANSWER)
    browser.open(at + "submissions/")
    assert "today: 1 of 1" in browser.words
    with pytest.raises(AssertionError, match="no button"):
        browser.form("Submit")
    clock.forward(days=365)
    assert "over" in Browser(site, paul).open(at + "submissions/?phase=0").words


def test_a_submission_is_where_it_belongs(site: Site, olga: Actor, paul: Actor) -> None:
    at, other = made(site, olga, ""), made(site, olga, "")
    approved(site, at, paul, olga)
    browser = Browser(site, paul).open(at + "submissions/")
    browser.press("Submit", files=ANSWER)
    number = browser.path.rstrip("/").rpartition("/")[2]
    assert browser.open(f"{other}submissions/{number}/").status == 404
    assert browser.open(f"{at}submissions/{number}/nothing/").status == 404
    assert Browser(site, person(site, "other-1")).open(f"{at}submissions/{number}/").status == 404
    stranger = Browser(site, person(site, "other-2"))
    answer = stranger.client.post(f"{at}submissions/{number}/cancel/")
    assert answer.status_code == 403, "no page of this site sent it"


def test_many_at_once(site: Site, olga: Actor, paul: Actor) -> None:
    at = made(site, olga, "")
    approved(site, at, paul, olga)
    theirs, me = Browser(site, paul), Browser(site, olga)
    numbers = []
    for _ in range(2):
        theirs.open(at + "submissions/").press("Submit", files=ANSWER)
        numbers.append(theirs.path.rstrip("/").rpartition("/")[2])
    me.open(at + "manage/").press("Rerun")
    assert "Tick the submissions first" in me.words
    assert me.client.get(at + "submissions.csv?search=nothing").text.count("\n") == 1
    for number in numbers:
        me.open(at + "manage/").press(f"Cancel submission {number}")
    assert "cancelled" in me.words
    id = id_of(site, at)
    form = me.open(at + "manage/").form("Delete")[0]
    assert {value for name, value in form.fields if name == "csrf"}
    for verb, said in (
        ("rerun", "2 submissions run again"),
        ("download", "answer.zip"),
        ("delete", "Delete 2 submissions?"),
    ):
        me.answer = me.client.post(at + "manage/", data={"csrf": form.fields[0][1], "do": verb, "one": numbers})
        assert said in me.words, me.words
    assert len(site.submissions.list(olga, competition=id)) == 4
    me.press("Delete them", one=numbers)
    assert {str(each.number) for each in site.submissions.list(olga, competition=id)}.isdisjoint(numbers)
    assert me.open(at + "manage/").press("Rerun all of Final").status == 200
    assert me.open(at + "manage/").press("Submit its leaderboard to the next phase from Open").status == 200
    assert "0 submissions went on" in me.words


def test_bundles_are_written_and_a_competition_ends(site: Site, olga: Actor) -> None:
    at, browser = made(site, olga), Browser(site, olga)
    browser.open(at + "bundles/").press("Write the bundle", keys="on")
    number = int(browser.path.split("/")[2])
    site.jobs.wait(olga, number, timeout=60)
    browser.open(browser.path).follow("To the bundles")
    assert "written here" in browser.words
    browser.open(at).follow("Delete the competition").press("Delete the competition")
    assert browser.path == "/competitions/"
    assert browser.open(at).status == 404
