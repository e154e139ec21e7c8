"""From the name of an image to what the engine runs."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Iterator
from typing import Any, Literal

from codabench.backends.credentials import Credentials, RegistryAuth, find_credentials
from codabench.backends.driver import Driver
from codabench.backends.engine import Emit, Image, StopSignal
from codabench.backends.naming import Reference, digest_of, id_of, platform_of, reference_of, same_platform
from codabench.backends.pulled import Pulled
from codabench.backends.pulling import LIMIT, Pull, check_room
from codabench.backends.refusals import refused
from codabench.backends.registry import download_size
from codabench.core.errors import EngineError, EngineTimeout, ImageNotFound, Interrupted
from codabench.core.policy import GIB

PLENTY = 64 * GIB
"""Bytes of free disk with which no registry is asked for a size: each such question counts as a pull where pulls are
counted, and no image that can be used needs that much."""


class Resolver:
    """Finds images at an engine, and fetches those that are not there.

    Parameters
    ----------
    engine
        The word for it: ``docker``.
    auth, insecure, limit
        `registry_auth`, `insecure_registries` and `pull_timeout` of the engine.
    """

    def __init__(
        self,
        engine: str,
        url: str,
        *,
        auth: RegistryAuth | None = None,
        insecure: Collection[str] = (),
        limit: float = LIMIT,
    ) -> None:
        self._engine, self._auth, self._insecure, self._limit = engine, auth, insecure, limit
        self.pulled = Pulled(engine, url)
        self._turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def resolve(
        self,
        driver: Driver,
        name: str,
        pull: Literal["missing", "always", "never"],
        *,
        platform: str | None = None,
        emit: Emit | None = None,
        timeout: float | None = None,
        stop: StopSignal | None = None,
    ) -> Image:
        """As `ContainerEngine.resolve`. Nothing is remembered between calls: tags move."""
        end = time.monotonic() + min(self._limit, timeout if timeout is not None else self._limit)
        found = _find(driver, name) if pull != "always" else None
        if not _fits(found, platform) and pull != "never":
            with self._turn(name, end, stop):
                # Of several runs that want it, the first fetches it.
                found = _find(driver, name) if pull != "always" else None
                if not _fits(found, platform):
                    self._pull(driver, name, platform, emit, end, stop)
                    found = _find(driver, name)
        if found is None:
            raise ImageNotFound(
                f"the image {name} is not in {self._engine}",
                hint=f"`{self._engine} pull {name}`, or let it be pulled, or name another image with `--image`",
            )
        if not _fits(found, platform):
            raise ImageNotFound(
                f"the image {name} in {self._engine} is for {platform_of(found)}, and {platform} was asked for",
                hint="pull it for that platform, or leave the platform out",
            )
        self.pulled.used(id_of(found))
        return Image(
            name=name,
            id=id_of(found),
            digest=digest_of(name, found.get("RepoDigests") or ()),
            platform=platform_of(found),
            size=found.get("Size"),
        )

    @contextlib.contextmanager
    def _turn(self, name: str, end: float, stop: StopSignal | None) -> Iterator[None]:
        turn = self._turns[name]
        while not turn.acquire(timeout=0.2):
            if stop is not None and stop.is_set():
                raise Interrupted(f"{stop.reason} while waiting for the image {name}")
            if time.monotonic() > end:
                raise EngineTimeout(f"another run pulls the image {name}, and that took too long")
        try:
            yield
        finally:
            turn.release()

    def _pull(
        self,
        driver: Driver,
        name: str,
        platform: str | None,
        emit: Emit | None,
        end: float,
        stop: StopSignal | None,
    ) -> None:
        image = reference_of(name)
        credentials = find_credentials(image, self._auth)
        hidden: Callable[[str], str] = credentials.hidden if credentials else str
        before = driver.image_ids()
        measured = False

        def events() -> Generator[dict[str, Any], None, None]:
            nonlocal measured
            if not measured:
                self._measure(driver, name, image, platform, credentials)
                measured = True
            yield from driver.pull(name, platform, credentials)

        Pull(
            name=name,
            engine=self._engine,
            events=events,
            explain=lambda said: refused(name, hidden(said), self._engine),
            room=driver.room,
            end=end,
            emit=emit,
            stop=stop,
        ).fetch()
        found = _find(driver, name)
        if found is not None and id_of(found) not in before:
            self.pulled.remember(id_of(found), name)

    def _measure(
        self, driver: Driver, name: str, image: Reference, platform: str | None, credentials: Credentials | None
    ) -> None:
        """Refuse what has no place; half of it is the download, the other half what it unpacks to, at the least."""
        free = driver.room()
        if free is None or free > PLENTY:
            return
        insecure = image.host in self._insecure
        size = download_size(image, platform or driver.facts().platform, credentials, insecure=insecure)
        if size is not None:
            check_room(name, 2 * size, free)


def _fits(found: dict[str, Any] | None, platform: str | None) -> bool:
    return found is not None and (platform is None or same_platform(platform_of(found), platform))


def _find(driver: Driver, name: str) -> dict[str, Any] | None:
    try:
        return driver.inspect_image(name)
    except EngineError as error:
        if "invalid reference" not in error.message:
            raise
        raise ImageNotFound(
            f"{name!r} cannot be the name of an image",
            hint="names are lower case, with an optional tag: `python:3.12-slim`",
        ) from error
