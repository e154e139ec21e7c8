"""Every call of the API 100 times by schemathesis, as nobody, as somebody and as superuser: no server error.

Half of them on SQLite, half on PostgreSQL.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import sqlalchemy

NEEDS = ("postgres",)
SEED = 20_261_124
LIMIT = 240
EXAMPLES = 100
"""Of each call, for each role."""


def soak(scale: float, folder: Path) -> dict[str, object]:
    """Everything in the OpenAPI document; half of the values fit it, many name things that are there."""
    from _rest import fuzz

    examples = max(1, round(EXAMPLES * scale / 2))
    server, schema = os.environ["CODABENCH_TEST_POSTGRES"], f"rest_{uuid.uuid4().hex}"
    _on(server, f"CREATE SCHEMA {schema}")
    try:
        tried = [fuzz(examples, seed=SEED)]
        tried.append(fuzz(examples, seed=SEED + 1, database=f"{server}?options=-csearch_path%3D{schema}"))
    finally:
        _on(server, f"DROP SCHEMA {schema} CASCADE")
    figures: dict[str, object] = {"tried": sum(each.calls for each in tried)}
    failed: list[str] = []
    for name, each in zip(("sqlite", "postgresql"), tried, strict=True):
        for role, counts in each.statuses.items():
            figures[f"{name}_{role}"] = {str(status): counts[status] for status in sorted(counts)}
            if not (counts[200] and counts[403 if role == "nobody" else 400]):
                failed.append(f"{name}, {role}: nothing was done, or nothing was refused, which proves nothing")
        failed += [f"{name}: {call}" for call in each.failed[:20]]
    return {**figures, "failed": failed}


def _on(server: str, statement: str) -> None:
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(statement)
    engine.dispose()
