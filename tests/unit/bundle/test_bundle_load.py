"""Where a bundle may lie, and what is said of what is none."""

from __future__ import annotations

import zipfile
from pathlib import Path

import fsspec
import pytest
from bundle_maker import FILES, GOOD, codes, report, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codabench.bundle.load import read_bundle
from codabench.core.competition import DataSpec
from codabench.core.errors import BundleError, NotFound
from codabench.core.problems import Severity


def zipped(folder: Path, target: Path, wrap: str = "") -> Path:
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, wrap + str(file.relative_to(folder)))
    return target


def test_a_directory_a_zip_and_urls_say_the_same(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    archive = zipped(folder, tmp_path / "b.zip")
    memory = fsspec.filesystem("memory")
    memory.pipe("/bundles/b.zip", archive.read_bytes())
    memory.pipe({f"/bundles/b/{n}": d for n, d in {"competition.yaml": GOOD.encode(), **FILES}.items()})
    specs = []
    for source in (folder, str(archive), f"file://{archive}", "memory://bundles/b.zip", "memory://bundles/b"):
        with read_bundle(source) as bundle:
            assert bundle.spec is not None, str(bundle.report)
            assert bundle.report.files == 9
            specs.append(bundle.spec)
    assert all(spec == specs[0] for spec in specs)


def test_a_wrapped_bundle_is_taken_with_a_warning(tmp_path: Path) -> None:
    folder = write(tmp_path / "b")
    archive = zipped(folder, tmp_path / "b.zip", wrap="my bundle/")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("__MACOSX/my bundle/._competition.yaml", b"x")
        more.writestr(".DS_Store", b"x")
    with read_bundle(archive) as bundle:
        assert bundle.spec is not None
        assert codes(bundle.report, Severity.WARNING) == ["CB112"]
        assert bundle.files.is_file("competition.yaml")


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"competition.yml": b"x"}, "competition.yml"),
        ({"Competition.yaml": b"x"}, "Competition.yaml"),
        ({"metadata": b"command: python3 x.py"}, "program"),
        ({"Task.yml": b"name: x"}, "task.yaml"),
        ({"a/b/task.yaml": b"name: x", "c": b""}, "a/b/task.yaml"),
        ({"answers.csv": b"1"}, "answers.csv"),
        ({"a/b/competition.yaml": b"x", "c": b""}, "a/b/competition.yaml"),
    ],
)
def test_what_is_no_bundle(files: dict[str, bytes], word: str, tmp_path: Path) -> None:
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with read_bundle(tmp_path) as bundle:
        assert bundle.spec is None
        (problem,) = bundle.report
        assert problem.code == "CB110"
        assert word in problem.message
        assert problem.hint


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "CB008"),
        ("# nothing\n---\n", "CB008"),
        ("~\n", "CB008"),
        ("- version: 2\n", "CB009"),
        ("just text\n", "CB009"),
        ("title: 'never closed\n", "CB001"),
        ("a:\n\tb: 1\n", "CB002"),
        ("a: 1\n---\nb: 2\n", "CB007"),
        ("? [a]\n: b\n", "CB006"),
        ("version: 3\n", "CB114"),
        ("version: 1.8\n", "CB114"),
        ("a: *b\n", "CB001"),
        ("a: 'b' c\n", "CB001"),
    ],
)
def test_yaml_that_is_no_bundle(text: str, code: str, tmp_path: Path) -> None:
    found = report(tmp_path, text)
    assert codes(found) == [code]
    assert str(found)


def test_a_byte_order_mark_crlf_and_no_last_newline(tmp_path: Path) -> None:
    text = "\ufeff" + GOOD.rstrip().replace("\n", "\r\n")
    found = report(tmp_path, text)
    assert found.problems == ()


def test_what_cannot_be_read_at_all_raises_with_a_report(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no zip")
    for source, code in ((tmp_path / "x.zip", "CB023"), (tmp_path / "nowhere", "CB021")):
        with pytest.raises(BundleError) as caught:
            read_bundle(source)
        assert caught.value.code == code
        assert caught.value.report is not None
        assert not caught.value.report.ok


def test_what_is_unsafe_is_reported_not_raised(tmp_path: Path) -> None:
    archive = zipped(write(tmp_path / "b"), tmp_path / "b.zip")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("../x", b"out")
    with read_bundle(archive) as bundle:
        assert codes(bundle.report) == ["CB027"]
        assert bundle.spec is None
        with pytest.raises(NotFound):
            bundle.tree(DataSpec(key="elsewhere"))


def test_raise_for_errors_carries_everything(tmp_path: Path) -> None:
    found = report(tmp_path, GOOD.replace("title: Small\n", ""))
    with pytest.raises(BundleError, match="title is missing") as caught:
        found.raise_for_errors()
    assert caught.value.report is found


# fmt: off
SPOILERS = ["", "[]", "{}", "- x", "~", "!!x y", "&a", "*a", "<<: 1", "'", '"', "|", ">", "9" * 50, ".nan",
            "\t", "\0", "é\u202e", "---", "..."]
# fmt: on


@given(
    at=st.integers(0, len(GOOD)),
    length=st.integers(0, 40),
    put=st.one_of(st.sampled_from(SPOILERS), st.text(max_size=10)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=250)
def test_no_change_to_a_bundle_raises(at: int, length: int, put: str, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    if not folder.exists():
        write(folder)
    (folder / "competition.yaml").write_text(GOOD[:at] + put + GOOD[at + length :], errors="surrogateescape")
    with read_bundle(folder) as bundle:
        assert (bundle.spec is None) == (not bundle.report.ok)
        assert all(p.code.startswith("CB") and p.message for p in bundle.report)
        assert "\u202e" not in str(bundle.report)
