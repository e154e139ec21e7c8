"""The text of a ``competition.yaml``: a spec in the keys of version 2 (contract.md section 1), in one fixed order.

Every value that both a server and this library take in one way only: moments are quoted and have a zone, flags of the
fact sheet are the texts that a server compares them with, folders end in a slash, defaults are written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from math import isinf
from typing import Any

import yaml

from codabench.core.base import Record
from codabench.core.competition import (
    COMPETITION_FLAGS,
    ColumnSpec,
    CompetitionSpec,
    DataSpec,
    LeaderboardSpec,
    PageSpec,
    PhaseSpec,
    QuestionSpec,
    SolutionSpec,
    TaskSpec,
)

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_./ +-]*(?<! )")
_MEANING = frozenset(("true", "false", "yes", "no", "on", "off", "y", "n", "null"))
_HIDING = ("hide_output", "hide_prediction_output", "hide_score_output")

Named = Callable[[DataSpec], str | None]


def to_yaml(spec: CompetitionSpec, is_folder: Callable[[str], bool]) -> str:
    """The description of a competition, to be saved as UTF-8; see `to_document`."""
    return to_text(to_document(spec, is_folder))


def to_document(spec: CompetitionSpec, is_folder: Callable[[str], bool]) -> dict[str, Any]:
    """The description of a competition as plain values.

    Parameters
    ----------
    spec
        What version 2 can say: see `codabench.bundle.canonical.as_v2`. A part with a key is written by that key.
    is_folder
        Whether a path of the bundle is a folder, not an archive.
    """

    def named(data: DataSpec) -> str | None:
        return data.key or (f"{data.path}/" if data.path and is_folder(data.path) else data.path)

    return _competition(spec, named)


def to_text(document: dict[str, Any]) -> str:
    """A mapping as YAML, with an empty line before what holds more than one value."""
    parts = []
    for key, value in document.items():
        text = yaml.dump({key: value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=2**31)
        parts.append("\n" * (isinstance(value, (list, dict)) and bool(value)) + text)
    return "".join(parts)


# ---------------------------------------------------------------------- keys and their order
def _competition(spec: CompetitionSpec, named: Named) -> dict[str, Any]:
    return {
        "version": 2,
        "title": spec.title,
        **_given(description=spec.description or None, image=spec.image, terms=spec.terms_file),
        "docker_image": spec.docker_image,
        "competition_type": spec.competition_type,
        **_given(queue=spec.queue, reward=spec.reward, contact_email=spec.contact_email),
        **{flag: getattr(spec, flag) for flag in COMPETITION_FLAGS},
        "pages": [_page(page) for page in spec.pages],
        "tasks": [_task(task, named) for task in spec.tasks],
        "phases": [_phase(phase, named) for phase in spec.phases],
        **_given(solutions=[_solution(solution, named) for solution in spec.solutions] or None),
        "leaderboards": [_leaderboard(board) for board in spec.leaderboards],
        **_given(fact_sheet={question.key: _question(question) for question in spec.fact_sheet} or None),
        **_extras(spec),
    }


def _page(page: PageSpec) -> dict[str, Any]:
    return {"title": page.title, "file": page.file}


def _task(task: TaskSpec, named: Named) -> dict[str, Any]:
    if task.scoring_program is None:
        return {"index": task.index, "key": task.key}
    data = {role: named(part) for role, part in task.parts.items()}
    return {
        "index": task.index,
        **_given(key=task.key),
        "name": task.name,
        **_given(description=task.description, **data),
        "ingestion_only_during_scoring": task.ingestion_only_during_scoring,
        **_extras(task),
    }


def _phase(phase: PhaseSpec, named: Named) -> dict[str, Any]:
    only_results = phase.accepts_only_result_submissions or None
    downloads = {role: named(part) for role, part in phase.parts.items()}
    return {
        "index": phase.index,
        "name": phase.name,
        **_given(description=phase.description),
        "start": _moment(phase.start),
        **_given(end=_moment(phase.end) if phase.end else None),
        "tasks": list(phase.tasks),
        # Null and absent are not the same: absent means 5 and 100.
        "max_submissions_per_day": phase.max_submissions_per_day,
        "max_submissions": phase.max_submissions,
        "execution_time_limit": phase.execution_time_limit,
        "auto_migrate_to_this_phase": phase.auto_migrate_to_this_phase,
        **_given(accepts_only_result_submissions=only_results),
        **{flag: getattr(phase, flag) for flag in _HIDING},
        **_given(**downloads),
        **_extras(phase),
    }


def _solution(solution: SolutionSpec, named: Named) -> dict[str, Any]:
    where = {"key": solution.key} if solution.key else {"path": named(solution)}
    return {
        "index": solution.index,
        **_given(name=solution.name, description=solution.description),
        "tasks": list(solution.tasks),
        **where,
        **_extras(solution),
    }


def _leaderboard(board: LeaderboardSpec) -> dict[str, Any]:
    return {
        "title": board.title,
        "key": board.key,
        "submission_rule": board.submission_rule.value,
        "primary_index": board.primary_index,
        "hidden": board.hidden,
        "columns": [_column(column) for column in board.columns],
        **_extras(board),
    }


def _column(column: ColumnSpec) -> dict[str, Any]:
    # A server wants computation_indexes as soon as computation is there, even if that is null.
    over = list(column.computation_indexes)
    computed = {"computation": column.computation.value, "computation_indexes": over} if column.computation else {}
    return {
        "title": column.title,
        "key": column.key,
        "index": column.index,
        "sorting": column.sorting.value,
        "precision": column.precision,
        "hidden": column.hidden,
        **computed,
        **_extras(column),
    }


def _question(question: QuestionSpec) -> dict[str, Any]:
    return {
        "key": question.key,
        "type": question.type,
        "title": question.title,
        "selection": list(question.selection) or "",
        # A server compares these with the text "true": a real boolean would be false there.
        "is_required": str(question.is_required).lower(),
        "is_on_leaderboard": str(question.is_on_leaderboard).lower(),
    }


def _given(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _extras(spec: Record) -> dict[str, Any]:
    extras: dict[str, Any] = getattr(spec, "extras")  # noqa: B009 - not every record has them
    return {key: _ordered(extras[key]) for key in sorted(extras)}


def _ordered(value: Any) -> Any:
    """Mappings that are equal are written alike, whatever the order of their keys."""
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(item) for item in value] if isinstance(value, list) else value


def _moment(at: datetime) -> str:
    """A text, because a server cuts a timestamp to its day; in UTC, because it drops the offset of a text."""
    return at.isoformat().replace("+00:00", "Z")


# ---------------------------------------------------------------------- how values are written
class _Dumper(yaml.SafeDumper):
    """Texts without quotes only where nobody can take them for something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if _WORD.fullmatch(text) and text.lower() not in _MEANING:
        style = None
    elif text.isprintable():
        style = "'"
    else:
        style = "|" if _is_block(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


def _is_block(text: str) -> bool:
    """Whether it can stand as lines below its key, and ends where the next key begins."""
    lines = text.removesuffix("\n").split("\n")
    ends = bool(lines[0] and lines[-1])
    return ends and lines[0][0] != " " and all(line.isprintable() and line[-1:] != " " for line in lines)


def _number(dumper: _Dumper, number: float) -> yaml.ScalarNode:
    if isinf(number):
        text = "-1.0e+999" if number < 0 else "1.0e+999"
        return dumper.represent_scalar("tag:yaml.org,2002:float", text)
    return dumper.represent_float(number)


def _list(dumper: _Dumper, items: list[Any]) -> yaml.SequenceNode:
    short = all(not isinstance(item, (list, dict)) and "\n" not in str(item) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
_Dumper.add_representer(list, _list)
