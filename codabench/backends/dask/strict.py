"""Connections of a client that unpickle nothing, whatever a scheduler sends or passes on from its workers.

Dask lets every message hold pickles: one in an event, or in the answer to a question, would be run by whoever hears it.
Here they are left out; what remains are numbers, texts, lists and mappings.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

import msgpack
from distributed.comm import tcp
from distributed.comm.registry import backends
from distributed.protocol.serialize import msgpack_decode_default
from distributed.protocol.utils import msgpack_opts

from codabench.backends.dask.security import PREFIX


async def _data(frames: list[Any], **_options: Any) -> Any:
    """A message as data."""
    return msgpack.loads(frames[0], object_hook=_plain, use_list=False, **msgpack_opts)


def _plain(found: dict[Any, Any]) -> Any:
    if "__Serialized__" in found or "__Pickled__" in found:
        return None
    return msgpack_decode_default(found)


def _reader(of: Any) -> Any:
    """How a kind of connection reads, but for the last step: that is what makes objects of bytes."""
    code = of.read
    return FunctionType(code.__code__, {**vars(tcp), "from_frames": _data}, "read", code.__defaults__, code.__closure__)


class _TCP(tcp.TCP):
    read = _reader(tcp.TCP)


class _TLS(tcp.TLS):
    read = _reader(tcp.TLS)


class _TCPConnector(tcp.TCPConnector):
    comm_class = _TCP


class _TLSConnector(tcp.TLSConnector):
    comm_class = _TLS


class _TCPBackend(tcp.TCPBackend):
    _connector_class = _TCPConnector


class _TLSBackend(tcp.TLSBackend):
    _connector_class = _TLSConnector


backends.setdefault(f"{PREFIX}tcp", _TCPBackend())
backends.setdefault(f"{PREFIX}tls", _TLSBackend())
