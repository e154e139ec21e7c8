"""What is fuzzed: each parser with what it reads, and what must hold of what it makes of that."""

from __future__ import annotations

import io
import json
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, NamedTuple

import _archives
import _documents
from _mutate import spoil, spoil_yaml, spoil_zip
from hypothesis import strategies as st

from codabench.bundle.dates import DateError, parse_date
from codabench.bundle.fact_sheet import check_answers
from codabench.bundle.load import Bundle, read_bundle
from codabench.bundle.metadata import read_metadata
from codabench.bundle.nodes import Mapping, Node, Sequence, value
from codabench.bundle.writer import save_bundle
from codabench.bundle.yaml import read_yaml
from codabench.core.competition import QuestionSpec
from codabench.core.errors import ArchiveError, BundleError
from codabench.core.problems import Problem, Severity
from codabench.core.report import Report
from codabench.runner.scores import read_scores
from codabench.storage.sources import ArchiveLimits, SourceEntry, TreeSource, ZipSource, extract
from codabench.testing.bundles import tiny_logo
from codabench.workspace.described import spec_text

LIMITS = ArchiveLimits(archive_bytes=16 << 20, inflated_bytes=16 << 20, entries=10_000)
TEXT = """\
version: 2
title: Small
image: logo.png
terms: terms.md
pages:
  - title: Overview
    file: overview.md
tasks:
  - {index: 0, name: First, scoring_program: scoring, input_data: data, reference_data: data.zip}
phases:
  - index: 0
    name: One
    start: 2026-01-01
    end: 2026-02-01 14:00:00
    tasks: [0]
leaderboards:
  - title: Board
    key: board
    columns:
      - &c {title: Score, key: score, index: 0}
"""
OLD_TEXT = """\
title: Old
html: {overview: overview.md, terms: terms.md}
phases:
  1: {phasenumber: 1, label: Early, start_date: 2026-02-01, scoring_program: scoring, reference_data: data}
leaderboard:
  leaderboards:
    Main: &MAIN {label: Main board, rank: 1}
  columns:
    big one: {leaderboard: *MAIN, rank: 2}
    both: {leaderboard: *MAIN, label: Both, rank: 1, sort: asc, computed: {operation: Avg, fields: "big one"}}
"""
PROGRAM = {"metadata": b"command: python3 score.py\n", "score.py": b"print(1)\n"}
FILES = {
    "logo.png": tiny_logo(),
    "terms.md": b"Be fair.\n",
    "overview.md": b"# Small\n",
    "data/x.csv": b"1\n",
    **{f"scoring/{name}": data for name, data in PROGRAM.items()},
    "program.zip": _archives.pack({f"p/{name}": data for name, data in PROGRAM.items()}),
    "data.zip": _archives.pack({"y.csv": b"2\n"}),
    "inner.zip": _archives.pack({"deep.zip": _archives.pack({"z.csv": b"3\n"})}),
}


class Parser(NamedTuple):
    """`inputs` are drawn by hypothesis, a few at a time; `read` says whether an input was taken, not refused."""

    inputs: Callable[[], st.SearchStrategy[list[bytes]]]
    read: Callable[[bytes, Path], bool]


DRAWN = 5
"""Inputs from one draw, which is slow: what was drawn, and what it becomes when it is spoiled."""


def spoiled(
    drawn: st.SearchStrategy[bytes], change: Callable[[bytes, Random], bytes] = spoil
) -> st.SearchStrategy[list[bytes]]:
    def make(given: tuple[bytes, int]) -> list[bytes]:
        data, random = given[0], Random(given[1])
        return [data, *(change(data, random) for _ in range(DRAWN - 1))]

    return st.tuples(drawn, st.integers(0, 2**64)).map(make)


def made(make: Callable[[Random], bytes]) -> st.SearchStrategy[list[bytes]]:
    return st.integers(0, 2**64).map(lambda seed: [make(Random(f"{seed}-{n}")) for n in range(DRAWN)])


def lines(data: bytes, random: Random) -> bytes:
    return spoil_yaml(data.decode("utf-8", "surrogatepass"), random)


class Tree(TreeSource):
    """Files in memory."""

    def __init__(self, **files: bytes) -> None:
        self._content = {name.replace("_DOT_", "."): data for name, data in files.items()}
        super().__init__("tree", [SourceEntry(path=name, size=len(data)) for name, data in self._content.items()])

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self._content[path])


# ---------------------------------------------------------------------- what must hold of what is said
def judge(problems: Iterable[Problem]) -> None:
    for problem in problems:
        assert problem.code.startswith("CB"), problem
        assert problem.message.strip(), problem
        assert len(problem.message) < 3000, f"{problem.code}: a message of {len(problem.message)} characters"
        assert len(problem.hint or "") < 3000, f"{problem.code}: a hint of {len(problem.hint or '')} characters"
        problem.model_dump_json()


