"""A site for each test, in a database of the kind that ``--database`` names."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy
from site_lab import Clock, close_site, make_site

from codabench.site.site import Site


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """An empty database; None: in memory."""
    if request.config.getoption("--database") != "postgres":
        yield None
        return
    server, name = request.getfixturevalue("postgres"), f"test_{uuid.uuid4().hex}"
    engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    yield f"{server}?options=-csearch_path%3D{name}"
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")
    engine.dispose()


@pytest.fixture
def site(clock: Clock, database: str | None) -> Iterator[Site]:
    made = make_site(clock, database)
    yield made
    close_site(made)
