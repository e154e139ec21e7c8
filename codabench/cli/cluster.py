"""``codabench certs``, ``scheduler`` and ``worker``: a Dask cluster of one's own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.output import MACHINE, handled, print_json, say, tell
from codabench.cli.workspaces import DB, WORKSPACE, opened

if TYPE_CHECKING:
    from codabench.backends.dask.security import TLS
    from codabench.backends.dask.serving import Listening

HOST = typer.Option("127.0.0.1", "--host", help="The address or interface to listen on, and on no other.")
CERTS = typer.Option(None, "--certs", metavar="DIR", help="Certificates (codabench certs); needed beyond loopback.")


@handled
def certs(
    directory: Path = typer.Argument(metavar="DIR", help="Where they are written."),
    host: list[str] = typer.Option(None, "--host", help="A name or address in the certificate. Repeatable."),
    days: int = typer.Option(825, "--days", min=1, help="How long it is good for."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Make certificates for a cluster: an authority of its own, and a certificate for its machines.

    Copy ca.pem, cert.pem and key.pem to every machine. Whoever has them may run code on every worker.
    """
    from codabench.backends.dask.certs import make_certificates

    made = make_certificates(directory, host or (), days=days)
    if as_json:
        print_json({"ok": True, "files": [str(path) for path in made]})
    else:
        for path in made:
            say(str(path))
        tell("copy ca.pem, cert.pem and key.pem to every machine of the cluster; ca-key.pem stays here")


@handled
def scheduler(
    host: str = HOST,
    port: int = typer.Option(8786, "--port", min=0, max=65535, help="0: any that is free."),
    certs: Path = CERTS,
    dashboard: bool = typer.Option(False, "--dashboard", help="Serve Dask's dashboard, on loopback."),
) -> None:
    """Be the scheduler of a Dask cluster. Ctrl-C ends it."""
    from codabench.backends.dask.serving import serve_scheduler

    where = _listening(host, port, certs)

    async def work(stop: asyncio.Event, now: asyncio.Event) -> None:
        await serve_scheduler(where, stop, tell, dashboard=dashboard)

    _until_stopped(work)


@handled
def worker(
    address: str = typer.Argument(metavar="SCHEDULER", help="tls://host:8786, or tcp:// on this machine."),
    engine: str = typer.Option("auto", "--engine", "-e", help="docker, podman, sandbox, process; auto: what answers."),
    slots: int = typer.Option(1, "--slots", "-s", min=1, help="Runs at the same time."),
    gpus: int = typer.Option(0, "--gpus", min=0, help="Runs with a GPU at the same time."),
    memory: str = typer.Option(None, "--memory", help="What a program gets at most: 512m, 4 GiB."),
    cpus: float = typer.Option(None, "--cpus", help="What a program gets at most; may be a fraction."),
    network: str = typer.Option("none", "--network", help="What programs get at most: none, proxy or open."),
    data: list[str] = typer.Option(None, "--data", metavar="NAME=DIR", help="A directory for programs; repeatable."),
    host: str = HOST,
    certs: Path = CERTS,
    name: str = typer.Option(None, "--name", help="What it is called; default: its address."),
    scratch: Path = typer.Option(
        None, "--scratch", help="Directory for run directories and caches; default: temporary."
    ),
    cache_bytes: str = typer.Option("50 GiB", "--cache-bytes", help="What it keeps of data: 20 GiB, 0."),
    image_bytes: str = typer.Option("100 GiB", "--image-bytes", help="What it keeps of images that it has pulled."),
) -> None:
    """Be a worker of a Dask cluster: run what it is given with the container engine of this machine.

    Ctrl-C or SIGTERM: take nothing new and finish what is under way; once more: stop that, too. A scheduler that is
    away is waited for. What was not used for longest goes when caches are full; what a run uses stays.
    """
    from codabench.backends.dask.serving import Offer, serve_worker
    from codabench.backends.dask.site import Site
    from codabench.backends.local_data import LocalData
    from codabench.core.policy import UNBOUNDED
    from codabench.workspace.settings import cache_cap, tailored

    where, offer = _listening(host, 0, certs), Offer(name=name, slots=slots, gpus=gpus)
    ceiling = tailored(UNBOUNDED, memory=memory, cpus=cpus, network=network, gpus="all" if gpus else 0)
    offered = LocalData(_pairs(data or []))
    bounds = {"cache_bytes": cache_cap(cache_bytes), "image_bytes": cache_cap(image_bytes)}
    with _place(scratch) as place:
        site = Site(place / "site", engine=engine, ceiling=ceiling, local_data=offered, **bounds)

        async def work(stop: asyncio.Event, now: asyncio.Event) -> None:
            await serve_worker(address, where, offer, site, stop, tell, scratch=place / "dask", now=now)

        _until_stopped(work)


