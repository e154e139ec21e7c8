"""Uploads as clients send them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hosting_lab import zipped

from codabench.core.hosting import Dataset
from codabench.site.actors import Actor
from codabench.site.site import Site

ZIP = zipped({"answer.csv": b"1\n"})


def ticket_of(url: str) -> str:
    """The part of a link that says what it is for."""
    return url.split("/uploads/")[-1].split("/files/")[-1].split("/")[0]


def pieces(data: bytes, size: int = 7) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def announced(site: Site, actor: Actor, data: bytes = ZIP, role: str = "submission", **more: Any) -> Dataset:
    """A data set whose bytes are still to come."""
    return site.datasets.create(actor, role, more.pop("file_name", "wheat.zip"), len(data), **more)


def sent(site: Site, actor: Actor, data: bytes = ZIP, role: str = "submission", **more: Any) -> Dataset:
    """A data set with these bytes."""
    made = announced(site, actor, data, role, **more)
    return site.datasets.receive(ticket_of(site.datasets.upload_url(actor, made.key)), pieces(data, 1 << 16), len(data))


def fetched(site: Site, url: str) -> bytes:
    """What a link to download gives."""
    found = site.links.download(ticket_of(url))
    with found.stream as stream:
        data = stream.read()
    assert len(data) == found.size
    return data
