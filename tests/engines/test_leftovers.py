"""What is left of a run whose machine failed, or whose process was killed: nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.owner import Owner
from codabench.backends.select import engine_named
from codabench.core.errors import EngineError, StorageError
from codabench.testing.bundles import write_bundle, write_files

pytestmark = pytest.mark.engine


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = engine_named(f"{request.param}:{request.getfixturevalue(request.param + '_url')}")
    yield made
    made.close()


def test_a_storage_that_fails_leaves_no_container(engine: Any, tmp_path: Path, test_image: str) -> None:
    """The submission's archive is gone when it is to be copied for the scorer, whose container is being made."""
    program = "open('/app/output/scores.txt', 'w').write('score: 1')"
    competition = cb.load(write_bundle(tmp_path / "bundle", image=test_image, scoring={"main.py": program}))
    honest = competition.run(write_files(tmp_path / "one", {"x": "1"}), backend=engine, progress="none")
    assert honest.run.exit_code("scoring") == 0
    storage = competition.workspace.storage
    put_tree = storage.put_tree

    def lost(source: Any) -> Any:
        ref = put_tree(source)
        shutil.rmtree(Path(storage.url) / "blobs" / ref.archive[:2])
        return ref

    storage.put_tree = lost  # type: ignore[method-assign]
    with pytest.raises(StorageError, match="cannot be read"):
        competition.run(write_files(tmp_path / "two", {"y": "2"}), backend=engine, progress="none")
    mine, until = engine._labels.values(), time.monotonic() + 20

    def left() -> list[str]:
        return [c.id for c in engine.driver.containers() if c.owner in mine]

    while left() and time.monotonic() < until:  # a notebook keeps its engine for days
        time.sleep(0.1)
    assert not left()
    competition.close()


@pytest.mark.row("C30")
@pytest.mark.twin("C30")
def test_the_next_run_removes_what_a_killed_process_left(engine: Any, tmp_path: Path, test_image: str) -> None:
    """Nobody holds the time limit of its containers any more: they would run for ever."""
    program = """
        import json, os, time
        if os.path.exists("/app/input/res/sleep"): time.sleep(600)
        json.dump({"score": 1}, open("/app/output/scores.json", "w"))
        """
    folder = write_bundle(tmp_path / "bundle", image=test_image, scoring={"main.py": program})
    sleeper, quick = write_files(tmp_path / "one", {"sleep": ""}), write_files(tmp_path / "two", {"x": ""})
    name = f"{engine.name}:{engine.url}"
    command = [sys.executable, "-m", "codabench", "run", str(folder), str(sleeper), "--backend", name]
    killed = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": str(tmp_path)}
    )

    def left() -> list[str]:
        owners = ((c.id, Owner.of_label(c.owner)) for c in engine.driver.containers())
        return [id for id, owner in owners if owner is not None and owner.pid == killed.pid]

    def runs(id: str) -> bool:
        with contextlib.suppress(EngineError):  # it was listed, and is gone now
            return bool(engine.driver.state(id).running)
        return False

    until = time.monotonic() + 60
    while not any(map(runs, left())) and time.monotonic() < until:
        time.sleep(0.05)
    killed.kill()
    killed.wait()
    assert left(), "it was to leave a container"
    with contextlib.closing(cb.load(folder)) as competition:
        assert competition.run(quick, backend=engine, progress="none").status == "Finished"
    assert not left()
