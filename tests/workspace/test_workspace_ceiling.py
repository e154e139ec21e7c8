"""What a worker grants, and the directories it offers. Real processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import answer, bundle

import codabench as cb
from codabench.backends.local import LocalBackend
from codabench.backends.local_data import LocalData
from codabench.backends.process import ProcessEngine
from codabench.core.errors import PolicyError, UsageError
from codabench.core.policy import Limits, Network


@pytest.fixture
def comp(tmp_path: Path) -> Iterator[cb.Competition]:
    with cb.load(bundle(tmp_path / "bundle")) as made:
        yield made


def run(comp: cb.Competition, tmp_path: Path, **options: Any) -> cb.RunHandle:
    return comp.run(answer(tmp_path / "mine"), **{"progress": "none", **options}).run


def test_the_policy_that_held_is_kept_with_the_run_and_the_rest_is_said(comp: cb.Competition, tmp_path: Path) -> None:
    ceiling = cb.Policy(limits=Limits(tmp=2**30), user="image", read_only_root=False)  # type: ignore[arg-type]
    with LocalBackend(ProcessEngine(), ceiling=ceiling) as backend:
        made = run(comp, tmp_path, backend=backend, network="open", policy="trusted")
    assert made.status is cb.Status.FINISHED
    assert made.policy is not None
    assert (made.policy.name, made.policy.network, made.policy.limits.tmp) == ("standard", Network.NONE, 2**30)
    said = [w.message for w in made.warnings if w.code == "CB662"]
    assert any("network open, granted none" in message for message in said)
    assert any("name trusted, granted standard" in message for message in said)


def test_a_worker_that_forbids_nothing_says_nothing(comp: cb.Competition, tmp_path: Path) -> None:
    made = run(comp, tmp_path, backend="process", policy="trusted", network="open")
    assert made.policy is not None
    assert made.policy.network is Network.OPEN
    assert [w for w in made.warnings if w.code == "CB662"] == []


def test_a_workspace_hands_its_ceiling_to_its_workers(comp: cb.Competition, tmp_path: Path) -> None:
    with cb.Workspace(backend="process", ceiling=cb.Policy()) as ws:
        made = run(ws.add(comp), tmp_path, network="open")
        assert made.policy is not None
        assert made.policy.network is Network.NONE
        plan = comp.plan(answer(tmp_path / "mine"), network="open")[0]
        assert plan["network"] == "none"


def test_local_data_that_is_not_there_is_refused_before_anything_starts(comp: cb.Competition, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="does not offer the local data imagenet; it has none") as caught:
        run(comp, tmp_path, backend="process", local_data=["imagenet"])
    assert caught.value.code == "CB663"


def test_a_ceiling_without_it_grants_no_local_data(comp: cb.Competition, tmp_path: Path) -> None:
    offered = {"a": tmp_path}
    with LocalBackend(ProcessEngine(), ceiling=cb.Policy(), local_data=offered) as backend, pytest.raises(PolicyError):
        run(comp, tmp_path, backend=backend, local_data=["a"])


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "/a", "a\n", "-x", "a" * 101, "ä"])
def test_names_that_would_lie_elsewhere(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be called"):
        LocalData({name: tmp_path})


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        LocalData({"a": tmp_path / "missing"})


def test_a_plan_shows_local_data(comp: cb.Competition, tmp_path: Path) -> None:
    plan = comp.plan(answer(tmp_path / "mine"), local_data={"maps": tmp_path})[0]
    mounts = [m for step in plan["steps"] for p in step["programs"] for m in p["mounts"]]
    assert {"target": "/app/data/maps", "from": "local data maps", "writable": False} in mounts
