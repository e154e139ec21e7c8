"""`Leaderboard`: the ranked board of a phase as an object, a frame, text and HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from codabench.core.errors import NotFound
from codabench.core.records import Run, Status
from codabench.core.text import distinct, printable
from codabench.leaderboard.board import Entry, Row
from codabench.leaderboard.page import board_html
from codabench.leaderboard.ranking import rank
from codabench.leaderboard.render import board_text
from codabench.leaderboard.values import RANK_COMPUTATIONS, Aggregation
from codabench.workspace import admission
from codabench.workspace.evidence import Evidence
from codabench.workspace.insight import Insight
from codabench.workspace.reevaluation.shown import Shown, revision_notes, runs_on

if TYPE_CHECKING:
    import pandas as pd

    from codabench.workspace.competition import Competition
    from codabench.workspace.handles import SubmissionHandle
    from codabench.workspace.workspace import Workspace


class Leaderboard(Insight):
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

    def to_frame(self) -> pd.DataFrame:
        """One row for each submission, indexed by rank; columns by key, missing values NaN.

        The facts of submissions come last; one that is called like another column is ``fact.NAME``.
        """
        import pandas as pd

        columns = ["rank", "submission", "participant", "submitted_at", *(c.key for c in self.board.columns)]
        known = dict.fromkeys(name for row in self.rows for name in self.facts.get(row.submission, ()))
        named = {name: f"fact.{name}" if name in columns else name for name in known}
        rows = [
            {
                "rank": row.rank,
                "submission": self.name(row),
                "participant": row.participant,
                "submitted_at": row.created_at,
                **{c.key: row.scores.get(c.key) for c in self.board.columns},
                **{named[name]: value for name, value in self.facts.get(row.submission, {}).items()},
            }
            for row in self.rows
        ]
        columns += named.values()
        frame = pd.DataFrame(rows, columns=columns).set_index("rank")
        return frame.astype({c.key: "float64" for c in self.board.columns})

    def to_csv(self) -> str:
        """The board as CSV with full values; text that a spreadsheet would take for a formula is quoted (H07)."""
        import csv
        import io

        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(
            ["rank", "submission", "participant", "submitted_at", *(_cell(c.key) for c in self.board.columns)]
        )
        for row in self.rows:
            scores = [row.scores.get(c.key) for c in self.board.columns]
            name, at = _cell(self.name(row)), row.created_at.isoformat()
            writer.writerow(
                [row.rank, name, _cell(row.participant), at, *("" if s is None else repr(s) for s in scores)]
            )
        return out.getvalue()

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> Row:
        """The row at a place: ``board[0]`` is the best."""
        return self.rows[place]

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __repr__(self) -> str:
        return board_text(self._shown())

    def _repr_html_(self) -> str:
        return board_html(self._shown())

    def to_dict(self) -> dict[str, Any]:
        """The shape that ``run --json`` prints."""
        return {
            "columns": [
                {
                    "key": c.key,
                    "title": c.title,
                    "sorting": c.sorting.value,
                    "primary": c.index == self.spec.primary_index,
                }
                for c in self.board.columns
            ],
            "rows": [{"rank": r.rank, "submission": self.name(r), "scores": dict(r.scores)} for r in self.rows],
        }


def make_leaderboard(
    workspace: Workspace,
    competition: Competition,
    *,
    name: int | str | None = None,
    phase: int | str | None = None,
    aggregation: Aggregation = "mean",
    batch: str | None = None,
    instead: Shown | None = None,
) -> Leaderboard:
    """Rank what has finished in a phase.

    Parameters
    ----------
    batch
        With the finished runs of this re-evaluation.
    instead
        Runs to show instead of those that boards show.
    """
    if batch is not None:
        instead = runs_on(workspace, workspace.db.batch(batch), "after")
    spec = competition.spec
    if not spec.leaderboards:
        message = f"{printable(spec.title)!r} is a task and has no leaderboard"
        raise NotFound(message, hint="the scores of a submission are in its .scores")
    boards = list(enumerate(spec.leaderboards))
    wanted = 0 if name is None else name
    _, chosen = admission.pick(boards, wanted, "leaderboard", lambda b: b[0], lambda b: b[1].key)
    handles = [_with(handle, instead or {}) for handle in workspace.submissions(competition)]
    if phase is not None:
        period = admission.find_phase(spec, phase)
    else:
        period = handles[-1].phase if handles else spec.phases[0]
    listed = [h for h in handles if h.record.phase == period.index]
    # A local run may leave tasks out for everybody: only what somebody was run on can be missing.
    attempted = {t for h in listed for t in h.record.tasks}
    expected = tuple(t for t in period.tasks if t in attempted)
    keys = {c.key for c in chosen.columns}
    finished = [(n, h, _finished(h)) for n, h in enumerate(listed) if h.status is Status.FINISHED]
    entries = [_entry(n, h, runs, keys, expected) for n, h, runs in finished]
    names = distinct_names(listed)
    board = rank(chosen, entries, aggregation=aggregation)
    called = [(names[h.id], runs) for _, h, runs in finished]
    notes = (
        *board.notes,
        *_other_places(called),
        *_reused(called),
        *revision_notes(workspace.db, [run for _, runs in called for run in runs]),
    )
    asked = {q.key: q.is_on_leaderboard for q in spec.fact_sheet}
    facts = {
        h.id: {key: value for key, value in h.record.fact_sheet.items() if asked.get(key, True)}
        for h in listed
        if h.record.fact_sheet
    }
    evidence = Evidence(workspace, competition.id, period.index, chosen)
    made: Leaderboard = Leaderboard(board.model_copy(update={"notes": notes}), period, names, facts, evidence)
    return made


def row_of(handle: SubmissionHandle) -> Row | None:
    """The row of a submission; the others are looked at only where a column compares submissions with each other."""
    spec = handle.competition.spec.leaderboard
    if any(c.computation in RANK_COMPUTATIONS for c in spec.columns):
        board = handle.competition.leaderboard(phase=handle.record.phase).board
    else:
        keys = {c.key for c in spec.columns}
        done = handle.status is Status.FINISHED
        entries = [_entry(0, handle, _finished(handle), keys, handle.record.tasks)] if done else []
        board = rank(spec, entries)
    return next((row for row in board.rows if row.submission == handle.id), None)


def _cell(text: str) -> str:
    return f"'{text}" if text[:1] in "=+-@\t\r" else text


def _with(handle: SubmissionHandle, instead: Shown) -> SubmissionHandle:
    """A submission with other runs of some of its tasks."""
    tasks = [(handle.id, run.record.task) for run in handle.runs] if instead else []
    return handle.showing([instead[key] for key in tasks if key in instead]) if tasks else handle


def _finished(handle: SubmissionHandle) -> list[Run]:
    return [run.record for run in handle.runs if run.status is Status.FINISHED]


def _other_places(finished: list[tuple[str, list[Run]]]) -> list[str]:
    """A note for each place other than an image in which something on the board was run."""
    found: dict[str, list[str]] = {}
    for name, runs in finished:
        made = [run.outcome.provenance for run in runs if run.outcome and run.outcome.provenance]
        for image, engine in {(m["image"]["id"], m["engine"]["name"]) for m in made}:
            kind = image.partition(":")[0]
            if kind in ("host", "rootfs"):
                where = "this machine's own Python" if kind == "host" else "a root file system of this machine"
                found.setdefault(f"with {where} ({engine}), not in an image", []).append(name)
    return [f"run {how}: {_few(names)}" for how, names in sorted(found.items())]


def _reused(finished: list[tuple[str, list[Run]]]) -> list[str]:
    """A note where predictions were not made again, so that what the scores say of their time is from then."""
    found = [name for name, runs in finished if any(r.outcome and r.outcome.provenance.get("reused") for r in runs)]
    return [f"prediction step reused, with its times of then: {_few(found)}"] if found else []


def _few(names: list[str], most: int = 3) -> str:
    more = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *more])


def _entry(
    sequence: int, handle: SubmissionHandle, finished: list[Run], keys: set[str], expected: tuple[int | str, ...]
) -> Entry:
    return Entry(
        submission=handle.id,
        participant=handle.record.participant,
        created_at=handle.record.created_at,
        sequence=sequence,
        tasks={
            r.task: {k: v for k, v in (r.outcome.scores if r.outcome else {}).items() if k in keys} for r in finished
        },
        expected_tasks=expected,
        isolated=all(run.isolated for run in handle.runs),
    )


def distinct_names(handles: Sequence[SubmissionHandle]) -> dict[str, str]:
    """Submission id -> name; the second of one name gets ``#2``."""
    names = distinct([h.name for h in handles])
    return {handle.id: name for handle, name in zip(handles, names, strict=True)}
