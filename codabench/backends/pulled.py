"""Which images we have pulled, so that exactly these can be removed again.

Engines put no label on what they pull. Each image is a small file in the user's state directory; its time is the last
use. What was here before, or was pulled by hand, is in no file and stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Literal

from codabench.backends.driver import Driver
from codabench.backends.naming import id_of, reference_of
from codabench.core.base import Record


class Pruned(Record):
    """What became of an image that we had pulled.

    Attributes
    ----------
    outcome
        ``removed``; ``would be removed`` (a dry run); ``kept``.
    reason
        Why it was kept.
    size
        Bytes at the engine; layers that other images share are counted, too.
    idle
        Seconds since its last use.
    """

    id: str
    name: str
    outcome: Literal["removed", "would be removed", "kept"]
    reason: str | None = None
    size: int | None = None
    idle: float = 0.0


class Pulled:
    """The images of one engine that were pulled by this user's runs. Several processes may use it at a time."""

    def __init__(self, engine: str, url: str) -> None:
        state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        key = hashlib.sha256(f"{engine} {url}".encode()).hexdigest()[:16]
        self._folder = Path(state, "codabench", "pulled", key)

    def remember(self, id: str, name: str) -> None:
        """We have pulled it. Where nothing can be written, it is simply not ours to remove."""
        path = self._path(id)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_suffix(f".{os.getpid()}")
            fresh.write_text(json.dumps({"id": id, "name": name}))
            fresh.replace(path)

    def used(self, id: str) -> None:
        """It is used now, whoever has pulled it."""
        with contextlib.suppress(OSError):
            os.utime(self._path(id))

    def prune(self, driver: Driver, older_than: float, *, dry_run: bool) -> list[Pruned]:
        """Remove those that were not used for `older_than` seconds, that no container uses and nobody gave a name."""
        done = []
        for path, id, name in sorted(self._all(), key=lambda each: each[2]):
            found = driver.inspect_image(id)
            if found is None:
                path.unlink(missing_ok=True)
                continue
            with contextlib.suppress(OSError):
                idle = max(0.0, time.time() - path.stat().st_mtime)
                outcome, reason = _decide(driver, found, name, idle, older_than, dry_run=dry_run)
                if outcome == "removed":
                    path.unlink(missing_ok=True)
                done.append(Pruned(id=id, name=name, outcome=outcome, reason=reason, size=found.get("Size"), idle=idle))
        return done

    def trim(self, driver: Driver, cap: int, *, busy: Callable[[], Collection[str]], older_than: float) -> list[Pruned]:
        """Remove those that were not used for longest until the rest has at most `cap` bytes; what went.

        None of the names that are `busy` goes, and nothing that `prune` would keep.
        """
        found = []
        for path, id, name in self._all():
            with contextlib.suppress(OSError):
                used, image = path.stat().st_mtime, driver.inspect_image(id)
                if image is None:
                    path.unlink(missing_ok=True)
                else:
                    found.append((used, path, name, image))
        over = sum(_size(image) for *_, image in found) - cap
        gone = []
        for _, path, name, image in sorted(found, key=lambda each: each[0]):
            if over <= 0:
                break
            if any(_same(name, other) for other in busy()):
                continue
            with contextlib.suppress(OSError):
                idle = max(0.0, time.time() - path.stat().st_mtime)  # now: it may have been used since
                if _decide(driver, image, name, idle, older_than, dry_run=False)[0] == "removed":
                    path.unlink(missing_ok=True)
                    over -= _size(image)
                    gone.append(Pruned(id=id_of(image), name=name, outcome="removed", size=_size(image), idle=idle))
        return gone

    def _path(self, id: str) -> Path:
        return self._folder / f"{id.rpartition(':')[2]}.json"

    def _all(self) -> Iterator[tuple[Path, str, str]]:
        for path in self._folder.glob("*.json"):
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                known = json.loads(path.read_text())
                yield path, str(known["id"]), str(known["name"])


def _decide(
    driver: Driver, found: dict[str, Any], name: str, idle: float, older_than: float, *, dry_run: bool
) -> tuple[Literal["removed", "would be removed", "kept"], str | None]:
    if idle < older_than:
        return "kept", "it was used a short while ago"
    tags = found.get("RepoTags")
    others = [str(tag) for tag in tags if not _same(str(tag), name)] if isinstance(tags, list) else []
    if others:
        return "kept", f"it has another name, too: {', '.join(others)}"
    if users := driver.containers_of(str(found["Id"])):
        return "kept", f"containers use it: {', '.join(users)}"
    if dry_run:
        return "would be removed", None
    why = driver.remove_image(str(found["Id"]))
    return ("kept", why) if why else ("removed", None)


def _size(image: dict[str, Any]) -> int:
    return int(image.get("Size") or 0)


def _same(tag: str, name: str) -> bool:
    """Whether both name the same; an engine may write the registry that a person left out."""
    one, other = reference_of(tag), reference_of(name)
    return (one.repository, one.tag or "latest") == (other.repository, other.tag or "latest")
