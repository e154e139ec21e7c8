"""Functions for `test_defined_export`: what can stand alone, and what cannot."""

from __future__ import annotations

import functools
import json as j
import math
import os.path
import statistics
import xml.etree.ElementTree
from collections import OrderedDict
from math import sqrt as root
from typing import Any

import functions_beside
import numpy as np
import pandas.io.common

import codabench as cb
from codabench import ScoringIO

LEVEL = 3
NAMES = ["a", "b"]
TABLE = np.zeros(2)


def plain(io: ScoringIO) -> dict[str, float]:
    # A comment stays.
    return {"acc": 1.0}


@cb.scoring(requires=["numpy"])
def decorated(io: cb.ScoringIO, *, level: int = LEVEL, names: Any = NAMES, at=("x", {"y": None}), e=1e-3) -> Any:
    text = """
not indented
"""
    return {"acc": float(level + len(names) + len(text)), "at": float(at[0] == "x"), "e": e}


def uses_imports(io: Any) -> Any:
    found = j.loads("1") + math.floor(root(4)) + len(OrderedDict(a=1)) + statistics.fmean([1])
    xml.etree.ElementTree.fromstring("<a/>")

    def inner() -> Any:
        return np.mean([1]) + len(os.path.join("a", "b"))

    class Inside:
        size = 2
        twice = size * 2

    return {"acc": float(found + inner() + Inside.twice)}


def uses_submodule(io: Any) -> Any:
    return {"acc": float(len(pandas.io.common.__name__))}


def calls_itself(io: Any, depth: int = 3) -> Any:
    return {"acc": 0.0} if depth == 0 else calls_itself(io, depth - 1)


def uses_level(io: Any) -> Any:
    return {"acc": LEVEL}


def uses_two(io: Any) -> Any:
    return {"acc": LEVEL, "b": missing}  # noqa: F821


def uses_helper(io: Any) -> Any:
    return plain(io)


def uses_own_module(io: Any) -> Any:
    return functions_beside.score(io)


def uses_own_function(io: Any, read=functions_beside) -> Any:
    return read


def uses_library(io: Any) -> Any:
    return cb.load


def writes_global(io: Any) -> Any:
    global LEVEL
    LEVEL = 4
    return {}


def default_array(io: Any, table: Any = TABLE) -> Any:
    return {"acc": 1.0}


def generator(io: Any) -> Any:
    yield 1


async def coroutine(io: Any) -> Any:
    return {}


@functools.cache
def cached(io: Any) -> Any:
    return {}


def changed(function: Any) -> Any:
    return function


@changed
def changed_by_name(io: Any) -> Any:
    return {}


def closure() -> Any:
    level = 3

    def inside(io: Any) -> Any:
        return {"acc": level}

    return inside


def indented() -> Any:
    def inside(io: Any) -> Any:
        return {"acc": 2.0}

    return inside


def with_texts() -> Any:
    def inside(io: Any) -> Any:
        text = """one
    two
        three
"""
        shown = f"""{text}
          {len(text)}
        """  # the indent of a text is part of it
        return {
            "text": text,
            "shown": shown,
            "bytes": b"""
            four""",
        }

    return inside


def wrapping(function: Any) -> Any:
    @functools.wraps(function)
    def wrapped(io: Any) -> Any:
        return {key: value + 1 for key, value in function(io).items()}

    return wrapped


@cb.scoring
@wrapping
def wrapped_inside(io: Any) -> Any:
    return {"acc": 1.0}


@wrapping
@cb.scoring
def wrapped_outside(io: Any) -> Any:
    return {"acc": 1.0}


class Scorer:
    def score(self, io: Any) -> Any:
        return {}

    def __call__(self, io: Any) -> Any:
        return {}
