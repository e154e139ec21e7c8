"""The scores file: contract.md 4.11 with its Decisions, and section 7. Whatever the bytes, a `ScoresFile` comes out."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codabench.core.problems import Fault
from codabench.core.records import Outcome, Status
from codabench.runner.scores import DEPTH, SIZE_LIMIT, ScoresFile, read_scores
from codabench.storage.sources import collect

COLUMNS = ("a", "b")


class Output:
    """A scorer's output of which only the top matters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, columns: tuple[str, ...] = COLUMNS, **files: str | bytes) -> ScoresFile:
        for name, data in files.items():
            place = self.folder / name.replace("_", ".").replace("..", "/")
            place.parent.mkdir(exist_ok=True, parents=True)
            place.write_bytes(data.encode() if isinstance(data, str) else data)
        with collect(self.folder) as source:
            return read_scores(source, columns)


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(tmp_path)


BOTH = {"a": 1.0, "b": 2.0}


@pytest.mark.parametrize(
    ("text", "scores", "notes"),
    [
        ('{"a": 1, "b": 2}', BOTH, 0),
        ('\ufeff{"a": 1, "b": 2}\r\n', BOTH, 0),
        ('{"a": 1, "b": 2, "all_costs": [1, {"x": null}], "t": "x", "n": NaN}', BOTH, 0),
        ('{"a": "1", "b": " 2e0 "}', BOTH, 2),
        ('{"a": true, "b": "False"}', {"a": 1.0, "b": 0.0}, 2),
        ('{"a": -0.999999, "b": 1e-7}', {"a": -0.999999, "b": 1e-7}, 0),
        ('{"a": 123456789012345678901234567890, "b": 1e300}', {"a": 123456789012345678901234567890.0, "b": 1e300}, 0),
        ('{"a": -0.0, "b": 5e-324}', {"a": 0.0, "b": 5e-324}, 0),
        ('{"x": 1, "x": 2, "a": 1, "b": 2}', BOTH, 0),
        (json.dumps({**BOTH, **{f"k{n}": n for n in range(10_000)}}), BOTH, 0),
    ],
)
def test_json_that_is_taken(output: Output, text: str, scores: dict[str, float], notes: int) -> None:
    found = output.read(scores_json=text)
    assert (found.problem, found.scores) == (None, scores)
    assert [w.code for w in found.warnings] == ["CB646"] * notes


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        ("a: 1\nb: 2\n", BOTH),
        ("a:1\nb:2", BOTH),
        ("\ufeffa: 1\r\n\r\n  \r\nb: 2\r\n", BOTH),
        ("# made by me\n---\na: 1 # good\nb: 2", BOTH),
        ("'a': '1'\n\"b\": \"2\"", BOTH),
        ("a: 1e-07\nb: -1.5E+2", {"a": 1e-07, "b": -150.0}),
        ("a: .5\nb: 5.", {"a": 0.5, "b": 5.0}),
        ("a: 0.123456789012\nb: -0.999999", {"a": 0.123456789012, "b": -0.999999}),
        ("a:-1\nb:-0", {"a": -1.0, "b": 0.0}),
        ("a: 1\nb: 2\nnote: fine\nurl: http://x:80/", BOTH),
        ('{"a": 1, "b": 2}', BOTH),
    ],
)
def test_text_that_is_taken(output: Output, text: str, scores: dict[str, float]) -> None:
    found = output.read(scores_txt=text)
    assert (found.problem, found.scores, found.warnings) == (None, scores, ())


