"""Every button of a competition's pages, pressed without scripts; what each did is read from the REST API."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from browser_lab import FACTS, Person, Served, answer, until

from codabench.bundle.defined.logo import placeholder_logo
from codabench.site.actors import Actor

Sit = Callable[..., Person]


@pytest.fixture
def olga(served: Served) -> Actor:
    return served.somebody("olga")


@pytest.fixture
def paul(served: Served) -> Actor:
    return served.somebody("paul")


def plain(sit_down: Sit, actor: Actor) -> Person:
    return sit_down(actor, java_script_enabled=False)


@pytest.mark.presses(
    ("POST", "/competitions/N/publish/", "Publish"),
    ("POST", "/competitions/N/publish/", "Unpublish"),
    ("POST", "/competitions/N/delete/", "Delete the competition"),
    ("POST", "/competitions/N/bundles/", "Write the bundle"),
)
def test_a_competition_is_published_dumped_and_deleted(served: Served, sit_down: Sit, olga: Actor) -> None:
    number = served.competition(olga, published=False)
    at, me, nobody = f"/competitions/{number}/", plain(sit_down, olga), served.api()
    me.open("/competitions/").press("Publish", of="Wheat seeds")
    assert nobody.get(at).status_code == 200
    me.open(at).press("Unpublish")
    assert nobody.get(at).status_code == 404
    me.press("Publish")
    assert nobody.get(at).status_code == 200
    me.open(f"{at}bundles/").press("Write the bundle")
    me.page.get_by_role(
        "link", name="To the bundles"
    ).wait_for()  # the page looks again by itself, without scripts, too
    with me.api() as api:
        assert len(api.get(f"{at}get_files/").json()["dumps"]) == 1
        me.open(at).follow("Delete the competition").press("Delete the competition")
        assert api.get(at).status_code == 404


@pytest.mark.presses(
    ("POST", "/competitions/N/participants/N/", "Approve"),
    ("POST", "/competitions/N/participants/N/", "Deny"),
    ("POST", "/competitions/N/participants/N/", "Revoke"),
    ("POST", "/competitions/N/participants/mail/", "Send"),
    ("GET", "/competitions/N/participants/", "Show"),
)
def test_participants(served: Served, sit_down: Sit, olga: Actor, paul: Actor) -> None:
    number = served.competition(olga)
    served.site.registrations.register(paul, served.id(number))
    at, me = f"/competitions/{number}/participants/", plain(sit_down, olga)

    def status() -> str:
        with me.api() as api:
            found = api.get("/participants/", params={"competition": number}).json()
        return next(each["status"] for each in found if each["username"] == paul.username)

    me.open(at).press("Deny", of=paul.username)
    assert status() == "denied"
    me.press("Approve", of=paul.username)
    assert status() == "approved"
    me.press("Revoke", of=paul.username)
    assert status() == "denied"
    me.press("Show", status="approved")
    assert paul.username not in me.words
    me.press("Show", status="", search=paul.username)
    me.follow("Write", of=f"to {paul.username}").press("Send", message="Have another look.")
    address = f"{paul.username}@example.org"
    until(lambda: any("another look" in mail.get_content() for mail in served.sink.to(address)))
    me.open(at).follow("Write to all").press("Send", message="To all of you.")
    until(lambda: any("To all of you" in mail.get_content() for mail in served.sink.to(f"{olga.username}@example.org")))


EDITS = {
    "details": ({"title": "Barley"}, ("title", "Barley")),
    "participation": ({"terms": "Be kind."}, ("terms", "Be kind.")),
    "switches": ({"make_programs_available": True}, ("make_programs_available", True)),
    "pages": ({"pages.1.title": "More", "pages.1.content": "Words."}, ("pages", 2)),
    "phases": ({"phases.1.name": "Last"}, ("phases", 2)),
    "leaderboards": ({"leaderboards.0.title": "Ranking"}, ("leaderboards", 1)),
    "fact_sheet": ({"fact_sheet.0.key": "how", "fact_sheet.0.title": "How"}, ("fact_sheet", 1)),
    "collaborators": ({}, ("collaborators", 1)),
    "document": ({"document": "description: Tell grain apart."}, ("description", "Tell grain apart.")),
}


@pytest.mark.presses(
    *(("POST", f"/competitions/edit/N/{part}/", "Save") for part in EDITS),
    ("POST", "/competitions/edit/N/logo/upload/", "Upload the logo"),
)
def test_every_part_is_edited(served: Served, sit_down: Sit, olga: Actor, paul: Actor) -> None:
    number, me = served.competition(olga), plain(sit_down, olga)
    with me.api() as api:
        for part, (given, (field, wanted)) in EDITS.items():
            given = given or {"collaborators": paul.username}
            me.open(f"/competitions/edit/{number}/?part={part}").press("Save", **given)
            assert "The changes were kept" in me.words
            found = api.get(f"/competitions/{number}/").json()[field]
            assert (len(found) if isinstance(wanted, int) and not isinstance(wanted, bool) else found) == wanted
        shown = api.get(f"/competitions/{number}/").json()
        assert (shown["phases"][1]["name"], shown["leaderboards"][0]["title"]) == ("Last", "Ranking")
        before = api.get(shown["logo"]).content
        me.open(f"/competitions/edit/{number}/").press("Upload the logo", logo=placeholder_logo("rye"))
        assert api.get(api.get(f"/competitions/{number}/").json()["logo"]).content != before


@pytest.mark.presses(("POST", "/competitions/create/", "Create"))
def test_a_competition_is_described(served: Served, sit_down: Sit, olga: Actor) -> None:
    key = served.site.db.competition(served.id(served.competition(olga))).tasks[0].key
    me = plain(sit_down, olga).open("/competitions/create/")
    text = me.page.locator("textarea").input_value().replace("00000000-0000-0000-0000-000000000000", str(key))
    me.press("Create", document=text)
    with me.api() as api:
        assert api.get(me.path).json()["title"] == "My competition"


@pytest.mark.presses(
    ("POST", "/competitions/N/submissions/N/run/", "Run"),
    ("POST", "/competitions/N/submissions/N/cancel/", "Cancel"),
    ("POST", "/competitions/N/submissions/N/rerun/", "Rerun"),
    ("POST", "/competitions/N/submissions/N/rerun/", "Run on this task"),
    ("POST", "/competitions/N/submissions/N/score/", "Set the scores"),
    ("POST", "/competitions/N/submissions/N/remove/", "Delete it"),
)
def test_what_organizers_do_to_a_submission(served: Served, sit_down: Sit, olga: Actor, paul: Actor) -> None:
    number = served.competition(olga, "auto_run_submissions: false\n")
    served.take_part(paul, number)
    first, second = (served.submit(paul, number, answer(2), wait=False) for _ in range(2))
    at, me = f"/competitions/{number}/submissions/", plain(sit_down, olga)
    with me.api() as api:

        def shown(submission: int) -> dict[str, object]:
            return dict(api.get(f"/submissions/{submission}/").json())

        me.open(f"{at}{first}/").press("Run", of=f"submission {first}")
        until(lambda: shown(first)["status"] == "Finished")
        me.open(f"{at}{second}/").press("Cancel", of=f"submission {second}")
        assert shown(second)["status"] == "Cancelled"
        score = shown(first)["scores"][0]  # type: ignore[index]
        me.open(f"{at}{first}/").press("Set the scores", **{f"score:{score['id']}": "7.5"})
        assert shown(first)["scores"][0]["score"] == "7.5000000000"  # type: ignore[index]
        me.open(f"{at}{first}/").press("Rerun", of=f"submission {first}")
        other = served.site.db.competition(served.id(number)).tasks[1].key
        me.open(f"{at}{first}/").press("Run on this task", task=other)
        listed = api.get("/submissions/", params={"phase__competition": number}).json()
        assert sorted((each["is_specific_task_re_run"], each["task"]["name"]) for each in listed) == [
            (False, "First"),
            (False, "First"),
            (False, "First"),
            (True, "Second"),
        ]
        me.open(f"{at}{second}/").follow("Delete", of=f"submission {second}").press("Delete it")
        assert api.get(f"/submissions/{second}/").status_code == 404


@pytest.mark.presses(
    ("POST", "/competitions/N/submissions/N/publish/", "Make public"),
    ("POST", "/competitions/N/submissions/N/withdraw/", "Make private"),
    ("POST", "/competitions/N/submissions/N/board/", "Put on the leaderboard"),
    ("POST", "/competitions/N/submissions/N/unboard/", "Take off the leaderboard"),
    ("POST", "/competitions/N/submissions/N/answer/", "Keep the answers"),
    ("POST", "/competitions/N/submissions/N/delete/", "Delete it"),
    ("GET", "/competitions/N/results/", "Search"),
)
def test_what_owners_do_to_a_submission(served: Served, sit_down: Sit, olga: Actor, paul: Actor) -> None:
    number = served.competition(olga, FACTS)
    served.take_part(paul, number)
    submission = served.submit(paul, number, fact_sheet={"method": "luck"})
    at, row, me = f"/competitions/{number}/submissions/", f"submission {submission}", plain(sit_down, paul)
    with me.api() as api:

        def shown(field: str) -> object:
            return api.get(f"/submissions/{submission}/").json()[field]

        me.open(at).press("Make public", of=row)
        assert shown("is_public") is True
        me.press("Make private", of=row)
        assert shown("is_public") is False
        me.press("Put on the leaderboard", of=row)
        assert shown("on_leaderboard") is True
        me.open(f"/competitions/{number}/results/").press("Search", search="nobody of this name")
        assert "Nobody of that name" in me.words
        me.press("Search", search=paul.username)
        assert "1.50" in me.words
        me.open(at).press("Take off the leaderboard", of=row)
        assert shown("on_leaderboard") is False
        me.open(f"{at}{submission}/").press("Keep the answers", **{"fact:method": "thought"})
        assert shown("fact_sheet_answers") == {"method": "thought"}
        me.open(at).follow("Delete", of=row).press("Delete it")
        assert shown("is_soft_deleted") is True


@pytest.mark.presses(
    ("GET", "/competitions/N/manage/", "Show"),
    ("POST", "/competitions/N/manage/", "Rerun"),
    ("POST", "/competitions/N/manage/", "Download"),
    ("POST", "/competitions/N/manage/", "Delete"),
    ("POST", "/competitions/N/manage/", "Delete them"),
    ("POST", "/competitions/N/rerun/", "Rerun all"),
    ("POST", "/competitions/N/migrate/", "Submit its leaderboard to the next phase"),
)
def test_many_submissions(served: Served, sit_down: Sit, olga: Actor, paul: Actor) -> None:
    number = served.competition(olga, rule="Force_Last")
    served.take_part(paul, number)
    data = answer(1)
    ids = [served.submit(paul, number, each) for each in (data, answer(2))]
    me = plain(sit_down, olga).open(f"/competitions/{number}/manage/")
    with me.api() as api:

        def numbers(phase: int = 0) -> set[int]:
            place = api.get(f"/competitions/{number}/").json()["phases"][phase]["id"]
            return {each["id"] for each in api.get("/submissions/", params={"phase": place}).json()}

        def over() -> bool:
            listed = api.get("/submissions/", params={"phase__competition": number}).json()
            return {each["status"] for each in listed} == {"Finished"}

        def tick(*submissions: int) -> None:
            for each in submissions:
                me.page.get_by_label(f"Submission {each}", exact=True).check()

        me.press("Show", status="Failed")
        assert "nothing of that kind" in me.words
        me.press("Show", status="")
        tick(ids[0])
        me.press("Download", at="#many")
        with me.page.expect_download() as download:
            me.page.locator(".list a").first.click()
        assert download.value.path().read_bytes() == data
        me.open(f"/competitions/{number}/manage/")
        tick(*ids)
        me.press("Rerun", at="#many")
        assert len(numbers()) == 4
        until(
            lambda: (
                {e["status"] for e in api.get("/submissions/", params={"phase__competition": number}).json()}
                == {"Finished"}
            )
        )
        me.press("Rerun all", of="of Open")
        assert len(numbers()) == 8
        me.open(f"/competitions/{number}/manage/")
        tick(ids[0])
        me.press("Delete", at="#many")
        me.press("Delete them")
        assert ids[0] not in numbers()
        until(
            lambda: (
                {e["status"] for e in api.get("/submissions/", params={"phase__competition": number}).json()}
                == {"Finished"}
            )
        )
        me.press("Submit its leaderboard to the next phase", of="from Open")
        assert len(numbers(1)) == 1


def test_a_detailed_result_reaches_nothing(served: Served, sit_down: Sit, olga: Actor) -> None:
    number = served.competition(olga)
    submission = served.submit(olga, number)
    me = sit_down(olga).open(f"/competitions/{number}/detailed_results/{submission}/")
    frame = me.page.frame_locator("iframe")
    assert frame.get_by_role("heading").inner_text() == "In detail"
    assert frame.locator("body").get_attribute("data-reached") == "nothing"
    assert "taken" not in me.page.title()
    with me.api() as api:
        address = api.get(f"/submissions/{submission}/get_detail_result/").json()
    me.page.goto(address)  # also by itself it is in a box
    assert me.page.locator("body").get_attribute("data-reached") == "nothing"
