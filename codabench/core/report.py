"""All problems of one source, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from unicodedata import combining, east_asian_width

from codabench.core import markup
from codabench.core.base import Record
from codabench.core.errors import BundleError
from codabench.core.problems import Location, Problem, Severity
from codabench.core.text import plural, printable

_LONGEST = 160
"""Characters of a source line that are shown."""


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

    @property
    def fixable(self) -> tuple[Problem, ...]:
        """Those that ``codabench check --fix`` mends: their fixes are safe."""
        return tuple(p for p in self.problems if p.fix and p.fix.safe)

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
        counts = ", ".join(plural(len(self.of(s)), s.value) for s in (Severity.ERROR, Severity.WARNING, Severity.NOTE))
        mark = "✓" if self.ok else "✗"
        return f"{mark} {plural(self.files, 'file')} checked · {counts}{self._mending()}"

    def _mending(self) -> str:
        safe, others = len(self.fixable), sum(1 for p in self.problems if p.fix and not p.fix.safe)
        ways = [f"{n} fixable with {how}" for n, how in ((safe, "--fix"), (others, "--unsafe-fixes")) if n]
        return f" ({', '.join(ways)})" if ways else ""

    def __str__(self) -> str:
        return "\n".join([*(render_problem(p) for p in self.problems), self.summary()])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        shown = [_problem_html(problem) for problem in self.problems]
        head = markup.note(self.summary(), "ok" if self.ok else "bad")
        return markup.block(
            "report", f"<h4>{markup.escape(markup.one_line(self.source))}</h4>", head, markup.fitting(shown, "problem")
        )


_MOODS = {Severity.ERROR: "bad", Severity.WARNING: "warn", Severity.NOTE: "m"}


def _problem_html(problem: Problem) -> str:
    """A problem as text is: its first line in the colour of its severity."""
    first, _, rest = render_problem(problem)[:4000].partition("\n")
    mood = _MOODS[problem.severity]
    return f'<pre><b class="{mood}">{markup.escape(first)}</b>\n{markup.escape(rest)}</pre>'


def render_problem(problem: Problem) -> str:
    """A problem as text: severity, code, place, source line with carets, hint."""
    lines = [f"{problem.severity.value}[{problem.code}]: {printable(problem.message)}"]
    width = max((len(str(w.line)) for w in (problem.where, *problem.also) if w.line), default=1)
    lines += _place(problem.where, width, "-->", "^")
    for other in problem.also:
        lines += _place(other, width, ":::", "-")
    if problem.hint:
        how = "" if problem.fix is None else "  (--fix)" if problem.fix.safe else "  (--unsafe-fixes)"
        lines.append(f"{' ' * (width + 1)}= help: {printable(problem.hint)}{how}")
    return "\n".join(lines)


def _place(where: Location, width: int, arrow: str, mark: str) -> list[str]:
    if not where.file:
        return []
    spot = ":".join(str(x) for x in (printable(where.file), where.line, where.column) if x is not None)
    lines = [f"{' ' * width}{arrow} {spot}"]
    if where.line is None or where.excerpt is None:
        return lines
    before, under, after = _parts(where)
    text = before + under + after
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 3] + "..."
    carets = mark * max(1, _width(text[len(before) : len(before) + len(under)]))
    lines.append(f"{' ' * width} |")
    lines.append(f"{where.line:>{width}} | {text}")
    lines.append(f"{' ' * width} | {' ' * _width(before)}{carets}")
    return lines


def _parts(where: Location) -> tuple[str, str, str]:
    """The line before, at and after the place, each as it is shown: what is escaped gets longer."""
    text = (where.excerpt or "").replace("\t", " ").replace("\n", " ")
    begin = (where.column or 1) - 1
    end = where.end_column - 1 if where.end_column and where.end_line in (None, where.line) else len(text)
    before, under, after = (printable(text[a:b]) for a, b in ((0, begin), (begin, end), (max(begin, end), None)))
    if len(before) > _LONGEST // 2:
        before = "..." + before[3 - _LONGEST // 2 :]
    return before, under, after


def _width(text: str) -> int:
    """Cells that a terminal needs: two for wide characters, none for combining ones."""
    return sum(2 if east_asian_width(c) in "WF" else not combining(c) for c in text)