@pytest.mark.row("S06", "S07", "S08", "S10")
@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", "CB642", "is empty"),
        (" \n", "CB642", "is empty"),
        ('{"a": 1', "CB642", "is not JSON"),
        ('{"a": 1} x', "CB642", "line 1 column 10"),
        ("[1, 2]", "CB642", "it is a list"),
        ("3", "CB642", "a single value"),
        ("null", "CB642", "a single value"),
        ('"a: 1"', "CB642", "a single value"),
        ("[" * 100_000, "CB642", "not usable JSON"),
        (b"\xff\xfe{\x00", "CB642", "not UTF-8 text: byte 0"),
        ('{"a": 1, "b": 2}'.encode("utf-16"), "CB642", "not UTF-8"),
        (b" " * (SIZE_LIMIT + 1), "CB642", "larger than"),
        ('{"a": NaN, "b": 2}', "CB643", "a in scores.json is not a finite number: nan"),
        ('{"a": 1, "b": -Infinity}', "CB643", "b in scores.json is not a finite number: -inf"),
        ('{"a": 1e400}', "CB643", "not a finite number"),
        ('{"a": "nan"}', "CB643", "not a finite number"),
        ('{"a": "' + "9" * 400 + '"}', "CB643", "not a finite number"),
        ('{"a": ' + "9" * 4000 + "}", "CB643", "not a finite number"),
        ('{"a": null}', "CB643", "it is null"),
        ('{"a": [0.5]}', "CB643", "it is a list"),
        ('{"a": {"mean": 0.5}}', "CB643", "it is a mapping"),
        ('{"a": "good"}', "CB643", "is not a number: 'good'"),
        ('{"a": "0x10"}', "CB643", "not a number"),
        ('{"a": "1_000"}', "CB643", "not a number"),
        ('{"a": "١"}', "CB643", "not a number"),
        ('{"a": "\\ud800"}', "CB643", "not a number"),
        ('{"a": 1, "a": 1, "b": 2}', "CB643", "a stands more than once"),
        ('{"A": 1}', "CB644", "none of the leaderboard's columns"),
    ],
)
def test_json_that_is_refused(output: Output, text: str | bytes, code: str, said: str) -> None:
    found = output.read(scores_json=text)
    assert found.problem is not None
    assert (found.problem.code, found.problem.fault) == (code, Fault.ORGANIZER)
    assert said in found.problem.message
    assert len(found.problem.message) < 400
    assert len(found.problem.hint or "") < 1000
    assert found.scores == {}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("everything went well", "CB642"),
        ("a: !!python/object/apply:os.getpid []\nb: 1", "CB643"),
        ("a: nan\nb: 1", "CB643"),
        ("a: -inf\nb: 1", "CB643"),
        ("a: good\nb: 1", "CB643"),
        ("a:\n  mean: 3\nb: 1", "CB643"),
        ("a: 1\na: 2\nb: 1", "CB643"),
        (": 1", "CB642"),
        ("A: 1\nB: 2", "CB644"),
        ("[a: 1]", "CB644"),
    ],
)
def test_text_that_is_refused(output: Output, text: str, code: str) -> None:
    found = output.read(scores_txt=text)
    assert found.problem is not None
    assert found.problem.code == code


@pytest.mark.parametrize("value", ["NaN", '"nan"', '"-inf"', "null", "[1]", '{"x": 1}', '""', '"some model"'])
def test_what_is_no_number_in_any_column(output: Output, value: str) -> None:
    found = output.read(scores_json=f'{{"a": 1, "b": {value}}}')
    assert found.problem is not None
    assert found.problem.code == "CB643"


def test_booleans_in_text_are_noted(output: Output) -> None:
    found = output.read(scores_txt="a: true\nb: 2")
    assert (found.scores, [w.code for w in found.warnings]) == ({"a": 1.0, "b": 2.0}, ["CB646"])


def test_json_goes_before_text(output: Output) -> None:
    assert output.read(scores_json='{"a": 1, "b": 2}', scores_txt="a: 8\nb: 9").scores == BOTH


def test_nothing_written_says_what_was(output: Output) -> None:
    found = output.read(deep__scores_json="{}", x_csv="")
    assert found.problem is not None
    assert found.problem.code == "CB641"
    assert found.problem.hint == "deep/scores.json exists: write it to the top of /app/output"
    (output.folder / "deep" / "scores.json").unlink()
    assert "found there: deep, x.csv" in (getattr(output.read().problem, "hint", None) or "")


