"""How attacks are judged: none is held without a twin that succeeds."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from codabench.backends.engine import EngineInfo
from codabench.backends.process import ProcessEngine
from codabench.cli.app import app
from codabench.core.errors import EngineError, PolicyError
from codabench.testing.attacks import ATTACKS, Attack, CannotShow, State, carry_out, judge
from codabench.testing.attacks.report import markdown


def ground(**enforced: bool) -> Any:
    info = EngineInfo(name="x", version="1", enforced=enforced, reasons=dict.fromkeys(enforced, "too old"))
    return SimpleNamespace(info=info)


def attack(play: Any, twin: Any, **more: Any) -> Attack:
    def does(what: Any) -> Any:
        def do(_: Any) -> str:
            if isinstance(what, Exception):
                raise what
            return str(what)

        return do

    return Attack("C01", "try", "try it", does(play), does(twin), **more)


OUT = "by the window"


@pytest.mark.parametrize(
    ("play", "twin", "state", "reason"),
    [
        ("", OUT, State.HELD, ""),
        ("", "", State.UNPROVEN, "fails here, too"),
        ("", CannotShow("no such image"), State.UNPROVEN, "no such image"),
        ("", PolicyError("never open"), State.UNPROVEN, "never open"),
        ("", EngineError("gone"), State.UNPROVEN, "gone"),
        (OUT, OUT, State.BROKE_OUT, OUT),
        (OUT, "", State.BROKE_OUT, OUT),
        (CannotShow("no python"), OUT, State.NOT_SHOWN, "no python"),
        (EngineError("gone"), OUT, State.NOT_SHOWN, "gone"),
    ],
)
def test_what_becomes_of_an_attack(play: Any, twin: Any, state: State, reason: str) -> None:
    verdict = judge(ground(), attack(play, twin))
    assert verdict.state is state
    assert reason in verdict.reason
    assert verdict.ok is (state is not State.BROKE_OUT)


def test_what_an_engine_does_not_claim_is_not_held_against_it() -> None:
    assert judge(ground(pids=False), attack(OUT, OUT, rests_on="pids")).state is State.NOT_CLAIMED
    assert judge(ground(pids=True), attack(OUT, OUT, rests_on="pids")).state is State.BROKE_OUT
    assert judge(ground(), attack(OUT, OUT, claimed=False)).state is State.NOT_CLAIMED


def test_plain_processes_are_not_attacked() -> None:
    """The programs would attack this machine."""
    told: list[Any] = []
    engine = ProcessEngine()
    verdicts = carry_out(engine, engine.resolve("any"), told=told.append)
    assert told == verdicts
    assert {v.state for v in verdicts} == {State.NOT_CLAIMED}
    assert len(verdicts) == len(ATTACKS)


def test_a_table_for_people() -> None:
    verdicts = [judge(ground(), attack("", OUT)), judge(ground(), attack("a | b", OUT))]
    text = markdown(
        {"x": [v.model_dump(mode="json") for v in verdicts[:1]], "y": [verdicts[1].model_dump(mode="json")]}
    )
    assert text.splitlines()[2] == "| C01 | try it | held | broke out: a \\| b |"


def test_doctor_looks_at_one_engine() -> None:
    ran = CliRunner().invoke(app, ["doctor", "--engine", "process", "--image", "any", "--attacks", "--json"])
    assert ran.exit_code == 0, ran.output
    (engine,) = json.loads(ran.stdout)["engines"]
    assert {v["state"] for v in engine["attacks"]} == {"not claimed"}
    assert len(engine["attacks"]) == len(ATTACKS)
