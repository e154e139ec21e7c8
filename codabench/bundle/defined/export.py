"""A function as the text of a program: its source, and the imports it uses (docs/python.md)."""

from __future__ import annotations

import ast
import builtins
import dis
import inspect
import math
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from codabench.core.errors import BundleError
from codabench.core.problems import Location, Problem, Severity
from codabench.core.report import Report

_OURS = "codabench"
_DECORATORS = frozenset(("scoring", "ingestion"))
_GLOBAL = frozenset(("LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"))
_FILE = "put the program into a directory and give that: cb.Program.from_dir('scoring/')"


class Exported(NamedTuple):
    """`imports`: lines that come before; `text`: the definition of the function."""

    imports: str
    text: str


class Wrong(NamedTuple):
    """Why a function cannot be exported; `line` is that of its file, `name` is what is marked there."""

    code: str
    message: str
    hint: str
    line: int | None = None
    name: str = ""


def exported(function: Callable[..., Any], what: str) -> Exported:
    """The source of a function that stands alone, with the imports it uses.

    Parameters
    ----------
    what
        How messages call it.

    Raises
    ------
    BundleError
        ``CB321``: it uses something of its module that is no import. ``CB322``: it is no plain function. ``CB323``: its
        source is not to be had. The report holds every reason.
    """
    if not isinstance(function, FunctionType):
        kind = f"it is of type {type(function).__name__}, not a plain function"
        raise _refusal(what, [Wrong("CB322", kind, f"write it with def, or {_FILE}")], None)
    if wrong := _not_plain(function):
        raise _refusal(what, [wrong], None)
    source = Source(function)
    if source.wrong:
        raise _refusal(what, source.wrong, source)
    imports, wrong_names = _imports(function, source)
    text, wrong_parts = source.standing_alone(function)
    if wrong_names or wrong_parts:
        raise _refusal(what, [*wrong_names, *wrong_parts], source)
    return Exported("".join(f"{line}\n" for line in imports), text)


def _not_plain(function: FunctionType) -> Wrong | None:
    if function.__name__ == "<lambda>":
        return Wrong("CB322", "it is a lambda", "write it with def")
    if hasattr(function, "__wrapped__"):
        return Wrong("CB322", "another decorator wraps it", f"take the decorator off, or {_FILE}")
    if function.__code__.co_freevars:
        names = ", ".join(function.__code__.co_freevars)
        hint = f"give it as the value of an argument (def f(io, {function.__code__.co_freevars[0]}=...)), or {_FILE}"
        return Wrong("CB322", f"it uses variables of the function around it: {names}", hint)
    if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
        return Wrong("CB322", "it is a generator or a coroutine", "let it do its work and return")
    return None


class Source:
    """The text of a function and what was parsed of it."""

    wrong: tuple[Wrong, ...] = ()

    def __init__(self, function: Callable[..., Any]) -> None:
        self.file: str = function.__code__.co_filename
        try:
            lines, self.first = inspect.getsourcelines(function)
            self.text = _at_the_margin(lines)
            (node,) = ast.parse(self.text).body
        except (OSError, TypeError, SyntaxError, ValueError):
            hint = "write it in a file or in a cell of a notebook"
            self.wrong = (Wrong("CB323", "its source is not to be had", hint),)
            return
        if not isinstance(node, ast.FunctionDef):
            self.wrong = (Wrong("CB322", "its source is no plain function", _FILE),)
            return
        self.node = node
        self.lines = self.text.splitlines(keepends=True)

    def standing_alone(self, function: FunctionType) -> tuple[str, list[Wrong]]:
        """The definition without our decorators, with the values of defaults in their place."""
        wrong = []
        for decorator in self.node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "?")
            if name not in _DECORATORS:
                hint = f"take the decorator off, or {_FILE}"
                wrong.append(Wrong("CB322", f"the decorator {name} cannot be exported", hint, decorator.lineno, name))
        edits: list[tuple[ast.expr, str]] = []
        for argument, written, value in _defaults(self.node, function):
            if isinstance(written, ast.Constant):
                continue
            if (text := literal(value)) is None:
                message = f"the default of {argument} is of type {type(value).__name__}, which has no literal"
                hint = "give it as data of the task, or as numbers, texts, lists and dicts"
                wrong.append(Wrong("CB322", message, hint, written.lineno, argument))
            else:
                edits.append((written, text))
        lines = [line.encode() for line in self.lines]
        for node, text in sorted(edits, key=lambda e: (e[0].lineno, e[0].col_offset), reverse=True):
            end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or 0
            begin = lines[node.lineno - 1][: node.col_offset]
            lines[node.lineno - 1 : end_line] = [begin + text.encode() + lines[end_line - 1][end_column:]]
        return b"".join(lines[self.node.lineno - 1 :]).decode().rstrip() + "\n", wrong

    def location(self, line: int | None, name: str = "") -> Location:
        """A place in the file of the function: a line of its text, and a name in it."""
        if self.wrong:
            return Location(file=self.file)
        line = line or self.node.lineno
        excerpt = self.lines[line - 1].rstrip("\n")
        column = excerpt.find(name) + 1 if name else 0
        return Location(
            file=self.file,
            line=self.first + line - 1,
            column=column or None,
            end_column=column + len(name) if column else None,
            excerpt=excerpt,
        )


