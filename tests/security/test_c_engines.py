"""C23, C29, C30: old engines, tags that are moved, libraries that are killed."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from codabench.backends.floors import outdated
from codabench.backends.owner import Owner
from codabench.backends.select import engine_named
from codabench.core.errors import EngineError
from codabench.testing.bench import Bench
from codabench.testing.bundles import write_bundle, write_files


# ---------------------------------------------------------------- C23
@pytest.mark.parametrize(
    ("runtime", "version"),
    [
        ("runc", "1.1.5"), ("runc", "1.1.5+ds1"), ("runc", "1.1.11"), ("runc", "1.0.3"), ("runc", "1.2.7"),
        ("runc", "1.3.2"), ("runc", "1.2.0-rc.1"), ("runc", "1.4.0-rc.2"), ("runc", "v1.1"),
    ],
)  # fmt: skip
def test_a_runtime_with_known_holes_is_named(runtime: str, version: str) -> None:
    said = outdated(runtime, version)
    assert said is not None
    assert version in said
    assert "CVE-" in said


@pytest.mark.parametrize(
    ("runtime", "version"),
    [
        ("runc", "1.2.8"), ("runc", "1.3.3"), ("runc", "1.4.0"), ("runc", "2.0.0"), ("crun", "1.8.1"),
        ("youki", "0.1.0"), ("runc", "unknown"), ("runc", ""),
    ],
)  # fmt: skip
def test_others_are_not(runtime: str, version: str) -> None:
    assert outdated(runtime, version) is None


# ---------------------------------------------------------------- with engines
@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = engine_named(f"{request.param}:{request.getfixturevalue(request.param + '_url')}")
    yield made
    made.close()


@pytest.mark.engine
@pytest.mark.row("C23")
@pytest.mark.twin("C23")
def test_the_runtime_of_an_engine_is_looked_at(engine: Any) -> None:
    """The twin: without what the engine says of its runtime, an old one is taken for a safe one."""
    name, version = engine.facts.runtime
    assert name in ("runc", "crun")
    assert version[0].isdigit()
    old = dataclasses.replace(engine.facts, runtime=("runc", "1.1.5"))
    for facts, told in ((old, 1), (dataclasses.replace(old, runtime=("", "")), 0)):
        engine._facts = facts
        assert len(engine.probe().warnings) == told


@pytest.mark.engine
@pytest.mark.row("C29")
@pytest.mark.twin("C29")
def test_a_tag_that_is_moved_moves_nothing(engine: Any, test_image: str, tmp_path: Path) -> None:
    client = engine.driver.client
    tiny = os.environ["CODABENCH_TEST_IMAGE_TINY"]
    first, second = (engine.resolve(name, pull="never") for name in (test_image, tiny))
    tag = f"localhost/codabench/moved-{os.getpid()}"
    try:
        client.tag(first.id, tag, "1")
        image = engine.resolve(f"{tag}:1", pull="never")
        client.tag(second.id, tag, "1", force=True)
        bench = Bench(engine, image, tmp_path)
        look = ("sh", "-c", "test -e /usr/bin/python3 && echo first || echo second")
        assert bench.run(*look).out == b"first\n"
        by_name = image.model_copy(update={"id": f"{tag}:1"})
        assert bench.run(*look, image=by_name).out == b"second\n", "the twin: a name means what it means now"
    finally:
        client.remove_image(f"{tag}:1", force=False)


@pytest.mark.engine
@pytest.mark.row("C30")
@pytest.mark.twin("C30")
def test_of_two_libraries_on_one_engine_one_is_killed(engine: Any, test_image: str, tmp_path: Path) -> None:
    """The survivor's containers live and its run ends well; those of the dead go when anybody runs again. The twin:
    until then they do not go by themselves."""
    program = """
        import json, os, time
        until = time.time() + (600 if os.path.exists("/app/input/res/for_ever") else 0)
        while time.time() < until or not os.path.exists("/app/input/res/quick") and time.time() < until + 6:
            time.sleep(0.1)
        json.dump({"score": 7}, open("/app/output/scores.json", "w"))
    """
    bundle = write_bundle(tmp_path / "bundle", image=test_image, scoring={"main.py": program})
    names = ("for_ever", "slow", "quick")
    paths = {name: write_files(tmp_path / name, {name: ""}) for name in names}

    def library(name: str) -> subprocess.Popen[str]:
        words = ["run", str(bundle), str(paths[name]), "--backend", f"{engine.name}:{engine.url}", "--json"]
        (tmp_path / f"tmp-{name}").mkdir()
        return subprocess.Popen(
            [sys.executable, "-m", "codabench", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TMPDIR": str(tmp_path / f"tmp-{name}")},
        )

    def of(process: subprocess.Popen[str]) -> list[str]:
        owners = ((c.id, Owner.of_label(c.owner)) for c in engine.driver.containers())
        return [id for id, owner in owners if owner is not None and owner.pid == process.pid]

    def runs(process: subprocess.Popen[str]) -> bool:
        for container in of(process):
            with contextlib.suppress(EngineError):  # it was listed, and is gone now
                if engine.driver.state(container).running:
                    return True
        return False

    doomed, survivor = library("for_ever"), library("slow")
    until = time.monotonic() + 60
    while not (runs(doomed) and runs(survivor)):
        assert time.monotonic() < until, "both were to run"
        time.sleep(0.05)
    doomed.kill()
    doomed.wait()
    assert runs(doomed), "nobody holds its time limit any more"
    quick = library("quick")
    assert json.loads(quick.communicate(timeout=60)[0])["ok"]
    assert not of(doomed)
    said = json.loads(survivor.communicate(timeout=60)[0])
    assert survivor.returncode == 0, said
    assert not of(survivor)
