"""``codabench init``: what it makes is sound, runs everywhere, and every command that it shows works."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

import codabench as cb
from codabench.bundle.scaffold import TEMPLATES
from codabench.cli.app import app

ROOT = Path(__file__).resolve().parents[2]
EXPECTED = {"results": (10, 27), "code": (10, 26), "inverted": (22, 25)}
"""Right answers of 30: those of the starting kit, those of the solution."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*args: str) -> Result:
    return CliRunner().invoke(app, ["init", *args], prog_name="codabench")


def pasted(command: str, cwd: Path, **env: str) -> str:
    """What a shell says to a command that somebody pastes."""
    script = f'codabench() {{ "{sys.executable}" -m codabench "$@"; }}\n{command}'
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    ran = subprocess.run(["bash", "-c", script], cwd=cwd, env=everything, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, (command, ran.stderr)
    return ran.stdout + ran.stderr


def typed(command: str) -> Result:
    """The same in this process, which spares its start."""
    done = CliRunner().invoke(app, shlex.split(command)[1:], prog_name="codabench")
    assert done.exit_code == 0, done.stderr
    return done


def shown(text: str) -> list[str]:
    """The commands in what was printed."""
    return [line.strip() for line in text.partition("What to type next")[2].splitlines() if line.startswith("  ")]


def ranked(text: str) -> dict[str, int]:
    """Submission -> mistakes."""
    return {name: int(count) for name, count in re.findall(r"^\d +(\w+) +[\d.]+ +(\d+) ", text, re.M)}


# ---------------------------------------------------------------------- what is made
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_competition_is_sound_and_scores_what_it_should(template: str) -> None:
    made = init("grains", "--template", template)
    assert made.exit_code == 0, made.stderr
    with cb.load("grains") as comp:
        assert comp.check().problems == ()
        assert comp.title == "grains"
        (phase,) = comp.phases
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        assert (phase.start, phase.end) == (today, None)
        given = [comp.run(f"grains/{name}", backend="process") for name in ("starting_kit", "solution")]
        right = EXPECTED[template]
        assert [s.scores for s in given] == [{"accuracy": n / 30, "mistakes": 30.0 - n} for n in right]
        assert [s.incomplete for s in given] == [False, False]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_submission_of_something_else_fails_with_a_message(template: str, here: Path) -> None:
    init("grains", "-t", template)
    (here / "wrong").mkdir()
    (here / "wrong" / "notes.txt").write_text("nothing")
    with cb.load("grains") as comp:
        run = comp.run("wrong", backend="process").run
        assert run.status.value == "Failed"
        assert "is missing" in "".join(run.logs.values()) or "needed" in "".join(run.logs.values())


NAMES = [
    *("seeds", "Two words", "it's", 'a "title"', "a: b # c", "no", "12:30", "[x]", "{today}", "{title}", "%s", "$HOME"),
    *(
        "größer",
        "日本の 🌾",
        "-x",
        "--help-me",
        "~me",
        "*_x_* <b> & |",
        " padded ",
        "x.zip",
        "..x",
        "`id`",
        "a\\b",
        "@",
        "&x",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_becomes_folder_and_title(name: str, here: Path) -> None:
    made = init("--", name)
    assert made.exit_code == 0, made.stderr
    assert [path.name for path in here.iterdir()] == [name]
    with cb.load(here / name) as comp:
        assert comp.check().problems == ()
        assert comp.title == name
    heading = (here / name / "pages" / "overview.md").read_text(encoding="utf-8").splitlines()[0]
    assert re.sub(r"\\(.)", r"\1", heading) == f"# {name}"
    assert "<b>" not in heading


@pytest.mark.parametrize("name", ['-it\'s "2" $HOME `id`', "~日本 🌾"])
def test_every_line_that_is_shown_works(name: str, here: Path) -> None:
    commands = shown(init("--", name).stdout)
    assert len(commands) == 3
    check, run, convert = commands
    assert "0 errors, 0 warnings, 0 notes" in pasted(check, here)
    assert ranked(pasted(f"{run} --backend process", here)) == {"solution": 3, "starting_kit": 20}
    pasted(convert, here)
    assert "competition.yaml" in zipfile.ZipFile(here / f"{name}.zip").namelist()


def test_every_line_of_the_readme_works(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init("grains")
    text = (here / "grains" / "README.md").read_text(encoding="utf-8")
    check, run, convert = re.findall(r"^    (codabench .+)$", text, re.M)
    monkeypatch.chdir("grains")
    assert "0 notes" in typed(check).stderr
    assert ranked(typed(f"{run} --backend process").stdout) == {"solution": 3, "starting_kit": 20}
    typed(convert)
    assert (here / "bundle.zip").is_file()
    named = re.findall(r"^\| `(.+?)` \|", text, re.M)
    assert len(named) == 6
    assert all((here / "grains" / path).exists() for path in named)


def test_as_json(here: Path) -> None:
    document = json.loads(init("grains", "--json", "-t", "code").stdout)
    assert {key: document[key] for key in ("ok", "directory", "template")} == {
        "ok": True,
        "directory": "grains",
        "template": "code",
    }
    assert sorted(document["files"]) == sorted(
        path.relative_to(here / "grains").as_posix() for path in (here / "grains").rglob("*") if path.is_file()
    )
    assert len(document["next"]) == 3


# ---------------------------------------------------------------------- refusals
@pytest.mark.parametrize(
    "name", ["", " ", ".", "..", "a/b", "/a", "../a", "a\nb", "\x1b[31m", "a\u2028b", "a\udce4", "a\0b"]
)
def test_a_name_that_is_none(name: str, here: Path) -> None:
    made = init("--", name)
    assert made.exit_code == 2
    assert "error[CB350]" in made.stderr
    assert "= help: " in made.stderr
    assert "\x1b" not in made.stderr
    assert list(here.iterdir()) == []


def test_what_is_there_stays_as_it_is(here: Path) -> None:
    (here / "full").mkdir()
    (here / "full" / "thesis.tex").write_text("all of it")
    (here / "file").write_text("a file")
    (here / "link").symlink_to("nowhere")
    for name in ("full", "file", "link"):
        made = init(name)
        assert (made.exit_code, "error[CB150]" in made.stderr, "= help:" in made.stderr) == (2, True, True)
        assert "there already" in json.loads(init(name, "--json").stdout)["error"]["message"]
    assert sorted(p.relative_to(here).as_posix() for p in here.rglob("*")) == [
        "file",
        "full",
        "full/thesis.tex",
        "link",
    ]


def test_an_empty_folder_is_filled(here: Path) -> None:
    (here / "empty").mkdir()
    assert init("empty").exit_code == 0
    assert (here / "empty" / "competition.yaml").is_file()


def test_all_or_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full in the middle of it."""
    written = []

    def write(self: Path, data: bytes) -> int:
        written.append(self.name)
        if len(written) > 5:
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr(Path, "write_bytes", write)
    made = init("grains")
    assert (made.exit_code, len(written), list(here.iterdir())) == (3, 6, [])
    assert "error[CB704]: 'grains' cannot be written: No space left on device" in made.stderr


def test_a_name_that_is_too_long(here: Path) -> None:
    made = init("x" * 300)
    assert made.exit_code == 3
    assert "error[CB704]" in made.stderr
    assert list(here.iterdir()) == []


def test_a_template_that_is_not_known() -> None:
    assert init("grains", "--template", "resluts").exit_code == 2


# ---------------------------------------------------------------------- in containers
def follow(template: str, here: Path, **env: str) -> None:
    _, run, _ = shown(init("grains", "-t", template).stdout)
    first, last = EXPECTED[template]
    assert ranked(pasted(run, here, **env)) == {"solution": 30 - last, "starting_kit": 30 - first}


@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.parametrize("template", TEMPLATES)
def test_in_docker(template: str, here: Path, docker_url: str) -> None:
    follow(template, here, DOCKER_HOST=docker_url, CONTAINER_HOST=f"unix://{here}/nothing")


@pytest.mark.engine
@pytest.mark.podman
@pytest.mark.parametrize("template", ["code"])
def test_in_podman(template: str, here: Path, podman_url: str) -> None:
    follow(template, here, DOCKER_HOST=f"unix://{here}/nothing", CONTAINER_HOST=podman_url)
