"""Y01-Y14: what hostile YAML may not do. Each defence has a twin that shows what happens without it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import yaml as pyyaml

from codabench.bundle import yaml as ours
from codabench.bundle.load import read_bundle
from codabench.bundle.nodes import Mapping, Node, Scalar, value
from codabench.bundle.yaml import read_yaml
from codabench.core.problems import Severity

GOOD = """\
version: 2
title: Hostile
image: logo.png
terms: terms.md
pages: [{title: Overview, file: terms.md}]
tasks: [{index: 0, name: N, scoring_program: scoring}]
phases: [{index: 0, name: P, start: 2026-01-01, tasks: [0]}]
leaderboards: [{title: N, key: n, columns: [{title: N, key: n, index: 0}]}]
"""


def errors(text: str | bytes) -> list[str]:
    """The codes of the errors; reading takes less than two seconds, not counting those for which others worked."""
    start = time.process_time()
    _, source = read_yaml(text if isinstance(text, bytes) else text.encode(), "x.yaml")
    assert time.process_time() - start < 2
    return [p.code for p in source.problems if p.severity is Severity.ERROR]


def bundle(folder: Path, text: str) -> Path:
    (folder / "scoring").mkdir(parents=True)
    (folder / "competition.yaml").write_text(text)
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "terms.md").write_text("Be fair.")
    (folder / "scoring" / "metadata").write_text("command: python3 score.py")
    (folder / "scoring" / "score.py").write_text("")
    return folder


def test_the_good_one_is_good(tmp_path: Path) -> None:
    assert read_bundle(bundle(tmp_path / "b", GOOD)).report.problems == ()


# ---------------------------------------------------------------------- Y01: tags
TAGS = [
    "!!python/object/apply:os.system ['touch harmed']",
    "!!python/object/new:os.system ['touch harmed']",
    "!!python/name:os.system",
    "!!python/module:os",
    "!!python/tuple [1]",
    "!!binary aGVsbG8=",
    "!!set {a, b}",
    "!own thing",
    "!<tag:example.org,2000:x> y",
]


@pytest.mark.parametrize("tagged", TAGS)
def test_y01_tags_are_not_read(tagged: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert errors(f"title: {tagged}\n") == ["CB006"]
    assert os.listdir(tmp_path) == []


def test_y01_twin_an_unsafe_loader_executes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pyyaml.load(f"title: {TAGS[0]}\n", Loader=pyyaml.UnsafeLoader)
    assert os.listdir(tmp_path) == ["harmed"]


# ---------------------------------------------------------------------- Y02-Y04: size and depth
def laughs(levels: int) -> str:
    lines = ["a0: &a0 lol"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels + 1)]
    return "\n".join(lines) + "\n"


def merges(levels: int) -> str:
    lines = ["m0: &m0 {k: v}"]
    lines += [f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}], k{n}: v}}" for n in range(1, levels + 1)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("text", [laughs(9), merges(24), "x: &x [*x]\n", "x: &x {a: *x}\n"])
def test_y02_aliases_are_counted_written_out(text: str) -> None:
    assert errors(text) == ["CB005"]


def test_y02_twin_without_the_count_it_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "MAX_NODES", 10**12)
    root, source = read_yaml(laughs(9).encode(), "x.yaml")
    assert source.problems == []
    assert root is not None
    assert root.size > 400_000_000


def test_y02_honest_aliases_are_taken() -> None:
    text = "base: &b {a: 1}\n" + "".join(f"k{n}: *b\n" for n in range(500))
    assert errors(text) == []


def test_y03_tiny_mappings() -> None:
    assert errors("x:\n" + "- {a: b}\n" * 60_000) == ["CB005"]
    assert errors("x: [" + "{}," * 200_000 + "]\n") == ["CB005"]
    assert errors("x:\n" + "- {a: b}\n" * 150_000) == ["CB005"]


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000 + "]" * 20_000,
        "{a: " * 5000,
        "- " * 3000,
        "? " * 3000,
        "".join(" " * n + "a:\n" for n in range(900)),
    ],
)
def test_y04_depth(text: str) -> None:
    assert errors(text) in (["CB005"], ["CB001"], ["CB006"])


def test_y04_twin_the_usual_loader_recurses() -> None:
    with pytest.raises(RecursionError):
        pyyaml.load("[" * 20_000 + "]" * 20_000, Loader=pyyaml.SafeLoader)


def test_y04_depth_by_aliases() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 70)]
    assert errors("\n".join(lines)) == ["CB005"]


# ---------------------------------------------------------------------- Y05, Y06, Y08: scalars stay text
def test_y05_huge_numbers(tmp_path: Path) -> None:
    assert errors("x: 0x" + "f" * 400_000) == ["CB005"]
    report = read_bundle(
        bundle(tmp_path / "b", GOOD.replace("key: n, index: 0", "key: n, index: " + "9" * 20_000))
    ).report
    assert "CB102" in [p.code for p in report.errors]


def test_y05_twin_the_usual_loader_raises_what_is_no_yaml_error() -> None:
    with pytest.raises(ValueError, match="4300"):
        pyyaml.safe_load("9" * 20_000)


@pytest.mark.parametrize("date", ["2024-13-45", "0000-00-00", "0000-01-01", "9999-12-31T23:59:59-14:00", "2024-02-30"])
def test_y06_impossible_dates(date: str, tmp_path: Path) -> None:
    report = read_bundle(bundle(tmp_path / "b", GOOD.replace("2026-01-01", date))).report
    assert [p.code for p in report.errors] == ["CB201"]


def test_y06_twin_the_usual_loader_raises_what_is_no_yaml_error() -> None:
    with pytest.raises(ValueError, match="month"):
        pyyaml.safe_load("2024-13-45")


def test_y07_duplicate_keys_say_both_lines() -> None:
    root, source = read_yaml(b"a: 1\nb: 2\na: 3\n", "x.yaml")
    assert isinstance(root, Mapping)
    assert value(root) == {"b": 2, "a": 3}
    (problem,) = source.problems
    assert (problem.code, problem.severity, problem.line, problem.also[0].line) == ("CB003", Severity.WARNING, 3, 1)


def test_y07_a_key_is_said_once_however_often_it_stands() -> None:
    _, source = read_yaml(b"a: 1\n" * 20_000, "x.yaml")
    (problem,) = source.problems
    assert "20000 times (lines 1 to 20000)" in problem.message
    assert (problem.line, problem.also[0].line) == (20_000, 1)


@pytest.mark.parametrize(
    "text", ["x: !{0} y", "x: *{0}", "x: &{0} [*{0}]", "? {0}\n: 1\n? {0}\n: 2"], ids=["tag", "alias", "loop", "key"]
)
def test_what_is_said_of_a_long_name_is_short(text: str) -> None:
    _, source = read_yaml(text.format("n" * 150_000).encode(), "x.yaml")
    assert source.problems
    assert all(len(p.message) < 300 for p in source.problems)


@pytest.mark.parametrize("written", ["no", "12:30", "010", "1e3", "2026-01-01", "0x1F", "1_000", ".5", "null ", "= x"])
def test_y08_the_text_is_what_was_written(written: str) -> None:
    root, _ = read_yaml(f"title: {written}\n".encode(), "x.yaml")
    assert isinstance(root, Mapping)
    node = root.get("title")
    assert isinstance(node, Scalar)
    assert node.text == written.strip()


# ---------------------------------------------------------------------- Y09, Y11, Y13
@pytest.mark.parametrize(
    "wrong", ["[]", "{}", "[[1]]", "{a: {b: c}}", "-1", "1e308", ".nan", ".inf", "''", "'\\0'", "~"]
)
def test_y09_wrong_types_everywhere(wrong: str, tmp_path: Path) -> None:
    """Each value of a sound bundle replaced in turn."""
    folder = bundle(tmp_path / "b", GOOD)
    for before in ("2\n", "Hostile", "logo.png", "terms.md", "[0]", "0,", "scoring}", "N,", "2026-01-01", "n, index"):
        (folder / "competition.yaml").write_text(GOOD.replace(before, wrong + before[len(before.rstrip("\n,}")) :], 1))
        str(read_bundle(folder).report)


PATHS = ["/etc/passwd", "../../etc/passwd", "scoring/../../x", "~/x", "~", "file:///etc/passwd", "s3://bucket/key",
         "http://example.org/x.zip", "//etc/passwd", "C:\\x", ".", "./", "scoring/..", "..", "\\..\\x",
         "a/../../b", "/"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["image: logo.png", "terms: terms.md", "file: terms.md", "scoring_program: scoring"])
def test_y11_paths_stay_in_the_bundle(path: str, key: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("outside")
    name = key.split(":")[0]
    quoted = "'" + path + "'"
    report = read_bundle(bundle(tmp_path / "b", GOOD.replace(key, f"{name}: {quoted}"))).report
    assert [p.code for p in report.errors] in (["CB302"], ["CB310"], ["CB301"])
    assert "root:" not in str(report)


def test_y11_a_link_out_of_the_bundle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("the truth")
    folder = bundle(tmp_path / "b", GOOD)
    (folder / "terms.md").unlink()
    (folder / "terms.md").symlink_to(tmp_path / "secret")
    opened = read_bundle(folder)
    assert [p.code for p in opened.report.errors] == ["CB028"]
    assert opened.spec is None
    assert "the truth" not in str(opened.report)


@pytest.mark.parametrize(
    "text", ["1-" * 30_000, "0" * 60_000 + "x", "jan " * 20_000, "+" * 60_000, "1:" * 30_000, "a@" * 50_000]
)
def test_y13_no_pattern_takes_long(text: str, tmp_path: Path) -> None:
    changed = (
        GOOD.replace("2026-01-01", f"'{text}'") + f"contact_email: '{text}'\nqueue: '{text}'\nforum_enabled: '{text}'\n"
    )
    start = time.process_time()
    report = read_bundle(bundle(tmp_path / "b", changed)).report
    assert time.process_time() - start < 2
    assert not report.ok


# ---------------------------------------------------------------------- Y14: computed columns
@pytest.mark.parametrize(
    "columns",
    [
        "[{title: A, key: a, index: 0, computation: avg, computation_indexes: [1]},"
        " {title: B, key: b, index: 1, computation: avg, computation_indexes: [0]}]",
        "[{title: A, key: a, index: 0, computation: avg, computation_indexes: [0]}]",
        "[{title: A, key: a, index: 0}, {title: B, key: b, index: 1, computation: sum, computation_indexes: [10000]}]",
    ],
)
def test_y14_circles_and_columns_that_are_not_there(columns: str, tmp_path: Path) -> None:
    text = GOOD.replace("[{title: N, key: n, index: 0}]", columns)
    report = read_bundle(bundle(tmp_path / "b", text)).report
    assert {p.code for p in report.errors} <= {"CB212", "CB213"}
    assert not report.ok


@pytest.mark.parametrize("text", ["a: [1, {b: 'x'}]\nc:\n  - d: |\n      long\n      text\n", "---", "# x\n---"])
def test_every_place_is_on_its_line(text: str) -> None:
    root, source = read_yaml(text.encode(), "x.yaml")
    pending: list[Node | None] = [root]
    while pending:
        node = pending.pop()
        assert node is not None
        where = source.of(node)
        assert where.excerpt is not None
        assert where.column is not None
        assert where.end_column is not None
        assert where.column <= where.end_column <= len(where.excerpt) + 1
        if isinstance(node, Mapping):
            pending += [n for entry in node.entries.values() for n in entry]
        pending += getattr(node, "items", [])
