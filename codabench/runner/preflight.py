"""Whether a place can carry out runs: looked at from there, as work, before any run goes there."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Any

from codabench.backends.backend import WorkHost
from codabench.backends.versions import versions
from codabench.core.errors import CodabenchError
from codabench.core.trees import BlobRef
from codabench.storage.store import Storage


def look(payload: dict[str, Any], host: WorkHost) -> dict[str, Any]:
    """Look at this place.

    Parameters
    ----------
    payload
        ``image`` and ``pull``: an image to be resolved, or None. ``storage`` and ``witness``: the URL of the storage,
        and a blob in it that has to be read here; what is written here is named in the answer.

    Returns
    -------
    dict
        ``checks``: for each thing that was looked at ``ok`` and ``text``. ``at``: the clock here at the end.
    """
    checks: dict[str, dict[str, Any]] = {}
    found: dict[str, Any] = {"checks": checks, "machine": platform.node(), "pid": os.getpid()}
    checks["versions"] = versions()
    _try(checks, "engine", lambda: _engine(host))
    if payload.get("image"):
        _try(checks, "image", lambda: _image(payload, host))
    if payload.get("storage"):
        _try(checks, "storage", lambda: _storage(payload, host, found))
    return {**found, "at": time.time()}


def _try(checks: dict[str, dict[str, Any]], name: str, check: Callable[[], str]) -> None:
    try:
        checks[name] = {"ok": True, "text": check()}
    except CodabenchError as error:
        checks[name] = {"ok": False, "text": error.message, "code": error.code, "hint": error.hint}
    except Exception as error:  # noqa: BLE001 - the outermost frame of a check: credentials and drivers fail in any way
        checks[name] = {"ok": False, "text": f"{type(error).__name__}: {error}", "code": "CB699", "hint": None}


def _engine(host: WorkHost) -> str:
    return host.engine.probe().shown


def _image(payload: dict[str, Any], host: WorkHost) -> str:
    found = host.engine.resolve(payload["image"], pull=payload.get("pull", "never"))
    return found.digest or found.id


def _storage(payload: dict[str, Any], host: WorkHost, found: dict[str, Any]) -> str:
    storage = Storage(payload["storage"], cache=host.cache, cap=host.cache_bytes)
    try:
        if payload.get("witness"):
            storage.get(BlobRef.model_validate(payload["witness"]))
        found["written"] = storage.put(os.urandom(32)).model_dump(mode="json")
    finally:
        storage.close()
    return "read and written"
