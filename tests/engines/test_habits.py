"""What programs of published competitions do as a matter of course, and what must not come of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.testing.bundles import write_bundle, write_files

pytestmark = pytest.mark.engine

WORK_ON_A_COPY = """
    import os, shutil
    shutil.copytree("/app/input_data", "copy")
    open("copy/train/more.csv", "w").write("3")
    open("copy/train/rows.csv", "a").write("2")
    shutil.copy("/app/input_data/train/rows.csv", "/app/output/rows.csv")
    shutil.copy("copy/train/rows.csv", "/app/output/rows.csv")
    shutil.rmtree("copy")
    try:
        open("/app/input_data/train/rows.csv", "a").write("changed")
    except OSError:
        open("/app/output/refused", "w").close()
"""
SCORER = """
    import json, os
    rows = open("/app/input/res/rows.csv").read()
    found = {"score": float(rows), "refused": os.path.exists("/app/input/res/refused")}
    json.dump(found, open("/app/output/scores.json", "w"))
"""


@pytest.fixture(scope="module", params=["docker", "podman", "sandbox"])
def engine(request: pytest.FixtureRequest, make_engine_called: Callable[[str], Any]) -> Iterator[Any]:
    made = make_engine_called(request.param)
    yield made
    made.close()


def test_a_copy_of_the_input_data_can_be_changed_and_the_data_cannot(engine: Any, tmp_path: Path) -> None:
    bundle = write_bundle(
        tmp_path / "bundle",
        scoring={"main.py": SCORER},
        ingestion={"main.py": WORK_ON_A_COPY},
        input_data={"train/rows.csv": "1"},
        columns=("score", "refused"),
    )
    submission = write_files(tmp_path / "submission", {"model.py": "x = 1\n"})
    run = cb.load(bundle).run(submission, backend=engine, progress="none").run
    assert run.scores == {"score": 12.0, "refused": 1.0}, run.logs


READ_LOCAL_DATA = """
    import json, os
    there = sorted(os.listdir("/app/data"))
    try:
        open("/app/data/maps/new", "w")
        written = 1
    except OSError:
        written = 0
    value = float(open("/app/data/maps/value").read())
    json.dump({"score": value, "refused": 1 - written, "seen": len(there)}, open("/app/output/scores.json", "w"))
"""


def test_local_data_is_below_app_data_and_cannot_be_written(engine: Any, tmp_path: Path) -> None:
    maps = write_files(tmp_path / "maps", {"value": "7"})
    maps.chmod(0o777)
    secret = write_files(tmp_path / "secret", {"value": "8"})
    columns = ("score", "refused", "seen")
    bundle = write_bundle(tmp_path / "bundle", scoring={"main.py": READ_LOCAL_DATA}, columns=columns)
    submission = write_files(tmp_path / "submission", {"answer": "x"})
    with cb.Workspace(local_data={"maps": maps, "secret": secret}) as ws:
        comp = ws.add(cb.load(bundle))
        run = comp.run(submission, backend=engine, local_data=["maps"], progress="none").run
        assert run.scores == {"score": 7.0, "refused": 1.0, "seen": 1.0}, run.logs
        assert run.provenance["policy"]["local_data"] == ["maps"]
    assert sorted(p.name for p in maps.iterdir()) == ["value"]
