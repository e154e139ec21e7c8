"""The keys of scores that a Python file writes, as far as they stand in it."""

from __future__ import annotations

import ast
import re

from codabench.bundle.checks.python import UNKNOWN, Facts, Module, literal_keys, reference, sight

_DUMPS = frozenset(("json.dump", "json.dumps", "yaml.dump", "yaml.safe_dump"))
_LINE = re.compile(rf"\s*([^:\n]{{1,60}}?)\s*:(?=[\s{UNKNOWN}]|$)")
_WORD = re.compile(r"[A-Za-z_][\w .\-]*")
_PAGE = re.compile(r"\.(html?|md|csv|svg|log)$")


def find_written(module: Module, facts: Facts) -> None:
    """Add the keys to `facts`, and whether there may be more."""
    changes = _changes(module)
    dumped: set[str] = set()
    printed: set[str] = set()
    for call in module.calls:
        full = module.full_name(call.func)
        first = call.args[0] if call.args else None
        if full in _DUMPS:
            _dumped(module, facts, first, changes, dumped)
        elif isinstance(call.func, ast.Attribute) and call.func.attr in ("write", "write_text", "writelines"):
            if first is not None and not _is_page(module, call.func.value):
                _lines(module, facts, call, first, printed)
        elif full == "print" and first is not None and _goes_to_file(module, call):
            _lines(module, facts, call, first, printed)


_Changes = dict[str, list[ast.Subscript | ast.Call]]


def _changes(module: Module) -> _Changes:
    """``name[key] = ...`` and ``name.update(...)``, by name."""
    found: _Changes = {}
    for node in module.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and (name := reference(node.value)):
            found.setdefault(name, []).append(node)
    for call in module.calls:
        if isinstance(call.func, ast.Attribute) and (name := reference(call.func.value)):
            found.setdefault(name, []).append(call)
    return found


def _dumped(module: Module, facts: Facts, node: ast.expr | None, changes: _Changes, seen: set[str]) -> None:
    """What ``json.dump`` is given: dicts, or names that stand for dicts and get more keys."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        name = reference(node) if node is not None else ""
        if not name:
            _take(facts, node)
        elif name not in seen:
            seen.add(name)
            values = module.values(name)
            facts.doubtful |= not values
            waiting += values
            for change in changes.pop(name, ()):
                _change(facts, change)


def _change(facts: Facts, change: ast.Subscript | ast.Call) -> None:
    if isinstance(change, ast.Subscript):
        _key(facts, change.slice)
    elif isinstance(change.func, ast.Attribute) and change.func.attr == "update":
        _take(facts, change.args[0] if change.args else change)
    elif isinstance(change.func, ast.Attribute) and change.func.attr == "setdefault":
        _key(facts, change.args[0] if change.args else None)


def _take(facts: Facts, node: ast.expr | None) -> None:
    """The keys of a dict that is written out, as ``{...}`` or ``dict(...)``, or given to ``update(...)``."""
    plain = isinstance(node, ast.Dict) or (
        isinstance(node, ast.Call)
        and not (node.args and _is(node.func, "dict"))
        and (_is(node.func, "dict") or (isinstance(node.func, ast.Attribute) and node.func.attr == "update"))
    )
    if node is None or not plain:
        facts.doubtful = True
        return
    for key in literal_keys(node):
        _key(facts, key)


def _key(facts: Facts, key: ast.expr | None) -> None:
    if isinstance(key, ast.Constant) and isinstance(key.value, str):
        facts.written.setdefault(key.value, sight(key, key.value))
    else:
        facts.doubtful = True


def _lines(module: Module, facts: Facts, call: ast.Call, written: ast.expr, seen: set[str]) -> None:
    """Lines ``key: value`` that are written to a file."""
    values: list[ast.expr | None] = [written]
    if name := reference(written):
        if name in seen:
            return
        seen.add(name)
        values = module.values(name)
        facts.doubtful |= not values
    for value in values:
        if isinstance(value, ast.Call) and module.full_name(value.func) in _DUMPS:
            continue  # it is looked at by itself
        for line in (UNKNOWN if value is None else module.text(value)).split("\n"):
            match = _LINE.match(line)
            if match and _WORD.fullmatch(match[1]):
                facts.written.setdefault(match[1], sight(call, match[1]))
            elif UNKNOWN in line and not line.lstrip().startswith("<"):  # which is HTML
                facts.doubtful = True


def _is_page(module: Module, node: ast.expr) -> bool:
    return bool(_PAGE.search(module.text(node)))


def _goes_to_file(module: Module, call: ast.Call) -> bool:
    to = [module.full_name(k.value) for k in call.keywords if k.arg == "file"]
    return bool(to) and to[0] not in ("sys.stderr", "sys.stdout")


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
