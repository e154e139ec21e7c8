"""Columns of leaderboards: which way they are sorted, and whether anything is written into them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from codabench.bundle.checks.sources import ProgramText
from codabench.bundle.checks.subject import ColumnPlace, Subject
from codabench.bundle.edits import added, mending, replaced
from codabench.bundle.fields import shorten, spelled
from codabench.bundle.nodes import Source
from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.problems import Edit, Problem, Severity
from codabench.core.text import plural

_TIMES = re.compile(
    r"times?|durations?|latency|runtime|walltime|cputime|elapsed|seconds|secs|milliseconds|minutes", re.IGNORECASE
)
_ABOUT_TIMES = re.compile(
    r"total|mean|avg|average|median|max|min|overall|wall|cpu|gpu|clock|run|running|exec|execution|train|training|infer|"
    r"inference|predict|prediction|predicting|test|testing|fit|fitting|response|ingestion|scoring|comput(e|ing|ation)|"
    r"process|processing|query|solv(e|ing)|used|taken|in|of|the|your|per|sample|s|sec|ms|h",
    re.IGNORECASE,
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[^\W\d_]+")


def check_directions(subject: Subject) -> Iterator[Problem]:
    """Columns of times in which the longest time ranks first."""
    wrong = [
        column
        for board in subject.spec.leaderboards
        for column in board.columns
        if column.sorting is Sorting.DESC and column.key in subject.columns and _is_time(column)
    ]
    if not wrong:
        return
    key = "sorting" if subject.spec.format == "v2" else "sort"
    places = [subject.columns[column.key] for column in wrong]
    where = [subject.source.of(place.sorting or place.key) for place in places]
    what = "column" if len(wrong) == 1 else "columns"
    verb = "ranks" if len(wrong) == 1 else "rank"
    yield Problem(
        code="CB501",
        severity=Severity.WARNING,
        message=f"the {what} {spelled((shorten(c.title) for c in wrong[:5]), 'and')} {verb} the longest time first",
        where=where[0],
        also=tuple(where[1:4]),
        hint=f"write {key}: asc, if less is better",
        fix=mending(f"write {key}: asc", *(_ascending(subject.source, place) for place in places), safe=False),
    )


def _ascending(source: Source, place: ColumnPlace) -> Edit | None:
    if place.sorting is not None:
        return replaced(source, place.sorting, "asc")
    return added(source, place.node, place.node.key("key"), "sorting", "asc") if place.node else None


def _is_time(column: ColumnSpec) -> bool:
    """Whether key and title both speak of a time and of nothing else, such as survival."""
    return _speaks_of_time(column.key) and _speaks_of_time(column.title)


def _speaks_of_time(text: str) -> bool:
    words = _WORDS.findall(text)
    others = [word for word in words if not _TIMES.fullmatch(word)]
    return len(others) < len(words) and all(map(_ABOUT_TIMES.fullmatch, others))


# ---------------------------------------------------------------------- keys
def check_keys(subject: Subject) -> Iterator[Problem]:
    """Columns that no scoring program fills, as far as their sources say for sure."""
    programs = subject.scoring
    if not programs or not all(program.complete for program in programs):
        return
    facts = [f for program in programs for f in program.facts.values()]
    written = {key for f in facts for key in f.written}
    if any(f.doubtful for f in facts) or not written:
        return
    strings = {text for f in facts for text in f.strings}
    everything = _fold("\n".join(text for program in programs for text in program.texts.values()))
    columns = dict.fromkeys(subject.spec.written)
    spelt = {_fold(key): key for key in written - columns.keys()}
    settings = [text for p in programs for name, text in p.texts.items() if name not in p.facts]
    unwritten = [k for k in columns if k not in written and k not in strings and not any(k in t for t in settings)]
    near = [key for key in unwritten if _fold(key) in spelt]
    for key in near:
        yield _misspelt(subject, programs, key, spelt[_fold(key)])
    missing = [key for key in unwritten if _fold(key) not in everything]
    if missing and (written & columns.keys() or near):
        yield _never_written(subject, programs, missing)


def _misspelt(subject: Subject, programs: tuple[ProgramText, ...], key: str, other: str) -> Problem:
    also = [
        program.place(file, facts.written[other])
        for program in programs
        for file, facts in program.facts.items()
        if other in facts.written
    ]
    return Problem(
        code="CB503",
        severity=Severity.WARNING,
        message=f"the column key {shorten(key)} is written {shorten(other)} by the scoring program: it stays empty",
        where=subject.column(key),
        also=tuple(also[:1]),
        hint=f"did you mean {other}? keys match letter by letter",
        fix=mending(f"write {other}", replaced(subject.source, subject.columns[key].key, other), safe=False)
        if subject.spec.format == "v2" and key in subject.columns
        else None,
    )


def _never_written(subject: Subject, programs: tuple[ProgramText, ...], missing: list[str]) -> Problem:
    who = "the scoring program" if len(programs) == 1 else f"none of the {plural(len(programs), 'scoring program')}"
    verb = "never mentions" if len(programs) == 1 else "mentions"
    keys = ", ".join(shorten(key) for key in missing[:5])
    what = "column" if len(missing) == 1 else "columns"
    return Problem(
        code="CB502",
        severity=Severity.WARNING,
        message=f"{who} {verb} the {what} {keys}{', ...' if len(missing) > 5 else ''}: nothing will stand there",
        where=subject.column(missing[0]),
        also=tuple(subject.column(key) for key in missing[1:4]),
        hint="write the key into the scores file, or remove the column",
    )


def _fold(text: str) -> str:
    return re.sub(r"[\s_\-]+", "", text).lower()
