"""A function as a program: its source and its imports stand alone, and all that would not is named."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import functions_to_export as f
import pytest
from hypothesis import given
from hypothesis import strategies as st

import codabench as cb
from codabench.bundle.defined.export import exported, literal
from codabench.bundle.defined.programs import FunctionProgram, as_program, ingestion, scoring, shim
from codabench.core.errors import BundleError, UsageError


def alone(function: Any, tmp_path: Path, call: str) -> str:
    """What a function gives that was exported, in a Python that has nothing of ours."""
    found = exported(function, "it")
    text = f"from __future__ import annotations\n{found.imports}\n{found.text}\nprint({call})\n"
    (tmp_path / "alone.py").write_text(text)
    ran = subprocess.run(
        [sys.executable, "alone.py"], cwd=tmp_path, capture_output=True, text=True, check=False, env={"PATH": ""}
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize(
    ("function", "call"),
    [
        (f.plain, "plain(None)"),
        (f.decorated.function, "decorated(None)"),
        (f.uses_imports, "uses_imports(None)"),
        (f.uses_submodule, "uses_submodule(None)"),
        (f.calls_itself, "calls_itself(None)"),
        (f.indented(), "inside(None)"),
        (f.with_texts(), "inside(None)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_it_stands_alone(function: Any, call: str, tmp_path: Path) -> None:
    assert alone(function, tmp_path, call) == str(function(None))


def test_what_is_written() -> None:
    found = exported(f.decorated.function, "it")
    assert found.imports == ""
    head = found.text.splitlines()[0]
    assert head == (
        "def decorated(io: cb.ScoringIO, *, level: int = 3, names: Any = ['a', 'b'], "
        "at=('x', {'y': None}), e=1e-3) -> Any:"
    )
    assert "\nnot indented\n" in found.text
    assert "# A comment stays." in exported(f.plain, "it").text
    assert exported(f.uses_imports, "it").imports.splitlines() == [
        "from collections import OrderedDict",
        "from math import sqrt as root",
        "import json as j",
        "import math",
        "import numpy as np",
        "import os",
        "import os.path",
        "import statistics",
        "import xml",
        "import xml.etree",
        "import xml.etree.ElementTree",
    ]


made: dict[str, Any] = {}
exec("def typed(io):\n    return {}", made)


@pytest.mark.parametrize(
    ("function", "codes", "says"),
    [
        (f.uses_level, ["CB321"], "it uses LEVEL, of type int"),
        (f.uses_two, ["CB321", "CB321"], "it uses missing, which is not defined"),
        (f.uses_helper, ["CB321"], "define it inside the function"),
        (f.uses_own_module, ["CB321"], "a module of yours"),
        (f.uses_own_function, ["CB322"], "the default of read is of type module"),
        (f.uses_library, ["CB321"], "a part of codabench"),
        (f.writes_global, ["CB321"], "it uses LEVEL"),
        (f.default_array, ["CB322"], "the default of table is of type ndarray"),
        (f.generator, ["CB322"], "generator or a coroutine"),
        (f.coroutine, ["CB322"], "generator or a coroutine"),
        (f.cached, ["CB322"], "not a plain function"),
        (f.changed_by_name, ["CB322"], "the decorator changed cannot be exported"),
        (f.wrapped_inside.function, ["CB322"], "another decorator wraps it"),
        (f.wrapped_outside, ["CB322"], "another decorator wraps it"),
        (f.closure(), ["CB322"], "variables of the function around it: level"),
        (f.Scorer().score, ["CB322"], "of type method"),
        (f.Scorer(), ["CB322"], "of type Scorer"),
        (lambda io: {}, ["CB322"], "it is a lambda"),
        (print, ["CB322"], "of type builtin_function_or_method"),
        (made["typed"], ["CB323"], "its source is not to be had"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_stand_alone(function: Any, codes: list[str], says: str) -> None:
    with pytest.raises(BundleError) as caught:
        exported(function, "the scoring function")
    assert caught.value.report is not None
    assert [problem.code for problem in caught.value.report] == codes
    assert says in str(caught.value)
    assert all(problem.hint for problem in caught.value.report)


def test_the_place_is_shown() -> None:
    with pytest.raises(BundleError) as caught:
        exported(f.uses_level, "it")
    (problem,) = caught.value.report or ()
    lines = Path(f.__file__).read_text().splitlines()
    assert problem.where.file == f.__file__
    assert problem.where.line is not None
    assert problem.where.column is not None
    assert lines[problem.where.line - 1][problem.where.column - 1 :].startswith("LEVEL}")


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(values)
def test_a_literal_means_the_value(value: Any) -> None:
    text = literal(value)
    assert text is not None
    assert ast.literal_eval(text) == value


@pytest.mark.parametrize("value", [object(), [object()], {"a": (print,)}, {1, 2}, f.np.float64(1), f.Scorer])
def test_what_has_no_literal(value: Any) -> None:
    assert literal(value) is None


def test_infinity_has_one() -> None:
    assert eval(literal(float("-inf")) or "") == float("-inf")


def test_a_program_is_its_function_and_what_it_needs() -> None:
    tree = f.decorated.tree()
    assert [e.path for e in tree.entries()] == ["_cb_io.py", "metadata.yaml", "requirements.txt", "scoring.py"]
    assert tree.read_bytes("requirements.txt") == b"numpy\n"
    assert tree.read_bytes("metadata.yaml").startswith(b"command: python3 scoring.py /app/input ")
    assert tree.read_bytes("_cb_io.py") == shim()
    text = tree.read_bytes("scoring.py").decode()
    assert text.rstrip().endswith('_cb_io.main("scoring", decorated)')
    ast.parse(text)


def test_the_shim_needs_an_old_python_and_nothing_else() -> None:
    tree = ast.parse(shim(), feature_version=(3, 7))
    imported = [
        n.module if isinstance(n, ast.ImportFrom) else n.names[0].name
        for n in ast.walk(tree)
        if isinstance(n, (ast.Import, ast.ImportFrom))
    ]
    assert {str(name).split(".")[0] for name in imported} <= sys.stdlib_module_names
    assert not any(isinstance(node, (ast.NamedExpr, ast.Match)) for node in ast.walk(tree))


def test_a_decorated_function_is_still_one() -> None:
    @scoring
    def score(io: Any) -> dict[str, float]:
        """How good it is."""
        return {"a": io}

    @ingestion(requires=["x>=2"])
    def ingest(io: Any) -> None:
        io.append(1)

    assert isinstance(score, FunctionProgram)
    assert score(2.0) == {"a": 2.0}
    assert (score.name, score.__doc__, score.requires) == ("score", "How good it is.", ())
    ingest(seen := [])
    assert seen == [1]
    assert (ingest.kind, ingest.requires) == ("ingestion", ("x>=2",))


def test_a_decorator_around_ours_is_not_lost() -> None:
    assert as_program(f.wrapped_outside, "scoring")(None) == {"acc": 2.0}
    assert as_program(f.wrapped_inside, "scoring")(None) == {"acc": 2.0}


@pytest.mark.parametrize(
    "function",
    [lambda: None, lambda io, level: {}, lambda *, io: {}, f.Scorer],
    ids=["no argument", "two arguments", "by name only", "a class"],
)
def test_a_function_takes_one_argument(function: Any) -> None:
    with pytest.raises(UsageError, match="is called with io alone: ") as caught:
        cb.scoring(function)
    assert (caught.value.code, caught.value.hint) == ("CB320", "write def score(io):")
