"""What an attack is, and what becomes of one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from codabench.core.base import Record
from codabench.core.errors import CodabenchError, PolicyError

if TYPE_CHECKING:
    from codabench.testing.attacks.ground import Ground

Play = Callable[["Ground"], str]
"""Carries an attack out; returns how it broke out, or nothing if it was held.

Raises `CannotShow` where the circumstances do not let it be shown.
"""


class CannotShow(Exception):  # noqa: N818 - the attack says so, nothing is wrong
    """Why an attack says nothing here."""


class State(StrEnum):
    """What became of an attack.

    ``held``: it failed, and succeeded with the defence off, so it is a real one. ``unproven``: it failed, and nothing
    shows that it could have succeeded. ``broke out``: it succeeded. ``not claimed``: it succeeds or may, and the engine
    says so. ``not shown``: it could not be tried.
    """

    HELD = "held"
    UNPROVEN = "unproven"
    BROKE_OUT = "broke out"
    NOT_CLAIMED = "not claimed"
    NOT_SHOWN = "not shown"


@dataclass(frozen=True)
class Attack:
    """One thing that a hostile program tries.

    Attributes
    ----------
    row
        Row of the threat table (``C01``).
    tries
        One sentence: what is tried.
    play
        The attack as users are attacked, through the runner's own containers.
    twin
        The same attack where exactly one defence is off: it must succeed.
    rests_on
        The property in `EngineInfo.enforced` that it rests on: an engine that does not enforce it says so.
    claimed
        False: no promise is made, it is looked at so that users know.
    alone
        It measures time and is not tried beside others.
    """

    row: str
    name: str
    tries: str
    play: Play
    twin: Play
    rests_on: str | None = None
    claimed: bool = True
    alone: bool = False

    @property
    def id(self) -> str:
        """``C01-fork-bomb``."""
        return f"{self.row}-{self.name.replace(' ', '-')}"


class Verdict(Record):
    """What became of one attack on one engine."""

    row: str
    name: str
    tries: str
    state: State
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Nothing that is claimed was found not to hold."""
        return self.state is not State.BROKE_OUT


def judge(ground: Ground, attack: Attack) -> Verdict:
    """Carry out an attack and its twin."""
    return verdict_of(attack, *_judged(ground, attack))


def verdict_of(attack: Attack, state: State, reason: str = "") -> Verdict:
    """The verdict on an attack."""
    return Verdict(row=attack.row, name=attack.name, tries=attack.tries, state=state, reason=reason)


def _judged(ground: Ground, attack: Attack) -> tuple[State, str]:
    info = ground.info
    if attack.rests_on is not None and info.enforced.get(attack.rests_on) is False:
        return State.NOT_CLAIMED, info.reasons.get(attack.rests_on, "the engine does not enforce it")
    try:
        how = attack.play(ground)
    except CannotShow as why:
        return State.NOT_SHOWN, str(why)
    except CodabenchError as error:
        return State.NOT_SHOWN, error.message
    if how:
        return (State.BROKE_OUT if attack.claimed else State.NOT_CLAIMED), how
    try:
        succeeded = attack.twin(ground)
    except CannotShow as why:
        return State.UNPROVEN, str(why)
    except PolicyError as error:
        return State.UNPROVEN, f"this engine never gives what the attack needs: {error.message}"
    except CodabenchError as error:
        return State.UNPROVEN, error.message
    if not succeeded:
        return State.UNPROVEN, "with the defence off the attack fails here, too"
    return State.HELD, ""
