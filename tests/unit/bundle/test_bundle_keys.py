"""Task archives that are written, and bundles whose data sets are written by key or with their files."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import server_reader
import yaml
from bundle_maker import GOOD, codes, write
from task_maker import PARTS, TASK, archive, folder, packed
from typer.testing import CliRunner

import codabench as cb
from codabench.bundle.datasets import KeyedData
from codabench.bundle.load import read_bundle
from codabench.cli.app import app
from codabench.core.competition import CompetitionSpec
from codabench.core.errors import BundleError, NotFound, UsageError
from codabench.core.trees import tree_digest
from codabench.storage.directory import DirectorySource
from codabench.storage.sources import manifest

KEYS = {
    "scoring_program": "10000000-0000-4000-8000-000000000001",
    "ingestion_program": "10000000-0000-4000-8000-000000000002",
    "input_data": "10000000-0000-4000-8000-000000000003",
    "reference_data": "10000000-0000-4000-8000-000000000004",
    "starting_kit": "10000000-0000-4000-8000-000000000005",
    "solution": "10000000-0000-4000-8000-000000000006",
    "task": "10000000-0000-4000-8000-000000000007",
}


def contents(comp: cb.Competition) -> dict[str, str]:
    """The digest of everything that programs and people get, by what it is for."""
    spec = comp.spec
    found = {f"{t.index} {role}": part for t in spec.tasks for role, part in t.parts.items()}
    found |= {f"{p.index} {role}": part for p in spec.phases for role, part in p.parts.items()}
    found |= {f"solution {s.index}": s for s in spec.solutions}
    return {what: tree_digest(manifest(comp.tree(part))) for what, part in found.items()}


def without_keys(spec: CompetitionSpec) -> Any:
    """Everything but keys and the places of files."""

    def cleaned(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                k: cleaned(v)
                for k, v in value.items()
                if k not in ("path", "unpacked") and (k != "key" or "title" in value)
            }
        return [cleaned(item) for item in value] if isinstance(value, (list, tuple)) else value

    return cleaned(spec.model_dump())


def names(place: Path) -> list[str]:
    if place.is_dir():
        return sorted(p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file())
    with zipfile.ZipFile(place) as opened:
        return opened.namelist()


# ---------------------------------------------------------------------- a task that is written again
@pytest.mark.parametrize("dest", ["new.zip", "new"])
def test_a_task_reads_back_equal_with_all_its_files(dest: str, tmp_path: Path) -> None:
    text = TASK.replace("zip: input.zip", "zip: input.zip\n  note: mine") + "colour: [blue, 1]\n"
    task = cb.load(archive(tmp_path / "t.zip", text, README_DOT_md=b"Hello"))
    assert task.save(tmp_path / dest).problems == ()
    saved = cb.load(tmp_path / dest)
    assert (saved.spec, contents(saved)) == (task.spec, contents(task))
    assert "README.md" in names(tmp_path / dest)
    seen = server_reader.read_task(tmp_path / dest)
    assert (seen["name"], seen["is_public"]) == ("Capitals", True)
    assert seen["parts"] == {
        "scoring_program": PARTS["scoring.zip"],
        "ingestion_program": PARTS["ingestion.zip"],
        "input_data": PARTS["input.zip"],
        "reference_data": PARTS["truth.zip"],
    }


def test_the_same_task_gives_the_same_bytes(tmp_path: Path) -> None:
    cb.load(archive(tmp_path / "t.zip", TASK.replace("\n", "\r\n"))).save(tmp_path / "a.zip")
    cb.load(folder(tmp_path / "t")).save(tmp_path / "b.zip")
    cb.load(tmp_path / "b.zip").save(tmp_path / "c.zip")
    assert len({(tmp_path / f"{n}.zip").read_bytes() for n in "abc"}) == 1


def test_folders_become_archives(tmp_path: Path) -> None:
    source = folder(tmp_path / "t", input_DOT_zip=None)
    (source / "input").mkdir()
    (source / "input/questions.csv").write_text("1")
    report = cb.load(source).save(tmp_path / "new.zip")
    assert report.problems == ()
    assert contents(cb.load(tmp_path / "new.zip")) == contents(cb.load(source))
    assert set(server_reader.read_task(tmp_path / "new.zip")["parts"]) == set(cb.load(source).tasks[0].parts)


@pytest.mark.parametrize("keys", [None, {}], ids=["files", "keys"])
def test_a_task_by_key(keys: dict[str, str] | None, tmp_path: Path) -> None:
    text = TASK.replace("zip: truth.zip", f"key: {KEYS['reference_data']}")
    truth = tmp_path / "truth.zip"
    truth.write_bytes(packed(answers_DOT_csv="3"))
    datasets = {KEYS["reference_data"]: truth}
    task = cb.load(archive(tmp_path / "t.zip", text, truth_DOT_zip=None), datasets=datasets)
    report = task.save(tmp_path / "new.zip", keys=keys)
    saved = cb.load(tmp_path / "new.zip", datasets=None if keys is None else datasets)
    assert contents(saved) == contents(task)
    if keys is None:
        assert [p.code for p in report] == ["CB168"]
        assert server_reader.read_task(tmp_path / "new.zip")["parts"]["reference_data"] == truth.read_bytes()
        assert without_keys(saved.spec) == without_keys(task.spec)
    else:
        assert report.problems == ()
        assert saved.spec == task.spec
        known = {KEYS["reference_data"]: "reference_data"}
        assert server_reader.read_task(tmp_path / "new.zip", known)["parts"]["reference_data"] in known


def test_a_part_of_a_task_becomes_a_key(tmp_path: Path) -> None:
    task = cb.load(archive(tmp_path / "t.zip"))
    task.save(tmp_path / "new.zip", keys={"truth.zip": KEYS["reference_data"]})
    assert "truth.zip" not in names(tmp_path / "new.zip")
    assert task.spec.tasks[0].reference_data is not None
    tree = task.tree(task.spec.tasks[0].reference_data)
    assert contents(cb.load(tmp_path / "new.zip", datasets={KEYS["reference_data"]: tree})) == contents(task)


# ---------------------------------------------------------------------- one task of a competition
@pytest.mark.parametrize("wanted", [0, "First"])
def test_a_task_is_taken_out_of_a_competition(wanted: int | str, tmp_path: Path) -> None:
    inner = packed(x_DOT_csv="1")
    text = GOOD.replace("input_data: data", "input_data: in.zip").replace(
        "  - index: 0\n    name: First", "  - index: 0\n    name: First\n    is_public: true\n    colour: blue"
    )
    comp = cb.load(write(tmp_path / "b", text, in_DOT_zip=inner))
    assert comp.save(tmp_path / "task.zip", task=wanted).problems == ()
    task = cb.load(tmp_path / "task.zip")
    assert contents(task) == contents(comp)
    assert names(tmp_path / "task.zip") == [
        "ingestion_program.zip",
        "input_data.zip",
        "reference_data.zip",
        "scoring_program.zip",
        "task.yaml",
    ]
    seen = server_reader.read_task(tmp_path / "task.zip")
    assert (seen["name"], seen["description"], seen["is_public"]) == ("First", "", True)
    assert seen["parts"]["input_data"] == inner, "an archive keeps its bytes"
    assert task.spec.tasks[0].extras == {"is_public": True, "colour": "blue"}
    comp.save(tmp_path / "again.zip", task=wanted)
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "task.zip").read_bytes()


def test_what_a_task_archive_cannot_say(tmp_path: Path) -> None:
    text = GOOD.replace("title: Small", "title: Small\ndocker_image: python:3.12").replace(
        "start: 2026-01-01", "start: 2026-01-01\n    execution_time_limit: 60"
    )
    comp = cb.load(write(tmp_path / "b", text))
    report = comp.save(tmp_path / "task", task=0)
    assert [(p.code, p.severity) for p in report] == [("CB167", "warning"), ("CB167", "note")]
    with pytest.raises(NotFound):
        comp.save(tmp_path / "other", task="Second")
    assert not (tmp_path / "other").exists()


# ---------------------------------------------------------------------- dumps
FULL = GOOD.replace("start: 2026-01-01", "start: 2026-01-01\n    starting_kit: kit.zip") + (
    "solutions: [{index: 0, path: best, tasks: [0]}]\n"
)
PLACES = {
    "scoring": KEYS["scoring_program"],
    "ingestion/": KEYS["ingestion_program"],
    "data": KEYS["input_data"],
    "kit.zip": KEYS["starting_kit"],
    "best": KEYS["solution"],
}


def full(place: Path) -> Path:
    return write(place, FULL, kit_DOT_zip=packed(readme="Hello"), best__model_DOT_py=b"")


def given(comp: cb.Competition) -> dict[str, Any]:
    """The data sets as a server would have them."""
    return {PLACES.get(d.path or "", PLACES.get(f"{d.path}/", "")): d.tree for d in comp.datasets}


def test_a_competition_is_written_by_key_and_read_again(tmp_path: Path) -> None:
    comp = cb.load(full(tmp_path / "b"))
    report = comp.save(tmp_path / "dump.zip", keys=PLACES)
    assert report.problems == ()
    assert names(tmp_path / "dump.zip") == ["competition.yaml", "logo.png", "overview.md", "terms.md"]
    with read_bundle(tmp_path / "dump.zip") as bundle:
        assert codes(bundle.report) == ["CB304"] * 6
    dump = cb.load(tmp_path / "dump.zip", datasets=given(comp))
    assert contents(dump) == contents(comp)
    assert without_keys(dump.spec) == without_keys(comp.spec)
    # Again by key: nothing is lost, and the bytes are the same.
    dump.save(tmp_path / "again.zip", keys={})
    assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "dump.zip").read_bytes()
    assert cb.load(tmp_path / "again.zip", datasets=given(comp)).spec == dump.spec
    # With files: it stands alone, also on codabench.org.
    assert [p.code for p in dump.save(tmp_path / "files.zip")] == ["CB168"]
    alone = cb.load(tmp_path / "files.zip")
    assert contents(alone) == contents(comp)
    assert without_keys(alone.spec) == without_keys(comp.spec)
    assert server_reader.read(tmp_path / "files.zip")["title"] == "Small"


def test_files_that_something_else_names_stay(tmp_path: Path) -> None:
    text = GOOD.replace("start: 2026-01-01", "start: 2026-01-01\n    public_data: data/x.csv")
    comp = cb.load(write(tmp_path / "b", text))
    comp.save(tmp_path / "dump", keys={"data": KEYS["input_data"]})
    assert "data/x.csv" in names(tmp_path / "dump")


@pytest.mark.parametrize("keys", [{"scorring": KEYS["task"]}, {"scoring": "mine"}])
def test_keys_that_cannot_be_meant(keys: dict[str, str], tmp_path: Path) -> None:
    comp = cb.load(write(tmp_path / "b"))
    with pytest.raises(UsageError) as caught:
        comp.save(tmp_path / "new", keys=keys)
    assert caught.value.code == "CB170"
    assert caught.value.hint
    assert not (tmp_path / "new").exists()


def test_a_task_by_key_is_written_by_key_or_with_its_files(tmp_path: Path) -> None:
    text = GOOD.replace("tasks: [0]\nleader", "tasks: [1]\nleader").replace(
        "phases:", f"  - index: 1\n    key: {KEYS['task']}\nphases:"
    )
    datasets = {KEYS["task"]: archive(tmp_path / "task.zip")}
    comp = cb.load(write(tmp_path / "b", text), datasets=datasets)
    assert comp.save(tmp_path / "keys.zip", keys={}).problems == ()
    assert not [name for name in names(tmp_path / "keys.zip") if name.startswith("datasets")]
    assert cb.load(tmp_path / "keys.zip", datasets=datasets).spec == comp.spec
    assert [p.code for p in comp.save(tmp_path / "files.zip")] == ["CB168"]
    assert contents(cb.load(tmp_path / "files.zip")) == contents(comp)
    assert server_reader.read(tmp_path / "files.zip")["tasks"][1]["name"] == "Capitals"
    comp.save(tmp_path / "one.zip", task="Capitals")
    assert server_reader.read_task(tmp_path / "one.zip")["parts"]["reference_data"] == PARTS["truth.zip"]


def exported(with_files: bool) -> tuple[str, dict[str, bytes]]:
    """A competition as servers export it: texts for numbers, days for moments, a task once for each phase."""
    one = {"name": "Capitals", "description": "Name the capitals", "is_public": False, "id": 17}
    parts = {role: f"{role}-17.zip" if with_files else KEYS[role] for role in list(KEYS)[:4]}
    tasks = [{"index": n, **({} if with_files else {"key": KEYS["task"]}), **one, **parts} for n in (0, 1)]
    phases = [
        {
            "index": 0,
            "name": "One",
            "start": "2026-01-01",
            "end": "2026-02-01",
            "tasks": [0],
            "solutions": [],
            "max_submissions": 9,
        },
        {
            "index": 1,
            "name": "Two",
            "start": "2026-02-01",
            "end": None,
            "tasks": [1],
            "solutions": [0],
            "status": "Current",
        },
    ]
    document = {
        "version": "2",
        "title": "Exported",
        "image": "logo.png",
        "terms": "terms.md",
        "pages": [{"title": "Overview", "file": "page-1.md", "index": 0}],
        "tasks": tasks,
        "phases": phases,
        "solutions": [
            {"index": 0, "tasks": [0, 1], **({"path": "solution-3.zip"} if with_files else {"key": KEYS["solution"]})}
        ],
        "leaderboards": [{"title": "R", "key": "r", "columns": [{"title": "S", "key": "s", "index": 0}]}],
    }
    inner = dict(zip(list(KEYS)[:4], PARTS.values(), strict=True))
    files = {f"{role}-17.zip": data for role, data in inner.items()} if with_files else {}
    text = yaml.safe_dump(document, sort_keys=False)
    for day in ("2026-01-01", "2026-02-01"):
        text = text.replace(f"'{day}'", day)  # servers write days without quotes
    pages = {"page-1.md": b"# Page", "terms.md": b"Terms", "logo.png": b"\x89PNG\r\n\x1a\n"}
    return text, {**pages, **files, **({"solution-3.zip": packed(model_DOT_py="")} if with_files else {})}


@pytest.mark.parametrize("with_files", [True, False], ids=["files", "keys"])
def test_what_servers_export(with_files: bool, tmp_path: Path) -> None:
    text, files = exported(with_files)
    source = tmp_path / "dump.zip"
    with zipfile.ZipFile(source, "w") as made:
        for name, data in {"competition.yaml": text.encode(), **files}.items():
            made.writestr(name, data)
    datasets = {KEYS[role]: tmp_path / f"{role}.zip" for role in (*list(KEYS)[:4], "solution")}
    for place, data in zip(datasets.values(), (*PARTS.values(), packed(model_DOT_py="")), strict=True):
        place.write_bytes(data)
    if not with_files:
        assert set(codes(cb.check(source))) == {"CB304"}
    dump = cb.load(source, datasets=None if with_files else datasets)
    said = {p.code for p in dump.check() if p.severity != "error"}
    assert said == {"CB205"} | (set() if with_files else {"CB166"})
    assert [t.name for t in dump.tasks] == ["Capitals", "Capitals"]
    assert dump.phases[1].extras["solutions"] == [0]
    # Written by key: equal. Written with files: a server takes it, and it means the same but for the touching phases.
    dump.save(tmp_path / "keys.zip", keys={})
    again = cb.load(tmp_path / "keys.zip", datasets=datasets)
    apart = dump.spec.phases[0].model_copy(update={"end": again.phases[0].end})
    assert again.spec == dump.spec.model_copy(update={"phases": (apart, dump.spec.phases[1])})
    dump.save(tmp_path / "files.zip")
    alone = cb.load(tmp_path / "files.zip")
    assert contents(alone) == contents(dump)
    assert without_keys(alone.spec) == without_keys(again.spec)
    assert [t["name"] for t in server_reader.read(tmp_path / "files.zip")["tasks"].values()] == ["Capitals"] * 2


# ---------------------------------------------------------------------- a source that cannot be read
class Broken(io.BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise OSError(5, "Input/output error")


@pytest.mark.parametrize("options", [{}, {"task": 0}])
def test_a_file_that_cannot_be_read_is_not_blamed_on_the_destination(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    comp = cb.load(write(tmp_path / "b"))
    opened = DirectorySource.open

    def open_(source: DirectorySource, path: str) -> BinaryIO:
        return Broken() if path.endswith("score.py") else opened(source, path)

    monkeypatch.setattr(DirectorySource, "open", open_)
    with pytest.raises(BundleError) as caught:
        comp.save(tmp_path / "new", **options)
    assert caught.value.code == "CB038"
    assert "score.py' in the bundle cannot be read: Input/output error" in caught.value.message
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b"]


# ---------------------------------------------------------------------- in a terminal
def test_convert(tmp_path: Path) -> None:
    source = full(tmp_path / "b")
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps({"data": KEYS["input_data"]}))
    run = CliRunner().invoke
    assert run(app, ["convert", str(source), str(tmp_path / "t.zip"), "--task", "First"]).exit_code == 0
    assert cb.load(tmp_path / "t.zip").spec.format == "task"
    assert run(app, ["convert", str(tmp_path / "t.zip"), str(tmp_path / "u.zip")]).exit_code == 0
    assert (tmp_path / "t.zip").read_bytes() == (tmp_path / "u.zip").read_bytes()
    assert run(app, ["convert", str(source), str(tmp_path / "k.zip"), "--keys", str(keys)]).exit_code == 0
    known = ["--dataset", f"{KEYS['input_data']}={source / 'data'}"]
    assert run(app, ["convert", str(tmp_path / "k.zip"), str(tmp_path / "f.zip")]).exit_code == 2
    assert run(app, ["convert", str(tmp_path / "k.zip"), str(tmp_path / "f.zip"), *known]).exit_code == 0
    assert contents(cb.load(tmp_path / "f.zip")) == contents(cb.load(source))


@pytest.mark.parametrize("text", ["[1]", "{", None])
def test_a_file_of_keys_that_cannot_be_read(text: str | None, tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    if text is not None:
        keys.write_text(text)
    source = full(tmp_path / "b")
    done = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "new"), "--keys", str(keys)])
    assert done.exit_code == 2
    assert "CB170" in done.stderr


@pytest.mark.parametrize("given", ["truth.zip", 3, {"5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01": 3}, lambda key: 3])
def test_data_sets_are_given_as_paths(given: Any) -> None:
    with pytest.raises(UsageError) as caught:
        KeyedData(given).find("5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01")
    assert caught.value.code == "CB170"
    assert caught.value.hint
