"""`Leaderboard`: the ranked board of a phase as an object, a frame, text and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from codabench.core.competition import LeaderboardSpec
from codabench.core.errors import NotFound, UsageError
from codabench.core.records import Status
from codabench.core.text import distinct, printable
from codabench.leaderboard.board import Entry, Row
from codabench.leaderboard.combined import Ranking
from codabench.leaderboard.page import board_html
from codabench.leaderboard.ranking import rank
from codabench.leaderboard.render import board_text
from codabench.leaderboard.rules import FORCED
from codabench.leaderboard.values import RANK_COMPUTATIONS, Aggregation
from codabench.workspace import admission
from codabench.workspace.boards import Instead
from codabench.workspace.insight import Insight
from codabench.workspace.ranked import (
    LOOKED_AT,
    Details,
    facts_of,
    notes_of_rule,
    page_range,
    phase_of,
    same_content,
)
from codabench.workspace.reevaluation.shown import revision_notes, runs_on
from codabench.workspace.sources import Sources
from codabench.workspace.tables import Tables

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition
    from codabench.workspace.handles import SubmissionHandle
    from codabench.workspace.workspace import Workspace


class Leaderboard(Insight, Tables):
    """A ranked board.

    A local board lists every finished submission and says that the submission rule is not applied.

    Attributes
    ----------
    names
        Submission id -> what it is called; also of those that are not on the board.
    facts
        Submission id -> parameters, and answers that the fact sheet puts on the leaderboard.
    """

    def __new__(cls, *given: Any, **definition: Any) -> Any:
        """With keywords only, ``Leaderboard(key="main", columns=[...])``, it is the definition of a leaderboard."""
        if definition and not given:
            from codabench.bundle.defined.models import LeaderboardDefinition

            return LeaderboardDefinition(**definition)
        return super().__new__(cls)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int | str) -> Row:
        """The row at a place, or of a submission by its name or id: ``board[0]`` is the best.

        Raises
        ------
        NotFound
            No submission of that name is listed.
        """
        if not isinstance(place, str):
            return self.rows[place]
        return self.row(place)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def text(self, width: int = 100) -> str:
        """The board as a table of so many columns of a terminal, as far as that can be."""
        return board_text(self._shown(), width)

    def __repr__(self) -> str:
        return self.text()

    def _repr_html_(self) -> str:
        return board_html(self._shown())


def make_leaderboard(
    workspace: Workspace,
    competition: Competition,
    *,
    name: int | str | None = None,
    phase: int | str | None = None,
    rule: bool | None = None,
    aggregation: Aggregation = "mean",
    ranking: Ranking | None = None,
    participants: Mapping[str, str] | None = None,
    page: int | None = None,
    size: int = 50,
    batch: str | None = None,
    instead: Instead | None = None,
) -> Leaderboard:
    """Rank a phase; see `Competition.leaderboard`.

    Parameters
    ----------
    batch
        With the finished runs of this re-evaluation.
    instead
        Runs to show instead of those that boards show. Where people choose what is on the board, every finished
        submission is listed then, unless `rule` says otherwise.
    """
    if batch is not None:
        instead = runs_on(workspace, workspace.db.batch(batch), "after")
    spec = competition.spec
    if not spec.leaderboards:
        message = f"{printable(spec.title)!r} is a task and has no leaderboard"
        raise NotFound(message, hint="the scores of a submission are in its .scores")
    if aggregation not in get_args(Aggregation):
        hint = f"there are: {', '.join(get_args(Aggregation))}"
        raise UsageError(f"no aggregation {aggregation!r:.60}", code="CB350", hint=hint)
    boards = list(enumerate(spec.leaderboards))
    wanted = 0 if name is None else name
    _, chosen = admission.pick(boards, wanted, "leaderboard", lambda b: b[0], lambda b: b[1].key)
    period = phase_of(workspace, competition, phase)
    asked = instead is None or chosen.submission_rule in FORCED
    applied = asked and not competition.is_private if rule is None else rule
    start, stop = (0, None) if page is None else page_range(page, size)
    with workspace.boards.look(
        competition.id,
        period,
        chosen,
        rule=chosen.submission_rule if applied else None,
        aggregation=aggregation,
        ranking=ranking,
        instead=instead,
    ) as standings:
        board = standings.board(start, stop)
        scored = standings.scored
    shown = [row.submission for row in board.rows]
    called = workspace.db.called(competition.id, period.index, None if page is None else shown)
    names = dict(zip(called, distinct([name for name, _ in called.values()]), strict=True))
    notes = [*board.notes, *notes_of_rule(chosen, applied, len(shown), scored)]
    details = Details(workspace, shown[:LOOKED_AT], instead or {})
    twice = details.duplicates(board.rows)
    notes += [*details.notes(names), *revision_notes(workspace.db, details.runs())]
    notes += same_content(twice, names, board.rows)
    people = {who: str(name) for who, name in (participants or {}).items()}
    rows = tuple(
        row.model_copy(
            update={
                "participant": people.get(row.participant, row.participant),
                "isolated": details.isolated(row.submission),
            }
        )
        for row in board.rows
    )
    board = board.model_copy(update={"rows": rows, "notes": tuple(notes)})
    sources = Sources(workspace, competition.id, period, chosen, ranking, people, instead or {})
    made: Leaderboard = Leaderboard(board, period, names, facts_of(spec, called), sources)
    made.competition, made.duplicates = spec, [[names[s] for s in group] for group in twice]
    if spec.enable_detailed_results and spec.show_detailed_results_in_leaderboard:
        made.pages = {s: {t: workspace.run(run) for t, run in pages.items()} for s, pages in details.pages.items()}
    return made


def row_of(handle: SubmissionHandle) -> Row | None:
    """The row of a submission; the others are looked at only where a column compares submissions with each other."""
    spec = handle.competition.spec.leaderboard
    if any(c.computation in RANK_COMPUTATIONS for c in spec.columns):
        board = handle.competition.leaderboard(phase=handle.record.phase, rule=False).board
    else:
        board = rank(spec, [_entry(handle, spec)] if handle.status is Status.FINISHED else [])
    return next((row for row in board.rows if row.submission == handle.id), None)


def _entry(handle: SubmissionHandle, spec: LeaderboardSpec) -> Entry:
    keys = {c.key for c in spec.columns}
    finished = [run for run in handle.runs if run.status is Status.FINISHED]
    return Entry(
        submission=handle.id,
        participant=handle.record.participant,
        created_at=handle.record.created_at,
        tasks={run.record.task: {k: v for k, v in run.scores.items() if k in keys} for run in finished},
        expected_tasks=handle.record.tasks,
    )


def distinct_names(handles: Sequence[SubmissionHandle]) -> dict[str, str]:
    """Submission id -> name; the second of one name gets ``#2``."""
    names = distinct([h.name for h in handles])
    return {handle.id: name for handle, name in zip(handles, names, strict=True)}
