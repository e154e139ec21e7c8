"""The wheel is complete: installed in an empty environment elsewhere, it runs the demonstration as the README says."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import site
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from codabench.backends.engine import LABEL

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ("code-submission", "interactive", "inverted", "old-format", "result-submission", "several-tasks")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that nothing is written into it."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    unwanted = shutil.ignore_patterns(".*", "dist", "build", "__pycache__")
    shutil.copytree(ROOT, source, ignore=unwanted)
    # What somebody's editor or interpreter may leave behind must not reach a user.
    (source / "examples/code-submission/bundle/scoring_program/__pycache__").mkdir()
    (source / "examples/code-submission/bundle/scoring_program/__pycache__/score.cpython-311.pyc").touch()
    return source


def build(source: Path, kind: str, dist: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(dist)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    (built,) = dist.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(source, "wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``bin`` of an environment that holds the wheel and, by reference, the dependencies of ours: never our package."""
    home = tmp_path_factory.mktemp("elsewhere") / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    python = home / "bin" / "python"
    (packages,) = home.glob("lib/python*/site-packages")
    borrowed = [*site.getsitepackages(), sysconfig.get_paths()["purelib"]]
    (packages / "dependencies.pth").write_text("\n".join(dict.fromkeys(borrowed)) + "\n")
    pip = [sys.executable] if importlib.util.find_spec("pip") else [str(_python_with_pip(home))]
    command = [*pip, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*command, "--ignore-installed", str(wheel)], check=True, capture_output=True, text=True)
    return python.parent


def _python_with_pip(home: Path) -> Path:
    """A Python with pip, where ours has none (uv makes such environments)."""
    helper = home.parent / "pip"
    venv.create(helper, with_pip=True, symlinks=True)
    return helper / "bin" / "python"


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory, and an environment that knows nothing of the checkout."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    place = tmp_path / "empty"
    place.mkdir()
    return place


def run(command: list[str], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, timeout=240, check=False
    )


def test_what_is_in_it(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {"codabench/py.typed", "codabench/_problems.md"} <= set(names)
    for example in EXAMPLES:
        for part in ("bundle/competition.yaml", "expected.json"):
            assert f"codabench/_examples/{example}/{part}" in names
    assert {f"codabench/_templates/{layer}" for layer in ("common", "training", "results", "code", "inverted")} <= {
        "/".join(n.split("/")[:3]) for n in names
    }
    files = (p for p in ROOT.glob("codabench/**/*") if p.is_file() and "__pycache__" not in p.parts)
    tracked = {p.relative_to(ROOT).as_posix() for p in files}
    assert "codabench/web/templates/base.html" in tracked
    assert tracked <= set(names), "a module, a template or a file for browsers is missing"
    assert [n for n in names if "__pycache__" in n or n.endswith(".pyc")] == []
    assert {n.split("/")[0] for n in names if not n.split("/")[0].endswith(".dist-info")} == {"codabench"}


def test_the_source_distribution_is_complete(source: Path, wheel: Path, tmp_path: Path) -> None:
    """It holds what the tests need, and the wheel made of it is the same."""
    packed = build(source, "sdist", tmp_path / "sdist")
    subprocess.run(["tar", "-xzf", str(packed), "-C", str(tmp_path)], check=True)
    unpacked = tmp_path / packed.name.removesuffix(".tar.gz")
    for needed in ("CONTRIBUTING.md", "notebooks", "tests/conftest.py", "scripts/test", "docs/problems.md"):
        assert (unpacked / needed).exists(), needed
    again = build(unpacked, "wheel", tmp_path / "wheel")
    assert sorted(zipfile.ZipFile(again).namelist()) == sorted(zipfile.ZipFile(wheel).namelist())


def test_it_is_the_wheel_that_runs(installed: Path, empty: Path) -> None:
    shown = run([str(installed / "python"), "-c", "import codabench; print(codabench.__file__)"], empty)
    assert shown.stdout.startswith(str(installed.parent)), shown


def test_importing_loads_nothing_heavy(installed: Path, empty: Path) -> None:
    heavy = "{'pydantic', 'docker', 'podman', 'pandas', 'numpy', 'sqlmodel', 'fsspec', 'dask', 'rich', 'typer'}"
    shown = run([str(installed / "python"), "-c", f"import codabench, sys; print({heavy} & set(sys.modules))"], empty)
    assert shown.stdout == "set()\n", shown


def test_a_new_competition_is_sound(installed: Path, empty: Path) -> None:
    """The templates travel with the package, and what installers add to them stays behind."""
    cache = next(installed.parent.glob("lib/python*/site-packages/codabench/_templates/code/starting_kit"))
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(cache)], check=True)
    made = run([str(installed / "codabench"), "init", "mine", "--template", "code"], empty)
    assert made.returncode == 0, made
    assert list((empty / "mine").rglob("__pycache__")) == []
    checked = run([str(installed / "codabench"), "check", "mine", "--json"], empty)
    assert json.loads(checked.stdout)["problems"] == []