def _at_the_margin(lines: list[str]) -> str:
    """An indented definition without its indent; texts over several lines keep theirs, which is part of them."""
    indent = lines[0][: len(lines[0]) - len(lines[0].lstrip())]
    if not indent:
        return "".join(lines)
    tree = ast.parse("if True:\n" + "".join(lines))
    texts = [node for node in ast.walk(tree) if isinstance(node, (ast.Constant, ast.JoinedStr))]
    inside = {n for node in texts for n in range(node.lineno + 1, (node.end_lineno or node.lineno) + 1)}
    return "".join(line if n in inside else line.removeprefix(indent) for n, line in enumerate(lines, 2))


def _defaults(node: ast.FunctionDef, function: FunctionType) -> Iterator[tuple[str, ast.expr, Any]]:
    """(argument, how its default is written, its value)"""
    arguments = node.args
    placed = [*arguments.posonlyargs, *arguments.args]
    values = function.__defaults__ or ()
    for argument, written, value in zip(placed[-len(values) :], arguments.defaults, values, strict=False):
        yield argument.arg, written, value
    for argument, named in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if named is not None:
            yield argument.arg, named, (function.__kwdefaults__ or {})[argument.arg]


def literal(value: Any) -> str | None:
    """The value as Python source, if it is made of numbers, texts, bytes, lists, tuples and dicts; else None."""
    if value is None or isinstance(value, (bool, int, str, bytes)):
        return repr(value) if type(value) in (type(None), bool, int, str, bytes) else None
    if type(value) is float:
        return repr(value) if math.isfinite(value) else f"float('{value}')"
    if type(value) in (list, tuple):
        parts = [literal(item) for item in value]
        inside = ", ".join(part for part in parts if part is not None)
        if len(parts) != sum(part is not None for part in parts):
            return None
        comma = "," if len(parts) == 1 else ""
        return f"[{inside}]" if isinstance(value, list) else f"({inside}{comma})"
    if type(value) is dict:
        pairs = [(literal(key), literal(item)) for key, item in value.items()]
        return None if any(None in pair for pair in pairs) else f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
    return None


# ---------------------------------------------------------------------- what it uses of its module
def _imports(function: FunctionType, source: Source) -> tuple[list[str], list[Wrong]]:
    lines: dict[str, None] = {}
    wrong = []
    for name in sorted(_global_names(function.__code__) - {function.__name__}):
        value = function.__globals__.get(name, function.__globals__)
        line = _line_of(source.node, name)
        if value is function.__globals__:
            if not hasattr(builtins, name):
                message = f"it uses {name}, which is not defined"
                wrong.append(Wrong("CB321", message, "define it inside the function", line, name))
            continue
        statement = _import_of(name, value)
        if statement is None:
            hint = f"pass it as a default argument (def {function.__name__}(io, {name.lower()}={name})), or {_FILE}"
            if callable(value) or isinstance(value, ModuleType):
                hint = f"define it inside the function, or {_FILE}"
            message = f"it uses {name}, {_what_it_is(value)}"
            wrong.append(Wrong("CB321", message, hint, line, name))
            continue
        if isinstance(value, ModuleType):
            for submodule in _submodules(source.node, name, value):
                lines[f"import {submodule}"] = None
        lines[statement] = None
    return sorted(lines), wrong


