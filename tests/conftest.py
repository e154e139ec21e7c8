"""Options and fixtures that all tests share: the engines of the test bed (docs/testing.md)."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background so, and processes that are started here would not hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rows", metavar="FILE", type=Path, help="write down which rows of the threat table were shown")
    parser.addoption("--bundles", metavar="DIR", type=Path, help="folder of acceptance bundles (marker: bundles)")
    robots = "folder of robot client scripts, which are run unmodified instead of our own"
    parser.addoption("--robots", metavar="DIR", type=Path, help=robots)
    cluster = "run examples and acceptance bundles on workers of a Dask cluster"
    parser.addoption("--cluster", action="store_true", help=cluster)
    kinds = ["sqlite", "postgres"]
    parser.addoption("--database", choices=kinds, default="sqlite", help="which databases tests/unit/db use")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--rows") is not None:
        config.pluginmanager.register(_Rows(config.getoption("--rows")))


class _Rows:
    """Writes down which tests showed which rows of the threat table, on which engine (scripts/security-table)."""

    ENGINES = ("docker", "podman", "sandbox")

    def __init__(self, file: Path) -> None:
        self.file, self.shown = file, list[dict[str, Any]]()

    def engine_of(self, item: pytest.Item, marker: pytest.Mark) -> str | None:
        """By the marker, by a parameter of the test, by the marker of the engine; None: it takes none."""
        values = getattr(item, "callspec", None).params.values() if hasattr(item, "callspec") else ()
        named = [marker.kwargs.get("engine"), *(v for v in values if isinstance(v, str)), *item.keywords]
        return next((name for name in named if name in self.ENGINES), None)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report = yield
        if report.when == "call":
            # An attack of the battery says itself what it came to: a test passes also where a twin cannot be had.
            state = dict(item.user_properties).get("state", "held")
            kinds = {"held": ("row", "twin"), "unproven": ("row",)}.get(state, ())
            for kind in kinds if report.passed else ():
                for marker in item.iter_markers(kind):
                    for row in marker.args:
                        self.shown.append(
                            {"row": row, "kind": kind, "engine": self.engine_of(item, marker), "test": item.nodeid}
                        )
        return report

    def pytest_sessionfinish(self) -> None:
        self.file.write_text(json.dumps(self.shown))


def unavailable(why: str) -> NoReturn:
    """Skip; where engines are required, fail: a skipped test proves nothing."""
    if os.environ.get("CODABENCH_TEST_REQUIRE_ENGINES") == "1" or os.environ.get("CI") == "true":
        pytest.fail(why, pytrace=False)
    pytest.skip(why)


def answers(url: str) -> bool:
    connection = http.client.HTTPConnection("localhost", timeout=10)
    try:
        with socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(10)
            connection.sock.connect(url.removeprefix("unix://"))
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def engine_url(variable: str) -> str:
    """The URL in that variable, if an engine answers there."""
    url = os.environ.get(variable)
    if not url:
        unavailable(f'{variable} is not set: scripts/testbed up; eval "$(scripts/testbed env)"')
    if not answers(url):
        unavailable(f"nothing answers at {variable}={url}: scripts/testbed up")
    return url


@pytest.fixture(scope="session")
def docker_url() -> str:
    """A Docker daemon that sees our files."""
    return engine_url("CODABENCH_TEST_DOCKER")


@pytest.fixture(scope="session")
def blind_docker_url() -> str:
    """A Docker daemon to which our files are invisible, as to one on another machine."""
    return engine_url("CODABENCH_TEST_DOCKER_BLIND")


@pytest.fixture(scope="session")
def podman_url() -> str:
    """The Podman service of who we are: root's, or the rootless one of an ordinary user."""
    return engine_url("CODABENCH_TEST_PODMAN" if os.geteuid() == 0 else "CODABENCH_TEST_PODMAN_ROOTLESS")


@pytest.fixture(scope="session")
def rootless_podman_url() -> str:
    """The rootless Podman service, whoever we are."""
    return engine_url("CODABENCH_TEST_PODMAN_ROOTLESS")


