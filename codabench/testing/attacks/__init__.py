"""Attacks on what runs hostile programs, for tests and for users: ``codabench doctor --attacks``.

An attack is carried out twice: in the container that the runner makes under the policy ``standard``, where it must
fail, and in its *twin*, where exactly one defence is off and it must succeed. An attack without a twin that succeeds
proves nothing, and is not counted as held. The rows are those of the threat table in docs/security.md.
"""

from __future__ import annotations

from codabench.testing.attacks.battery import carry_out
from codabench.testing.attacks.engines import ATTACKS
from codabench.testing.attacks.model import Attack, CannotShow, State, Verdict, judge

__all__ = ["ATTACKS", "Attack", "CannotShow", "State", "Verdict", "carry_out", "judge"]
