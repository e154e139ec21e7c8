"""H05, H08, W04, W13, W16, W17, W19: what other pages, people and machines try with a site; each with its twin."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from board_lab import number, over, submitted
from hosting_lab import bundle, hosted
from site_lab import PASSWORD, Clock, close_site, make_site, person
from starlette.testclient import TestClient
from web_lab import browser, streamed, token

from codabench.core.errors import UsageError
from codabench.site import links
from codabench.site.actors import Actor
from codabench.site.policy import Policy
from codabench.site.site import Site
from codabench.web import identity, transfer
from codabench.web.config import ServerSettings, load
from codabench.web.identity import HEADER
from codabench.web.opening import refuse_exposed
from codabench.web.pages import entering
from codabench.web.rendering import markdown
from codabench.web.routing import routes_of
from codabench.web.security import SAFE
from codabench.web.serve import listen


@pytest.fixture
def site() -> Iterator[Site]:
    made = make_site(Clock())
    yield made
    close_site(made)


@pytest.fixture
def alice(site: Site) -> Actor:
    return person(site, "alice", password=PASSWORD)


# ---------------------------------------------------------------------- W04: forms of other pages
ELSEWHERE = [{"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}, {}]
"""How browsers mark what a page of somebody else sends; old ones do not mark it at all."""
DATASET = {"type": "submission", "request_sassy_file_name": "evil.zip", "file_size": "10"}


def forged(site: Site, victim: Actor) -> int:
    """How many data sets a page of somebody else has announced for who is signed in here."""
    client = browser(site, victim)
    del client.headers[HEADER]
    for headers in ELSEWHERE:
        client.post("/api/datasets/", data=DATASET, headers=headers)
    return len(site.datasets.list(victim).items)


@pytest.mark.row("W04")
def test_a_page_elsewhere_sends_nothing_for_who_is_signed_in(site: Site, alice: Actor) -> None:
    assert forged(site, alice) == 0


@pytest.mark.twin("W04")
def test_where_nobody_looks_where_a_form_is_from_it_acts(
    site: Site, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "_refuse_foreign", lambda *_args: None)
    assert forged(site, alice) == len(ELSEWHERE)


@pytest.mark.row("W04")
def test_no_route_takes_what_a_page_elsewhere_sends(site: Site) -> None:
    """Each route that changes something, for somebody who may do everything."""
    client = browser(site, person(site, "rooty", is_superuser=True, is_staff=True))
    del client.headers[HEADER]
    took = []
    for route in routes_of(client.app):  # type: ignore[arg-type]
        path = re.sub(r"\{[^}]*\}", "1", route.path or "")
        for verb in sorted((route.methods or set()) - SAFE):
            answer = client.request(verb, path, data={"x": "1"}, headers={"accept": "application/json", **ELSEWHERE[0]})
            if "CB810" not in answer.text and "did not come from a page" not in answer.text:
                took.append((verb, route.path))
    # Neither asks who is signed in: a link is all that is needed there, and a password here.
    assert sorted(took) == [("POST", "/api/api-token-auth/"), ("PUT", "/uploads/{ticket}")]


# ---------------------------------------------------------------------- W13: sent elsewhere
TARGETS = [
    "//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)",
    "/\t/evil.example", "///evil.example", "https:evil.example", "http:/\\evil.example",
    "/%0d%0aLocation: //evil.example",
]  # fmt: skip


def led_to(site: Site, target: str) -> str:
    """The host that a browser is at after signing in with that to go on to."""
    with browser(site) as client:
        form = {"username": "alice", "password": PASSWORD, "next": target}
        answer = client.post("/accounts/login/", data=form, follow_redirects=False)
    assert answer.status_code == 303
    # As browsers read it: a backslash is a slash, and what cannot be seen is not there.
    said = re.sub(r"[\t\r\n]", "", answer.headers["location"]).replace("\\", "/")
    return httpx.URL(site.settings.url + "/accounts/login/").join(re.sub(r"^(https?):/*(?=\w)", r"\1://", said)).host


@pytest.mark.row("W13")
def test_who_signs_in_stays_here(site: Site, alice: Actor) -> None:
    assert {led_to(site, target) for target in TARGETS} <= {"127.0.0.1"}


@pytest.mark.twin("W13")
def test_who_takes_every_target_sends_people_away(site: Site, alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entering, "inside", lambda target: target)
    assert [led_to(site, target) for target in TARGETS[:2]] == ["evil.example"] * 2


# ---------------------------------------------------------------------- W16: events of others
def overheard(site: Site, who: Actor) -> str:
    """What somebody hears of a submission of somebody else."""
    annie, bobby = person(site, "annie"), person(site, "bobby")
    id = hosted(site, annie, bundle("registration_auto_approve: true\n"), published=True)
    for each in (bobby, who):
        site.registrations.register(each, id)
    made = submitted(site, id, bobby)
    for run in site.db.runs_of(made):
        over(site, run, {"score": 0.987654, "time": 1})
    path, shows = f"/api/submissions/{number(site, made)}/events", {"authorization": f"Token {token(site, who)}"}
    return asyncio.run(streamed(browser(site).app, path, until=lambda _text: False, headers=shows))[1]


@pytest.mark.row("W16")
def test_nobody_hears_the_events_of_others(site: Site, alice: Actor) -> None:
    assert "event: " not in overheard(site, alice)


@pytest.mark.twin("W16")
def test_where_nobody_is_asked_everybody_hears_everything(
    site: Site, alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Policy, "require", lambda *_args: None)
    assert "event: status" in overheard(site, alice)


# ---------------------------------------------------------------------- W17: frames, scripts of other sites
def in_frames(client: TestClient) -> list[str]:
    """The pages that a page elsewhere may show in a frame, or whose answers its scripts may read."""
    found = []
    for route in routes_of(client.app):  # type: ignore[arg-type]
        if "GET" in (route.methods or ()) and "{" not in (route.path or ""):
            answer = client.get(str(route.path), headers={"origin": "https://evil.example"}, follow_redirects=False)
            ancestors = re.search(r"frame-ancestors ([^;]*)", answer.headers.get("content-security-policy", ""))
            framed = ancestors is None or ancestors[1].strip() not in ("'none'", "'self'")
            if framed or "access-control-allow-origin" in answer.headers:
                found.append(str(route.path))
    return found


@pytest.mark.row("W17")
def test_no_page_is_shown_in_a_frame_of_others(site: Site, alice: Actor) -> None:
    assert in_frames(browser(site, alice)) == []


@pytest.mark.twin("W17")
def test_without_its_headers_every_page_is(site: Site, alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codabench.web.security.dress", lambda *_args, **_more: None)
    assert len(in_frames(browser(site, alice))) > 10


# ---------------------------------------------------------------------- W19: a server that others reach
def reached(settings: ServerSettings) -> bool:
    """Whether somebody gets to it by another address than the one of this machine for itself."""
    with listen(settings) as listening:
        listening.listen()
        accepting = threading.Thread(target=listening.accept, daemon=True)
        accepting.start()
        try:
            socket.create_connection(("127.0.0.2", listening.getsockname()[1]), timeout=5).close()
        except OSError:
            socket.create_connection(listening.getsockname(), timeout=5).close()
            return False
        finally:
            accepting.join(5)
        return True


def asked_for() -> Any:
    return load(environment={"CODABENCH__SERVER__HOST": "0.0.0.0", "CODABENCH__SERVER__PORT": "0"})


@pytest.mark.row("W19")
def test_nobody_else_reaches_a_site_of_which_nothing_was_said() -> None:
    assert not reached(ServerSettings(port=0))
    with pytest.raises(UsageError, match="which others reach"):
        refuse_exposed(asked_for())


@pytest.mark.twin("W19")
def test_where_nobody_refuses_it_others_reach_it() -> None:
    assert reached(asked_for().settings.server)


# ---------------------------------------------------------------------- H05: pages that organizers write
TAGS = (
    *("script", "iframe", "frame", "object", "embed", "applet", "form", "input", "button", "textarea"),
    *("svg", "math", "style", "base", "link", "meta"),
)
EVENTS = ("onerror", "ontoggle")
SCHEMES = ("javascript:", "JaVaScRiPt:", "vbscript:", "data:text/html,", "&#106;avascript:")


class Active(HTMLParser):
    """What in a page would run, or send something."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [tag] if tag in TAGS else []
        for name, value in attrs:
            scheme = re.sub(r"[\x00-\x20]", "", value or "").lower().partition(":")[0]
            if name.startswith("on") or name in ("style", "srcdoc", "formaction"):
                self.found.append(name)
            if name in ("href", "src", "action", "data", "xlink:href") and scheme in ("javascript", "data", "vbscript"):
                self.found.append(scheme)


