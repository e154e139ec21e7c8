"""What hypothesis draws: descriptions of competitions over the keys of their schema, scores, answers, dates."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import yaml
from _mutate import ODD_SCALARS
from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
words = st.sampled_from(ODD_SCALARS)
numbers = st.integers(-3, 12) | st.integers() | st.sampled_from((2**31, 2**63, 10**30, -(10**30)))
floats = st.floats() | st.sampled_from((1e308, -0.0, 5e-324))
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)) | st.dates()
scalars = st.none() | st.booleans() | numbers | floats | texts | words | moments
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | words, inner, max_size=3), max_leaves=5
)
_CDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_CDumper):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


# ---------------------------------------------------------------------- the keys of version 2, and values they may have
def _one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


flags = st.booleans() | _one_of("true", "False", "yes", "on", 0, 1)
names = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30).filter(str.strip) | _one_of(
    "One", "010"
)
folders = _one_of("data", "data/", "./data", "data.zip", "inner.zip")
programs = _one_of("scoring", "scoring/", "program.zip")
counts = _one_of(0, 1, 5, 100, None, "7", 10**6)
dates = st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)).map(str) | _one_of(
    "2026-01-01", "8-7-2019", "1-1-2026"
)
TOP = {
    "description": texts, "registration_auto_approve": flags, "docker_image": names, "make_programs_available": flags,
    "make_input_data_available": flags, "queue": _one_of("b8a25ab3-5b0a-4a44-8d0e-6b4d1dcb2c2a", None, "mine"),
    "enable_detailed_results": flags, "show_detailed_results_in_leaderboard": flags, "auto_run_submissions": flags,
    "can_participants_make_submissions_public": flags, "forum_enabled": flags, "contact_email": _one_of("a@b.c", None),
    "competition_type": _one_of("competition", "benchmark"), "reward": names, "solutions": _one_of([], None),
    "is_public": flags,
}  # fmt: skip
TASK = {
    "description": texts, "ingestion_program": programs, "input_data": folders, "reference_data": folders,
    "ingestion_only_during_scoring": flags, "is_public": flags,
}  # fmt: skip
PHASE = {
    "description": texts, "max_submissions": counts, "max_submissions_per_day": counts, "execution_time_limit": counts,
    "accepts_only_result_submissions": flags, "hide_output": flags, "hide_prediction_output": flags,
    "hide_score_output": flags, "public_data": folders, "starting_kit": folders, "solutions": _one_of([]),
}  # fmt: skip
BOARD = {
    "hidden": flags, "index": counts,
    "submission_rule": _one_of("Add", "Add_And_Delete", "Force_Last", "Force_Latest_Multiple", "Force_Best"),
}  # fmt: skip
COLUMN = {
    "sorting": _one_of("asc", "desc"), "precision": _one_of(0, 2, 10, -1), "hidden": flags,
}  # fmt: skip


@st.composite
def _some(draw: Draw, keys: dict[str, st.SearchStrategy[Any]]) -> dict[str, Any]:
    chosen = draw(st.lists(st.sampled_from(sorted(keys)), max_size=3, unique=True))
    return {key: draw(keys[key]) for key in chosen}


@st.composite
def _board(draw: Draw) -> dict[str, Any]:
    size = draw(st.integers(1, 3))
    columns = [{"title": f"C{n}", "key": f"c{n}", "index": n, **draw(_some(COLUMN))} for n in range(size)]
    if size > 1 and draw(st.booleans()):
        columns[0] |= {"computation": draw(_one_of("sum", "avg", "min", "max", None)), "computation_indexes": [1]}
    return {"title": draw(names), "key": "board", "columns": columns, **draw(_some(BOARD))}


@st.composite
def _question(draw: Draw, key: str) -> dict[str, Any]:
    return {
        "key": key,
        "type": draw(_one_of("checkbox", "text", "select")),
        "title": draw(texts),
        "selection": draw(_one_of("", [], ["a", "b", ""], [True, False])),
        "is_required": draw(_one_of("true", "false", True)),
        "is_on_leaderboard": draw(_one_of("true", "false")),
    }


@st.composite
def _version_2(draw: Draw) -> dict[str, Any]:
    tasks = draw(st.integers(1, 3))
    phases = [
        {
            "index": n,
            "name": draw(names),
            "start": f"20{30 + n}-01-01",
            "end": f"20{30 + n}-06-01",
            **draw(_some(PHASE)),
        }
        | {"tasks": draw(st.lists(st.integers(0, tasks - 1), min_size=1, max_size=tasks, unique=True))}
        for n in range(draw(st.integers(1, 3)))
    ]
    top = {
        "version": draw(_one_of(2, 2, 2, "2")),
        "title": draw(names),
        "image": "logo.png",
        "terms": "terms.md",
        "pages": [{"title": draw(names), "file": "overview.md"} for _ in range(draw(st.integers(0, 2)))],
        "tasks": [
            {"index": n, "name": draw(names), "scoring_program": draw(programs), **draw(_some(TASK))}
            for n in range(tasks)
        ],
        "phases": phases,
        "leaderboards": [draw(_board()) for _ in range(draw(_one_of(1, 1, 1, 2)))],
        **draw(_some(TOP)),
    }
    if draw(_one_of(True, False, False)):
        top["fact_sheet"] = {
            key: draw(_question(key)) for key in draw(st.lists(_one_of("q1", "q2", "q 3"), unique=True))
        }
    if draw(_one_of(True, False, False)):
        top["solutions"] = [{"index": 0, "tasks": [0], "path": draw(folders)}]
    return top


# ---------------------------------------------------------------------- the keys of the old format
OLD_TOP = {
    "description": texts, "has_registration": flags, "end_date": dates, "competition_docker_image": names,
    "force_submission_to_leaderboard": flags, "disallow_leaderboard_modifying": flags, "enable_forum": flags,
    "admin_names": _one_of("a,b,"), "anonymous_leaderboard": flags, "allow_teams": flags, "start_date": dates,
    "enable_detailed_results": flags, "reward": names, "image": _one_of("logo.png", None),
}  # fmt: skip
OLD_PHASE = {
    "description": texts, "max_submissions": counts, "max_submissions_per_day": counts, "execution_time_limit": counts,
    "auto_migration": flags, "is_scoring_only": flags, "color": _one_of("green"), "phase_never_ends": flags,
    "is_parallel_parent": flags, "parent_phasenumber": _one_of(0, 1, 2), "ingestion_program": programs,
    "input_data": folders, "starting_kit": folders, "public_data": folders, "hide_prediction_output": flags,
    "force_best_submission_to_leaderboard": flags, "datasets": _one_of({1: {"name": "d", "url": "http://example.org"}}),
    "leaderboard_management_mode": _one_of("default", "hide_results"),
}  # fmt: skip
OLD_COLUMN = {
    "label": names, "rank": _one_of(0, 1, 2, 3), "numeric_format": _one_of(0, 4, "2"), "sort": _one_of("asc", "desc"),
    "hidden": flags, "selection_default": _one_of(0, 1), "column_group": _one_of({"label": "G"}),
    "computed": _one_of(
        {"operation": "Avg", "fields": "c1, c 2"}, {"operation": "MRR", "fields": "c1"}, {"operation": "Max"}
    ),
}  # fmt: skip


@st.composite
def _version_15(draw: Draw) -> dict[str, Any]:
    boards = {"RESULTS": {"label": "Results", "rank": 1}, "OTHER": {"label": draw(names), "rank": 2}}
    phases = {
        draw(_one_of(n, str(n), f"p{n}")): {
            "phasenumber": n, "label": draw(names), "start_date": f"20{20 + n}-01-01", "reference_data": draw(folders),
            "scoring_program": draw(programs), **draw(_some(OLD_PHASE)),
        }
        for n in range(1, draw(st.integers(2, 4)))
    }  # fmt: skip
    columns = {
        key: {"leaderboard": boards[draw(_one_of("RESULTS", "RESULTS", "OTHER"))], **draw(_some(OLD_COLUMN))}
        for key in ("c1", "c 2", "c3")[: draw(st.integers(1, 3))]
    }
    return {
        "title": draw(names),
        "image": "logo.png",
        "html": {draw(_one_of("overview", "Help")): "overview.md", "terms": "terms.md", "data": "overview.md"},
        "phases": phases,
        "leaderboard": {"leaderboards": boards, "columns": columns},
        **draw(_some(OLD_TOP)),
    }


# ---------------------------------------------------------------------- the keys of a task
@st.composite
def _task(draw: Draw) -> dict[str, Any]:
    keys = _one_of("b8a25ab3-5b0a-4a44-8d0e-6b4d1dcb2c2a", "B8A25AB35B0A4A448D0E6B4D1DCB2C2A", "")
    places = _one_of({"zip": "program.zip"}, {"zip": "data.zip"}, {"zip": "inner.zip"}, {"zip": "none.zip"})
    part = places | places | st.fixed_dictionaries({"key": keys}, optional={"zip": _one_of("data.zip", None)})
    parts = draw(_some({"ingestion_program": part, "input_data": part, "reference_data": part}))
    flags_given = draw(_some({"is_public": flags, "ingestion_only_during_scoring": flags}))
    program = {"scoring_program": draw(_one_of({"zip": "program.zip"}, {"zip": "program.zip"}, {}))}
    return {"name": draw(names), "description": draw(texts), **program, **parts, **flags_given}


# ---------------------------------------------------------------------- spoiled: one value, one key, one line
@st.composite
def _spoiled(draw: Draw, sound: st.SearchStrategy[Any]) -> bytes:
    """A description in which nothing, a value, a key or the text is wrong."""
    document = draw(sound)
    for _ in range(draw(_one_of(0, 0, 1, 1, 2, 4))):
        _spoil_one(draw, document)
    style = draw(_one_of(None, None, True, False))
    text = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=draw(st.booleans()), default_flow_style=style
    )
    return text.encode("utf-8", "surrogatepass")


def _spoil_one(draw: Draw, node: Any) -> None:
    while True:
        if isinstance(node, dict):
            place = draw(st.sampled_from(list(node))) if node else draw(texts)
        elif isinstance(node, list) and node:
            place = draw(st.integers(0, len(node) - 1))
        else:
            return
        inner = node.get(place) if isinstance(node, dict) else node[place]
        if isinstance(inner, (dict, list)) and inner and draw(_one_of(True, True, False)):
            node = inner
            continue
        what = draw(st.integers(0, 5))
        if what == 0 and isinstance(node, dict):
            node.pop(place, None)
        elif what == 1 and isinstance(node, dict):
            node[draw(texts | words)] = node.pop(place, None)
        elif what == 2 and isinstance(node, list):
            node.append(inner)
        else:
            node[place] = draw(anything)
        return


def version_2() -> st.SearchStrategy[bytes]:
    return _spoiled(_version_2())


def task() -> st.SearchStrategy[bytes]:
    return _spoiled(_task())


def version_15() -> st.SearchStrategy[bytes]:
    return _spoiled(_version_15())


# ---------------------------------------------------------------------- small files
@st.composite
def metadata(draw: Draw) -> bytes:
    commands = _one_of("python3 score.py", "python $program/x.py $input $output") | texts | words
    value = draw(commands | st.lists(commands, max_size=3) | anything)
    document = {"command": value} | draw(st.dictionaries(texts, anything, max_size=2))
    text = yaml.dump(document, Dumper=_Dumper, sort_keys=False)
    return text.encode("utf-8", "surrogatepass")


_scores = st.floats() | numbers | st.booleans() | words | texts | st.none()


_values = st.recursive(_scores, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))


@st.composite
def scores_txt(draw: Draw) -> bytes:
    lines = draw(st.lists(st.tuples(_one_of("score", "loss", "all_costs") | texts, _scores), max_size=6))
    text = "\n".join(f"{key}{draw(_one_of(': ', ':', ' : '))}{value}" for key, value in lines)
    return text.encode("utf-8", "surrogatepass")


@st.composite
def scores_json(draw: Draw) -> bytes:
    values = st.recursive(
        _scores, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
    )
    document = draw(st.dictionaries(_one_of("score", "loss", "all_costs") | texts, values, max_size=5) | values)
    text = json.dumps(document, ensure_ascii=draw(st.booleans()))
    if draw(_one_of(True, *[False] * 9)):
        text = text.replace("{", draw(_one_of("{" * 2000, '{"score": 1, ', "[" * 100_000, '{"\\ud800": ')), 1)
    return text.encode("utf-8", "surrogatepass")


@st.composite
def fact_sheets(draw: Draw) -> list[bytes]:
    """Questions, and answers to them, as JSON: a few with the same questions."""
    keys = draw(st.lists(_one_of("q1", "q2", "q 3") | texts, unique=True, max_size=4))
    questions = [draw(_question(key)) for key in keys]
    pool = ["a", "true", True, "", None, *draw(st.lists(anything, max_size=3))]
    random = Random(draw(st.integers(0, 2**64)))
    found = []
    for _ in range(5):
        answers: Any = {key: random.choice(pool) for key in keys if random.random() < 0.9}
        if random.random() < 0.2:
            answers = random.choice((None, [], "text", 1, {**answers, "more": "a"}))
        found.append(json.dumps({"questions": questions, "answers": answers}, default=str).encode())
    return found


@st.composite
def date(draw: Draw) -> bytes:
    parts = st.integers(0, 99) | st.integers(0, 99_999)
    sep = draw(_one_of("-", "/", ".", " "))
    text = draw(
        st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones()).map(str)
        | st.tuples(parts, parts, parts).map(lambda p: sep.join(map(str, p)))
        | _one_of("August 3, 2020 10:15 PM", "3 Aug 2020", "Jan 1 2020 25:00", "May 2020", "13-7-2019 9:05 pm")
        | words
        | texts
    )
    data: bytes = text.encode("utf-8", "surrogatepass")
    return data
