"""From signing up to the exported leaderboard, in a real browser, with scripts and without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser_lab import FACTS, Person, Served, answer, bundle, until

Sit = Callable[..., Person]

PASSWORD = "correct horse battery"


def sign_up(served: Served, sit_down: Sit, name: str, *, scripts: bool) -> Person:
    """Somebody who was not here before, logged in."""
    somebody = sit_down(java_script_enabled=scripts)
    address = f"{name}@example.org"
    somebody.open("/accounts/signup/").press(
        "Sign up", username=name, email=address, password=PASSWORD, repeated=PASSWORD, terms=True
    )
    assert served.api().post("/api-token-auth/", data={"username": name, "password": PASSWORD}).status_code == 403
    somebody.open(served.link_in_mail(address)).press("Confirm it")
    somebody.open("/accounts/login/").press("Log in", username=name, password=PASSWORD)
    answered = served.api().post("/api-token-auth/", data={"username": name, "password": PASSWORD})
    assert answered.status_code == 200, "the account is active"
    somebody.actor = served.site.credentials.actor(answered.json()["token"])
    return somebody


@pytest.mark.presses(
    ("POST", "/accounts/signup/", "Sign up"),
    ("POST", "/accounts/login/", "Log in"),
    ("POST", "/competitions/upload/", "Upload"),
    ("POST", "/competitions/N/publish/", "Publish"),
    ("POST", "/competitions/N/register/", "Register"),
    ("POST", "/competitions/N/participants/N/", "Approve"),
    ("POST", "/competitions/N/submissions/upload/", "Submit"),
    ("POST", "/competitions/N/submissions/N/board/", "Put on the leaderboard"),
    ("POST", "/competitions/N/submissions/N/rerun/", "Rerun"),
)
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_from_signing_up_to_the_exported_board(served: Served, sit_down: Sit, scripts: bool, tmp_path: Path) -> None:
    olga = sign_up(served, sit_down, served.name("olga"), scripts=scripts)
    olga.open("/competitions/upload/").press("Upload", data=bundle(FACTS))
    olga.page.wait_for_url("**/jobs/*/")
    olga.page.get_by_role("link", name="To the competition").wait_for()
    olga.follow("To the competition")
    number = int(olga.path.split("/")[2])
    assert served.api().get(f"/competitions/{number}/").status_code == 404
    olga.press("Publish")
    assert served.api().get(f"/competitions/{number}/").json()["title"] == "Wheat seeds"

    paul = sign_up(served, sit_down, served.name("paul"), scripts=scripts)
    paul.open(f"/competitions/{number}/").follow("My submissions").press("Register", agreed=True)
    assert paul.api().get(f"/competitions/{number}/").json()["participant_status"] == "pending"
    assert paul.actor is not None
    olga.open(f"/competitions/{number}/").follow("Participants").press("Approve", of=paul.actor.username)
    assert paul.api().get(f"/competitions/{number}/").json()["participant_status"] == "approved"

    paul.open(f"/competitions/{number}/submissions/")
    paul.press("Submit", data=answer(1.5, tmp_path / "enough"), **{"fact:method": "guessing"})
    paul.page.wait_for_url("**/submissions/*/")
    submission = int(paul.path.rstrip("/").rpartition("/")[2])
    with paul.api() as api:
        if scripts:
            paul.page.get_by_text("Still counting.").first.wait_for()
            assert api.get(f"/submissions/{submission}/").json()["status"] == "Scoring", "the log was seen while it ran"
            paul.page.locator("[data-live-plot] polyline[points*=',']").wait_for()
            (tmp_path / "enough").touch()
            paul.page.get_by_role("link", name="scoring stdout").wait_for()  # the page came again by itself
        else:
            assert "Look again" in paul.words
            (tmp_path / "enough").touch()
            until(lambda: api.get(f"/submissions/{submission}/").json()["status"] == "Finished")
            paul.follow("Look again")
        assert "Finished" in paul.words
        shown = api.get(f"/submissions/{submission}/").json()
        assert (shown["status"], shown["fact_sheet_answers"]) == ("Finished", {"method": "guessing"})
        paul.press("Put on the leaderboard", of=f"submission {submission}")
        assert api.get(f"/submissions/{submission}/").json()["on_leaderboard"] is True

    visitor = sit_down(java_script_enabled=scripts)
    visitor.open(f"/competitions/{number}/results/")
    row = visitor.page.locator("table.board tbody tr")
    assert row.count() == 1
    assert [word in row.inner_text() for word in (paul.actor.username, "1.50", "guessing")] == [True] * 3
    visitor.page.get_by_role("link", name="Score").first.click()
    visitor.page.locator("th[aria-sort]").wait_for()

    olga.open(f"/competitions/{number}/manage/").press("Rerun", of=f"submission {submission}")
    with olga.api() as api:
        listed = api.get("/submissions/", params={"phase__competition": number}).json()
        assert len(listed) == 2
        olga.open(f"/competitions/{number}/results/")
        with olga.page.expect_download() as download:
            olga.page.get_by_role("link", name="CSV of this phase").click()
        text = download.value.path().read_bytes()
        assert b"1.5000000000" in text
        phase = api.get(f"/competitions/{number}/").json()["phases"][0]["id"]
        assert text == api.get(f"/competitions/{number}/results.csv", params={"phase": phase}).content
