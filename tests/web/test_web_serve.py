"""``codabench serve``, ``config show`` and ``tick``: what starts, what is refused, how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import logging
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import s3fs
import sqlalchemy
from board_lab import number
from hosting_lab import hosted, zipped
from site_lab import Clock, close_site, make_site, person
from tiny import FILES, answer, yaml
from typer.testing import CliRunner
from upload_lab import ZIP, fetched, sent

from codabench.cli.app import app
from codabench.core.errors import EngineUnavailable, UsageError
from codabench.core.hosting import Posted
from codabench.core.policy import Network
from codabench.db.schema import look
from codabench.db.tables import HEAD
from codabench.web import security, serve
from codabench.web.app import create_app
from codabench.web.config import Loaded, RunSettings, ServerSettings, load
from codabench.web.logs import written_down
from codabench.web.opening import ceiling_of, database_of, opened, refuse_exposed, refuse_old

OLD = Path(__file__).parent.parent / "unit" / "db" / "schemas" / "revision-0001.sqlite.sql"


def settings(**environment: str) -> Loaded:
    return load(environment={f"CODABENCH__{name}": value for name, value in environment.items()})


def cli(*words: str, **env: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, list(words), env={"COLUMNS": "200", **env})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in [each for each in os.environ if each.startswith("CODABENCH_")]:
        monkeypatch.delenv(name)
    return tmp_path


# ---------------------------------------------------------------------- what is refused
@pytest.mark.row("W19")
@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ({"SERVER__HOST": "0.0.0.0"}, "site.url and server.proxies is not set"),
        ({"SERVER__HOST": "::"}, "site.url and server.proxies"),
        ({"SERVER__HOST": "lab.example.org", "SITE__URL": "https://lab.example.org"}, "server.proxies"),
        ({"SERVER__HOST": "10.0.0.1", "SERVER__PROXIES": "[]"}, "site.url"),
        (
            {
                "SERVER__HOST": "10.0.0.1",
                "SERVER__PROXIES": "[]",
                "SITE__URL": "https://a.example",
                "RUNS__BACKEND": "process",
            },
            "isolates nothing",
        ),
    ],
)
def test_a_site_is_not_shown_to_others_by_accident(here: Path, said: dict[str, str], missing: str) -> None:
    with pytest.raises(UsageError, match=missing) as caught:
        refuse_exposed(settings(**said))
    assert caught.value.code == "CB823"
    code, out, err = cli("serve", **{f"CODABENCH__{name}": value for name, value in said.items()})
    assert (code, out) == (2, "")
    assert "CB823" in err
    assert not (here / ".codabench").exists(), "nothing was made"


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"SERVER__HOST": "localhost"},
        {"SERVER__HOST": "::1"},
        {"SERVER__HOST": "127.9.9.9", "RUNS__BACKEND": "process"},
        {"SERVER__HOST": "0.0.0.0", "SITE__URL": "https://lab.example.org", "SERVER__PROXIES": '["10.0.0.5"]'},
    ],
)
def test_what_is_served(here: Path, said: dict[str, str]) -> None:
    refuse_exposed(settings(**said))


def test_tables_of_an_earlier_version_are_changed_only_where_somebody_says_so(here: Path) -> None:
    (here / ".codabench").mkdir()
    file = here / ".codabench" / "codabench.db"
    raw = sqlite3.connect(file)
    raw.executescript(OLD.read_text())
    raw.close()
    url = database_of(settings().settings)
    code, _, err = cli("serve")
    assert (code, "CB824" in err, "--migrate" in err) == (2, True, True)
    assert look(url) == "0001"
    assert refuse_old(url, migrate=True) == "0001"
    with opened(settings().settings):
        assert look(url) == HEAD
    assert refuse_old(url, migrate=False) == HEAD
    assert refuse_old("sqlite:///nothing.db", migrate=False) is None


def test_an_address_that_is_taken(here: Path) -> None:
    with serve.listen(ServerSettings(port=0)) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = cli("serve", "--port", str(port))
        assert (code, "CB825" in err) == (2, True)
    with pytest.raises(UsageError) as caught:
        serve.listen(ServerSettings(host="no.such.name.invalid", port=0))
    assert caught.value.code == "CB825"
    with serve.listen(ServerSettings(host="::1", port=0)) as six:
        assert six.getsockname()[1]


def test_files_elsewhere_need_a_database(here: Path) -> None:
    code, _, err = cli("serve", "--workspace", "memory://lab")
    assert (code, "CB356" in err) == (2, True)
    code, out, err = cli("serve", "--workspace", "memory://lab", "--db", f"sqlite:///{here}/rows.db")
    assert (code, out, "CB822" in err, "secret_file" in err) == (2, "", True, True), "and a place for their key"
    code, _, err = cli("serve", "--workspace", "other", CODABENCH__DB__URL="sqlite:///a.db")
    assert (code, "the database of another" in err) == (2, True)


def test_without_the_extra_it_says_what_to_install(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    code, _, err = cli("serve")
    assert (code, "pip install 'codabench[web]'" in err) == (2, True)


def test_what_programs_are_granted() -> None:
    granted = ceiling_of(RunSettings(memory="2 GiB", cpus=1.5, network="none"))
    assert (granted.limits.memory, granted.limits.cpus, granted.network) == (2 * 1024**3, 1.5, Network.NONE)
    assert ceiling_of(RunSettings()).network is Network.OPEN


def test_postgresql_and_s3_by_settings(here: Path, postgres: str, s3: Any) -> None:
    fs = s3fs.S3FileSystem(**s3.options(), skip_instance_cache=True)
    name = f"serve-{uuid.uuid4().hex[:12]}"
    engine = sqlalchemy.create_engine(postgres, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f'CREATE SCHEMA "{name}"')
    fs.makedirs(name)
    url = sqlalchemy.make_url(postgres)
    (here / "password").write_text(str(url.password))
    (here / "codabench.toml").write_text(
        f"""
        [site]
        secret_file = "{here}/key"
        [db]
        url = "{url.set(password=None).render_as_string()}?options=-csearch_path%3D{name}"
        password_file = "{here}/password"
        [storage]
        url = "s3://{name}/lab"
        options = {json.dumps(s3.options()).replace('": ', '" = ')}
        """
    )
    try:
        with opened(load(environment={}).settings) as site:
            annie = person(site, "annie")
            dataset = sent(site, annie)
            assert fetched(site, site.datasets.download(annie, dataset.key)) == ZIP
            assert site.db.account_named("annie") is not None
        assert [each for each in fs.ls(f"{name}/lab") if each.endswith("blobs")]
    finally:
        fs.rm(name, recursive=True)
        with engine.connect() as connection:
            connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        engine.dispose()


# ---------------------------------------------------------------------- settings
def test_settings_are_shown_with_where_they_are_from(here: Path) -> None:
    (here / "codabench.toml").write_text(
        '[site]\ntitle = "A lab"\nmail_url = "smtp://lab:hunter2@mail"\n'
        '[db]\nurl = "postgresql+psycopg://lab:hunter2@db/lab"\npassword = "hunter2"\n'
        '[storage]\nurl = "s3://lab"\noptions = { endpoint_url = "https://s3", secret = "hunter2" }\n'
    )
    code, out, _ = cli("config", "show", CODABENCH__SERVER__PORT="81")
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert lines["site.title"].split()[1:] == ["A", "lab", "codabench.toml"]
    assert lines["server.port"].split()[1:] == ["81", "$CODABENCH__SERVER__PORT"]
    assert lines["server.host"].split()[1:] == ["127.0.0.1", "-"]
    assert "postgresql+psycopg://lab:***@db/lab" in lines["db.url"]
    assert "https://s3" in lines["storage.options.endpoint_url"]
    code, text, _ = cli("config", "show", "--json")
    assert {"name": "site.sign_up", "value": True, "origin": None} in json.loads(text)["settings"]
    assert "hunter2" not in out + text, "what is secret is never shown"
    code, _, err = cli("config", "show", CODABENCH__SERVER__PROT="81")
    assert (code, "did you mean server.port?" in err) == (2, True)


def test_the_workspace_of_the_environment_is_that_of_the_site(here: Path) -> None:
    both = {"CODABENCH_WORKSPACE": "lab", "CODABENCH_DB": "sqlite:///rows.db"}
    found = load(environment=both)
    assert (found.settings.storage.url, found.settings.db.url) == ("lab", "sqlite:///rows.db")
    assert found.origins == {"storage.url": "$CODABENCH_WORKSPACE", "db.url": "$CODABENCH_DB"}
    other = load(environment={**both, "CODABENCH__STORAGE__URL": "other"}).settings
    assert (other.storage.url, other.db.url) == ("other", None), "its database belongs to no other"
    assert load(environment={"CODABENCH_DB": "sqlite:///rows.db"}).settings.db.url is None


def test_tick_does_what_is_due_on_a_site(here: Path) -> None:
    assert cli("user", "add", "alice", "--email", "alice@example.org")[0] == 0
    (here / "codabench.toml").write_text('[site]\ntitle = "The lab of wheat"\n')
    with opened(load(environment={}).settings) as site:
        site.accounts.send_reset("alice@example.org", address="127.0.0.1")
    code, out, err = cli("tick", "--json")
    assert (code, json.loads(out)) == (0, {"ok": True, "migrations": []})
    assert "The lab of wheat" in err, "a mail is shown where no server is set"
    assert cli("tick", "--workspace", "nowhere")[0] == 2


def test_maintenance_is_a_word_of_the_operator(here: Path) -> None:
    assert cli("user", "add", "alice")[0] == 0
    assert cli("maintenance")[1] == "the site is open\n"
    assert cli("maintenance", "Back at noon.")[1] == "the site is closed: Back at noon.\n"
    assert json.loads(cli("maintenance", "--json")[1]) == {"ok": True, "text": "Back at noon."}
    assert cli("maintenance", "x", "--off")[0] == 2
    assert cli("maintenance", "--off")[1] == "the site is open\n"


# ---------------------------------------------------------------------- what is believed, what is written down
def test_only_proxies_that_are_named_say_who_asks() -> None:
    asked: list[tuple[str, str]] = []

    async def seen(scope: Any, receive: Any, send: Any) -> None:
        asked.append((scope["client"][0], scope["scheme"]))

    async def ask(client: str, **more: Any) -> None:
        config = serve._config(seen, ServerSettings(**more))
        config.load()
        headers = [(b"x-forwarded-for", b"198.51.100.7"), (b"x-forwarded-proto", b"https")]
        scope = {"type": "http", "client": (client, 1), "scheme": "http", "headers": headers}
        await config.loaded_app(scope, None, None)  # type: ignore[arg-type]

    asyncio.run(ask("10.0.0.5", proxies=("10.0.0.5",)))
    asyncio.run(ask("10.0.0.6", proxies=("10.0.0.5",)))
    asyncio.run(ask("127.0.0.1"))
    assert asked == [("198.51.100.7", "https"), ("10.0.0.6", "http"), ("127.0.0.1", "http")]


@pytest.mark.row("W08", "H07")
@pytest.mark.parametrize("as_json", [False, True])
def test_what_lets_people_in_is_not_written_down(monkeypatch: pytest.MonkeyPatch, as_json: bool) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    secret = "0123456789" * 4
    with written_down("info", as_json=as_json):
        log = logging.getLogger("uvicorn.access")
        log.info('%s - "%s %s"', "::1", "GET", f"/accounts/reset/{secret}/?secret_key=abc&x=1")
        log.info('%s - "%s %s"', "::1", "PUT", "/uploads/eyJ2ZXJi_-.Xy-9")
        logging.getLogger("codabench.web").warning("a name\nERROR forged: \x1b[31m")
        try:
            raise ValueError(f"token={secret}")
        except ValueError:
            logging.getLogger("codabench.site").exception("failed")
        logging.getLogger("codabench").debug("too much")
    text = written.getvalue()
    assert secret not in text
    assert "secret_key=abc" not in text
    assert "eyJ2ZXJi" not in text
    assert "\x1b" not in text
    assert "too much" not in text
    assert "ValueError" in text
    assert not any(line.startswith("ERROR forged") for line in text.splitlines())
    if as_json:
        lines = [json.loads(line) for line in text.splitlines()]
        assert [each["level"] for each in lines] == ["info", "info", "warning", "error"]
        assert "trace" in lines[-1]
    logging.getLogger("codabench").warning("afterwards")
    assert "afterwards" not in written.getvalue()


def test_without_an_engine_submissions_wait(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(serve, "_ENGINE_AGAIN", 0.01)
    monkeypatch.setattr(serve.log, "warning", lambda text, *args: said.append(text % args))
    stop, tried = threading.Event(), 0
    with opened(settings(RUNS__BACKEND="process").settings) as site:
        get = site.workspace.places.get

        def now_and_then(*args: Any) -> Any:
            nonlocal tried
            tried += 1
            if tried < 4:
                raise EngineUnavailable("no engine answers")
            stop.set()
            return get(*args)

        monkeypatch.setattr(site.workspace.places, "get", now_and_then)
        serve._carry_out(site, stop)
    assert tried >= 4
    assert said == ["submissions wait, because nothing here can carry them out: [CB601] no engine answers"]


# ---------------------------------------------------------------------- slow clients (security.md W09)
@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Where a server answers, in a thread of this process."""
    monkeypatch.setattr(serve, "UNASKED", 1.0)
    monkeypatch.setattr(serve, "KEEP_ALIVE", 1)
    monkeypatch.setattr(security, "STALLED", 1.0)
    site = make_site(Clock())
    server = serve._Server(serve._config(create_app(site), ServerSettings()))
    with serve.listen(ServerSettings(port=0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        waited(lambda: server.started)
        yield listening.getsockname()
        server.should_exit = True
        thread.join(20)
    close_site(site)


def answered(connection: socket.socket) -> bytes:
    """Everything that comes until the other side ends."""
    connection.settimeout(20)
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            found += piece
    connection.close()
    return found


HEALTH = b"GET /api/health/ HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.row("W09")
def test_who_asks_slowly_keeps_nobody_waiting_and_is_let_go(answering: tuple[str, int]) -> None:
    slow = [socket.create_connection(answering) for _ in range(200)]
    for each in slow:
        each.sendall(HEALTH)
    took = []
    for _ in range(30):
        begun = time.monotonic()
        with socket.create_connection(answering) as quick:
            quick.sendall(HEALTH + b"Connection: close\r\n\r\n")
            assert b"200 OK" in answered(quick)
        took.append(time.monotonic() - begun)
    assert sorted(took)[-2] < 1
    assert {answered(each) for each in slow} == {b""}


@pytest.mark.row("W09")
def test_who_asks_once_and_then_slowly_is_let_go_too(answering: tuple[str, int]) -> None:
    connection = socket.create_connection(answering)
    connection.sendall(HEALTH + b"\r\n" + HEALTH)
    assert answered(connection).count(b"HTTP/1.1") == 1


@pytest.mark.row("W09")
def test_a_body_that_does_not_come_is_given_up(answering: tuple[str, int]) -> None:
    connection = socket.create_connection(answering)
    form = b"Host: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 9\r\n\r\nx"
    connection.sendall(b"POST /accounts/login/ HTTP/1.1\r\n" + form)
    assert answered(connection).startswith(b"HTTP/1.1 408")


# ---------------------------------------------------------------------- really started
class Served:
    """A server in a process of its own."""

    def __init__(self, place: Path, *words: str, **env: str) -> None:
        root = Path(__file__).parent.parent.parent
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CODABENCH_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "codabench", "serve", "--port", "0", *words],
            cwd=place,
            env={**kept, "PYTHONPATH": str(root), **env},
            stdout=subprocess.PIPE,
            stderr=(place / "log").open("w"),
            text=True,
        )
        assert self.process.stdout is not None
        self.log = place / "log"
        first = self.process.stdout.readline()
        assert first.startswith("open http://127.0.0.1:"), self.log.read_text()
        self.address = first.split("//")[1].strip()
        self.link = self.process.stdout.readline().split()[3]
        self.events = self.token = ""
        waited(lambda: self.get("/api/health/")[0] == 200)

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection(self.address, timeout=20)
        try:
            connection.request("GET", path, headers=headers)
            answered = connection.getresponse()
            return answered.status, answered.read().decode()
        except ConnectionRefusedError:
            return 0, ""
        finally:
            connection.close()


