"""The virtual environment of the checkout, and a copy of both for another user."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from machine import BedError, as_user, run, say, user_environment

STAMP = "codabench-stamp"


def folder(root: Path) -> Path:
    return root / ".venv"


def fingerprint(root: Path) -> str:
    """Changes when what should be installed does."""
    return hashlib.sha256((root / "pyproject.toml").read_bytes() + sys.version.encode()).hexdigest()


def requirements(root: Path) -> list[str]:
    """Ourselves in place with every extra, and the development group (older pips do not know groups)."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    return ["--editable", f"{root}[all]", *project["dependency-groups"]["dev"]]


def ensure(root: Path) -> Path:
    """The Python of ``.venv``, made when it is missing and renewed when pyproject.toml has changed."""
    venv, wanted = folder(root), fingerprint(root)
    python, stamp = venv / "bin/python", venv / STAMP
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    say(f"installing into {venv}")
    stamp.unlink(missing_ok=True)
    run([sys.executable, "-m", "venv", "--clear", str(venv)])
    install(python, requirements(root))
    stamp.write_text(wanted)
    return python


def install(python: Path, wanted: list[str]) -> None:
    """By uv, which takes a sixth of the time, or by pip, which is always there. Byte-compiled: the tests fork a lot."""
    quiet = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    uv = shutil.which("uv")
    if uv is None:
        with contextlib.suppress(BedError):
            run([str(python), "-m", "pip", "install", "-q", "uv"], env=quiet)
            uv = str(python.with_name("uv"))
    if uv is not None:
        try:
            run([uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python), *wanted], env=quiet)
        except BedError as error:
            say(f"{error}\ntrying pip instead of uv")
        else:
            return
    run([str(python), "-m", "pip", "install", "-q", "--compile", *wanted], env=quiet)


def copy_for(entry: pwd.struct_passwd, root: Path, target: Path) -> tuple[Path, Path]:
    """A copy of the checkout that this user owns, and the Python of a copy of its environment."""
    checkout, venv = target / "checkout", target / "venv"
    target.mkdir(mode=0o755, exist_ok=True)
    copy_checkout(root, checkout)
    for each in [checkout, *checkout.rglob("*")]:
        os.chown(each, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    copy_venv(root, venv, checkout)
    python = venv / "bin/python"
    try:
        run([str(python), "-c", "import codabench"], cwd="/", env=user_environment(entry), **as_user(entry))
    except (BedError, OSError) as error:
        raise BedError(
            f"{entry.pw_name} cannot use {folder(root)} ({os.path.realpath(folder(root) / 'bin/python')}): {error}\n"
            "Delete it: scripts/test makes it anew with a Python that every user can run."
        ) from error
    return checkout, python


def copy_checkout(root: Path, target: Path) -> None:
    """What git tracks or would track; without git, everything that is not a cache."""
    shutil.rmtree(target, ignore_errors=True)
    list_files = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    with contextlib.suppress(OSError):
        listed = subprocess.run(list_files, cwd=root, capture_output=True, check=False)
        if listed.returncode == 0:
            for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
                if (root / name).is_symlink() or (root / name).is_file():
                    (target / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(root / name, target / name, follow_symlinks=False)
            return
    shutil.copytree(root, target, symlinks=True, ignore=shutil.ignore_patterns(".*_cache", ".venv", ".git"))


def copy_venv(root: Path, target: Path, checkout: Path) -> None:
    """Hard links where the file system allows, so that it costs no time; only what names the old place is written."""
    wanted = (folder(root) / STAMP).read_text() + str(root)
    if (target / STAMP).exists() and (target / STAMP).read_text() == wanted:
        return
    shutil.rmtree(target, ignore_errors=True)
    try:
        run(["cp", "-al", str(folder(root)), str(target)])
    except BedError:
        shutil.rmtree(target, ignore_errors=True)
        run(["cp", "-a", str(folder(root)), str(target)])
    scripts = [each for each in (target / "bin").iterdir() if each.is_file() and not each.is_symlink()]
    for file in [*scripts, *target.glob("lib/python*/site-packages/*.pth")]:
        data = file.read_bytes()
        moved = data.replace(bytes(folder(root)), bytes(target)).replace(bytes(root), bytes(checkout))
        if moved != data and b"\0" not in data:
            mode = file.stat().st_mode
            file.unlink()  # not in place: the other name of a hard link would change too
            file.write_bytes(moved)
            file.chmod(mode)
    (target / STAMP).unlink(missing_ok=True)
    (target / STAMP).write_text(wanted)