def judge_report(report: Report) -> None:
    judge(report)
    text = str(report)
    text.encode()
    odd = {c for c in text if not c.isprintable() and c != "\n"}
    assert not odd, f"raw characters in the report: {odd!r}"


# ---------------------------------------------------------------------- archives
def zips(*trees: dict[str, bytes]) -> st.SearchStrategy[list[bytes]]:
    seeds = [(seed, files) for files in trees for seed in _archives.sound(files)]

    def make(random: Random) -> bytes:
        seed, files = random.choice(seeds)
        if random.random() < 0.6:
            return spoil_zip(seed, random)
        lying = _archives.lying(random, files)
        return lying if random.random() < 0.7 else spoil_zip(lying, random)

    return made(make)


def read_zip(data: bytes, folder: Path) -> bool:
    path = folder / "archive.zip"
    path.write_bytes(data)
    try:
        with ZipSource(path, limits=LIMITS) as tree:
            judge(tree.problems)
            for entry in tree.entries():
                if entry.kind == "file":
                    assert len(tree.read_bytes(entry.path)) == entry.size
                    with tree.open(entry.path) as file:
                        assert file.read(entry.size + 1) == tree.read_bytes(entry.path)
            _compare(tree, path)
            _unpack(tree, folder)
    except ArchiveError as error:
        judge([Problem(code=error.code, severity=Severity.ERROR, message=error.message, hint=error.hint)])
        return False
    return True


def _compare(tree: TreeSource, path: Path) -> None:
    """What was read is what the archive has the checksums of, as another reader finds them."""
    try:
        with zipfile.ZipFile(path) as other:
            sums = {info.filename.replace("\\", "/"): info.CRC for info in other.infolist()}
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError, struct.error):
        return
    for entry in tree.entries():
        if entry.kind == "file" and entry.path in sums:
            assert zlib.crc32(tree.read_bytes(entry.path)) == sums[entry.path], entry.path


def _unpack(tree: TreeSource, folder: Path) -> None:
    """What is unpacked is what was listed, and nothing else."""
    outer = folder / "outer"
    (outer / "inner").mkdir(parents=True)
    try:
        extract(tree, outer / "inner", limits=LIMITS)
        found = {p.relative_to(outer / "inner").as_posix() for p in outer.rglob("*") if p.is_file()}
        assert found == {e.path for e in tree.entries() if e.kind == "file"}
        assert [p.name for p in outer.iterdir()] == ["inner"]
    finally:
        shutil.rmtree(outer)


def packed_bundles() -> st.SearchStrategy[list[bytes]]:
    return zips(*({"competition.yaml": text.encode(), **FILES} for text in (TEXT, OLD_TEXT)))


def read_packed(data: bytes, folder: Path) -> bool:
    path = folder / "bundle.zip"
    path.write_bytes(data)
    return _read(path, folder, crc_of=data)


# ---------------------------------------------------------------------- YAML
def yamls() -> st.SearchStrategy[list[bytes]]:
    seeds = (TEXT, OLD_TEXT, "a: 1\nb: [c, {d: e}]\n", "- |\n  long\n  text\n- >\n  folded\n- 'q'\n- \"d\\n\"\n")
    return made(lambda random: spoil_yaml(random.choice(seeds), random))


def read_text(data: bytes, folder: Path) -> bool:
    root, source = read_yaml(data, "x.yaml")
    judge_report(Report(source="x.yaml", problems=tuple(source.problems)))
    refused = any(p.severity.value == "error" for p in source.problems)
    if root is None:
        return not refused
    assert root.size <= 50_000
    pending: list[Node] = [root]
    while pending:
        node = pending.pop()
        where = source.of(node)
        assert where.line is not None
        assert where.excerpt is not None, (where, len(source.lines))
        if isinstance(node, Mapping):
            pending += [n for entry in node.entries.values() for n in entry][:50]
        elif isinstance(node, Sequence):
            pending += node.items[:50]
    value(root)
    return not refused


# ---------------------------------------------------------------------- bundles
def read_competition(data: bytes, folder: Path) -> bool:
    return _described(data, folder, "competition.yaml")


def read_task(data: bytes, folder: Path) -> bool:
    return _described(data, folder, "task.yaml")


def _described(data: bytes, folder: Path, name: str) -> bool:
    bundle = folder / "bundle"
    if not bundle.exists():
        for path, content in FILES.items():
            (bundle / path).parent.mkdir(parents=True, exist_ok=True)
            (bundle / path).write_bytes(content)
    (bundle / name).write_bytes(data)
    return _read(bundle, folder, crc_of=data)


