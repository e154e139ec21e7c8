"""The scores file: strict, data only, everything parsed before anything counts (contract.md 4.11, section 7)."""

from __future__ import annotations

import itertools
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
DEPTH = 32
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


class _UnusableError(Exception):
    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.problem = Problem(code=code, severity=Severity.ERROR, message=message, hint=hint, fault=Fault.ORGANIZER)


def read_scores(output: TreeSource, columns: Sequence[str]) -> ScoresFile:
    """The scores in a scorer's output: ``scores.json`` if present, else ``scores.txt``, at its root only.

    Parameters
    ----------
    columns
        Keys of the columns that are stored (computed ones are not written by scorers). None: there is no leaderboard,
        and every key that holds a number is a score.
    """
    try:
        name = _find(output)
        text = _text(output, name)
        as_json = name == "scores.json" or text.lstrip().startswith("{")
        raw = _parse_json(name, text) if as_json else _parse_lines(name, text)
        return _pick(name, raw, columns, as_json=as_json) if columns else _every_number(name, raw)
    except _UnusableError as error:
        return ScoresFile(problem=error.problem)


def _find(output: TreeSource) -> str:
    for name in ("scores.json", "scores.txt"):
        if output.is_file(name):
            return name
    deeper = [e.path for e in output.entries() if e.path.rsplit("/", 1)[-1] in ("scores.json", "scores.txt")]
    found = ", ".join(e.path for e in output.entries()[:8]) or "nothing"
    hint = f"{deeper[0]} exists: write it to the top of /app/output" if deeper else f"found there: {found}"
    raise _UnusableError("CB641", "the scoring program wrote no scores.json and no scores.txt to /app/output", hint)


