"""Runs of a re-evaluation start scoring from what an earlier prediction step left, with real processes."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiny import PHASE, bundle, yaml

import codabench as cb
from codabench.backends.engine import Image
from codabench.backends.process import ProcessEngine
from codabench.bundle.defined.data import made
from codabench.cli.documents import steps
from codabench.core.evaluations import Batch, BatchRun, BatchState
from codabench.core.events import EventKind
from codabench.core.policy import Network, Policy
from codabench.core.problems import Severity
from codabench.core.records import Run, Status
from codabench.runner import provenance
from codabench.runner.expected import Expectation
from codabench.testing.bundles import write_bundle
from codabench.workspace.planning import stored_parts
from codabench.workspace.revisions import task_of

# What ingestion leaves differs from run to run: whoever sees the same twice, sees what was kept.
INGEST = b"""\
import json, os, pathlib, sys, uuid
code, output = map(pathlib.Path, sys.argv[1:3])
print("ingesting")
(output / "answer.json").write_text(json.dumps({"score": 1, "id": uuid.uuid4().hex}))
(output / "empty").mkdir(exist_ok=True)
(output / "deep" / "er").mkdir(parents=True, exist_ok=True)
(output / "deep" / "er" / "tool").write_bytes(bytes(range(256)))
os.chmod(output / "deep" / "er" / "tool", 0o750)
sys.exit(int((code / "exit").read_text())) if (code / "exit").exists() else None
"""
# Scoring writes all that it sees into a score file: names, kinds, modes, bytes.
SCORER = b"""\
import hashlib, json, pathlib, sys
given, truth, output = map(pathlib.Path, sys.argv[1:4])
print("scoring")
def seen(place):
    mode = oct(place.stat().st_mode & 0o777)
    return [mode, hashlib.sha256(place.read_bytes()).hexdigest()] if place.is_file() else [mode]
