"""The keys that a scoring function returns, as far as they stand in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from codabench.bundle.defined.export import Source
from codabench.bundle.fields import shorten, spelled
from codabench.core.problems import Problem, Severity
from codabench.core.text import did_you_mean


def check_returned(source: Source, name: str, columns: Sequence[str]) -> Iterator[Problem]:
    """Columns that a function never returns; nothing where a return is no plain dict.

    Parameters
    ----------
    columns
        The keys that scoring programs write.
    """
    if source.wrong:
        return
    returned: dict[str, ast.expr] = {}
    for found in _returns(source.node):
        keys = found.value.keys if isinstance(found.value, ast.Dict) else [None]
        for key in keys:
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str):
                return
            returned.setdefault(key.value, key)
    others = [key for key in returned if key not in columns]
    for column in columns:
        if not returned or column in returned:
            continue
        guess = did_you_mean(column, others)
        key = returned[guess] if guess else next(iter(returned.values()))
        spelt = f"the scoring function {name!r} returns {shorten(guess or '')}, and the column is {shorten(column)}"
        never = f"the scoring function {name!r} never returns the column {shorten(column)}"
        yield Problem(
            code="CB503" if guess else "CB502",
            severity=Severity.WARNING,
            message=spelt if guess else never,
            hint="use one spelling" if guess else f"it returns {spelled(map(shorten, returned), 'and')}",
            where=source.location(key.lineno, ast.unparse(key)),
        )


def _returns(function: ast.FunctionDef) -> Iterator[ast.Return]:
    """The returns of a function, not those of functions inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Return):
            yield node
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            waiting += ast.iter_child_nodes(node)
