"""What is packed from Python is what the server takes, and it reads the same as we do."""

from __future__ import annotations

from pathlib import Path

import pytest
import server_reader

import codabench as cb
from codabench.core.errors import UsageError


def score(io: cb.ScoringIO) -> dict[str, float]:
    return {"acc": float((io.predictions / "a.txt").read_text())}


def defined(**given: object) -> cb.Competition:
    return cb.Competition(
        **{
            "title": 'Übung: "one" #1',
            "tasks": [cb.Task(name="one", scoring_program=score), cb.Task(name="two", scoring_program=score)],
            "phases": [
                cb.Phase(name="dev", start="2026-12-01 14:30", tasks=["one"], execution_time_limit="10 min"),
                cb.Phase(name="final", start="2027-01-01"),
            ],
            "columns": [cb.Column(key="acc", sorting="desc", precision=3)],
            "fact_sheet": {"method": "Which?"},
            "solutions": [{"a.txt": "0.5"}],
            "starting_kit": {"README.md": "Write a.txt."},
            **given,
        }
    )


def test_the_server_takes_it(tmp_path: Path) -> None:
    with defined() as comp:
        assert comp.check(target="codabench.org").problems == ()
        comp.pack(tmp_path / "p.zip")
    found = server_reader.read(tmp_path / "p.zip")
    assert cb.check(tmp_path / "p.zip", target="codabench.org").problems == ()
    assert found["title"] == 'Übung: "one" #1'
    starts = [str(phase["start"])[:16] for phase in found["phases"]]
    assert starts == ["2026-12-01 14:30", "2027-01-01 00:00"]


def test_what_it_would_not_take_is_told() -> None:
    ranks = cb.Column(key="ranks", computation="avg_rank", over=["acc"])
    with defined(columns=[cb.Column(key="acc"), ranks]) as comp:
        assert comp.check().ok
        assert [p.code for p in comp.check(target="codabench.org").errors] == ["CB184"]
        with pytest.raises(UsageError, match="there is no target"):
            comp.check(target="codabench")
