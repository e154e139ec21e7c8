"""Files that come with forms: whole or not there, as those that programs send to a link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from starlette.datastructures import UploadFile

from codabench.core.competition import DataRole
from codabench.core.errors import BundleError, CodabenchError, Invalid
from codabench.core.hosting import Dataset
from codabench.core.text import storable
from codabench.site.actors import Actor
from codabench.site.jobs import said
from codabench.site.site import Site

_PIECE = 2**20


def kept(site: Site, actor: Actor, role: DataRole, file: UploadFile | None, field: str, **about: Any) -> Dataset:
    """A data set of a file that came with a form; if it cannot be kept, nothing is left of it.

    Parameters
    ----------
    field
        Of the file: what is wrong with it is said there.
    about
        As `Datasets.create` takes it.

    Raises
    ------
    Invalid
        No file was chosen, or it cannot be used as that.
    """
    if file is None:
        raise Invalid({field: "Choose a file."})
    try:
        made = site.datasets.create(actor, role.value, name_of(file), file.size, **about)
    except Invalid as error:
        raise Invalid({field if n in _OF_FILE else n: texts for n, texts in error.fields.items()}) from None
    ticket = site.datasets.upload_url(actor, made.key).rpartition("/")[2]
    try:
        return site.datasets.receive(ticket, _pieces(file))
    except CodabenchError as error:
        site.datasets.delete(actor, made.key)
        if isinstance(error, Invalid):
            raise Invalid({field: [text for texts in error.fields.values() for text in texts]}) from None
        if isinstance(error, BundleError):
            raise Invalid({field: said(error).splitlines()}) from None
        raise


_OF_FILE = ("data_file", "file", "file_name", "file_size")


def name_of(file: UploadFile) -> str:
    """The name that a browser gave a file, without folders."""
    return re.split(r"[/\\]", storable(file.filename or ""))[-1]


def _pieces(file: UploadFile) -> Iterator[bytes]:
    while piece := file.file.read(_PIECE):
        yield piece
