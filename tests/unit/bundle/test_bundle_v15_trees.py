"""Programs and submissions as CodaLab unpacked them: the folder around them off, archives in them unpacked."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from bundle_maker import write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codabench.bundle.load import Bundle, read_bundle
from codabench.bundle.v15_trees import unpack_program, without_wrapping
from codabench.core.problems import Severity
from codabench.storage.sources import ArchiveLimits, TreeSource, open_source

COMMAND = b"command: python $program/score.py\n"
OLD = """\
title: Old
image: logo.png
html: {terms: terms.md}
phases:
  1: {phasenumber: 1, label: One, start_date: 2026-01-01, scoring_program: P, reference_data: P}
leaderboard:
  leaderboards: {B: &B {label: B}}
  columns: {x: {leaderboard: *B}}
"""


def packed(files: dict[str, bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def tree(folder: Path, files: dict[str, bytes]) -> TreeSource:
    (folder / "x.zip").write_bytes(packed(files))
    return open_source(folder / "x.zip")


def content(source: TreeSource) -> dict[str, bytes]:
    return {e.path: source.read_bytes(e.path) for e in source.entries() if e.kind == "file"}


@pytest.mark.parametrize(
    ("files", "wrapped"),
    [
        ({"a/metadata": COMMAND, "a/b/c": b""}, True),
        ({"a/metadata.yaml": COMMAND}, True),
        ({"a/metadata": b"", "__MACOSX/a/._metadata": b"", ".DS_Store": b""}, True),
        ({"a/metadata": COMMAND, "b": b""}, False),  # near misses: not the only one,
        ({"a/b/metadata": COMMAND}, False),  # too deep,
        ({"a/score.py": b""}, False),  # without metadata,
        ({"metadata": COMMAND, "a/metadata": b""}, False),  # with one at the top
        ({"metadata": COMMAND}, False),
    ],
)
def test_one_folder_with_metadata_is_taken_off(files: dict[str, bytes], wrapped: bool, tmp_path: Path) -> None:
    with tree(tmp_path, files) as source:
        bare = without_wrapping(source)
        assert (bare is not source) == wrapped
        if wrapped:
            assert content(bare) == {n[2:]: d for n, d in files.items() if n.startswith("a/")}


def test_zips_at_the_top_are_unpacked_beside_themselves(tmp_path: Path) -> None:
    inner = packed({"one.py": b"1", "deep/two.py": b"2", "again.zip": packed({"x": b""})})
    files = {"w/metadata": COMMAND, "w/lib.zip": inner, "w/sub/other.zip": inner}
    with tree(tmp_path, files) as source, unpack_program(source, ArchiveLimits.OWN) as program:
        found = content(program)
        assert found["lib.zip"] == inner
        assert found["lib/one.py"] == b"1"
        assert found["lib/deep/two.py"] == b"2"
        assert sorted(found) == [
            *("lib.zip", "lib/again.zip", "lib/deep/two.py", "lib/one.py", "metadata", "sub/other.zip")
        ]
        assert [p.code for p in program.problems] == ["CB312", "CB312"]


def test_a_program_with_nothing_to_unpack_stays_itself(tmp_path: Path) -> None:
    files = {"metadata": COMMAND, "lib.zip": packed({"x": b""}), "lib/x": b"", ".zip": b"", "deep/a.zip": b""}
    with tree(tmp_path, files) as source:
        assert unpack_program(source, ArchiveLimits.OWN) is source


@pytest.mark.parametrize(
    "bad",
    [b"", b"no zip", packed({"../x": b"out"}), packed({"x": b"1"})[:-9]],
    ids=["empty", "no zip", "leads out", "cut off"],  # a zip holds the time of day, in which workers differ
)
def test_an_archive_that_cannot_be_used_stays_packed(bad: bytes, tmp_path: Path) -> None:
    files = {"metadata": COMMAND, "lib.zip": bad}
    with tree(tmp_path, files) as source, unpack_program(source, ArchiveLimits.OWN) as program:
        assert content(program) == files
        (problem,) = program.problems
        assert (problem.code, problem.severity) == ("CB308", Severity.WARNING)


def test_archives_share_one_budget(tmp_path: Path) -> None:
    inner = packed({"x": b"0" * 1000})
    with tree(tmp_path, {"metadata": COMMAND, "a.zip": inner, "b.zip": inner}) as source:
        with unpack_program(source, ArchiveLimits(inflated_bytes=1500)) as program:
            assert [program.is_dir("a"), program.is_dir("b")] == [True, False]
            assert [p.code for p in program.problems] == ["CB312", "CB308"]
        with unpack_program(source, ArchiveLimits(inflated_bytes=2000)) as program:
            assert program.is_dir("b")


def read(folder: Path, program: str, files: dict[str, bytes]) -> Bundle:
    target = write(folder, OLD.replace("P", program))
    for name, data in files.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    return read_bundle(target)


@pytest.mark.parametrize("zipped", [False, True])
def test_only_the_program_is_unpacked_not_the_data_of_the_same_name(zipped: bool, tmp_path: Path) -> None:
    files = {"in/metadata": COMMAND, "in/lib.zip": packed({"m.py": b"7"})}
    given = {"p.zip": packed(files)} if zipped else {f"p/{name}": data for name, data in files.items()}
    with read(tmp_path, "p.zip" if zipped else "p", given) as bundle:
        assert bundle.spec is not None, str(bundle.report)
        (task,) = bundle.spec.tasks
        assert task.scoring_program is not None
        assert task.reference_data is not None
        assert task.scoring_program.commands == ("python $program/score.py",)
        assert task.scoring_program.path == task.reference_data.path
        assert task.scoring_program.tree != task.reference_data.tree
        assert sorted(content(bundle.tree(task.scoring_program))) == ["lib.zip", "lib/m.py", "metadata"]
        assert sorted(content(bundle.tree(task.reference_data))) == ["in/lib.zip", "in/metadata"]
        assert [p.code for p in bundle.report.notes] == ["CB312", "CB312"]


def test_in_version_2_programs_stay_as_they_are(tmp_path: Path) -> None:
    with read_bundle(write(tmp_path, scoring__lib_DOT_zip=packed({"m.py": b""}))) as bundle:
        assert bundle.spec is not None
        program = bundle.spec.tasks[0].scoring_program
        assert program is not None
        assert not program.unpacked
        assert not bundle.tree(program).is_dir("lib")


@given(
    names=st.lists(
        st.sampled_from(["a/metadata", "a/b", "metadata", "a.zip", "a/a.zip", "b/a.zip", "__MACOSX/x", ".DS_Store"]),
        unique=True,
        min_size=1,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_every_file_of_a_program_is_still_there(names: list[str], tmp_path: Path) -> None:
    inner = packed({"z": b"z"})
    files = {name: inner if name.endswith(".zip") else b"" for name in names}
    with tree(tmp_path, files) as source, unpack_program(source, ArchiveLimits.OWN) as program:
        bare = without_wrapping(source)
        assert content(bare).items() <= content(program).items()
        added = set(content(program)) - set(content(bare))
        assert added == ({"a/z"} if bare.is_file("a.zip") and not bare.exists("a") else set())