def _read(path: Path, folder: Path, crc_of: bytes) -> bool:
    try:
        opened = read_bundle(path, limits=LIMITS)
    except BundleError as error:
        judge_report(error.report or Report(source="without a report", problems=()))
        return False
    with opened:
        judge_report(opened.report)
        if opened.spec is None:
            assert not opened.report.ok
            return False
        spec_text(opened.spec).encode()
        opened.spec.model_dump_json()
        if opened.format != "task" and zlib.crc32(crc_of) % SAMPLE == 0:
            round_trip(opened, folder)
    return True


SAMPLE = 2
"""One of so many of the bundles that load is saved, read back and saved again."""


def round_trip(bundle: Bundle, folder: Path) -> None:
    first, second = folder / "first.zip", folder / "second.zip"
    try:
        said = save_bundle(bundle, first)
        judge_report(said)
        assert "CB160" not in [p.code for p in said], said
        with read_bundle(first) as again:
            judge_report(again.report)
            assert again.spec is not None, again.report
            assert bundle.spec is not None
            if bundle.format == "v2" and not list(said):  # else something changed, and that was said
                assert again.spec == bundle.spec, _difference(again.spec, bundle.spec)
            judge_report(save_bundle(again, second))
        assert first.read_bytes() == second.read_bytes()
    except ArchiveError as error:
        # A file that nothing names is damaged: that is seen when it is copied.
        assert error.code == "CB025"  # noqa: PT017
        assert not second.exists()
    finally:
        first.unlink(missing_ok=True)
        second.unlink(missing_ok=True)


def _difference(one: Any, other: Any) -> str:
    keys = [key for key in type(one).model_fields if getattr(one, key) != getattr(other, key)]
    return "; ".join(f"{key}: {getattr(other, key)!r} became {getattr(one, key)!r}" for key in keys)[:2000]


# ---------------------------------------------------------------------- small files
def read_program(data: bytes, folder: Path) -> bool:
    found = read_metadata(Tree(metadata=data), "scoring")
    judge_report(Report(source="metadata", problems=found.problems))
    assert all(p.severity.value != "error" for p in found.problems)
    assert all(command == command.strip() != "" for command in found.commands)
    return bool(found.commands)


def read_scores_txt(data: bytes, folder: Path) -> bool:
    return _scores(Tree(scores_DOT_txt=data))


def read_scores_json(data: bytes, folder: Path) -> bool:
    return _scores(Tree(scores_DOT_json=data))


def _scores(tree: Tree) -> bool:
    found = read_scores(tree, ("score", "loss"))
    judge([*found.warnings, *([found.problem] if found.problem else [])])
    json.dumps(found.raw, allow_nan=False).encode()
    found.model_dump_json()
    assert all(isinstance(score, float) and abs(score) < float("inf") for score in found.scores.values())
    assert found.problem is None or not found.scores
    return found.problem is None


def read_answers(data: bytes, folder: Path) -> bool:
    given = json.loads(data)
    questions = []
    for question in given["questions"]:
        flags = {key: str(question[key]).lower() == "true" for key in ("is_required", "is_on_leaderboard")}
        questions.append(QuestionSpec(**{**question, **flags, "selection": tuple(question["selection"])}))
    problems = check_answers(questions, given["answers"])
    judge_report(Report(source="answers", problems=tuple(problems)))
    return not problems


def read_date(data: bytes, folder: Path) -> bool:
    text = data.decode("utf-8", "replace")
    taken = False
    for plain in (True, False):
        try:
            moment, _ = parse_date(text, plain=plain)
        except DateError as error:
            judge([Problem(code="CB201", severity=Severity.ERROR, message=str(error), hint=error.hint)])
            continue
        taken = True
        if moment is not None:
            assert moment.utcoffset() is not None
            assert parse_date(moment.isoformat()) == (moment, None)
    return taken


PARSERS = {
    "zip": Parser(lambda: zips(FILES), read_zip),
    "yaml": Parser(yamls, read_text),
    "version-2": Parser(lambda: spoiled(_documents.version_2(), lines), read_competition),
    "version-1.5": Parser(lambda: spoiled(_documents.version_15(), lines), read_competition),
    "task": Parser(lambda: spoiled(_documents.task(), lines), read_task),
    "packed-bundle": Parser(packed_bundles, read_packed),
    "metadata": Parser(lambda: spoiled(_documents.metadata(), lines), read_program),
    "scores.txt": Parser(lambda: spoiled(_documents.scores_txt()), read_scores_txt),
    "scores.json": Parser(lambda: spoiled(_documents.scores_json()), read_scores_json),
    "fact-sheet": Parser(lambda: _documents.fact_sheets(), read_answers),
    "date": Parser(lambda: spoiled(_documents.date()), read_date),
}
