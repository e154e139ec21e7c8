"""Which image a run would have now: tags move, and competitions are given other images."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from codabench.backends.engine import ContainerEngine, Image
from codabench.core.errors import EngineError, MissingExtra
from codabench.core.text import printable
from codabench.runner.inline import NAME as INLINE

if TYPE_CHECKING:
    from codabench.workspace.places import Places

_PATIENCE = 5.0
"""Seconds for an engine to answer."""


class Images:
    """Asks the engines of this host, each of them once for each name, and starts nothing.

    Attributes
    ----------
    notes
        Which images nobody could look at. They are taken as unchanged: where a run takes place its image is looked at
        again, and decides.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._known: dict[tuple[str, str], Image | None] = {}
        self.notes: list[str] = []

    def now(self, provenance: dict[str, Any], wanted: str) -> tuple[dict[str, Any] | None, str]:
        """The image that a run would have, None if nobody knows, and why it is not that of the record.

        Parameters
        ----------
        wanted
            The name that it would ask for.
        """
        then, engine = provenance["image"], provenance["engine"]["name"]
        found = self._found(engine, wanted)
        renamed = f"image {printable(then['name'])} → {printable(wanted)}"
        if found is None:
            return (then, "") if then["name"] == wanted else (None, renamed)
        now = found.model_dump(exclude_none=True)
        if _identity(engine, now) == _identity(engine, then):
            return then, ""
        return now, renamed if then["name"] != wanted else f"image {printable(wanted)} changed"

    def _found(self, engine: str, name: str) -> Image | None:
        if (engine, name) not in self._known:
            found = self._known[engine, name] = self._look(engine, name)
            if found is None and engine != INLINE:
                self.notes.append(f"image {printable(name)} could not be looked at ({engine}), and is taken as it was")
        return self._known[engine, name]

    def _look(self, engine: str, name: str) -> Image | None:
        with contextlib.suppress(EngineError, MissingExtra), contextlib.ExitStack() as stack:
            asked = self._engine(engine, stack)
            return asked.resolve(name, pull="never", timeout=_PATIENCE) if asked is not None else None
        return None

    def _engine(self, name: str, stack: contextlib.ExitStack) -> ContainerEngine | None:
        """The engine of that name that this workspace uses; where it uses another, or a cluster, the usual one."""
        from codabench.backends.select import ENGINES, engine_named

        default = self._places.default
        given = getattr(default, "engine", default)
        if isinstance(given, ContainerEngine):
            return given if given.name == name else None
        if not isinstance(given, str) or name not in ENGINES:
            return None
        made = engine_named(given if given.partition(":")[0] == name else name)
        stack.callback(made.close)
        return made


def _identity(engine: str, image: dict[str, Any]) -> tuple[str, str | None]:
    return image.get("digest") or f"{engine}:{image['id']}", image.get("platform")
