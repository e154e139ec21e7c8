"""Competitions that are opened from a workspace, without the bundles they came as."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from python_bench import MODEL, task
from test_workspace_v15 import OLD, PROGRAM
from tiny import FILES, TASK, answer, bundle, yaml

import codabench as cb
from codabench.core.errors import NotFound
from codabench.workspace.reopened import FILES as REST
from codabench.workspace.reopened import LAYOUT

KEYS = ["5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01", "5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f02"]
TASK_KEY = "5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f03"
RICH = yaml(
    ("First", "Second"),
    extra="solutions: [{index: 0, path: sol.zip, tasks: [0]}, {index: 1, path: sol/two, tasks: [1]}]\n",
)
RICH = RICH.replace("reference_data: data}", "reference_data: data.zip}", 1)
RICH = RICH.replace("tasks: [0, 1]}", "tasks: [0, 1], starting_kit: sol, public_data: notes.csv}")


def packed(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def below(folder: str) -> dict[str, bytes]:
    return {name.removeprefix(folder): data for name, data in FILES.items() if name.startswith(folder)}


def rich(place: Path) -> cb.Competition:
    """Folders, archives, a folder inside another one, one file by itself, an empty folder, files nobody names."""
    files = {
        "data.zip": packed(below("data/")),
        "sol.zip": packed({"answer.json": b'{"score": 1}'}),
        "sol/two/answer.json": b'{"score": 0.25}',
        "sol/read.me": b"a kit",
        "notes.csv": b"1,2\n",
        "more/nobody/names.txt": b"this",
    }
    bundle(place, RICH, files)
    (place / "data" / "empty").mkdir()
    (place / "scoring" / "score.py").chmod(0o755)
    return cb.load(place)


def zipped(place: Path) -> cb.Competition:
    rich(place / "folder").close()
    shutil.make_archive(str(place / "bundle"), "zip", place / "folder")
    return cb.load(place / "bundle.zip")


def old(place: Path) -> cb.Competition:
    return cb.load(bundle(place, OLD, {"s.zip": packed(PROGRAM), "s/wrap/metadata": b"", "s/wrap/x.csv": b"1"}))


def keyed(place: Path) -> cb.Competition:
    text = yaml(("First", "Second")).replace("reference_data: data}", f"reference_data: {KEYS[0]}}}", 1)
    text = text.replace(TASK.format(1, "Second"), f"  - {{index: 1, key: {TASK_KEY}}}\n")
    text = text.replace("tasks: [0, 1]}", f"tasks: [0, 1], public_data: {KEYS[1]}}}")
    whole = {
        "task.yaml": b"name: Given\ndescription:\nscoring_program: {zip: s.zip}\nreference_data: {zip: d.zip}\n",
        "s.zip": packed(below("scoring/")),
        "d.zip": packed(below("data/")),
    }
    given = bundle(place / "given")
    (given / "data.zip").write_bytes(packed(below("data/")))
    (given / "task.zip").write_bytes(packed(whole))
    datasets = {KEYS[0]: given / "data.zip", KEYS[1]: given / "data", TASK_KEY: given / "task.zip"}
    return cb.load(bundle(place / "bundle", text), datasets=datasets)


def lone_task(place: Path) -> cb.Competition:
    files = {
        "task.yaml": b"name: Tiny\ndescription:\nscoring_program: {zip: s.zip}\nreference_data: {key: "
        + KEYS[0].encode()
        + b"}\n",
        "s.zip": packed(below("scoring/")),
        "read.me": b"nobody names it",
    }
    (place / "data").mkdir(parents=True)
    (place / "data" / "x.csv").write_bytes(b"12345")
    (place / "task.zip").write_bytes(packed(files))
    return cb.load(place / "task.zip", datasets={KEYS[0]: place / "data"})


def python(place: Path) -> cb.Competition:
    solution = {"model.py": MODEL, "metadata.yaml": "description: a model\n"}
    return cb.Competition(
        title="Points",
        tasks=[task(), task("others", reference_data={"truth.json": [0, 0, 1, 1]})],
        columns=[cb.Column(key="acc"), cb.Column(key="loss", sorting="asc")],
        solutions=[solution],
        starting_kit={"read.me": "begin here"},
    )


KINDS: list[Callable[[Path], cb.Competition]] = [rich, zipped, old, keyed, lone_task, python]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[cb.Workspace]:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        yield ws


@pytest.mark.parametrize("kind", KINDS)
def test_saving_a_reopened_competition_gives_the_same_bytes(
    kind: Callable[[Path], cb.Competition], tmp_path: Path
) -> None:
    with cb.Workspace(tmp_path / "lab") as ws, kind(tmp_path / "came") as comp:
        ws.add(comp)
        came = {d.path: d.digest for d in comp.datasets}
        report, spec, seen = comp.save(tmp_path / "before.zip"), comp.spec, comp.check()
        before_keys = comp.save(tmp_path / "keys-before.zip", keys={})
        for each in comp.tasks:
            comp.save(tmp_path / f"task-{each.index}.zip", task=each.index)
        id, text = comp.id, repr(comp)
    if (tmp_path / "came").exists():
        shutil.rmtree(tmp_path / "came")
    with cb.Workspace(tmp_path / "lab") as ws, ws.competition(id[:8]) as again:
        assert (again.id, again.spec, repr(again)) == (id, spec, text)
        assert again.save(tmp_path / "after.zip").problems == report.problems
        assert again.save(tmp_path / "keys-after.zip", keys={}).problems == before_keys.problems
        assert (tmp_path / "after.zip").read_bytes() == (tmp_path / "before.zip").read_bytes()
        assert (tmp_path / "keys-after.zip").read_bytes() == (tmp_path / "keys-before.zip").read_bytes()
        for each in again.tasks:
            again.save(tmp_path / "task.zip", task=each.index)
            assert (tmp_path / "task.zip").read_bytes() == (tmp_path / f"task-{each.index}.zip").read_bytes()
            (tmp_path / "task.zip").unlink()
        assert {d.path: d.digest for d in again.datasets} == came
        assert again.check().problems == seen.problems
        assert again.check(target="codabench.org").files == seen.files


def test_it_is_run_ranked_and_added_again(lab: cb.Workspace, tmp_path: Path) -> None:
    with rich(tmp_path / "came") as comp:
        lab.add(comp)
        lab.submit(comp, answer(tmp_path / "mine"), participant="ada").wait()
    shutil.rmtree(tmp_path / "came")
    again = lab.competition("tiny")
    assert [s.participant for s in (h.record for h in again.submissions())] == ["ada"]
    done = again.run(again.solutions[0], participant="bob", progress="none")
    assert (done.status, done.scores["score"]) == ("Finished", 1)
    assert [row.participant for row in again.leaderboard(rule=False)] == ["ada", "bob"], "who left out a task is last"
    trees = lab.db.trees(again.id)
    assert lab.add(again) is again
    assert lab.db.trees(again.id) == trees
    with cb.Workspace(tmp_path / "other", backend="process") as other:
        other.add(again)
        assert other.competition("Tiny").run(tmp_path / "mine", progress="none").scores["score"] == 0.5


def test_nothing_is_stored_twice(lab: cb.Workspace, tmp_path: Path) -> None:
    comp = lab.add(rich(tmp_path / "came"))
    trees = lab.db.trees(comp.id)
    assert set(trees) == {"scoring", "data.zip", "data", "sol.zip", "sol", "sol/two", "notes.csv", REST, LAYOUT}
    with lab.storage.open_tree(trees[REST]) as rest:
        names = {entry.path for entry in rest.entries()}
    assert names == {"competition.yaml", "logo.png", "overview.md", "terms.md", "more/nobody/names.txt"}


def test_who_is_meant(lab: cb.Workspace, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there are: none"):
        lab.competition("Tiny")
    one = lab.add(cb.load(bundle(tmp_path / "one")))
    assert lab.competition("Tiny").id == one.id == lab.competition(one.id[:4]).id
    with pytest.raises(NotFound, match="Tiny") as caught:
        lab.competition("Tinyy")
    assert "did you mean 'Tiny'" in str(caught.value.__notes__)
    two = lab.add(cb.load(bundle(tmp_path / "two")))
    with pytest.raises(NotFound) as caught:
        lab.competition("Tiny")
    assert caught.value.code == "CB343"
    assert all(comp.id[:8] in str(caught.value) for comp in (one, two))


def test_what_was_only_submitted_to_says_that_its_files_are_not_here(lab: cb.Workspace, tmp_path: Path) -> None:
    comp = cb.load(bundle(tmp_path / "one"))
    lab.submit(comp, answer(tmp_path / "mine")).wait()
    again = lab.competition("Tiny")
    assert again.run(tmp_path / "mine", progress="none").scores["score"] == 0.5
    with pytest.raises(NotFound, match="kept here") as caught:
        again.save(tmp_path / "x.zip")
    assert "workspace.add" in str(caught.value.__notes__)
    lab.add(comp)
    lab.competition("Tiny").save(tmp_path / "x.zip")


@pytest.mark.parametrize("stored", [0, 1, 2])
@pytest.mark.parametrize("how", ["add", "submit"])
def test_one_that_could_not_be_stored_is_not_there(
    how: str, stored: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who brings it is stopped after so many trees: whoever looks meanwhile finds all of it or nothing."""
    with rich(tmp_path / "bundle") as comp, cb.Workspace(tmp_path / "lab", backend="process") as ws:
        put, left = ws.storage.put_tree, stored

        def stops(source: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            assert ws.competitions() == {}
            return put(source)  # type: ignore[arg-type]

        monkeypatch.setattr(ws.storage, "put_tree", stops)
        with pytest.raises(KeyboardInterrupt):
            ws.add(comp) if how == "add" else ws.submit(comp, answer(tmp_path / "mine"))
        assert ws.competitions() == {}
        monkeypatch.undo()
        ws.add(comp)
        with ws.competition(comp.id) as again:
            run = ws.submit(again, answer(tmp_path / "mine"), task="First").wait().run
            assert run.scores["score"] == 0.5
