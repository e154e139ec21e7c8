"""Robots that were written for Codabench find here what they know (platform.md section 4).

``--robots DIR`` runs the scripts of that folder, unmodified; without it ours go the same ways.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from robots_lab import (
    OWN,
    PASSWORD,
    RUNS,
    Http,
    Lab,
    Liar,
    Lie,
    Robots,
    Seen,
    edited,
    free_port,
    listening,
    play,
    prepare,
    set_lines,
    status,
    wait_for,
)
from robots_replay import Replay
from site_lab import QUICK

import codabench as cb
from codabench.site.actors import OPERATOR
from codabench.site.settings import SiteSettings
from codabench.site.site import Site
from codabench.web.app import create_app

CREATOR, BOT, STRANGER = "creator", "robot", "stranger"


@contextmanager
def server(folder: Path) -> Iterator[tuple[Liar, Lab]]:
    """A site on a socket of this machine, whose programs are plain processes."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = SiteSettings.model_validate({**QUICK, "url": url})
    with cb.Workspace(folder / "site", backend="process", jobs=2) as ws, Site(ws, settings) as site:
        for name in (CREATOR, BOT, STRANGER):
            address = f"{name}@example.org"
            site.accounts.add(OPERATOR, name, email=address, password=PASSWORD, is_bot=name == BOT)
        liar = Liar(create_app(site))
        with listening(liar, port):
            yield liar, prepare(url, CREATOR, BOT, STRANGER)


@pytest.fixture(scope="module")
def lying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Liar, Lab]]:
    with server(tmp_path_factory.mktemp("robots")) as made:
        yield made


@pytest.fixture
def scripts(request: pytest.FixtureRequest) -> Path:
    """The folder that was given, else ours."""
    given: Path | None = request.config.getoption("--robots")
    return given.resolve() if given else OWN


# ---------------------------------------------------------------------- the calls
def test_the_calls_of_the_log(lying: tuple[Liar, Lab]) -> None:
    replay = Replay(lying[1])
    replay.look_around()
    replay.log_in()
    whole, single = replay.submit([]), replay.submit([replay.lab.tasks[1][0]])
    replay.lab.finished(whole["id"])
    replay.lab.finished(single["id"])

    parent, _ = replay.read(whole["id"])
    assert (parent["task"], parent["has_children"], parent["parent"]) == (None, True, None)
    children = [replay.lab.finished(number) for number in parent["children"]]
    assert [child["task"]["id"] for child in children] == [number for number, _ in replay.lab.tasks]
    assert all(child["parent"] == parent["id"] for child in children)
    assert {s["id"] for s in parent["scores"]} == {s["id"] for child in children for s in child["scores"]}
    assert [s["score"] for s in children[0]["scores"]] == ["0.5000000000", "5.0000000000"]

    one, details = replay.read(single["id"])
    assert (one["task"]["id"], one["has_children"], one["children"]) == (replay.lab.tasks[1][0], False, [])
    assert {"scoring_stdout", "scoring_stderr"} <= {log["name"] for log in details["logs"]}
    assert details["scoring_result"].startswith(replay.lab.url)

    again = replay.run_again(single["id"], replay.lab.foreign)
    assert replay.lab.finished(again["id"])["on_leaderboard"] is False


def test_what_robots_are_refused(lying: tuple[Liar, Lab]) -> None:
    lab = lying[1]
    http, bot = Http(lab.url), lab.as_bot
    wrong = http("POST", "/api/api-token-auth/", form={"username": BOT, "password": "no"})
    assert (wrong.status, wrong.json) == (400, {"non_field_errors": ["Unable to log in with provided credentials."]})
    half = http("POST", "/api/api-token-auth/", form={"username": BOT})
    assert (half.status, half.json) == (400, {"password": ["This field is required."]})
    nobody = http("GET", f"/api/can_make_submission/{lab.phase}/")
    assert (nobody.status, nobody.json["detail"]) == (403, "Authentication credentials were not provided.")
    forged = Http(lab.url, "0" * 40)("GET", "/api/submissions/")
    assert (forged.status, forged.json["detail"]) == (403, "Invalid token.")

    stranger = http.signed_in(STRANGER)
    may = stranger("GET", f"/api/can_make_submission/{lab.phase}/")
    assert may.ok(200) == {"can": False, "reason": "User not approved to participate in this competition"}
    key = bot.upload("submission", lab.submission)
    sent = {"phase": lab.phase, "data": key}
    refused = stranger(
        "POST", "/api/submissions/", form={**sent, "data": stranger.upload("submission", lab.submission)}
    )
    reason = "You do not have access to this competition to make a submission"
    assert (refused.status, refused.json["detail"]) == (403, reason)
    foreign = bot("POST", "/api/submissions/", form={**sent, "tasks": [999_999]})
    message = ["All tasks must be part of the current phase."]
    assert (foreign.status, foreign.json) == (400, {"non_field_errors": message})
    nowhere = bot("POST", "/api/submissions/", form={**sent, "phase": 999_999})
    assert (nowhere.status, nowhere.json) == (400, {"phase": ['Invalid pk "999999" - object does not exist.']})
    unknown = bot(
        "POST", "/api/submissions/", form={**sent, "data": key.replace(key[0], "0" if key[0] != "0" else "1")}
    )
    assert unknown.status == 400
    assert list(unknown.json) == ["data"]
    assert bot("GET", "/api/submissions/?phase=999999").status == 400
    assert bot("GET", "/api/submissions/999999/").status == 404


