"""Problems are data: a stable code, what is wrong, where, whose fault, and the next step."""

from __future__ import annotations

from enum import StrEnum

from codabench.core.base import Record


class Severity(StrEnum):
    """How bad a problem is. Only errors refuse a bundle."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Fault(StrEnum):
    """Who has to act: it decides who sees which log and whether an attempt counts (contract.md section 7)."""

    PARTICIPANT = "participant"
    ORGANIZER = "organizer"
    OPERATOR = "operator"


class Location(Record):
    """A place in a text file; lines and columns count from 1.

    Attributes
    ----------
    file
        Path relative to the root of the bundle.
    line, column, end_line, end_column
        ``end_column`` is exclusive. ``None`` where a problem concerns the whole file.
    excerpt
        The text of the line, for the snippet with carets.
    """

    file: str | None = None
    line: int | None = None
    column: int | None = None
    end_line: int | None = None
    end_column: int | None = None
    excerpt: str | None = None


class Problem(Record):
    """One thing that is wrong, or worth knowing.

    Attributes
    ----------
    code
        Stable, ``CB`` and three digits; listed in ``docs/problems.md``.
    severity, message, hint
        The hint is the next step ("did you mean ...").
    where
        The place, if there is one.
    also
        Further places that belong to it, such as the first of two duplicate keys.
    fault
        For problems of runs: whose fault it is.
    """

    code: str
    severity: Severity
    message: str
    hint: str | None = None
    where: Location = Location()
    also: tuple[Location, ...] = ()
    fault: Fault | None = None

    @property
    def file(self) -> str | None:
        return self.where.file

    @property
    def line(self) -> int | None:
        return self.where.line

    @property
    def column(self) -> int | None:
        return self.where.column

    def to_dict(self) -> dict[str, object]:
        """The shape that ``check --json`` prints."""
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "file": self.where.file,
            "line": self.where.line,
            "column": self.where.column,
            "hint": self.hint,
        }
