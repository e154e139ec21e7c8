"""A re-evaluation with real containers: what the engine itself says it created."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

import codabench as cb
from codabench.testing.bundles import write_bundle

SCORER = """\
import json, pathlib
answer = json.loads(pathlib.Path("/app/input/res/answer.json").read_text())
pathlib.Path("/app/output/scores.json").write_text(json.dumps({"score": %s}))
"""
INGEST = """\
import json, pathlib
pathlib.Path("/app/output/answer.json").write_text(json.dumps({"value": 3}))
"""


@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.once
def test_after_a_scoring_fix_the_engine_sees_scoring_containers_only(
    tmp_path: Path, docker_url: str, test_image: str
) -> None:
    import docker

    engine = cb.DockerEngine(docker_url)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "metadata").write_text("description: mine\n")
    bundle = write_bundle(
        tmp_path / "bundle",
        scoring={"main.py": SCORER % 'answer["value"] - 1'},
        ingestion={"main.py": INGEST},
        image=test_image,
    )
    with cb.load(bundle) as loaded, cb.Workspace(tmp_path / "lab", backend=engine) as ws:
        comp = ws.add(loaded)
        for n in range(3):
            comp.run(tmp_path / "mine", participant=f"p{n}", progress="none").raise_for_status()
        (tmp_path / "v2").mkdir()
        (tmp_path / "v2" / "metadata.yaml").write_text("command: python3 main.py\n")
        (tmp_path / "v2" / "main.py").write_text(SCORER % 'answer["value"]')

        # While it goes on: the engine remembers the last few hundred events only.
        mine = {"event": "create", "label": f"codabench.workspace={ws.storage.url}"}
        stream = docker.DockerClient(base_url=docker_url).events(decode=True, filters=mine)
        steps: list[str] = []
        seen = threading.Event()

        def listen() -> None:
            for event in stream:
                steps.append(event["Actor"]["Attributes"]["codabench.step"])
                if len(steps) == 3:
                    seen.set()

        threading.Thread(target=listen, daemon=True).start()
        assert ws.reevaluate(comp).counts["current"] == 3
        comp.revise(0, scoring_program=tmp_path / "v2", note="off by one")
        batch = ws.reevaluate(comp).execute(progress="none")
        assert [run.scores["score"] for run in batch.runs] == [3, 3, 3]
        assert seen.wait(30)
        stream.close()
        assert steps == ["scoring"] * 3
