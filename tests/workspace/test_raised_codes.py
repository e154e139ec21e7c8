"""Errors that no other test names by their codes: what is asked wrongly, and what is not there any more."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import answer, bundle, yaml
from typer.testing import CliRunner

import codabench as cb
from codabench.backends.process import ProcessEngine
from codabench.backends.select import engine_named
from codabench.backends.shell import shell_command
from codabench.cli.app import app
from codabench.core.competition import CompetitionSpec, PhaseSpec
from codabench.core.errors import CodabenchError
from codabench.db.database import Database
from codabench.storage.sources import DirectorySource
from codabench.storage.store import Storage
from codabench.workspace.admission import choose_phase, find_tasks
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.export import check_free
from codabench.workspace.planning import stored_parts
from codabench.workspace.settings import seconds, tailored
from codabench.workspace.trial import trial

SHEET = "fact_sheet: {t: {key: t, type: text, title: T, selection: '', is_required: true, is_on_leaderboard: false}}\n"


def load(place: Path, text: str | None = None, **files: bytes) -> cb.Competition:
    return cb.load(bundle(place / "bundle", text, {name.replace("__", "/"): data for name, data in files.items()}))


def incomplete_answers(place: Path) -> None:
    with load(place, yaml(extra=SHEET)) as comp:
        comp.run(answer(place / "mine"), backend="process", enforce=True)


def no_phase(place: Path) -> None:
    choose_phase(CompetitionSpec(title="T"), utc_now())


def no_task(place: Path) -> None:
    find_tasks(CompetitionSpec(title="T"), PhaseSpec(index=0, name="P", start=utc_now(), tasks=()), None)


def not_stored(place: Path) -> None:
    with load(place) as comp:
        stored_parts(comp.tasks[0], {})


def shell_without_container(place: Path) -> None:
    with load(place) as comp, trial(comp, answer(place / "mine"), ProcessEngine()) as (_, _, spec):
        shell_command(ProcessEngine(), spec)


def nothing_to_start(place: Path) -> None:
    comp = load(place, scoring__metadata=b"about: nothing")
    with comp, trial(comp, answer(place / "mine"), ProcessEngine()):
        pass


def no_such_step(place: Path) -> None:
    with load(place, scoring__metadata=b"about: nothing") as comp:
        comp.run(answer(place / "mine"), backend="process").run.output("scoring")


def results_twice(place: Path) -> None:
    (place / "result.json").touch()
    check_free(place)


def unreadable_answers(place: Path) -> None:
    bundle(place / "bundle")
    done = CliRunner().invoke(app, ["run", f"{place}/bundle", "mine", "--fact-sheet", f"{place}/nothing", "--json"])
    error = json.loads(done.stdout)["error"]
    raise CodabenchError(error["message"], code=error["code"], hint=error["hint"])


def no_docker_command(place: Path) -> None:
    mine = answer(place / "mine")
    with load(place) as comp, trial(comp, mine, ProcessEngine()) as (_, _, spec), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(place))
        shell_command(engine_named("docker"), spec)


def a_cache_that_cannot_be_filled(place: Path) -> None:
    storage = Storage(str(place / "storage"), cache=place / "cache")
    with DirectorySource(bundle(place / "bundle")) as tree, pytest.MonkeyPatch.context() as patch:
        ref = storage.put_tree(tree)
        patch.setattr(Path, "rename", refuse)
        storage.cached(ref)


def refuse(*_: object) -> None:
    raise PermissionError


def closed(place: Path) -> None:
    database = Database()
    database.close()
    database.competition("x")


def no_database(place: Path) -> None:
    Database(f"sqlite:///{place}/nowhere/x.db")


def foreign_database(place: Path) -> None:
    import sqlite3

    database = Database(f"sqlite:///{place}/x.db")
    with sqlite3.connect(place / "x.db") as other:
        other.execute("DROP TABLE competition")
    other.close()
    database.competition("x")


RAISED: list[tuple[str, Callable[[Path], object]]] = [
    ("CB334", incomplete_answers),
    ("CB335", unreadable_answers),
    ("CB341", no_phase),
    ("CB341", no_task),
    ("CB342", not_stored),
    ("CB351", shell_without_container),
    ("CB352", nothing_to_start),
    ("CB353", lambda place: seconds("soon")),
    ("CB353", lambda place: tailored("standard", memory="1k")),
    ("CB353", lambda place: tailored("standard", network="opn")),
    ("CB356", lambda place: cb.Workspace(place / "lab", db="sqlite://").gc(dry_run=False)),
    ("CB605", no_docker_command),
    ("CB703", a_cache_that_cannot_be_filled),
    ("CB705", no_such_step),
    ("CB706", results_twice),
    ("CB720", no_database),
    ("CB722", foreign_database),
    ("CB723", closed),
]


@pytest.mark.parametrize(("code", "does"), RAISED, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_what_is_raised(code: str, does: Callable[[Path], object], tmp_path: Path) -> None:
    with pytest.raises(CodabenchError) as caught:
        does(tmp_path)
    assert caught.value.code == code
    assert caught.value.message


def test_what_an_engine_does_not_enforce_is_a_note(tmp_path: Path) -> None:
    with load(tmp_path) as comp:
        notes = [w for w in comp.run(answer(tmp_path / "mine"), backend="process").run.warnings if w.code == "CB660"]
    assert any("process does not enforce" in note.message for note in notes)
