"""A PostgreSQL server, from the packages of the machine."""

from __future__ import annotations

import pwd
import shutil
import subprocess
import zlib

from machine import BED, SYSTEM_PATH, BedError, find, run
from services import Service

OWNER = "postgres"
"""The user that the package makes; the server refuses to run as root."""
ROLE = "codabench"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # the machine does not lose its power in a test
    "max_connections": "300",
}


class Postgres(Service):
    """The server listens on 127.0.0.1 only, at a port that depends on where the test bed lies, without a password."""

    programs = ("postgres",)
    has_images = False

    def __init__(self) -> None:
        super().__init__("postgres")
        self.port = 17000 + zlib.crc32(bytes(BED)) % 1000

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{ROLE}@127.0.0.1:{self.port}/postgres"

    def answers(self, timeout: float = 5.0) -> bool:
        program = find("pg_isready")
        if program is None:
            return False
        asked = [program, "--quiet", "--host=127.0.0.1", f"--port={self.port}", f"--timeout={max(1, int(timeout))}"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    def launch(self) -> subprocess.Popen[bytes]:
        owner, data = pwd.getpwnam(OWNER), self.home / "data"
        who = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": [], "cwd": "/"}
        environment = {"PATH": SYSTEM_PATH, "HOME": owner.pw_dir}
        shutil.chown(self.home, owner.pw_uid, owner.pw_gid)
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)
            made = [_program("initdb"), "-D", str(data), "-A", "trust", "-U", ROLE, "-E", "UTF8", "--locale=C.UTF-8"]
            run([*made, "--no-sync"], env=environment, **who)
        (data / "postmaster.pid").unlink(missing_ok=True)  # of a server that was killed; nothing of ours runs here
        options = [f"--{name}={value}" for name, value in SETTINGS.items()]
        options += [f"--port={self.port}", "--unix_socket_directories="]  # a socket has a lock file that stays, too
        del who["cwd"]
        return self.spawn([_program("postgres"), "-D", str(data), *options], env=environment, **who)

    def stop(self) -> None:
        self.end_daemon()


def _program(name: str) -> str:
    found = find(name)
    if found is None:
        raise BedError(f"no program {name}: install PostgreSQL")
    return found