# ---------------------------------------------------------------------- scripts
def test_the_thirteen_runs(lying: tuple[Liar, Lab], scripts: Path, tmp_path: Path) -> None:
    play(Robots(scripts, lying[1], tmp_path))


def test_scripts_say_what_was_refused(lying: tuple[Liar, Lab], scripts: Path, tmp_path: Path) -> None:
    """By the codes that they exit with."""
    liar, lab = lying
    robots = Robots(scripts, lab, tmp_path)
    assert robots.submit([], PASSWORD="wrong").code == 255
    assert robots.submit([], USERNAME=STRANGER).code == 254
    for path, verb, code in (("/api/datasets/", "POST", 253), ("/uploads/.*", "PUT", 252)):
        liar.lie = Lie(verb, path, status(403))
        try:
            assert robots.submit([]).code == code
        finally:
            liar.lie = None
    foreign = robots.submit([999_999])
    foreign.says("Error submitting (400)")
    assert foreign.code == 0


def test_no_answer_that_is_wrong_is_taken_for_right(lying: tuple[Liar, Lab], tmp_path: Path) -> None:
    """Each run of ours fails where what it rests on is another than clients were written for."""
    liar, lab = lying
    robots, seen = Robots(OWN, lab, tmp_path), Seen()
    for number in (4, 5, 6):
        RUNS[number](robots, seen)
    one = r"/api/submissions/\d+/"
    lies = [
        (1, Lie("GET", "/api/competitions/", edited(lambda found: [{**each, "created_by": None} for each in found]))),
        (2, Lie("GET", r"/api/competitions/\d+/?", status(404))),
        (
            3,
            Lie(
                "GET", r"/api/competitions/\d+/?", edited(lambda c: {**c, "phases": [{**c["phases"][0], "tasks": []}]})
            ),
        ),
        (4, Lie("PUT", "/uploads/.*", status(201))),
        (4, Lie("POST", "/api/submissions/", status(400))),
        (5, Lie("GET", one, edited(lambda found: {**found, "has_children": True}))),
        (7, Lie("GET", "/api/submissions/", edited(lambda found: [{**e, "created_when": "today"} for e in found]))),
        (8, Lie("GET", one, edited(lambda found: {**found, "scores": []}))),
        (9, Lie("GET", "/files/.*", lambda code, _body: (code, b"nothing"))),
        (10, Lie("GET", "/api/submissions/", edited(lambda found: [{**e, "task": None} for e in found]))),
        (11, Lie("GET", "/api/tasks/", edited(lambda found: found["results"]))),
        (12, Lie("GET", one, edited(lambda found: {**found, "task": {**found["task"], "key": "0" * 36}}))),
        (13, Lie("POST", rf"{one}re_run_submission/", status(404))),
    ]
    for number, lie in lies:
        liar.lie = lie
        try:
            with pytest.raises(AssertionError):
                RUNS[number](robots, Seen(**vars(seen)))
        finally:
            liar.lie = None


def test_lines_are_set() -> None:
    text = "A = None\nB = [\n    1,\n]\nprint(A, B)  # stays\nA = 3\n"
    assert set_lines(text, {"A": 7, "B": [2]}) == "A = 7\nB = [2]\n\n\nprint(A, B)  # stays\nA = 3\n"
    with pytest.raises(AssertionError, match="sets no C"):
        set_lines(text, {"C": 1})


# ---------------------------------------------------------------------- a fresh machine
@pytest.mark.engine
@pytest.mark.once
def test_a_fresh_directory_serves_robots(tmp_path: Path, docker_url: str, test_image: str, scripts: Path) -> None:
    """Nothing is configured; programs run in containers of the engine that the environment names."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CODABENCH_")}
    source = str(Path(cb.__file__).parents[1])
    here: Any = {"cwd": tmp_path, "env": {**kept, "DOCKER_HOST": docker_url, "PYTHONPATH": source}, "text": True}
    log = tmp_path / "serve.log"
    with log.open("w") as file:
        serve = [sys.executable, "-m", "codabench", "serve", "--port", "0"]
        process = subprocess.Popen(serve, stdout=file, stderr=file, **here)

    def address() -> str | None:
        assert process.poll() is None, log.read_text()
        found = re.search(r"^open (http://\S+)$", log.read_text(), re.MULTILINE)
        return found and found[1]

    try:
        url = wait_for(address)
        for name in (CREATOR, BOT):
            words = ["user", "add", name, "--password-stdin", *(["--bot"] if name == BOT else [])]
            command = [sys.executable, "-m", "codabench", *words]
            done = subprocess.run(command, input=f"{PASSWORD}\n", capture_output=True, timeout=60, check=False, **here)
            assert done.returncode == 0, done.stderr
        wait_for(lambda: _listens(url))
        lab = prepare(url, CREATOR, BOT, STRANGER, image=test_image)
        play(Robots(scripts, lab, tmp_path), 3, 5, 6, 9, 12)
    finally:
        process.terminate()
        code = process.wait(60)
    assert code == 0, log.read_text()


def _listens(url: str) -> bool:
    try:
        return Http(url)("GET", "/api/competitions/").status == 200
    except OSError:
        return False
