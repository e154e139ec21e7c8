"""``scores_per_item.csv``: what is read, and what is left aside with a reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codabench.leaderboard.items import MOST_ITEMS, SIZE_LIMIT, read_items

KEYS = ("acc", "loss")


def test_a_file():
    found = read_items(b'item,acc,comment,loss\r\nq1,1,fine,0.25\nq2,0,"said ""no""",-1e-3\n\n', KEYS)
    assert found.trouble is None
    assert found.problem is None
    assert found.ids == ("q1", "q2")
    assert found.values == {"acc": (1.0, 0.0), "loss": (0.25, -0.001)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("item,acc\n", {"acc": ()}),
        ("item\na\n", {}),
        ("\ufeffitem,acc\na,.5\nb,5.\n", {"acc": (0.5, 5.0)}),
        ("item,other\na,NaN\n", {}),
        ('item,acc\n"a,b",+1E3\n', {"acc": (1000.0,)}),
    ],
)
def test_what_is_let_through(text, values):
    found = read_items(text.encode(), KEYS)
    assert (found.trouble, found.values) == (None, values)


@pytest.mark.parametrize(
    ("data", "trouble"),
    [
        (b"", "first line does not begin with 'item'"),
        (b"id,acc\na,1\n", "first line does not begin with 'item'"),
        (b"\xff\xfe", "not UTF-8 text: byte 0"),
        (b"item,acc,acc\n", "two columns are called 'acc'"),
        (b"item,acc\na\n", "item 'a' has 1 cell, and there are 2 columns"),
        (b"item,acc\na,1,2\n", "item 'a' has 3 cells"),
        (b"item,acc\na,1\na,1\n", "item 'a' is there twice"),
        (b"item,acc\n,1\n", "'' names no item"),
        (b"item,acc\n" + b"x" * 201 + b",1\n", "names no item"),
        ("item,acc\na\u202e,1\n".encode(), "'a\\\\u202e' names no item"),
        (b"item,acc\na,nan\n", "no finite number in 'acc': 'nan'"),
        (b"item,acc\na,inf\n", "no finite number"),
        (b"item,acc\na,1e999\n", "no finite number"),
        (b"item,acc\na,\n", "no finite number in 'acc': ''"),
        (b"item,acc\na, 1\n", "no finite number"),
        (b"item,acc\na,0x10\n", "no finite number"),
        ("item,acc\na,\u0661\n".encode(), "no finite number"),
        (b"item,acc\na,1_0\n", "no finite number"),
        (b"item,acc\na," + b"1" * 500 + b"\n", "no finite number"),
        (b'item,acc\n"a,1\n', "it is not CSV"),
        (b'item,acc\n"a"b,1\n', "it is not CSV"),
        (b"item,acc\n" + b"y" * 200_000 + b",1\n", "it is not CSV: field larger"),
        (b" " * (SIZE_LIMIT + 1), f"larger than {SIZE_LIMIT} bytes"),
        (b"item," + b",".join(b"c%d" % n for n in range(1000)) + b"\n", "more than 1000 columns"),
        (b"item\n" + b"".join(b"%d\n" % n for n in range(MOST_ITEMS + 1)), f"more than {MOST_ITEMS} items"),
    ],
)
def test_what_is_left_aside(data, trouble):
    found = read_items(data, KEYS)
    assert trouble in found.trouble
    assert (found.ids, found.values) == ((), {})
    assert found.problem.code == "CB649"
    assert found.problem.message.isprintable()


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: ("item,acc\n" + t).encode("utf-8", "ignore")))
def test_whatever_is_in_it(data):
    found = read_items(data, KEYS)
    assert found.trouble or all(len(v) == len(found.ids) for v in found.values.values())
