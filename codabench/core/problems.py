"""Problems are data: a stable code, what is wrong, where, whose fault, and the next step."""

from __future__ import annotations

from enum import StrEnum

from codabench.core.base import Record


class Severity(StrEnum):
    """How bad a problem is. Only errors refuse a bundle."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Target(StrEnum):
    """Where a bundle is to run: what is refused there is an error."""

    LOCAL = "local"
    CODABENCH_ORG = "codabench.org"


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


class Edit(Record):
    """A piece of a text file that is replaced; lines and columns count from 1, the end is exclusive.

    Attributes
    ----------
    file
        Path relative to the root of the bundle.
    line, column, end_line, end_column
        The piece; empty where something is inserted.
    text
        What stands there afterwards. A line break in it is written as the file writes its own.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class Fix(Record):
    """How a problem can be mended in the text.

    Attributes
    ----------
    description
        One line, such as ``write 2026-02-01``.
    safe
        The bundle says afterwards what it was taken to say, or what it can only have meant. Otherwise the fix is a
        guess, or changes rankings or when submissions are taken.
    edits
        All of them together.
    """

    description: str
    safe: bool
    edits: tuple[Edit, ...]

    def to_dict(self) -> dict[str, object]:
        """The shape that ``check --json`` prints."""
        return self.model_dump(mode="json")


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
    fix
        How it can be mended, where that is known: see `codabench.fix`.
    """

    code: str
    severity: Severity
    message: str
    hint: str | None = None
    where: Location = Location()
    also: tuple[Location, ...] = ()
    fault: Fault | None = None
    fix: Fix | None = None

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
            "fix": self.fix.to_dict() if self.fix else None,
        }