def _what_it_is(value: Any) -> str:
    module = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    if isinstance(module, str) and module.split(".")[0] == _OURS:
        return f"a part of {_OURS}, which images of programs do not have"
    if isinstance(value, ModuleType):
        return "a module of yours, which images of programs do not have"
    return f"of type {type(value).__name__}, which is no import of its module"


def _global_names(code: CodeType) -> set[str]:
    """Global names that the code of a function reads, its inner functions and classes included."""
    found = {
        str(instruction.argval)
        for instruction in dis.get_instructions(code)
        if instruction.opname in _GLOBAL
        or (instruction.opname == "LOAD_NAME" and instruction.argval not in ("__name__", "__qualname__"))
    }
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            # A class body stores the names that it loads again.
            own = {str(i.argval) for i in dis.get_instructions(constant) if i.opname == "STORE_NAME"}
            found |= _global_names(constant) - own
    return found


def _import_of(name: str, value: Any) -> str | None:
    """The statement that gives `value` that name in another process; None if no import does."""
    if isinstance(value, ModuleType):
        if not _installed(value.__name__):
            return None
        return f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")
    for module in _homes(value):
        for own in dict.fromkeys((getattr(value, "__name__", name), name)):
            if isinstance(own, str) and getattr(sys.modules.get(module), own, None) is value and _installed(module):
                return f"from {module} import {own}" + (f" as {name}" if own != name else "")
    return None


def _homes(value: Any) -> Iterator[str]:
    """Modules that may define it; numbers such as ``math.pi`` do not say where they come from."""
    module = getattr(value, "__module__", None)
    if isinstance(module, str):
        yield module
        # What a package offers at its top lies in a private module of it.
        parts = module.split(".")
        yield from (".".join(parts[:n]) for n in range(len(parts) - 1, 0, -1))
    elif type(value) is float:
        yield "math"


def _installed(module: str) -> bool:
    """Whether it is part of Python or of an installed package, as far as this process can tell."""
    top = module.split(".")[0]
    if top in (_OURS, "__main__"):
        return False
    if top in sys.stdlib_module_names:
        return True
    found = sys.modules.get(top)
    places = [getattr(found, "__file__", None), *getattr(found, "__path__", ())]
    roots = [Path(sysconfig.get_path(key)).resolve() for key in ("purelib", "platlib")]
    resolved = [Path(place).resolve() for place in places if place]
    return any("dist-packages" in p.parts or any(map(p.is_relative_to, roots)) for p in resolved)


def _submodules(node: ast.AST, name: str, module: ModuleType) -> Iterator[str]:
    """Modules that are reached through attributes (``xml.etree``): a plain import of the top does not load them."""
    for chain in _chains(node, name):
        path = module.__name__
        for attribute in chain:
            path = f"{path}.{attribute}"
            if path not in sys.modules:
                break
            yield path


def _chains(node: ast.AST, name: str) -> Iterator[list[str]]:
    for inner in ast.walk(node):
        chain: list[str] = []
        at: ast.AST = inner
        while isinstance(at, ast.Attribute):
            chain.insert(0, at.attr)
            at = at.value
        if chain and isinstance(at, ast.Name) and at.id == name:
            yield chain


def _line_of(node: ast.FunctionDef, name: str) -> int | None:
    used = (inner for part in node.body for inner in ast.walk(part) if isinstance(inner, ast.Name))
    return min((inner.lineno for inner in used if inner.id == name), default=None)


def _refusal(what: str, reasons: list[Wrong] | tuple[Wrong, ...], source: Source | None) -> BundleError:
    problems = tuple(
        Problem(
            code=wrong.code,
            severity=Severity.ERROR,
            message=f"{what} cannot be exported: {wrong.message}",
            hint=wrong.hint,
            where=source.location(wrong.line, wrong.name) if source else Location(),
        )
        for wrong in reasons
    )
    report = Report(source=what, problems=problems)
    return BundleError(f"{what} cannot be exported\n{report}", report=report, code=problems[0].code)
