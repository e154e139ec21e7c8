"""A second reader of version 2 bundles, written from contract.md section 1 as codabench.org behaves.

It shares no code with the library and forgives nothing that the server does not: unquoted dates are cut to midnight,
offsets of texts are dropped, real booleans in a fact sheet are false, the first thing that is wrong refuses the bundle.
"""

from __future__ import annotations

import posixpath
import re
import zipfile
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from dateutil.parser import parse

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
TRUE = {True, "1"} | {form(w) for w in ("true", "yes", "on", "y", "t") for form in (str.lower, str.title, str.upper)}
FALSE = {False, "0"} | {form(w) for w in ("false", "no", "off", "n", "f") for form in (str.lower, str.title, str.upper)}
EMAIL = re.compile(r"[^@\s]+@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}")
LARGEST = 2**31 - 1
RULES = {"Add", "Add_And_Delete", "Add_And_Delete_Multiple", "Force_Last", "Force_Latest_Multiple", "Force_Best"}
QUESTION = {"key", "type", "title", "selection", "is_required", "is_on_leaderboard"}
FLAGS = {
    "registration_auto_approve": False,
    "make_programs_available": False,
    "make_input_data_available": False,
    "enable_detailed_results": False,
    "show_detailed_results_in_submission_panel": True,
    "show_detailed_results_in_leaderboard": True,
    "auto_run_submissions": True,
    "can_participants_make_submissions_public": True,
    "forum_enabled": True,
}


class RefusedError(Exception):
    """What the server would say."""


def read(path: Path) -> dict[str, Any]:
    """The competition that the server would make of a bundle, or `RefusedError`."""
    return _Server(_files(path)).competition()


def accepts(path: Path) -> bool:
    """Whether the server takes the bundle; whatever else goes wrong there refuses it, too."""
    try:
        read(path)
    except (RefusedError, LookupError, TypeError, ValueError, AttributeError, OverflowError, yaml.YAMLError):
        return False
    return True


def read_task(path: Path, known: dict[str, str] | None = None) -> dict[str, Any]:
    """The task that the server would make of a task archive (section 3.1), or `RefusedError`.

    `known` are the data sets of the uploader: key -> type.
    """
    files = _files(path)
    _demand("task.yaml" in files, "task.yaml not found")
    data = yaml.safe_load(files["task.yaml"])
    _demand("name" in data and data["name"] and len(data["name"]) <= 256, "missing name")
    _demand("description" in data, "missing description")
    _demand("scoring_program" in data, "missing scoring_program")
    parts = {}
    for role in ("scoring_program", "ingestion_program", "input_data", "reference_data"):
        part = data.get(role)
        if not part:
            continue
        if part.get("key"):
            _demand((known or {}).get(part["key"]) == role, f"{role} with key {part['key']} not found")
            parts[role] = part["key"]
        elif part.get("zip"):
            _demand(part["zip"] in files, f"{part['zip']} not found")
            _demand(part["zip"].endswith(".zip"), f"{part['zip']} should be a zip")
            parts[role] = files[part["zip"]]
    _demand("scoring_program" in parts, "scoring_program needs key or zip")
    flags = {key: data.get(key, False) for key in ("is_public", "ingestion_only_during_scoring")}
    _demand(all(type(flag) is bool for flag in flags.values()), "no boolean")
    return {"name": data["name"], "description": data["description"] or "", **flags, "parts": parts}


def _files(path: Path) -> dict[str, bytes]:
    if path.is_dir():
        found = {p.relative_to(path).as_posix() + "/" * p.is_dir(): p for p in path.rglob("*")}
        return {name: p.read_bytes() if p.is_file() else b"" for name, p in found.items()}
    if not zipfile.is_zipfile(path):
        raise RefusedError("bad zip uploaded")
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def _demand(holds: object, why: str) -> None:
    if not holds:
        raise RefusedError(why)


