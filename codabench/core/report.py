"""All problems of one source, and how they are shown."""

from __future__ import annotations

import html
from collections.abc import Iterator

from codabench.core.base import Record
from codabench.core.errors import BundleError
from codabench.core.problems import Location, Problem, Severity
from codabench.core.text import plural, printable


class Report(Record):
    """Every problem found in a source, in the order of the text.

    Attributes
    ----------
    source
        What was read, as the caller named it.
    files
        How many files were looked at.
    """

    source: str
    problems: tuple[Problem, ...] = ()
    files: int = 0

    @property
    def ok(self) -> bool:
        """No errors. Warnings and notes do not refuse a bundle."""
        return not self.errors

    @property
    def errors(self) -> tuple[Problem, ...]:
        return self.of(Severity.ERROR)

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return self.of(Severity.WARNING)

    @property
    def notes(self) -> tuple[Problem, ...]:
        return self.of(Severity.NOTE)

    def of(self, severity: Severity) -> tuple[Problem, ...]:
        """The problems of one severity."""
        return tuple(p for p in self.problems if p.severity is severity)

    def __len__(self) -> int:
        return len(self.problems)

    def __iter__(self) -> Iterator[Problem]:  # type: ignore[override]
        return iter(self.problems)

    def raise_for_errors(self) -> None:
        """Raise `BundleError`, carrying this report, if there is an error."""
        if self.errors:
            first = self.errors[0]
            what = plural(len(self.errors), "error")
            raise BundleError(f"{what} in {printable(self.source)}\n{self}", report=self, code=first.code)

    def summary(self) -> str:
        """One line: what was looked at and what was found."""
        counts = ", ".join(
            plural(len(self.of(s)), s.value) for s in (Severity.ERROR, Severity.WARNING, Severity.NOTE)
        )
        mark = "✓" if self.ok else "✗"
        return f"{mark} {plural(self.files, 'file')} checked · {counts}"

    def __str__(self) -> str:
        return "\n".join([*(render_problem(p) for p in self.problems), self.summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return f'<pre class="cb-report" style="line-height:1.3">{html.escape(str(self))}</pre>'


def render_problem(problem: Problem) -> str:
    """A problem as text: severity, code, place, source line with carets, hint."""
    lines = [f"{problem.severity.value}[{problem.code}]: {printable(problem.message)}"]
    width = max((len(str(w.line)) for w in (problem.where, *problem.also) if w.line), default=1)
    lines += _place(problem.where, width, "-->", "^")
    for other in problem.also:
        lines += _place(other, width, ":::", "-")
    if problem.hint:
        lines.append(f"{' ' * (width + 1)}= help: {printable(problem.hint)}")
    return "\n".join(lines)


def _place(where: Location, width: int, arrow: str, mark: str) -> list[str]:
    if not where.file:
        return []
    spot = ":".join(str(x) for x in (printable(where.file), where.line, where.column) if x is not None)
    lines = [f"{' ' * width}{arrow} {spot}"]
    if where.line is None or where.excerpt is None:
        return lines
    text, column = printable(where.excerpt.expandtabs(1)), where.column or 1
    same_line = where.end_line in (None, where.line)
    end = where.end_column if same_line and where.end_column else len(text) + 1
    carets = mark * max(1, min(end, len(text) + 1) - column)
    if len(text) > 160:
        text = text[:157] + "..."
        carets = carets[: max(1, 158 - column)]
    lines.append(f"{' ' * width} |")
    lines.append(f"{where.line:>{width}} | {text}")
    lines.append(f"{' ' * width} | {' ' * (column - 1)}{carets}")
    return lines
