"""A Podman service that does not see our files, as one on another machine: trees go in and out through volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.podman import PodmanEngine
from codabench.backends.visibility import Visibility
from codabench.testing.bundles import write_bundle, write_files

pytestmark = [pytest.mark.engine, pytest.mark.podman, pytest.mark.once]

INGEST = """
    import os, runpy, shutil
    open("/app/program/note", "w").close()
    assert open("/app/input_data/x").read() == "7"
    shutil.copy("/app/ingested_program/model.py", "/app/output/answer.py")
    os.mkdir("/app/output/deep")
    """
SCORE = """
    import json, os, runpy
    answer = runpy.run_path("/app/input/res/answer.py")["answer"]
    found = {"score": answer * float(open("/app/input/ref/y").read()), "deep": os.path.isdir("/app/input/res/deep")}
    json.dump(found, open("/app/output/scores.json", "w"))
    """


class BlindPodman(PodmanEngine):
    """Believes of no directory that the service sees it."""

    @property
    def visibility(self) -> Visibility:
        with self._lock:
            if self._visibility is None:
                self._visibility = Visibility(self.driver, self._labels, blind=True)
            return self._visibility


def test_both_steps_through_volumes(podman_url: str, test_image: str, tmp_path: Path) -> None:
    folder = write_bundle(
        tmp_path / "bundle",
        image=test_image,
        ingestion={"main.py": INGEST},
        scoring={"main.py": SCORE},
        input_data={"x": "7"},
        reference_data={"y": "2.5"},
        columns=("score", "deep"),
    )
    engine: Any = BlindPodman(podman_url)
    competition = cb.load(folder)
    found = competition.run(write_files(tmp_path / "mine", {"model.py": "answer = 4\n"}), backend=engine)
    assert not engine.probe(engine.resolve(test_image)).sees_files
    assert (found.run.problem, found.scores) == (None, {"score": 10, "deep": 1})
    assert not found.run.exit_code("prediction", "ingestion")
    competition.close()
    engine.close()
    mine = engine._labels.values()
    assert not [v for v in engine.driver.volumes() if v.owner in mine]
    engine.close()
