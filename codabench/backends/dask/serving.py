"""One's own cluster: a scheduler and workers as processes that listen where they are told and nowhere else."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codabench.backends.dask.security import TLS, is_loopback
from codabench.backends.dask.site import Site
from codabench.backends.dask.wire import CARD
from codabench.core.base import Record
from codabench.core.errors import EngineUnavailable, MissingExtra, UsageError

log = logging.getLogger("codabench.backends")

LOOPBACK = "127.0.0.1:0"
"""Where the HTTP servers of Dask listen, which have neither encryption nor passwords."""

RETRY_SECONDS = 2.0
CONNECT_SECONDS = 10
TTL = "30 s"
"""After which a scheduler gives up a worker that it does not hear of."""

SETTINGS = {
    # What killed its worker is not tried on the next one unasked: the dispatcher counts attempts.
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-ttl": TTL,
    "distributed.worker.daemon": False,
    "distributed.comm.retry.count": 2,
    "distributed.admin.low-level-log-length": 1000,
}

Say = Callable[[str], None]


class Listening(Record):
    """Where a scheduler or worker listens.

    Attributes
    ----------
    host
        An address of this machine, or the name of an interface.
    certs
        None: without encryption, on loopback only.
    """

    host: str = "127.0.0.1"
    port: int = 0
    certs: TLS | None = None

    def arguments(self) -> dict[str, Any]:
        """As Dask wants it.

        Raises
        ------
        UsageError
            ``CB656``: it would be reached from elsewhere without encryption.
        """
        by_name = not _is_address(self.host)
        if self.certs is None and (by_name or not is_loopback(f"tcp://{self.host}")):
            hint = "codabench certs DIR, then --certs DIR on every machine"
            raise UsageError(f"nothing listens on {self.host} without encryption", code="CB656", hint=hint)
        where = {"interface": self.host} if by_name else {"host": self.host}
        scheme = "tls" if self.certs else "tcp"
        found: dict[str, Any] = {"protocol": scheme, "port": self.port, "dashboard_address": LOOPBACK, **where}
        if self.certs:
            found["security"] = self.certs.security()
        return found


class Offer(Record):
    """What a worker offers.

    Attributes
    ----------
    slots
        Runs at the same time.
    gpus
        How many of them it hands out, one to each run that asks.
    """

    name: str | None = None
    slots: int = 1
    gpus: int = 0

    def resources(self) -> dict[str, float]:
        return {"slots": float(self.slots)} | ({"GPU": float(self.gpus)} if self.gpus else {})


async def serve_scheduler(
    where: Listening, stop: asyncio.Event, say: Say, *, dashboard: bool = False, ready: Say | None = None
) -> None:
    """Be the scheduler of a cluster until `stop` is set.

    Parameters
    ----------
    dashboard
        Serve Dask's dashboard, on loopback.
    ready
        Called with the address once it listens.

    Raises
    ------
    UsageError
        ``CB656``: without certificates on an address that others reach.
    MissingExtra
        The dashboard needs Bokeh, which is not installed.
    EngineUnavailable
        ``CB659``: it cannot listen there.
    """
    import dask
    from distributed import Scheduler

    if dashboard and importlib.util.find_spec("bokeh") is None:
        raise MissingExtra("the dashboard of Dask needs Bokeh", hint="pip install 'bokeh>=3.1'")
    arguments = where.arguments()
    with dask.config.set(SETTINGS):
        try:
            scheduler = await Scheduler(dashboard=dashboard, **arguments)
        except (OSError, ValueError, RuntimeError) as error:
            why = error.__cause__ or error  # Dask wraps it
            raise EngineUnavailable(f"nothing can listen on {where.host}:{where.port}: {why}", code="CB659") from error
        say(f"scheduler at {scheduler.address}")
        if dashboard:
            say(f"dashboard at http://127.0.0.1:{scheduler.http_server.port}/status")
        if ready is not None:
            ready(str(scheduler.address))
        await stop.wait()
        await scheduler.close()


async def serve_worker(
    scheduler: str,
    where: Listening,
    offer: Offer,
    site: Site,
    stop: asyncio.Event,
    say: Say,
    *,
    scratch: Path,
    now: asyncio.Event | None = None,
) -> None:
    """Be a worker of a cluster until `stop` is set; then finish what is under way, unless `now` is set, too.

    A scheduler that is not there, or away for a while, is waited for.

    Raises
    ------
    EngineError
        The container engine of this machine does not work.
    """
    import dask

    arguments = where.arguments()
    if where.certs is None and not is_loopback(scheduler):
        raise UsageError(f"{scheduler} would be reached without encryption", code="CB656", hint="--certs DIR")
    await asyncio.to_thread(site.probe)
    stopping, quiet = asyncio.ensure_future(stop.wait()), False
    with dask.config.set(SETTINGS):
        while not stop.is_set():
            worker = await _joined(scheduler, arguments, offer, site, scratch)
            if worker is None:
                if not quiet:
                    say(f"no scheduler answers at {scheduler}; it is asked again every {RETRY_SECONDS:g} s")
                quiet = True
                await asyncio.wait([stopping], timeout=RETRY_SECONDS)
                continue
            quiet = False
            site.attach(worker)
            say(f"worker {worker.name} at {worker.address}: {offer.slots} slots, {offer.gpus} GPUs")
            lost = asyncio.ensure_future(_lost(worker))
            await asyncio.wait([stopping, lost], return_when=asyncio.FIRST_COMPLETED)
            if stop.is_set():
                await _drained(worker, site, say, now or asyncio.Event())
            else:
                many = site.stop_all("the worker lost its scheduler")
                say(f"the scheduler is gone; {many} runs are stopped")
                await _idle(site)
                await worker.finished()
            lost.cancel()
    await asyncio.to_thread(site.close)


async def _joined(scheduler: str, arguments: dict[str, Any], offer: Offer, site: Site, scratch: Path) -> Any:
    from distributed import Worker

    try:
        return await Worker(
            scheduler,
            nthreads=offer.slots,
            name=offer.name,
            resources=offer.resources(),
            memory_limit=0,  # what needs memory is in containers, which have limits of their own
            local_directory=str(scratch),
            death_timeout=CONNECT_SECONDS,
            dashboard=False,
            startup_information={CARD: site.card},
            **arguments,
        )
    except (OSError, TimeoutError, RuntimeError) as error:
        log.info("no scheduler at %s: %s", scheduler, error)
        return None


async def _drained(worker: Any, site: Site, say: Say, now: asyncio.Event) -> None:
    """Take nothing new, finish what is under way."""
    from distributed.core import Status

    worker.status = Status.paused
    if site.busy:
        say(f"{site.busy} runs are under way; they are waited for, once more Ctrl-C stops them")
    while site.busy and not now.is_set():
        await asyncio.sleep(0.1)
    if site.stop_all("the worker is stopped"):
        await _idle(site)
    await asyncio.sleep(0.3)  # the last messages leave in batches
    await worker.close()


async def _lost(worker: Any) -> None:
    """Until a worker has lost its scheduler: it closes then, and would wait for half a minute for what it has."""
    from distributed.core import Status

    while worker.status in (Status.running, Status.paused):
        await asyncio.sleep(0.1)


async def _idle(site: Site) -> None:
    while site.busy:
        await asyncio.sleep(0.1)


def _is_address(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or "." in host
    return True
