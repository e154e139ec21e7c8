"""A process that is killed leaves a container behind: whoever takes its run over removes it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import codabench as cb
from codabench.backends.owner import Owner
from codabench.backends.select import engine_named
from codabench.testing.bundles import write_bundle, write_files

pytestmark = [pytest.mark.engine, pytest.mark.once]

SCORER = """
    import json, time
    time.sleep(float(open("/app/input/res/seconds.txt").read()))
    json.dump({"score": 1}, open("/app/output/scores.json", "w"))
"""
DRIVER = """
import sys
import codabench as cb
with cb.Workspace(sys.argv[1], backend=sys.argv[2], jobs=1, lease=3600) as ws:
    print("ready", flush=True)
    ws.dispatch()
"""


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.1)


@contextmanager
def driver(place: Path, backend: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", DRIVER, str(place), backend]
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.send_signal(signal.SIGINT)


@pytest.mark.parametrize("kind", ["docker", "podman"])
def test_containers_of_the_dead_go_with_the_takeover(
    kind: str, tmp_path: Path, test_image: str, request: pytest.FixtureRequest
) -> None:
    backend = f"{kind}:{request.getfixturevalue(kind + '_url')}"
    engine = engine_named(backend)

    def containers(process: subprocess.Popen[str]) -> list[str]:
        owners = ((c.id, Owner.of_label(c.owner or "")) for c in engine.driver.containers())
        return [id for id, owner in owners if owner is not None and owner.pid == process.pid]

    bundle = write_bundle(tmp_path / "bundle", image=test_image, scoring={"main.py": SCORER}, time_limit=600)
    with cb.Workspace(tmp_path / "lab", backend=backend, dispatch=False) as ws:
        comp = ws.add(cb.load(bundle))

        def submit(seconds: float) -> cb.SubmissionHandle:
            return ws.submit(comp, write_files(tmp_path / f"s{seconds}", {"seconds.txt": str(seconds)}))

        with driver(tmp_path / "lab", backend) as other:
            # It has looked for leftovers already when the first process dies.
            assert submit(0).wait(60).raise_for_status()
            other.send_signal(signal.SIGSTOP)
            long = submit(500)
            with driver(tmp_path / "lab", backend) as first:
                until(lambda: long.status is cb.Status.SCORING and containers(first))
                first.kill()
                first.wait()
            assert containers(first)
            other.send_signal(signal.SIGCONT)
            until(lambda: not containers(first))
            until(lambda: containers(other))
            long.cancel()
            until(lambda: not containers(other))
    engine.close()  # type: ignore[no-untyped-call]
