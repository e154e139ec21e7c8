"""What must be true of a workspace after its processes were killed and others have gone on: nothing is taken on trust.

All rows are read as they are, every stored byte is hashed, the engine is asked by its own command line, and callers'
acknowledgements lie outside. Each finding is of one kind: ``lost``, ``double``, ``illegal`` or ``left``.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from _engines import containers_by_label
from _lab import Lab

import codabench as cb
from codabench.backends.engine import LABEL
from codabench.backends.owner import Owner
from codabench.backends.process import OWNER
from codabench.core.errors import StorageError
from codabench.core.events import EventKind, next_status
from codabench.core.records import Status
from codabench.core.trees import BlobRef, TreeRef, tree_digest
from codabench.db.database import Database
from codabench.db.dump import dump
from codabench.storage.store import Storage
from codabench.workspace.backup import Needed

Row = dict[str, Any]
Finding = tuple[str, str]
PATIENCE = 3.0
KINDS = ("lost", "double", "illegal", "left")
FINAL = {status.value for status in Status if status.is_final}


def findings(lab: Lab) -> list[Finding]:
    """Everything that is not as it must be: (kind, sentence)."""
    with closing(Database(lab.db)) as database, closing(Storage(lab.storage)) as storage:
        rows: dict[str, list[Row]] = defaultdict(list)
        needed, named = Needed(), set[BlobRef | TreeRef]()
        for table, row in dump(database):
            rows[table].append(row)
            named.update(needed.of(table, row))
        found = [("illegal", text) for text in database.check()]
        seen = Seen(lab, rows, storage)
        for check in (promises, histories, scores, boards, limits, batches, leases):
            found += check(seen)
        found += stored(storage, named)
    return [*found, *backups(lab), *left(lab)]


class Seen:
    """The rows by what they are asked for."""

    def __init__(self, lab: Lab, rows: dict[str, list[Row]], storage: Storage) -> None:
        self.lab, self.rows, self.storage = lab, rows, storage
        self.submissions = {row["id"]: row for row in rows["submission"]}
        self.runs = {row["id"]: row for row in rows["run"]}
        self.attempts = {row["id"]: row for row in rows["attempt"]}
        self.runs_of: dict[str, list[Row]] = defaultdict(list)
        for row in rows["run"]:
            self.runs_of[row["submission"]].append(row)
        self.scores = {row["id"]: json.loads(row["scores"]) for row in rows["run"] if row["scores"]}


# ---------------------------------------------------------------------- what callers were told
def promises(seen: Seen) -> Iterator[Finding]:
    """What was acknowledged is there, is over, and is what was said."""
    for told in seen.lab.acknowledged("submission"):
        if told["id"] not in seen.submissions:
            yield "lost", f"submission {told['id']} was acknowledged and is not there"
        elif not seen.runs_of[told["id"]]:
            yield "lost", f"submission {told['id']} has no run"
    for told in seen.lab.acknowledged("score"):
        has = seen.scores.get(told["id"])
        if has != told["scores"]:
            yield "lost", f"run {told['id']} was said to have {told['scores']} and has {has}"
    for told in seen.lab.acknowledged("deleted"):
        if not seen.submissions.get(told["id"], {}).get("deleted_at"):
            yield "lost", f"submission {told['id']} was deleted and is back"
    kept = {row["id"]: row["state"] for row in seen.rows["batch"]}
    for told in seen.lab.acknowledged("batch"):
        if told["id"] not in kept:
            yield "lost", f"batch {told['id']} was acknowledged and is not there"
        elif told["promoted"] and kept[told["id"]] != "promoted":
            yield "lost", f"batch {told['id']} was promoted and is {kept[told['id']]}"
    for told in seen.lab.acknowledged("migrated"):
        if told["id"] not in [str(row["phase"]) for row in seen.rows["migrated_phase"]]:
            yield "lost", f"phase {told['id']} was migrated to, and no row says so"


# ---------------------------------------------------------------------- rows
def histories(seen: Seen) -> Iterator[Finding]:
    """Every run is over, and its row agrees with its history and with itself."""
    events: dict[str, list[Row]] = defaultdict(list)
    for row in seen.rows["status_event"]:
        events[row["run"]].append(row)
    for id, run in seen.runs.items():
        status: Status | None = None
        current = None
        for event in sorted(events[id], key=lambda row: row["sequence"]):
            kind = EventKind(event["kind"])
            status = next_status(status, kind)
            if kind in (EventKind.ATTEMPT_STARTED, EventKind.ATTEMPT_LOST):
                current = event["attempt"]
            elif event["attempt"] not in (None, current):
                yield "double", f"run {id} took {kind} from attempt {event['attempt']}, which did not count any more"
        if run["attempt"] not in (None, current):
            yield "double", f"attempt {run['attempt']} counts for run {id}, and by its history {current}"
        if status is None or run["status"] != status.value:
            yield "illegal", f"run {id} is {run['status']}, and by its history {status}"
        if run["status"] not in FINAL:
            yield "lost", f"run {id} is {run['status']}: nobody carried it to its end"
            continue
        outcome = json.loads(run["outcome"]) if run["outcome"] else None
        if outcome is None or run["finished_at"] is None:
            yield "illegal", f"run {id} is {run['status']} without an outcome, or a time at which it ended"
        elif outcome["status"] != run["status"]:
            yield "illegal", f"run {id} is {run['status']} with the outcome {outcome['status']}"
        elif run["status"] != Status.FINISHED.value and not excused(outcome):
            yield "lost", f"run {id} is {run['status']}: {outcome['problem']}"
        if run["attempt"] is not None and seen.attempts.get(run["attempt"], {}).get("run") != id:
            yield "illegal", f"the attempt of run {id} is not one of it"
    stored = {row["competition"] for row in seen.rows["tree"]}
    for row in seen.rows["competition"]:
        if row["id"] not in stored:
            yield "lost", f"competition {row['id']} is there without its files"
    for id, submission in seen.submissions.items():
        tasks = sorted(map(json.dumps, json.loads(submission["tasks"])))
        if sorted({run["task"] for run in seen.runs_of[id]}) != tasks:
            yield "illegal", f"submission {id} is for the tasks {tasks}, and has other runs"


def excused(outcome: Row) -> bool:
    """Whether a run may have failed: it was killed so often that it was given up, which its outcome says."""
    return (outcome.get("problem") or {}).get("code") in ("CB632",)


def scores(seen: Seen) -> Iterator[Finding]:
    """The scores of a run are those of exactly the attempt that counts, and no other run has them."""
    written = Counter(seen.lab.counts.read_text().split()) if seen.lab.counts.exists() else None
    owners: dict[float, list[str]] = defaultdict(list)
    for id, run in seen.runs.items():
        outcome = json.loads(run["outcome"] or "{}")
        has = seen.scores.get(id, {})
        if run["status"] != Status.FINISHED.value:
            if has:
                yield "double", f"run {id} is {run['status']} and has scores"
            continue
        if has != outcome.get("scores") or not has:
            yield "double", f"run {id} has the scores {has}, and its outcome {outcome.get('scores')}"
        said = seen.storage.get_result(id, run["attempt"]) if run["attempt"] else None
        if said is None and not seen.submissions[run["submission"]]["deleted_at"]:
            yield "lost", f"what attempt {run['attempt']} of run {id} came to is not stored"
        elif said is not None and said["scores"] != has:
            yield "double", f"run {id} has the scores {has}; its attempt came to {said['scores']}"
        for value in has.values():
            owners[value].append(id)
            if written is not None and written[str(int(value))] != 1:
                yield "double", f"the score of run {id} was written {written[str(int(value))]} times"
    for value, runs in owners.items():
        if len(runs) > 1:
            yield "double", f"runs {runs} have one score: {value}"
    for row in seen.rows["step"]:
        if seen.runs.get(row["run"], {}).get("attempt") != row["attempt"]:
            yield "double", f"run {row['run']} has steps of attempt {row['attempt']}, which does not count"


def boards(seen: Seen) -> Iterator[Finding]:
    """Of each submission and task exactly one run is shown."""
    shown = Counter((run["submission"], run["task"]) for run in seen.runs.values() if run["shown"])
    for id, submission in seen.submissions.items():
        for task in {json.dumps(task) for task in json.loads(submission["tasks"])}:
            if shown[id, task] != 1:
                kind = "double" if shown[id, task] else "lost"
                yield kind, f"{shown[id, task]} runs of submission {id} are shown for task {task}"


def limits(seen: Seen) -> Iterator[Finding]:
    """Limits hold, numbers have no gaps and no doubles, nothing was migrated twice."""
    counted = Counter(
        (row["competition"], row["participant"], row["phase"])
        for row in seen.submissions.values()
        if row["origin"] is None and row["deletion"] != "hard"
    )
    for who, count in counted.items():
        if count > seen.lab.allowed:
            yield "illegal", f"{who} has {count} submissions"
    numbers: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in seen.submissions.values():
        numbers[row["competition"], row["participant"]].append(row["number"])
    for who, has in numbers.items():
        if sorted(has) != list(range(1, len(has) + 1)):
            yield "illegal", f"{who} has the numbers {sorted(has)}"
    copies = Counter(
        (row["origin"], row["phase"]) for row in seen.submissions.values() if row["origin_kind"] == "migration"
    )
    for (origin, phase), count in copies.items():
        if count > 1:
            yield "double", f"submission {origin} was migrated to phase {phase} {count} times"


def batches(seen: Seen) -> Iterator[Finding]:
    """A batch is on boards with everything that finished, or not at all."""
    for batch in seen.rows["batch"]:
        rows = [row for row in seen.rows["batch_run"] if row["batch"] == batch["id"]]
        again = [seen.runs[row["run"]] for row in rows if row["run"] is not None]
        if batch["state"] != "promoted" and any(run["shown"] for run in again):
            yield "illegal", f"batch {batch['id']} is {batch['state']}, and runs of it are shown"
        if batch["state"] == "promoted":
            for row in rows:
                if row["run"] and seen.runs[row["run"]]["status"] == "Finished" and seen.runs[row["replaces"]]["shown"]:
                    yield "illegal", f"batch {batch['id']} was promoted, and run {row['replaces']} is still shown"
        if batch["state"] in ("planned", "running"):
            yield "lost", f"batch {batch['id']} is {batch['state']}: nobody carried it to its end"
        done = Counter(
            (run["submission"], run["task"])
            for run in seen.runs.values()
            if run["batch"] == batch["id"] and run["status"] == Status.FINISHED.value
        )
        for (submission, task), count in done.items():
            if count > 1:
                yield "double", f"batch {batch['id']} did submission {submission}, task {task} {count} times"
        if len({row["run"] for row in rows if row["run"]}) != len(again):
            yield "double", f"batch {batch['id']} has a run twice"


def leases(seen: Seen) -> Iterator[Finding]:
    """Nobody who is gone holds anything that others wait for."""
    now = datetime.now(UTC)
    for row in seen.rows["lease"]:
        # That of a dispatcher says only that somebody is there.
        if row["name"].startswith("dispatcher:"):
            continue
        if datetime.fromisoformat(row["expires_at"]).replace(tzinfo=UTC) > now:
            yield "left", f"the lease {row['name']} is held by {row['holder']} until {row['expires_at']}"


# ---------------------------------------------------------------------- bytes
def stored(storage: Storage, named: set[BlobRef | TreeRef]) -> Iterator[Finding]:
    """Every tree and blob that a row names is there, and is what its digest says."""
    for ref in named:
        try:
            if isinstance(ref, TreeRef) and tree_digest(storage.entries(ref)) != ref.digest:
                yield "lost", f"the manifest of tree {ref.digest} is of another one"
            blob = BlobRef(sha256=ref.archive, size=ref.size) if isinstance(ref, TreeRef) else ref
            if len(storage.get(blob)) != ref.size:
                yield "lost", f"{blob.sha256} has another size"
        except StorageError as error:
            yield "lost", f"a row names what is not stored: {error.message}"


def backups(lab: Lab) -> Iterator[Finding]:
    """What was said to be backed up can be restored; half a backup is none. Each is looked at once."""
    told = {each["id"] for each in lab.acknowledged("backup")}
    for place in lab.backups.iterdir():
        if place.name.endswith("-seen"):
            continue
        try:
            with cb.Workspace.restore(place, lab.scratch / f"restored-{place.name}", dispatch=False) as back:
                yield from (("illegal", f"backup {place.name}: {text}") for text in back.db.check())
        except StorageError as error:
            if place.name in told or error.code != "CB730":
                yield "lost", f"backup {place.name} cannot be restored: {error.message}"
        place.rename(place.with_name(f"{place.name}-seen"))
    for name in told:
        if not (lab.backups / f"{name}-seen").exists():
            yield "lost", f"backup {name} was acknowledged and is not there"


# ---------------------------------------------------------------------- what is left over
def left(lab: Lab) -> Iterator[Finding]:
    """No container and no process of a child of ours is there any more; what is about to end has a moment for it."""
    end = time.monotonic() + PATIENCE
    while (found := [*_containers(lab), *_processes(lab)]) and time.monotonic() < end:
        time.sleep(0.05)
    yield from (("left", f"{each} is left") for each in found)


def _containers(lab: Lab) -> Iterator[str]:
    if lab.engine != "process":
        for id, label in containers_by_label(lab.engine, LABEL):
            if json.loads(label)["pid"] in lab.pids:
                yield f"container {id}"


def _processes(lab: Lab) -> Iterator[str]:
    """Programs of submissions: they carry the label of who started them."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "environ").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        for word in words:
            owner = Owner.of_label(word.removeprefix(f"{OWNER}=")) if word.startswith(f"{OWNER}=") else None
            if owner is not None and owner.pid in lab.pids:
                yield f"process {entry.name}"
