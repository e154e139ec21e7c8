"""Values of Python as files: they read back equal, the same value gives the same bytes, the rest is refused."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.bundle.defined.data import made, tree_of
from codabench.bundle.defined.logo import placeholder_logo
from codabench.core.errors import BundleError, UsageError
from codabench.storage.sources import EmptySource

FRAME = pd.DataFrame({"a": [1, 2], "b": [0.1, 1e-17]})


def written(name: str, value: Any) -> bytes:
    return tree_of({name: value}, "data").read_bytes(name)


@pytest.mark.parametrize(
    ("name", "value", "bytes_"),
    [
        ("a.txt", "é\n", "é\n".encode()),
        ("a.bin", b"\0\1", b"\0\1"),
        ("a.bin", bytearray(b"x"), b"x"),
        ("deep/er/a", "t", b"t"),
        ("a.csv", FRAME, b"a,b\n1,0.1\n2,1e-17\n"),
        ("a.tsv", FRAME, b"a\tb\n1\t0.1\n2\t1e-17\n"),
        ("a.csv", FRAME.set_index("a"), b"a,b\n1,0.1\n2,1e-17\n"),
        ("a.csv", FRAME["b"], b"b\n0.1\n1e-17\n"),
        ("a.csv", np.array([[1.5, 2.0], [0.1, 3.0]]), b"1.5,2.0\n0.1,3.0\n"),
        ("a.csv", np.array([1, 2]), b"1\n2\n"),
        ("a.csv", [("x", 1), ("y, z", 2)], b'x,1\n"y, z",2\n'),
        ("a.csv", [{"k": 1}, {"k": 2, "l": 3}], b"k,l\n1,\n2,3\n"),
        ("a.json", {"é": [1, None]}, '{\n "é": [\n  1,\n  null\n ]\n}\n'.encode()),
        ("A.JSON", 3, b"3\n"),
    ],
)
def test_what_is_written(name: str, value: Any, bytes_: bytes) -> None:
    assert written(name, value) == bytes_


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("a.npy", [object()], "Python objects"),
        ("a.npy", [[1], [1, 2]], "no array"),
        ("a.npy", pd.DataFrame({"a": ["x", None]}), "Python objects"),
        ("a.npy", "text", "a text is no array"),
        ("a.npz", [1], "several arrays"),
        ("a.csv", {1, 2}, "a table is a data frame"),
        ("a.json", {"a": float("nan")}, "no JSON"),
        ("a.json", {"a": np.float32(1)}, "no JSON"),
        ("a.h5", np.zeros(2), "nothing writes what is of type ndarray"),
        ("a", 3, "nothing writes what is of type int"),
        ("../a.txt", "x", "it leaves the tree"),
        ("/a.txt", "x", "absolute"),
        ("a.txt", Path("/no/such/file"), "there is no file"),
        ("a.csv", __file__, "pathlib.Path"),
    ],
)
def test_what_is_refused(name: str, value: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        tree_of({name: value}, "data")
    assert caught.value.code == "CB324"


def test_every_mistake_is_named() -> None:
    with pytest.raises(UsageError) as caught:
        tree_of({"a.npy": object(), "b.h5": 3, "c.txt": "fine"}, "input data")
    assert "'a.npy'" in caught.value.message
    assert "'b.h5'" in caught.value.message
    assert "'c.txt'" not in caught.value.message


@pytest.mark.parametrize("data", [3, ["a.txt"], None])
def test_data_is_a_mapping_or_a_path(data: Any) -> None:
    with pytest.raises(UsageError, match="mapping of names to values"):
        tree_of(data, "data")


def test_nothing_is_no_data() -> None:
    with pytest.raises(BundleError, match="holds nothing"):
        tree_of({}, "data")


arrays = st.one_of(
    st.lists(st.floats(), max_size=8).map(lambda v: np.array(v, dtype="float64")),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=8).map(lambda v: np.array(v, dtype="int64")),
    st.lists(st.text(max_size=5).filter(lambda t: "\0" not in t), min_size=1, max_size=5).map(np.array),
    st.integers(0, 3).map(lambda n: np.arange(n * 2, dtype="float32").reshape(2, n)),
)


@given(arrays)
def test_arrays_read_back_equal(array: np.ndarray[Any, Any]) -> None:
    data = written("a.npy", array)
    back = np.load(io.BytesIO(data), allow_pickle=False)
    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)
    assert written("a.npy", np.asfortranarray(array)) == data


def test_several_arrays_read_back_equal_and_carry_no_date() -> None:
    value = {"x": np.arange(3), "y": np.eye(2)}
    with np.load(io.BytesIO(data := written("a.npz", value))) as back:
        assert {key: back[key].tolist() for key in back} == {key: item.tolist() for key, item in value.items()}
    assert written("a.npz", value) == data


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=10))
def test_numbers_of_a_frame_read_back_exactly(values: list[float]) -> None:
    data = written("a.csv", pd.DataFrame({"v": values}))
    assert [float(line) for line in data.decode().split()[1:]] == values
    lines = written("a.csv", np.array(values)).decode().split()
    assert [float(line) for line in lines] == values


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).filter(lambda value: not isinstance(value, str))


@given(json_values)
def test_json_reads_back_equal(value: Any) -> None:
    assert json.loads(written("a.json", value)) == value


def test_paths_stand_for_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "folder" / "in").mkdir(parents=True)
    (tmp_path / "folder" / "in" / "x.txt").write_text("x")
    tree = tree_of({"f": tmp_path / "folder", "g.txt": tmp_path / "folder/in/x.txt"}, "data")
    assert [e.path for e in tree.entries()] == ["f/in/x.txt", "g.txt"]
    assert tree.read_bytes("f/in/x.txt") == tree.read_bytes("g.txt") == b"x"
    assert [e.path for e in tree_of(tmp_path / "folder", "data").entries()] == ["in/x.txt"]
    assert [e.path for e in tree_of(str(tmp_path / "folder/in/x.txt"), "data").entries()] == ["x.txt"]
    with pytest.raises(BundleError, match="cannot be read"):
        tree_of(tmp_path / "nowhere", "data")


def test_a_value_is_taken_as_it_is_now() -> None:
    array = np.zeros(2)
    tree = tree_of({"a.npy": array}, "data")
    array[0] = 1
    assert np.load(io.BytesIO(tree.read_bytes("a.npy"))).tolist() == [0, 0]


def test_a_tree_is_taken_as_it_is() -> None:
    tree = EmptySource("nothing")
    assert tree_of(tree, "data") is tree
    assert made("x", {"a": b"1"}).entry("a").size == 1


def test_the_logo_is_a_png_that_depends_on_the_title() -> None:
    import zlib

    one, other = placeholder_logo("Iris"), placeholder_logo("Wheat")
    assert one == placeholder_logo("Iris") != other
    assert one.startswith(b"\x89PNG\r\n\x1a\n")
    at, kinds = 8, []
    while at < len(one):
        size = int.from_bytes(one[at : at + 4], "big")
        kind, data = one[at + 4 : at + 8], one[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + data) == int.from_bytes(one[at + 8 + size : at + 12 + size], "big")
        if kind == b"IDAT":
            assert len(zlib.decompress(data)) == 120 * (1 + 120 // 8)
        kinds.append(kind)
        at += 12 + size
    assert kinds == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    assert len(one) < 3000