class S3Server(NamedTuple):
    """The S3 server of the test bed, and keys to it."""

    url: str
    key: str
    secret: str
    guest_key: str
    guest_secret: str

    def options(self, **changes: Any) -> dict[str, Any]:
        """``storage_options`` for it."""
        return {"endpoint_url": self.url, "key": self.key, "secret": self.secret, **changes}


@pytest.fixture(scope="session")
def s3() -> S3Server:
    """An S3 server; the owner may do everything, the guest may only read the bucket ``guests``."""
    url = os.environ.get("CODABENCH_TEST_S3")
    if not url:
        unavailable('CODABENCH_TEST_S3 is not set: scripts/testbed up s3; eval "$(scripts/testbed env)"')
    try:
        urllib.request.urlopen(f"{url}/healthz", timeout=10).close()
    except OSError as error:
        unavailable(f"nothing answers at CODABENCH_TEST_S3={url} ({error}): scripts/testbed up s3")
    keys = ("KEY", "SECRET", "GUEST_KEY", "GUEST_SECRET")
    return S3Server(url, *(os.environ[f"CODABENCH_TEST_S3_{name}"] for name in keys))


@pytest.fixture(scope="session")
def postgres() -> str:
    """An SQLAlchemy URL of a PostgreSQL database in which tests make schemas of their own."""
    url = os.environ.get("CODABENCH_TEST_POSTGRES")
    if not url:
        unavailable('CODABENCH_TEST_POSTGRES is not set: scripts/testbed up postgres; eval "$(scripts/testbed env)"')
    import sqlalchemy

    try:
        sqlalchemy.create_engine(url).connect().close()
    except sqlalchemy.exc.SQLAlchemyError as error:
        unavailable(f"nothing answers at CODABENCH_TEST_POSTGRES={url} ({error}): scripts/testbed up postgres")
    return url


@pytest.fixture(scope="session")
def test_image() -> str:
    """An image with Python, in every engine of the test bed."""
    return os.environ.get("CODABENCH_TEST_IMAGE", "codabench/test-python:1")


@pytest.fixture(scope="session")
def bwrap() -> str:
    """The program bubblewrap, which makes the sandbox."""
    return shutil.which("bwrap") or unavailable("bubblewrap is not installed: scripts/testbed up")


@pytest.fixture(scope="session")
def chromium_program() -> str:
    """The browser of this machine."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    return found or unavailable("there is no Chromium: scripts/testbed up")


@pytest.fixture(scope="session")
def make_engine_called(request: pytest.FixtureRequest) -> Callable[[str], Any]:
    """A new engine by its word. The sandbox takes every name of an image for the root file system of the tests."""
    from codabench.backends.sandbox import SandboxEngine
    from codabench.backends.select import engine_named

    class OneRoot(SandboxEngine):
        def __init__(self, root: Path) -> None:
            super().__init__()
            self._root = root

        def resolve(self, image: str, **options: Any) -> Any:
            return super().resolve(f"rootfs:{self._root}", **options)

    def make(word: str) -> Any:
        if word == "sandbox":
            request.getfixturevalue("bwrap")
            return OneRoot(request.getfixturevalue("rootfs"))
        return engine_named(f"{word}:{request.getfixturevalue(word + '_url')}")

    return make


@pytest.fixture(scope="session")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system with Python: the files of the Python image."""
    archive = os.environ.get("CODABENCH_TEST_ROOTFS")
    if not archive:
        unavailable('CODABENCH_TEST_ROOTFS is not set: scripts/testbed up; eval "$(scripts/testbed env)"')
    root = tmp_path_factory.mktemp("rootfs")
    subprocess.run(["tar", "--extract", "--file", archive, "--directory", str(root)], check=True)
    root.chmod(0o755)
    return root


@pytest.fixture(scope="session")
def bundles(request: pytest.FixtureRequest) -> Path:
    """The folder given with ``--bundles``."""
    folder: Path | None = request.config.getoption("--bundles")
    if folder is None:
        pytest.skip("needs --bundles DIR")
    return folder.resolve()
