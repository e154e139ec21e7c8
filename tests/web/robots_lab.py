"""What robots need of a server (platform.md section 4), a client that speaks plain HTTP, and the thirteen runs.

Scripts are taken as they are: lines at their top are set, and they are fed to Python on its standard input.
"""

from __future__ import annotations

import ast
import http.client
import io
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from tiny import FILES, yaml

OWN = Path(__file__).parent / "robots"
"""Clients of ours that go through the same calls as those that are out there."""
PASSWORD = "correct horse battery"
PHASE = "  - {{index: 0, name: Robots run, start: 2020-01-01, tasks: [0, 1], {0}}}\n"
LIMITS = "max_submissions_per_day: 1, max_submissions: 1"
TITLE = "Tiny"


# ---------------------------------------------------------------------- plain HTTP
class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def ok(self, *status: int) -> Any:
        """The document, if the status is one of these."""
        assert self.status in (status or (200, 201)), f"{self.status}: {self.body[:500]!r}"
        return json.loads(self.body) if self.body else None


class Http:
    """Sends what it is told and nothing else, follows nothing."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url, self.token = url, token

    def __call__(
        self,
        verb: str,
        path: str,
        *,
        form: Mapping[str, Any] | None = None,
        document: object = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        given = {"Host": urlsplit(self.url).netloc, "Accept": "*/*", **(headers or {})}
        if self.token is not None:
            given.setdefault("Authorization", f"Token {self.token}")
        if form is not None:
            body, given["Content-Type"] = urlencode(form, doseq=True).encode(), "application/x-www-form-urlencoded"
        elif document is not None:
            body, given["Content-Type"] = json.dumps(document).encode(), "application/json"
        if body is not None or verb not in ("GET", "DELETE"):
            given["Content-Length"] = str(len(body or b""))
        place = urlsplit(path if path.startswith("http") else self.url.rstrip("/") + path)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=60)
        try:
            connection.putrequest(
                verb, place._replace(scheme="", netloc="").geturl(), skip_host=True, skip_accept_encoding=True
            )
            for name, value in given.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            got = connection.getresponse()
            return Answer(got.status, {k.lower(): v for k, v in got.getheaders()}, got.read())
        finally:
            connection.close()

    def signed_in(self, name: str, password: str = PASSWORD) -> Http:
        """As somebody with a token."""
        answer = Http(self.url)("POST", "/api/api-token-auth/", form={"username": name, "password": password})
        return Http(self.url, answer.ok(200)["token"])

    def upload(self, kind: str, data: bytes, **more: object) -> str:
        """The key of a data set with these bytes."""
        described = {"type": kind, "request_sassy_file_name": f"{kind}.zip", "file_size": len(data), **more}
        made = self("POST", "/api/datasets/", form=described).ok(201)
        Http(self.url)("PUT", made["sassy_url"], body=data, headers={"Content-Type": "application/zip"}).ok(200)
        return str(made["key"])


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def wait_for(what: Callable[[], Any], seconds: float = 60) -> Any:
    """What comes at last."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, "it did not come in time"
        time.sleep(0.05)
    return found


# ---------------------------------------------------------------------- what has to be there
@dataclass
class Lab:
    """A server as platform.md section 4 prepares it: a published competition that robots may enter, and who is who.

    Attributes
    ----------
    phase, tasks
        Number of the phase, and (number, name) of its two tasks.
    foreign
        Key of a task of the robot's own that is in no competition.
    """

    url: str
    creator: str
    bot: str
    stranger: str
    competition: int = 0
    phase: int = 0
    tasks: list[tuple[int, str]] = field(default_factory=list)
    foreign: str = ""
    submission: bytes = zipped({"answer.json": b'{"score": 0.5}'})

    @property
    def as_bot(self) -> Http:
        return Http(self.url).signed_in(self.bot)

    def finished(self, number: int) -> dict[str, Any]:
        """A submission, once it is over."""
        robot = self.as_bot

        def over() -> Any:
            found = robot("GET", f"/api/submissions/{number}/").ok(200)
            assert found["status"] not in ("Failed", "Cancelled"), found
            return found if found["status"] == "Finished" else None

        return wait_for(over)


