"""A JSON Schema of ``competition.yaml`` (version 2) for editors, generated from the models of the competition.

The models say which keys there are, their defaults and their meaning. What YAML may hold for each is said here: flags
in words, numbers in quotes, files by their path. What the schema refuses, reading refuses, too.
"""

from __future__ import annotations

import inspect
import re
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from codabench.core.base import Record
from codabench.core.competition import (
    ColumnSpec,
    CompetitionSpec,
    Computation,
    DataSpec,
    LeaderboardSpec,
    PageSpec,
    PhaseSpec,
    QuestionSpec,
    SolutionSpec,
    TaskSpec,
)

Json = dict[str, Any]

_FLAG: Json = {
    "anyOf": [
        {"type": ["boolean", "null"]},
        {"enum": [0, 1]},
        {
            "type": "string",
            "pattern": "^\\s*([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|[Yy]([Ee][Ss])?|[Nn][Oo]?|[Oo][Nn]"
            "|[Oo][Ff][Ff]|[TtFf01])\\s*$",
        },
    ]
}
_TEXT: Json = {"type": ["string", "number", "boolean"]}
_PATH: Json = {"type": "string", "pattern": "\\S"}
_INDEX: Json = {"type": ["integer", "string", "number", "boolean"]}
_INDEXES: Json = {"type": "array", "items": _INDEX}
_NUMBER = "^\\s*[-+]?\\d{1,18}(\\.0*)?\\s*$"
_LONGEST = {"title": 256, "name": 256, "docker_image": 128, "reward": 256, "key": 36}
_SHORTER = {(PageSpec, "title"): 255, (LeaderboardSpec, "title"): 64, (ColumnSpec, "title"): 36}
_NOT_NEGATIVE = ("max_submissions_per_day", "max_submissions", "execution_time_limit", "primary_index")
_OURS = frozenset(("format", "extras", "terms", "terms_file", "content", "computation_weights", "unpacked"))
_REQUIRED: dict[type[Record], tuple[str, ...]] = {
    CompetitionSpec: ("version", "title", "image", "terms", "pages", "tasks", "phases", "leaderboards"),
    PageSpec: ("title", "file"),
    TaskSpec: ("index",),
    PhaseSpec: ("name", "start", "tasks"),
    SolutionSpec: ("index", "tasks"),
    LeaderboardSpec: ("title", "key", "columns"),
    ColumnSpec: ("title", "key", "index"),
    QuestionSpec: ("key", "type", "title", "selection", "is_required", "is_on_leaderboard"),
}
_LISTS: dict[str, type[Record]] = {
    "pages": PageSpec,
    "tasks": TaskSpec,
    "phases": PhaseSpec,
    "leaderboards": LeaderboardSpec,
    "solutions": SolutionSpec,
    "columns": ColumnSpec,
}
_SOME = ("tasks", "phases", "leaderboards", "columns")
_PLAIN: dict[tuple[type[Record], str], Json] = {
    (CompetitionSpec, "image"): _PATH,
    (PageSpec, "file"): _PATH,
    (PhaseSpec, "tasks"): {**_INDEXES, "minItems": 1},
    (SolutionSpec, "tasks"): _INDEXES,
    (TaskSpec, "index"): _INDEX,
    (SolutionSpec, "index"): _INDEX,
    (SolutionSpec, "path"): _PATH,
    (QuestionSpec, "selection"): {"anyOf": [{"type": "array"}, {"enum": ["", None]}]},
    (ColumnSpec, "computation_indexes"): {
        "anyOf": [{"type": "array", "items": _INDEX}, {"type": ["null", "string", "integer"]}]
    },
    (ColumnSpec, "computation"): {
        "enum": [c.value for c in Computation if c not in (Computation.MEAN_RANK, Computation.MRR)] + [None]
    },
}


def schema() -> Json:
    """The JSON Schema (draft 2020-12) of ``competition.yaml``, version 2.

    Keys that are not known are allowed, because reading keeps them aside.
    """
    found = _object(CompetitionSpec)
    properties = found["properties"]
    wanted: Json = {"enum": [2, "2"], "description": "The format of the bundle."}
    terms = {**_PATH, "description": "The file with the terms of participation."}
    sheet = {"type": ["object", "null"], "additionalProperties": _object(QuestionSpec)}
    sheet["description"] = "Questions that submissions answer, by key."
    found["properties"] = {
        "version": wanted,
        **properties,
        "terms": terms,
        "fact_sheet": {"anyOf": [sheet, {"const": ""}]},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "competition.yaml, version 2",
        **found,
    }


def _object(model: type[Record]) -> Json:
    said = described(model)
    properties = {}
    for name, field in model.model_fields.items():
        if name in _OURS or (model is CompetitionSpec and name == "fact_sheet"):
            continue
        shape = dict(_shape(model, name, field.annotation))
        if name in said:
            shape["description"] = said[name]
        if field.default is not PydanticUndefined and isinstance(field.default, (bool, int, str)):
            shape["default"] = field.default.value if isinstance(field.default, StrEnum) else field.default
        properties[name] = shape
    found: Json = {"type": "object", "properties": properties, "required": [*_REQUIRED[model]]}
    if model is TaskSpec:
        found["anyOf"] = [{"required": ["key"]}, {"required": ["name", "scoring_program"]}]
    if model is SolutionSpec:
        found["anyOf"] = [{"required": ["key"]}, {"required": ["path"]}]
    return found


def _shape(model: type[Record], name: str, kind: Any) -> Json:
    """What YAML may hold for a field."""
    if (model, name) in _PLAIN:
        return _PLAIN[model, name]
    required = name in _REQUIRED[model]
    kinds = get_args(kind) if get_origin(kind) is not Literal else ()
    if name in _LISTS:
        items = {"type": "array", "items": _object(_LISTS[name]), **({"minItems": 1} if name in _SOME else {})}
        return items if required else {"anyOf": [items, {"type": "null"}]}
    if any(isinstance(part, type) and issubclass(part, DataSpec) for part in (kind, *kinds)):
        return {"type": ["string", "null"], "pattern": "\\S"}
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return {"enum": [*(word.value for word in kind), *([] if required else [None])]}
    if get_origin(kind) is Literal:
        return {"enum": [*get_args(kind), *([] if required else [None])]}
    if kind is bool:
        return _FLAG
    if int in (kind, *kinds):
        least = {"minimum": 0} if name in _NOT_NEGATIVE or (model is ColumnSpec and name == "index") else {}
        return {"anyOf": [{"type": "integer", **least}, {"type": "string", "pattern": _NUMBER}, *_null(required)]}
    if name in ("start", "end"):
        return {"type": ["string", "null"] if name == "end" else "string"}
    shape = {"type": [*_TEXT["type"], *([] if required else ["null"])]}
    most = _SHORTER.get((model, name), _LONGEST.get(name) if model is not TaskSpec or name != "key" else None)
    return {**shape, **({"maxLength": most} if most and model is not QuestionSpec else {})}


def _null(required: bool) -> list[Json]:
    return [] if required else [{"type": "null"}]


def described(model: type[Record]) -> dict[str, str]:
    """What the docstring of a model says of its attributes; several that stand together share their text."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        text = inspect.cleandoc(base.__doc__ or "").partition("\nAttributes\n----------\n")[2]
        for names, body in re.findall(r"^(\w[\w, ]*)\n((?:    .*\n?)+)", text, re.M):
            said = " ".join(line.strip() for line in body.splitlines()).replace("``", "`")
            found |= dict.fromkeys((name.strip() for name in names.split(",")), said)
    return found
