"""A workspace with submissions, for commands that look at it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tiny import answer, bundle, yaml
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Lab(NamedTuple):
    """A workspace with three submissions to a competition of two tasks: one finished, one failed, one in part."""

    place: Path
    competition: str
    submissions: list[str]
    runs: list[str]

    def __call__(self, *words: object, **env: str) -> Ended:
        everything = {"CODABENCH_WORKSPACE": str(self.place), "COLUMNS": "120", **env}
        done = CliRunner().invoke(app, [*map(str, words)], env=everything)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ended(done.exit_code, done.stdout, done.stderr)


ANSWERS = {"good": '{"score": 0.5}', "bad": '{"exit": 3}', "better": '{"score": 0.75}'}


def made_lab(root: Path) -> Iterator[Lab]:
    made = cb.load(bundle(root / "bundle", yaml(tasks=("First", "Second"))))
    with made, cb.Workspace(root / "lab", backend="process", jobs=2) as ws:
        ws.add(made)
        for name, text in ANSWERS.items():
            who = "bob" if name == "better" else "alice"
            task = 0 if name == "better" else None
            made.run(answer(root / name, text), participant=who, task=task, params={"C": 10})
        handles = made.submissions()
        yield Lab(root / "lab", made.id, [h.id for h in handles], [r.id for h in handles for r in h.runs])
