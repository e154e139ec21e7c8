"""What codabench.org refuses or reads otherwise (contract.md section 1), for ``check --target codabench.org``.

Each value is looked at as YAML 1.1 constructs it there: ``2026-01-01`` is a date, ``yes`` a flag, ``010`` eight.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

from codabench.bundle.checks.description import moments
from codabench.bundle.dates import DateError
from codabench.bundle.edits import added, mending, raw, replaced, unquoted, without
from codabench.bundle.fields import shorten, whole_number
from codabench.bundle.nodes import Mapping, Node, Scalar, Sequence, Source
from codabench.core.competition import COMPETITION_FLAGS
from codabench.core.problems import Edit, Problem, Severity
from codabench.storage.tree import TreeSource

_SEVERE = {
    "CB035": Severity.ERROR,
    "CB112": Severity.ERROR,
    "CB117": Severity.ERROR,
    "CB205": Severity.ERROR,
    "CB303": Severity.ERROR,
    "CB307": Severity.ERROR,
    "CB309": Severity.ERROR,
    "CB404": Severity.WARNING,
    "CB509": Severity.WARNING,
    "CB510": Severity.WARNING,
}
"""What is worse there than here."""
_LARGEST = 2**31 - 1
_LONGEST_NUMBER = 400
_EMAIL = re.compile(r"[-!#$%&'*+/=?^_`{}|~\w]+(\.[-!#$%&'*+/=?^_`{}|~\w]+)*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}", re.ASCII)
_TEXTS = {
    "": ("title", "docker_image"),
    "pages": ("title",),
    "tasks": ("name",),
    "phases": ("name",),
    "leaderboards": ("title", "key"),
    "columns": ("title", "key"),
}
_NULLABLE_TEXTS = {
    "": ("description", "reward"),
    "tasks": ("description",),
    "phases": ("description",),
    "solutions": ("name", "description"),
}
_WHOLE = {"phases": ("index",), "leaderboards": ("primary_index",), "columns": ("index", "precision")}
_NULLABLE_WHOLE = {"phases": ("max_submissions_per_day", "max_submissions", "execution_time_limit")}
_CHOICES = {"": ("competition_type",), "leaderboards": ("submission_rule",), "columns": ("sorting",)}
_FLAGS = {
    "": COMPETITION_FLAGS,
    "tasks": ("ingestion_only_during_scoring",),
    "phases": ("auto_migrate_to_this_phase", "hide_output", "hide_prediction_output", "hide_score_output"),
    "leaderboards": ("hidden",),
    "columns": ("hidden",),
}
_PATHS = {
    "": ("terms", "image"),
    "pages": ("file",),
    "tasks": ("scoring_program", "ingestion_program", "input_data", "reference_data"),
    "phases": ("public_data", "starting_kit"),
    "solutions": ("path",),
}
_WORDS = frozenset(form(w) for w in ("true", "yes", "on", "y", "t") for form in (str.lower, str.title, str.upper))
_NO_WORDS = frozenset(form(w) for w in ("false", "no", "off", "n", "f") for form in (str.lower, str.title, str.upper))


def at_target(problem: Problem) -> Problem:
    """A problem as severe as it is there."""
    twin = problem.code == "CB107" and "listed twice" in problem.message
    severity = Severity.ERROR if twin else _SEVERE.get(problem.code, problem.severity)
    if problem.severity is Severity.ERROR:
        return problem
    return problem.model_copy(update={"severity": severity})


def check_target(root: Mapping, source: Source, tree: TreeSource, *, old: bool) -> list[Problem]:
    """What else is wrong there; nothing is said of a place that has an error already."""
    errors = {(p.line, p.column) for p in source.problems if p.severity is Severity.ERROR}
    check = _Check(source, tree)
    found = check.old(root) if old else check.new(root)
    return [problem for problem in found if (problem.line, problem.column) not in errors]


def server_value(node: Node | None) -> Any:
    """What codabench.org gets for a node; raises ValueError if the file cannot be read there."""
    if isinstance(node, Scalar):
        return _constructed(node.text) if node.plain and len(node.text) <= _LONGEST_NUMBER else node.text
    return node


@lru_cache(maxsize=4096)
def _constructed(text: str) -> Any:
    import yaml

    resolver: Any = yaml.SafeLoader("")
    try:
        tag = resolver.resolve(yaml.ScalarNode, text, (True, False))
        return resolver.construct_object(yaml.ScalarNode(tag, text))
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ValueError(str(error)) from None
    finally:
        resolver.dispose()


def _mappings(node: Node | None) -> list[Mapping]:
    return [item for item in node.items if isinstance(item, Mapping)] if isinstance(node, Sequence) else []


class _Check:
    def __init__(self, source: Source, tree: TreeSource) -> None:
        self._source, self._tree = source, tree

    def old(self, root: Mapping) -> Iterator[Problem]:
        """Format 1.5 is read there, too, in another way."""
        what = ["phases end one day before the next begins", "is_scoring_only has no effect"]
        board = root.get("leaderboard")
        columns = board.get("columns") if isinstance(board, Mapping) else None
        inner = [node for _, node in columns.entries.values()] if isinstance(columns, Mapping) else []
        if any(isinstance(node, Mapping) and "computed" in node.entries for node in inner):
            what.append("computed columns stay empty")
        hint = "codabench convert writes it as version 2, with the meaning it has here"
        message = f"codabench.org reads version 1.5 otherwise: {'; '.join(what)}"
        yield self._problem("CB189", message, root.get("version"), hint, severity=Severity.WARNING)

    def new(self, root: Mapping) -> Iterator[Problem]:
        """All that is wrong with a description of version 2."""
        unreadable = [*self._unreadable(root)]
        if unreadable:
            yield from unreadable
            return
        version = root.get("version")
        if version is not None and server_value(version) not in (2, "2"):
            yield self._problem(
                "CB181",
                "version must be 2, without anything around it",
                version,
                "write 2",
                unquoted(self._source, version, "2"),
            )
        boards = _mappings(root.get("leaderboards"))
        yield from self._level("", [root])
        for name in ("pages", "tasks", "phases", "solutions", "leaderboards"):
            yield from self._level(name, _mappings(root.get(name)))
        if isinstance(pages := root.get("pages"), Scalar) and pages.is_null:
            yield self._null("pages", root)
        for board in boards:
            yield from self._board(board)
        yield from self._indexes(root)
        yield from self._periods(_mappings(root.get("phases")))
        yield from self._fact_sheet(root.get("fact_sheet"))
        email = root.get("contact_email")
        if isinstance(email, Scalar) and not email.is_null and not _EMAIL.fullmatch(email.text.strip()):
            message = f"codabench.org takes {shorten(email.text)} for no e-mail address"
            yield self._problem("CB181", message, email, "write name@example.org, or leave contact_email out")

    # ------------------------------------------------------------------ values
    def _level(self, name: str, mappings: list[Mapping]) -> Iterator[Problem]:
        for mapping in mappings:
            for key in (*_TEXTS.get(name, ()), *_NULLABLE_TEXTS.get(name, ())):
                yield from self._text(mapping, key, key in _NULLABLE_TEXTS.get(name, ()))
            for key in (*_WHOLE.get(name, ()), *_NULLABLE_WHOLE.get(name, ())):
                yield from self._whole(mapping, key, key in _NULLABLE_WHOLE.get(name, ()))
            for key in _FLAGS.get(name, ()):
                yield from self._flag(mapping, key)
            for key in _PATHS.get(name, ()):
                yield from self._path(mapping, key)
            for key in _CHOICES.get(name, ()):
                if key in mapping.entries and server_value(mapping.get(key)) is None:
                    yield self._null(key, mapping)
            only = mapping.get("accepts_only_result_submissions")
            if name == "phases" and isinstance(only, Scalar) and only.text.lower() in ("true", "yes", "on"):
                message = "codabench.org ignores accepts_only_result_submissions: it runs what is submitted"
                hint = "leave the ingestion program out, if no code is to run"
                yield self._problem("CB188", message, only, hint, severity=Severity.WARNING)

    def _text(self, mapping: Mapping, key: str, nullable: bool) -> Iterator[Problem]:
        node = mapping.get(key)
        if not isinstance(node, Scalar):
            return
        value = server_value(node)
        blank = isinstance(value, str) and not value.strip() and key != "description"
        if (value is None and not nullable) or blank:
            yield self._null(key, mapping)
        elif isinstance(value, (bool, date)):
            kind = "true or false" if isinstance(value, bool) else "a date"
            yield self._problem(
                "CB181",
                f"codabench.org takes {shorten(node.text)} for {kind}, where {key} is a text",
                node,
                "put it into quotes",
                self._quoted(node),
            )

    def _whole(self, mapping: Mapping, key: str, nullable: bool) -> Iterator[Problem]:
        node = mapping.get(key)
        number = whole_number(node)
        if node is None or (number is None and server_value(node) is not None):
            return  # absent, or an error here
        value = server_value(node)
        if value is None:
            if not nullable:
                yield self._null(key, mapping)
        elif type(value) is not int:
            message = f"{key} must be a whole number without quotes and point for codabench.org"
            yield self._problem("CB181", message, node, f"write {number}", unquoted(self._source, node, str(number)))
        elif value > _LARGEST:
            message = f"{key} is too large for codabench.org: at most {_LARGEST}"
            yield self._problem("CB181", message, node, "write a smaller number")

    def _flag(self, mapping: Mapping, key: str) -> Iterator[Problem]:
        node = mapping.get(key)
        if not isinstance(node, Scalar):
            return
        value = server_value(node)
        if value is None:
            yield self._null(key, mapping)
        elif value not in (True, False) and value not in _WORDS | _NO_WORDS | {"1", "0"}:
            word = "true" if node.text.strip().lower() in {w.lower() for w in _WORDS} | {"1"} else "false"
            message = f"{key}: codabench.org knows {shorten(node.text)} for neither true nor false"
            yield self._problem("CB181", message, node, f"write {word}", unquoted(self._source, node, word))

    def _path(self, mapping: Mapping, key: str) -> Iterator[Problem]:
        node = mapping.get(key)
        if not isinstance(node, Scalar):
            return
        value = server_value(node)
        if value is None:
            yield self._null(key, mapping)
        elif not isinstance(value, str):
            message = f"codabench.org takes {shorten(node.text)} for no text, where {key} is a path"
            yield self._problem("CB181", message, node, "put it into quotes", self._quoted(node))
        elif value != value.strip() or (value.endswith("/") and self._tree.is_file(value.strip("/"))):
            right = value.strip().rstrip("/")
            message = f"{shorten(value)} is a path that codabench.org does not find: it is taken letter by letter"
            yield self._problem("CB185", message, node, f"write {right}", replaced(self._source, node, right))

    # ------------------------------------------------------------------ leaderboards
    def _board(self, board: Mapping) -> Iterator[Problem]:
        columns = _mappings(board.get("columns"))
        yield from self._level("columns", columns)
        hidden = [c.get("hidden") for c in columns]
        words = {word.lower() for word in _WORDS} | {"1"}
        if columns and all(isinstance(node, Scalar) and node.text.strip().lower() in words for node in hidden):
            message = "every column is hidden: codabench.org cannot show the leaderboard"
            yield self._problem("CB186", message, board.get("columns"), "show the column that ranks")
        for column in columns:
            yield from self._computation(column)

    def _computation(self, column: Mapping) -> Iterator[Problem]:
        node, over = column.get("computation"), column.get("computation_indexes")
        if isinstance(node, Scalar) and node.text == "avg_rank":
            message = "codabench.org does not know the computation avg_rank"
            yield self._problem("CB184", message, node, "use sum, avg, min or max, or let the program write it")
        if node is not None and over is None:
            edit = added(self._source, column, column.key("computation"), "computation_indexes", "null")
            message = "codabench.org wants computation_indexes wherever computation stands, even if both are null"
            yield self._problem("CB184", message, node, "add computation_indexes: null, or remove computation", edit)
        if isinstance(over, Scalar) and not over.is_null:
            indexes = [part.strip() for part in over.text.split(",") if part.strip()]
            text = f"[{', '.join(indexes)}]"
            message = "codabench.org reads computation_indexes as a list only"
            yield self._problem("CB184", message, over, f"write {text}", unquoted(self._source, over, text))

    # ------------------------------------------------------------------ what belongs together
    def _indexes(self, root: Mapping) -> Iterator[Problem]:
        tasks = [task.get("index") for task in _mappings(root.get("tasks"))]
        known = {server_value(node): node for node in tasks if isinstance(node, Scalar)}
        for owner in (*_mappings(root.get("phases")), *_mappings(root.get("solutions"))):
            listed = owner.get("tasks")
            for item in listed.items if isinstance(listed, Sequence) else ():
                if not isinstance(item, Scalar) or server_value(item) in known:
                    continue
                same = [
                    n for n in known.values() if whole_number(n) is not None and whole_number(n) == whole_number(item)
                ]
                if same:
                    written = raw(self._source, same[0]) or same[0].text
                    edit = unquoted(self._source, item, written)
                    message = f"for codabench.org the index of the task is {written}, and this is another one"
                    yield self._problem("CB185", message, item, f"write {written}", edit)

    def _periods(self, phases: list[Mapping]) -> Iterator[Problem]:
        """Phases that follow one another here, and not there, where times are cut."""
        ordered = sorted(phases, key=lambda phase: whole_number(phase.get("index")) or 0)
        for earlier, later in pairwise(ordered):
            end, start = (_both(node) for node in (earlier.get("end"), later.get("start")))
            if end and start and start[0] > end[0] and start[1] <= end[1]:
                message = (
                    f"codabench.org lets this phase begin at {start[1]:%Y-%m-%d %H:%M}, before the one above has ended"
                )
                hint = "put the dates of both phases into quotes, in UTC"
                yield self._problem("CB183", message, later.get("start"), hint)

    def _fact_sheet(self, sheet: Node | None) -> Iterator[Problem]:
        for name, (place, question) in sheet.entries.items() if isinstance(sheet, Mapping) else ():
            if not isinstance(question, Mapping):
                continue
            inner = question.get("key")
            if inner is not None and server_value(place) != server_value(inner):
                message = f"for codabench.org {shorten(name)} and the key inside it are not the same"
                edits = (self._quoted(node) for node in (place, inner) if not isinstance(server_value(node), str))
                yield self._problem("CB185", message, inner, "put both into quotes", *edits)
            for key in ("is_required", "is_on_leaderboard"):
                node = question.get(key)
                if isinstance(node, Scalar) and server_value(node) != "true" and node.text.lower() in _WORDS | {"1"}:
                    message = f'codabench.org takes only the text "true" for true: {key} has no effect there'
                    edit = unquoted(self._source, node, '"true"')
                    yield self._problem("CB182", message, node, 'write "true"', edit, severity=Severity.WARNING)

    # ------------------------------------------------------------------ how it is said
    def _unreadable(self, root: Mapping) -> Iterator[Problem]:
        waiting: list[Node] = [root]
        seen: set[int] = set()
        while waiting:
            node = waiting.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if isinstance(node, Sequence):
                waiting += reversed(node.items)
            elif isinstance(node, Mapping):
                waiting += [part for entry in reversed(node.entries.values()) for part in reversed(entry)]
            elif isinstance(node, Scalar):
                try:
                    server_value(node)
                except ValueError:
                    message = f"codabench.org cannot read the file: {shorten(node.text)} looks like a date or the like"
                    yield self._problem("CB187", message, node, "put it into quotes", self._quoted(node))

    def _null(self, key: str, mapping: Mapping) -> Problem:
        place, node = mapping.entries[key]
        message = f"{key} is there without a value, which codabench.org refuses"
        hint, edit = f"remove {key}, or give it a value", without(self._source, place, node)
        null = isinstance(node, Scalar) and node.is_null
        return self._problem("CB180", message, place, hint, edit, safe=null)

    def _quoted(self, node: Node) -> Edit | None:
        return replaced(self._source, node, node.text, quoted=True) if isinstance(node, Scalar) else None

    def _problem(
        self,
        code: str,
        message: str,
        node: Node | None,
        hint: str,
        *edits: Edit | None,
        severity: Severity = Severity.ERROR,
        safe: bool = True,
    ) -> Problem:
        fix = mending(hint, *edits, safe=safe) if edits else None
        return Problem(code=code, severity=severity, message=message, where=self._source.of(node), hint=hint, fix=fix)


def _both(node: Node | None) -> tuple[datetime, datetime] | None:
    try:
        return moments(node) if isinstance(node, Scalar) else None
    except DateError:
        return None
