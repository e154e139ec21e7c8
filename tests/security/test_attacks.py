"""The battery that users run, on the engines of the test bed: every attack fails, and its twin succeeds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from codabench.backends.sandbox import SandboxEngine
from codabench.backends.select import engine_named
from codabench.testing.attacks import ATTACKS, State, Verdict, carry_out

pytestmark = pytest.mark.engine

LEFT_TO_THE_ENGINE = {
    ("docker", "C21-further-interfaces"): "io_uring",
    ("podman", "C21-further-interfaces"): "keyctl",
    ("podman", "C22-core-file"): "core",
}
"""What engines of this version leave open, and how that is said; a newer one may hold it."""

BARE = "no containers without its defences"
"""The sandbox has its own twins (test_c_sandbox)."""


@pytest.fixture(
    scope="module",
    params=[pytest.param("docker", marks=pytest.mark.once), "podman", pytest.param("sandbox", marks=pytest.mark.once)],
)
def verdicts(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, dict[str, Verdict]]]:
    """What became of the attacks that were selected, several at a time."""
    name = request.param
    if name == "sandbox":
        request.getfixturevalue("bwrap")
        engine: Any = SandboxEngine(host_network=True)
        image = engine.resolve("host")
    else:
        engine = engine_named(f"{name}:{request.getfixturevalue(f'{name}_url')}")
        image = engine.resolve(request.getfixturevalue("test_image"), pull="never")
    calls = [getattr(item, "callspec", None) for item in request.session.items if item.fspath == request.fspath]
    wanted = {c.params["attack"].id for c in calls if c and c.params.get("verdicts") == name and "attack" in c.params}
    chosen = [attack for attack in ATTACKS if attack.id in wanted]
    yield name, engine, {a.id: v for a, v in zip(chosen, carry_out(engine, image, chosen), strict=True)}
    engine.close()


@pytest.mark.parametrize(
    "attack",
    [pytest.param(a, id=a.id, marks=[pytest.mark.row(a.row), pytest.mark.twin(a.row)]) for a in ATTACKS],
)
def test_attack(attack: Any, verdicts: Any, record_property: Any) -> None:
    name, engine, found = verdicts
    verdict = found[attack.id]
    record_property("state", verdict.state.value)
    if verdict.state is State.HELD:
        return
    ordinary = engine.probe().rootless and name != "sandbox"
    if verdict.state is State.NOT_CLAIMED:
        declared = attack.rests_on in engine.facts.unenforced
        left = LEFT_TO_THE_ENGINE.get((name, attack.id))
        assert declared or (left is not None and left in verdict.reason), verdict
    elif verdict.state is State.UNPROVEN:
        # Whoever is nobody outside gains nothing without the rest: rootless Podman and the sandbox.
        assert BARE in verdict.reason or ordinary or (name, attack.row) == ("sandbox", "C18"), verdict
    else:
        pytest.fail(str(verdict))


def test_attacks_have_names_of_their_own() -> None:
    assert len({attack.id for attack in ATTACKS}) == len(ATTACKS)
