"""The error tree: what its docstring draws is what there is."""

from __future__ import annotations

import builtins
import inspect
import re
import traceback

import pytest

import codabench
from codabench.core import errors
from codabench.core.errors import CodabenchError
from codabench.core.rules import rules

TREE = (errors.__doc__ or "").split("::")[1].split("A message")[0]
DRAWN = {
    name: set(re.findall(r"also (\w+)", rest))
    for name, rest in re.findall(
        r"^ *[│ ├└─]*([A-Z]\w+)(.*)$", errors.__doc__.split("::")[1].split("A message")[0], re.M
    )
}
CLASSES = {
    name: found for name, found in vars(errors).items() if inspect.isclass(found) and issubclass(found, CodabenchError)
}


def test_the_docstring_draws_every_error_and_nothing_else() -> None:
    assert set(DRAWN) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_an_error_is_what_the_tree_says(name: str) -> None:
    made = getattr(codabench.errors, name)("what, where, why", hint="the next step")
    for base in DRAWN[name]:
        assert isinstance(made, getattr(builtins, base, None) or getattr(errors, base))
    assert re.fullmatch(r"CB\d{3}", made.code)
    assert str(made) == f"[{made.code}] what, where, why"
    assert traceback.format_exception(made)[-1].strip() == "hint: the next step"


def test_codes_are_one_for_each_kind() -> None:
    codes = [c.default_code for c in CLASSES.values()]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_an_error_is_explained_and_says_what_to_do(name: str) -> None:
    rule = rules()[CLASSES[name].default_code]
    assert "raised" in rule.severity
    assert rule.more
    assert rule.action
    assert CLASSES[name].__doc__


def test_a_code_can_be_more_exact() -> None:
    assert errors.StorageError("x", code="CB702").code == "CB702"
    assert not getattr(errors.StorageError("x"), "__notes__", [])