def prepare(url: str, creator: str, bot: str, stranger: str, image: str | None = None) -> Lab:
    """Make all of that by the calls that a browser would make; the accounts are there."""
    lab = Lab(url, creator, bot, stranger)
    organizer = Http(url).signed_in(creator)
    extra = f"docker_image: {image}\n" if image else ""
    text = yaml(tasks=("First", "Second"), phases=PHASE.format(LIMITS), extra=extra)
    key = organizer.upload("competition_bundle", zipped({**FILES, "competition.yaml": text.encode()}))
    job = organizer("PUT", f"/api/datasets/completed/{key}/").ok(200)["status_id"]

    def unpacked() -> Any:
        state = organizer("GET", f"/api/competitions/{job}/creation_status/").ok(200)
        assert state["status"] != "Failed", state
        return state["resulting_competition"]

    lab.competition = wait_for(unpacked)
    place = f"/api/competitions/{lab.competition}/"
    organizer("PATCH", place, document={"allow_robot_submissions": True}).ok(200)
    assert organizer("POST", f"{place}toggle_publish/").ok(200) == {"published": True}
    phase = Http(url)("GET", place).ok(200)["phases"][0]
    lab.phase, lab.tasks = phase["id"], [(task["id"], task["name"]) for task in phase["tasks"]]
    robot = lab.as_bot
    parts = {
        role: robot.upload(role, zipped({Path(n).name: d for n, d in FILES.items() if n.startswith(f"{where}/")}))
        for role, where in (("scoring_program", "scoring"), ("reference_data", "data"))
    }
    made = robot("POST", "/api/tasks/", document={"name": "Elsewhere", "description": "Of a robot", **parts}).ok(201)
    lab.foreign = made["key"]
    return lab


# ---------------------------------------------------------------------- scripts
class Ran(NamedTuple):
    code: int
    out: str

    def line(self, *words: object) -> None:
        """There is a line that has all these words."""
        wanted = [re.compile(rf"(?<!\w){re.escape(str(word))}(?!\w)") for word in words]
        found = any(all(each.search(line) for each in wanted) for line in self.out.splitlines())
        assert found, f"no line has {words}:\n{self.out}"

    def says(self, *texts: str) -> None:
        """It says these texts, in this order."""
        rest = self.out
        for text in texts:
            assert text in rest, f"{text!r} is not said:\n{self.out}"
            rest = rest[rest.index(text) + len(text) :]

    def number(self) -> int:
        """That of the submission which the server's answer names."""
        found = re.search(r"Successfully submitted: .*?\"id\":\s*(\d+)", self.out)
        assert found, self.out
        return int(found[1])


@dataclass
class Robots:
    """The scripts of a folder, against a server."""

    folder: Path
    lab: Lab
    scratch: Path

    def __call__(self, script: str, *arguments: object, who: str | None = None, **settings: object) -> Ran:
        """Run a script to its end.

        Parameters
        ----------
        who
            Signs in; None: the robot.
        settings
            Further lines to set.
        """
        text = (self.folder / f"{script}.py").read_text("utf-8")
        lines: dict[str, object] = {"CODALAB_URL": f"{self.lab.url.rstrip('/')}/"}
        if script != "get_competition_details":
            lines |= {"USERNAME": who or self.lab.bot, "PASSWORD": PASSWORD}
        lines |= settings
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        done = subprocess.run(
            [sys.executable, "-", *map(str, arguments)], input=set_lines(text, lines), cwd=self.scratch, env=kept,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout)

    def submit(self, tasks: list[int], **more: object) -> Ran:
        """Have the script submit that does; no tasks: all."""
        place = self.scratch / "submission.zip"
        place.write_bytes(self.lab.submission)
        lines = {"PHASE_ID": self.lab.phase, "TASK_LIST": tasks, "SUBMISSION_ZIP_PATH": str(place)}
        return self("example_submission", **lines, **more)  # type: ignore[arg-type]


def set_lines(text: str, values: Mapping[str, object]) -> str:
    """A script whose first assignment to each of these names gives that value."""
    lines, left = text.splitlines(), dict(values)
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in left:
            name = node.targets[0].id
            rest = [""] * ((node.end_lineno or node.lineno) - node.lineno)
            lines[node.lineno - 1 : node.end_lineno] = [f"{name} = {left.pop(name)!r}", *rest]
    assert not left, f"the script sets no {', '.join(left)}"
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------- the thirteen runs
@dataclass
class Seen:
    """What the runs leave to those after them: submissions by what they are."""

    whole: int = 0
    single: int = 0


def run_1(robots: Robots, seen: Seen) -> None:
    ran = robots("get_competition_details")
    ran.says("Competitions")
    ran.line(robots.lab.competition, robots.lab.creator, TITLE)
    assert ran.code == 0


def run_2(robots: Robots, seen: Seen) -> None:
    ran = robots("get_competition_details", robots.lab.competition)
    ran.says(f"Competition: {TITLE}", "Phases")
    ran.line(robots.lab.phase, "Robots run")
    assert ran.code == 0


def run_3(robots: Robots, seen: Seen) -> None:
    ran = robots("get_competition_details", robots.lab.competition, robots.lab.phase)
    ran.says("Tasks")
    for number, name in robots.lab.tasks:
        ran.line(number, name)
    assert ran.code == 0


def run_4(robots: Robots, seen: Seen) -> None:
    ran = robots.submit([])
    ran.says("Making submission using data: ", 'Successfully submitted: b\'{"id":')
    assert ran.code == 0
    seen.whole = ran.number()


def run_5(robots: Robots, seen: Seen) -> None:
    number, _ = robots.lab.tasks[1]
    ran = robots.submit([number])
    ran.says("Making submission using data: ", 'Successfully submitted: b\'{"id":')
    assert ran.code == 0
    seen.single = ran.number()
    made = robots.lab.as_bot("GET", f"/api/submissions/{seen.single}/").ok(200)
    assert (made["task"]["id"], made["has_children"], made["children"]) == (number, False, [])


