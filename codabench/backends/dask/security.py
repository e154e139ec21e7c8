"""Who may talk to a cluster: addresses and certificates."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from codabench.core.base import Record
from codabench.core.errors import UsageError

CERTS = "CODABENCH_DASK_CERTS"
"""Environment: the directory with ``ca.pem``, ``cert.pem`` and ``key.pem``."""
_SIDES = ("client", "scheduler", "worker")

PREFIX = "codabench-"
"""Before the scheme of an address: its connections unpickle nothing; see `codabench.backends.dask.strict`."""


class TLS(Record):
    """The certificates of one side: files in PEM.

    Attributes
    ----------
    ca
        The certificate of the authority that signed both sides.
    cert, key
        Our own certificate and its private key.
    """

    ca: str
    cert: str
    key: str

    @classmethod
    def of(cls, directory: str | os.PathLike[str]) -> TLS:
        """The certificates that ``codabench certs`` wrote.

        Raises
        ------
        UsageError
            ``CB655``: a file is not there.
        """
        place = Path(directory).expanduser()
        files = {name: place / f"{name}.pem" for name in ("ca", "cert", "key")}
        missing = [path.name for path in files.values() if not path.is_file()]
        if missing:
            hint = f"codabench certs {place}  makes them; every machine of the cluster needs a copy"
            raise UsageError(f"{', '.join(missing)} not in {place}", code="CB655", hint=hint)
        return cls(**{name: str(path) for name, path in files.items()})

    def security(self) -> Any:
        """As Dask wants it."""
        from distributed import Security

        pairs = {f"tls_{side}_{what}": getattr(self, what) for side in _SIDES for what in ("cert", "key")}
        return Security(tls_ca_file=self.ca, require_encryption=True, **pairs)

    def config(self) -> dict[str, Any]:
        """As Dask's configuration has it (``dask.config.set(tls.config())``), which `SSHCluster` takes along.

        The files have to be at the same paths there.
        """
        tls = "distributed.comm.tls"
        pairs = {f"{tls}.{side}.{what}": getattr(self, what) for side in _SIDES for what in ("cert", "key")}
        encrypted = {"distributed.comm.require-encryption": True, "distributed.comm.default-scheme": "tls"}
        return {**encrypted, f"{tls}.ca-file": self.ca, **pairs}


class Address(Record):
    """Where a scheduler listens, as ``dask://host:8786?engine=podman`` says it.

    Attributes
    ----------
    url
        ``tls://host:port`` or ``tcp://host:port``.
    engine
        The word of the engine on the workers; None: each worker's own.
    certs
        A directory with certificates.
    """

    url: str
    engine: str | None = None
    certs: str | None = None

    @property
    def encrypted(self) -> bool:
        return self.url.startswith("tls://")

    @classmethod
    def of(cls, word: str) -> Address:
        """Read a word.

        Raises
        ------
        UsageError
            ``CB654``: it is none.
        """
        hint = "dask://host:8786?engine=podman, or dask+tcp://127.0.0.1:8786 for a cluster without encryption"
        schemes = {"dask": "tls", "dask+tls": "tls", "tls": "tls", "dask+tcp": "tcp", "tcp": "tcp"}
        try:
            parts = urlsplit(word)
            port = parts.port or 8786
        except ValueError as error:
            raise UsageError(f"{word!r} is no address of a Dask scheduler: {error}", code="CB654", hint=hint) from error
        if parts.scheme not in schemes or not parts.hostname or parts.path.strip("/"):
            raise UsageError(f"{word!r} is no address of a Dask scheduler", code="CB654", hint=hint)
        query = parse_qs(parts.query)
        unknown = set(query) - {"engine", "certs"}
        if unknown:
            raise UsageError(f"{word!r}: nobody knows {', '.join(sorted(unknown))}", code="CB654", hint=hint)
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        found = {name: values[-1] for name, values in query.items()}
        return cls(url=f"{schemes[parts.scheme]}://{host}:{port}", **found)


def is_loopback(url: str) -> bool:
    """Whether an address is only reached from this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or url.startswith("inproc://"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def certificates(tls: TLS | str | os.PathLike[str] | None, address: Address) -> TLS:
    """The certificates to use: those given, those of the address, those of the environment, those of this user."""
    if isinstance(tls, TLS):
        return tls
    place = tls or address.certs or os.environ.get(CERTS) or Path("~/.config/codabench/certs").expanduser()
    return TLS.of(place)
