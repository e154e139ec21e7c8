"""What happened to a board: the best of each participant over time."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from codabench.core import markup
from codabench.core.base import Record
from codabench.core.competition import ColumnSpec, LeaderboardSpec, Sorting
from codabench.core.text import plural, printable
from codabench.leaderboard import events as happened
from codabench.leaderboard.table import Table, Task
from codabench.leaderboard.values import RANK_COMPUTATIONS, Aggregation, comparable, display

if TYPE_CHECKING:
    import pandas as pd

    from codabench.leaderboard.events import BoardEvent
    from codabench.leaderboard.plots import Plot

_WORDS: Mapping[type[Any], str] = {
    happened.Scored: "scored",
    happened.Reevaluated: "re-evaluated",
    happened.ScoreEdited: "score set by hand",
    happened.Deleted: "deleted",
}


Best = tuple[float, str]
"""A value, and the submission that has it."""


class Step(Record):
    """The best value of a participant became another.

    Attributes
    ----------
    submission, name
        The submission that is the best now; None: there is none any more.
    value
        Its value.
    rank
        The participant's place among the best values of all at that moment, equal values sharing one.
    why
        What happened: ``scored``, ``re-evaluated``, ``score set by hand``, ``deleted``.
    """

    at: datetime
    participant: str
    submission: str | None
    name: str
    value: float | None
    rank: int | None
    why: str


class History(Record):
    """The best value of each participant over time, whatever the submission rule shows.

    Attributes
    ----------
    steps
        In the order in which they happened.
    until
        The time up to which it is known.
    """

    title: str
    column: ColumnSpec
    steps: tuple[Step, ...]
    until: datetime
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def __iter__(self) -> Iterator[Step]:  # type: ignore[override]
        return iter(self.steps)

    @property
    def last(self) -> dict[str, Step]:
        """The last step of each participant who still has a value, best first."""
        found = {step.participant: step for step in self.steps}
        return dict(
            sorted(((p, s) for p, s in found.items() if s.value is not None), key=lambda i: _key(self.column, i[1]))
        )

    def leaders(self, most: int) -> list[str]:
        """The participants with the best values at the end."""
        return list(self.last)[:most]

    def extended(self) -> list[Step]:
        """The steps, and where everybody stands at the end: what a plot draws."""
        return [
            *(s for s in self.steps if s.value is not None),
            *(s.model_copy(update={"at": self.until}) for s in self.last.values()),
        ]

    def to_frame(self) -> pd.DataFrame:
        """One row for each step: at, participant, submission, value, rank, why."""
        import pandas as pd

        columns = ["at", "participant", "submission", "value", "rank", "why"]
        records = [(s.at, s.participant, s.name, s.value, s.rank, s.why) for s in self.steps]
        frame = pd.DataFrame(records, columns=columns)
        return frame.astype({"value": "float64", "rank": "Int64"})

    def plot(self) -> Plot:
        """The best of each participant as a line of steps: ``.save("history.svg")``.

        Raises
        ------
        MissingExtra
            ``pip install 'codabench[plot]'``.
        """
        from codabench.leaderboard.plots import history_plot

        return history_plot(self)

    def __repr__(self) -> str:
        lines = [f"{printable(self.title)}: {printable(self.column.title)}, {plural(len(self.steps), 'step')}"]
        lines += [f"  {s.at:%Y-%m-%d %H:%M}  {printable(self._said(s))}" for s in self.steps[-_SHOWN:]]
        return "\n".join([*lines, *map(printable, self.notes)])

    __str__ = __repr__

    def _said(self, step: Step) -> str:
        value = display(step.value, self.column.precision)
        return f"{step.participant}: {value} ({step.name or 'nothing left'}, {step.why})"

    def _repr_html_(self) -> str:
        head = ["Time (UTC)", "Participant", "Submission", self.column.title, "Place", "What"]
        rows = [
            [
                markup.cell(f"{s.at:%Y-%m-%d %H:%M}"),
                markup.cell(s.participant),
                markup.cell(s.name),
                markup.number(display(s.value, self.column.precision)),
                markup.number(str(s.rank or "")),
                markup.cell(s.why, "m"),
            ]
            for s in reversed(self.steps)
        ]
        shown = markup.table(f"{self.title}: best so far", head, rows, numbers=(3, 4))
        return markup.block("history", shown, *map(markup.note, self.notes))


_SHOWN = 20
"""Steps of the text: the last ones."""


def history(
    spec: LeaderboardSpec,
    events: Iterable[BoardEvent],
    *,
    until: datetime,
    column: ColumnSpec | None = None,
    tasks: Sequence[Task] = (),
    aggregation: Aggregation = "mean",
    names: Mapping[str, str] | None = None,
) -> History:
    """The best value of each participant after each event.

    Parameters
    ----------
    until
        The time up to which `events` go.
    column
        None: the primary one. Columns that are computed from the ranks of all submissions have no history.
    tasks
        The tasks of the phase, in its order; empty: each submission's own.
    """
    chosen = column or spec.primary
    if chosen.computation in RANK_COMPUTATIONS or aggregation == "average_rank":
        why = f"{chosen.title} is made of ranks among all submissions: it has no best value over time"
        return History(title=spec.title, column=chosen, steps=(), until=until, notes=(why,))
    events = list(events)
    # What nobody was run on is missing in nobody's result.
    attempted = {task for event in events if isinstance(event, happened.Submitted) for task in event.tasks}
    told = _Teller(spec, chosen, [t for t in tasks if t in attempted], aggregation, names or {})
    steps = [step for event in events if (step := told.take(event)) is not None]
    return History(title=spec.title, column=chosen, steps=tuple(steps), until=until)


class _Teller:
    """Folds events, and says when the best of a participant became another."""

    def __init__(
        self,
        spec: LeaderboardSpec,
        column: ColumnSpec,
        tasks: Sequence[Task],
        aggregation: Aggregation,
        names: Mapping[str, str],
    ) -> None:
        self.spec, self.column, self.aggregation, self.names = spec, column, aggregation, names
        self.table = Table()
        self.table.expected = tuple(tasks) or None
        self.values: dict[str, dict[str, float]] = defaultdict(dict)
        self.best: dict[str, Best] = {}
        self.standing: list[float] = []

    def take(self, event: BoardEvent) -> Step | None:
        if isinstance(event, happened.Submitted):
            self.table.add(event.submission, event.participant, event.at, sequence=event.sequence, tasks=event.tasks)
            return None
        if isinstance(event, happened.BoardEdited | happened.EntryChosen | happened.Failed):
            return None
        n = self.table.number[event.submission]
        who = self.table.participant[n]
        self._change(n, event)
        value = None if self.table.deleted[n] else self.table.line(self.spec, n, self.aggregation)[0][self.column.key]
        if value is None or self.table.scored[n] is None:
            self.values[who].pop(event.submission, None)
        else:
            self.values[who][event.submission] = value
        return self._step(event, who, value)

    def _change(self, n: int, event: BoardEvent) -> None:
        match event:
            case happened.Scored(at=at, scores=scores) | happened.Reevaluated(at=at, scores=scores):
                self.table.scored[n] = self.table.scored[n] or (at,)
                for task, values in scores.items():
                    self.table.score(n, task, values)
            case happened.ScoreEdited(task=task, key=key, value=value):
                self.table.edit(n, task, key, value)
            case happened.Deleted():
                self.table.deleted[n] = True

    def _step(self, event: BoardEvent, who: str, value: float | None) -> Step | None:
        """What is told of the participant after an event; None if the best is what it was."""
        before = self.best.get(who)
        after = self._best(event.submission, who, value, before)  # type: ignore[union-attr]
        if after == before:
            return None
        if before:
            del self.standing[bisect_left(self.standing, self._key(before[0]))]
            del self.best[who]
        if after:
            insort(self.standing, self._key(after[0]))
            self.best[who] = after
        submission = after[1] if after else None
        return Step(
            at=event.at,
            participant=who,
            submission=submission,
            name=self.names.get(submission, submission) if submission else "",
            value=after[0] if after else None,
            rank=bisect_left(self.standing, self._key(after[0])) + 1 if after else None,
            why=_WORDS[type(event)],
        )

    def _best(self, submission: str, who: str, value: float | None, before: Best | None) -> Best | None:
        """The first of equal ones: a later submission has to be better to be the best."""
        if before and submission != before[1]:
            better = value is not None and self._key(value) < self._key(before[0])
            return (value, submission) if better and value is not None else before
        found = min(self.values[who].items(), key=lambda i: self._key(i[1]), default=None)
        return (found[1], found[0]) if found else None

    def _key(self, value: float) -> float:
        compared = comparable(value)
        return compared if self.column.sorting is Sorting.ASC else -compared


def _key(column: ColumnSpec, step: Step) -> float:
    value = comparable(step.value or 0.0)
    return value if column.sorting is Sorting.ASC else -value
