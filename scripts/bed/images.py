"""Images made of the machine's own Debian packages: no registry is needed.

A recipe gives a folder; the folder becomes a tar archive, kept under a name that depends on the recipe and on the
versions of the packages; the archive is imported where the image is not there yet.
"""

from __future__ import annotations

import hashlib
import inspect
import io
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from machine import BED, BedError, run, say
from services import Podman, Service

LABEL = "codabench.test.recipe"
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
GROUP = "root:x:0:\nnogroup:x:65534:\n"
ENTRYPOINT = '#!/bin/sh\nCODABENCH_TEST_ENTRYPOINT=ran\nexport CODABENCH_TEST_ENTRYPOINT\nexec "$@"\n'

ASKED_FOR = (
    *(f"codalab/codalab-legacy:{tag}" for tag in ("py37", "py39", "py312", "py3", "latest")),
    *(f"python:{tag}" for tag in ("3.11-slim", "3.12-slim")),
)
"""Names that bundles ask for; here they are all the same Python image."""


@dataclass(frozen=True)
class TestImage:
    """An image, the recipe of its files, its configuration as Dockerfile instructions, its other names."""

    name: str
    recipe: Callable[[Path], None]
    packages: Callable[[], list[str]]
    changes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = field(default=())


def python_name() -> str:
    """``python3.11``: Debian's own Python, whatever is first on PATH."""
    return os.path.basename(os.path.realpath("/usr/bin/python3"))


def python_packages() -> list[str]:
    name = python_name()
    return [name, f"{name}-minimal", f"lib{name}-minimal", f"lib{name}-stdlib"]


