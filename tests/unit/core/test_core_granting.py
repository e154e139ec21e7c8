"""What a worker grants: the meet of two policies is a lattice, and never looser than either."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.core.granting import covers, holds, meet, tightened
from codabench.core.policy import UNBOUNDED, Limits, Network, Policy, User, policy_named

NAMES = st.sampled_from(["a.org", ".a.org", "b.a.org", ".b.a.org", "c.net", "."])
REGISTRIES = st.sampled_from(["a.org", "a.org/lab", "a.org/lab/x", "a.org/laboratory", "b.net"])
NUMBERS = st.none() | st.integers(1, 5)


def policies(gpus: st.SearchStrategy[str | None]) -> st.SearchStrategy[Policy]:
    data = st.none() | st.lists(st.sampled_from("xyz"), unique=True).map(lambda names: tuple(sorted(names)))
    return st.builds(
        Policy,
        name=st.sampled_from(["strict", "standard", "trusted"]),
        network=st.sampled_from(Network),
        user=st.sampled_from(User),
        writable_program=st.booleans(),
        writable_inputs=st.booleans(),
        read_only_root=st.booleans(),
        no_new_privileges=st.booleans(),
        gpus=gpus,
        hosts=st.none() | st.lists(NAMES, unique=True).map(lambda names: tuple(sorted(names))),
        local_data=data,
        registries=st.none() | st.lists(REGISTRIES, unique=True).map(lambda names: tuple(sorted(names))),
        limits=st.builds(Limits, memory=NUMBERS, cpus=NUMBERS, pids=NUMBERS, tmp=NUMBERS),
        log_keep=st.integers(1, 9),
    )


BY_NUMBER = policies(st.sampled_from([None, "1", "2", "all"]))
BY_NAME = policies(st.sampled_from([None, "v/g=0", "v/g=0,v/g=1", "v/g=1", "all"]))
ANY = BY_NUMBER | BY_NAME


@given(ANY)
def test_a_policy_meets_itself(one: Policy) -> None:
    assert meet(one, one) == one


@given(ANY, ANY)
def test_the_order_of_two_does_not_matter(one: Policy, other: Policy) -> None:
    assert meet(one, other) == meet(other, one)


@pytest.mark.parametrize("policies", [BY_NUMBER, BY_NAME], ids=["devices by number", "devices by name"])
def test_the_order_of_three_does_not_matter(policies: st.SearchStrategy[Policy]) -> None:
    @given(policies, policies, policies)
    def check(a: Policy, b: Policy, c: Policy) -> None:
        assert meet(meet(a, b), c) == meet(a, meet(b, c))

    check()


@given(ANY)
def test_a_worker_that_forbids_nothing_changes_nothing(asked: Policy) -> None:
    assert meet(asked, UNBOUNDED) == asked
    assert tightened(asked, meet(asked, UNBOUNDED)) == []


@given(ANY, ANY)
def test_nothing_is_looser_than_the_ceiling(asked: Policy, ceiling: Policy) -> None:
    got = meet(asked, ceiling)
    networks, users = list(Network), list(User)
    assert networks.index(got.network) <= networks.index(ceiling.network)
    assert users.index(got.user) <= users.index(ceiling.user)
    assert got.read_only_root >= ceiling.read_only_root
    assert got.no_new_privileges >= ceiling.no_new_privileges
    assert got.writable_inputs <= ceiling.writable_inputs
    for field in Limits.model_fields:
        most = getattr(ceiling.limits, field)
        assert most is None or 0 < getattr(got.limits, field) <= most
    if ceiling.registries is not None:
        assert all(any(holds(most, given) for most in ceiling.registries) for given in got.registries or ())
        assert got.registries is not None
    if ceiling.local_data is not None:
        assert set(got.local_data or ()) <= set(ceiling.local_data)
    if ceiling.hosts is not None:
        assert got.hosts is not None
        assert all(any(covers(rule, host) for rule in ceiling.hosts) for host in got.hosts)


@given(ANY)
def test_the_ceiling_can_be_met_again(ceiling: Policy) -> None:
    got = meet(policy_named("trusted"), ceiling)
    assert meet(got, ceiling) == got


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("all", "all", "all"),
        ("all", "2", "2"),
        ("3", "2", "2"),
        (None, "all", None),
        ("v/g=0,v/g=1", "v/g=1,v/g=2", "v/g=1"),
        ("v/g=0", "v/g=1", None),
        ("1", "v/g=0,v/g=1", "v/g=0"),
        ("10", "9", "9"),
    ],
)
def test_devices(one: str | None, other: str | None, both: str | None) -> None:
    assert meet(Policy(gpus=one), Policy(gpus=other)).gpus == both


@pytest.mark.parametrize(
    ("rule", "host", "covered"),
    [
        ("pypi.org", "pypi.org", True),
        ("pypi.org", "PyPI.org.", True),
        ("pypi.org", "evil-pypi.org", False),
        ("pypi.org", "www.pypi.org", False),
        (".pypi.org", "www.pypi.org", True),
        (".pypi.org", "pypi.org", True),
        (".pypi.org", "evilpypi.org", False),
        (".pypi.org", "pypi.org.evil.net", False),
        ("pypi.org", "pypi.org.evil.net", False),
    ],
)
def test_names_of_hosts(rule: str, host: str, covered: bool) -> None:
    assert covers(rule, host) is covered


@pytest.mark.parametrize(
    ("asked", "ceiling", "said"),
    [
        ({"network": Network.OPEN}, Policy(), ["network open, granted none"]),
        ({"gpus": "2"}, Policy(gpus="1"), ["gpus 2, granted 1"]),
        ({"limits": Limits(memory=9)}, Policy(limits=Limits(memory=5)), ["memory 9, granted 5"]),
        ({}, Policy(limits=Limits(memory=5, pids=3)), []),
        ({"writable_inputs": True}, Policy(), ["writable inputs, not granted"]),
        ({"read_only_root": False}, Policy(), ["no read only root, granted with it"]),
        ({"local_data": ("a", "b")}, Policy(local_data=("b",)), ["local data a, b, granted b"]),
        ({}, Policy(), []),
    ],
)
def test_what_was_not_granted_is_said(asked: dict[str, Any], ceiling: Policy, said: list[str]) -> None:
    wanted = Policy(**asked)
    assert tightened(wanted, meet(wanted, ceiling)) == said
