"""The test bed: real engines with small images, for the tests of codabench.

scripts/testbed up [NAME...]      start what does not answer; prints the names of what was started
scripts/testbed down [NAME...]    stop it; --purge also deletes images, containers and the test bed's folder
scripts/testbed env               shell exports: where everything is
scripts/testbed status            what answers
"""

from __future__ import annotations

import argparse
import getpass
import os
import shlex
import shutil
import sys
from pathlib import Path

from images import Store, images
from machine import BED, USER, BedError, ensure_user, install, is_root, locked, say
from objects import KEYS, S3
from postgres import Postgres
from services import BRIDGE_ADDRESS, BlindDocker, Docker, Podman, RootlessPodman, Service, unmount_below


def services() -> list[Service]:
    """All of them, in the order in which they start."""
    return [Docker("docker"), BlindDocker("blind"), Podman(), RootlessPodman(), S3(), Postgres()]


def chosen(names: list[str]) -> list[Service]:
    known = {each.name: each for each in services()}
    for name in names:
        if name not in known:
            raise BedError(f"no service {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(known.values())


def after_reboot() -> None:
    boot, noted = Path("/proc/sys/kernel/random/boot_id").read_text(), BED / "boot"
    if noted.exists() and noted.read_text() != boot:
        for each in services():
            if isinstance(each, Podman):
                each.forget_boot()
    noted.write_text(boot)


def up(names: list[str]) -> list[str]:
    """Start what does not answer, bring the images; returns the names of what had to be started."""
    wanted = chosen(names)
    if not is_root():
        silent = [each.name for each in wanted if not each.only_root and not each.answers()]
        if silent:
            raise BedError(
                f"{', '.join(silent)}: no answer to {getpass.getuser()}, and starting takes root: "
                f"sudo scripts/testbed up (then as a member of group docker, for rootless Podman as {USER})"
            )
        return []
    started = []
    with locked():
        install()
        ensure_user()
        after_reboot()
        for each in wanted:
            if each.start():
                started.append(each.name)
            for image in images() if each.has_images else ():
                Store(each).load(image)
    return started


def down(names: list[str], purge: bool) -> None:
    if not is_root():
        raise BedError("stopping takes root: sudo scripts/testbed down")
    with locked():
        for each in reversed(chosen(names)):
            each.stop()
            if purge:
                unmount_below(each.home)
                shutil.rmtree(each.home, ignore_errors=True)
    if purge and not names:
        shutil.rmtree(BED)


def environment() -> dict[str, str]:
    """What the tests read. DOCKER_HOST and CONTAINER_HOST lead the commands ``docker`` and ``podman`` there as well."""
    url = {each.name: each.url for each in services()}
    return {
        "CODABENCH_TEST_DOCKER": url["docker"],
        "CODABENCH_TEST_DOCKER_BLIND": url["blind"],
        "CODABENCH_TEST_PODMAN": url["podman"],
        "CODABENCH_TEST_PODMAN_ROOTLESS": url["rootless"],
        "CODABENCH_TEST_S3": url["s3"],
        "CODABENCH_TEST_S3_KEY": KEYS["owner"][0],
        "CODABENCH_TEST_S3_SECRET": KEYS["owner"][1],
        "CODABENCH_TEST_S3_GUEST_KEY": KEYS["guest"][0],
        "CODABENCH_TEST_S3_GUEST_SECRET": KEYS["guest"][1],
        "CODABENCH_TEST_POSTGRES": url["postgres"],
        "CODABENCH_TEST_HOST": BRIDGE_ADDRESS.partition("/")[0],
        "CODABENCH_TEST_IMAGE": "codabench/test-python:1",
        "CODABENCH_TEST_IMAGE_TINY": "codabench/test-tiny:1",
        "CODABENCH_TEST_IMAGE_ENTRYPOINT": "codabench/test-entrypoint:1",
        "CODABENCH_TEST_ROOTFS": next(map(str, (BED / "images").glob("python_root-*.tar")), ""),
        "DOCKER_HOST": url["docker"],
        "CONTAINER_HOST": url["podman"] if is_root() else url["rootless"],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/testbed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["up", "down", "env", "status"])
    parser.add_argument("names", nargs="*", metavar="NAME", help="; ".join(each.name for each in services()))
    parser.add_argument("--purge", action="store_true", help="with down: delete everything that the test bed made")
    asked = parser.parse_args()
    try:
        if asked.verb == "up":
            started = up(asked.names)
            print(*started, sep="\n", end="\n" if started else "")
        elif asked.verb == "down":
            down(asked.names, asked.purge)
        elif asked.verb == "env":
            for name, value in environment().items():
                print(f"export {name}={shlex.quote(value)}")
        else:
            answers = {each: each.answers() for each in chosen(asked.names)}
            for each, alive in answers.items():
                print(f"{each.name:10} {'answers' if alive else 'silent':8} {each.url}")
            return 0 if all(answers.values()) else 1
    except BedError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
