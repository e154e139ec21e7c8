"""`Database`: guarded changes and plain questions. Every public method is one transaction."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    bindparam,
    create_engine,
    delete,
    event,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlalchemy.pool import StaticPool
from sqlmodel import SQLModel

from codabench.core.competition import CompetitionSpec
from codabench.core.errors import NotFound, StateError, StorageError
from codabench.core.events import EventKind, StatusEvent, next_status
from codabench.core.records import Attempt, Outcome, Run, RunOptions, Status, Submission
from codabench.core.trees import TreeRef
from codabench.db.tables import (
    FORMAT,
    AttemptRow,
    CompetitionRow,
    LeaseRow,
    MetaRow,
    RunRow,
    ScoreRow,
    StatusEventRow,
    SubmissionRow,
    TreeRow,
)

_COMPETITION, _SUBMISSION, _RUN = CompetitionRow.__table__, SubmissionRow.__table__, RunRow.__table__  # type: ignore[attr-defined]
_ATTEMPT, _EVENT, _SCORE = AttemptRow.__table__, StatusEventRow.__table__, ScoreRow.__table__  # type: ignore[attr-defined]
_META, _LEASE, _TREE = MetaRow.__table__, LeaseRow.__table__, TreeRow.__table__  # type: ignore[attr-defined]

# What every status event needs, built once: putting a statement together costs more than carrying it out.
_RUN_AND_TOKEN = (
    select(_RUN, _ATTEMPT.c.token)
    .outerjoin(_ATTEMPT, _RUN.c.attempt == _ATTEMPT.c.id)
    .where(_RUN.c.id == bindparam("run"))
)
_ADVANCE = (
    update(_RUN)
    .where(_RUN.c.id == bindparam("run"), _RUN.c.last_event == bindparam("seen"))
    .values(status=bindparam("status"), last_event=bindparam("sequence"), attempt=bindparam("attempt"))
)
_ADD_EVENT = insert(_EVENT)


class Database:
    """The rows of one workspace.

    Parameters
    ----------
    url
        An SQLAlchemy URL; ``sqlite://`` is in memory and lives as long as this object.

    Raises
    ------
    StorageError
        If it cannot be opened, or was written by a later version.
    """

    def __init__(self, url: str = "sqlite://") -> None:
        self.url = url
        self._lock = threading.RLock()
        self._closed = False
        try:
            made = make_url(url)
            self.url = made.render_as_string(hide_password=True)
            self._engine = _engine(made)
            self._open()
        except (SQLAlchemyError, ImportError) as error:
            raise StorageError(f"the database {self.url} cannot be opened: {error}", code="CB720") from error

    def _open(self) -> None:
        SQLModel.metadata.create_all(self._engine)
        with self._change() as db:
            found = db.execute(select(_META.c.value).where(_META.c.key == "format")).scalar()
            if found is None:
                db.execute(insert(_META).values(key="format", value=str(FORMAT)))
            elif int(found) > FORMAT:
                raise StorageError(
                    f"the database {self.url} has format {found}; this version knows {FORMAT}",
                    code="CB721",
                    hint="install a newer codabench",
                )

    @contextmanager
    def _change(self) -> Iterator[Connection]:
        with self._lock:
            if self._closed:
                raise StorageError(f"the database {self.url} is closed", code="CB723")
            try:
                with self._engine.begin() as connection:
                    yield connection
            except SQLAlchemyError as error:
                raise StorageError(f"the database {self.url} failed: {error}", code="CB722") from error

    # ------------------------------------------------------------------ competitions
    def add_competition(self, id: str, spec: CompetitionSpec, *, source: str, at: datetime) -> None:
        """Keep a competition; one that is known by this id stays as it is."""
        with self._change() as db:
            if db.execute(select(_COMPETITION.c.id).where(_COMPETITION.c.id == id)).first() is None:
                row = {"title": spec.title, "source": source, "spec": spec.model_dump_json(), "created_at": at}
                db.execute(insert(_COMPETITION).values(id=id, **row))

    def competition(self, id: str) -> CompetitionSpec:
        """A competition by its id; `NotFound` if there is none."""
        with self._change() as db:
            row = db.execute(select(_COMPETITION.c.spec).where(_COMPETITION.c.id == id)).first()
        if row is None:
            raise NotFound(f"no competition {id!r} in {self.url}")
        return CompetitionSpec.model_validate_json(row.spec)

    def competitions(self) -> list[tuple[str, str]]:
        """(id, title) of every competition, oldest first."""
        with self._change() as db:
            rows = db.execute(select(_COMPETITION.c.id, _COMPETITION.c.title).order_by(_COMPETITION.c.created_at))
            return [(row.id, row.title) for row in rows]

    def set_trees(self, competition: str, trees: dict[str, TreeRef]) -> None:
        """Keep which stored trees are the programs and data of a competition; what is known by a path is replaced."""
        rows = [{"competition": competition, "path": p, "ref": r.model_dump_json()} for p, r in trees.items()]
        with self._change() as db:
            db.execute(delete(_TREE).where(_TREE.c.competition == competition, _TREE.c.path.in_(list(trees))))
            if rows:
                db.execute(insert(_TREE), rows)

    def trees(self, competition: str) -> dict[str, TreeRef]:
        """The stored trees of a competition by path."""
        with self._change() as db:
            rows = db.execute(select(_TREE.c.path, _TREE.c.ref).where(_TREE.c.competition == competition))
            return {row.path: TreeRef.model_validate_json(row.ref) for row in rows}

    # ------------------------------------------------------------------ submissions and runs
    def add_submission(self, submission: Submission, runs: Sequence[Run], *, kind: EventKind) -> Submission:
        """Keep a submission, its runs and their first event; returns it with its number counted."""
        with self._change() as db:
            count = select(func.coalesce(func.max(_SUBMISSION.c.number), 0)).where(
                _SUBMISSION.c.competition == submission.competition, _SUBMISSION.c.participant == submission.participant
            )
            submission = submission.model_copy(update={"number": int(db.execute(count).scalar() or 0) + 1})
            db.execute(insert(_SUBMISSION).values(**_submission_row(submission)))
            for run in runs:
                status = next_status(None, kind)
                db.execute(
                    insert(_RUN).values(
                        id=run.id,
                        submission=submission.id,
                        task=json.dumps(run.task),
                        position=run.position,
                        status=status.value,
                        last_event=1,
                        created_at=run.created_at,
                    )
                )
                self._insert_event(db, StatusEvent(run=run.id, sequence=1, kind=kind, at=run.created_at))
        return submission

    def submissions(self, competition: str, phase: int | None = None) -> list[Submission]:
        """In the order in which they were admitted."""
        query = select(_SUBMISSION).where(_SUBMISSION.c.competition == competition)
        if phase is not None:
            query = query.where(_SUBMISSION.c.phase == phase)
        with self._change() as db:
            return [_submission(row) for row in db.execute(query.order_by(_SUBMISSION.c.sequence))]

    def submission_times(self, competition: str, phase: int, participant: str) -> list[datetime]:
        """When a participant's submissions to a phase were made that count: not those that failed (contract.md 4.2)."""
        not_failed = exists().where(_RUN.c.submission == _SUBMISSION.c.id, _RUN.c.status != Status.FAILED.value)
        query = select(_SUBMISSION.c.created_at).where(
            _SUBMISSION.c.competition == competition,
            _SUBMISSION.c.phase == phase,
            _SUBMISSION.c.participant == participant,
            not_failed,
        )
        with self._change() as db:
            return list(db.execute(query).scalars())

    def submission(self, id: str) -> Submission:
        """A submission by its id; `NotFound` if there is none."""
        with self._change() as db:
            row = db.execute(select(_SUBMISSION).where(_SUBMISSION.c.id == id)).first()
        if row is None:
            raise NotFound(f"no submission {id!r} in {self.url}")
        return _submission(row)

    def runs(self, competition: str, phase: int | None = None) -> list[Run]:
        """The runs of the submissions to a competition, in their order, then by place of the task."""
        query = (
            select(_RUN)
            .join(_SUBMISSION, _RUN.c.submission == _SUBMISSION.c.id)
            .where(_SUBMISSION.c.competition == competition)
            .order_by(_SUBMISSION.c.sequence, _RUN.c.position)
        )
        if phase is not None:
            query = query.where(_SUBMISSION.c.phase == phase)
        with self._change() as db:
            return [_run(row) for row in db.execute(query)]

    def run(self, id: str) -> Run:
        """One run."""
        with self._change() as db:
            return _run(self._run_row(db, id))

    def events(self, run: str) -> list[StatusEvent]:
        """The history of a run."""
        with self._change() as db:
            rows = db.execute(select(_EVENT).where(_EVENT.c.run == run).order_by(_EVENT.c.sequence))
            return [
                StatusEvent(
                    run=r.run, sequence=r.sequence, kind=r.kind, at=r.at, attempt=r.attempt, data=json.loads(r.data)
                )
                for r in rows
            ]

    def queued(self, limit: int) -> list[Run]:
        """Runs that wait, oldest first."""
        query = (
            select(_RUN)
            .join(_SUBMISSION, _RUN.c.submission == _SUBMISSION.c.id)
            .where(_RUN.c.status == Status.SUBMITTED.value)
            .order_by(_SUBMISSION.c.sequence, _RUN.c.position)
            .limit(limit)
        )
        with self._change() as db:
            return [_run(row) for row in db.execute(query)]

    def waiting_before(self, run: str) -> int:
        """How many runs that wait are older than this one."""
        here = select(_SUBMISSION.c.sequence, _RUN.c.position).join(_RUN, _RUN.c.submission == _SUBMISSION.c.id)
        with self._change() as db:
            mine = db.execute(here.where(_RUN.c.id == run)).one()
            older = (_SUBMISSION.c.sequence < mine.sequence) | (
                (_SUBMISSION.c.sequence == mine.sequence) & (_RUN.c.position < mine.position)
            )
            count = select(func.count()).select_from(_RUN).join(_SUBMISSION, _RUN.c.submission == _SUBMISSION.c.id)
            return int(db.execute(count.where(_RUN.c.status == Status.SUBMITTED.value, older)).scalar() or 0)

    # ------------------------------------------------------------------ transitions
    def start_attempt(self, run: str, *, attempt: str, token: str, at: datetime) -> Attempt:
        """Begin an attempt at a queued run. From now on only its token may change the run.

        Raises
        ------
        StateError
            If the run does not wait any more.
        """
        with self._change() as db:
            row = self._run_row(db, run)
            number = db.execute(select(func.count()).select_from(_ATTEMPT).where(_ATTEMPT.c.run == run)).scalar() or 0
            made = Attempt(id=attempt, run=run, number=number + 1, token=token, started_at=at)
            db.execute(insert(_ATTEMPT).values(**made.model_dump()))
            self._append(db, row, EventKind.ATTEMPT_STARTED, at, attempt, {})
        return made

    def append(
        self,
        run: str,
        kinds: Sequence[EventKind],
        *,
        at: datetime,
        attempt: str | None = None,
        token: str | None = None,
        data: dict[str, Any] | None = None,
        outcome: Outcome | None = None,
    ) -> Status:
        """Append events, and with the last of them keep the outcome and its scores: one transaction.

        Parameters
        ----------
        attempt, token
            Who reports. If given they must be the run's current attempt and its token.

        Raises
        ------
        StateError
            If the table of transitions forbids it, or the attempt does not count any more.
        """
        with self._change() as db:
            for kind in kinds:
                row = self._run_row(db, run)
                if attempt is not None and (row.attempt, row.token) != (attempt, token):
                    raise StateError(f"attempt {attempt} of run {run} does not count any more", code="CB711")
                status = self._append(db, row, kind, at, attempt, data or {})
            if outcome is not None:
                db.execute(update(_RUN).where(_RUN.c.id == run).values(outcome=outcome.model_dump_json()))
                if status is Status.FINISHED and outcome.scores:
                    rows = [{"run": run, "key": k, "value": v} for k, v in outcome.scores.items()]
                    db.execute(insert(_SCORE), rows)
        return status

    def _append(
        self,
        db: Connection,
        row: Any,
        kind: EventKind,
        at: datetime,
        reporter: str | None,
        data: dict[str, Any],
    ) -> Status:
        status = next_status(Status(row.status), kind)
        sequence = row.last_event + 1
        seen = {"run": row.id, "seen": row.last_event}
        new = {"status": status.value, "sequence": sequence, "attempt": reporter or row.attempt}
        if db.execute(_ADVANCE, {**seen, **new}).rowcount != 1:
            raise StateError(f"run {row.id} was changed by somebody else")
        try:
            self._insert_event(
                db, StatusEvent(run=row.id, sequence=sequence, kind=kind, at=at, attempt=reporter, data=data)
            )
        except IntegrityError as error:
            raise StateError(f"run {row.id} was changed by somebody else") from error
        return status

    def _insert_event(self, db: Connection, made: StatusEvent) -> None:
        values = made.model_dump()
        values["kind"] = made.kind.value
        values["data"] = json.dumps(made.data)
        db.execute(_ADD_EVENT, values)

    def _run_row(self, db: Connection, id: str) -> Any:
        """A run, with the token of its current attempt."""
        row = db.execute(_RUN_AND_TOKEN, {"run": id}).first()
        if row is None:
            raise NotFound(f"no run {id!r} in {self.url}")
        return row

    # ------------------------------------------------------------------ the dispatcher's lease
    def take_lease(self, name: str, *, holder: str, token: str, now: datetime, seconds: float) -> bool:
        """Take or renew a lease; False if somebody else holds it and it has not expired."""
        values = {"holder": holder, "token": token, "expires_at": now + timedelta(seconds=seconds)}
        with self._change() as db:
            row = db.execute(select(_LEASE).where(_LEASE.c.name == name)).first()
            if row is None:
                db.execute(insert(_LEASE).values(name=name, **values))
                return True
            if row.token != token and row.expires_at > now:
                return False
            mine = (_LEASE.c.name == name) & (_LEASE.c.token == row.token)
            return db.execute(update(_LEASE).where(mine).values(**values)).rowcount == 1

    def lease_holder(self, name: str, *, now: datetime) -> str | None:
        """Who holds a lease that has not expired."""
        with self._change() as db:
            row = db.execute(select(_LEASE).where(_LEASE.c.name == name)).first()
        return str(row.holder) if row is not None and row.expires_at > now else None

    def release_lease(self, name: str, *, token: str) -> None:
        """Let go of a lease that is ours."""
        with self._change() as db:
            db.execute(delete(_LEASE).where(_LEASE.c.name == name, _LEASE.c.token == token))

    def close(self) -> None:
        """Let go of all connections; whatever is asked later is refused."""
        with self._lock:
            self._closed = True
        self._engine.dispose()


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url)
    # One connection for a database in memory: each connection would have a database of its own.
    options: dict[str, Any] = {"poolclass": StaticPool} if url.database in (None, "", ":memory:") else {}
    engine = create_engine(url, connect_args={"check_same_thread": False, "timeout": 30}, **options)
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: we say BEGIN IMMEDIATE, so that a writer waits at its start.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _submission_row(submission: Submission) -> dict[str, Any]:
    row = submission.model_dump()
    row["tree"] = submission.tree.model_dump_json()
    row["tasks"] = json.dumps(submission.tasks)
    row["fact_sheet"] = json.dumps(submission.fact_sheet)
    row["options"] = submission.options.model_dump_json()
    return row


def _submission(row: Any) -> Submission:
    return Submission(
        id=row.id,
        competition=row.competition,
        phase=row.phase,
        name=row.name,
        participant=row.participant,
        number=row.number,
        tree=TreeRef.model_validate_json(row.tree),
        tasks=tuple(json.loads(row.tasks)),
        fact_sheet=json.loads(row.fact_sheet),
        options=RunOptions.model_validate_json(row.options),
        created_at=row.created_at,
    )


def _run(row: Any) -> Run:
    return Run(
        id=row.id,
        submission=row.submission,
        task=json.loads(row.task),
        position=row.position,
        status=Status(row.status),
        sequence=row.last_event,
        attempt=row.attempt,
        created_at=row.created_at,
        outcome=Outcome.model_validate_json(row.outcome) if row.outcome else None,
    )
