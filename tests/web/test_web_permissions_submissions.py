"""Calls for submissions, boards and results against the table of permissions that was written by hand.

Every route, with every verb, for everybody, in every state. What is refused changes nothing, so it is asked for first.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from fastapi.routing import APIRoute
from permission_lab import Everybody, fits
from permission_matrix import Section, sections
from site_lab import Clock, close_site, make_site
from submission_states import SECTIONS, State, everybody
from web_lab import robot

from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.web.api import acts, boards, submissions
from codabench.web.routing import DECIDED, OPEN


class Call(NamedTuple):
    """A call for one submission. `changes`: what it does, if it may, it cannot do again."""

    action: str
    verb: str
    path: str
    body: Any = None
    changes: bool = False


ONE = "/api/submissions/{number}/"
CALLS = [
    Call("submission.read", "GET", ONE),
    Call("submission.details", "GET", f"{ONE}get_details/"),
    Call("submission.detailed_result", "GET", f"{ONE}get_detail_result/"),
    Call("submission.live", "GET", "/api/submissions/{number}/events", changes=True),
    Call("submission.cancel", "GET", f"{ONE}cancel_submission/", changes=True),
    Call("submission.cancel", "POST", f"{ONE}cancel_submission/", changes=True),
    Call("submission.run", "POST", f"{ONE}run_submission/", changes=True),
    Call("submission.rerun", "POST", f"{ONE}re_run_submission/"),
    Call("submission.rerun", "POST", "/api/submissions/re_run_many_submissions/", ["{number}"]),
    Call("submission.hard_delete", "DELETE", ONE, changes=True),
    Call("submission.hard_delete", "DELETE", "/api/submissions/delete_many/", ["{number}"], changes=True),
    Call("submission.soft_delete", "DELETE", f"{ONE}soft_delete/", changes=True),
    Call("submission.put_on_board", "POST", f"{ONE}submission_leaderboard_connection/", changes=True),
    Call("submission.take_off_board", "DELETE", f"{ONE}submission_leaderboard_connection/", changes=True),
    Call("submission.publish", "GET", f"{ONE}toggle_public/", changes=True),
    Call("submission.publish", "POST", f"{ONE}toggle_public/", changes=True),
    Call("submission.answer", "PATCH", f"{ONE}update_fact_sheet/", {}),
    Call("submission.download", "POST", "/api/submissions/download_many/", {"pks": ["{number}"]}),
    Call("submission.read", "GET", "/api/submission_scores/?submission={number}"),
    Call("submission.read", "GET", "/api/submission_scores/{score}/"),
    Call("submission.score", "PATCH", "/api/submission_scores/{score}/", {"score": 0.25}),
    Call("submission.score", "PUT", "/api/submission_scores/{score}/", {"score": 0.25}),
]
FIRST = {call.action: call for call in reversed(CALLS)}
EVERY_CALL = ("finished, on no board", "finished, on a board", "public")
"""In these states every call is made; in others one for each action, which the others share."""
ELSEWHERE = {
    ("GET", "/api/submissions/"): "test_lists_have_what_the_table_says",
    ("POST", "/api/submissions/"): "test_calls_for_competitions_and_boards",
    ("GET", "/api/can_make_submission/{phase}/"): "test_calls_for_competitions_and_boards",
    ("GET", "/api/phases/{number}/rerun_submissions/"): "test_calls_for_competitions_and_boards",
    ("POST", "/api/phases/{number}/rerun_submissions/"): "test_calls_for_competitions_and_boards",
    ("GET", "/api/competitions/{number}/results/"): "test_calls_for_competitions_and_boards",
    ("GET", "/api/phases/{number}/get_leaderboard/"): "test_calls_for_competitions_and_boards",
    ("GET", "/api/leaderboards/{number}/"): "test_calls_for_competitions_and_boards",
}
READ = ("submission.read", "submission.details", "submission.detailed_result")


@pytest.fixture(scope="module")
def asks() -> Iterator[Everybody]:
    site = make_site(Clock())
    with robot(site) as client:
        yield Everybody(site, client, everybody(site))
    close_site(site)


def filled(value: Any, state: State) -> Any:
    """With numbers for names."""
    if isinstance(value, dict):
        return {name: filled(item, state) for name, item in value.items()}
    if isinstance(value, list):
        return [state.number for _ in value]
    return value


def path_of(call: Call, state: State, score: int | None) -> str:
    return call.path.replace("{number}", str(state.number)).replace("{score}", str(score))


def score_in(state: State) -> int | None:
    """The number of one of its scores, if it has any."""
    scores = state.site.submissions.get(state.actors["Cr"], state.number).scores
    return scores[0].number if scores else None


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.state)
def test_calls_for_a_submission(asks: Everybody, section: Section) -> None:
    state = State(asks.site, section, asks.actors)
    score = score_in(state)
    for refused in (True, False):
        for call in CALLS:
            if ("{score}" in call.path and score is None) or not _asked_for(call, section):
                continue
            for role, wanted in section.cells[call.action].items():
                if (wanted == "y") is refused or (wanted == "y" and call.changes):
                    continue
                told = asks(role, call.verb, path_of(call, state, score), filled(call.body, state), state.key)
                assert fits(told, wanted, role), f"{call.verb} {call.path} by {role} in {section}: {told}"


def _asked_for(call: Call, section: Section) -> bool:
    """Where its rule puts a submission on the board, it is about that; where there is a key, it opens what is read."""
    if FIRST[call.action] != call and section.state not in EVERY_CALL:
        return False
    if section.values["rule"].startswith("Force"):
        return call.action.endswith("_board")
    return "key" not in section.words or (call.action in READ and "scores" not in call.path)


@pytest.mark.parametrize("call", [call for call in CALLS if call.changes and call.action != "submission.live"])
def test_what_may_be_done_is_done(asks: Everybody, call: Call) -> None:
    """By everybody who may, each to another one."""
    waiting = {"submission.run": "waits for the organizer", "submission.cancel": "running"}
    wanted = waiting.get(call.action, "finished, on no board")
    (section,) = (section for section in SECTIONS if section.state == wanted)
    for role, cell in section.cells[call.action].items():
        if cell == "y" and role not in ("Co", "Su"):  # as the creator
            state = State(asks.site, section, asks.actors)
            assert asks(role, call.verb, path_of(call, state, None), filled(call.body, state)) == "y", role


def test_lists_have_what_the_table_says(asks: Everybody) -> None:
    """One list over submissions in all states: each is in it for those who find it there."""
    chosen = [each for each in SECTIONS if "key" not in each.words and not each.values["rule"].startswith("Force")]
    states = [(section, State(asks.site, section, asks.actors)) for section in chosen]
    for role in asks.actors:
        found = asks.answer(role, "GET", "/api/submissions/?show_is_soft_deleted=true").json()
        numbers = {each["id"] for each in found}
        for section, state in states:
            wanted = section.cells["submission.list"][role] == "y"
            assert (state.number in numbers) == wanted, f"{role}: {section}"


@pytest.mark.parametrize("words", ["published", "", "key", "published hidden", "hidden"])
def test_calls_for_competitions_and_boards(asks: Everybody, words: str) -> None:
    given = set(words.split())
    of = {section.kind: section for section in sections() if section.words == given and section.kind == "board"}
    competition = next(
        section for section in sections() if section.kind == "competition" and section.words == given - {"hidden"}
    )
    board = of["board"]
    made = Section("submission", "", tuple({"status=Finished", "rule=Add", *(given - {"hidden"})}), {})
    if "hidden" in given:
        made = Section("submission", "", (*made.given, "board_hidden"), {})
    state = State(asks.site, made, asks.actors)
    numbers = asks.site.numbers
    phase, whole = numbers.of(Kind.PHASE, state.id, 0), numbers.of(Kind.COMPETITION, state.id)
    calls = [
        (board, "board.read", "GET", f"/api/phases/{phase}/get_leaderboard/", None),
        (board, "board.read", "GET", f"/api/leaderboards/{numbers.of(Kind.BOARD, state.id, 0)}/", None),
        (competition, "results.export", "GET", f"/api/competitions/{whole}/results.json", None),
        (competition, "submission.create", "POST", "/api/submissions/", {"phase": phase, "data": "none"}),
        (competition, "competition.open", "GET", f"/api/can_make_submission/{phase}/", None),
        (competition, "phase.rerun", "GET", f"/api/phases/{phase}/rerun_submissions/", None),
        (competition, "phase.rerun", "POST", f"/api/phases/{phase}/rerun_submissions/", None),
    ]
    for section, action, verb, path, body in calls:
        if state.key and action in ("results.export", "phase.rerun"):
            continue  # organizers need no key
        for role in asks.actors:
            if role == "Ow" or role not in section.cells[action]:
                continue
            told, wanted = asks(role, verb, path, body, state.key), section.cells[action][role]
            if action == "competition.open" and role == "An":
                wanted = "s"  # nobody submits without having signed in, and so nobody asks whether they may
            assert fits(told, wanted, role), f"{verb} {path} by {role}: {section}: {told}"


def test_no_route_is_left_out() -> None:
    known = {(call.verb, call.path.partition("?")[0].replace("{score}", "{number}")) for call in CALLS} | set(ELSEWHERE)
    routes = [route for router in (acts.router, boards.router, submissions.router) for route in router.routes]
    for route in routes:
        assert isinstance(route, APIRoute)
        extra = route.openapi_extra or {}
        if OPEN in extra or route.path == "/api/submission_scores/":
            continue
        for verb in route.methods:
            assert (verb, route.path) in known, f"{verb} {route.path}"
            actions = {call.action for call in CALLS if (call.verb, call.path) == (verb, route.path)}
            assert actions <= set(extra[DECIDED]), f"{verb} {route.path} asks for {extra[DECIDED]}"
    assert set(ELSEWHERE.values()) <= set(globals())


def test_reading_tokens_change_nothing(asks: Everybody) -> None:
    (section,) = (section for section in SECTIONS if section.state == "finished, on no board")
    state = State(asks.site, section, asks.actors)
    creator: Actor = asks.actors["Cr"]
    secret = asks.site.credentials.make_token(creator, creator.account or 0, name="reads", scope="read")
    score = score_in(state)
    for call in CALLS:
        if section.cells[call.action]["Cr"] != "y" or call.action == "submission.live":
            continue
        answer = asks.client.request(
            call.verb,
            path_of(call, state, score),
            json=filled(call.body, state),
            headers={"authorization": f"Token {secret}"},
        )
        reads = call.action in (*READ, "submission.download")
        assert answer.status_code == (200 if reads else 403), f"{call.verb} {call.path}"
