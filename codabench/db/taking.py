"""Who is next: the fair order of runs that wait, and taking them. Any number of dispatchers take at the same time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from sqlalchemy import Connection, Integer, Select, bindparam, func, or_, select, tuple_, update

from codabench.core.records import Attempt, Run, Status
from codabench.db.connection import Found
from codabench.db.convert import run_from
from codabench.db.runs import Runs
from codabench.db.tables import RUN, SLOT

LIVE = RUN.c.status.in_([Status.PREPARING.value, Status.RUNNING.value, Status.SCORING.value])
GROUPS = 16
"""How many groups of runs are asked for: so many are taken at once at most, and so many are tried if others hold the
oldest runs of the first ones."""
_GROUP = ("priority", "scoring_only", "competition", "participant")
_SERVED = (
    update(SLOT)
    .where(SLOT.c.competition == bindparam("whose"), SLOT.c.participant == bindparam("who"))
    .values(served_at=bindparam("at"))
)
_NEVER, _LAST = datetime.min.replace(tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)


class Room(NamedTuple):
    """How many more runs with this value of `Run.backend` may be taken."""

    backend: Any
    runs: int


class Taking(Runs):
    """The queue as those see it who carry out runs."""

    def take_runs(
        self,
        holder: str,
        attempts: Sequence[tuple[str, str]],
        *,
        now: datetime,
        seconds: float,
        rooms: Collection[Room] = (),
    ) -> list[tuple[Run, Attempt]]:
        """Take the next runs that wait and begin an attempt at each: one transaction. Empty: nothing for this holder.

        The order is fair: larger priorities first, then those that only need scoring; among them the participant with
        the fewest runs under way, who was served longest ago; of that participant the competition that was served
        longest ago; there the oldest run. Two who take at the same time get different runs.

        Parameters
        ----------
        holder
            Who takes them; a run that is pinned to another one is left alone.
        attempts
            Id and token of each attempt: so many runs are taken at most.
        seconds
            How long nobody else takes them, unless `heartbeat` is called before that.
        rooms
            For what there is no room is left alone. A run of a backend that is not named here is the last one.
        """
        left = {_word(room.backend): room.runs for room in rooms}
        groups, oldest = _questions(tuple(sorted((word for word, runs in left.items() if not runs), key=str)))
        who = {"holder": holder, "now": now}
        with self._change() as db:
            found = db.execute(groups, who).all()
            turns = in_turn(found, len(attempts))
            chosen = self._chosen(db, oldest, who, turns) or self._any(db, oldest, who, found)
            rows = _with_room(chosen, left)
            begun = [(row, *named) for row, named in zip(rows, attempts, strict=False)]
            if not begun:
                return []
            made = self._start(db, begun, now, holder, seconds)
            # One after the other, also for whoever asks next; in the order of their keys, as all who change several.
            served = {(row.competition, row.participant): now + n * _MOMENT for n, row in enumerate(rows)}
            db.execute(_SERVED, [{"whose": c, "who": p, "at": at} for (c, p), at in sorted(served.items())])
        return [(_begun(row, attempt), attempt) for (row, *_), attempt in zip(begun, made, strict=True)]

    @staticmethod
    def _chosen(db: Connection, oldest: Select[Any], who: dict[str, Any], turns: Sequence[Found]) -> list[Found]:
        """The runs of these turns: of each group as many of the oldest as it has turns."""
        each = {
            turn: iter(db.execute(oldest, {**who, **_key(turn), "many": many}).all())
            for turn, many in Counter(turns).items()
        }
        return [row for turn in turns if (row := next(each[turn], None)) is not None]

    @staticmethod
    def _any(db: Connection, oldest: Select[Any], who: dict[str, Any], groups: Sequence[Found]) -> list[Found]:
        """A run of the first group of which others do not hold all."""
        for group in groups:
            if row := db.execute(oldest, {**who, **_key(group), "many": 1}).first():
                return [row]
        return []


def in_turn(groups: Sequence[Any], many: int) -> list[Any]:
    """Which groups are next, so many times in all, as if runs were taken one at a time. Pure.

    Parameters
    ----------
    groups
        The first `GROUPS` ones, in their order: with the number of runs of their participant that are under way
        (`under_way`), when that one was served last (`person_served_at`), also here (`served_at`), and since when
        their oldest run waits (`oldest`).
    """
    busy = {group.participant: group.under_way for group in groups}
    persons: dict[str, datetime] = {group.participant: group.person_served_at or _NEVER for group in groups}
    slots = {(group.competition, group.participant): group.served_at or _NEVER for group in groups}

    def place(group: Any) -> tuple[Any, ...]:
        where, who = group.competition, group.participant
        urgency = (-group.priority, not group.scoring_only)
        return (*urgency, busy[who], persons[who], slots[where, who], group.oldest, where)

    # What is behind the last one is not known: nobody is taken instead of it.
    end = place(groups[-1]) if len(groups) == GROUPS else None
    found: list[Any] = []
    while groups and len(found) < many:
        first = min(groups, key=place)
        if end is not None and place(first) > end:
            break
        found.append(first)
        where, who = first.competition, first.participant
        busy[who] += 1
        persons[who] = slots[where, who] = _LAST + len(found) * _MOMENT
    return found


def _with_room(rows: Sequence[Found], left: dict[str | None, int]) -> list[Found]:
    """The first of these for which there is room."""
    found: list[Found] = []
    for row in rows:
        if row.backend in left and not left[row.backend]:
            break
        found.append(row)
        if row.backend not in left:
            break
        left[row.backend] -= 1
    return found


def _begun(row: Found, attempt: Attempt) -> Run:
    begun = {"status": Status.PREPARING, "sequence": row.last_event + 1, "attempt": attempt.id}
    return run_from(row).model_copy(update=begun)


def _key(group: Found) -> Mapping[str, Any]:
    return {name: getattr(group, name) for name in _GROUP}


def _word(backend: Any) -> str | None:
    """A value of `Run.backend` as the rows have it."""
    return None if backend is None else json.dumps(backend)


def words(backends: Collection[Any]) -> tuple[str | None, ...]:
    """Values of `Run.backend` as the rows have them."""
    return tuple(sorted({_word(backend) for backend in backends}, key=str))


# ---------------------------------------------------------------------- questions
def takeable(run: Any = RUN.c, but_not: tuple[str | None, ...] = (), *, at_once: bool = True) -> Any:
    """What the holder ``:holder`` may take, at ``:now`` or ever."""
    mine = or_(run.pinned.is_(None), run.pinned == bindparam("holder"))
    found = (run.status == Status.SUBMITTED.value) & mine & run.cancel_reason.is_(None)
    if at_once:
        found &= or_(run.not_before.is_(None), run.not_before <= bindparam("now"))
    if None in but_not:
        found &= run.backend.is_not(None)
    named = [word for word in but_not if word is not None]
    if named:
        found &= or_(run.backend.is_(None), run.backend.not_in(named))
    return found


@lru_cache(64)
def _questions(but_not: tuple[str | None, ...]) -> tuple[Select[Any], Select[Any]]:
    """The groups of runs that wait, and the oldest of a group: putting these together costs more than asking them."""
    oldest = (
        select(RUN)
        .where(takeable(RUN.c, but_not), *(RUN.c[name] == bindparam(name) for name in _GROUP))
        .order_by(RUN.c.created_at, RUN.c.position, RUN.c.id)
        .limit(bindparam("many", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    return _next_groups(but_not), oldest


def _next_groups(but_not: tuple[str | None, ...]) -> Select[Any]:
    """The groups of runs that wait, by what decides who is next: the first group is."""
    group = _groups(but_not)
    under_way = (
        select(RUN.c.participant, func.count().label("runs")).where(LIVE).group_by(RUN.c.participant).subquery("busy")
    )
    waits = select(group.c.participant)
    person = (
        select(SLOT.c.participant, func.max(SLOT.c.served_at).label("served_at"))
        .where(SLOT.c.participant.in_(waits))
        .group_by(SLOT.c.participant)
        .subquery("person")
    )
    here = (SLOT.c.competition == group.c.competition) & (SLOT.c.participant == group.c.participant)
    busy = func.coalesce(under_way.c.runs, 0)
    served = person.c.served_at.label("person_served_at")
    return (
        select(*(group.c[name] for name in _GROUP), group.c.created_at.label("oldest"), busy.label("under_way"))
        .add_columns(served, SLOT.c.served_at)
        .outerjoin(under_way, under_way.c.participant == group.c.participant)
        .outerjoin(person, person.c.participant == group.c.participant)
        .outerjoin(SLOT, here)
        .order_by(
            group.c.priority.desc(),
            group.c.scoring_only.desc(),
            busy,
            person.c.served_at.nulls_first(),
            SLOT.c.served_at.nulls_first(),
            group.c.created_at,
            group.c.competition,
        )
        .limit(GROUPS)
    )


def _groups(but_not: tuple[str | None, ...]) -> Any:
    """Each group of runs that wait, with its oldest: the index is asked for the first one, then for the one after it,
    and so on, because one participant may have many thousand runs there."""

    def columns(run: Any) -> list[Any]:
        return [run[name] for name in (*_GROUP, "created_at")]

    first = select(*columns(RUN.c)).where(takeable(RUN.c, but_not)).order_by(*columns(RUN.c)).limit(1).subquery()
    group = select(first).cte("waiting", recursive=True)
    later, run = RUN.alias("later"), RUN.alias("next")
    # SQLite takes all of the index only where what is compared with texts is no column: these are of a query.
    place = (group.c.priority, group.c.scoring_only, group.c.competition.concat(""), group.c.participant.concat(""))
    behind = tuple_(*(later.c[name] for name in _GROUP)) > tuple_(*place)
    following = (
        select(later.c.id)
        .where(takeable(later.c, but_not), behind)
        .order_by(*columns(later.c))
        .limit(1)
        .correlate(group)
        .scalar_subquery()
    )
    return group.union_all(select(*columns(run.c)).select_from(group.join(run, run.c.id == following)))
