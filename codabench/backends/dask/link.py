"""The connection to a scheduler: made again when it is lost, and safe to ask at any time."""

from __future__ import annotations

import logging
import os
import uuid
import warnings
from collections.abc import Callable
from typing import Any

from codabench.backends.dask.dashboard import dashboard_of
from codabench.backends.dask.security import PREFIX, TLS, Address, certificates, is_loopback
from codabench.core.errors import NoRoom, UsageError

log = logging.getLogger("codabench.backends")

ASK_SECONDS = 10
"""How long an answer of the scheduler may take."""

LOST = (OSError, TimeoutError, ValueError, AttributeError, KeyError)
"""What asking raises while there is no connection: Dask has no error of its own for it."""


class Link:
    """A client of a cluster.

    Parameters
    ----------
    cluster
        An address: then nothing that comes from there is ever unpickled. A `distributed.Client`, or a Dask cluster: its
        connections are as Dask makes them.

    Attributes
    ----------
    engine
        What the address says of the engine.
    """

    def __init__(
        self, cluster: Any, tls: TLS | str | os.PathLike[str] | None, timeout: float, hear: Callable[[Any], None]
    ) -> None:
        from distributed import Client

        self.engine: str | None = None
        self._hear, self._topic = hear, ""
        self._connect: Callable[[], Any] | None = None
        self._own = not isinstance(cluster, Client)
        if isinstance(cluster, str):
            self._connect = self._connector(cluster, tls, timeout)
            self.client = self._connect()
        else:
            self.client = Client(cluster, set_as_default=False) if self._own else cluster
        self.address = str(self.client.scheduler.address).removeprefix(PREFIX)
        if not isinstance(cluster, str) and self.address.startswith("tcp://") and not is_loopback(self.address):
            text = f"the Dask scheduler at {self.address} is reached without encryption: who reads along may run code"
            warnings.warn(f"[CB656] {text}", UserWarning, stacklevel=4)
        self._comm = self.client.scheduler_comm

    def _connector(self, cluster: str, tls: Any, timeout: float) -> Callable[[], Any]:
        from distributed import Client

        import codabench.backends.dask.strict  # noqa: F401 - makes the scheme known

        place = Address.of(cluster)
        self.engine = place.engine
        security = certificates(tls, place).security() if place.encrypted else None
        if security is None and not is_loopback(place.url) and not cluster.startswith("dask+tcp://"):
            hint = "tls:// with certificates of `codabench certs`; or dask+tcp://, if nobody else is on that network"
            raise UsageError(f"{place.url} would be reached without encryption", code="CB656", hint=hint)

        def connect() -> Any:
            try:
                return Client(f"{PREFIX}{place.url}", security=security, timeout=timeout, set_as_default=False)
            except (OSError, TimeoutError, ValueError) as error:
                hint = "is the scheduler up, and are both sides' certificates of one authority?"
                why = str(error).replace(PREFIX, "")
                raise NoRoom(f"no Dask scheduler answers at {place.url}: {why}", code="CB601", hint=hint) from error

        return connect

    # ------------------------------------------------------------------ talking
    def ask(self, what: str, **options: Any) -> Any:
        """An answer of the scheduler.

        Raises
        ------
        EngineUnavailable
            ``CB601``: it does not answer.
        """
        try:
            return self.client.sync(getattr(self.client.scheduler, what), callback_timeout=ASK_SECONDS, **options)
        except LOST as error:
            message = f"the Dask scheduler at {self.address} does not answer: {error or type(error).__name__}"
            raise NoRoom(message) from error

    def see(self) -> None:
        """Nothing, at once, if the connection is there.

        Raises
        ------
        EngineUnavailable
            ``CB652``: it is lost.
        """
        if self.client.status != "running":
            raise NoRoom(f"the connection to the Dask scheduler at {self.address} is lost")

    def topic(self) -> str:
        """A topic of our own. A scheduler forgets the one that is called like a client an hour after that has left.

        A client that was given may have several of us, and one ear for each topic.
        """
        return str(self.client.id) if self._own else f"codabench-{uuid.uuid4().hex}"

    def subscribe(self, topic: str) -> None:
        """Hear what is said on a topic, also after the connection was lost and made again."""
        self._topic = topic
        self.client.subscribe_topic(topic, self._hear)

    def mend(self) -> None:
        """Look whether the connection was lost; made again, what was said meanwhile is heard now, as far as it is kept.

        Raises
        ------
        EngineUnavailable
            It is lost and cannot be made again now.
        """
        if self.client.status == "closed" and self._connect is not None:
            self.client = self._connect()
        self.see()
        if self.client.scheduler_comm is not self._comm:
            log.warning("connected again to the Dask scheduler at %s", self.address)
            self._comm = self.client.scheduler_comm
            self.client.subscribe_topic(self._topic, self._hear)
            for event in self.ask("events", topic=self._topic) or ():
                self._hear(event)

    def close(self) -> None:
        """Let go; a client that was given stays open."""
        if self.client.status == "running" and self._topic:
            self.client.unsubscribe_topic(self._topic)
        if self._own:
            self.client.close()

    def dashboard(self) -> str | None:
        """The address of the dashboard, if it is really there; see `codabench.backends.dask.dashboard`.

        Raises
        ------
        EngineUnavailable
            ``CB601``: the scheduler does not answer.
        """
        said = self.ask("identity", n_workers=0)
        return dashboard_of(said, getattr(self.client.cluster, "dashboard_link", None))
