"""Leases of attempts, fair order, steps by digest, revisions of tasks, batches, deletion, append-only history."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

MOMENT = sa.DateTime(timezone=True)

APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER status_event_no_{verb} BEFORE {verb.upper()} ON status_event "
        "BEGIN SELECT RAISE(ABORT, 'status events are never changed'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        "CREATE FUNCTION status_event_kept() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION ''status events are never changed''; END'",
        "CREATE TRIGGER status_event_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON status_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION status_event_kept()",
    ],
}


def upgrade() -> None:
    _columns()
    _tables()
    _fill()
    _indexes()
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)
    op.execute("UPDATE meta SET value = '2' WHERE key = 'format'")


def _columns() -> None:
    op.add_column("competition", sa.Column("deleted_at", MOMENT))
    op.add_column("submission", sa.Column("deleted_at", MOMENT))
    for name in ("deletion", "origin", "origin_kind"):
        op.add_column("submission", sa.Column(name, sa.String))
    for name in ("competition", "participant"):
        op.add_column("run", sa.Column(name, sa.String, nullable=False, server_default=sa.text("''")))
    op.add_column("run", sa.Column("revision", sa.Integer, nullable=False, server_default=sa.text("1")))
    op.add_column("run", sa.Column("priority", sa.Integer, nullable=False, server_default=sa.text("0")))
    op.add_column("run", sa.Column("scoring_only", sa.Boolean, nullable=False, server_default=sa.text("false")))
    op.add_column("run", sa.Column("shown", sa.Boolean, nullable=False, server_default=sa.text("true")))
    for name in ("backend", "pinned", "batch", "fault", "cancel_reason", "cancel_fault"):
        op.add_column("run", sa.Column(name, sa.String))
    for name in ("not_before", "finished_at"):
        op.add_column("run", sa.Column(name, MOMENT))
    op.add_column("attempt", sa.Column("holder", sa.String))
    for name in ("expires_at", "heartbeat_at"):
        op.add_column("attempt", sa.Column(name, MOMENT))


def _tables() -> None:
    op.create_table(
        "revision",
        _text("competition", key=True, of="competition.id"),
        _text("task", key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        _text("spec"),
        _text("trees"),
        _text("note"),
        _moment("created_at"),
    )
    op.create_table(
        "migrated_phase",
        _text("competition", key=True, of="competition.id"),
        sa.Column("phase", sa.Integer, primary_key=True, autoincrement=False),
        _moment("at"),
    )
    op.create_table(
        "slot",
        _text("competition", key=True, of="competition.id"),
        _text("participant", key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("served_at", MOMENT),
    )
    op.create_table(
        "step",
        _text("attempt", key=True, of="attempt.id"),
        _text("name", key=True),
        _text("run", of="run.id"),
        _text("digest"),
        sa.Column("ok", sa.Boolean, nullable=False),
        sa.Column("output", sa.String),
        sa.Column("seconds", sa.Float, nullable=False),
        sa.Column("reused_from", sa.String),
    )
    op.create_table(
        "hand_score",
        sa.Column("sequence", sa.Integer, primary_key=True),
        _text("run", of="run.id"),
        _text("key"),
        sa.Column("value", sa.Float),
        _text("by"),
        _text("note"),
        _moment("at"),
    )
    op.create_table(
        "board_choice",
        sa.Column("sequence", sa.Integer, primary_key=True),
        _text("submission", of="submission.id"),
        sa.Column("shown", sa.Boolean, nullable=False),
        _text("by"),
        _moment("at"),
    )
    op.create_table(
        "batch",
        _text("id", key=True),
        _text("competition", of="competition.id"),
        _text("key"),
        _text("plan"),
        _text("state"),
        _text("note"),
        _moment("created_at"),
        sa.Column("promoted_at", MOMENT),
    )
    op.create_table(
        "batch_run",
        _text("batch", key=True, of="batch.id"),
        _text("replaces", key=True, of="run.id"),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("run", sa.String, sa.ForeignKey("run.id")),
        _text("action"),
        _text("reason"),
    )


def _fill() -> None:
    """What the new columns and tables say of the rows there are."""
    for column in ("competition", "participant"):
        op.execute(
            f"UPDATE run SET {column} = (SELECT s.{column} FROM submission s WHERE s.id = run.submission)"  # noqa: S608
        )
    op.execute(
        "INSERT INTO slot (competition, participant, number) "
        "SELECT competition, participant, max(number) FROM submission GROUP BY competition, participant"
    )
    op.execute(
        "UPDATE run SET finished_at = (SELECT e.at FROM status_event e WHERE e.run = run.id "
        "AND e.sequence = run.last_event) WHERE status IN ('Finished', 'Failed', 'Cancelled')"
    )
    _fill_from_outcomes()


def _fill_from_outcomes() -> None:
    db = op.get_bind()
    for part in _parts(db):
        faults, steps = [], []
        for row in part:
            outcome = json.loads(row["outcome"])
            fault = (outcome.get("problem") or {}).get("fault")
            if fault:
                faults.append({"run": row["id"], "fault": fault})
            if row["attempt"]:
                steps += [_step(row, step) for step in outcome.get("steps", ()) if step.get("digest")]
        if faults:
            db.execute(sa.text("UPDATE run SET fault = :fault WHERE id = :run"), faults)
        if steps:
            db.execute(
                sa.text(
                    "INSERT INTO step (attempt, name, run, digest, ok, output, seconds) "
                    "VALUES (:attempt, :name, :run, :digest, :ok, :output, :seconds)"
                ),
                steps,
            )


def _parts(db: Any) -> Any:
    """The runs with an outcome, a thousand at a time."""
    last = ""
    query = "SELECT id, attempt, outcome FROM run WHERE outcome IS NOT NULL AND id > :last ORDER BY id LIMIT 1000"
    while rows := db.execute(sa.text(query), {"last": last}).mappings().fetchall():
        yield rows
        last = rows[-1]["id"]


def _step(row: Any, step: dict[str, Any]) -> dict[str, Any]:
    exits = step.get("exits", {}).values()
    return {
        "attempt": row["attempt"],
        "name": step["name"],
        "run": row["id"],
        "digest": step["digest"],
        "ok": bool(exits) and all(e["reason"] == "exited" and e.get("code") == 0 for e in exits),
        "output": json.dumps(step["output"], separators=(",", ":")) if step.get("output") else None,
        "seconds": step.get("seconds", 0.0),
    }


def _indexes() -> None:
    op.create_index("ix_submission_phase", "submission", ["competition", "phase", "participant"])
    queue = ["priority", "scoring_only", "competition", "participant", "created_at"]
    op.create_index("ix_run_queue", "run", ["status", *queue, "not_before", "pinned", "cancel_reason"])
    op.create_index("ix_run_batch", "run", ["batch"])
    shown: dict[str, Any] = {"sqlite_where": sa.text("shown"), "postgresql_where": sa.text("shown")}
    op.create_index("ux_run_shown", "run", ["submission", "task"], unique=True, **shown)
    op.create_index("ix_attempt_holder", "attempt", ["holder"])
    for column in ("digest", "run"):
        op.create_index(f"ix_step_{column}", "step", [column])
    op.create_index("ix_hand_score_run", "hand_score", ["run"])
    op.create_index("ix_board_choice_submission", "board_choice", ["submission"])
    for column in ("competition", "key"):
        op.create_index(f"ix_batch_{column}", "batch", [column])


def _text(name: str, *, key: bool = False, of: str | None = None) -> sa.Column[str]:
    references = [sa.ForeignKey(of)] if of else []
    return sa.Column(name, sa.String, *references, primary_key=key, nullable=False)


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, MOMENT, nullable=False)
