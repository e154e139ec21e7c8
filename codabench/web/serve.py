"""A process that serves a site: requests, runs, and what is due by the clock, until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from codabench.core.errors import EngineError, StorageError, UsageError
from codabench.site.site import Site
from codabench.web.app import create_app
from codabench.web.config import ServerSettings, Settings

log = logging.getLogger("codabench.web")

GRACE = 10
"""Seconds in which requests may end after the server was told to stop."""
KEEP_ALIVE = 20
"""Seconds for which a connection is kept that asks nothing."""
_ENGINE_AGAIN = 30.0


def listen(settings: ServerSettings) -> socket.socket:
    """The address of the settings, taken; port 0: any that is free.

    Raises
    ------
    UsageError
        ``CB825``: it cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.host, settings.port))
    except OSError as error:
        made.close()
        raise UsageError(
            f"{settings.host} port {settings.port} cannot be listened at: {error.strerror or error}",
            code="CB825",
            hint="another program may have it: --port 0 takes a free one",
        ) from error
    return made


class Stop:
    """How often the process was told to stop, and who wants to hear of it."""

    def __init__(self) -> None:
        self.times = 0
        self.then: Callable[[], None] = lambda: None

    def hear(self, *_signal: object) -> None:
        """SIGTERM or Ctrl-C."""
        self.times += 1
        self.then()


@contextmanager
def told_to_stop() -> Iterator[Stop]:
    """Take SIGTERM and Ctrl-C, also while the workspace is closed: nothing is left half done."""
    stop, before = Stop(), dict[int, Any]()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, stop.hear)
    try:
        yield stop
    finally:
        for heard, handler in before.items():
            signal.signal(heard, handler)


def serve(site: Site, settings: Settings, listening: socket.socket, told: Stop) -> None:
    """Serve a site until the process is told to stop.

    Then requests are answered that came, live events end, and what runs goes back to the queue when the workspace is
    closed. Who says it twice waits for no request.
    """
    app, over = create_app(site, settings.server), threading.Event()
    server = _Server(_config(app, settings.server))

    def end() -> None:
        server.should_exit, server.force_exit = True, told.times > 1
        app.state.live.close()

    works: list[Callable[[], None]] = [lambda: site.attend(over)]
    if settings.runs.jobs != 0:
        works.append(lambda: _carry_out(site, over))
    threads = [threading.Thread(target=work, name="codabench-serve", daemon=True) for work in works]
    told.then = end
    try:
        for each in threads:
            each.start()
        if not told.times:
            server.run(sockets=[listening])
    finally:
        over.set()
        site.mail.waiting.set()
        threads[0].join(GRACE)


def _config(app: Any, settings: ServerSettings) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        server_header=False,
        proxy_headers=bool(settings.proxies),
        forwarded_allow_ips=list(settings.proxies),
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are heard by `serve`: here they would end the process before the workspace is closed."""
        yield


def _carry_out(site: Site, over: threading.Event) -> None:
    """Carry out runs. As long as no engine answers they wait: others may have one, or somebody starts it."""
    workspace, said = site.workspace, ""
    while not over.is_set():
        try:
            workspace.places.get().info()
            workspace.dispatch(stop=over)
        except (EngineError, StorageError) as error:
            if (why := str(error)) != said and not over.is_set():
                log.warning("submissions wait, because nothing here can carry them out: %s", why)
                said = why
            over.wait(_ENGINE_AGAIN)