class _Server:
    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files

    def competition(self) -> dict[str, Any]:
        _demand("competition.yaml" in self.files, "competition.yaml is missing")
        data = yaml.safe_load(self.files["competition.yaml"])
        _demand(str(data.get("version", "1")) == "2", "no suitable version found")
        pages = [self.page(page) for page in data["pages"]]
        tasks = self.tasks(data)
        solutions = [self.solution(s, tasks) for s in data.get("solutions") or []]
        self.text(data, "terms")
        self.logo(data)
        queue = data.get("queue")
        _demand(not queue or UUID.fullmatch(queue), "specified queue does not exist")
        email = data.get("contact_email")
        _demand(email is None or EMAIL.fullmatch(email.strip()), "contact_email: no e-mail address")
        return {
            "title": self.word(data, "title", 256),
            "description": self.note(data) or "",
            "docker_image": self.word(data, "docker_image", 128, "codalab/codalab-legacy:py37"),
            "reward": self.word(data, "reward", 256, None),
            "type": self.choice(data, "competition_type", {"competition", "benchmark"}, "competition"),
            **{flag: self.flag(data, flag, default) for flag, default in FLAGS.items()},
            "pages": pages,
            "tasks": tasks,
            "solutions": solutions,
            "phases": self.phases(data, tasks),
            "leaderboards": self.leaderboards(data),
            "fact_sheet": self.fact_sheet(data.get("fact_sheet")),
        }

    # ------------------------------------------------------------------ values
    def word(self, data: dict[str, Any], key: str, most: int, *default: Any) -> Any:
        if default and (key not in data or (data[key] is None and default[0] is None)):
            return default[0]
        value = data.get(key)
        _demand(type(value) in (str, int, float), f"{key}: may not be null")
        _demand(str(value).strip(), f"{key}: may not be blank")
        _demand(len(str(value)) <= most, f"{key}: no more than {most} characters")
        return str(value)

    def note(self, data: dict[str, Any]) -> str | None:
        value = data.get("description")
        _demand(value is None or type(value) in (str, int, float), "description: no text")
        return value if value is None else str(value)

    def flag(self, data: dict[str, Any], key: str, default: bool) -> bool:
        value = data.get(key, default)
        _demand(not isinstance(value, (list, dict, type(None))) and value in TRUE | FALSE, f"{key}: no boolean")
        return value in TRUE

    def whole(self, data: dict[str, Any], key: str, default: int | None, least: int | None = 0) -> int:
        value = data.get(key, default)
        _demand(type(value) is int and (least is None or value >= least), f"{key}: no whole number")
        _demand(value <= LARGEST, f"{key}: too large")
        return value

    def limit(self, data: dict[str, Any], key: str, default: int) -> int | None:
        """As `whole`; null and 0 are none."""
        return None if key in data and data[key] is None else self.whole(data, key, default) or None

    def choice(self, data: dict[str, Any], key: str, choices: set[str], default: str) -> str:
        value = data.get(key, default)
        _demand(value in choices, f"{key}: {value} is no choice")
        return value

    @staticmethod
    def moment(value: Any) -> datetime | None:
        if not value:
            return None
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        _demand(isinstance(value, str), "a date is a text")
        return parse(value).replace(tzinfo=UTC)

    # ------------------------------------------------------------------ files
    def text(self, data: dict[str, Any], key: str) -> str:
        _demand(data.get(key), f"{key} not supplied")
        name = self.plain(data[key])
        _demand(name in self.files, f"unable to find page: {data[key]}")
        text = self.files[name].decode()
        _demand(text, f"{data[key]} is empty")
        return text

    def page(self, page: dict[str, Any]) -> dict[str, str]:
        return {"title": self.word(page, "title", 255), "content": self.text(page, "file")}

    def logo(self, data: dict[str, Any]) -> None:
        _demand("image" in data, "image could not be found in the yaml")
        image = self.plain(data["image"])
        _demand(image in self.files, "unable to find image")
        _demand(self.files[image].startswith(PICTURES), "type of image could not be determined")

    @staticmethod
    def plain(value: Any) -> str:
        """A path as the file system takes it: nothing is trimmed, a slash at its end means a folder."""
        _demand(isinstance(value, str) and not value.startswith("/") and ".." not in value.split("/"), "no path")
        return posixpath.normpath(value) + "/" * value.endswith("/")

    def data(self, value: Any, *, runs: bool = True) -> str:
        """A folder or a zip; what is only handed out may be any file."""
        value = self.plain(value)
        if any(name.startswith(value.rstrip("/") + "/") for name in self.files):
            return "folder"
        _demand(value in self.files, f"cannot find dataset: {value}")
        _demand(not runs or self.files[value].startswith(b"PK"), f"{value}: bad or empty zip file")
        return "file"

    # ------------------------------------------------------------------ lists
    def tasks(self, data: dict[str, Any]) -> dict[Any, dict[str, Any]]:
        _demand(data.get("tasks"), "no tasks listed")
        tasks: dict[Any, dict[str, Any]] = {}
        for task in data["tasks"]:
            _demand("index" in task, "no index for task")
            _demand(task["index"] not in tasks, "duplicate task indexes")
            _demand("scoring_program" in task, "task has no scoring program")
            roles = ("scoring_program", "ingestion_program", "input_data", "reference_data")
            tasks[task["index"]] = {
                "name": self.word(task, "name", 256),
                "description": self.note(task),
                "ingestion_only_during_scoring": self.flag(task, "ingestion_only_during_scoring", False),
                **{role: self.data(task[role]) for role in roles if role in task},
            }
        return tasks

    def solution(self, solution: dict[str, Any], tasks: dict[Any, Any]) -> dict[str, Any]:
        _demand("index" in solution, "no index for solution")
        _demand("tasks" in solution and all(t in tasks for t in solution["tasks"]), "missing task index pointers")
        _demand("path" in solution, "solution missing path")
        self.note(solution)
        _demand(solution.get("name") is None or self.word(solution, "name", 256), "name")
        return {"path": self.data(solution["path"]), "tasks": solution["tasks"]}

    def phases(self, data: dict[str, Any], tasks: dict[Any, Any]) -> list[dict[str, Any]]:
        _demand(data.get("phases"), "unable to find any phases")
        phases = [self.phase(p, tasks) for p in sorted(data["phases"], key=lambda p: p.get("index", 0))]
        for earlier, later in pairwise(phases):
            _demand(earlier["end"], "a phase must have an end time because a phase follows it")
            _demand(later["start"] >= earlier["end"], "phases must be sequential")
            _demand(later["start"] != earlier["end"], "dates conflict")
        _demand(not phases[0]["migrates"], "auto_migrate_to_this_phase: not on the first phase")
        return phases

    def phase(self, phase: dict[str, Any], tasks: dict[Any, Any]) -> dict[str, Any]:
        start = self.moment(phase.get("start"))
        _demand(start, "a phase without start")
        _demand(phase.get("tasks"), "phases must contain at least one task")
        _demand(all(index in tasks for index in phase["tasks"]), "unknown task")
        for role in ("public_data", "starting_kit"):
            if role in phase:
                self.data(phase[role], runs=False)
        return {
            "name": self.word(phase, "name", 256),
            "description": self.note(phase),
            "index": self.whole(phase, "index", 0, None),
            "start": start,
            "end": self.moment(phase.get("end")),
            "tasks": phase["tasks"],
            "per_day": self.limit(phase, "max_submissions_per_day", 5),
            "in_all": self.limit(phase, "max_submissions", 100),
            "seconds": self.limit(phase, "execution_time_limit", 600) or 600,
            "migrates": self.flag(phase, "auto_migrate_to_this_phase", False),
            "hidden": [self.flag(phase, f"hide_{w}output", False) for w in ("", "prediction_", "score_")],
        }

    def leaderboards(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        _demand(data.get("leaderboards"), "could not find leaderboards in the yaml")
        return [self.leaderboard(board) for board in data["leaderboards"]]

    def leaderboard(self, board: dict[str, Any]) -> dict[str, Any]:
        _demand(board.get("columns"), "leaderboards require at least 1 column")
        indexes = [self.whole(column, "index", None) for column in board["columns"]]
        columns = [self.column(column, indexes) for column in board["columns"]]
        _demand(None not in indexes and len(set(indexes)) == len(indexes), "column indexes must be unique")
        _demand(len({c["key"] for c in columns}) == len(columns), "column keys must be unique")
        primary = self.whole(board, "primary_index", 0)
        _demand(primary in indexes, "a leaderboard without a primary column cannot be displayed")
        _demand(not all(c["hidden"] for c in columns), "a leaderboard of hidden columns cannot be displayed")
        return {
            "title": self.word(board, "title", 64),
            "key": self.word(board, "key", 36),
            "rule": self.choice(board, "submission_rule", RULES, "Add"),
            "primary": primary,
            "columns": sorted(columns, key=lambda c: c["index"]),
        }

    def column(self, column: dict[str, Any], indexes: list[Any]) -> dict[str, Any]:
        over = column.get("computation_indexes")
        if "computation" in column:
            _demand("computation_indexes" in column, "must have at least 1 column selected")
            _demand(column["computation"] in {"sum", "avg", "min", "max", None}, "computation is no choice")
            _demand(over if column["computation"] else not over, "computation and indexes belong together")
        _demand(not over or "computation" in column, "indexes without computation")
        _demand(isinstance(over or [], list), "a list of indexes")
        _demand(
            all(int(i) in indexes and int(i) != column["index"] for i in over or []), "computed from no other column"
        )
        return {
            "title": self.word(column, "title", 36),
            "key": self.word(column, "key", 36),
            "index": column["index"],
            "sorting": self.choice(column, "sorting", {"desc", "asc"}, "desc"),
            "precision": self.whole(column, "precision", 2, None),
            "hidden": self.flag(column, "hidden", False),
            "computation": (column.get("computation"), over or []),
        }

    def fact_sheet(self, sheet: Any) -> dict[str, Any]:
        for key, question in (sheet or {}).items():
            _demand(set(question) == QUESTION, f"missing values for {key}")
            _demand(question["key"] == key, "the key of a question")
            _demand(question["type"] in {"checkbox", "text", "select"}, "the type of a question")
        return {
            key: {name: question[name] == "true" for name in ("is_required", "is_on_leaderboard")}
            for key, question in (sheet or {}).items()
        }