WRITTEN = [
    *(f"<{tag} onload=alert(1) src=x>alert(1)</{tag}>" for tag in TAGS),
    *(f"[x]({scheme}alert(1))" for scheme in SCHEMES),
    *(f'<a href="{scheme}alert(1)">x</a>' for scheme in (*SCHEMES, " javascript:", "java\tscript:")),
    *(f"<{tag} {event}=alert(1) src=x>" for tag in ("img", "video", "audio", "details", "b") for event in EVENTS),
    "<img src=x style='background:url(javascript:alert(1))'>",
    "[x]\n\n[x]: javascript:alert(1)",
    "![x](javascript:alert(1))",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "```html\n<script>alert(1)</script>\n```\n<script>alert(1)</script>",
    "<template><script>alert(1)</script></template>",
    "<x-card onclick=alert(1)>x</x-card>",
]  # fmt: skip


def active(text: str) -> list[str]:
    page = Active()
    page.feed(str(markdown(text)))
    return page.found


@pytest.mark.row("H05")
def test_what_organizers_write_does_nothing() -> None:
    assert {text: found for text in WRITTEN if (found := active(text))} == {}


@pytest.mark.twin("H05")
def test_as_it_is_written_it_would(monkeypatch: pytest.MonkeyPatch) -> None:
    import nh3

    monkeypatch.setattr(nh3, "clean", lambda text, **_options: text)
    assert len([text for text in WRITTEN if active(text)]) > 20


