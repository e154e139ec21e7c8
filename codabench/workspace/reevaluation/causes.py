"""Failures by their cause: step, exit code, exception and line of the program."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from codabench.core.errors import StorageError
from codabench.core.records import Exit, ExitReason, Outcome, Run
from codabench.core.text import plural, preformatted, printable
from codabench.runner.contract import log_name

if TYPE_CHECKING:
    import pandas as pd

    from codabench.storage.store import Storage

_TAIL = 64 << 10
"""Bytes of a log in which the last traceback is looked for."""
_BEGIN = "Traceback (most recent call last):"
_FRAME = re.compile(r'\s+File "([^"]*)", line (\d+)')
_LIBRARY = re.compile(r"[/\\](?:site-packages|dist-packages|lib[/\\]python\d[^/\\]*)[/\\]|^<frozen ")
_LONGEST = 200


class Raised(NamedTuple):
    """What ended a program of Python: the exception, and the last line of the program itself that led to it."""

    type: str
    message: str
    line: str

    def __str__(self) -> str:
        said = f"{self.type}: {self.message}" if self.message else self.type
        return f"{said} in {self.line}" if self.line else said


class Cause(NamedTuple):
    """Why a run failed; equal for runs that failed alike.

    Attributes
    ----------
    step
        ``prediction``, ``scoring``, or empty where it did not come to one.
    code
        Of the problem.
    what
        How the program ended; empty if it was not that.
    raised
        The exception and its line; empty if standard error has no traceback.
    """

    step: str
    code: str
    what: str
    raised: str


class Group(NamedTuple):
    """Failures with one cause.

    Attributes
    ----------
    message
        Of the first of them.
    runs, names
        Their ids, and what their submissions are called.
    """

    cause: Cause
    message: str
    runs: tuple[str, ...]
    names: tuple[str, ...]

    def __str__(self) -> str:
        named = ", ".join(printable(name) for name in dict.fromkeys(self.names[:3]))
        more = f" and {len(self.names) - 3} more" if len(self.names) > 3 else ""
        return f"{len(self.runs)} × {printable(self.message)}   ({named}{more})"


class Failures(Sequence[Group]):
    """The failures of a batch by cause, the most frequent first."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups = sorted(groups, key=lambda group: -len(group.runs))

    def __getitem__(self, place: Any) -> Any:
        return self._groups[place]

    def __len__(self) -> int:
        return len(self._groups)

    @property
    def total(self) -> int:
        """How many runs failed."""
        return sum(len(group.runs) for group in self)

    def to_frame(self) -> pd.DataFrame:
        """One row for each cause."""
        import pandas as pd

        columns = ["runs", *Cause._fields, "message", "submissions"]
        rows = [[len(g.runs), *g.cause, g.message, ", ".join(dict.fromkeys(g.names))] for g in self]
        return pd.DataFrame(rows, columns=columns)

    def to_dict(self) -> list[dict[str, Any]]:
        """For ``--json``."""
        return [{**g.cause._asdict(), "message": g.message, "runs": list(g.runs), "names": list(g.names)} for g in self]

    def __repr__(self) -> str:
        if not self:
            return "no failures"
        head = f"{plural(self.total, 'failure')}, {plural(len(self), 'cause')}"
        return "\n".join([head, *(f"  {group}" for group in self)])

    def _repr_html_(self) -> str:
        return preformatted(repr(self), "cb-failures")


def last_traceback(text: str) -> Raised | None:
    """The last traceback of Python in a log; None if there is none that came to its end.

    The line is the last one of the program itself, as ``scoring.py:31``, not of a library that it called.
    """
    start = text.rfind(_BEGIN)
    if start < 0:
        return None
    frames: list[tuple[str, str]] = []
    for line in text[start + len(_BEGIN) :].splitlines()[1:]:
        if found := _FRAME.match(line):
            frames.append((found[1], found[2]))
        elif line[:1].strip():
            kind, _, message = line.partition(":")
            own = [frame for frame in frames if not _LIBRARY.search(frame[0])] or frames
            place = "{}:{}".format(re.split(r"[/\\]", own[-1][0])[-1], own[-1][1]) if own else ""
            return Raised(kind.strip(), message.strip()[:_LONGEST], place)
    return None


def cause_of(run: Run, storage: Storage) -> tuple[Cause, str]:
    """Why a run failed, and in words."""
    outcome = run.outcome
    problem = outcome.problem if outcome else None
    code, message = (problem.code, problem.message) if problem else ("", run.status.value)
    if outcome is None or not outcome.steps:
        return Cause("", code, "", ""), message
    failed = next((s for s in outcome.steps if any(not end.ok for end in s.exits.values())), outcome.steps[-1])
    role, end = next(((r, e) for r, e in failed.exits.items() if not e.ok), (None, None))
    raised = last_traceback(_tail(outcome, log_name(failed.name, role, "stderr"), storage)) if role else None
    what = _ended(end) if end else ""
    line = f"{raised.type} {raised.line}".strip() if raised else ""
    said = f"{failed.name}: {raised}" if raised else message
    return Cause(failed.name, code, what, line), said


def group(runs: Iterable[Run], names: Mapping[str, str], storage: Storage) -> Failures:
    """The failures among runs, by cause.

    Parameters
    ----------
    names
        Submission id -> what it is called.
    """
    found: dict[Cause, tuple[str, list[str], list[str]]] = {}
    for run in runs:
        cause, message = cause_of(run, storage)
        _, ids, called = found.setdefault(cause, (message, [], []))
        ids.append(run.id)
        called.append(names.get(run.submission, run.submission))
    return Failures(Group(cause, said, tuple(ids), tuple(called)) for cause, (said, ids, called) in found.items())


def _ended(end: Exit) -> str:
    return f"exit code {end.code}" if end.reason is ExitReason.EXITED else end.reason.value.replace("_", " ")


def _tail(outcome: Outcome, name: str, storage: Storage) -> str:
    log = next((log for step in outcome.steps for log in step.logs if log.name == name), None)
    if log is None:
        return ""
    try:
        return storage.get(log.blob)[-_TAIL:].decode("utf-8", "replace")
    except StorageError:  # a log that is gone makes a cause less exact, no more
        return ""