def waited(done: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A site on which a run waits that takes a minute."""
    files = {**FILES, "competition.yaml": yaml().encode()}
    with opened(load(environment={"CODABENCH_WORKSPACE": str(tmp_path / ".codabench")}).settings) as site:
        annie = person(site, "annie")
        id = hosted(site, annie, zipped(files), published=True)
        options = {"participant": annie.participant, "name": "mine", "phase": 0, "enforce": False}
        sleeping = answer(tmp_path / "mine", '{"score": 1, "sleep": 60}')
        made = site.workspace.submit(site.workspace.competition(id), sleeping, **options)
        site.db.post(Posted(submission=made.id))
        events = f"/api/submissions/{number(site, made.id)}/events"
        token = site.credentials.make_token(annie, annie.account or 0, name="a test")
    started = Served(tmp_path, CODABENCH__RUNS__BACKEND="process")
    started.events, started.token = events, f"Token {token}"
    yield started
    started.process.kill()
    started.process.wait()


def test_it_serves_carries_out_and_ends_as_told(served: Served, tmp_path: Path) -> None:
    status, page = served.get("/", accept="text/html")
    assert (status, "<html" in page) == (200, True)
    assert served.get("/", host="evil.example")[0] == 421
    key = tmp_path / ".codabench" / "secret.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    path = served.link.partition(served.address)[2]
    assert served.get(path, accept="text/html")[0] == 200

    watching = http.client.HTTPConnection(served.address, timeout=30)
    watching.request("GET", served.events, headers={"authorization": served.token})
    live = watching.getresponse()
    assert live.getheader("content-type") == "text/event-stream; charset=utf-8"
    waited(lambda: b"pid " in live.readline())

    begun = time.monotonic()
    served.process.send_signal(signal.SIGTERM)
    assert live.read().endswith(b"\n\n"), "who watches is let go between two events"
    assert served.process.wait(20) == 0
    assert time.monotonic() - begun < 10
    rows = sqlite3.connect(tmp_path / ".codabench" / "codabench.db")
    assert rows.execute("SELECT status FROM run").fetchall() == [("Submitted",)], "it is queued again"
    rows.close()
    written = served.log.read_text()
    assert "stopped" in written
    assert path not in written, "who has that link becomes the administrator"


def test_another_signal_waits_for_nobody(tmp_path: Path) -> None:
    served = Served(tmp_path, CODABENCH__RUNS__JOBS="0")
    assert "none here" in served.log.read_text()
    asking = http.client.HTTPConnection(served.address, timeout=30)
    asking.putrequest("POST", "/accounts/login/")
    asking.putheader("content-type", "application/x-www-form-urlencoded")
    asking.putheader("content-length", "10")
    asking.endheaders()  # and the rest never comes
    time.sleep(0.2)
    served.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert served.process.poll() is None
    served.process.send_signal(signal.SIGINT)
    assert served.process.wait(5) == 0
