"""`Standings`: who is on a board and in which order, kept up to date event by event."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from codabench.core.competition import LeaderboardSpec, SubmissionRule
from codabench.leaderboard import events as happened
from codabench.leaderboard import order, rules
from codabench.leaderboard.board import Board, Row
from codabench.leaderboard.combined import (
    Ranking,
    average_ranks,
    combined,
    cross_columns,
    rank_column,
    ranked_by,
)
from codabench.leaderboard.notes import notes_on
from codabench.leaderboard.table import Line, Table, Task
from codabench.leaderboard.values import Aggregation

if TYPE_CHECKING:
    from codabench.leaderboard.events import BoardEvent

LARGE = 1000
"""From so many submissions on, numpy sorts them; importing it takes longer than to sort fewer without."""


class Standings:
    """A board as it stands after what has happened so far.

    A rule looks at one participant at a time, so an event takes that participant's rows out of the order and puts
    others in. Where a column compares submissions with each other, everything is worked out again. Both ways lead to
    the same board.

    Parameters
    ----------
    rule
        The submission rule that chooses the rows, in place of that of `spec`; None: every scored submission has one.
    tasks
        The tasks of the phase, in its order. Those that nobody was run on are not missing in anybody's result. Empty:
        a submission is incomplete without one of its own tasks.
    aggregation, ranking
        See `codabench.leaderboard.rank`.
    table
        What has happened so far; it is changed with every event.
    carried
        By participant, what was on the board when its rule became the one it has (`codabench.leaderboard.rules`).
    """

    def __init__(
        self,
        spec: LeaderboardSpec,
        *,
        rule: SubmissionRule | None = None,
        tasks: Sequence[Task] = (),
        aggregation: Aggregation = "mean",
        ranking: Ranking | None = None,
        table: Table | None = None,
        carried: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        self.table = table if table is not None else Table()
        self.rule, self.tasks, self.aggregation, self.ranking = rule, tuple(tasks), aggregation, ranking
        self._carried = carried or {}
        self._attempted: Counter[Task] = Counter()
        # Most were run on the same tasks.
        for given, many in Counter(given for n, given in enumerate(self.table.tasks) if self._counts(n)).items():
            self._attempted.update(dict.fromkeys(given, many))
        self._events = 2  # what was in the table is numbered 0 (scored) and 1 (chosen)
        self._define(spec)
        self.rebuild()

    @classmethod
    def after(cls, spec: LeaderboardSpec, events: Iterable[BoardEvent], **options: Any) -> Standings:
        """The board after a history, worked out once, at its end."""
        standings = cls(spec, **options)
        for event in events:
            if isinstance(event, happened.BoardEdited):
                standings.rebuild()
                standings.apply(event)
            else:
                standings._record(event)
        standings.rebuild()
        return standings

    def __len__(self) -> int:
        return len(self._order)

    @property
    def submissions(self) -> list[str]:
        """Those on the board, best first."""
        return [self.table.submission[n] for n in self._order]

    @property
    def fingerprint(self) -> str:
        """The same as long as the board is the same: its definition, the order, the values of every task."""
        table, keys = self.table, sorted(self._values)
        raw = sorted(((task, key) for task in table.raw for key in table.raw[task]), key=repr)
        values = [*(self._values[key] for key in keys), *(table.raw[task][key] for task, key in raw)]
        rows = [(table.submission[n], self._incomplete[n], *(column[n] for column in values)) for n in self._order]
        said = (self.shown_as.model_dump_json(), keys, raw, rows)
        return hashlib.sha256(repr(said).encode()).hexdigest()[:16]

    @property
    def scored(self) -> int:
        """How many submissions were scored that are not deleted, on the board or not."""
        table = self.table
        return sum(1 for scored, gone in zip(table.scored, table.deleted, strict=True) if scored and not gone)

    def is_on(self, submission: str) -> bool:
        """Whether a submission is on the board."""
        n = self.table.number.get(submission)
        return n is not None and n in self._on.get(self.table.participant[n], ())

    def is_eligible(self, submission: str) -> bool:
        """Whether a submission may be on the board; one that is not known here may."""
        n = self.table.number.get(submission)
        return n is None or self.table.eligible[n]

    # ------------------------------------------------------------------ events
    def apply(self, event: BoardEvent) -> None:
        """Bring the board up to date."""
        if isinstance(event, happened.BoardEdited):
            self._hand_over(event.leaderboard.submission_rule)
            self._define(event.leaderboard)
            self.rebuild()
            return
        attempted = set(self._attempted)
        if self._compares:
            self._record(event)
            self.rebuild()
            return
        with self._moving(event):
            n = self._record(event)
            self._refresh(n)
        if set(self._attempted) != attempted:
            self.rebuild()

    def _hand_over(self, rule: SubmissionRule) -> None:
        """Another rule: what is on the board stays until it is replaced, where people choose what replaces it."""
        if self.rule is None or rule is self.rule:
            return
        self._carried = {} if rule in rules.FORCED else self.entries()
        self.table.choices.clear()
        self.rule = rule

    def entries(self) -> dict[str, frozenset[str]]:
        """What is on the board, by participant."""
        names = self.table.submission
        return {who: frozenset(names[n] for n in on) for who, on in self._on.items()}

    def _record(self, event: happened.SubmissionEvent) -> int:
        """Write down what an event says; returns the number of its submission."""
        self._events += 1
        table = self.table
        if isinstance(event, happened.Submitted):
            n = table.add(
                event.submission,
                event.participant,
                event.at,
                sequence=event.sequence,
                tasks=event.tasks,
                eligible=event.eligible,
                isolated=event.isolated,
            )
            if self._counts(n):
                self._attempted.update(event.tasks)
            return n
        n = table.number[event.submission]
        at = (event.at, self._events, n)
        match event:
            case happened.Scored(scores=scores) | happened.Reevaluated(scores=scores):
                if isinstance(event, happened.Scored):
                    table.scored[n] = table.scored[n] or at
                for task, values in scores.items():
                    table.score(n, task, values)
            case happened.ScoreEdited(task=task, key=key, value=value):
                table.edit(n, task, key, value)
            case happened.EntryChosen(submission=submission, shown=shown):
                if table.eligible[n]:
                    table.choices[table.participant[n]].append(rules.Choice(submission, shown, at))
            case happened.Deleted():
                if self._counts(n):
                    self._attempted -= Counter(table.tasks[n])
                table.deleted[n] = True
        return n

    def _counts(self, n: int) -> bool:
        """Whether what it was run on is expected of the others."""
        return self.table.eligible[n] and not self.table.deleted[n]

    @contextmanager
    def _moving(self, event: happened.SubmissionEvent) -> Iterator[None]:
        """Takes the rows of the event's participant out of the order, and puts in those that then are on the board."""
        if isinstance(event, happened.Submitted):
            who = event.participant
        else:
            who = self.table.participant[self.table.number[event.submission]]
        for n in self._on.pop(who, ()):
            del self._order[self._place(n)]
            self._late -= self._incomplete[n]
        yield
        on = self._entries(who)
        for n in on:
            self._order.insert(self._place(n), n)
            self._late += self._incomplete[n]
        if on:
            self._on[who] = on

    def _place(self, n: int) -> int:
        return bisect_left(self._order, self._key(n), key=self._key)

    def _refresh(self, n: int) -> None:
        """Work out the values of one submission again."""
        values, incomplete = self.table.line(self.spec, n, self._over_tasks)
        if n == len(self._incomplete):
            self._incomplete.append(incomplete)
            for key, column in self._values.items():
                column.append(values[key])
        else:
            self._incomplete[n] = incomplete
            for key, column in self._values.items():
                column[n] = values[key]

    # ------------------------------------------------------------------ the whole board
    def _define(self, spec: LeaderboardSpec) -> None:
        """What is compared, and in which order."""
        self.spec = spec
        self.shown_as = combined(spec, self.aggregation, self.ranking)
        self.columns = order.deciding_columns(self.shown_as)
        primary = self.shown_as.primary
        # What is best is asked of every column (contract.md 5.5), what is higher only of those that are shown.
        others = [c for c in self.shown_as.columns if c is not primary]
        self._quality = [primary, *sorted(others, key=lambda c: c.index)]
        self._crossing = cross_columns(spec.columns)
        self._compares = bool(self._crossing) or self.shown_as is not spec
        self._over_tasks: Aggregation = "mean" if self.aggregation == "average_rank" else self.aggregation

    def rebuild(self) -> None:
        """Work everything out from the table."""
        table = self.table
        if self.tasks:
            table.expected = tuple(t for t in self.tasks if self._attempted[t])
        self._values, self._incomplete = table.lines(self.spec, self._over_tasks)
        self._values.setdefault(self.shown_as.primary.key, [None] * len(table))
        there = [n for n, scored in enumerate(table.scored) if scored and not table.deleted[n]]
        if self._compares and self.rule is SubmissionRule.FORCE_BEST:
            self._compare([n for n in there if table.eligible[n]])
        self._on = self._members(there)
        shown = [n for on in self._on.values() for n in on]
        if self._compares:
            self._compare(shown)
        self._late = sum(self._incomplete[n] for n in shown)
        self._order = self._sorted(shown)

    def _members(self, there: list[int]) -> dict[str, list[int]]:
        """By participant, the numbers of those on the board; `there`: what is scored and not deleted."""
        names = self.table.participant
        on: dict[str, list[int]] = {}
        if self.rule is None:
            for n in there:
                on.setdefault(names[n], []).append(n)
            return on
        if self.rule is SubmissionRule.FORCE_BEST and len(there) >= LARGE:
            from codabench.leaderboard.columnar import best

            eligible = [n for n in there if self.table.eligible[n]]
            on = {names[n]: [n] for n in best(self.table, eligible, self._quality, self._values, self._incomplete)}
            asked = set(self.table.choices) & set(names)
        else:
            asked = {names[n] for n in there} | set(self.table.choices) | set(self._carried)
        for who in asked:
            on[who] = self._entries(who)
        return {who: entries for who, entries in on.items() if entries}

    def _entries(self, who: str) -> list[int]:
        """What the rule says of one participant."""
        table = self.table
        own = [n for n in table.of_participant.get(who, ()) if not table.deleted[n]]
        if self.rule is None:
            return [n for n in own if table.scored[n]]
        best = self.rule is SubmissionRule.FORCE_BEST
        candidates = [
            rules.Candidate(table.submission[n], table.scored[n], self._key(n, quality=True) if best else None)
            for n in own
            if table.eligible[n]
        ]
        found = rules.entries(self.rule, candidates, table.choices.get(who, ()), self._carried.get(who, ()))
        return [n for n in own if table.submission[n] in found]

    def _compare(self, shown: list[int]) -> None:
        """Fill the columns that compare these submissions with each other."""
        columns = self.spec.columns
        for column in self._crossing:
            values = {c.key: [self._values[c.key][n] for n in shown] for c in columns}
            self._fill(column.key, shown, rank_column(column, columns, values) or [])
        if self.shown_as is self.spec:
            return
        primary = self.spec.primary
        if self.ranking is not None:
            found = ranked_by(self.ranking, [self._row(n) for n in shown])
        else:
            per_task = [self.table.per_task(self.spec, n) for n in shown]
            tasks = self.table.expected or tuple(dict.fromkeys(t for scores in per_task for t in scores))
            found = average_ranks(primary, [[s.get(t, {}).get(primary.key) for s in per_task] for t in tasks])
        self._fill(self.shown_as.primary.key, shown, found)

    def _fill(self, key: str, shown: list[int], values: Sequence[float | None]) -> None:
        column: list[float | None] = [None] * len(self.table)
        for n, value in zip(shown, values, strict=False):
            column[n] = value
        self._values[key] = column

    def _sorted(self, shown: list[int]) -> list[int]:
        if len(shown) < LARGE:
            return sorted(shown, key=self._key)
        from codabench.leaderboard.columnar import ordered

        return ordered(self.table, shown, self.columns, self._values, self._incomplete)

    def _key(self, n: int, *, quality: bool = False) -> tuple[Any, ...]:
        table = self.table
        columns = self._quality if quality else self.columns
        scores = {c.key: self._values[c.key][n] for c in columns}
        line = Line(table.submission[n], table.created_at[n], table.sequence[n], scores, self._incomplete[n])
        return order.sort_key(columns, line)

    # ------------------------------------------------------------------ what is shown
    def board(self, start: int = 0, stop: int | None = None, *, rule_applied: bool | None = None) -> Board:
        """The board, or its rows from place `start` (the best is 0) up to `stop`.

        Parameters
        ----------
        rule_applied
            Whether a rule chose what is in the table; None: if there is one here.
        """
        stop = len(self) if stop is None else min(stop, len(self))
        # One more on each side: a row is tied with its neighbours.
        first, last = max(start - 1, 0), min(stop + 1, len(self))
        rows = [self._row(n, place + 1) for place, n in enumerate(self._order[first:last], first)]
        rows = order.with_ties(self.columns, rows)[start - first : stop - first] if start < stop else []
        columns = tuple(sorted((c for c in self.shown_as.columns if not c.hidden), key=lambda c: c.index))
        applied = self.rule is not None if rule_applied is None else rule_applied
        notes = notes_on(
            self.shown_as,
            applied=applied,
            tasks=len(set(self.table.finished) if self.table.expected is None else self.table.expected),
            late=self._late,
            aggregation=self.aggregation,
        )
        return Board(
            leaderboard=self.shown_as,
            columns=columns,
            rows=tuple(rows),
            total=len(self),
            aggregation=self.aggregation,
            rule_applied=applied,
            notes=notes,
        )

    def _row(self, n: int, rank: int = 0) -> Row:
        table = self.table
        return Row(
            rank=rank,
            submission=table.submission[n],
            participant=table.participant[n],
            created_at=table.created_at[n],
            sequence=table.sequence[n],
            scores={c.key: self._values[c.key][n] for c in self.shown_as.columns},
            per_task=table.per_task(self.spec, n),
            incomplete=self._incomplete[n],
            isolated=table.isolated[n],
        )
