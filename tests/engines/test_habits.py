"""What programs of published competitions do as a matter of course, and what must not come of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.select import engine_named
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


@pytest.fixture(scope="module", params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = engine_named(f"{request.param}:{request.getfixturevalue(request.param + '_url')}")
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