# ---------------------------------------------------------------------- H08: files that a browser would take for pages
EVIL = b"<!doctype html><script>alert(document.cookie)</script>"
NAMES = [
    "x.html", "x.HTML", "x.htm", "x.xhtml", "x.svg", "x.xml", "x.txt", "x.log", "x.csv", "x.json", "x.js", "x.zip",
    "x.png", "x.pdf", "x.html.bin", "x", "x.html%00.txt", "x.shtml",
]  # fmt: skip


def runs_here(answer: httpx.Response) -> bool:
    """Whether a browser would run the scripts of an answer as those of the site, by the rules for guessing types."""
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.headers.get("content-disposition", "").startswith("attachment") or answer.status_code != 200:
        return False
    policy = answer.headers.get("content-security-policy", "")
    if re.match(r"sandbox(?![^;]*allow-same-origin)", policy):
        return False
    guessed = answer.headers.get("x-content-type-options") != "nosniff"
    unknown = kind in ("", "text/plain", "application/octet-stream", "unknown/unknown")
    return kind in ("text/html", "image/svg+xml", "application/xhtml+xml", "text/xml") or (guessed and unknown)


def running(site: Site, client: TestClient) -> list[str]:
    blob = site.workspace.storage.put(EVIL)
    return [name for name in NAMES if runs_here(client.get(site.links.url("GET", links.file(blob, name))))]


@pytest.mark.row("H08")
def test_no_file_becomes_a_page_of_the_site(site: Site) -> None:
    assert running(site, browser(site)) == []


@pytest.mark.twin("H08")
def test_without_sandbox_and_attachment_pages_of_people_run_here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "SANDBOX", "default-src *")
    monkeypatch.setattr(transfer, "disposition", lambda _name, **_more: "inline")
    monkeypatch.setattr("codabench.web.security.dress", lambda *_args, **_more: None)
    assert {"x.html", "x.svg", "x.txt"} <= set(running(site, browser(site)))