def skeleton(root: Path) -> None:
    """The folders and files that every image has, and busybox for its commands."""
    for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/local/bin", "etc", "root", "proc", "sys", "dev"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    for folder in ("tmp", "var/tmp"):
        (root / folder).mkdir(parents=True)
        (root / folder).chmod(0o1777)
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    (root / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
    copy("/bin/busybox", root)
    for applet in run(["/bin/busybox", "--list"]).split():
        (root / "usr/bin" / applet).symlink_to("busybox") if applet != "busybox" else None


def python_root(root: Path) -> None:
    """Debian's Python, complete but for pip, byte-compiled; bash; an entry point for the image that wants one."""
    skeleton(root)
    name = python_name()
    listed = run(["dpkg", "-L", *python_packages()]).split("\n")
    wanted = re.compile(rf"/(usr/)?(bin|lib)/|/etc/{re.escape(name)}/")
    files = [each for each in listed if wanted.match(each) and not Path(each).is_dir()]
    for each in [*files, "/bin/bash"]:
        copy(each, root)
    objects = [each for each in files if each.endswith(".so")] + [f"/usr/bin/{name}", "/bin/bash"]
    linked = set(re.findall(r"(/\S+)\s+\(0x", run(["ldd", *objects])))
    # Loaded by name when a thread is ended at exit; without it Python aborts there, now and then.
    unwinder = set(re.findall(r"=> (/\S+libgcc_s\.so\.1)", run(["/sbin/ldconfig", "-p"])))
    for library in sorted(linked | unwinder):
        copy(library, root)
    for alias in ("python3", "python"):
        (root / "usr/bin" / alias).symlink_to(name)
    compiled = ["-q", "-j0", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"]
    run([f"/usr/bin/{name}", "-m", "compileall", *compiled, str(root / "usr/lib" / name)])
    shutil.copyfile(root / "usr/bin/bash", root / "usr/bin/setuid-bash")  # for programs that try to become root
    (root / "usr/bin/setuid-bash").chmod(0o4755)
    (root / "entrypoint").write_text(ENTRYPOINT)
    (root / "entrypoint").chmod(0o755)


def copy(path: str, root: Path) -> None:
    """A file of this machine to the same place below `root`, symbolic links with what they lead to."""
    folder, name = os.path.split(path)
    folder = re.sub(r"^/(bin|sbin|lib|lib64)(?=/|$)", r"/usr/\1", folder)
    target = root / folder.lstrip("/") / name
    if target.is_symlink() and os.readlink(target) == "busybox":
        target.unlink()
    if os.path.lexists(target) or not Path(path).exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if Path(path).is_symlink():
        target.symlink_to(os.readlink(path))
        copy(os.path.normpath(os.path.join(os.path.dirname(path), os.readlink(path))), root)
    else:
        shutil.copyfile(path, target)
        target.chmod(stat.S_IMODE(Path(path).stat().st_mode))


def images() -> list[TestImage]:
    """Every image of the test bed."""
    python = ("ENV " + PATH, "ENV LANG=C.UTF-8", 'CMD ["python3"]')
    return [
        TestImage("codabench/test-tiny:1", skeleton, lambda: ["busybox-static"], ("ENV " + PATH, 'CMD ["/bin/sh"]')),
        TestImage("codabench/test-python:1", python_root, python_packages, python, ASKED_FOR),
        TestImage("codabench/test-entrypoint:1", python_root, python_packages, (*python, 'ENTRYPOINT ["/entrypoint"]')),
    ]


def archive(image: TestImage) -> Path:
    """The tar archive of the image's files; made once for a recipe and the versions of its packages."""
    versions = run(["dpkg-query", "-W", "busybox-static", "bash", *image.packages()])
    source = "".join(inspect.getsource(each) for each in (skeleton, python_root, copy, plain))
    key = hashlib.sha256(repr((source, PASSWD, GROUP, ENTRYPOINT, versions)).encode()).hexdigest()[:16]
    folder = BED / "images"
    folder.mkdir(exist_ok=True)
    target = folder / f"{image.recipe.__name__}-{key}.tar"
    if target.exists():
        return target
    say(f"making {target.name}")
    for old in folder.glob(f"{image.recipe.__name__}-*"):
        old.unlink()
    with tempfile.TemporaryDirectory(dir=folder) as made:
        root = Path(made) / "root"
        root.mkdir()
        image.recipe(root)
        with tarfile.open(Path(made) / "tar", "w") as tar:
            tar.add(root, arcname=".", filter=plain)
        (Path(made) / "tar").rename(target)
    return target


def plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """The same archive from the same files: owned by root, without times."""
    info.uid = info.gid = info.mtime = 0
    info.uname = info.gname = "root"
    if info.name == ".":
        info.mode = 0o755
    return info


class Store:
    """The images of one engine, through its HTTP interface."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.libpod = isinstance(service, Podman)
        self.prefix = "/v4.0.0/libpod" if self.libpod else "/v1.41"

    def full(self, name: str, pulled: bool) -> str:
        """How Podman calls an image that was made here, or pulled."""
        if not self.libpod:
            return name
        if not pulled:
            return f"localhost/{name}"
        return f"docker.io/{name}" if "/" in name else f"docker.io/library/{name}"

    def found(self, name: str) -> dict[str, object] | None:
        status, body = self.service.request("GET", f"{self.prefix}/images/{quote(name, safe='')}/json")
        return json.loads(body) if status == 200 else None

    def load(self, image: TestImage) -> None:
        """Import the image, unless that very one is there, and give it its other names."""
        tar = archive(image)
        recipe = hashlib.sha256(repr((tar.name, image.changes)).encode()).hexdigest()[:16]
        name = self.full(image.name, pulled=False)
        old = here = self.found(name)
        if here is None or (here.get("Config") or {}).get("Labels", {}).get(LABEL) != recipe:
            here = self.bring(name, tar, [*image.changes, f"LABEL {LABEL}={recipe}"])
        for alias in image.aliases:
            full = self.full(alias, pulled=True)
            other = self.found(full)
            if other is None or other["Id"] != here["Id"]:
                repository, _, tag = full.rpartition(":")
                self.post(f"images/{quote(name, safe='')}/tag?repo={quote(repository, safe='')}&tag={tag}")
        if old is not None and old["Id"] != here["Id"]:  # nameless by now; stays if a container still uses it
            self.service.request("DELETE", f"{self.prefix}/images/{quote(str(old['Id']), safe='')}")

    def bring(self, name: str, tar: Path, changes: list[str]) -> dict[str, object]:
        wanted = "&".join(f"changes={quote(each, safe='')}" for each in changes)
        if self.libpod:
            path = f"images/import?reference={quote(name, safe='')}&{wanted}"
        else:
            repository, _, tag = name.rpartition(":")
            path = f"images/create?fromSrc=-&repo={quote(repository, safe='')}&tag={tag}&{wanted}"
        say(f"{self.service.name}: importing {name}")
        with tar.open("rb") as body:
            self.post(path, body)
        here = self.found(name)
        if here is None:
            raise BedError(f"{self.service.name}: {name} was imported and is not there")
        return here

    def post(self, path: str, body: io.BufferedReader | None = None) -> None:
        status, answer = self.service.request("POST", f"{self.prefix}/{path}", body)
        if status >= 300 or b'"errorDetail"' in answer:
            raise BedError(f"{self.service.name}: {path}: {status} {answer.decode(errors='replace')[:1000]}")
