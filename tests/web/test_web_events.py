"""Live events of boards and submissions, as browsers read them."""

from __future__ import annotations

import asyncio
import json

import pytest
from board_lab import number, over, scored, submitted
from hosting_lab import YAML, bundle, hosted
from site_lab import person
from web_lab import browser, streamed, token

from codabench.site import boards
from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.site.site import Site

AUTO = "registration_auto_approve: true\n"
HIDDEN = bundle(text=YAML.format(more="").replace("    key: board\n", "    key: board\n    hidden: true\n"))


def ids(text: str) -> list[str]:
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


def shows(actor: Actor, site: Site) -> dict[str, str]:
    return {"authorization": f"Token {token(site, actor)}"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "_PAUSE", 0.05)
    monkeypatch.setitem(boards.Boards.changes.__kwdefaults__, "every", 0.05)


def test_a_board_tells_when_it_is_another(site: Site) -> None:
    annie, bobby = person(site, "annie"), person(site, "bobby")
    id = hosted(site, annie, bundle(AUTO), published=True)
    site.registrations.register(bobby, id)
    app, path = browser(site).app, f"/api/leaderboards/{site.numbers.of(Kind.BOARD, id, 0)}/events"

    async def scenario() -> None:
        status, first = await streamed(app, path, until=lambda text: len(ids(text)) == 1)
        assert status == 200
        assert 'event: board\ndata: {"board":' in first
        assert '"total":0' in first
        more = asyncio.create_task(
            streamed(app, path, until=lambda text: '"total":1' in text, headers={"last-event-id": ids(first)[0]})
        )
        await asyncio.sleep(0.1)
        scored(site, id, bobby, {"score": 1.0, "time": 1}, {"score": 1.0, "time": 1})
        _, second = await more
        assert '"total":1' in second
        assert ids(first)[0] not in ids(second), "what is known is not told again"

    asyncio.run(scenario())


@pytest.mark.row("W16")
def test_who_may_not_see_a_board_does_not_hear_of_it(site: Site) -> None:
    annie, bobby = person(site, "annie"), person(site, "bobby")
    id = hosted(site, annie, HIDDEN)
    app, path = browser(site).app, f"/api/leaderboards/{site.numbers.of(Kind.BOARD, id, 0)}/events"

    async def scenario() -> None:
        for headers, expected in (({}, 404), (shows(bobby, site), 404), (shows(annie, site), 200)):
            status, _ = await streamed(app, path, until=lambda text: bool(text), headers=headers)
            assert status == expected
        site.competitions.publish(annie, id, True)
        status, _ = await streamed(app, path, until=lambda text: bool(text), headers=shows(bobby, site))
        assert status == 403
        for wrong in (
            "/api/leaderboards/99999/events",
            "/api/leaderboards/x/events",
            f"/api/leaderboards/{2**70}/events",
        ):
            assert (await streamed(app, wrong, until=lambda _text: False))[0] == 404

    asyncio.run(scenario())


def test_a_submission_tells_what_it_reports_until_it_is_over(site: Site) -> None:
    annie, bobby = person(site, "annie"), person(site, "bobby")
    id = hosted(site, annie, bundle(AUTO), published=True)
    site.registrations.register(bobby, id)
    made = submitted(site, id, bobby)
    app, path = browser(site).app, f"/api/submissions/{number(site, made)}/events"

    async def scenario() -> None:
        reading = [
            asyncio.create_task(streamed(app, path, until=lambda _text: False, headers=shows(who, site)))
            for who in (annie, bobby)
        ]
        await asyncio.sleep(0.3)
        first, second = site.db.runs_of(made)
        await asyncio.to_thread(over, site, first, {"score": 1.0, "time": 1})
        await asyncio.to_thread(over, site, second, None)
        (status, text), other = await asyncio.gather(*reading)
        assert (status, text) == other
        assert status == 200
        assert text.endswith("id: over\nevent: over\ndata: {}\n\n")
        told = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]
        whole = [each["status"] for each in told if each.get("submission") == number(site, made)]
        assert (whole[0], whole[-1]) == ("Submitted", "Finished")
        middle = ids(text)[2]
        _, rest = await streamed(
            app, path, until=lambda _text: False, headers={**shows(bobby, site), "last-event-id": middle}
        )
        known = told[: ids(text).index(middle) + 1]
        parts = {number(site, made, 0), number(site, made, 1)}
        again = [json.loads(line[6:]) for line in rest.splitlines() if line.startswith("data: ")]
        assert [each for each in known + again if each.get("submission") in parts] == [
            each for each in told if each.get("submission") in parts
        ]
        ended, _ = await streamed(
            app, path, until=lambda _text: False, headers={**shows(bobby, site), "last-event-id": "over"}
        )
        assert ended == 204

    asyncio.run(scenario())


@pytest.mark.row("W16")
def test_who_may_not_see_a_submission_does_not_hear_it(site: Site) -> None:
    annie, bobby, carol = (person(site, name) for name in ("annie", "bobby", "carol"))
    id = hosted(site, annie, bundle(AUTO), published=True)
    site.registrations.register(bobby, id)
    site.registrations.register(carol, id)
    app, path = browser(site).app, f"/api/submissions/{number(site, submitted(site, id, bobby))}/events"

    async def scenario() -> None:
        for headers in ({}, shows(carol, site)):
            status, _ = await streamed(app, path, until=lambda _text: False, headers=headers)
            assert status == 404
        assert (await streamed(app, path, until=bool, headers=shows(bobby, site)))[0] == 200

    asyncio.run(scenario())


@pytest.mark.row("W16")
def test_rights_that_end_end_the_events(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from codabench.web import streaming

    monkeypatch.setattr(streaming, "HEARTBEAT", 0.1)
    annie = person(site, "annie")
    id = hosted(site, annie, HIDDEN)
    app, path = browser(site).app, f"/api/leaderboards/{site.numbers.of(Kind.BOARD, id, 0)}/events"
    headers = shows(annie, site)

    async def scenario() -> None:
        reading = asyncio.create_task(streamed(app, path, until=lambda _text: False, headers=headers))
        await asyncio.sleep(0.3)
        assert not reading.done()
        site.credentials.revoke(annie, annie.account or 0)
        await reading

    asyncio.run(scenario())
