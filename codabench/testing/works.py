"""Work for the tests of backends: small functions that a backend may call by their names."""

from __future__ import annotations

from typing import Any

from codabench.backends.backend import WorkHost
from codabench.core.errors import EngineError


def echo(payload: dict[str, Any], host: WorkHost) -> dict[str, Any]:
    """Give back what came, and whether there is a place to work in."""
    return {"payload": payload, "scratch": host.scratch.is_dir(), "engine": host.engine.name}


def fail(payload: dict[str, Any], host: WorkHost) -> dict[str, Any]:
    """Raise."""
    raise EngineError(f"no luck with {payload['what']}")


def count(payload: dict[str, Any], host: WorkHost) -> dict[str, Any]:
    """Emit numbers."""
    for i in range(payload["to"]):
        host.emit({"type": "number", "i": i})
    return {}


def until_stopped(payload: dict[str, Any], host: WorkHost) -> dict[str, Any]:
    """Wait for the stop signal."""
    host.emit({"type": "waiting"})
    return {"stopped": host.stop.wait(60), "reason": host.stop.reason}
