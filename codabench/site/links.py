"""Links that work by themselves: whoever has one needs no account, for one thing, one verb and a while."""

from __future__ import annotations

import posixpath
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import quote

from codabench.core.errors import UsageError
from codabench.core.trees import BlobRef, TreeRef
from codabench.site.part import Part
from codabench.site.signing import Signer, secret_of

DAYS = 5 * 86400
"""So long a link to upload something is good (platform.md section 3.4)."""
HOUR = 3600
KEY = "secret.key"
"""The file of the key, beside a storage on this host."""

_PATHS = {"PUT": "uploads", "GET": "files"}
_TYPES = {
    ".zip": "application/zip",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".log": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
}


class Download(NamedTuple):
    """A file that is sent; whoever sends it closes the stream.

    Attributes
    ----------
    type
        Of its content, by the end of its name and a list of our own: a browser must not guess (security.md H08). What
        is HTML or SVG was written by people, and has to be sent with a policy that puts it into a sandbox.
    """

    name: str
    size: int
    type: str
    stream: BinaryIO


def file(ref: BlobRef | TreeRef, name: str) -> dict[str, Any]:
    """What a link to a stored file says: a blob, or the archive of a tree, under this name."""
    blob = BlobRef(sha256=ref.archive, size=ref.size) if isinstance(ref, TreeRef) else ref
    return {"blob": blob.sha256, "size": blob.size, "name": posixpath.basename(name)}


class Links(Part):
    """Makes links, and opens what they stand for.

    Making one asks nobody: whoever gives it out has asked the policy. A link to a data set ends with it; one to a
    file of a run is good until its time is over, so it is given for an hour only.
    """

    @cached_property
    def signer(self) -> Signer:
        """Signs with the key of this site; the file of it is made at the first time.

        Raises
        ------
        UsageError
            ``CB822``: the key cannot be kept, or others can read it.
        """
        return Signer(secret_of(self._key_file()))

    def _key_file(self) -> Path:
        if self.site.settings.secret_file is not None:
            return self.site.settings.secret_file
        url = self.site.workspace.url
        if "://" in url:
            hint = "name a file on this host that only the site can read: secret_file in the settings of the site"
            raise UsageError(f"the key of the site cannot be kept in {url}", code="CB822", hint=hint)
        return Path(url) / KEY

    def url(self, verb: str, what: dict[str, Any], seconds: float = DAYS) -> str:
        """An address below that of the site, good for so many seconds.

        Parameters
        ----------
        verb
            ``"PUT"`` to upload, ``"GET"`` to download.
        what
            It can be read by whoever has the link.
        """
        until = self.site.now() + timedelta(seconds=seconds)
        address = f"{self.site.settings.url}/{_PATHS[verb]}/{self.signer.ticket(verb, what, until=until)}"
        return f"{address}/{quote(what.get('name', 'file'), safe='')}" if verb == "GET" else address

    def open(self, ticket: str, verb: str) -> dict[str, Any]:
        """What a link stands for.

        Raises
        ------
        Refused
            ``CB809``: it was not made here, is for another verb, or its time is over.
        """
        return self.signer.read(ticket, verb, now=self.site.now())

    def download(self, ticket: str) -> Download:
        """The file that a link is for.

        Raises
        ------
        Refused
            ``CB809``, as `open`.
        NotFound
            It is a data set that was deleted.
        StorageError
            It is not in the storage any more, or was changed there.
        """
        what, storage = self.open(ticket, "GET"), self.site.workspace.storage
        name = str(what["name"])
        if "dataset" in what:
            blob = self.site.datasets.content(str(what["dataset"]))
            return Download(name, blob.size, media_type(name), storage.open(blob))
        blob = BlobRef(sha256=what["blob"], size=what["size"])
        return Download(name, blob.size, media_type(name), storage.open(blob))


def media_type(name: str) -> str:
    """The type of a file by the end of its name; what is not known is only bytes."""
    return _TYPES.get(posixpath.splitext(name)[1].lower(), "application/octet-stream")
