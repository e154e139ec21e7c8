"""Receipts of runs, and whether their scores come out again, with real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tiny import FILES, answer, bundle, yaml

import codabench as cb
from codabench.backends.backend import BackendInfo, Work
from codabench.backends.handle import WorkHandle
from codabench.backends.process import ProcessEngine
from codabench.core.errors import ImageNotFound, PolicyError, StorageError, UsageError
from codabench.core.policy import Network, Policy, User
from codabench.core.records import Status
from codabench.runner.plan import ProgramPlan, StepPlan, SubmissionFacts
from codabench.workspace import verifying
from codabench.workspace.issuing import without_paths
from codabench.workspace.receipts import read_receipt

# Counts how often it was carried out, and adds what lies beside it to the score: a scorer that does not reproduce.
MOODY = (
    b"import pathlib\n"
    b"moody = pathlib.Path(%r)\n"
    b"more = float(moody.read_text()) if moody.exists() else 0\n"
    b"(output / 'scores.json').write_text(json.dumps({'score': answer['score'] + more, 'time': 5}))\n"
    b"sys.exit(3) if more < 0 else None\n"
)
ANN = "ann-of-the-lab"


@pytest.fixture
def moody(tmp_path: Path) -> Path:
    return tmp_path / "moody"


@pytest.fixture
def source(tmp_path: Path, moody: Path) -> Path:
    scorer = FILES["scoring/score.py"] + MOODY % str(moody)
    return bundle(tmp_path / "bundle", yaml(), {"scoring/score.py": scorer})


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[cb.Workspace]:
    with cb.Workspace(tmp_path / "ws", backend="process") as made:
        yield made


@pytest.fixture
def run(ws: cb.Workspace, source: Path, tmp_path: Path) -> Iterator[cb.RunHandle]:
    with cb.load(source) as comp:
        yield ws.add(comp).run(answer(tmp_path / "mine"), progress="none", participant=ANN).run


def changed(receipt: cb.Receipt, **provenance: Any) -> dict[str, Any]:
    """A receipt as somebody else might have written it."""
    document = receipt.model_dump(mode="json")
    return {**document, "provenance": {**document["provenance"], **provenance}}


def test_a_receipt_is_portable_and_always_the_same(ws: cb.Workspace, run: cb.RunHandle, tmp_path: Path) -> None:
    receipt = run.receipt()
    assert receipt.scores == run.scores == {"score": 0.5, "time": 5.0}
    assert (receipt.task.name, receipt.task.revision, receipt.submission.name) == ("First", 1, "mine")
    assert set(receipt.provenance.trees) == {"submission", "scoring_program", "reference_data"}
    assert receipt.provenance.programs["scoring"].commands == {
        "program": ["python3 $program/score.py $predictions $hidden $output"]
    }
    text = receipt.to_json()
    assert ws.run(run.id).receipt().to_json() == text
    file = receipt.save(tmp_path / "receipt.json")
    assert file.read_text() == text
    assert read_receipt(file) == read_receipt(json.loads(text)) == receipt
    jsonschema.validate(json.loads(text), cb.Receipt.model_json_schema())
    assert str(tmp_path) not in text
    assert ANN not in text
    assert "First" in repr(receipt)


def test_every_field_is_explained(run: cb.RunHandle) -> None:
    text = (Path(__file__).parents[2] / "docs/receipts.md").read_text(encoding="utf-8")
    receipt = run.receipt().model_dump(mode="json")
    fields = {**receipt, **receipt["provenance"]}
    assert [name for name in fields if f"`{name}`" not in text and f"`{name}." not in text] == []


def test_the_path_of_a_file_system_stays_at_home() -> None:
    image = {"name": "rootfs:/home/me/secret/trixie", "id": "rootfs:/home/me/secret/trixie:abc"}
    shown = without_paths({"image": image, "engine": {}})
    assert shown == {"image": {"name": "rootfs:trixie", "id": "rootfs:trixie:abc"}, "engine": {}}
    other = {"image": {"name": "python:3", "id": "sha256:aa"}}
    assert without_paths(other) == other


def test_it_reproduces_from_the_workspace_and_leaves_no_trace(ws: cb.Workspace, run: cb.RunHandle) -> None:
    competition = ws.db.submission(run.record.submission).competition
    before = ws.db.runs(competition)
    found = cb.verify(run.receipt(), workspace=ws)
    assert found.reproduces, found
    assert [(c.key, c.recorded, c.found, c.difference) for c in found.columns] == [
        ("score", 0.5, 0.5, 0.0),
        ("time", 5.0, 5.0, 0.0),
    ]
    assert found.notes == ()
    assert found.provenance["steps"] == run.provenance["steps"]
    assert "reproduces within tolerance" in repr(found)
    assert "cb-verification" in found._repr_html_()
    assert ws.db.runs(competition) == before


def test_it_reproduces_from_the_files(run: cb.RunHandle, source: Path, tmp_path: Path) -> None:
    found = cb.verify(run.receipt(), bundle=source, submission=tmp_path / "mine", backend="process")
    assert found.reproduces, found


@pytest.mark.parametrize(
    ("more", "tolerance", "reproduces"),
    [
        (1e-12, 1e-9, True),
        (0.01, 1e-9, False),
        (0.01, 0.1, True),
        (0.01, {"score": 0.1}, True),
        (0.01, {"time": 0.1}, False),
        (0.01, {"*": 0.1}, True),
        (0.01, {"*": 0.1, "score": 0}, False),
        (0.25, 0.25, True),
    ],
)
def test_a_score_that_differs(
    ws: cb.Workspace, run: cb.RunHandle, moody: Path, more: float, tolerance: Any, reproduces: bool
) -> None:
    moody.write_text(repr(more))
    found = cb.verify(run.receipt(), workspace=ws, tolerance=tolerance)
    assert found.reproduces == reproduces
    column = found.columns[0]
    assert column.ok == reproduces
    assert column.difference == pytest.approx(more)
    if not reproduces:
        assert "does not reproduce: score\n" in repr(found)
        assert "0.5 ≠ 0.51   difference 0.01, tolerance" in repr(found)


def test_a_run_that_fails_now_does_not_reproduce(ws: cb.Workspace, run: cb.RunHandle, moody: Path) -> None:
    moody.write_text("-1")
    found = cb.verify(run.receipt(), workspace=ws, tolerance=1e9)
    assert (found.status, found.reproduces) == (Status.FAILED, False)
    assert found.problem is not None
    assert "does not reproduce: the run ended Failed" in repr(found)
    assert "exited with 3" in repr(found)
    assert found.to_dict()["columns"][0]["found"] is None


def test_a_column_that_only_one_of_them_has_does_not_reproduce(ws: cb.Workspace, run: cb.RunHandle) -> None:
    document = run.receipt().model_dump(mode="json")
    found = cb.verify({**document, "scores": {"score": 0.5, "gone": 1.0}}, workspace=ws)
    assert {c.key: c.ok for c in found.columns} == {"score": True, "gone": False, "time": False}
    assert not found.reproduces


# ---------------------------------------------------------------------- what is not that of the receipt
class Counting(ProcessEngine):
    """Says whether anything was started."""

    started = 0

    def create(self, spec: Any) -> Any:
        type(self).started += 1
        return super().create(spec)


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("bundle/scoring/score.py", ["scoring program"]),
        ("bundle/data/x.csv", ["reference data"]),
        ("mine/answer.json", ["submission"]),
    ],
)
def test_other_files_are_named_before_anything_starts(
    run: cb.RunHandle, source: Path, tmp_path: Path, file: str, named: list[str]
) -> None:
    receipt, engine = run.receipt(), Counting()
    with (tmp_path / file).open("a") as stream:
        stream.write(" ")
    with pytest.raises(UsageError) as caught:
        cb.verify(receipt, bundle=source, submission=tmp_path / "mine", backend=engine)
    assert caught.value.code == "CB382"
    lines = caught.value.message.splitlines()[1:]
    assert [line[:20].strip() for line in lines] == named
    assert receipt.provenance.trees[named[0].replace(" ", "_")] in lines[0]
    assert engine.started == 0


def test_a_command_in_a_receipt_is_never_what_runs(ws: cb.Workspace, run: cb.RunHandle, tmp_path: Path) -> None:
    """A receipt may be anybody's; with plain processes its commands would run on this host."""
    flag = tmp_path / "flag"
    programs = run.receipt().model_dump(mode="json")["provenance"]["programs"]
    programs["scoring"]["commands"]["program"] = [f"touch {flag}"]
    with pytest.raises(UsageError, match="what runs in the scoring step is not what ran for the receipt") as caught:
        cb.verify(changed(run.receipt(), programs=programs), workspace=ws)
    assert caught.value.code == "CB382"
    assert not flag.exists()


