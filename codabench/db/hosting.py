"""Competitions on a site: what it knows of them beside their specification, and the lists they are found in."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, cast, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from codabench.core.base import Record
from codabench.core.errors import NotFound
from codabench.core.hosting import Dataset, Hosted, Listed, SharedTask
from codabench.core.people import ParticipationStatus
from codabench.db.connection import Connected
from codabench.db.resources import insert_dataset
from codabench.db.shared_tasks import task_row
from codabench.db.site_tables import COLLABORATOR, HOSTED, PARTICIPATION, TASK
from codabench.db.tables import COMPETITION, SUBMISSION

_APPROVED = ParticipationStatus.APPROVED.value


class Wanted(Record):
    """Which competitions a list shows; everything that is said has to hold.

    Attributes
    ----------
    ids
        One of these.
    visible_to
        Published, or this account organizes it or was let in; 0: published ones only, None: all.
    with_key
        Also the one with this secret key, whoever may see it.
    organized_by, taken_part_in_by
        By this account, also as a collaborator; who was let in.
    title, text
        A part of the title; of the title or the description.
    order
        ``popular``: most participants first; ``busy``: most submissions first.
    """

    ids: tuple[str, ...] | None = None
    visible_to: int | None = None
    with_key: str | None = None
    organized_by: int | None = None
    taken_part_in_by: int | None = None
    published: bool | None = None
    featured: bool | None = None
    competition_type: Literal["competition", "benchmark"] | None = None
    with_reward: bool = False
    title: str | None = None
    text: str | None = None
    order: Literal["oldest", "recent", "popular", "busy"] = "oldest"


class Hosting(Connected):
    """Competitions that somebody hosts."""

    def host(self, hosted: Hosted, datasets: Sequence[Dataset] = (), tasks: Sequence[SharedTask] = ()) -> None:
        """Have a competition of the workspace be somebody's, with the data sets and tasks that came with it.

        Asked again for the same competition, it changes nothing.
        """
        row = {name: getattr(hosted, name) for name in _PLAIN} | _stored(hosted.whitelist, hosted.report)
        with self._change() as db:
            new = self._insert(HOSTED).values(**row).on_conflict_do_nothing().returning(HOSTED.c.competition)
            if db.execute(new).first() is None:
                return
            for dataset in datasets:
                insert_dataset(db, dataset)
            if tasks:
                db.execute(self._insert(TASK), [task_row(task) for task in tasks])
            self._let_in(db, hosted.competition, [hosted.owner], hosted.created_at)
            self._collaborate(db, hosted.competition, hosted.collaborators, hosted.created_at)

    def hosted(self, competition: str) -> Hosted:
        """What is known of a competition; `NotFound` if there is none, or it was deleted."""
        found = self.hosted_many([competition])
        if not found:
            raise NotFound(f"no competition {competition!r} is hosted here")
        return found[competition]

    def hosted_many(self, competitions: Iterable[str]) -> dict[str, Hosted]:
        """The same of several at once; those that are not there are left out."""
        wanted = list(competitions)
        with self._read() as db:
            rows = db.execute(select(HOSTED).join(COMPETITION).where(_LIVE, HOSTED.c.competition.in_(wanted))).all()
            return _hosted_from(db, rows)

    def change_hosted(self, competition: str, **changes: Any) -> None:
        """Change ``published``, ``allow_robots``, ``is_featured``, ``whitelist`` or ``report``."""
        values = {name: value for name, value in changes.items() if name not in ("whitelist", "report")}
        with self._change() as db:
            mine = HOSTED.c.competition == competition
            row = db.execute(select(HOSTED).where(mine).with_for_update()).first()
            if row is None:
                raise NotFound(f"no competition {competition!r} is hosted here")
            whitelist = changes.get("whitelist", json.loads(row.whitelist))
            values |= _stored(whitelist, changes.get("report", json.loads(row.settings).get("report")))
            db.execute(update(HOSTED).where(mine).values(**values))

    def set_collaborators(self, competition: str, accounts: Collection[int], *, at: datetime) -> None:
        """Have these accounts organize a competition with its creator, and no others. They take part in it, too."""
        with self._change() as db:
            db.execute(delete(COLLABORATOR).where(COLLABORATOR.c.competition == competition))
            self._collaborate(db, competition, accounts, at)

    def _collaborate(self, db: Connection, competition: str, accounts: Collection[int], at: datetime) -> None:
        if accounts:
            rows = [{"competition": competition, "account": account} for account in sorted(accounts)]
            db.execute(self._insert(COLLABORATOR), rows)
            self._let_in(db, competition, sorted(accounts), at)

    def _let_in(self, db: Connection, competition: str, accounts: Sequence[int], at: datetime) -> None:
        for account in accounts:
            new = {"competition": competition, "account": account, "status": _APPROVED, "created_at": at}
            known = [PARTICIPATION.c.competition, PARTICIPATION.c.account]
            insert = self._insert(PARTICIPATION).values(**new, decided_at=at)
            values = {"status": _APPROVED, "decided_at": at}
            db.execute(insert.on_conflict_do_update(index_elements=known, set_=values))

    # ------------------------------------------------------------------ lists
    def listed(self, wanted: Wanted, *, offset: int = 0, limit: int | None = None) -> list[Listed]:
        """The competitions of a list, with what it shows of them."""
        participants, submissions = _participants(), _submissions()
        orders: dict[str, tuple[Any, ...]] = {
            "oldest": (),
            "recent": (HOSTED.c.created_at.desc(),),
            "popular": (HOSTED.c.is_featured.desc(), participants.desc()),
            "busy": (submissions.desc(),),
        }
        counts = (participants.label("participants"), submissions.label("submissions"))
        query = select(HOSTED, COMPETITION.c.title, COMPETITION.c.spec, *counts).join(COMPETITION)
        order = (*orders[wanted.order], HOSTED.c.created_at, HOSTED.c.competition)
        query = query.where(_LIVE, *self._conditions(wanted)).order_by(*order).offset(offset).limit(limit)
        with self._read() as db:
            rows = db.execute(query).all()
            known = _hosted_from(db, rows)
        return [_listed(known[row.competition], row) for row in rows]

    def count_listed(self, wanted: Wanted) -> int:
        """How many competitions a list has."""
        query = select(func.count()).select_from(HOSTED).join(COMPETITION).where(_LIVE, *self._conditions(wanted))
        with self._read() as db:
            return int(db.execute(query).scalar_one())

    def count_submissions(self) -> int:
        """How many submissions there are in all, but those that were deleted for good."""
        with self._read() as db:
            return int(db.execute(select(func.count()).select_from(SUBMISSION).where(_COUNTS)).scalar_one())

    def _conditions(self, wanted: Wanted) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = []
        if wanted.ids is not None:
            found.append(HOSTED.c.competition.in_(wanted.ids))
        if wanted.visible_to is not None:
            theirs = or_(_organized_by(wanted.visible_to), _taken_part_in_by(wanted.visible_to))
            found.append(or_(HOSTED.c.published, theirs, HOSTED.c.secret_key == (wanted.with_key or "")))
        if wanted.organized_by is not None:
            found.append(_organized_by(wanted.organized_by))
        if wanted.taken_part_in_by is not None:
            found.append(_taken_part_in_by(wanted.taken_part_in_by))
        if wanted.published is not None:
            found.append(HOSTED.c.published.is_(wanted.published))
        if wanted.featured is not None:
            found.append(HOSTED.c.is_featured.is_(wanted.featured))
        if wanted.competition_type is not None:
            found.append(self._said("competition_type") == wanted.competition_type)
        if wanted.with_reward:
            found.append(func.coalesce(self._said("reward"), "") != "")
        if wanted.title is not None:
            found.append(_contains(COMPETITION.c.title, wanted.title))
        if wanted.text is not None:
            described = _contains(self._said("description"), wanted.text)
            found.append(or_(_contains(COMPETITION.c.title, wanted.text), described))
        return found

    def _said(self, field: str) -> Any:
        """A text of the specification, as SQL."""
        if self.is_sqlite:
            return func.json_extract(COMPETITION.c.spec, f"$.{field}")
        return cast(COMPETITION.c.spec, JSONB)[field].astext


_PLAIN = ("competition", "owner", "published", "secret_key", "allow_robots", "is_featured", "created_at")
_LIVE = COMPETITION.c.deleted_at.is_(None)
_COUNTS = or_(SUBMISSION.c.deletion.is_(None), SUBMISSION.c.deletion != "hard")


def _contains(column: Any, text: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = func.lower(column).contains(text.lower(), autoescape=True)
    return found


def _organized_by(account: int) -> ColumnElement[bool]:
    helps = and_(COLLABORATOR.c.competition == HOSTED.c.competition, COLLABORATOR.c.account == account)
    return or_(HOSTED.c.owner == account, exists().where(helps))


def _taken_part_in_by(account: int) -> ColumnElement[bool]:
    mine = and_(PARTICIPATION.c.competition == HOSTED.c.competition, PARTICIPATION.c.account == account)
    return exists().where(mine, PARTICIPATION.c.status == _APPROVED)


def _participants() -> Any:
    many = select(func.count()).select_from(PARTICIPATION).where(PARTICIPATION.c.status == _APPROVED)
    return many.where(PARTICIPATION.c.competition == HOSTED.c.competition).scalar_subquery()


def _submissions() -> Any:
    many = select(func.count()).select_from(SUBMISSION).where(_COUNTS)
    return many.where(SUBMISSION.c.competition == HOSTED.c.competition).scalar_subquery()


# ---------------------------------------------------------------------- records and rows
def _stored(whitelist: Iterable[str], report: str | None) -> dict[str, str]:
    return {"whitelist": json.dumps(list(whitelist)), "settings": json.dumps({"report": report})}


def _hosted_from(db: Connection, rows: Sequence[Any]) -> dict[str, Hosted]:
    known = [row.competition for row in rows]
    helpers: dict[str, set[int]] = {}
    for row in db.execute(select(COLLABORATOR).where(COLLABORATOR.c.competition.in_(known))):
        helpers.setdefault(row.competition, set()).add(row.account)
    return {
        row.competition: Hosted(
            **{name: getattr(row, name) for name in _PLAIN},
            whitelist=json.loads(row.whitelist),
            report=json.loads(row.settings).get("report"),
            collaborators=frozenset(helpers.get(row.competition, ())),
        )
        for row in rows
    }


def _listed(hosted: Hosted, row: Any) -> Listed:
    spec = json.loads(row.spec)
    shown = ("title", "description", "competition_type", "reward", "contact_email", "image")
    fields = {name: spec[name] for name in shown if name in spec}
    return Listed(hosted=hosted, **fields, participants=row.participants, submissions=row.submissions)
