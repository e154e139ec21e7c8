"""The keys of scores that a Python file writes, as far as they stand in it."""

from __future__ import annotations

import ast
import re

from codabench.bundle.checks.python import UNKNOWN, Facts, Module, literal_keys, sight

_DUMPS = frozenset(("json.dump", "json.dumps", "yaml.dump", "yaml.safe_dump"))
_LINE = re.compile(rf"\s*([^:\n]{{1,60}}?)\s*:(?=[\s{UNKNOWN}]|$)")
_WORD = re.compile(r"[A-Za-z_][\w .\-]*")
_PAGE = re.compile(r"\.(html?|md|csv|svg|log)$")


def find_written(module: Module, facts: Facts) -> None:
    """Add the keys to `facts`, and whether there may be more."""
    changes = _changes(module)
    for call in module.calls:
        full = module.full_name(call.func)
        if full in _DUMPS:
            _dumped(module, facts, changes, call.args[0] if call.args else None)
        elif isinstance(call.func, ast.Attribute) and call.func.attr in ("write", "write_text", "writelines"):
            if call.args and not _is_page(module, call.func.value):
                _lines(module, facts, call, call.args[0])
        elif full == "print" and call.args and _goes_to_file(module, call):
            _lines(module, facts, call, call.args[0])


def _changes(module: Module) -> dict[str, list[ast.Subscript | ast.Call]]:
    """``name[key] = ...`` and ``name.update(...)``, by name."""
    found: dict[str, list[ast.Subscript | ast.Call]] = {}
    for node in module.nodes:
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
            found.setdefault(node.value.id, []).append(node)
    for call in module.calls:
        if isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name):
            found.setdefault(call.func.value.id, []).append(call)
    return found


def _dumped(
    module: Module, facts: Facts, changes: dict[str, list[ast.Subscript | ast.Call]], node: ast.expr | None
) -> None:
    """What ``json.dump`` is given: a dict, or a name that stands for dicts and gets more keys."""
    if not isinstance(node, ast.Name):
        _take(facts, node)
        return
    values = module.values(node.id)
    facts.doubtful |= not values
    for value in values:
        _take(facts, value)
    for change in changes.pop(node.id, ()):
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


def _lines(module: Module, facts: Facts, call: ast.Call, written: ast.expr) -> None:
    """Lines ``key: value`` that are written to a file."""
    if isinstance(written, ast.Call) and module.full_name(written.func) in _DUMPS:
        return  # it is looked at by itself
    text = module.text(written)
    for line in text.split("\n"):
        match = _LINE.match(line)
        if match and _WORD.fullmatch(match[1]):
            facts.written.setdefault(match[1], sight(call, match[1]))
        elif UNKNOWN in line:
            facts.doubtful = True


def _is_page(module: Module, node: ast.expr) -> bool:
    return bool(_PAGE.search(module.text(node)))


def _goes_to_file(module: Module, call: ast.Call) -> bool:
    to = [module.full_name(k.value) for k in call.keywords if k.arg == "file"]
    return bool(to) and to[0] not in ("sys.stderr", "sys.stdout")


def _is(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name
