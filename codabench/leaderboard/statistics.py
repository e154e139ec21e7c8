"""How sure a board is: intervals, P(a beats b), and which submissions cannot be told apart (docs/statistics.md).

Only where scorers write ``scores_per_item.csv``, and only for columns whose values are means over items. Where nothing
can be said, it is said why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from codabench.core import markup
from codabench.core.base import Record
from codabench.core.competition import ColumnSpec
from codabench.core.text import printable
from codabench.leaderboard.items import NAME
from codabench.leaderboard.values import display

if TYPE_CHECKING:
    import pandas as pd


LEVEL = 0.95

NOT_WRITTEN = f"its scorer wrote no {NAME}"


class Evidence(Record):
    """What is known of one submission.

    Attributes
    ----------
    value
        Its value in the column.
    low, high
        The 95 % bootstrap interval of the value; None where there is none, and `why` says why.
    items
        How many items it rests on.
    ranks
        Between which places among the compared submissions it lies in 95 % of the draws.
    group
        Submissions of one group cannot be told apart from the first of it; None if it was not compared.
    why
        Why there is no interval, or no comparison.
    """

    submission: str
    name: str
    rank: int
    value: float | None
    low: float | None = None
    high: float | None = None
    items: int = 0
    ranks: tuple[int, int] | None = None
    group: int | None = None
    why: str | None = None


class Comparison(Record):
    """Two submissions on the same items.

    Attributes
    ----------
    a, b
        Submissions; `a` has the better value.
    beats
        P(a beats b): in which part of the draws of the bootstrap it does, half of those with equal values.
    p
        Of the paired permutation test, two-sided.
    adjusted
        The same after Holm, for all pairs that were compared.
    """

    a: str
    b: str
    beats: float
    p: float
    adjusted: float

    @property
    def apart(self) -> bool:
        """Whether the difference is more than chance, with all comparisons taken into account."""
        return self.adjusted < 1 - LEVEL


class Statistics(Record):
    """What the items say of one column of a board.

    Attributes
    ----------
    rows
        The submissions that were looked at, by their place on the board.
    pairs
        Every two that were compared.
    notes
        What was done, and what was not and why; one sentence each.
    """

    title: str
    column: ColumnSpec
    rows: tuple[Evidence, ...]
    pairs: tuple[Comparison, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is any interval or comparison."""
        return bool(self.pairs) or any(r.low is not None for r in self.rows)

    @property
    def silent(self) -> bool:
        """Whether nobody wrote scores of items, so that nothing can be expected."""
        return self.notes == (f"no intervals: {NOT_WRITTEN}",)

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Names of submissions that cannot be told apart from the first of their group, best group first."""
        found: dict[int, list[str]] = {}
        for row in self.rows:
            if row.group is not None:
                found.setdefault(row.group, []).append(row.name)
        return tuple(tuple(found[g]) for g in sorted(found))

    def evidence(self, submission: str) -> Evidence | None:
        """What is known of a submission, by id."""
        return next((r for r in self.rows if r.submission == submission), None)

    def pair(self, a: str, b: str) -> Comparison | None:
        """How two submissions compare, by id, in either order."""
        return next((p for p in self.pairs if {p.a, p.b} == {a, b}), None)

    def to_frame(self) -> pd.DataFrame:
        """One row for each submission, indexed by rank: value, low, high, items, ranks, group, why."""
        import pandas as pd

        columns = ["rank", "submission", "value", "low", "high", "items", "rank_low", "rank_high", "group", "why"]
        records = [
            (r.rank, r.name, r.value, r.low, r.high, r.items, *(r.ranks or (None, None)), r.group, r.why or "")
            for r in self.rows
        ]
        frame = pd.DataFrame(records, columns=columns).set_index("rank")
        whole = dict.fromkeys(["rank_low", "rank_high", "group"], "Int64")
        return frame.astype({**dict.fromkeys(["value", "low", "high"], "float64"), **whole})

    def pairs_frame(self) -> pd.DataFrame:
        """One row for each pair: a, b, P(a beats b), p, adjusted p, apart."""
        import pandas as pd

        names = {r.submission: r.name for r in self.rows}
        records = [(names[p.a], names[p.b], p.beats, p.p, p.adjusted, p.apart) for p in self.pairs]
        return pd.DataFrame(records, columns=["a", "b", "a_beats_b", "p", "p_adjusted", "apart"])

    def __repr__(self) -> str:
        lines = [f"{printable(self.title)}: {printable(self.column.title)}"]
        width = max((len(printable(r.name)) for r in self.rows), default=0)
        for row in self.rows:
            group = f"  group {row.group}" if row.group is not None else ""
            lines.append(f"{row.rank:>3}  {printable(row.name):<{width}}  {self._said(row)}{group}".rstrip())
        return "\n".join([*lines, *map(printable, self.notes)])

    __str__ = __repr__

    def _said(self, row: Evidence) -> str:
        value = display(row.value, self.column.precision)
        if row.low is None:
            return f"{value}  ({printable(row.why)})" if row.why else value
        return f"{value}  {self.span(row)}"

    def span(self, row: Evidence) -> str:
        """An interval as text; a digit more than the column shows, so that it is not all rounding."""
        digits = self.column.precision + 1
        return f"[{display(row.low, digits)}, {display(row.high, digits)}]" if row.low is not None else ""

    def _repr_html_(self) -> str:
        head = ["#", "Submission", self.column.title, "95 % interval", "Items", "Ranks", "Group", ""]
        rows = [
            [
                markup.number(str(r.rank)),
                markup.cell(r.name),
                markup.number(display(r.value, self.column.precision)),
                markup.number(self.span(r)),
                markup.number(str(r.items or "")),
                markup.number(_places(r.ranks)),
                markup.number(str(r.group or "")),
                markup.cell(r.why or "", "m", 120),
            ]
            for r in self.rows
        ]
        shown = markup.table(f"{self.title}: {self.column.title}", head, rows, numbers=(0, 2, 3, 4, 5, 6))
        return markup.block("statistics", shown, *map(markup.note, self.notes))


def _places(ranks: tuple[int, int] | None) -> str:
    if ranks is None:
        return ""
    return str(ranks[0]) if ranks[0] == ranks[1] else f"{ranks[0]}–{ranks[1]}"
