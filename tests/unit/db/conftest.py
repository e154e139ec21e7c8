"""Databases of the kind that ``--database`` names; the same tests hold for both."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy
from db_samples import AT, NewUrl

from codabench.core.competition import CompetitionSpec
from codabench.db.database import Database


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kind" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--database")
        metafunc.parametrize("kind", ["postgres"] if chosen == "postgres" else ["memory", "file"])


@pytest.fixture
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewUrl]:
    """Makes URLs of new databases that outlive a `Database`."""
    if request.config.getoption("--database") == "postgres":
        yield from _schemas(request.getfixturevalue("postgres"))
    else:
        yield lambda: f"sqlite:///{tmp_path / uuid.uuid4().hex}.db"


def _schemas(server: str) -> Iterator[NewUrl]:
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    made: list[str] = []

    def new() -> str:
        made.append(f"test_{uuid.uuid4().hex}")
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {made[-1]}")
        return f"{server}?options=-csearch_path%3D{made[-1]}"

    yield new
    with engine.connect() as connection:
        for name in made:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {name}_revision_0001 CASCADE")
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@pytest.fixture
def db(kind: str, new_url: NewUrl) -> Iterator[Database]:
    """An open database with a competition ``c``."""
    made = Database("sqlite://" if kind == "memory" else new_url())
    made.add_competition("c", CompetitionSpec(title="C"), source="there", at=AT)
    yield made
    made.close()
