"""Whether the daemon sees our directories: a token is written, mounted, and read back through the engine.

No program of the image takes part, so any image will do.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import tarfile
import tempfile
import threading
from pathlib import Path

from codabench.backends.driver import Driver, Place
from codabench.backends.engine import Image
from codabench.backends.scratch import make_scratch
from codabench.core.errors import EngineError

_INSIDE = "/codabench-token"
_HOSTS = "127.0.0.1\tlocalhost codabench\n::1\tlocalhost ip6-localhost ip6-loopback\n"


class Visibility:
    """What one daemon sees of our file system, found out once for each of its top directories.

    Parameters
    ----------
    blind
        It is known not to see anything as we do.
    """

    def __init__(self, driver: Driver, labels: dict[str, str], *, blind: bool) -> None:
        self._driver = driver
        self._labels = labels
        self._blind = blind
        self._lock = threading.Lock()
        self._seen: dict[str, bool] = {}
        self._own: Path | None = None

    def sees(self, path: str, image: Image) -> bool:
        """Whether a directory of ours, mounted, holds there what it holds here."""
        if self._blind:
            return False
        top = os.path.realpath(path).split("/")[1]
        with self._lock:
            if top not in self._seen:
                parent = os.path.dirname(os.path.realpath(path))
                self._seen[top] = self._try(parent if os.access(parent, os.W_OK) else path, image)
            return self._seen[top]

    def sees_temporary(self, image: Image) -> bool:
        """Whether it sees the directory for temporary files."""
        return self.sees(os.path.join(tempfile.gettempdir(), "x"), image)

    def hosts_file(self, image: Image) -> str | None:
        """A file for ``/etc/hosts`` that the daemon can mount; None if it sees none of ours."""
        if not self.sees_temporary(image):
            return None
        with self._lock:
            if self._own is None:
                self._own = make_scratch()
                hosts = self._own / "hosts"
                hosts.write_text(_HOSTS)
                hosts.chmod(0o644)
            return str(self._own / "hosts")

    def close(self) -> None:
        """Remove the file."""
        if self._own is not None:
            shutil.rmtree(self._own, ignore_errors=True)

    def _try(self, parent: str, image: Image) -> bool:
        token = secrets.token_hex(16)
        with tempfile.TemporaryDirectory(prefix=".codabench-", dir=parent) as directory:
            Path(directory, "token").write_text(token)
            container = None
            try:
                place = Place("bind", directory, _INSIDE, read_only=True)
                container = self._driver.create_carrier(image, (place,), self._labels)
                chunks = self._driver.get(container, f"{_INSIDE}/token")
                return chunks is not None and _only_file(b"".join(chunks)) == token.encode()
            except EngineError:
                return False  # a daemon that does not find the directory refuses to make the container
            finally:
                if container is not None:
                    self._driver.remove(container)


def _only_file(archive: bytes) -> bytes | None:
    with contextlib.suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            content = tar.extractfile(member)
            if content is not None:
                return content.read()
    return None
