"""docs/cli.md lists every command, and the keys that it lists are those that commands print."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
from cli_lab import Lab
from tiny import FILES, answer, bundle
from typer.testing import CliRunner

from codabench.cli.app import SECTIONS, app

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text(encoding="utf-8")


def rows(text: str) -> list[list[str]]:
    """The cells of the rows of Markdown tables, without heads."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    cells = [[cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if row[0].startswith("`")]


def section(title: str) -> str:
    """What stands under a heading, without deeper ones."""
    return re.split(r"^#+ ", PAGE.split(f"# {title}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def keys_of(thing: str) -> set[str]:
    """The keys of an object, as the page lists them."""
    found = {key for row in rows(section(thing)) for key in words(row[0])}
    return found | keys_of("run") if thing == "shown run" else found


COMMANDS = {words(row[0])[0].split()[0]: words(row[-1]) for row in rows(section("Commands"))}
OTHERS = {words(row[0])[0] for row in rows(section("Other commands"))}


def check(command: str, document: dict[str, Any]) -> None:
    """Compare a document with the page, and objects in it with theirs."""
    listed = [key.split(": ") for key in COMMANDS[command]]
    assert set(document) == {key[0] for key in listed}
    for key, *of in listed:
        if of:
            thing = of[0].strip("[]")
            there = document[key] if of[0].startswith("[") else [document[key]]
            assert there or thing == "refusal", f"{command} shows no {thing}"
            assert [set(each) for each in there] == [keys_of(thing)] * len(there), f"{command}: {thing}"


def test_a_status_has_the_keys_of_the_page(lab: Lab) -> None:
    assert set(lab("status", "--json").document) == {"ok", *keys_of("status")}


def test_every_command_is_on_the_page() -> None:
    every = {each for members in SECTIONS.values() for each in members}
    names = {command.__name__ for command in every if not isinstance(command, typer.Typer)}
    names -= {"rule", "schema", "demo", "scheduler", "worker", "receipt", "serve"}  # these have no option --json
    assert names == {*COMMANDS, *(command.split()[0] for command in OTHERS)} - {"db", "user", "config", "serve"}


@pytest.mark.parametrize(
    "line",
    [
        "competitions",
        "submissions Tiny",
        "runs",
        "show good",
        "logs better",
        "leaderboard Tiny",
        "revisions Tiny",
        "cancel better",
    ],
)
def test_what_is_shown_has_the_keys_of_the_page(lab: Lab, line: str) -> None:
    check(line.split()[0], lab(*line.split(), "--json").document)


def test_what_changes_something_has_the_keys_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CODABENCH_WORKSPACE", "lab")

    def run(*line: object, code: int = 0) -> None:
        done = CliRunner().invoke(app, [*map(str, line), "--json"])
        assert done.exit_code == code, done.stdout
        check(str(line[0]), json.loads(done.stdout))

    limit = "tasks: [0], max_submissions: 1"
    bundle(tmp_path / "bundle")
    yaml = tmp_path / "bundle/competition.yaml"
    yaml.write_text(yaml.read_text().replace("tasks: [0]", limit))
    new = tmp_path / "new"
    new.mkdir()
    for name in ("metadata", "score.py"):
        (new / name).write_bytes(FILES[f"scoring/{name}"] + b"\n")
    run("add", "bundle")
    run("revise", "Tiny", 0, "--scoring-program", "new", "--note", "why")
    yaml.write_text(yaml.read_text() + "# edited\n")
    (tmp_path / "bundle/data/x.csv").write_text("other")
    run("update", "Tiny", "bundle")
    run("submit", "Tiny", answer(tmp_path / "a"), answer(tmp_path / "b"), "--participant", "alice", code=1)
    run("rerun", "alice#1")
    run("choose", "alice#1")
    run("cancel", "alice#1")
    run("delete", "alice#1", "--hard", "--yes")
    run("export", "Tiny", "copy")
