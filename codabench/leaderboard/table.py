"""What a board is made of, column by column: lists that grow, one item in each for every submission of a phase.

Columns of a hundred thousand items are read from a database, and handed to numpy, far faster than as many objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from codabench.core.boards import SubmissionSeen
from codabench.core.competition import LeaderboardSpec
from codabench.leaderboard.rules import Choice, Position
from codabench.leaderboard.values import RANK_COMPUTATIONS, Aggregation, over_tasks, with_computed

Task = int | str
Values = dict[str, float | None]


class Line(NamedTuple):
    """One submission, as `codabench.leaderboard.order` compares it."""

    submission: str
    created_at: Any
    sequence: int
    scores: Mapping[str, float | None]
    incomplete: bool = False


class Table:
    """The submissions of a phase with their scores, by number in the order in which they were added.

    Attributes
    ----------
    number
        Submission -> its number, which is its place in every list.
    created_at
        Anything that compares; a board needs times only of the rows that it shows.
    scored
        When it was scored first; None: not yet, or it failed.
    finished, raw
        For each task: which runs finished, and the scores that programs wrote, by column key.
    tasks
        What each was submitted for; empty: what it finished.
    expected
        The tasks without which every submission is incomplete; None: each one its own.
    choices
        By participant.
    """

    def __init__(self) -> None:
        self.number: dict[str, int] = {}
        self.submission: list[str] = []
        self.participant: list[str] = []
        self.created_at: list[Any] = []
        self.sequence: list[int] = []
        self.tasks: list[tuple[Task, ...]] = []
        self.expected: tuple[Task, ...] | None = None
        self.eligible: list[bool] = []
        self.isolated: list[bool] = []
        self.deleted: list[bool] = []
        self.scored: list[Position | None] = []
        self.finished: dict[Task, list[bool]] = {}
        self.raw: dict[Task, dict[str, list[float | None]]] = {}
        self.choices: dict[str, list[Choice]] = defaultdict(list)
        self.of_participant: dict[str, list[int]] = defaultdict(list)
        self._written: dict[tuple[int, Task, str], float | None] = {}

    @classmethod
    def of(
        cls, submissions: Sequence[SubmissionSeen], told: Sequence[tuple[tuple[Task, ...], bool, Position | None]]
    ) -> Table:
        """A table of many submissions; `told`: for each its tasks, whether it is eligible, when it was scored."""
        made = cls()
        if not submissions:
            return made
        numbers, ids, who, at, _, _, gone = zip(*submissions, strict=True)
        made.sequence, made.submission, made.participant, made.created_at = map(list, (numbers, ids, who, at))
        made.deleted = [moment is not None for moment in gone]
        made.isolated = [True] * len(submissions)
        made.tasks, made.eligible, made.scored = map(list, zip(*told, strict=True))
        made.number = {id: n for n, id in enumerate(made.submission)}
        for n, participant in enumerate(made.participant):
            made.of_participant[participant].append(n)
        return made

    def __len__(self) -> int:
        return len(self.submission)

    # ------------------------------------------------------------------ changes
    def add(
        self,
        submission: str,
        participant: str,
        created_at: Any,
        *,
        sequence: int = 0,
        tasks: tuple[Task, ...] = (),
        eligible: bool = True,
        isolated: bool = True,
    ) -> int:
        """A submission of which nothing is known yet."""
        n = self.number[submission] = len(self.submission)
        self.of_participant[participant].append(n)
        self.submission.append(submission)
        self.participant.append(participant)
        self.created_at.append(created_at)
        self.sequence.append(sequence)
        self.tasks.append(tasks)
        self.eligible.append(eligible)
        self.isolated.append(isolated)
        self.deleted.append(False)
        self.scored.append(None)
        for finished in self.finished.values():
            finished.append(False)
        for columns in self.raw.values():
            for column in columns.values():
                column.append(None)
        return n

    def score(self, n: int, task: Task, scores: Mapping[str, float]) -> None:
        """A run of it finished, or its scores became others. What organizers set stays."""
        self.finished.setdefault(task, [False] * len(self))[n] = True
        columns = self.raw.setdefault(task, {})
        kept = {key for at, of, key in self._written if (at, of) == (n, task)} if self._written else set()
        for key, column in columns.items():
            if key not in kept:
                column[n] = scores.get(key)
        for key, value in scores.items():
            if key in kept:
                self._written[n, task, key] = value
            elif key not in columns:
                columns[key] = [None] * len(self)
                columns[key][n] = value

    def unscore(self, n: int, task: Task) -> None:
        """A run of it did not finish after all."""
        if task in self.finished:
            self.finished[task][n] = False
            for column in self.raw[task].values():
                column[n] = None
        if not any(finished[n] for finished in self.finished.values()):
            self.scored[n] = None

    def fill(self, runs: Iterable[tuple[int, Task, Mapping[str, float]]]) -> None:
        """The same as `score` for all runs that finished, into a table that has no scores yet.

        Parameters
        ----------
        runs
            Of each the number of the submission, the task, and the scores by column key.
        """
        of_task: dict[Task, dict[int, Mapping[str, float]]] = {}
        for n, task, scores in runs:
            of_task.setdefault(task, {})[n] = scores
        everybody, nothing = range(len(self)), dict[str, float]()
        for task, own in of_task.items():
            self.finished[task] = [n in own for n in everybody]
            written = [own.get(n, nothing) for n in everybody]
            keys = dict.fromkeys(key for known in dict.fromkeys(map(tuple, own.values())) for key in known)
            self.raw[task] = {key: [scores.get(key) for scores in written] for key in keys}

    def edit(self, n: int, task: Task, key: str, value: float | None) -> None:
        """An organizer set a number, or took back what was set."""
        columns = self.raw.setdefault(task, {})
        column = columns.setdefault(key, [None] * len(self))
        place = (n, task, key)
        if value is not None:
            self._written.setdefault(place, column[n])
            column[n] = value
        elif place in self._written:
            column[n] = self._written.pop(place)

    # ------------------------------------------------------------------ what it says
    def scores(self, n: int) -> dict[Task, dict[str, float]]:
        """What one submission has for each task that finished, or that an organizer set something for."""
        found: dict[Task, dict[str, float]] = {}
        for task in dict.fromkeys([*self.finished, *self.raw]):
            columns = self.raw.get(task, {})
            values = {key: value for key, column in columns.items() if (value := column[n]) is not None}
            if values or (task in self.finished and self.finished[task][n]):
                found[task] = values
        return found

    def per_task(self, spec: LeaderboardSpec, n: int) -> dict[Task, Values]:
        """The value of every column for each task, in the order of the phase."""
        scores = self.scores(n)
        return {t: with_computed(spec.columns, scores[t]) for t in self._wanted(n) or tuple(scores) if t in scores}

    def _wanted(self, n: int) -> tuple[Task, ...]:
        return self.tasks[n] if self.expected is None else self.expected

    def line(self, spec: LeaderboardSpec, n: int, aggregation: Aggregation) -> tuple[Values, bool]:
        """The value of every column, and whether the submission is incomplete; columns from ranks are missing."""
        per_task = self.per_task(spec, n)
        expected = self._wanted(n) or tuple(per_task)
        # An absent task keeps its place, so that "first" means the first of the phase and not the first that succeeded.
        in_order: list[Mapping[str, float | None]] = [per_task.get(t, {}) for t in expected]
        primary = spec.primary
        has_primary = {task.get(primary.key) is not None for task in in_order}
        mixed = len(has_primary) > 1 and primary.computation not in RANK_COMPUTATIONS
        return over_tasks(spec.columns, in_order, aggregation), len(per_task) < len(expected) or mixed

    def lines(
        self, spec: LeaderboardSpec, aggregation: Aggregation
    ) -> tuple[dict[str, list[float | None]], list[bool]]:
        """The same of every submission: for each column its values, and which submissions are incomplete."""
        tasks = set(self.tasks) if self.expected is None else {self.expected}
        if len(tasks) == 1 and len(only := next(iter(tasks))) == 1 and not any(c.computation for c in spec.columns):
            # One task and nothing computed: the values are what programs wrote.
            columns = self.raw.get(only[0], {})
            finished = self.finished.get(only[0], [])
            incomplete = [not done for done in finished] or [True] * len(self)
            for n in {n for n, _, _ in self._written}:
                incomplete[n] = only[0] not in self.scores(n)
            return {c.key: list(columns.get(c.key) or [None] * len(self)) for c in spec.columns}, incomplete
        found = [self.line(spec, n, aggregation) for n in range(len(self))]
        return {c.key: [v[c.key] for v, _ in found] for c in spec.columns}, [i for _, i in found]
