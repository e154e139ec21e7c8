"""The scores file: strict, data only, everything parsed before anything counts (contract.md 4.11, section 7)."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from codabench.core.base import Record
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.text import did_you_mean
from codabench.storage.sources import TreeSource

SIZE_LIMIT = 1024 * 1024
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_SPECIAL = re.compile(r"[+-]?\.?(nan|inf|infinity)", re.IGNORECASE)
_BOOLEANS = {"true": 1.0, "false": 0.0}


class ScoresFile(Record):
    """What a scores file holds.

    Attributes
    ----------
    scores
        Column key -> finite number; only columns that were asked for.
    raw
        Everything, as JSON values.
    problem
        Why it cannot be used.
    warnings
        What was let through and should be seen.
    """

    scores: dict[str, float] = {}
    raw: dict[str, Any] = {}
    problem: Problem | None = None
    warnings: tuple[Problem, ...] = ()


class _Unusable(Exception):
    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(
            code=code, severity=Severity.ERROR, message=message, hint=hint, fault=Fault.ORGANIZER
        )


def read_scores(output: TreeSource, columns: Sequence[str]) -> ScoresFile:
    """The scores in a scorer's output: ``scores.json`` if present, else ``scores.txt``, at its root only.

    Parameters
    ----------
    columns
        Keys of the columns that are stored (computed ones are not written by scorers).
    """
    try:
        name = _find(output)
        raw = _parse(name, _text(output, name))
        return _pick(name, raw, columns)
    except _Unusable as error:
        return ScoresFile(problem=error.problem)


def _find(output: TreeSource) -> str:
    for name in ("scores.json", "scores.txt"):
        if output.is_file(name):
            return name
    deeper = [e.path for e in output.entries() if e.path.rsplit("/", 1)[-1] in ("scores.json", "scores.txt")]
    found = ", ".join(e.path for e in output.entries()[:8]) or "nothing"
    hint = f"{deeper[0]} exists: write it to the top of /app/output" if deeper else f"found there: {found}"
    raise _Unusable("CB641", "the scoring program wrote no scores.json and no scores.txt to /app/output", hint)


def _text(output: TreeSource, name: str) -> str:
    with output.open(name) as stream:
        data = stream.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise _Unusable("CB642", f"{name} is larger than {SIZE_LIMIT} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _Unusable("CB642", f"{name} is not UTF-8 text: byte {error.start}") from None


def _parse(name: str, text: str) -> dict[str, Any]:
    if name == "scores.json" or text.lstrip().startswith("{"):
        return _parse_json(name, text)
    return _parse_lines(name, text)


class _Repeated(dict[str, Any]):
    """A JSON object; remembers keys that stood in it more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated = {k for k, _ in pairs if k in seen or seen.add(k)}  # type: ignore[func-returns-value]


def _parse_json(name: str, text: str) -> dict[str, Any]:
    if not text.strip():
        raise _Unusable("CB642", f"{name} is empty")
    try:
        found = json.loads(text, object_pairs_hook=_Repeated)
    except json.JSONDecodeError as error:
        raise _Unusable("CB642", f"{name} is not JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    except (RecursionError, ValueError) as error:
        raise _Unusable("CB642", f"{name} is not usable JSON: {type(error).__name__}: {str(error)[:80]}") from None
    if not isinstance(found, dict):
        kind = {list: "a list", str: "a text"}.get(type(found), "a single value")
        raise _Unusable("CB642", f"{name} is not a mapping of column keys to numbers: it is {kind}")
    return found


def _parse_lines(name: str, text: str) -> dict[str, Any]:
    """``key: value`` and ``key:value``; no YAML, nothing is executed (security.md S11)."""
    found: dict[str, Any] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#") or line == "---":
            continue
        key, colon, value = line.partition(":")
        if not colon or not key.strip():
            raise _Unusable("CB642", f"line {number} of {name} is not 'key: value': {line[:60]!r}")
        found[_unquoted(key)] = _unquoted(value.split(" #")[0])
    return found


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _pick(name: str, raw: dict[str, Any], columns: Sequence[str]) -> ScoresFile:
    scores: dict[str, float] = {}
    warnings: list[Problem] = []
    repeated = getattr(raw, "repeated", set())
    for key in columns:
        if key in raw:
            if key in repeated:
                raise _Unusable("CB643", f"{key} stands more than once in {name}")
            scores[key] = _number(name, key, raw[key])
            if name == "scores.json" and not (isinstance(raw[key], (int, float)) and not isinstance(raw[key], bool)):
                warnings.append(_noted(f"{key} in {name} is {raw[key]!r}; it was read as {scores[key]:g}"))
    missing = [k for k in columns if k not in scores]
    if missing:
        others = [k for k in raw if k not in scores]
        guesses = [f"{m!r}: did you mean its column for {g!r}?" for m in missing if (g := did_you_mean(m, others))]
        hint = "; ".join(guesses) or (f"{name} holds {', '.join(map(str, list(raw)[:8]))}" if raw else f"{name} holds no keys")
        # An empty mapping says on purpose that there is nothing; other keys than the columns are a mistake.
        if not scores and raw:
            raise _Unusable("CB644", f"{name} holds none of the leaderboard's columns {', '.join(columns)}", hint)
        warnings.append(
            Problem(
                code="CB645",
                severity=Severity.WARNING,
                message=f"{name} holds {'none' if not scores else 'not all'} of the leaderboard's columns: "
                f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
                hint=hint,
                fault=Fault.ORGANIZER,
            )
        )
    return ScoresFile(scores=scores, raw=_plain(dict(raw)), warnings=tuple(warnings))


def _number(name: str, key: str, value: Any) -> float:
    if isinstance(value, str) and value.lower() in _BOOLEANS:
        return _BOOLEANS[value.lower()]
    if isinstance(value, str):
        if _SPECIAL.fullmatch(value.strip()):
            raise _Unusable("CB643", f"{key} in {name} is not a finite number: {value[:40]}")
        if not _NUMBER.fullmatch(value.strip()):
            raise _Unusable("CB643", f"{key} in {name} is not a number: {value[:40]!r}")
    elif not isinstance(value, (int, float)):
        kind = {dict: "a mapping", list: "a list", _Repeated: "a mapping"}.get(type(value), "null")
        raise _Unusable("CB643", f"{key} in {name} is not a number: it is {kind}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _Unusable("CB643", f"{key} in {name} is not a finite number: {value if isinstance(value, str) else number}")
    return number


def _noted(message: str) -> Problem:
    return Problem(code="CB646", severity=Severity.NOTE, message=message, fault=Fault.ORGANIZER)


def _plain(value: Any) -> Any:
    """JSON that every reader takes: NaN and infinities become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