def demonstrate(installed: Path, cwd: Path, *options: str, **env: str) -> str:
    ran = run([str(installed / "codabench"), "demo", *options], cwd, **env)
    assert ran.returncode == 0, ran
    rows = [line.split()[:3] for line in ran.stdout.splitlines() if line[:1] in ("1", "2", "3")]
    assert rows == [["1", "good", "0.881"], ["2", "better", "0.525"], ["3", "baseline", "0.356"]], ran.stdout
    assert list((cwd / "codabench-demo").rglob("__pycache__")) == []
    return ran.stdout


def test_demo_in_processes_and_what_it_says_to_type(installed: Path, empty: Path) -> None:
    said = demonstrate(installed, empty, "--backend", "process")
    follow(said, empty)
    checked = run([str(installed / "codabench"), "check", "codabench-demo/bundle", "--json"], empty)
    assert json.loads(checked.stdout)["ok"]
    assert checked.returncode == 0
    # Again in the same place: nothing is overwritten, and the commands it shows still work.
    again = demonstrate(installed, empty, "--backend", "process")
    assert "codabench-demo/results-2" in again
    follow(again, empty)


def test_demo_without_an_engine_says_so_in_one_line(installed: Path, empty: Path) -> None:
    nothing = f"unix://{empty}/nothing.sock"
    # Nor bubblewrap: only what was installed is on the PATH.
    silent = {"DOCKER_HOST": nothing, "CONTAINER_HOST": nothing, "PATH": str(installed)}
    ran = run([str(installed / "codabench"), "demo"], empty, **silent)
    assert ran.returncode == 0, ran
    said = [line for line in ran.stderr.splitlines() if "plain processes" in line]
    assert len(said) == 1, ran.stderr
    assert "docker" in said[0]
    assert "podman" in said[0]
    assert "sandbox: bubblewrap is not installed" in said[0]


@pytest.mark.engine
@pytest.mark.usefixtures("bwrap")
def test_demo_in_the_sandbox_where_no_daemon_answers(
    installed: Path, empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        monkeypatch.setenv(name, f"unix://{empty}/nothing.sock")
    said = demonstrate(installed, empty)
    assert "--backend sandbox --image host" in said
    assert "not in an image" in said
    follow(said, empty)


@pytest.mark.engine
@pytest.mark.docker
def test_demo_in_docker_and_what_it_says_to_type(
    installed: Path, empty: Path, docker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_url)
    said = demonstrate(installed, empty)
    assert "--backend docker" in said
    follow(said, empty)


@pytest.mark.engine
@pytest.mark.podman
def test_demo_in_podman(installed: Path, empty: Path, podman_url: str) -> None:
    said = demonstrate(installed, empty, DOCKER_HOST=f"unix://{empty}/nothing.sock", CONTAINER_HOST=podman_url)
    assert "--backend podman" in said


@pytest.mark.engine
@pytest.mark.docker
def test_interrupting_the_demo_leaves_nothing(installed: Path, empty: Path, docker_url: str) -> None:
    import docker

    scratch = empty.parent / "tmp"
    scratch.mkdir()
    env = {**os.environ, "DOCKER_HOST": docker_url, "TMPDIR": str(scratch)}
    command = [str(installed / "codabench"), "demo", "--backend", "docker"]
    with subprocess.Popen(
        command, cwd=empty, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as demo:
        assert demo.stderr is not None
        assert any("Running" in line for line in demo.stderr), "it never ran"
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert list(scratch.glob("codabench-*")) == []
    client = docker.DockerClient(docker_url)
    made = client.api.containers(all=True, filters={"label": LABEL})
    assert [c["Names"] for c in made if json.loads(c["Labels"][LABEL]).get("pid") == demo.pid] == []
    client.close()


def follow(said: str, cwd: Path) -> None:
    """Paste every command that the demonstration shows into a shell."""
    shown = said.partition("What to type next")[2].splitlines()
    commands = [line.strip() for line in shown if line.startswith("  ")]
    assert len(commands) == 4, shown
    for command in commands:
        pasted = run(["sh", "-c", command], cwd)
        assert pasted.returncode == 0, (command, pasted)
    assert len(list((cwd / "codabench-demo").glob("my-results*/leaderboard.csv"))) >= 1


def test_demo_where_nothing_can_be_written(installed: Path) -> None:
    ran = run([str(installed / "codabench"), "demo", "--backend", "process"], Path("/proc"))
    assert ran.returncode == 3
    assert "cannot be written to codabench-demo" in ran.stderr
    assert "codabench demo DIRECTORY" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_demo_leaves_what_is_not_its_own_alone(installed: Path, empty: Path) -> None:
    mine = empty / "codabench-demo" / "thesis.tex"
    mine.parent.mkdir()
    mine.touch()
    ran = run([str(installed / "codabench"), "demo", "--backend", "process"], empty)
    assert ran.returncode == 2
    assert "is not the demo" in ran.stderr
    assert list(mine.parent.iterdir()) == [mine]


def test_demo_completes_a_copy_that_was_interrupted(installed: Path, empty: Path) -> None:
    partial = empty / "codabench-demo" / "submissions"
    partial.mkdir(parents=True)
    demonstrate(installed, empty, "--backend", "process")
