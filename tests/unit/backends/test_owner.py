"""Whose a container is, and when its owner is certainly dead."""

from __future__ import annotations

import subprocess
import sys

import pytest

from codabench.backends.owner import Owner, myself


def test_a_label_names_its_owner() -> None:
    me = myself()
    assert Owner.of_label(me.label()) == me
    assert me.started


def test_tokens_differ() -> None:
    assert myself().token != myself().token


@pytest.mark.parametrize("label", ["", "x", "{}", '{"pid": 1}', "[]", "null", "1"])
def test_labels_of_others(label: str) -> None:
    assert Owner.of_label(label) is None


@pytest.mark.parametrize(
    ("changes", "dead"),
    [
        ({}, False),
        ({"started": "1"}, True),
        ({"boot": "an earlier one"}, True),
        ({"machine": "another"}, False),
        ({"machine": "another", "boot": "another"}, False),
        ({"namespace": "pid:[1]", "started": "1"}, False),
    ],
)
def test_death_must_be_certain(changes: dict[str, str], dead: bool) -> None:
    assert myself().model_copy(update=changes).is_dead() is dead


def test_a_process_that_has_ended() -> None:
    code = "from codabench.backends.owner import myself; print(myself().label())"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        owner = Owner.of_label(process.stdout.read().strip())
        assert owner is not None
        assert owner.pid == process.pid
    assert owner.is_dead()
