"""What changed from one board to another: places, values, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from codabench.core import markup
from codabench.core.base import Record
from codabench.core.competition import ColumnSpec
from codabench.core.text import plural, printable
from codabench.leaderboard import order
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.values import display

if TYPE_CHECKING:
    import pandas as pd

    from codabench.leaderboard.plots import Plot

_NAMED = 3
"""Submissions that a reason names; the others are counted."""


class Change(Record):
    """A submission on two boards.

    Attributes
    ----------
    name
        What the submission is called.
    rank_before, rank_after
        None: it is not on that board.
    before, after
        The values of the visible columns, by key; empty where it is not on that board.
    same
        It is on both boards, and its values are equal to the last bit, hidden ones included.
    reason
        Why its place or its values differ; empty if they do not.
    """

    submission: str
    name: str
    participant: str
    rank_before: int | None
    rank_after: int | None
    before: dict[str, float | None] = {}
    after: dict[str, float | None] = {}
    same: bool = False
    reason: str = ""

    @property
    def change(self) -> int | None:
        """Places gained, negative if lost; None if it is on one board only."""
        if self.rank_before is None or self.rank_after is None:
            return None
        return self.rank_before - self.rank_after

    def delta(self, key: str) -> float | None:
        """How much a value grew; None if one of the two is missing."""
        old, new = self.before.get(key), self.after.get(key)
        return None if old is None or new is None else new - old


class BoardDiff(Record):
    """Two boards compared: a row for each submission that is on either, by its later place; those that left come last.

    Attributes
    ----------
    columns
        The visible columns of the later board.
    notes
        What differs beside rows, one sentence each.
    """

    title: str
    columns: tuple[ColumnSpec, ...]
    rows: tuple[Change, ...]
    notes: tuple[str, ...] = ()

    @property
    def changed(self) -> tuple[Change, ...]:
        """The rows in which something differs."""
        return tuple(r for r in self.rows if not r.same or r.change)

    def __len__(self) -> int:
        """How many rows differ; a diff is false where nothing does."""
        return len(self.changed)

    def __iter__(self) -> Iterator[Change]:  # type: ignore[override]
        return iter(self.rows)

    def summary(self) -> str:
        """One line: how many scores and ranks changed, who moved among the first three, what stayed."""
        both = [r for r in self.rows if r.change is not None]
        counts = [
            f"{plural(sum(not r.same for r in both), 'submission')} with changed scores",
            plural(sum(bool(r.change) for r in both), "changed rank"),
        ]
        came, gone = sum(r.rank_before is None for r in self.rows), sum(r.rank_after is None for r in self.rows)
        counts += [f"{came} new"] if came else []
        counts += [f"{gone} gone"] if gone else []
        first = [r for r in self.changed if min(r.rank_before or 4, r.rank_after or 4) <= 3 and r.change != 0]
        counts += ["top 3: " + ", ".join(f"{printable(r.name)}: {_move(r)}" for r in first)] if first else []
        counts.append(f"{plural(sum(r.same for r in both), 'submission')} equal to the last bit")
        return " · ".join(counts)

    def to_frame(self) -> pd.DataFrame:
        """One row for each submission: its places, then before, after and change of every column, then the reason."""
        import pandas as pd

        records: list[dict[str, Any]] = []
        for row in self.rows:
            record: dict[str, Any] = {
                "submission": row.name,
                "participant": row.participant,
                "rank_before": row.rank_before,
                "rank_after": row.rank_after,
                "change": row.change,
            }
            for column in self.columns:
                key = column.key
                record[f"{key}_before"], record[f"{key}_after"] = row.before.get(key), row.after.get(key)
                record[f"{key}_change"] = row.delta(key)
            records.append({**record, "reason": row.reason})
        values = [f"{c.key}_{which}" for c in self.columns for which in ("before", "after", "change")]
        places = ["rank_before", "rank_after", "change"]
        frame = pd.DataFrame(records, columns=["submission", "participant", *places, *values, "reason"])
        return frame.astype({**dict.fromkeys(places, "Int64"), **dict.fromkeys(values, "float64")})

    def plot(self) -> Plot:
        """A line for each submission from its place before to its place after: ``.save("diff.svg")``.

        Raises
        ------
        MissingExtra
            ``pip install 'codabench[plot]'``.
        """
        from codabench.leaderboard.plots import diff_plot

        return diff_plot(self)

    def __repr__(self) -> str:
        lines = [f"{printable(self.title)}: {self.summary()}"]
        lines += [f"  {_move(r):>9}  {printable(r.name)}: {printable(r.reason)}" for r in self.changed[:_SHOWN]]
        left = len(self.changed) - _SHOWN
        lines += [f"  … {plural(left, 'more row')}: .to_frame()"] if left > 0 else []
        return "\n".join([*lines, *(printable(n) for n in self.notes)])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        columns = self.columns[:_MOST_COLUMNS]
        left = len(self.columns) - len(columns)
        hidden = [f"{plural(left, 'column')} not shown: .to_frame()"] if left else []
        head = ["Before", "After", "Submission", *(c.title for c in columns), "Why"]
        numeric = [0, 1, *range(3, 3 + len(columns))]
        rows = [
            [
                markup.number(_place(row.rank_before)),
                markup.number(_place(row.rank_after), _mood(row)),
                markup.cell(row.name),
                *(markup.number(_values(c, row)) for c in columns),
                markup.cell(row.reason, "m", 160),
            ]
            for row in self.changed
        ]
        shown = [markup.table(self.title, head, rows, numbers=numeric)] if rows else []
        return markup.block("diff", *shown, *map(markup.note, (*hidden, self.summary(), *self.notes)))


_SHOWN = 20
"""Rows of the text."""

_MOST_COLUMNS = 12
"""Columns of the HTML."""


def compare(before: Board, after: Board, names: Mapping[str, str] | None = None) -> BoardDiff:
    """What changed from one board to a later one.

    Parameters
    ----------
    names
        Submission -> what it is called; None: as its id.
    """
    called = {**{r.submission: r.submission for r in (*before.rows, *after.rows)}, **(names or {})}
    old, new = ({r.submission: r for r in board.rows} for board in (before, after))
    why = _Reasons(before, after, called)
    listed = [*after.rows, *(r for r in before.rows if r.submission not in new)]
    rows = [_change(row, old.get(row.submission), new.get(row.submission), after.columns, why) for row in listed]
    return BoardDiff(
        title=after.leaderboard.title,
        columns=after.columns,
        rows=tuple(r.model_copy(update={"name": called[r.submission]}) for r in rows),
        notes=_notes(before, after),
    )


def _change(row: Row, old: Row | None, new: Row | None, columns: Sequence[ColumnSpec], why: _Reasons) -> Change:
    keys = [c.key for c in columns]
    return Change(
        submission=row.submission,
        name=row.submission,
        participant=row.participant,
        rank_before=old.rank if old else None,
        rank_after=new.rank if new else None,
        before={k: old.scores.get(k) for k in keys} if old else {},
        after={k: new.scores.get(k) for k in keys} if new else {},
        same=old is not None and new is not None and _equal(old, new),
        reason=why.of(old, new),
    )


class _Reasons:
    """Why a submission stands elsewhere, or has other values."""

    def __init__(self, before: Board, after: Board, names: Mapping[str, str]) -> None:
        import numpy as np

        self.names = names
        self.columns = order.deciding_columns(after.leaderboard)
        self.visible = {c.key for c in after.columns}
        old, new = ({r.submission: r for r in board.rows} for board in (before, after))
        # Rows that kept their values keep their order: only the others can have overtaken one of them.
        self.movers = [
            s for s in dict.fromkeys([*old, *new]) if s not in old or s not in new or not _equal(old[s], new[s])
        ]
        far = np.iinfo(np.int64).max
        self.old = np.array([old[s].rank if s in old else far for s in self.movers], dtype=np.int64)
        self.new = np.array([new[s].rank if s in new else far for s in self.movers], dtype=np.int64)
        self.came = {r.participant: r.submission for r in reversed(after.rows) if r.submission not in old}
        self.went = {r.participant: r.submission for r in reversed(before.rows) if r.submission not in new}

    def of(self, old: Row | None, new: Row | None) -> str:
        if old is None and new is not None:
            instead = self.went.get(new.participant)
            return f"in place of {self.names[instead]}" if instead else "new on the board"
        if new is None and old is not None:
            instead = self.came.get(old.participant)
            return f"replaced by {self.names[instead]}" if instead else "no longer on the board"
        if old is None or new is None or (old.rank == new.rank and _equal(old, new)):
            return ""
        return self._passed(old, new) if _equal(old, new) else self._values(old, new)

    def _values(self, old: Row, new: Row) -> str:
        said = []
        if old.incomplete != new.incomplete:
            said.append("a task is missing now" if new.incomplete else "no task is missing any more")
        changed = [c for c in self.columns if old.scores.get(c.key) != new.scores.get(c.key)]
        seen = [c for c in changed if c.key in self.visible]
        said += [f"{c.title} {_from_to(c, old.scores.get(c.key), new.scores.get(c.key))}" for c in seen[:_NAMED]]
        said += [f"{plural(len(seen) - _NAMED, 'more column')}"] if len(seen) > _NAMED else []
        return ", ".join(said) or "a value that is not shown changed"

    def _passed(self, old: Row, new: Row) -> str:
        above = (self.old > old.rank) & (self.new < new.rank)
        below = (self.old < old.rank) & (self.new > new.rank)
        parts = [
            f"{what} {self._list(mask)}"
            for what, mask in (("behind", above), ("no longer behind", below))
            if mask.any()
        ]
        return ", ".join(parts) or "the board is ranked otherwise"

    def _list(self, mask: Any) -> str:
        found = [self.movers[n] for n in mask.nonzero()[0]]
        found.sort(key=lambda s: self.names[s])
        more = [f"{len(found) - _NAMED} more"] if len(found) > _NAMED else []
        return ", ".join([*(self.names[s] for s in found[:_NAMED]), *more])


def _equal(old: Row, new: Row) -> bool:
    return old.scores == new.scores and old.incomplete == new.incomplete


def _from_to(column: ColumnSpec, old: float | None, new: float | None) -> str:
    shown = [display(v, column.precision) for v in (old, new)]
    if shown[0] == shown[1]:  # rounding hides it
        shown = [repr(old), repr(new)]
    return " → ".join(shown)


def _notes(before: Board, after: Board) -> tuple[str, ...]:
    notes = []
    old, new = before.leaderboard, after.leaderboard
    if (old.columns, old.primary_index) != (new.columns, new.primary_index):
        notes.append("the columns of the two boards differ")
    if before.rule_applied and after.rule_applied and old.submission_rule is not new.submission_rule:
        notes.append(f"the submission rule is {new.submission_rule.value}, before {old.submission_rule.value}")
    if before.aggregation != after.aggregation:
        notes.append(f"several tasks are one value by {after.aggregation}, before by {before.aggregation}")
    return tuple(notes)


def _place(rank: int | None) -> str:
    return "–" if rank is None else str(rank)


def _move(row: Change) -> str:
    return f"{_place(row.rank_before)} → {_place(row.rank_after)}"


def _mood(row: Change) -> str:
    return "" if not row.change else "ok" if row.change > 0 else "bad"


def _values(column: ColumnSpec, row: Change) -> str:
    old, new = row.before.get(column.key), row.after.get(column.key)
    return display(new, column.precision) if old == new else _from_to(column, old, new)
