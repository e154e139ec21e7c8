"""From a word to an engine or a backend."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import entry_points
from typing import Any

from codabench.backends.backend import Backend
from codabench.backends.engine import ContainerEngine
from codabench.core.errors import EngineError, EngineUnavailable, MissingExtra, UsageError
from codabench.core.text import did_you_mean

ENGINES = {
    "docker": "codabench.backends.docker:DockerEngine",
    "podman": "codabench.backends.podman:PodmanEngine",
    "process": "codabench.backends.process:ProcessEngine",
    "sandbox": "codabench.backends.sandbox:SandboxEngine",
}
"""Engines of this library; others register under the entry point group ``codabench.engines``."""

GROUP = "codabench.engines"


def engine_named(name: str) -> ContainerEngine:
    """The engine of that name: ``docker``, ``podman``, ``sandbox``, ``process``, ``docker:unix:///path``.

    Nothing is connected yet.

    Raises
    ------
    UsageError
        If there is no such engine.
    """
    word, _, url = name.partition(":")
    made: ContainerEngine
    if word in ENGINES:
        module, _, attribute = ENGINES[word].partition(":")
        factory: Any = getattr(importlib.import_module(module), attribute)
    else:
        factory = _registered(word)
    if not url:
        made = factory()
    elif word in ("process", "sandbox"):
        raise UsageError(f"the {word} engine takes no address")
    else:
        made = factory(url)
    return made


def auto_engine() -> ContainerEngine:
    """The first container engine that really answers: Docker, Podman, then registered ones.

    Raises
    ------
    EngineUnavailable
        If none does (CB601); the message lists what was tried, and why each one is no use.
    """
    tried: list[tuple[str, str]] = []
    hints: list[str] = []
    for word in ("docker", "podman", *_registered_names()):
        engine = engine_named(word)
        try:
            engine.probe()
        except (EngineError, MissingExtra) as error:
            tried.append((word, error.message))
            hints += [_hint(word, error)]
            engine.close()
            continue
        return engine
    width = max(len(word) for word, _ in tried)
    lines = "\n".join(f"  tried  {word:<{width}}  {why}" for word, why in tried)
    raise EngineUnavailable(
        f"no container engine answered\n{lines}",
        hint="\n      ".join([*dict.fromkeys(h for h in hints if h), "see: codabench doctor"]),
    )


def is_cluster(word: str) -> bool:
    """Whether a word is the address of a Dask cluster."""
    return word.startswith(("dask://", "dask+tcp://"))


def backend_from(value: str | ContainerEngine | Backend = "auto", **options: Any) -> Backend:
    """A backend from a word (``auto``, ``docker``, ``podman``, ``sandbox``, ``process``, ``dask://host:8786``), an
    engine, or a backend.

    `options` are those of `LocalBackend`; a backend that is given is used as it is.

    Raises
    ------
    UsageError
        If it is none of these.
    EngineUnavailable
        If ``auto`` finds no engine.
    """
    from codabench.backends.local import LocalBackend

    if isinstance(value, str):
        if is_cluster(value):
            from codabench.backends.dask import DaskBackend

            cluster: Backend = DaskBackend(value)
            return cluster
        engine = auto_engine() if value == "auto" else engine_named(value)
        try:
            # Who names an engine learns at once that it does not answer, not from each of a hundred runs.
            engine.probe()
        except EngineError:
            engine.close()
            raise
        return LocalBackend(engine, **options)
    if isinstance(value, ContainerEngine):
        return LocalBackend(value, **options)
    if hasattr(value, "submit") and hasattr(value, "info"):
        return value
    raise UsageError(f"a backend is a word, an engine or a Backend, not {type(value).__name__}")


def word_for(value: str | ContainerEngine | Backend, image: str | None) -> str | ContainerEngine | Backend:
    """``auto`` is the sandbox where somebody asked for what only that has: ``host`` or ``rootfs:/path``, no image.

    It never is the sandbox otherwise: to run a bundle with another Python than it names is a choice of somebody.
    """
    from codabench.backends.sandbox_view import HOST, ROOTFS

    asked = value == "auto" and image is not None and (image == HOST or image.startswith(ROOTFS))
    return "sandbox" if asked else value


def _registered_names() -> list[str]:
    return sorted({entry.name for entry in entry_points(group=GROUP)} - set(ENGINES))


def _registered(word: str) -> Any:
    for entry in entry_points(group=GROUP):
        if entry.name == word:
            return entry.load()
    known = [*ENGINES, *_registered_names()]
    guess = did_you_mean(word, known)
    raise UsageError(
        f"no engine {word!r}; there are {', '.join(known)}", hint=f"did you mean {guess!r}?" if guess else None
    )


def _hint(word: str, error: EngineError | MissingExtra) -> str:
    if word == "docker" and "PermissionError" in error.message:
        return f"sudo usermod --append --groups docker {os.environ.get('USER', '$USER')}, then log in again"
    return error.hint or ""
