"""A cluster of machines that share nothing, processes of it that are killed, machines that are cut off."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _oracle
from _engines import url_of
from _lab import Lab
from _verdict import LATEST, Stage
from apart import Apart

from codabench.db.database import Database
from codabench.testing.bundles import write_bundle

IMAGE = "codabench/test-tiny:1"
CLIENT = Path(__file__).parent / "_client.py"
SLOTS = 2
SCORES = """
    # A number that no other execution writes.
    sleep 0.2
    set -- "$1" $(od -An -N6 -tu2 /dev/urandom)
    echo "{\\"score\\": $((($2 * 65536 + $3) * 65536 + $4))}" > "$1/scores.json"
"""
Disturb = Callable[["Storm", int], int | None]
"""Disturbs a stage of so many runs; returns how many were in the hands of a client that it killed, if it killed one."""


class Storm:
    """What is disturbed, and what is found.

    Attributes
    ----------
    killed
        Kills, by who was killed.
    """

    def __init__(self, here: Apart, lab: Lab, containers: Path, draw: random.Random) -> None:
        self.here, self.lab, self.draw, self._containers = here, lab, draw, containers
        self.rows = Database(lab.db)
        self.killed: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.failed: list[str] = []
        self.stages: dict[str, dict[str, Any]] = {}
        self._known: set[str] = set()
        bundle = here.client.home / "bundle"
        scoring = {"score.sh": SCORES, "metadata": "command: sh $program/score.sh $output\n"}
        write_bundle(bundle, scoring=scoring, image=IMAGE, results_only=True)
        lab.acks, lab.storage = here.client.home / "acks.jsonl", here.storage
        self._client = [here.storage, here.database(lab.db), str(bundle), str(lab.acks)]
        for role in ("scheduler", *here.workers):
            self.start(role)
            here.running[role].says("scheduler at|worker .* at")
        self.start("client")

    # ------------------------------------------------------------------ processes
    def start(self, role: str) -> None:
        """Start the process of a role."""
        if role == "scheduler":
            self.here.start_scheduler()
        elif role == "client":
            words, python = [str(CLIENT), *self._client, "dispatch", self.here.url], [sys.executable]
            self.here.running["client"] = self.here.client.serve(*words, program=python, **self.here.store)
        else:
            self.here.start_worker(role, "--engine", f"docker:{url_of('docker')}", "--slots", str(SLOTS))

    def kill(self, role: str) -> None:
        """Kill the process of a role, unless it has ended by itself, which it must not."""
        served = self.here.running[role]
        if served.process.poll() is not None:
            self.found(role, [("lost", f"it ended by itself: {served.lines[-20:]}")])
        served.kill()
        self.killed[role] += 1

    def submit(self, count: int) -> None:
        """Have the client's machine queue so many runs."""
        words = [str(CLIENT), *self._client, "submit", str(count)]
        done = self.here.client.run(*words, program=[sys.executable], **self.here.store)
        if done.returncode:
            raise RuntimeError(f"runs could not be queued: {done.stderr[-2000:]}")

    def joined(self, worker: str) -> bool:
        """Whether a worker says that it belongs to the cluster."""
        lines = [line for line in self.here.running[worker].lines if "scheduler" in line or line.startswith("worker ")]
        return bool(lines) and lines[-1].startswith("worker ")

    # ------------------------------------------------------------------ runs
    def left(self) -> int:
        """How many runs are not over."""
        return sum(self.rows.counts())

    def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Whether it came true in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.1)
        return True

    def stage(self, name: str, count: int, disturb: Disturb) -> None:
        """Runs that are queued, disturbed, and then left alone until they are over."""
        began = time.monotonic()
        before = len(self._started())
        self.submit(count)
        in_flight = disturb(self, count)
        ended = datetime.now(UTC)
        self.wait_for(lambda: self.left() == 0, LATEST.total_seconds() + 2.0 * count)
        for role in self.here.workers:
            if not self.wait_for(lambda: self.joined(role), LATEST.total_seconds()):  # noqa: B023 - called at once
                self.found(name, [("late", f"{role} is not back: {self.here.running[role].lines[-5:]}")])
        runs = {run.id: run for comp, _ in self.rows.competitions() for run in self.rows.runs(comp, shown=False)}
        runs = {id: run for id, run in runs.items() if id not in self._known}
        self._known |= set(runs)
        attempts = [each for id in runs for each in self.rows.attempts(id)]
        stage = Stage(runs, attempts, self._started()[before:], ended, in_flight)
        self.found(name, list(stage.findings()))
        figures = {"runs": len(runs), "containers": len(stage.started), "attempts": len(attempts)}
        figures |= {"in_flight": in_flight} if in_flight is not None else {}
        self.stages[name] = figures | {"last_after_s": round(stage.slowest(), 1)}
        self.stages[name] |= {"seconds": round(time.monotonic() - began, 1)}
        if len(runs) != count:
            self.found(name, [("lost", f"{count} runs were queued, and there are {len(runs)}")])

    def _started(self) -> list[str]:
        time.sleep(0.5)  # the engine tells of it a little later
        return self._containers.read_text().split()

    # ------------------------------------------------------------------ the end
    def found(self, where: str, findings: list[tuple[str, str]]) -> None:
        """What is not as it must be."""
        for kind, text in findings:
            self.kinds[kind] += 1
            self.failed.append(f"{where}: {kind}: {text}")

    def over(self) -> None:
        """End all processes, and look at everything that is left."""
        self.here.running.pop("client").kill()
        for role in (*self.here.workers, "scheduler"):
            if (code := self.here.running[role].end()) != 0:
                self.found(role, [("lost", f"it ended with {code}: {self.here.running[role].lines[-20:]}")])
        self.rows.close()
        self.lab.pids |= self.here.pids
        self.found("at the end", _oracle.findings(self.lab))

    def figures(self) -> dict[str, Any]:
        """What a soak returns."""
        kinds = {kind: self.kinds[kind] for kind in (*_oracle.KINDS, "late")}
        containers = sum(each["containers"] for each in self.stages.values())
        killed = {"killed": dict(sorted(self.killed.items())), "stages": self.stages}
        return {"tried": len(self._known), **kinds, "containers": containers, **killed, "failed": self.failed[:50]}


@contextmanager
def containers_counted(storage: str, file: Path) -> Iterator[Path]:
    """The attempts for which the engine says that it starts a container, in a file, one on each line."""
    command = ["docker", "--host", url_of("docker"), "events", "--since", str(int(time.time())), "--filter"]
    command += ["event=start", "--filter", f"label=codabench.workspace={storage}", "--format"]
    with file.open("wb") as out:
        told = subprocess.Popen([*command, '{{index .Actor.Attributes "codabench.attempt"}}'], stdout=out)
    try:
        yield file
    finally:
        told.kill()
        told.wait()


def as_the_client(here: Apart) -> None:
    """Let this process reach the object store, too."""
    os.environ.update({**here.store, "AWS_ENDPOINT_URL": os.environ["CODABENCH_TEST_S3"]})
