"""What shells offer while a command is typed: what is in the workspace. Quick; where anything is wrong, nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from codabench.core.competition import CompetitionSpec
    from codabench.db.database import Database

Offer = tuple[str, str]
"""A word, and what shells that can show it say of it."""


def complete_competition(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Their ids."""
    return _offered(ctx, incomplete, _competitions)


def complete_submission(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """``participant#number`` of the newest submissions."""
    return _offered(ctx, incomplete, _submissions)


def complete_run(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Ids of the newest runs, and submissions."""
    return _offered(ctx, incomplete, lambda db, ctx: [*_submissions(db, ctx), *_runs(db, ctx)])


def complete_phase(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Indexes of the phases of the competition that stands on the line."""
    return _offered(ctx, incomplete, lambda db, ctx: [(str(p.index), p.name) for p in _spec(db, ctx).phases])


def complete_task(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Indexes of its tasks."""
    return _offered(ctx, incomplete, lambda db, ctx: [(str(t.index), t.name) for t in _spec(db, ctx).tasks])


def complete_board(ctx: typer.Context, incomplete: str) -> list[Offer]:
    """Keys of its leaderboards."""
    return _offered(ctx, incomplete, lambda db, ctx: [(b.key, b.title) for b in _spec(db, ctx).leaderboards])


def _offered(ctx: typer.Context, incomplete: str, of: Callable[[Database, Any], list[Offer]]) -> list[Offer]:
    from codabench.core.text import printable

    try:
        with _database(ctx) as db:
            found = of(db, ctx) if db is not None else []
    except Exception:  # noqa: BLE001 - the outermost frame of a program that may print nothing but offers
        return []
    # A word with a blank in it would be several.
    return [
        (word, printable(said).replace("\n", " "))
        for word, said in found
        if not set(word) & set(" \t\n'\"\\") and word.startswith(incomplete)
    ]


@contextmanager
def _database(ctx: typer.Context) -> Iterator[Database | None]:
    """The database of the workspace that the line names, unless it is not there or would be changed by being opened."""
    from codabench.cli.workspaces import meant
    from codabench.db.database import Database
    from codabench.db.schema import look
    from codabench.db.tables import HEAD

    _, url = meant(ctx.params.get("workspace"), ctx.params.get("db"))
    if look(url) != HEAD:
        yield None
        return
    db = Database(url)
    try:
        yield db
    finally:
        db.close()


def _competitions(db: Database, ctx: typer.Context) -> list[Offer]:
    from codabench.workspace.finding import short

    return [(short(id), title) for id, title in db.competitions()]


def _submissions(db: Database, ctx: typer.Context) -> list[Offer]:
    return [(f"{each.participant}#{each.number}", each.name) for each in db.newest_submissions(_MOST)]


def _runs(db: Database, ctx: typer.Context) -> list[Offer]:
    from codabench.workspace.finding import short

    return [(short(each.id), each.status.value) for each in db.newest_runs(_MOST)]


_MOST = 50
"""Offers, so that it is quick also where there are thousands."""


def _spec(db: Database, ctx: typer.Context) -> CompetitionSpec:
    """The competition that stands on the line."""
    # Behind an option that lacks its value, which is being typed, arguments were not looked at yet.
    wanted = str(ctx.params["competition"] or ctx.args[0])
    (id,) = [id for id, title in db.competitions() if id.startswith(wanted) or title == wanted]
    return db.competition(id)