def run_6(robots: Robots, seen: Seen) -> None:
    for number in filter(None, (seen.whole, seen.single)):
        robots.lab.finished(number)


def run_7(robots: Robots, seen: Seen) -> None:
    ran = robots("get_submission_details", "-p", robots.lab.phase)
    ran.says("Submissions")
    ran.line(seen.whole, robots.lab.bot)
    assert re.search(rf"\b{seen.whole}\b.*\d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\d", ran.out), ran.out
    assert ran.code == 0


def run_8(robots: Robots, seen: Seen) -> None:
    ran = robots("get_submission_details", "-s", seen.whole)
    ran.says("Submission Object:", "Submission get_details Object:")
    ran.line("status", "Finished")
    ran.line("score", "0.5000000000")
    assert ran.code == 0


def run_9(robots: Robots, seen: Seen) -> None:
    ran = robots("get_submission_details", "-s", seen.single, "-v", "-o", robots.scratch)
    path = robots.scratch / f"submission-{seen.single}.zip"
    ran.says(f"Saved Output to: {path}")
    assert ran.code == 0
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
        assert {"submission.zip", "submission.json", "submission_detail.json", "scoring_stdout.txt"} <= names
        assert archive.read("submission.zip") == robots.lab.submission
        assert b"scoring" in archive.read("scoring_stdout.txt")
        assert json.loads(archive.read("submission.json"))["status"] == "Finished"


def run_10(robots: Robots, seen: Seen) -> None:
    ran = robots("rerun_submission")
    ran.line(seen.whole, robots.lab.bot, None)
    ran.line(seen.single, robots.lab.bot, robots.lab.tasks[1][0])
    assert ran.code == 0


def run_11(robots: Robots, seen: Seen) -> None:
    ran = robots("rerun_submission", seen.single)
    ran.line(robots.lab.foreign, "Elsewhere")
    assert ran.code == 0


def run_12(robots: Robots, seen: Seen) -> None:
    ran = robots("rerun_submission", seen.single, robots.lab.foreign)
    ran.says("Successfully submitted", "Old submission pk", "New submission pk")
    assert ran.code == 0
    found = robots.lab.finished(ran.number())
    assert found["task"]["key"] == robots.lab.foreign
    assert found["is_specific_task_re_run"] is True


def run_13(robots: Robots, seen: Seen) -> None:
    ran = robots("rerun_submission", seen.single, robots.lab.foreign, who=robots.lab.stranger)
    ran.says("Error submitting (403)")
    assert ran.code == 1


RUNS = {int(name.removeprefix("run_")): run for name, run in list(globals().items()) if name.startswith("run_")}
"""The table of platform.md section 4, in its order."""


def play(robots: Robots, *numbers: int) -> None:
    """These runs, or all, one after the other."""
    seen = Seen()
    for number in numbers or RUNS:
        try:
            RUNS[number](robots, seen)
        except AssertionError as error:
            raise AssertionError(f"run {number}: {error}") from error


# ---------------------------------------------------------------------- a server in this process, which may lie
Changed = tuple[int, bytes]


@dataclass
class Lie:
    """Another answer than the true one, to requests of a verb whose path fits."""

    verb: str
    path: str
    change: Callable[[int, bytes], Changed]


class Liar:
    """An application that answers as the one in it, but for one lie."""

    def __init__(self, app: Any) -> None:
        self.app, self.lie = app, None

    lie: Lie | None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        lie = self.lie
        if (
            scope["type"] != "http"
            or lie is None
            or scope["method"] != lie.verb
            or not re.fullmatch(lie.path, scope["path"])
        ):
            await self.app(scope, receive, send)
            return
        start: dict[str, Any] = {}
        body = bytearray()

        async def kept(message: Any) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                status, told = lie.change(start["status"], bytes(body))
                rest = [(n, v) for n, v in start["headers"] if n.lower() != b"content-length"]
                headers = [*rest, (b"content-length", str(len(told)).encode())]
                await send({**start, "status": status, "headers": headers})
                await send({"type": "http.response.body", "body": told})

        await self.app(scope, receive, kept)


def edited(change: Callable[[Any], Any]) -> Callable[[int, bytes], Changed]:
    """Another document under the same status."""

    def changed(status: int, body: bytes) -> Changed:
        document = json.loads(body)
        return status, json.dumps(change(document)).encode()

    return changed


def status(code: int) -> Callable[[int, bytes], Changed]:
    return lambda _status, body: (code, body)


@contextmanager
def listening(app: Any, port: int) -> Iterator[None]:
    """Have an application listen at a port of this machine."""
    import threading

    import uvicorn

    # Without settings of its own for logging, which would stay for the tests that come after.
    quiet = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None)
    server = uvicorn.Server(quiet)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, 30)
        yield
    finally:
        server.should_exit = True
        thread.join(30)


def free_port() -> int:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