found = {str(p.relative_to(given)): seen(p) for p in sorted(given.rglob("*"))}
(output / "scores.json").write_text(json.dumps({"score": 1, "time": 0, "seen": found}))
"""
DURING = b"""\
import pathlib, sys
code, output = map(pathlib.Path, sys.argv[1:3])
print(sorted(str(p.relative_to(code)) for p in code.rglob("*")))
"""
Make = Callable[..., cb.Competition]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    loaded: list[cb.Competition] = []

    def load(task: str = "", ingest: bytes = INGEST, **files: bytes) -> cb.Competition:
        text = yaml().replace(
            "scoring_program: scoring,", f"scoring_program: scoring, ingestion_program: ingestion{task},"
        )
        command = b"command: python3 $program/ingest.py $submission_program $output"
        everything = {"ingestion/metadata": command, "ingestion/ingest.py": ingest, "scoring/score.py": SCORER}
        loaded.append(cb.load(bundle(tmp_path / f"bundle{len(loaded)}", text, everything | files)))
        return ws.add(loaded[-1])

    with cb.Workspace(tmp_path / "ws", backend="process") as ws:
        yield load
    for one in loaded:
        one.close()


def mine(folder: Path, **files: str) -> Path:
    """Code: with a description, so that its files are not copied to the output."""
    folder.mkdir()
    for name, text in {"metadata": "description: code", **files}.items():
        (folder / name).write_text(text)
    return folder


def submit(comp: cb.Competition, path: Path, **options: Any) -> cb.RunHandle:
    return comp.run(path, **{"progress": "none", **options}).run


def again(comp: cb.Competition, before: cb.RunHandle, *, reuse: str = "same-submission", **more: Any) -> cb.RunHandle:
    """The same run in a batch, as a re-evaluation does it."""
    ws, now, old = comp.workspace, datetime.now(UTC), before.record
    batch = Batch(id=uuid.uuid4().hex, competition=comp.id, key=uuid.uuid4().hex, plan={"reuse": reuse}, created_at=now)
    ws.db.add_batch(batch, [BatchRun(batch=batch.id, replaces=old.id, position=0, action="score")])
    ws.db.set_batch_state(batch.id, BatchState.RUNNING)
    fields = {"task": old.task, "position": old.position, "backend": old.backend, "scoring_only": True, **more}
    run = Run(id=uuid.uuid4().hex, submission=old.submission, created_at=now, **fields)
    assert ws.db.queue_batch_run(batch.id, old.id, run)
    assert ws.wait([run.id], timeout=60)
    return ws.run(run.id)


def reused_from(run: cb.RunHandle) -> str | None:
    assert run.outcome is not None
    step = run.outcome.step("prediction")
    assert step is not None
    return step.reused_from


def codes(run: cb.RunHandle) -> list[str]:
    return [w.code for w in run.warnings if w.code in ("CB670", "CB671")]


@pytest.mark.parametrize("task", ["", ", ingestion_only_during_scoring: true"], ids=["before", "during"])
def test_the_scorer_sees_the_same_bytes(make: Make, tmp_path: Path, task: str) -> None:
    """Also where ingestion runs during scoring, and its copy of the predictions is another one."""
    own = {"metadata": "command: python3 $program/own.py $program $output", "own.py": INGEST.decode()} if task else {}
    comp = make(task, ingest=DURING if task else INGEST)
    first = submit(comp, mine(tmp_path / "mine", **own))
    second = again(comp, first)
    assert (first.status, second.status) == (Status.FINISHED, Status.FINISHED), second
    assert first.outcome is not None
    assert second.outcome is not None
    seen = second.outcome.raw_scores["seen"]
    assert {"answer.json", "empty", "deep/er/tool", "metadata"} <= set(seen)
    assert seen == first.outcome.raw_scores["seen"]
    one, two = first.outcome.step("prediction"), second.outcome.step("prediction")
    assert one is not None
    assert two == one.model_copy(update={"reused_from": first.record.attempt})
    assert second.provenance["steps"] == first.provenance["steps"]
    assert second.provenance["reused"] == {"prediction": first.record.attempt}
    if task:
        assert second.logs["scoring_ingestion_stdout"] == first.logs["scoring_ingestion_stdout"]
        assert "deep/er/tool" in second.logs["scoring_ingestion_stdout"]


def test_a_reused_step_is_no_step_that_was_carried_out(make: Make, tmp_path: Path) -> None:
    comp = make()
    first = submit(comp, mine(tmp_path / "mine"))
    second = again(comp, first)
    kinds = {e.kind for e in second.history()}
    assert EventKind.SCORING_STARTED in kinds
    assert not kinds & {EventKind.PREDICTION_STARTED, EventKind.PREDICTION_FINISHED}
    assert codes(second) == ["CB670"]
    (row,) = [s for s in comp.workspace.db.steps(comp.id)[second.id] if s.name == "prediction"]
    assert (row.ok, row.reused_from) == (True, first.record.attempt)
    assert first.outcome is not None
    assert f"carried it out in {first.outcome.steps[0].seconds:.1f} s; its times are from then" in repr(second)
    assert steps(second)["prediction"] == {**steps(first)["prediction"], "reused_from": first.record.attempt}
    third = again(comp, second)
    assert reused_from(third) == first.record.attempt  # whoever carried it out, not who used it last
    assert codes(first) == []


def test_a_board_says_whose_times_are_from_then(make: Make, tmp_path: Path) -> None:
    comp = make()
    first = submit(comp, mine(tmp_path / "mine"))
    assert "reused" not in repr(comp.leaderboard(rule=False))
    db, batch = comp.workspace.db, again(comp, first).record.batch
    assert batch is not None
    db.set_batch_state(batch, BatchState.DONE)
    assert db.promote_batch(batch, at=datetime.now(UTC), note="") == 1
    assert "prediction step reused, with its times of then: mine" in repr(comp.leaderboard(rule=False))


def test_a_rerun_executes(make: Make, tmp_path: Path) -> None:
    comp = make()
    first = submit(comp, mine(tmp_path / "mine"))
    other = submit(comp, tmp_path / "mine")
    assert first.provenance["steps"]["prediction"] == other.provenance["steps"]["prediction"]
    assert reused_from(other) is None
    assert first.provenance["outputs"] != other.provenance["outputs"]


def test_what_failed_is_carried_out_again(make: Make, tmp_path: Path) -> None:
    comp = make()
    first = submit(comp, mine(tmp_path / "mine", exit="3"))  # a warning, and the score counts: yet no step to reuse
    assert first.status is Status.FINISHED
    second = again(comp, first)
    assert (reused_from(second), second.exit_code("prediction", "ingestion")) == (None, 3)


def test_steps_of_others_only_when_asked(make: Make, tmp_path: Path) -> None:
    flaky = tmp_path / "flaky"
    comp = make(ingest=INGEST + f"sys.exit(3 if pathlib.Path({str(flaky)!r}).exists() else 0)\n".encode())
    flaky.touch()
    first = submit(comp, mine(tmp_path / "mine"), participant="a")
    flaky.unlink()
    twin = submit(comp, tmp_path / "mine", participant="b")
    assert first.exit_code("prediction", "ingestion") == 3
    assert first.provenance["steps"]["prediction"] == twin.provenance["steps"]["prediction"]
    assert reused_from(again(comp, first, reuse="any")) == twin.record.attempt
    assert reused_from(again(comp, twin, reuse="never")) is None
    comp.workspace.db.delete_submission(twin.record.submission, at=datetime.now(UTC), kind="soft")
    flaky.touch()
    other = submit(comp, tmp_path / "mine", participant="c")
    flaky.unlink()
    assert reused_from(again(comp, other)) is None


def test_networked_steps_only_when_asked(make: Make, tmp_path: Path) -> None:
    comp = make()
    first = submit(comp, mine(tmp_path / "mine"), policy=Policy(network=Network.OPEN))
    second = again(comp, first)
    assert (reused_from(second), codes(second)) == (None, ["CB671"])
    assert [w.message.rpartition(": ")[2] for w in second.warnings if w.code == "CB671"] == [
        "its programs may use the network"
    ]
    assert reused_from(again(comp, first, reuse="always")) is not None


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_what_storage_lost_is_carried_out_again(make: Make, tmp_path: Path, damage: str) -> None:
    comp = make()
    first = submit(comp, mine(tmp_path / "mine"))
    assert first.outcome is not None
    step = first.outcome.step("prediction")
    assert step is not None
    assert step.output is not None
    (place,) = Path(comp.workspace.url).rglob(step.output.archive)
    if damage == "gone":
        place.unlink()
    else:
        place.chmod(0o644)
        data = bytearray(place.read_bytes())
        data[len(data) // 2] ^= 1
        place.write_bytes(data)
    second = again(comp, first)
    assert (second.status, reused_from(second), codes(second)) == (Status.FINISHED, None, ["CB671"])
    assert [w.severity for w in second.warnings if w.code == "CB671"] == [Severity.WARNING]
    assert "PredictionStarted" in [e.kind for e in second.history()]


def test_a_failing_scorer_after_a_reused_step(make: Make, tmp_path: Path) -> None:
    """The root cause is looked for in a step whose programs never were here."""
    comp = make()
    first = submit(comp, mine(tmp_path / "mine"))
    ws, spec = comp.workspace, comp.spec.tasks[0]
    with made("scoring", {"score.py": b"raise SystemExit(4)", "metadata": SCORING}) as source:
        tree = ws.storage.put_tree(source)
    assert spec.scoring_program is not None
    path = str(spec.scoring_program.tree)
    (revision,) = ws.db.change_competition(
        comp.id, comp.spec, comp.spec, {path: tree}, revised=[spec.index], note="worse", at=datetime.now(UTC)
    )
    second = again(comp, first, revision=revision.number)
    assert (second.status, reused_from(second)) == (Status.FAILED, first.record.attempt)
    assert second.problem is not None
    assert second.problem.code == "CB612"
    assert json.loads(json.dumps(second.provenance)) == second.provenance


SCORING = b"command: python3 $program/score.py $predictions $hidden $output"


class Moved(ProcessEngine):
    """Plain processes under a name for an image that can be moved."""

    to = "host:one"

    def resolve(self, image: str, **options: Any) -> Image:
        return super().resolve(image, **options).model_copy(update={"id": self.to})


def test_a_tag_that_was_moved(make: Make, tmp_path: Path) -> None:
    """The plan cannot know: it is seen where the run takes place."""
    engine = Moved()
    with cb.Workspace(tmp_path / "moving", backend=engine) as ws:
        comp = ws.add(make())
        first = submit(comp, mine(tmp_path / "mine"))
        assert codes(again(comp, first)) == ["CB670"]
        engine.to = "host:two"
        second = again(comp, first)
        assert (second.status, reused_from(second), codes(second)) == (Status.FINISHED, None, ["CB671"])
        assert "the image, a command, a file or the policy is not the same any more" in repr(second)


def test_another_version_of_the_contract(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    comp = make()
    first = submit(comp, mine(tmp_path / "mine"))
    monkeypatch.setattr(provenance, "CONTRACT_VERSION", 99)
    second = again(comp, first)
    assert (reused_from(second), codes(second)) == (None, ["CB671"])


# ---------------------------------------------------------------------- what is expected of stored runs
def unchanged(run: cb.RunHandle) -> dict[str, str | None]:
    """The digests that the run would have on its task as it is."""
    db, record = run._workspace.db, run.record
    submission = db.submission(record.submission)
    spec = db.competition(submission.competition)
    task, stored = task_of(db, submission.competition, record)
    only = spec.phases[submission.phase].accepts_only_result_submissions
    expected = Expectation(task, stored_parts(task, stored), results_only=only)
    found = {
        "prediction": expected.prediction(run.provenance, image=spec.docker_image),
        "scoring": expected.scoring(run.provenance, run.provenance["outputs"]["prediction"]),
    }
    return {name: digest for name, digest in found.items() if digest != ""}


OWN = {"metadata": "command: python3 $program/own.py $program $output", "own.py": INGEST.decode()}
PLAIN = {"metadata": None, "answer.json": '{"score": 1}'}
KINDS = {
    "A": (False, "", PLAIN),
    "B": (True, "", PLAIN),
    "C": (True, "", {}),
    "D": (False, "", {"answer.json": "{}"}),
    "E": (False, "", OWN),
    "F": (True, "", OWN),
    "G as A": (True, ", ingestion_only_during_scoring: true", PLAIN),
    "G as E": (True, ", ingestion_only_during_scoring: true", OWN),
    "results": (True, "results only", OWN),
}


@pytest.mark.parametrize("kind", KINDS)
def test_where_nothing_changed_the_digests_of_real_runs_are_found_again(tmp_path: Path, kind: str) -> None:
    ingestion, more, files = KINDS[kind]
    only = ", accepts_only_result_submissions: true" if more == "results only" else ""
    text = yaml(phases=PHASE.format(0, "One", "2020-01-01", "0", only))
    if ingestion:
        words = f"ingestion_program: ingestion{'' if only else more},"
        text = text.replace("scoring_program: scoring,", f"scoring_program: scoring, {words}")
    programs = {
        "ingestion/metadata": b"command: python3 $program/ingest.py $submission_program $output",
        "ingestion/ingest.py": DURING if "during" in more else INGEST,
        "scoring/score.py": SCORER,
    }
    mine(tmp_path / "mine", **{name: content for name, content in files.items() if content is not None})
    if "metadata" in files and files["metadata"] is None:
        (tmp_path / "mine" / "metadata").unlink()
    with (
        cb.Workspace(tmp_path / "ws", backend="process") as ws,
        cb.load(bundle(tmp_path / "bundle", text, programs)) as comp,
    ):
        first = submit(ws.add(comp), tmp_path / "mine")
        assert first.status is Status.FINISHED, first
        assert unchanged(first) == first.provenance["steps"]
        second = again(comp, first)
        assert second.status is Status.FINISHED, second
        assert (reused_from(second) is None) == ("prediction" not in first.provenance["steps"])


# ---------------------------------------------------------------------- with containers
@pytest.mark.engine
@pytest.mark.docker
@pytest.mark.once
def test_the_engine_sees_scoring_containers_only(
    tmp_path: Path, docker_url: str, make_engine_called: Callable[[str], Any]
) -> None:
    """And a receipt of the run, whose step had been reused, verifies: then both steps are carried out."""
    import docker

    source = write_bundle(
        tmp_path / "bundle",
        ingestion={"main.py": "import uuid\nopen('/app/output/made', 'w').write(uuid.uuid4().hex)\n"},
        scoring={"main.py": "import json\njson.dump({'score': 1}, open('/app/output/scores.json', 'w'))\n"},
    )
    engine, began = make_engine_called("docker"), int(time.time())
    with contextlib.closing(engine), cb.Workspace(tmp_path / "ws", backend=engine) as ws, cb.load(source) as comp:
        first = submit(ws.add(comp), mine(tmp_path / "mine"))
        second = again(comp, first)
        assert reused_from(second) == first.record.attempt
        assert unchanged(first) == first.provenance["steps"] == second.provenance["steps"]
        found = cb.verify(second.receipt(), workspace=ws)
        assert found.reproduces, found
        assert [note for note in found.notes if "image" in note] == []
        assert found.provenance["outputs"]["prediction"] != second.provenance["outputs"]["prediction"]
    client = docker.DockerClient(base_url=docker_url)
    with contextlib.closing(client):
        wanted = {"type": "container", "event": "create"}
        seen = list(client.events(since=began, until=int(time.time()) + 1, filters=wanted, decode=True))
    started: dict[str, list[str]] = {}
    for event in seen:
        labels = event["Actor"]["Attributes"]
        started.setdefault(labels.get("codabench.run", ""), []).append(labels.get("codabench.step", ""))
    assert sorted(started[first.id]) == ["prediction", "scoring"]
    assert started[second.id] == ["scoring"]
