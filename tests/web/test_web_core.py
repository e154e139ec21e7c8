"""What holds for every request and every answer: headers, names, where a request came from, failures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

import pytest
from fastapi import APIRouter, FastAPI, Form, Request
from site_lab import Clock, close_site, make_site, person
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.testclient import TestClient
from web_lab import browser, robot, sign_in, token

from codabench.core.errors import Invalid, NotFound, Refused, StorageError, TooMany
from codabench.site.actors import OPERATOR
from codabench.site.policy import Action
from codabench.site.site import Site
from codabench.web import app as application
from codabench.web import closing, identity
from codabench.web.app import create_app
from codabench.web.identity import HEADER, Somebody, Who, drop_session, set_session
from codabench.web.rendering import STATIC, asset, environment, markdown, moment, render
from codabench.web.routing import decides, open_to_all, refuse_undecided, routes_of, undecided
from codabench.web.security import HEADERS, POLICY, inside

OPEN = open_to_all("a test")
ERRORS = {
    "missing": NotFound("there is no such thing"),
    "refused": Refused("not you"),
    "invalid": Invalid({"": "all wrong", "name": ["too long", "too loud"]}),
    "often": TooMany("wait", seconds=7.2),
    "broken": ZeroDivisionError("a secret of ours"),
    "disk": StorageError("a path of ours"),
    "gone": ClientDisconnect(),
}

router = APIRouter()


@router.get("/api/me/", openapi_extra=OPEN)
def me(actor: Who) -> dict[str, object]:
    return {"name": actor.username, "scope": actor.scope}


@router.post("/api/me/", openapi_extra=OPEN)
def change_me(actor: Somebody) -> dict[str, object]:
    return {"name": actor.username}


@router.get("/me/", openapi_extra=OPEN)
def my_page(request: Request, actor: Somebody) -> object:
    return render(request, "failed.html", {"title": actor.username, "said": ["<b>", str(actor.account)]})


@router.post("/form/", openapi_extra=OPEN)
def form(actor: Somebody, word: Annotated[str, Form()]) -> dict[str, str]:
    return {"word": word, "name": actor.username}


@router.get("/api/failing/{how}/", openapi_extra=OPEN)
@router.get("/failing/{how}/", openapi_extra=OPEN)
def failing(how: str) -> None:
    raise ERRORS[how]


@router.get("/api/number/{number}/", openapi_extra=OPEN)
def number(number: int, most: int) -> int:
    return number + most


@router.post("/api/body/", openapi_extra=OPEN)
async def body(request: Request) -> int:
    return len(await request.body())


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "ROUTERS", (router, *application.ROUTERS))


# ---------------------------------------------------------------------- who it is
def test_nobody_is_nobody(client: TestClient) -> None:
    assert client.get("/api/me/").json()["name"] == ""
    refused = client.post("/api/me/")
    assert refused.status_code == 403
    assert refused.json() == {"detail": "Authentication credentials were not provided."}


def test_a_token_says_who_asks_and_needs_no_page(site: Site) -> None:
    alice = person(site, "alice")
    assert robot(site, alice).post("/api/me/").json() == {"name": "alice"}
    bearer = {"authorization": f"Bearer {token(site, alice, scope='read')}"}
    assert browser(site).get("/api/me/", headers=bearer).json() == {"name": "alice", "scope": "read"}


@pytest.mark.parametrize("shown", ["Token ", f"Token {'0' * 40}", "token é"])
def test_a_token_that_is_worth_nothing_is_refused(client: TestClient, shown: str) -> None:
    answer = client.get("/api/me/", headers={"authorization": shown.encode()})  # type: ignore[dict-item]
    assert (answer.status_code, answer.json()["detail"]) == (403, "Invalid token.")


def test_a_session_says_who_asks_until_it_ends(site: Site, clock: Clock) -> None:
    alice = person(site, "alice")
    client = browser(site, alice)
    assert client.get("/api/me/").json()["name"] == "alice"
    clock.forward(days=15)
    assert client.get("/api/me/").json()["name"] == "", "a session that is over is nobody, and no error"


@pytest.mark.parametrize("way", ["session", "token"])
def test_who_is_banned_is_told_so(site: Site, way: str) -> None:
    alice = person(site, "alice")
    client = browser(site, alice) if way == "session" else robot(site, alice)
    site.accounts.ban(OPERATOR, alice.account or 0)
    answer = client.get("/api/me/")
    assert answer.status_code == 403
    assert "error" in answer.json() or "detail" in answer.json()
    assert client.get("/me/").status_code == 403, "and the page of the refusal itself can be shown"


def test_the_cookie_is_for_this_site_alone(clock: Clock) -> None:
    site = make_site(clock, url="https://lab.example.org")

    with browser(site) as client:
        request = Request({"type": "http", "app": client.app, "headers": []})
        answer = Response()
        set_session(request, answer, "s3cret")
        said = answer.headers["set-cookie"]
        assert said.startswith("__Host-codabench=s3cret;")
        for part in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
            assert part in said
        assert "Domain" not in said
        gone = Response()
        drop_session(request, gone)
        assert "Max-Age=0" in gone.headers["set-cookie"]
    close_site(site)


# ---------------------------------------------------------------------- where it came from (security.md W04)
FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": "http://127.0.0.1:8000.evil.example"},
]


@pytest.mark.row("W04")
@pytest.mark.parametrize("headers", FOREIGN)
def test_a_page_of_somebody_else_acts_for_nobody(site: Site, headers: dict[str, str]) -> None:
    client = browser(site, person(site, "alice"))
    answer = client.post("/api/me/", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "CB810")


@pytest.mark.row("W04")
def test_a_form_without_what_its_page_was_given_is_refused(site: Site) -> None:
    alice, bob = person(site, "alice"), person(site, "bobby")
    client, other = browser(site, alice), browser(site, bob)
    right, foreign = client.headers.pop(HEADER), other.headers[HEADER]
    for wrong in (None, "", foreign, right[:-1], right + "x"):
        sent = {"word": "go"} | ({} if wrong is None else {"csrf": wrong})
        assert client.post("/form/", data=sent).status_code == 403, wrong
    assert client.post("/form/", data={"word": "go", "csrf": right}).json() == {"word": "go", "name": "alice"}
    sent = client.post("/form/", data={"word": "go", "csrf": right}, files={"file": b"x"})
    assert sent.json()["name"] == "alice", "also where files come along"


@pytest.mark.twin("W04")
def test_with_the_check_off_a_foreign_page_acts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "_refuse_foreign", lambda *_args: None)
    client = browser(site, person(site, "alice"))
    del client.headers[HEADER]
    assert client.post("/api/me/", headers=FOREIGN[2]).json() == {"name": "alice"}


def test_pages_of_this_site_may(site: Site) -> None:
    client = browser(site, person(site, "alice"))
    for headers in ({"origin": "http://127.0.0.1:8000"}, {"sec-fetch-site": "same-origin"}):
        assert client.post("/api/me/", headers=headers).status_code == 200
    behind = {"host": "localhost:8000", "origin": "http://127.0.0.1:8000"}
    assert client.post("/api/me/", headers=behind).status_code == 200, "under the name that people know"


# ---------------------------------------------------------------------- maintenance
def test_a_site_that_is_worked_on_says_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "LOOK", 0.0)
    alice, root = person(site, "alice"), person(site, "rooty", is_superuser=True)
    client = browser(site, alice)
    assert client.get("/me/").status_code == 200
    site.status.close_for_maintenance(OPERATOR, "Back at <noon>.")
    shown = client.get("/me/")
    assert (shown.status_code, "Back at &lt;noon&gt;." in shown.text) == (503, True)
    told = robot(site, alice).get("/api/me/")
    assert (told.status_code, told.json(), told.headers["retry-after"]) == (503, {"detail": "Back at <noon>."}, "120")
    assert browser(site, root).get("/me/").status_code == 200, "who works on it comes in"
    assert browser(site).get("/accounts/login/").status_code == 200, "and signs in"
    for path in ("/api/health/", "/static/site.css"):
        assert client.get(path).status_code == 200
    site.status.open_again(OPERATOR)
    assert client.get("/me/").status_code == 200


def test_whether_a_site_is_open_is_asked_now_and_then(client: TestClient, site: Site) -> None:
    client.get("/api/me/")
    site.status.close_for_maintenance(OPERATOR)
    assert client.get("/api/me/").status_code == 200, "not at each request"


# ---------------------------------------------------------------------- every answer
PATHS = ["/api/me/", "/nothing", "/api/failing/broken/", "/failing/broken/", "/static/site.css", "/api/openapi.json"]


@pytest.mark.row("W17")
@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_its_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert HEADERS.items() <= dict(answer.headers).items()
    assert "access-control-allow-origin" not in answer.headers
    assert "strict-transport-security" not in answer.headers


def test_over_tls_browsers_stay_there(clock: Clock) -> None:
    site = make_site(clock, url="https://lab.example.org")
    with browser(site) as client:
        for path in ("/api/me/", "/api/failing/broken/"):
            assert client.get(path).headers["strict-transport-security"] == "max-age=31536000"
    close_site(site)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "", "[::", "127.0.0.1.evil.example", "a@evil.example"]
)
def test_it_answers_to_its_names_only(client: TestClient, host: str) -> None:
    answer = client.get("/api/me/", headers={"host": host})
    assert answer.status_code == 421
    assert answer.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_its_names(client: TestClient, host: str) -> None:
    assert client.get("/api/me/", headers={"host": host}).status_code == 200


# ---------------------------------------------------------------------- failures
@pytest.mark.parametrize(
    ("how", "status", "body"),
    [
        ("missing", 404, {"detail": "there is no such thing", "code": "CB340"}),
        ("refused", 403, {"detail": "not you", "code": "CB800"}),
        ("invalid", 400, {"non_field_errors": ["all wrong"], "name": ["too long", "too loud"]}),
        ("often", 429, {"detail": "wait", "code": "CB804"}),
    ],
)
def test_clients_are_told_in_json(client: TestClient, how: str, status: int, body: dict[str, object]) -> None:
    answer = client.get(f"/api/failing/{how}/")
    assert (answer.status_code, answer.json()) == (status, body)
    if how == "often":
        assert answer.headers["retry-after"] == "8"


@pytest.mark.parametrize("path", ["/api/failing/broken/", "/failing/broken/", "/api/failing/disk/"])
def test_what_nobody_expected_tells_nothing_of_us(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 500
    assert "of ours" not in answer.text
    assert "not your fault" in answer.text


def test_who_is_gone_is_no_failure_of_ours(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    assert client.get("/failing/gone/").status_code == 499
    assert caplog.records == []


def test_a_database_that_is_away_is_said_to_be(client: TestClient, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    away = StorageError("the database does not answer", code="CB711")
    monkeypatch.setattr("codabench.web.failures.passing", lambda error: error is away)
    monkeypatch.setitem(ERRORS, "away", away)
    monkeypatch.setattr(site.db, "holder", lambda *_args: 1 / 0)
    sign_in(client, person(site, "alice"))
    answer = client.get("/failing/away/")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "<h1>Not at the moment</h1>" in answer.text, "nothing is asked of it for the page that says so"


def test_people_are_shown_a_page_and_sent_to_sign_in(client: TestClient) -> None:
    answer = client.get("/failing/refused/")
    assert answer.status_code == 403
    assert "<h1>Not allowed</h1>" in answer.text
    sent = client.get("/me/?a=b&c", follow_redirects=False)
    assert (sent.status_code, sent.headers["location"]) == (303, "/accounts/login/?next=/me/%3Fa%3Db%26c")


@pytest.mark.parametrize("path", ["/api/number/one/?most=1", "/api/nothing/", "/api/number/99999999999999999999x/"])
def test_numbers_that_are_none_name_nothing(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


def test_fields_that_are_wrong_are_named(client: TestClient) -> None:
    assert client.get("/api/number/1/").json() == {"most": ["This field is required."]}
    assert client.get("/api/number/1/?most=x").json().keys() == {"most"}
    assert client.put("/api/number/1/").json() == {"detail": 'Method "PUT" not allowed.'}


@pytest.mark.row("W10")
def test_a_body_that_goes_on_is_not_read(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(17):
            yield b"x" * 1024**2

    for sent in (b"x" * (application.BODY + 1), chunks()):
        assert client.post("/api/body/", content=sent).status_code == 413
    assert client.post("/api/body/", content=b"x" * 1024**2).json() == 1024**2


# ---------------------------------------------------------------------- routes
def test_get_without_the_slash_leads_there(client: TestClient) -> None:
    assert client.get("/api/me").json()["name"] == ""


def test_every_route_says_who_decides(site: Site) -> None:
    app = create_app(site)
    assert list(routes_of(app))
    assert undecided(app) == []


def test_a_route_that_says_nothing_stops_the_start(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = APIRouter()
    wrong.get("/nothing/")(me)
    wrong.delete("/both/", openapi_extra=decides(Action.TASK_LIST) | OPEN)(me)
    wrong.add_route("/plain/", lambda _request: None, methods=["POST"])  # type: ignore[arg-type, return-value]
    outer = APIRouter()
    outer.include_router(wrong, prefix="/outer")
    monkeypatch.setattr(application, "ROUTERS", (outer,))
    with pytest.raises(RuntimeError, match=r"GET /outer/nothing/.*DELETE /outer/both/.*POST /outer/plain/"):
        create_app(site)
    with pytest.raises(ValueError, match="name an action"):
        decides()
    with pytest.raises(ValueError, match="say why"):
        open_to_all("")


def test_a_bare_application_has_only_routes_that_say_nothing() -> None:
    app = FastAPI()
    app.get("/")(me)
    with pytest.raises(RuntimeError, match="GET /"):
        refuse_undecided(app)


# ---------------------------------------------------------------------- pages
def test_values_are_escaped(site: Site) -> None:
    answer = browser(site, person(site, "alice")).get("/me/")
    assert "&lt;b&gt;" in answer.text
    assert answer.headers["cache-control"] == "private, no-cache"


def test_a_value_that_is_not_given_is_a_mistake() -> None:
    with pytest.raises(Exception, match="undefined"):
        environment().from_string("{{ nothing }}").render()


def test_files_of_ours_are_kept_by_their_content(client: TestClient) -> None:
    answer = client.get(asset("site.css"))
    assert answer.content == (STATIC / "site.css").read_bytes()
    assert client.get("/static/../app.py").status_code == 404
    assert client.get("/static/%2e%2e/app.py").status_code == 404


@pytest.mark.row("H05")
@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<a href='java\nscript:alert(1)'>x</a>",
        "![x](javascript:alert(1))",
        "<iframe src=//evil></iframe><form action=//evil><input></form><style>*{}</style>",
        "[x]\n\n[x]: javascript:alert(1)",
        "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    ],
)
def test_what_organizers_write_cannot_do_harm(text: str) -> None:
    made = str(markdown(text)).lower()
    assert (
        re.search(r"<(script|svg|iframe|form|input|style|math)|=\s*[\"']?(javascript|data):|<[^>]*\son\w+=", made)
        is None
    )


def test_what_organizers_write_is_shown() -> None:
    made = str(markdown("# Title\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<b>bold</b> [x](https://example.org) ~~no~~"))
    for part in ("<h2>Title</h2>", "<td>1</td>", "<b>bold</b>", 'href="https://example.org"', "<s>no</s>"):
        assert part in made
    assert markdown(None) == ""


def test_points_in_time_are_in_utc(clock: Clock) -> None:
    assert str(moment(clock())) == '<time datetime="2026-03-01T12:00:00Z">2026-03-01 12:00 UTC</time>'
    assert str(moment(None)) == "–"


@pytest.mark.row("W13")
@pytest.mark.parametrize(
    "target",
    [
        "//evil",
        "https://evil",
        "/\\evil",
        "\\evil",
        "javascript:alert(1)",
        "evil",
        "",
        None,
        "/a\nb",
        "/%0a\\x",
        "/\t/evil",
    ],
)
def test_nobody_is_sent_elsewhere(target: str | None) -> None:
    assert inside(target) == "/"


def test_paths_of_this_site_are_gone_on_to() -> None:
    assert inside("/competitions/3/?tab=results") == "/competitions/3/?tab=results"