def test_a_missing_column_is_a_warning_that_names_it(output: Output) -> None:
    found = output.read(scores_json='{"a": 1, "bb": 2}')
    assert (found.problem, found.scores) == (None, {"a": 1.0})
    (warning,) = found.warnings
    assert warning.code == "CB645"
    assert "b is missing" in warning.message
    assert warning.hint == "'b': did you mean its column for 'bb'?"


@pytest.mark.parametrize("files", [{"scores_json": "{}"}, {"scores_txt": "\n"}])
def test_nothing_on_purpose_is_a_warning_that_names_every_column(output: Output, files: dict[str, str]) -> None:
    found = output.read(**files)
    assert (found.problem, found.scores) == (None, {})
    assert "a, b are missing" in found.warnings[0].message


def test_a_board_of_computed_columns_needs_no_scores(output: Output) -> None:
    assert output.read((), scores_json="{}").problem is None


def test_special_files_are_not_scores(output: Output) -> None:
    os.mkfifo(output.folder / "scores.json")
    assert output.read().problem.code == "CB641"  # type: ignore[union-attr]


def kept(found: ScoresFile) -> Outcome:
    """What the database keeps of it, as it comes back."""
    outcome = Outcome(status=Status.FINISHED, scores=found.scores, raw_scores=found.raw, problem=found.problem)
    json.dumps(outcome.model_dump(mode="json"), allow_nan=False)
    return Outcome.model_validate_json(outcome.model_dump_json())


@pytest.mark.parametrize(
    "extra",
    [
        '"x": "\\ud800\\udfff\\ud800"',
        '"\\udcff": 1',
        '"x": ' + "[" * 500 + "]" * 500,
        '"x": ' + '{"y":' * 500 + "1" + "}" * 500,
        '"x": ' + "9" * 4000,
        '"x": [NaN, Infinity, -Infinity, 1e999]',
        '"x": "\\u0000\\u001b[2J"',
    ],
)
def test_what_is_no_column_never_fails_and_can_be_kept(output: Output, extra: str) -> None:
    found = output.read(scores_json=f'{{"a": 1, "b": 2, {extra}}}')
    assert found.problem is None
    assert kept(found).scores == BOTH
    assert kept(found).raw_scores == found.raw


def test_raw_scores_are_cut_off_only_where_they_are_deep(output: Output) -> None:
    value: Any = "end"
    for _ in range(DEPTH - 1):
        value = [value]
    assert output.read(scores_json=json.dumps({**BOTH, "x": value})).raw["x"] == value
    assert "..." in json.dumps(output.read(scores_json=json.dumps({**BOTH, "x": [value]})).raw)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.one_of(
        st.binary(),
        st.text().map(lambda t: t.encode()),
        st.dictionaries(st.sampled_from(["a", "b", "A", ""]) | st.text(), VALUES).map(lambda d: json.dumps(d).encode()),
        st.lists(st.sampled_from(["a", "b", ":", " ", "\n", "1", ".5", "nan", "#", "'", "{", "e"])).map(
            lambda parts: "".join(parts).encode()
        ),
    ),
    st.sampled_from(["scores.json", "scores.txt"]),
)
@example(b'{"a": "\\ud800"}', "scores.json")
@example(b"\xef\xbb\xbf", "scores.txt")
def test_any_bytes_give_a_scores_file(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    folder = tmp_path_factory.mktemp("output")
    (folder / name).write_bytes(data)
    with collect(folder) as source:
        found = read_scores(source, COLUMNS)
    assert all(math.isfinite(value) for value in found.scores.values())
    assert set(found.scores) <= set(COLUMNS)
    assert not (found.problem and found.scores)
    assert found.scores or found.problem or found.warnings
    assert kept(found).scores == found.scores
    for problem in filter(None, [found.problem, *found.warnings]):
        problem.message.encode()
        (problem.hint or "").encode()


def test_a_number_of_thousands_of_digits(output: Output) -> None:
    digits = "9" * 5000
    beside = output.read(scores_json=f'{{"a": 1, "b": 2, "id": {digits}}}')
    assert (beside.problem, beside.scores) == (None, {"a": 1.0, "b": 2.0})
    assert output.read(scores_json=f'{{"a": {digits}, "b": 2}}').problem.code == "CB643"
