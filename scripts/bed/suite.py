"""All checks and tests, in parts that run whatever became of the parts before them.

    scripts/test [unit|engines|soaks|all] [--bundles DIR] [--robots DIR] [PYTEST-OPTION...]

unit      ruff, mypy, import rules and tests/unit: seconds, without engine and without root
engines   all other tests: those with real engines as root and again as an ordinary user (rootless Podman), those
          without as an ordinary user
soaks     a tenth of every soak (scripts/soak)
all       all of these (default)
--bundles also the acceptance bundles of that folder
--robots  also the robot client scripts of that folder, unmodified, against a server

Everything needed is installed on first use: packages (as root, Debian or Ubuntu) and a virtual environment .venv.
What this command started it stops; a test bed that ran before (scripts/testbed up) keeps running.
"""

from __future__ import annotations

import argparse
import getpass
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cli
import soak
import venvs
from machine import BED, USER, BedError, as_user, ensure_user, is_root, say, user_environment

ROOT = Path(__file__).resolve().parents[2]
NOTHING_SELECTED = 5
OWN_ENGINES = ("CODABENCH_TEST_DOCKER", "CODABENCH_TEST_DOCKER_BLIND", "CODABENCH_TEST_PODMAN_ROOTLESS")
OWN_STORES = tuple(f"CODABENCH_TEST_S3{word}" for word in ("", "_KEY", "_SECRET", "_GUEST_KEY", "_GUEST_SECRET"))
OWN_DATABASES = ("CODABENCH_TEST_POSTGRES",)
OWN = (*OWN_ENGINES, *OWN_STORES, *OWN_DATABASES)
"""What an ordinary user may set to test without the test bed."""
BEYOND_UNIT = ["tests", "--ignore=tests/unit"]
WHOLE = [*BEYOND_UNIT, "-m", "not engine and not bundles", "-n", "auto"]
# One after the other: what one of them leaves at a daemon on purpose, another would remove.
ENGINES = [*BEYOND_UNIT, "-m", "engine and not bundles"]
AGAIN = [*BEYOND_UNIT, "-m", "engine and not bundles and not once"]
PASSED_ON = re.compile(
    r"CI|TERM|COLUMNS|LANG|LC_\w+|TZ|PIP_\w+|UV_\w+|\w+_(proxy|PROXY)|SSL_CERT_\w+|REQUESTS_CA_BUNDLE|PYTEST_ADDOPTS"
)
"""What the ordinary user gets of our environment: how to reach the network, never a secret."""


@dataclass
class Parts:
    """Runs one part after the other and remembers how each ended."""

    options: list[str]
    results: list[tuple[str, int, float]] = field(default_factory=list)

    def run(self, name: str, argv: list[str], *, told: bool = False, **options: object) -> None:
        """Run a part. One that is `told` runs beside others: what it says is printed when it is over."""
        head, began, said = f"\n== {name}", time.monotonic(), ""
        if told:
            options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "errors": "replace"}
        else:
            print(head, flush=True)
        try:
            ended = subprocess.run(argv, check=False, **{"cwd": ROOT, "env": environment(), **options})
            code, said = ended.returncode, ended.stdout or ""
        except subprocess.TimeoutExpired as error:
            code, said = 1, f"{said_until(error)}\n{name}: not done after {error.timeout:g} s\n"
        if told or said:
            print(f"{head}\n{said}" if told else said, end="", flush=True)
        self.results.append((name, code, time.monotonic() - began))

    def pytest(self, name: str, python: Path, arguments: list[str], **options: object) -> None:
        self.run(name, [str(python), "-m", "pytest", *arguments, *self.options], **options)
        if self.options and self.results[-1][1] == NOTHING_SELECTED:  # a -k may well leave nothing of one part
            self.results[-1] = (name, 0, self.results[-1][2])

    def fail(self, name: str, why: object) -> None:
        say(f"{name}: {why}")
        self.results.append((name, 1, 0.0))

    def summary(self) -> int:
        print("\n== summary")
        for name, code, seconds in self.results:
            print(f"{'passed' if code == 0 else 'FAILED':8} {seconds:7.1f} s  {name}")
        failed = [name for name, code, _ in self.results if code]
        verdict = f"FAILED: {', '.join(failed)}" if failed else "all passed"
        print(f"scripts/test: {verdict}")
        return 1 if failed else 0


def said_until(error: subprocess.TimeoutExpired) -> str:
    output = error.stdout or b""
    return output if isinstance(output, str) else output.decode(errors="replace")


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PATH": f"{venvs.folder(ROOT)}/bin:{os.environ['PATH']}"}


