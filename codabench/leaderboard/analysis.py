"""From scores of items to what a board says of itself: who can be compared, and what comes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codabench.core.competition import ColumnSpec, Sorting
from codabench.core.text import plural
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.items import NAME, ItemScores
from codabench.leaderboard.statistics import LEVEL, NOT_WRITTEN, Comparison, Evidence, Statistics

if TYPE_CHECKING:
    from codabench.leaderboard.resampling import Array

FEWEST = 20
"""Items of a task below which nothing is said: an interval from fewer would be a guess."""
MOST_ROWS = 25
"""Submissions that are looked at: the first ones. More would be more pairs than the test can tell from chance."""

Items = Mapping[tuple[str, int | str], ItemScores]
"""(submission, task) -> what the scorer wrote of each item."""


@dataclass(frozen=True)
class _Sample:
    """The items of one submission: for each of its tasks an array, what the task counts, and which items they are."""

    tasks: list[Array]
    weights: list[float]
    signature: tuple[tuple[int | str, tuple[str, ...]], ...]

    @property
    def items(self) -> int:
        return sum(map(len, self.tasks))

    @property
    def varies(self) -> bool:
        return any(len(set(values.tolist())) > 1 for values in self.tasks)


def analyse(
    board: Board, items: Items, column: ColumnSpec | None = None, names: Mapping[str, str] | None = None
) -> Statistics:
    """What the items say of a column; the primary one if none is named.

    Parameters
    ----------
    names
        Submission -> what it is called; None: as its id.
    """
    column, called = column or board.leaderboard.primary, names or {}
    unfit = _unfit(board, column)
    looked = board.rows[:MOST_ROWS]
    samples: dict[str, _Sample] = {}
    found: list[Evidence] = []
    for row in looked:
        sample: _Sample | str = unfit or _sample(board, row, items, column)
        why = sample if isinstance(sample, str) else None
        if isinstance(sample, _Sample):
            samples[row.submission] = sample
        name, value = called.get(row.submission, row.submission), row.scores.get(column.key)
        found.append(Evidence(submission=row.submission, name=name, rank=row.rank, value=value, why=why))
    return _concluded(board, column, found, samples)


def _unfit(board: Board, column: ColumnSpec) -> str | None:
    if column.computation is not None:
        return f"{column.title} is computed from other columns: intervals are known for means over items only"
    if board.aggregation not in ("mean", "first", "sum"):
        return f"several tasks are one value by {board.aggregation}: intervals are known for means over items only"
    return None


def _sample(board: Board, row: Row, items: Items, column: ColumnSpec) -> _Sample | str:
    """The items of a submission, or why they say nothing."""
    import numpy as np

    tasks = [(t, v) for t, scores in row.per_task.items() if (v := scores.get(column.key)) is not None]
    tasks = tasks[:1] if board.aggregation == "first" else tasks
    if not tasks:
        there = row.scores.get(column.key) is not None
        return f"{column.title} is not made of scores of tasks" if there else f"it has no value in {column.title}"
    arrays, signature = [], []
    for task, value in tasks:
        wrote = items.get((row.submission, task))
        why = _unusable(wrote, column, value)
        if why or wrote is None:
            return f"{why} (task {task})" if len(tasks) > 1 else str(why)
        # By name: files may list the same items in different orders.
        ordered = sorted(zip(wrote.ids, wrote.values[column.key], strict=True))
        arrays.append(np.array([v for _, v in ordered]))
        signature.append((task, tuple(i for i, _ in ordered)))
    weight = 1 / len(tasks) if board.aggregation == "mean" else 1.0
    return _Sample(arrays, [weight] * len(tasks), tuple(signature))


def _unusable(wrote: ItemScores | None, column: ColumnSpec, value: float) -> str | None:
    if wrote is None:
        return NOT_WRITTEN
    if wrote.trouble:
        return f"{NAME}: {wrote.trouble}"
    values = wrote.values.get(column.key)
    if values is None:
        return f"{NAME} has no column {column.key!r}"
    if len(values) < FEWEST:
        return f"{plural(len(values), 'item')}: at least {FEWEST} are needed"
    mean = sum(v / len(values) for v in values)
    # Scorers round what they write; the items have to agree as far as the board shows the value.
    if abs(mean - value) > 0.5 * 10.0**-column.precision + 1e-9 * abs(value):
        return f"its value {value:g} is not the mean of its items, {mean:g}"
    return None


def _concluded(board: Board, column: ColumnSpec, rows: list[Evidence], samples: Mapping[str, _Sample]) -> Statistics:
    """Intervals for every sample; comparisons among those on the same items."""
    larger = column.sorting is Sorting.DESC
    updates: dict[str, dict[str, Any]] = {s: {"items": sample.items} for s, sample in samples.items()}
    shared = Counter(sample.signature for sample in samples.values())
    pairs: list[Comparison] = []
    for signature, count in shared.most_common():
        alike = [s for s, sample in samples.items() if sample.signature == signature]
        alike.sort(key=lambda s: -_value(rows, s) if larger else _value(rows, s))
        together = not pairs and count > 1
        pairs += _resample(alike, samples, updates, larger=larger, together=together)
        if not together and len(samples) > 1:
            for s in alike:
                updates[s]["why"] = updates[s].get("why") or "not compared: its items are not those of the others"
    done = tuple(r.model_copy(update=updates.get(r.submission, {})) for r in rows)
    return Statistics(
        title=board.leaderboard.title,
        column=column,
        rows=_said_once(done),
        pairs=tuple(pairs),
        notes=_notes(board, column, done, pairs),
    )


def _value(rows: Sequence[Evidence], submission: str) -> float:
    return next(r.value or 0.0 for r in rows if r.submission == submission)


def _resample(
    alike: list[str],
    samples: Mapping[str, _Sample],
    updates: dict[str, dict[str, Any]],
    *,
    larger: bool,
    together: bool,
) -> list[Comparison]:
    """Fill in what is known of submissions on the same items, best first."""
    import numpy as np

    from codabench.leaderboard import resampling

    weights = samples[alike[0]].weights
    tasks = [np.column_stack(columns) for columns in zip(*(samples[s].tasks for s in alike), strict=True)]
    # In units of the largest score: powers of numbers like 1e200 would be no numbers.
    unit = max(float(np.abs(x).max()) for x in tasks) or 1.0
    tasks = [x / unit for x in tasks]
    drawn = resampling.bootstrap(tasks, weights, draws=resampling.draws_for(samples[alike[0]].items))
    for place, submission in enumerate(alike):
        sample = samples[submission]
        if sample.varies:
            own = [x[:, place] for x in tasks]
            low, high = resampling.interval(drawn[:, place], own, weights, level=LEVEL)
            updates[submission].update(low=low * unit, high=high * unit)
        else:
            updates[submission]["why"] = "every item has the same score, which says nothing of others"
    if not together:
        return []
    shares = np.concatenate([w / len(x) * x for w, x in zip(weights, tasks, strict=True)])
    p, beats = resampling.paired_test(shares), resampling.beats(drawn, larger=larger)
    places = [(a, b) for a in range(len(alike)) for b in range(a + 1, len(alike))]
    adjusted = resampling.holm([float(p[a, b]) for a, b in places])
    pairs = [
        Comparison(a=alike[a], b=alike[b], beats=float(beats[a, b]), p=float(p[a, b]), adjusted=q)
        for (a, b), q in zip(places, adjusted, strict=True)
    ]
    for submission, ranks in zip(alike, resampling.rank_range(drawn, larger=larger, level=LEVEL), strict=True):
        updates[submission]["ranks"] = ranks
    for submission, group in zip(alike, _groups(alike, pairs), strict=True):
        updates[submission]["group"] = group
    return pairs


def _groups(alike: Sequence[str], pairs: Sequence[Comparison]) -> list[int]:
    """A group goes from its first submission to the next one that can be told apart from that."""
    apart = {(p.a, p.b) for p in pairs if p.apart}
    first, group, found = alike[0], 1, []
    for submission in alike:
        if (first, submission) in apart:
            first, group = submission, group + 1
        found.append(group)
    return found


def _said_once(rows: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """What holds for every row is a note and not said in each."""
    common = _common(rows)
    return tuple(r.model_copy(update={"why": None}) for r in rows) if common else rows


def _common(rows: Sequence[Evidence]) -> str | None:
    reasons = {r.why for r in rows}
    return next(iter(reasons)) if len(reasons) == 1 and rows[0].low is None else None


def _notes(board: Board, column: ColumnSpec, rows: Sequence[Evidence], pairs: Sequence[Comparison]) -> tuple[str, ...]:
    common = _common(rows) if rows else None
    if common:
        return (f"no intervals: {common}",)
    notes = []
    if any(r.low is not None for r in rows):
        notes.append("95 % intervals: BCa bootstrap over items, widened for small samples")
    if pairs:
        what = f"{plural(len({s for p in pairs for s in (p.a, p.b)}), 'submission')} on the same items"
        notes.append(f"{what}: paired permutation test, Holm's correction for {plural(len(pairs), 'pair')}")
        notes += _together(rows)
    if len(board.rows) > len(rows):
        notes.append(f"the first {len(rows)} of {plural(len(board.rows), 'submission')} are looked at")
    return tuple(notes)


def _together(rows: Sequence[Evidence]) -> list[str]:
    groups: dict[int, list[Evidence]] = {}
    for row in rows:
        if row.group is not None:
            groups.setdefault(row.group, []).append(row)
    several = [g for g in groups.values() if len(g) > 1]
    return [f"cannot be told apart: {_few([r.name for r in g])}" for g in several]


def _few(names: Sequence[str], most: int = 4) -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])
