"""The client of a cluster, a process that is killed: ``submit`` queues runs, ``dispatch`` has them carried out.

    _client.py STORAGE DATABASE BUNDLE ACKS submit COUNT
    _client.py STORAGE DATABASE BUNDLE ACKS dispatch BACKEND

What the library has acknowledged to it is written down in ACKS.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import codabench as cb
from codabench.core.records import Status

PARTICIPANTS = 5


def acknowledge(acks: Path, what: str, id: str, **more: Any) -> None:
    """Write down, for good, that we were told of something."""
    with open(acks, "ab", buffering=0) as file:
        file.write(json.dumps({"what": what, "id": id, **more}).encode() + b"\n")


def submit(ws: cb.Workspace, bundle: Path, acks: Path, count: int) -> None:
    """Queue so many runs."""
    known = list(ws.competitions())
    with ws.competition(known[0]) if known else cb.load(bundle) as comp:
        comp = comp if known else ws.add(comp)
        for number in range(count):
            made = ws.submit(comp, {"answer.txt": "1"}, participant=f"p{number % PARTICIPANTS}", enforce=False)
            acknowledge(acks, "submission", made.id)


def dispatch(ws: cb.Workspace, acks: Path) -> None:
    """Carry out what is queued, until we are killed."""

    def told(event: dict[str, Any]) -> None:
        if event["type"] == "status" and event["status"] is Status.FINISHED:
            outcome = ws.db.run(event["run"]).outcome
            acknowledge(acks, "score", event["run"], scores=dict(outcome.scores) if outcome else {})

    ws.observe(told)
    print("it dispatches", file=sys.stderr, flush=True)
    ws.dispatch()


def main() -> None:
    storage, db, bundle, acks, verb, word = sys.argv[1:]
    options: dict[str, Any] = {"dispatch": False} if verb == "submit" else {"backend": word}
    with cb.Workspace(storage, db=db, **options) as ws:
        if verb == "submit":
            submit(ws, Path(bundle), Path(acks), int(word))
        else:
            dispatch(ws, Path(acks))


if __name__ == "__main__":
    os.umask(0o022)
    main()
