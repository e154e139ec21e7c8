"""Who we are at private registries: what ``docker login`` and ``podman login`` have kept, or what the caller gives.

Credentials go to the engine in a header of one call. They are never part of a command line, a message or a log.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codabench.backends.naming import HUB, Reference
from codabench.core.errors import UsageError

RegistryAuth = str | os.PathLike[str] | Mapping[str, tuple[str, str]]
"""A file as ``docker login`` writes it, or host -> (user, password)."""

VARIABLE = "CODABENCH_REGISTRY_AUTH"
_HUB_NAMES = ("https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", HUB)
_HELPER_SECONDS = 30
_TOKEN_USER = "<token>"  # noqa: S105 - what a helper says instead of a user where the secret is an identity token


@dataclass(frozen=True)
class Credentials:
    """What a registry wants to see. The secret is left out where it is printed."""

    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def header(self) -> dict[str, str]:
        """As engines take it, in the header X-Registry-Auth."""
        if self.token:
            return {"identitytoken": self.token}
        return {"username": self.user, "password": self.password}

    def hidden(self, text: str) -> str:
        """A text without the secret, whoever put it there."""
        for secret in (self.password, self.token):
            text = text.replace(secret, "***") if secret else text
        return text


def find_credentials(image: Reference, given: RegistryAuth | None = None) -> Credentials | None:
    """The credentials for an image; None: nobody has any, and the registry is asked without.

    Looked for in this order: `given`, the file that CODABENCH_REGISTRY_AUTH names, the one that REGISTRY_AUTH_FILE
    names, those of ``podman login``, those of ``docker login``. In each file: the helper for this host, the entry of
    the longest part of the name (``quay.io/lab`` before ``quay.io``), the store for all hosts.

    Raises
    ------
    UsageError
        If a file that was named cannot be read (CB358).
    """
    if isinstance(given, Mapping):
        for name in _names(image):
            if name in given:
                user, password = given[name]
                return Credentials(user, password)
        given = None
    for path, must_be in _files(given):
        found = _in_file(path, image, must_be=must_be)
        if found is not None:
            return found
    return None


def _files(given: str | os.PathLike[str] | None) -> Iterator[tuple[Path, bool]]:
    """Where credentials may be, and whether it is an error if they are not."""
    for named in (given, os.environ.get(VARIABLE), os.environ.get("REGISTRY_AUTH_FILE")):
        if named:
            yield Path(named).expanduser(), True
    home = Path(os.environ.get("HOME") or Path.home())
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/containers/{os.getuid()}"
    yield Path(runtime, "containers", "auth.json"), False
    yield Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config", "containers", "auth.json"), False
    yield Path(os.environ.get("DOCKER_CONFIG") or home / ".docker", "config.json"), False


def _in_file(path: Path, image: Reference, *, must_be: bool) -> Credentials | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no JSON object")
    except (OSError, ValueError) as error:
        if must_be:
            raise UsageError(
                f"the registry credentials {path} cannot be read: {type(error).__name__}",
                code="CB358",
                hint="name a file as `docker login` writes it: ~/.docker/config.json",
            ) from None  # the error may quote the file
        return None
    helpers, entries = _mapping(found, "credHelpers"), _mapping(found, "auths")
    for name in _names(image):
        if name in helpers:
            return _from_helper(str(helpers[name]), name)
    for name in _names(image):
        for key in (name, f"https://{name}", f"https://{name}/", f"https://{name}/v1/", f"https://{name}/v2/"):
            if key in entries and (own := _from_entry(entries[key])) is not None:
                return own
    store = found.get("credsStore")
    hosts = _HUB_NAMES if image.host == HUB else (image.host,)
    asked = (_from_helper(str(store), host) for host in hosts) if store else iter(())
    return next((each for each in asked if each is not None), None)


def _mapping(document: dict[str, Any], key: str) -> dict[str, Any]:
    found = document.get(key)
    return found if isinstance(found, dict) else {}


def _names(image: Reference) -> Iterator[str]:
    """Keys that an entry may have, from the most special one."""
    words = image.repository.split("/")
    for n in range(len(words), 0, -1):
        yield "/".join(words[:n])
    if image.host == HUB:
        yield from _HUB_NAMES


def _from_entry(entry: Any) -> Credentials | None:
    if not isinstance(entry, dict):
        return None
    if entry.get("identitytoken"):
        return Credentials(token=str(entry["identitytoken"]))
    if entry.get("auth"):
        try:
            user, colon, password = base64.b64decode(str(entry["auth"])).decode().partition(":")
        except ValueError:
            return None
        return Credentials(user, password.rstrip("\0")) if colon else None
    if entry.get("username") and entry.get("password"):
        return Credentials(str(entry["username"]), str(entry["password"]))
    return None


def _from_helper(name: str, host: str) -> Credentials | None:
    """Ask ``docker-credential-NAME``: the host goes in by its standard input, the secret comes out of its output."""
    if "/" in name:
        return None
    try:
        ran = subprocess.run(
            [f"docker-credential-{name}", "get"],
            input=host,
            capture_output=True,
            text=True,
            timeout=_HELPER_SECONDS,
            check=False,
        )
        said = json.loads(ran.stdout) if ran.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None  # no such helper, or none that can be used: the registry says what it wants
    if not isinstance(said, dict) or not said.get("Secret"):
        return None
    user, secret = str(said.get("Username") or ""), str(said["Secret"])
    return Credentials(token=secret) if user == _TOKEN_USER else Credentials(user, secret)
