"""What a program in the sandbox sees: its file system, its environment, as words for bubblewrap."""

from __future__ import annotations

import glob
import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

from codabench.backends.engine import ContainerSpec, Image, Mount
from codabench.backends.naming import architecture
from codabench.core.errors import ImageNotFound
from codabench.core.policy import Network

HOST = "host"
"""The image that is this machine's own system and Python."""

ROOTFS = "rootfs:"
"""Before the path of a directory that holds a whole root file system."""

NOBODY = 65534

_SYSTEM = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_ETC: tuple[str, ...] = (
    "alternatives",
    "ca-certificates",
    "fonts",
    "ld.so.cache",
    "localtime",
    "mime.types",
    "python3*",
    "ssl/certs",
)
_ETC += ("pki/ca-trust/extracted", "pki/tls/certs", "protocols", "services", "ssl/openssl.cnf")
_PREFIX = ("bin", "lib", "lib64", "pyvenv.cfg", "ssl")
"""What an interpreter needs of the directory it is installed in, which may also be somebody's project or home."""

_OWN = ("app", "dev", "proc", "run", "sys", "tmp")
"""Directories of a root file system that are not taken from there."""

_ALIASES = "/run/codabench/bin"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FILES = {
    "/etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1\tlocalhost codabench\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def image_named(name: str) -> Image:
    """``host``, or ``rootfs:/path``: nothing else can stand for an image here.

    Raises
    ------
    ImageNotFound
        If it is neither; the sandbox pulls nothing.
    """
    at = f"linux/{architecture(platform.machine())}"
    if name == HOST:
        version = platform.python_version()
        return Image(name=name, id=f"host:python-{version}:{_fingerprint(_installed(sys.path))}", platform=at)
    if name.startswith(ROOTFS):
        root = Path(name.removeprefix(ROOTFS))
        if root.is_absolute() and (root / "usr").is_dir():
            return Image(name=name, id=f"{name}:{_fingerprint(_contents(root))}", platform=at)
        raise ImageNotFound(
            f"{name}: {root} is not the root of a file system: no directory {root / 'usr'}",
            hint="an absolute path with usr, bin and lib in it; `docker export` or `debootstrap` make one",
        )
    raise ImageNotFound(
        f"the image {name} is not there: the sandbox has no images, and to take this machine's own Python instead is "
        "refused unless somebody asks for it",
        hint="`--image host` runs the programs with this machine's Python, `--image rootfs:/path` with a file system "
        "of yours; or use docker or podman",
    )


def _installed(places: Iterable[str]) -> list[str]:
    """Names and versions of the distributions in some directories, which decide what a program computes."""
    found = (glob.glob("*.*-info", root_dir=place) for place in places if place)
    return sorted(name for names in found for name in names)


def _contents(root: Path) -> list[str]:
    """Which packages a root file system holds, as far as files say that distributions keep."""
    lists = ("etc/os-release", "var/lib/dpkg/status", "lib/apk/db/installed")
    texts = [hashlib.sha256(file.read_bytes()).hexdigest() for name in lists if (file := root / name).is_file()]
    places = [*root.glob("usr/lib/python3*/*-packages"), *root.glob("usr/local/lib/python3*/*-packages")]
    return [*texts, *sorted(p.name for p in root.glob("usr/*bin/python3*")), *_installed(map(str, places))]


def _fingerprint(words: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()[:16]


class View:
    """The file system of one container.

    Parameters
    ----------
    paths
        Further directories of this host to show, read-only, under their own names.
    """

    def __init__(self, spec: ContainerSpec, paths: Iterable[str] = ()) -> None:
        self._spec = spec
        self._root = spec.image.name.removeprefix(ROOTFS) if spec.image.name.startswith(ROOTFS) else None
        self._shown: dict[str, str] = {}
        self._links: dict[str, str] = {}
        for entry in _system(self._root):
            self._show(entry, entry.removeprefix(self._root or ""))
        for path in paths:
            self._show(path, path)
        if self._root is None:
            for path in _python():
                self._show(path, path)
            for name in ("python", "python3"):
                self._links[f"{_ALIASES}/{name}"] = sys.executable
        if spec.network is Network.OPEN and os.path.exists(f"{self._root or ''}/etc/resolv.conf"):
            self._shown["/etc/resolv.conf"] = os.path.realpath("/etc/resolv.conf")

    def _show(self, source: str, target: str) -> None:
        if os.path.islink(source) and target.count("/") == 1:
            self._links[target] = os.readlink(source)  # /bin -> usr/bin
        elif os.path.exists(source):
            self._shown[target] = source

    @property
    def sources(self) -> list[str]:
        """Every path of this host that is bound."""
        return [*self._shown.values(), *(m.source for m in self._spec.mounts)]

    @property
    def files(self) -> dict[str, bytes]:
        """Files that are made for the container."""
        return {} if self._root else {path: text.encode() for path, text in _FILES.items()}

    def arguments(self, staged: dict[str, str], descriptors: dict[str, int]) -> list[str]:
        """Words for bubblewrap that make it.

        Parameters
        ----------
        staged
            Source -> path where bubblewrap finds it; what is missing is at its own path.
        descriptors
            Path of one of `files` -> descriptor with its content.
        """
        spec = self._spec
        # First what is empty: an interpreter may well be installed below /tmp.
        words = ["--proc", "/proc", "--dev", "/dev", *_memory("/dev/shm", spec.limits.shm), "--remount-ro", "/dev"]  # noqa: S108
        words += _memory("/tmp", spec.limits.tmp)  # noqa: S108 - inside the container
        for target, source in sorted(self._shown.items()):
            words += ["--ro-bind", staged.get(source, source), target]
        for target, link in self._links.items():
            words += ["--symlink", link, target]
        for target, descriptor in descriptors.items():
            words += ["--perms", "0644", "--file", str(descriptor), target]
        words += _binds(spec.mounts, staged)
        words += ["--dir", spec.workdir] if not _is_below(spec.workdir, spec.mounts) else []
        words += ["--remount-ro", "/"] if spec.read_only_root else []
        return [*words, "--chdir", spec.workdir]

    def environment(self) -> dict[str, str]:
        """The whole environment of the program."""
        path = _PATH if self._root else f"{os.path.dirname(sys.executable)}:{_PATH}:{_ALIASES}"
        return {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8", **self._spec.env}  # noqa: S108 - inside the container


def _system(root: str | None) -> list[str]:
    """Directories and links at the top of the system, and what is needed of the host's ``/etc``."""
    if root is not None:
        return sorted(entry.path for entry in os.scandir(root) if entry.name not in _OWN)
    etc = [found for name in _ETC for found in glob.glob(f"/etc/{name}")]
    return ["/usr", *(f"/{name}" for name in _SYSTEM), *etc]


def _python() -> list[str]:
    """Where the Python that runs this library lies: its prefixes, and those that its links lead through."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    link = sys.executable
    while os.path.islink(link):
        prefixes.add(os.path.dirname(os.path.dirname(link)))
        link = os.path.join(os.path.dirname(link), os.readlink(link))
    prefixes.add(os.path.dirname(os.path.dirname(os.path.normpath(link))))
    outside = (p for p in prefixes if p not in ("", "/") and os.path.commonpath([p, "/usr"]) != "/usr")
    return [os.path.join(prefix, part) for prefix in sorted(outside) for part in _PREFIX]


def _memory(place: str, size: int | None) -> list[str]:
    bound = [] if size is None else ["--size", str(size)]
    return ["--perms", "1777", *bound, "--tmpfs", place]


def _binds(mounts: Iterable[Mount], staged: dict[str, str]) -> list[str]:
    """Outer before inner. A directory with another one inside it is closed only when that is in its place."""
    words, closing = [], []
    listed = sorted(mounts, key=lambda m: m.target.count("/"))
    for mount in listed:
        inner = any(_is_below(other.target, (mount,)) for other in listed if other is not mount)
        closed = mount.read_only and not inner
        words += ["--ro-bind" if closed else "--bind", staged.get(mount.source, mount.source), mount.target]
        if mount.read_only and inner:
            closing += ["--remount-ro", mount.target]
    return words + closing


def _is_below(path: str, mounts: Iterable[Mount]) -> bool:
    return any(path == m.target or path.startswith(m.target.rstrip("/") + "/") for m in mounts)
