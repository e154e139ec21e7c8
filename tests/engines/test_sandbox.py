"""The sandbox keeps the contract of engines, whose Python it runs, and what it says where it cannot be made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends import sandbox_facts
from codabench.backends.sandbox import SandboxEngine
from codabench.core.errors import EngineUnavailable, ImageNotFound, PolicyError
from codabench.core.policy import Limits, Network
from codabench.testing import EngineContract
from codabench.testing.bench import Bench
from codabench.testing.bundles import write_bundle, write_files

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("bwrap")]


class TestSandbox(EngineContract):
    new_privileges = pulls = False

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], SandboxEngine]:
        return lambda: SandboxEngine(host_network=True)

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls) -> str:
        return "host"

    def test_everything_is_enforced_that_this_host_can(self, bench: Bench) -> None:
        """As for Docker: what the contract takes on trust is pinned here."""
        assert bench.isolated
        engine: Any = bench.engine
        expected = set(engine.facts.unenforced)
        assert set(bench.info.reasons) == expected | ({"memory_report"} if "memory" in expected else set())
        assert not expected & {"pids", "system_calls"}
        if engine.facts.cgroups is None:
            assert os.geteuid(), "root can make control groups on the machines of these tests"
            assert expected == {"memory", "cpus"}


@pytest.fixture
def engine() -> Iterator[SandboxEngine]:
    with SandboxEngine() as made:
        yield made  # type: ignore[misc]


@pytest.fixture
def bench(engine: SandboxEngine, tmp_path: Path) -> Bench:
    return Bench(engine, engine.resolve("host"), tmp_path)


# ---------------------------------------------------------------- whose Python
def test_host_is_the_python_that_runs_this_library(bench: Bench) -> None:
    program = "import json, sys; print(json.dumps([sys.prefix, sys.version]))"
    for word in ("python", "python3"):
        assert json.loads(bench.run(word, "-c", program).out) == [sys.prefix, sys.version]


def test_packages_are_there_and_change_what_the_image_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench.python("import numpy; print(numpy.__version__)").end.ok
    monkeypatch.setattr(sys, "path", [*sys.path, str(bench.root)])
    (bench.root / "more-1.0.dist-info").mkdir()
    assert bench.engine.resolve("host").id != bench.image.id


def test_a_root_file_system_of_ones_own(engine: SandboxEngine, rootfs: Path, tmp_path: Path) -> None:
    bench = Bench(engine, engine.resolve(f"rootfs:{rootfs}"), tmp_path)
    output = bench.directory("output")
    program = "import os; open('/app/output/x', 'w').write(' '.join(sorted(os.listdir('/usr/bin'))))"
    ran = bench.python(program, mounts=(bench.mount(output, "/app/output"),))
    assert ran.end.ok, ran
    assert "setuid-bash" in (output / "x").read_text()
    assert bench.run("python", "-c", "import sys; print(sys.prefix)").out == b"/usr\n"
    assert bench.info.enforced == engine.probe(engine.resolve("host")).enforced
    assert not bench.python("open('/etc/was-here', 'w')").end.ok
    (rootfs / "etc/os-release").write_text("ID=changed\n")
    assert engine.resolve(f"rootfs:{rootfs}").id != bench.image.id


@pytest.mark.parametrize("name", ["rootfs:", "rootfs:relative", "rootfs:/proc", "rootfs:/nowhere", "Host", "host:1"])
def test_what_stands_for_no_image(engine: SandboxEngine, name: str) -> None:
    with pytest.raises(ImageNotFound) as caught:
        engine.resolve(name)
    assert caught.value.hint


def test_for_this_processor_only(engine: SandboxEngine) -> None:
    with pytest.raises(ImageNotFound, match="linux/riscv64 was asked for"):
        engine.resolve("host", platform="linux/riscv64")


def test_further_directories_are_shown_and_closed(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("weights")
    tmp_path.chmod(0o755)
    shown = (
        "import sys\nprint(open(sys.argv[1]).read())\ntry: open(sys.argv[1], 'w')\nexcept OSError as e: print(e.errno)"
    )
    for paths, expected in (([tmp_path], b"weights\n30\n"), ([], b"")):
        with SandboxEngine(paths=paths) as engine:
            bench = Bench(engine, engine.resolve("host"), tmp_path)
            assert bench.python(shown, str(tmp_path / "model")).out == expected


# ---------------------------------------------------------------- a bundle and its image
SCORER = {"main.py": "import os\nopen('/app/output/scores.txt', 'w').write(f'score: {os.getuid()}')\n"}


def test_only_who_asks_for_it_gets_another_python(tmp_path: Path) -> None:
    competition = cb.load(write_bundle(tmp_path / "bundle", scoring=SCORER))
    submission = write_files(tmp_path / "sub", {"x": "1"})
    with pytest.raises(ImageNotFound, match="refused unless somebody asks"):
        competition.run(submission, backend="sandbox", progress="none")
    assert "not in an image" not in repr(competition.leaderboard())
    run = competition.run(submission, backend="auto", image="host", progress="none").run
    assert run.scores == {"score": 65534}, run.logs
    assert run.provenance["engine"]["name"] == "sandbox"
    assert run.provenance["image"]["name"] == "host"
    assert run.provenance["image"]["id"].startswith("host:python-")
    said = "run with this machine's own Python (sandbox), not in an image: sub"
    assert said in repr(competition.leaderboard())
    assert "not in an image: sub" in competition.leaderboard()._repr_html_()
    competition.close()


# ---------------------------------------------------------------- what is refused, and why
def test_what_it_cannot_give_is_refused(bench: Bench) -> None:
    for options, why in (
        ({"network": Network.OPEN}, "loopback"),
        ({"network": Network.PROXY}, "proxy"),
        ({"gpus": "all"}, "GPUs"),
    ):
        with pytest.raises(PolicyError, match=why):
            bench.run("true", **options)


def test_open_files_are_bounded(bench: Bench) -> None:
    program = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    assert bench.python(program, limits=Limits(nofile=64)).out == b"64 64\n"
    assert bench.python(program).out != b"64 64\n"


def test_without_bubblewrap(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="bubblewrap is not installed") as caught:
        SandboxEngine().probe()
    assert "apt install bubblewrap" in str(caught.value.hint)
    assert caught.value.code == "CB601"
    old = tmp_path / "bwrap"
    old.write_text("#!/bin/sh\necho bubblewrap 0.6.1\n")
    old.chmod(0o755)
    with pytest.raises(EngineUnavailable, match=r"bubblewrap 0\.6\.1 is too old"):
        SandboxEngine().probe()


def test_on_another_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(EngineUnavailable, match="namespaces of Linux, and this is darwin") as caught:
        SandboxEngine().probe()
    assert "docker or podman" in str(caught.value.hint)


def test_where_namespaces_are_forbidden(bwrap: str) -> None:
    """The sandbox forbids them, so that a sandbox in the sandbox says what it says on such a host."""
    here = Path(cb.__file__).parents[1]
    program = (
        "from codabench.backends.sandbox import SandboxEngine\n"
        "try: SandboxEngine().probe()\n"
        "except ConnectionError as error: print(error, error.hint, sep='|')"
    )
    with SandboxEngine(paths=[here]) as engine:
        bench = Bench(engine, engine.resolve("host"), Path("/"))
        said = bench.python(program, env={"PYTHONPATH": str(here)})
    assert b"[CB601] bubblewrap cannot make a sandbox here: No permissions to create" in said.out, said
    assert b"it may itself run in a container" in said.out


@pytest.mark.parametrize(
    ("setting", "closed", "hint"),
    [
        ("kernel.unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        ("user.max_user_namespaces", "0", "sysctl -w user.max_user_namespaces"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "bwrap-userns-restrict"),
    ],
)
def test_settings_that_close_namespaces(monkeypatch: pytest.MonkeyPatch, setting: str, closed: str, hint: str) -> None:
    monkeypatch.setattr(sandbox_facts, "_setting", {setting: closed}.get)
    error = sandbox_facts.explained("setting up uid map: Permission denied")
    assert f"{setting} is {closed}" in error.message
    assert hint in str(error.hint)


# ---------------------------------------------------------------- owners
def test_nothing_outlives_a_killed_owner(bench: Bench) -> None:
    """C30, without anybody's help: not even `reap` is needed for the processes."""
    import time

    from codabench.testing.bench import alive

    token = f"codabench-test-{os.getpid()}-{time.monotonic_ns()}"
    program = "import os, time\nif os.fork() == 0: os.setsid()\nprint('begun', flush=True)\ntime.sleep(600)"
    owner = (
        "import sys\n"
        "from codabench.backends.engine import *\n"
        "from codabench.backends.sandbox import SandboxEngine\n"
        "class Sink:\n"
        "    def write(self, stream, data): print(data, flush=True)\n"
        "engine = SandboxEngine()\n"
        f"spec = ContainerSpec(image=engine.resolve('host'), argv=('python3', '-c', {program!r}, sys.argv[1]))\n"
        "engine.run(spec, Sink(), StopSignal(), Deadline(None))\n"
    )
    with subprocess.Popen([sys.executable, "-c", owner, token], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        killed.stdout.readline()
        assert len(alive(token)) >= 3
        killed.kill()
    until = time.monotonic() + 2
    while alive(token) and time.monotonic() < until:
        time.sleep(0.01)
    assert not alive(token)
    groups = list(Path("/sys/fs/cgroup").glob("**/codabench-codabench-*"))
    assert bench.engine.reap()
    assert not [group for group in groups if group.exists()]
