"""`WorkspaceStatus`: who carries out what where, what waits and why. As an object, as text, in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from codabench.backends.backend import WorkerInfo
from codabench.core import markup
from codabench.core.base import Record
from codabench.core.grid import grid
from codabench.core.records import Status
from codabench.core.text import plural, printable, span

HOUR = 3600


class BackendNow(Record):
    """Where a dispatcher carries out runs.

    Attributes
    ----------
    name
        ``local``, ``dask``.
    engine
        Its word; of a cluster perhaps ``auto``: see `WorkerNow.engine`.
    address
        Of a cluster.
    dashboard
        Where its Dask dashboard answers, if it does.
    error
        Why it does not answer.
    """

    name: str
    engine: str = ""
    slots: int = 0
    address: str | None = None
    dashboard: str | None = None
    error: str | None = None

    @property
    def where(self) -> str:
        """For people: the address of a cluster, else its name."""
        return self.address or self.name


class WorkerNow(WorkerInfo):
    """A worker of a cluster.

    Attributes
    ----------
    running
        Runs that have begun a step there and are not over.
    ended
        Runs that were over there within the last hour, by status.
    present
        The cluster has it; otherwise it only was seen with runs of the last hour.
    """

    running: int = 0
    ended: dict[Status, int] = {}
    present: bool = True


class DispatcherNow(Record):
    """A process that drives runs of the workspace.

    Attributes
    ----------
    name
        ``host:pid``.
    state
        ``silent``: its lease is over, others take its runs. ``dead``: it certainly is, and they do so at once.
    here
        It is this process.
    expires_at
        When its lease is over, unless it is heard of before; None: it holds none.
    running
        Runs in its hands, also those that wait for a slot there.
    ended
        Its runs that were over within the last hour, by status.
    """

    name: str
    state: Literal["alive", "silent", "dead"]
    here: bool = False
    expires_at: datetime | None = None
    backends: tuple[BackendNow, ...] = ()
    running: int = 0
    ended: dict[Status, int] = {}


class RunNow(Record):
    """A run that is not over.

    Attributes
    ----------
    submission
        What it is called, with ``participant#number``.
    since
        When it came to that status, in UTC.
    why, next
        What it does or waits for, and what comes next.
    dispatcher, engine, worker
        Who drives it, in what it runs, and on which worker of a cluster; empty: not known yet.
    """

    id: str
    submission: str
    task: str
    status: Status
    since: datetime
    why: str
    next: str
    dispatcher: str = ""
    engine: str = ""
    worker: str = ""


class WorkspaceStatus(Record):
    """What goes on in a workspace, whichever processes take part.

    Attributes
    ----------
    at
        By the clock of the database.
    runs
        How many have each status.
    last_hour
        How many ended within the last hour, by status.
    cluster
        That of this process, looked at now; others are told of by their dispatchers.
    under_way, waiting
        The oldest ones; `runs` counts all.
    """

    url: str
    db: str
    at: datetime
    runs: dict[Status, int]
    last_hour: dict[Status, int]
    dispatchers: tuple[DispatcherNow, ...] = ()
    cluster: BackendNow | None = None
    workers: tuple[WorkerNow, ...] = ()
    under_way: tuple[RunNow, ...] = ()
    waiting: tuple[RunNow, ...] = ()

    @property
    def per_minute(self) -> float:
        """Runs that ended in a minute, within the last hour."""
        return sum(self.last_hour.values()) / 60

    @property
    def dashboards(self) -> tuple[str, ...]:
        """Dask dashboards that answer."""
        backends = [b for d in self.dispatchers for b in d.backends] + ([self.cluster] if self.cluster else [])
        links = dict.fromkeys(b.dashboard for b in backends if b.dashboard)
        return tuple(link for link in links if link.startswith(("http://", "https://")))

    def to_dict(self) -> dict[str, Any]:
        """As ``codabench status --json`` prints it."""
        more = {"per_minute": round(self.per_minute, 3), "dashboards": list(self.dashboards)}
        return {**self.model_dump(mode="json"), **more}

    def text(self, width: int | None = None) -> str:
        """For people, in so many columns; None: nothing is cut."""
        parts = ["\n".join([f"{printable(self.url)}  {self.at:%Y-%m-%d %H:%M:%S} UTC", *self._counts()])]
        for title, table in _tables(self):
            parts.append(f"{title}\n{table.text(width)}" if table.rows else title)
        links = [f"dashboard  {printable(link)}" for link in self.dashboards]
        return "\n\n".join([*parts, *(["\n".join(links)] if links else [])])

    def _counts(self) -> list[str]:
        ended = f"{_listed(self.last_hour)}  ({self.per_minute:.1f} a minute)" if self.last_hour else "none ended"
        return [f"runs       {_listed(self.runs) or 'none'}", f"last hour  {ended}"]

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = f"<h4>{markup.escape(markup.one_line(self.url))}</h4>"
        notes = [markup.note(line) for line in (f"{self.at:%Y-%m-%d %H:%M:%S} UTC", *self._counts())]
        tables = [table.html(title) if table.rows else markup.note(title) for title, table in _tables(self)]
        links = [f'<p>dashboard <a href="{(safe := markup.escape(u))}">{safe}</a></p>' for u in self.dashboards[:3]]
        return markup.block("status", head, *notes, *tables, *links)


class _Table:
    """Rows under heads, to be shown in one way or another."""

    def __init__(self, heads: str, rows: Iterable[Sequence[object]], *, numbers: str = "", elastic: str = "") -> None:
        self.heads, self.rows = heads.split(","), list(rows)
        self._numbers, self._elastic = numbers, elastic

    def text(self, width: int | None) -> str:
        return grid(self.heads, self.rows, right=self._numbers, elastic=self._elastic, width=width)

    def html(self, title: str) -> str:
        places = [n for n, head in enumerate(self.heads) if head in self._numbers.split(",")]
        cells = [
            [
                markup.number(str(c)) if n in places else markup.cell(str(c), most=60 if n == len(row) - 1 else 28)
                for n, c in enumerate(row)
            ]
            for row in self.rows[:_HTML_ROWS]
        ]
        left = len(self.rows) - len(cells)
        more = markup.note(f"… {plural(left, 'more row')}") if left > 0 else ""
        return markup.table(title, self.heads, cells, numbers=places) + more


_HTML_ROWS = 8
"""Of each table: with all of them the display stays small."""


def _tables(status: WorkspaceStatus) -> list[tuple[str, _Table]]:
    """What there is to show: a title, and its table; without rows the title says it all."""
    shown = [_dispatchers(status)]
    if status.workers or status.cluster:
        shown.append(_workers(status))
    going = [(s, many) for s, many in status.runs.items() if not s.is_final]
    waits = (Status.SUBMITTED, Status.SUBMITTING)
    lists = (
        ("under way", status.under_way, sum(many for s, many in going if s not in waits)),
        ("waiting", status.waiting, sum(many for s, many in going if s in waits)),
    )
    return [*shown, *((_title(word, runs, many), _runs(runs, status.at)) for word, runs, many in lists)]


def _title(word: str, runs: Sequence[RunNow], many: int) -> str:
    if not runs:
        return f"nothing is {word}"
    return f"{plural(many, 'run')} {word}" + (f", the {len(runs)} oldest" if many > len(runs) else "")


def _dispatchers(status: WorkspaceStatus) -> tuple[str, _Table]:
    rows: list[Sequence[object]] = []
    for each in status.dispatchers:
        left = (each.expires_at - status.at).total_seconds() if each.expires_at else 0
        state = f"{each.state}, lease {span(int(left))}" if each.state == "alive" else each.state
        first: Sequence[object] = (
            each.name + (" (this process)" if each.here else ""), state, each.running, sum(each.ended.values())
        )  # fmt: skip
        for backend in each.backends or (BackendNow(name=""),):
            rows.append((*first, backend.where, backend.error or backend.engine, backend.slots or ""))
            first = ("", "", "", "")
    many = sum(each.state == "alive" for each in status.dispatchers)
    drives = "no process drives" if not many else "1 process drives" if many == 1 else f"{many} processes drive"
    heads = "Process,State,Runs,Last hour,Backend,Engine,Slots"
    return f"{drives} this workspace", _Table(heads, rows, numbers="Runs,Last hour,Slots", elastic="Backend,Engine")


def _workers(status: WorkspaceStatus) -> tuple[str, _Table]:
    there = [each for each in status.workers if each.present]
    title = plural(len(there), "worker")
    if status.cluster is not None and status.cluster.error:
        title += f"; {printable(status.cluster.error)}"
    rows = [
        (
            each.name,
            each.engine if each.present else "gone",
            each.slots or "",
            each.gpus or "",
            each.running,
            sum(each.ended.values()),
            each.ended.get(Status.FAILED, 0) or "",
            each.version,
        )
        for each in status.workers
    ]
    heads = "Worker,Engine,Slots,GPUs,Runs,Last hour,Failed,Version"
    return title, _Table(heads, rows, numbers="Slots,GPUs,Runs,Last hour,Failed", elastic="Worker,Engine")


def _runs(runs: Iterable[RunNow], now: datetime) -> _Table:
    rows = [
        (
            each.id[:8],
            each.submission,
            each.task,
            each.status.value,
            span(max(0, int((now - each.since).total_seconds()))),
            " · ".join(filter(None, (each.dispatcher, each.worker, each.engine))),
            each.why,
        )
        for each in runs
    ]
    return _Table("Run,Submission,Task,Status,For,Where,Why", rows, elastic="Submission,Task,Where,Why")


def _listed(counts: Mapping[Status, int]) -> str:
    return "  ".join(f"{counts[status]} {status.value}" for status in Status if counts.get(status))
