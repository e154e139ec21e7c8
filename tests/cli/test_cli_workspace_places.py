"""Which workspace a command works on, and what it says where there is none."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import typer
from tiny import bundle
from typer.testing import CliRunner

from codabench.cli.app import SECTIONS, app


def run(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, [*map(str, words)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle in the current directory, and no workspace anywhere."""
    bundle(tmp_path / "bundle")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CODABENCH_WORKSPACE", raising=False)
    monkeypatch.delenv("CODABENCH_DB", raising=False)
    return tmp_path


def sizes(*words: object) -> str:
    code, out, err = run("usage", *words)
    assert (code, err) == (0, "")
    return out


def test_the_one_of_this_directory(here: Path) -> None:
    code, out, err = run("add", "bundle")
    assert (code, out[8:], err) == (0, "  Tiny\n", "kept in .codabench\n")
    assert sorted(p.name for p in here.iterdir()) == [".codabench", "bundle"]
    assert "Tiny" in sizes()
    assert run("add", "bundle") == (0, out, "was kept in .codabench\n")


def test_a_word_that_is_empty_is_no_directory() -> None:
    code, out, err = run("competitions", "-w", "")
    assert (code, out) == (2, "")
    assert "--workspace is empty" in err


def test_the_one_that_is_named_by_a_word_or_by_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        assert run("add", "bundle", "-w", name)[0] == 0
    (here / "bundle/competition.yaml").write_text((here / "bundle/competition.yaml").read_text() + "# changed\n")
    assert "Tiny" in sizes("-w", here / "one")
    assert "Tiny" in sizes("-w", f"file://{here}/two")
    monkeypatch.setenv("CODABENCH_WORKSPACE", str(here / "two"))
    assert "Tiny" in sizes()
    monkeypatch.setenv("CODABENCH_WORKSPACE", str(here / "three"))
    assert "Tiny" in sizes("-w", "one")
    code, _, err = run("usage")
    assert (code, "there is no workspace in" in err) == (2, True)


def test_a_database_belongs_to_the_workspace_that_it_is_named_with(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = f"sqlite:///{here}/apart.db"
    assert run("add", "bundle", "-w", "one", "--db", db)[0] == 0
    assert not (here / "one/codabench.db").exists()
    monkeypatch.setenv("CODABENCH_DB", db)
    assert run("usage", "-w", "one")[0] == 2  # the database of another one, for all we know
    monkeypatch.setenv("CODABENCH_WORKSPACE", "one")
    assert "Tiny" in sizes()
    assert "Tiny" in sizes("-w", "one", "--db", db)


@pytest.mark.parametrize("words", [("usage",), ("gc",), ("db", "check"), ("db", "upgrade")])
def test_looking_makes_nothing(words: tuple[str, ...], here: Path) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "error[CB357]: no workspace is named" in err
    assert "codabench add" in err
    assert run(*words, "-w", "lab")[0] == 2
    assert run(*words, "-w", "lab", "--db", f"sqlite:///{here}/no.db")[0] == 2
    assert [p.name for p in here.iterdir()] == ["bundle"]


def test_something_else_is_there(here: Path) -> None:
    sqlite3.connect(here / "empty.db").close()
    (here / "text.db").write_text("no database" * 100)
    assert run("usage", "-w", "lab", "--db", f"sqlite:///{here}/empty.db")[0] == 2
    code, _, err = run("usage", "-w", "lab", "--db", f"sqlite:///{here}/text.db")
    assert (code, "file is not a database" in err, "something else" in err) == (3, True, True)


@pytest.mark.parametrize(
    ("url", "code"), [("nonsense", 2), ("oracle://x", 2), ("postgresql+psycopg://localhost:1/x", 3)]
)
def test_a_wrong_database(url: str, code: int) -> None:
    found, out, err = run("usage", "-w", "lab", "--db", url, "--json")
    document = json.loads(out)
    assert (found, err, document["ok"]) == (code, "", False)
    assert document["error"]["code"] in ("CB720", "CB722")
    assert "sqlalche.me" not in document["error"]["message"]


def test_a_place_elsewhere_needs_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = run("add", "bundle", "-w", "memory://lab")
    assert (code, "error[CB356]" in err, "--db" in err) == (2, True, True)


def test_every_command_has_its_place_in_the_help() -> None:
    _, out, _ = run("--help")
    for title, members in SECTIONS.items():
        _, _, section = out.partition(f"{title}:\n")
        names = [line.split()[0] for line in section.split("\n\n")[0].splitlines() if line[2:3].strip()]
        assert len(names) == len(members), title
    known = {command.callback for command in app.registered_commands}
    shown = {each for members in SECTIONS.values() for each in members}
    assert known == {each for each in shown if not isinstance(each, typer.Typer)}