@handled
def preflight(
    backend: str = typer.Option(..., "--backend", "-b", help="The cluster: dask://host:8786?engine=podman."),
    image: str = typer.Option(None, "--image", help="An image that has to be on every worker."),
    pull: str = typer.Option("never", "--pull", help="missing: have it pulled where it is not."),
    timeout: float = typer.Option(60.0, "--timeout", min=1, help="Seconds to wait for workers that are busy."),
    workspace: str = WORKSPACE,
    db: str = DB,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Look at every worker of a cluster: engine, image, storage of the workspace, clock, versions.

    Exit code 0: all can carry out runs. 3: one cannot.
    """
    with opened(workspace, db, backend=backend, dispatch=False) as ws:
        found = ws.preflight(image=image, pull=pull, timeout=timeout)
    if as_json:
        print_json(found.to_dict())
    else:
        say(str(found))
    if not found.ok:
        raise typer.Exit(MACHINE)


def _until_stopped(work: Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run until the first signal asks for an end and the second one for an end at once."""

    import distributed  # noqa: F401 - it sets up its loggers

    # It tells of every connection; what matters is told here.
    logging.getLogger("distributed").setLevel(logging.WARNING)

    async def main() -> None:
        stop, now = asyncio.Event(), asyncio.Event()

        def asked() -> None:
            (now if stop.is_set() else stop).set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, asked)
        await work(stop, now)

    asyncio.run(main())


def _listening(host: str, port: int, directory: Path | None) -> Listening:
    from codabench.backends.dask.security import TLS
    from codabench.backends.dask.serving import Listening

    found: TLS | None = TLS.of(directory) if directory else None
    return Listening(host=host, port=port, certs=found)


@contextlib.contextmanager
def _place(scratch: Path | None) -> Iterator[Path]:
    """The directory of a worker, which no other one uses; what a worker that was killed has left in it is gone."""
    import tempfile

    from codabench.core.errors import UsageError
    from codabench.storage.locks import FileLock
    from codabench.storage.sources import remove_tree

    place = (scratch or Path(tempfile.mkdtemp(prefix="codabench-worker-"))).absolute()
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / "lock")
    if not lock.acquire(wait=False):
        hint = "a directory of its own for each: --scratch DIR"
        raise UsageError(f"another worker works in {place}", code="CB353", hint=hint)
    for left in (place / "site" / "runs", place / "tmp"):
        with contextlib.suppress(OSError):  # a container that is left may write until it is reaped
            remove_tree(left)
    (place / "tmp").mkdir(exist_ok=True)
    usual = tempfile.tempdir
    tempfile.tempdir = str(place / "tmp")  # an engine that sees run directories sees temporary files, too
    try:
        yield place
    finally:
        tempfile.tempdir = usual
        lock.release()
        if scratch is None:
            remove_tree(place)


def _pairs(options: list[str]) -> dict[str, str]:
    from codabench.core.errors import UsageError

    found = {}
    for option in options:
        name, _, directory = option.partition("=")
        if not name or not directory:
            raise UsageError(f"--data {option!r} is no NAME=DIR", code="CB353")
        found[name] = directory
    return found
