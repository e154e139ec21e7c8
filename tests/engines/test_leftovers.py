"""A machine that fails between the making of containers and their start leaves none of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.owner import myself
from codabench.backends.select import engine_named
from codabench.core.errors import StorageError
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
    competition.close()
    assert not [c for c in engine.driver.containers() if c.owner == myself().label()]