def _text(output: TreeSource, name: str) -> str:
    with output.open(name) as stream:
        data = stream.read(SIZE_LIMIT + 1)
    if len(data) > SIZE_LIMIT:
        raise _UnusableError("CB642", f"{name} is larger than {SIZE_LIMIT} bytes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _UnusableError("CB642", f"{name} is not UTF-8 text: byte {error.start}") from None


class _Repeated(dict[str, Any]):
    """A mapping of keys to values; remembers keys that stood in it more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        seen: set[str] = set()
        self.repeated = {k for k, _ in pairs if k in seen or seen.add(k)}  # type: ignore[func-returns-value]


def _whole(digits: str) -> int | str:
    """A whole number; one of thousands of digits stays text, which no column takes and any other key may hold."""
    return int(digits) if len(digits) <= 1000 else digits


def _parse_json(name: str, text: str) -> _Repeated:
    if not text.strip():
        raise _UnusableError("CB642", f"{name} is empty")
    try:
        found = json.loads(text, object_pairs_hook=_Repeated, parse_int=_whole)
    except json.JSONDecodeError as error:
        raise _UnusableError(
            "CB642", f"{name} is not JSON: {error.msg}, line {error.lineno} column {error.colno}"
        ) from None
    except (RecursionError, ValueError) as error:
        raise _UnusableError("CB642", f"{name} is not usable JSON: {type(error).__name__}: {str(error)[:80]}") from None
    if not isinstance(found, _Repeated):
        kind = "a list" if isinstance(found, list) else "a single value"
        raise _UnusableError("CB642", f"{name} is not a mapping of column keys to numbers: it is {kind}")
    return found


def _parse_lines(name: str, text: str) -> _Repeated:
    """``key: value`` and ``key:value``; no YAML, nothing is executed (security.md S11)."""
    pairs: list[tuple[str, Any]] = []
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#") or line == "---":
            continue
        key, colon, value = line.partition(":")
        if not colon or not key.strip():
            raise _UnusableError("CB642", f"line {number} of {name} is not 'key: value': {line[:60]!r}")
        pairs.append((_unquoted(key), _unquoted(value.split(" #")[0])))
    return _Repeated(pairs)


def _unquoted(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'" else text


def _odd(value: Any, as_json: bool) -> bool:
    """Whether a number was written as something else; in ``scores.txt`` everything is text."""
    if isinstance(value, str):
        return as_json or value.lower() in _BOOLEANS
    return isinstance(value, bool)


def _every_number(name: str, raw: _Repeated) -> ScoresFile:
    scores: dict[str, float] = {}
    for key, value in raw.items():
        try:
            scores[key] = _number(name, key, value)
        except _UnusableError:
            continue  # no column says that it has to be a number
    message = f"{name} holds no number: there is nothing to compare submissions by"
    warning = Problem(code="CB645", severity=Severity.WARNING, message=message, fault=Fault.ORGANIZER)
    return ScoresFile(scores=scores, raw=_plain(dict(raw)), warnings=() if scores else (warning,))


def _pick(name: str, raw: _Repeated, columns: Sequence[str], *, as_json: bool) -> ScoresFile:
    scores: dict[str, float] = {}
    warnings: list[Problem] = []
    for key in columns:
        if key in raw:
            if key in raw.repeated:
                raise _UnusableError("CB643", f"{key} stands more than once in {name}")
            scores[key] = _number(name, key, raw[key])
            if _odd(raw[key], as_json):
                warnings.append(_noted(f"{key} in {name} is {_short(raw[key])}; it was read as {scores[key]:g}"))
    missing = [k for k in columns if k not in scores]
    if missing:
        others = [k for k in itertools.islice(raw, 200) if k not in scores and len(k) <= 100]
        guesses = [
            f"{m!r}: did you mean its column for {_short(g)}?" for m in missing if (g := did_you_mean(m, others))
        ]
        holds = ", ".join(_short(k) for k in list(raw)[:8]) if raw else "no keys"
        hint = "; ".join(guesses) or f"{name} holds {holds}"
        # An empty mapping says on purpose that there is nothing; other keys than the columns are a mistake.
        if not scores and raw:
            raise _UnusableError("CB644", f"{name} holds none of the leaderboard's columns {', '.join(columns)}", hint)
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
            raise _UnusableError("CB643", f"{key} in {name} is not a finite number: {value[:40]}")
        if not _NUMBER.fullmatch(value.strip()):
            hint = "columns hold numbers; a text may stand under any key that is no column"
            raise _UnusableError("CB643", f"{key} in {name} is not a number: {value[:40]!r}", hint)
    elif not isinstance(value, (int, float)):
        kind = "a mapping" if isinstance(value, dict) else "a list" if isinstance(value, list) else "null"
        raise _UnusableError("CB643", f"{key} in {name} is not a number: it is {kind}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _UnusableError("CB643", f"{key} in {name} is not a finite number: {_short(value)}")
    return number


def _noted(message: str) -> Problem:
    return Problem(code="CB646", severity=Severity.NOTE, message=message, fault=Fault.ORGANIZER)


def _short(value: Any) -> str:
    """A value in a message."""
    text = (
        repr(value)
        if isinstance(value, (str, bool))
        else f"{float(value):g}"
        if isinstance(value, float)
        else ascii(value)
    )
    return text if len(text) <= 60 else text[:57] + "..."


def _plain(value: Any, depth: int = 0) -> Any:
    """JSON that every reader takes: numbers that are huge or not finite become text, deep nesting is cut off."""
    if isinstance(value, (dict, list)) and depth >= DEPTH:
        return "..."
    if isinstance(value, dict):
        return {_plain(str(k)): _plain(v, depth + 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, depth + 1) for v in value]
    if isinstance(value, str):
        # JSON can spell halves of surrogate pairs, which no UTF-8 can hold.
        return value.encode("utf-8", "replace").decode("utf-8")
    if (isinstance(value, float) and not math.isfinite(value)) or (isinstance(value, int) and abs(value) >= 2**63):
        return str(value)
    return value
