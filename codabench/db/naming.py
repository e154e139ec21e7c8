"""What the rows of a database name in storage: what must stay there, and whose it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, true

from codabench.core.records import Outcome, Status
from codabench.core.trees import BlobRef, TreeRef
from codabench.db.database import Database
from codabench.db.resources import content_from
from codabench.db.site_tables import DATASET, METADATA
from codabench.db.tables import AttemptRow, CompetitionRow, RunRow, SubmissionRow, TreeRow

_COMPETITION, _SUBMISSION, _RUN = CompetitionRow.__table__, SubmissionRow.__table__, RunRow.__table__  # type: ignore[attr-defined]
_ATTEMPT, _TREE = AttemptRow.__table__, TreeRow.__table__  # type: ignore[attr-defined]

_DELETED = select(_SUBMISSION.c.id).where(_SUBMISSION.c.deleted_at.is_not(None))
_DELETED_RUNS = select(_RUN.c.id).where(_RUN.c.submission.in_(_DELETED))
_DIGEST = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_FINAL = [status.value for status in Status if status.is_final]


def named_digests(database: Database) -> set[str]:
    """Every sha256 in any text of any table, but for the rows of submissions that were deleted.

    Not only in the columns that are known to hold one: what is forgotten here would be deleted.
    """
    found: set[str] = set()
    with database._snapshot() as db:
        for table in METADATA.sorted_tables:
            for row in db.execute(select(table).where(_kept(table))).yield_per(1000):
                for value in row:
                    if isinstance(value, str) and len(value) >= 64:
                        found.update(_DIGEST.findall(value))
    return found


def _kept(table: Any) -> Any:
    """Which rows of a table name something that must stay: not those of a deleted submission, or of its runs."""
    if table is _SUBMISSION:
        return _SUBMISSION.c.deleted_at.is_(None)
    if table is _RUN:
        return _RUN.c.submission.not_in(_DELETED)
    if "run" in table.c and not table.c.run.nullable:
        return table.c.run.not_in(_DELETED_RUNS)
    return true()


def known_attempts(database: Database) -> set[str]:
    """The identifiers of all attempts whose results stay."""
    with database._snapshot() as db:
        return set(db.execute(select(_ATTEMPT.c.id).where(_kept(_ATTEMPT))).scalars())


def busy_since(database: Database) -> datetime | None:
    """When the oldest attempt began of a run without a final status: what it wrote since then has no row yet."""
    query = (
        select(_ATTEMPT.c.started_at)
        .join(_RUN, _RUN.c.id == _ATTEMPT.c.run)
        .where(_RUN.c.status.not_in(_FINAL))
        .order_by(_ATTEMPT.c.started_at)
        .limit(1)
    )
    with database._snapshot() as db:
        return db.execute(query).scalar()


class Named(NamedTuple):
    """A part of storage that a row names: whose it is, what it is for, its digest, its bytes.

    Attributes
    ----------
    competition
        Its title, and its identifier if another has the same.
    user
        The participant; empty for what belongs to the competition.
    kind
        ``data`` (programs and data), ``submission``, ``output``, ``log``.
    """

    competition: str
    user: str
    kind: str
    sha256: str
    size: int


def named_parts(database: Database) -> Iterator[Named]:
    """What the rows name that must stay, each name once; different rows may name the same bytes."""
    with database._snapshot() as db:
        titles = {row.id: row.title for row in db.execute(select(_COMPETITION.c.id, _COMPETITION.c.title))}
        twice = [title for title in titles.values() if list(titles.values()).count(title) > 1]
        shown = {id: f"{title} ({id})" if title in twice else title for id, title in titles.items()}
        for row in db.execute(select(_TREE.c.competition, _TREE.c.ref)):
            yield from _parts(shown[row.competition], "", "data", references("tree", dict(row._mapping)))
        columns = (_SUBMISSION.c.competition, _SUBMISSION.c.participant)
        for row in db.execute(select(*columns, _SUBMISSION.c.tree).where(_kept(_SUBMISSION))):
            parts = references("submission", dict(row._mapping))
            yield from _parts(shown[row.competition], row.participant, "submission", parts)
        runs = select(*columns, _RUN.c.outcome).join(_SUBMISSION, _RUN.c.submission == _SUBMISSION.c.id)
        for row in db.execute(runs.where(_kept(_SUBMISSION))).yield_per(1000):
            yield from _parts(shown[row.competition], row.participant, "", references("run", dict(row._mapping)))
        for row in db.execute(select(DATASET.c.owner, DATASET.c.tree)):
            yield from _parts("", f"u{row.owner}", "data", references("dataset", dict(row._mapping)))


def _parts(competition: str, user: str, kind: str, refs: Iterator[TreeRef | BlobRef]) -> Iterator[Named]:
    for ref in refs:
        if isinstance(ref, TreeRef):
            yield Named(competition, user, kind or "output", ref.archive, ref.size)
        else:
            yield Named(competition, user, kind or "log", ref.sha256, ref.size)


def references(table: str, row: Mapping[str, Any]) -> Iterator[TreeRef | BlobRef]:
    """The trees and blobs that a row of a table names.

    Only columns that are there for it are looked at: what people and programs write may look like a reference.
    """
    if table == "tree":
        yield TreeRef.model_validate_json(row["ref"])
    elif table == "submission":
        yield TreeRef.model_validate_json(row["tree"])
    elif table == "revision":
        yield from map(TreeRef.model_validate, json.loads(row["trees"]).values())
    elif table == "step" and row["output"]:
        yield TreeRef.model_validate_json(row["output"])
    elif table == "run" and row["outcome"]:
        yield from Outcome.model_validate_json(row["outcome"]).stored()
    elif table == "dataset" and row["tree"]:
        yield content_from(row["tree"])