def test_without_the_comparison_it_would_run(
    ws: cb.Workspace, run: cb.RunHandle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin of the test above: the same receipt, where what runs is taken from it."""
    flag = tmp_path / "flag"
    command = ProgramPlan(role="program", commands=(f"touch {flag}",))
    steps = StepPlan(name="prediction", copy_submission=True), StepPlan(name="scoring", programs=(command,))
    monkeypatch.setattr(verifying, "_material", lambda *args: verifying._Material(steps, SubmissionFacts(), args[-1]))
    assert not cb.verify(run.receipt(), workspace=ws).reproduces
    assert flag.exists()


LOOSE = {"network": "open", "user": "image"}


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        (LOOSE, "network open; user image"),
        ({"name": "trusted", "writable_inputs": True}, "name trusted; writable inputs"),
        ({"gpus": "all"}, "gpus all"),
        ({"local_data": ["maps"]}, "local data maps"),
        ({"no_new_privileges": False}, "no no new privileges"),
    ],
)
def test_what_a_receipt_was_allowed_is_not_granted_unasked(
    ws: cb.Workspace, run: cb.RunHandle, policy: dict[str, Any], said: str
) -> None:
    receipt = run.receipt()
    loose = changed(receipt, policy={**receipt.provenance.policy, **policy})
    with pytest.raises(PolicyError) as caught:
        cb.verify(loose, workspace=ws)
    assert (caught.value.code, said in caught.value.message) == ("CB384", True)


def test_what_was_asked_for_is_asked_for_again(ws: cb.Workspace, source: Path, tmp_path: Path) -> None:
    asked = Policy(network=Network.OPEN, user=User.IMAGE)
    with cb.load(source) as comp:
        run = ws.add(comp).run(answer(tmp_path / "mine"), progress="none", policy=asked).run
    found = cb.verify(run.receipt(), workspace=ws, trust=True)
    assert found.reproduces
    assert (found.provenance["policy"]["network"], found.provenance["policy"]["user"]) == ("open", "image")


def test_what_differs_is_noted(ws: cb.Workspace, run: cb.RunHandle) -> None:
    receipt = run.receipt()
    kept = receipt.model_dump(mode="json")["provenance"]
    other = changed(
        receipt,
        engine={**kept["engine"], "version": "0.1", "new": "from a later version"},
        versions={"codabench": "9.9", "python": kept["versions"]["python"]},
        host={**kept["host"], "cpus": 9999},
        image={**kept["image"], "id": "host:python-2.7"},
        policy={**kept["policy"], "something": "new"},
        reused={"prediction": "abc"},
        later=[1, 2],
    )
    found = cb.verify(other, workspace=ws)
    assert found.reproduces
    said = "\n".join(found.notes)
    for words in (
        "engine: process 0.1 in the receipt",
        "codabench: 9.9 in the receipt",
        "host cpus: 9999 in the receipt",
        "image: host:python-2.7 in the receipt",
        "policy something: new in the receipt, none here",
        "had reused its prediction step",
    ):
        assert words in said
    assert read_receipt(other).model_dump(mode="json")["provenance"]["later"] == [1, 2]


class Imageless(ProcessEngine):
    """Has no images, and says for which it was asked."""

    name = "docker"
    asked: list[tuple[str, str]] = []

    def resolve(self, image: str, *, pull: Any = "missing", **more: Any) -> Any:
        self.asked.append((image, pull))
        raise ImageNotFound(f"the image {image} is not here")


@pytest.mark.parametrize(
    ("image", "option", "asked"),
    [
        (
            {"name": "ghcr.io:443/lab/image:2", "digest": "sha256:bb"},
            None,
            ("ghcr.io:443/lab/image@sha256:bb", "missing"),
        ),
        ({"name": "python:3.12-slim", "digest": "sha256:bb"}, None, ("python@sha256:bb", "missing")),
        ({"name": "python@sha256:bb", "digest": "sha256:bb"}, None, ("python@sha256:bb", "missing")),
        ({"name": "mine:1", "digest": None}, None, ("sha256:aa", "never")),
        ({"name": "mine:1", "digest": "sha256:bb"}, "other:2", ("other:2", "missing")),
    ],
)
def test_an_image_is_asked_for_by_its_digest(
    ws: cb.Workspace, run: cb.RunHandle, image: dict[str, Any], option: str | None, asked: tuple[str, str]
) -> None:
    receipt = run.receipt()
    kept = receipt.model_dump(mode="json")["provenance"]
    other = changed(receipt, image={**kept["image"], "id": "sha256:aa", **image}, engine={"name": "docker"})
    engine = Imageless()
    engine.asked = []
    with pytest.raises(ImageNotFound, match="the image of the receipt is not to be had") as caught:
        cb.verify(other, workspace=ws, backend=engine, image=option)
    assert engine.asked == [asked]
    assert f"--image {image['name']}" in str(caught.value.hint)


# ---------------------------------------------------------------------- what is no receipt
@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("not json", "cannot be read"),
        ("[1]", "is no receipt"),
        ("{}", "is no receipt"),
        ('{"receipt": 2}', "a receipt of form 2"),
        ('{"receipt": 1, "scores": {}}', "is damaged: run: Field required"),
        ("[" * 100000, "cannot be read"),
    ],
)
def test_what_is_no_receipt(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "receipt.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError) as caught:
        cb.verify(file, bundle="b", submission="s")
    assert (caught.value.code, said in caught.value.message) == ("CB380", True), caught.value.message


def test_scores_that_are_no_numbers_and_policies_that_are_none(ws: cb.Workspace, run: cb.RunHandle) -> None:
    document = run.receipt().model_dump(mode="json")
    with pytest.raises(UsageError, match=r"scores\.score"):
        cb.verify({**document, "scores": {"score": float("nan")}}, workspace=ws)
    with pytest.raises(UsageError, match="policy of the receipt") as caught:
        cb.verify(changed(run.receipt(), policy={"network": "wide"}), workspace=ws)
    assert caught.value.code == "CB380"


@pytest.mark.parametrize("tolerance", [-1, float("inf"), float("nan"), {"skore": 0.1}])
def test_tolerances_that_cannot_be_meant(ws: cb.Workspace, run: cb.RunHandle, tolerance: Any) -> None:
    with pytest.raises(UsageError) as caught:
        cb.verify(run.receipt(), workspace=ws, tolerance=tolerance)
    assert caught.value.code == "CB383"
    assert "did you mean 'score'" in str(caught.value.hint) or not isinstance(tolerance, dict)


def test_where_the_files_are_has_to_be_said(ws: cb.Workspace, run: cb.RunHandle, source: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nobody says where the files") as caught:
        cb.verify(run.receipt(), bundle=source)
    assert caught.value.code == "CB382"
    with cb.Workspace(tmp_path / "other") as other, pytest.raises(UsageError, match="does not have the run"):
        cb.verify(run.receipt(), workspace=other)
    elsewhere = {**run.receipt().model_dump(mode="json"), "task": {"index": 7, "name": "x"}}
    with pytest.raises(UsageError, match="has no task 7"):
        cb.verify(elsewhere, bundle=source, submission=tmp_path / "mine", backend="process")


def test_a_run_without_scores_has_no_receipt(ws: cb.Workspace, source: Path, tmp_path: Path) -> None:
    with cb.load(source) as comp:
        failed = ws.add(comp).run(answer(tmp_path / "bad", '{"exit": 3}'), progress="none").run
        with pytest.raises(UsageError, match="it is Failed") as caught:
            failed.receipt()
    assert caught.value.code == "CB381"


class Cluster:
    """A backend whose workers are elsewhere: they have none of the files of this machine."""

    def preflight(self) -> None: ...

    def info(self) -> BackendInfo:
        return BackendInfo(name="dask", slots=1, engine="process")

    def submit(self, work: Work, *, key: str, on_event: Any = None) -> WorkHandle:
        handle = WorkHandle(key, on_event, lambda: None)
        handle.fail(StorageError("blobs/ab is not there", code="CB701"))
        return handle


def test_workers_that_do_not_see_the_files(run: cb.RunHandle, source: Path, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="a worker did not find them: blobs/ab is not there") as caught:
        cb.verify(run.receipt(), bundle=source, submission=tmp_path / "mine", backend=Cluster())
    assert caught.value.hint is not None
    assert "--backend docker" in caught.value.hint