def unit(parts: Parts, python: Path) -> None:
    parts.run("ruff check", [str(python), "-m", "ruff", "check", "--quiet", "."])
    parts.run("ruff format", [str(python), "-m", "ruff", "format", "--quiet", "--check", "."])
    parts.run("import rules", [str(python.with_name("lint-imports"))])
    parts.run("mypy", [str(python), "-m", "mypy"])
    parts.pytest("unit tests", python, ["tests/unit", "-n", "auto", "-m", "not bundles"])


def engines(parts: Parts, python: Path, bundles: Path | None, robots: Path | None) -> None:
    """Everything beyond tests/unit, on the engines of the test bed."""
    started: list[str] = []
    bed = {**cli.environment(), "CODABENCH_TEST_REQUIRE_ENGINES": "1"}
    me = getpass.getuser()
    own = {} if is_root() else {name: os.environ[name] for name in OWN if name in os.environ}
    try:
        if own:
            bed |= own
        else:
            started = cli.up([])
        parts.pytest(f"engine tests as {me}", python, ENGINES, env={**environment(), **bed})
        chosen = ["tests/unit/db", "--database", "postgres", "-n", "auto"]
        parts.pytest("database tests on PostgreSQL", python, chosen, env={**environment(), **bed})
        if is_root():
            as_ordinary_user(parts, bed)
        else:
            parts.pytest(f"tests of the whole as {me}", python, WHOLE, env={**environment(), **bed})
        if bundles is not None:
            chosen = ["tests", "-m", "bundles", "--bundles", str(bundles), "-n", "auto"]
            parts.pytest(f"bundles as {me}", python, chosen, env={**environment(), **bed})
        if robots is not None:
            chosen = ["tests/web/test_web_robots.py", "--robots", str(robots)]
            parts.pytest(f"robots as {me}", python, chosen, env={**environment(), **bed})
    except BedError as error:
        parts.fail(
            "test bed", error if is_root() else f"{error}\nOr name engines of your own in {', '.join(OWN_ENGINES)}."
        )
    finally:
        if started:
            cli.down(started, purge=False)


def as_ordinary_user(parts: Parts, bed: dict[str, str]) -> None:
    """The same tests by a user who owns a copy of the checkout: the checkout may be unreadable to others."""
    entry = ensure_user()
    copy, python = venvs.copy_for(entry, ROOT, BED / "user")
    own = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
    own |= user_environment(entry) | bed | {"CONTAINER_HOST": bed["CODABENCH_TEST_PODMAN_ROOTLESS"]}
    own |= {"PATH": f"{python.parent}:{own['PATH']}", "XDG_RUNTIME_DIR": str(BED / "xdg")}
    for name, arguments in (("engine tests", AGAIN), ("tests of the whole", WHOLE)):
        parts.pytest(f"{name} as {USER}", python, arguments, cwd=copy, env=own, **as_user(entry))


def soaks(parts: Parts, python: Path) -> None:
    """A tenth of each: that they hold at that size. Two at a time, but for those that measure waiting."""
    started = cli.up([]) if is_root() else []  # one of two must not stop what the other one needs
    try:
        alone = {name for name in soak.names() if soak.setting(name, "ALONE", False)}
        with ThreadPoolExecutor(2) as lanes:
            list(lanes.map(partial(one_soak, parts, python), slowest_first(set(soak.names()) - alone)))
        for name in sorted(alone):
            one_soak(parts, python, name)
    except BedError as error:
        parts.fail("test bed", error)
    finally:
        if started:
            cli.down(started, purge=False)


def slowest_first(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: -float(soak.setting(name, "LIMIT", soak.LIMIT)))


def one_soak(parts: Parts, python: Path, name: str) -> None:
    limit = float(soak.setting(name, "LIMIT", soak.LIMIT))
    parts.run(f"soak {name}, a tenth", [str(python), "-B", soak.__file__, name, "--tenth"], timeout=limit, told=True)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=["unit", "engines", "soaks", "all"], default="all")
    parser.add_argument("--bundles", metavar="DIR", type=Path)
    parser.add_argument("--robots", metavar="DIR", type=Path)
    asked, options = parser.parse_known_args()
    for option in ("bundles", "robots"):
        folder = getattr(asked, option)
        if folder is not None and not folder.is_dir():
            parser.error(f"--{option}: no such folder: {folder}")
    parts = Parts(options)
    try:
        python = venvs.ensure(ROOT)
    except BedError as error:
        say(str(error))
        return 1
    if asked.what in ("unit", "all"):
        unit(parts, python)
    if asked.what in ("engines", "all"):
        engines(parts, python, *(folder and folder.resolve() for folder in (asked.bundles, asked.robots)))
    if asked.what in ("soaks", "all"):
        soaks(parts, python)
    return parts.summary()


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
