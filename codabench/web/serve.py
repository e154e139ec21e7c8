"""A process that serves a site: requests, runs, and what is due by the clock, until it is told to stop."""

from __future__ import annotations

import logging
import signal
import socket
import threading
import time
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
UNASKED = 20.0
"""Seconds in which a connection has to send a request to the end of its headers (security.md W09)."""
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
    _more_files()

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
    """Lets go of who connects and does not ask."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._unasked: dict[Any, float] = {}

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are heard by `told_to_stop`: here they would end the process before the workspace is closed."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second."""
        if counter % 10 == 0:
            now = time.monotonic()
            waiting = filter(_asks_nothing, self.server_state.connections)
            self._unasked = {each: self._unasked.get(each, now) for each in waiting}
            for each, since in self._unasked.items():
                if now - since > UNASKED:
                    each.transport.close()
        return await super().on_tick(counter)


def _asks_nothing(connection: Any) -> bool:
    """Whether no request is under way; uvicorn itself closes those that rest after one."""
    cycle = connection.cycle
    return (cycle is None or cycle.response_complete) and connection.timeout_keep_alive_task is None


def _more_files() -> None:
    """Let the process have as many connections and files as the system allows it."""
    try:
        import resource
    except ImportError:  # pragma: no cover - a system that has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


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
