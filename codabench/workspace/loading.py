"""Competitions from bundles, wherever they are."""

from __future__ import annotations

import os
from typing import Any

from codabench.bundle.datasets import Datasets
from codabench.bundle.load import read_bundle
from codabench.core.report import Report
from codabench.workspace.competition import Competition


def load(
    source: str | os.PathLike[str],
    *,
    datasets: Datasets | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Competition:
    """Open a competition bundle, or the archive of one task.

    Parameters
    ----------
    source
        A directory, a zip, or any fsspec URL of one (``s3://...``).
    datasets
        The files of data sets and tasks that the bundle names by key (UUID): a directory, a zip, a URL or a
        `TreeSource` for each; or a function that is asked for a key and returns one of these, or None.

    Raises
    ------
    UsageError
        If a key in `datasets` is no UUID.
    BundleError
        If it cannot be read or has errors; ``.report`` holds every problem, and the message shows them all.
    """
    bundle = read_bundle(source, storage_options=storage_options, datasets=datasets)
    bundle.report.raise_for_errors()
    return Competition(bundle)


def check(
    source: str | os.PathLike[str],
    *,
    target: str = "local",
    datasets: Datasets | None = None,
    storage_options: dict[str, Any] | None = None,
) -> Report:
    """Every problem of a bundle or task archive at once, also of one that has errors.

    Parameters
    ----------
    target
        Where it is to run: ``local``, or ``codabench.org``, where more is refused or read otherwise.
    datasets
        See `load`.

    Raises
    ------
    BundleError
        Only if `source` cannot be read at all.
    """
    with read_bundle(source, storage_options=storage_options, datasets=datasets, target=target) as bundle:
        return bundle.report
