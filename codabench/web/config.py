"""`Settings` of a server: a file, ``CODABENCH__SECTION__KEY`` in the environment, and where each value came from."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from codabench.core.errors import UsageError
from codabench.core.text import did_you_mean
from codabench.site.redaction import HIDDEN
from codabench.site.settings import SiteSettings

FILE = "codabench.toml"
PREFIX = "CODABENCH__"
PLACE, DATABASE = "CODABENCH_WORKSPACE", "CODABENCH_DB"

_PLAIN = ("endpoint_url", "region_name", "anon", "use_ssl", "profile", "project")
"""Options of storages that are no secrets; of the others nobody knows."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DatabaseSettings(_Section):
    """Where the rows are.

    Attributes
    ----------
    url
        An SQLAlchemy URL; None: a file beside the storage.
    password, password_file
        The password for `url`, so that it need not stand there.
    """

    url: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None

    def whole_url(self) -> str | None:
        """The URL with its password.

        Raises
        ------
        UsageError
            ``CB821``: the file of the password cannot be read, or the URL is none.
        """
        if self.url is None:
            return None
        try:
            url = make_url(self.url)
            word = self.password.get_secret_value() if self.password else None
            if self.password_file is not None:
                word = self.password_file.read_text().strip()
        except (ArgumentError, OSError, UnicodeDecodeError) as error:
            raise UsageError(f"db: {error}", code="CB821") from error
        return (url.set(password=word) if word else url).render_as_string(hide_password=False)


class StorageSettings(_Section):
    """Where files are: a directory, or any fsspec URL with what it needs."""

    url: str = ".codabench"
    options: dict[str, Any] = {}
    cache: Path | None = None
    cache_bytes: str | int | None = None


class ServerSettings(_Section):
    """Where it listens, and what stands before it.

    Attributes
    ----------
    host, port
        Beyond this machine only with a ``site.url``, which says under which name, and how, people come.
    proxies
        Addresses of reverse proxies whose ``X-Forwarded-For`` and ``-Proto`` are believed.
    hosts
        Names under which it answers, beside that of ``site.url`` and those of this machine.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    proxies: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    json_logs: bool = False
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = "info"


class RunSettings(_Section):
    """Where submissions run: as ``--backend`` of ``codabench dispatch``.

    Attributes
    ----------
    backend
        ``"auto"``, ``"docker"``, ``"podman"``, or the address of a Dask cluster.
    jobs
        Runs at the same time on this host; 0: none, other processes dispatch.
    memory, cpus, network
        What programs are granted at most.
    data
        Directories of this host that runs may ask for, read-only: name -> path.
    """

    backend: str = "auto"
    jobs: Annotated[int, Field(ge=0)] | None = None
    memory: str | int | None = None
    cpus: float | None = None
    network: Annotated[str, Field(pattern="^(none|proxy|open)$")] | None = None
    data: dict[str, Path] = {}


class Settings(_Section):
    """Everything that can be set. Nothing has to be."""

    site: SiteSettings = SiteSettings()
    db: DatabaseSettings = DatabaseSettings()
    storage: StorageSettings = StorageSettings()
    server: ServerSettings = ServerSettings()
    runs: RunSettings = RunSettings()

    @classmethod
    def load(cls, file: str | os.PathLike[str] | None = None) -> Settings:
        """From a file and the environment; see `load`."""
        return load(file).settings


class Loaded(NamedTuple):
    """Settings, and where each value that is not the usual one came from: ``"db.url"`` -> ``"codabench.toml"``."""

    settings: Settings
    origins: dict[str, str]

    def origin(self, name: str) -> str | None:
        """Where a value came from, or the values in it; None: it is the usual one."""
        within = {origin for each, origin in self.origins.items() if each == name or each.startswith(f"{name}.")}
        return ", ".join(sorted(within)) or None


def load(
    file: str | os.PathLike[str] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
) -> Loaded:
    """Put settings together; later ones win: the usual, the file, the environment, what was given.

    Parameters
    ----------
    file
        None: ``codabench.toml`` here, if there is one.
    environment
        None: that of this process.
    given
        Values by their names, ``{"server.port": 80}``; None as a value: not given.

    Raises
    ------
    UsageError
        ``CB820``: there is no such file, or it is no TOML. ``CB821``: what it says cannot be; all of it at once.
    """
    environment = os.environ if environment is None else environment
    layers = [_of_file(file), *_of_environment(environment)]
    layers.append(("the command line", _nested({k: v for k, v in (given or {}).items() if v is not None})))
    if not any(name == "storage.url" for _, values in layers for name, _ in leaves(values)):
        layers[:0] = _of_workspace(environment)
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, values in layers:
        _lay_over(merged, values)
        origins |= {name: origin for name, _ in leaves(values)}
    try:
        return Loaded(Settings.model_validate(merged), origins)
    except ValidationError as error:
        raise UsageError(
            _said(error, origins), code="CB821", hint="codabench config show tells what there is"
        ) from error


def leaves(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything that is no section."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{before}{name}.")
        else:
            yield before + name, value


def _of_file(file: str | os.PathLike[str] | None) -> tuple[str, dict[str, Any]]:
    path = Path(file) if file is not None else Path(FILE)
    if file is None and not path.is_file():
        return FILE, {}
    try:
        return str(path), tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"the settings in {path} cannot be read: {error}", code="CB820") from error


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """One layer for each variable, so that each value knows its own; lists and tables are written as JSON."""
    for name in sorted(environment):
        if name.upper().startswith(PREFIX):
            text = environment[name]
            value = _json(name, text) if text.lstrip()[:1] in ("[", "{") else text
            yield f"${name}", _nested({name[len(PREFIX) :].lower().replace("__", "."): value})


def _of_workspace(environment: Mapping[str, str]) -> list[tuple[str, dict[str, Any]]]:
    """The workspace that the environment names for every command, and its database, which belongs to no other."""
    if not environment.get(PLACE):
        return []
    named = {PLACE: "storage.url", DATABASE: "db.url"}
    return [(f"${name}", _nested({of: environment[name]})) for name, of in named.items() if environment.get(name)]


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{name} is no JSON: {error}", code="CB820") from error


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """``{"a.b": 1}`` as ``{"a": {"b": 1}}``."""
    made: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        place = made
        for each in above:
            place = place.setdefault(each, {})
        place[last] = value
    return made


def _lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for name, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(name), dict):
            _lay_over(below[name], value)
        else:
            below[name] = dict(value) if isinstance(value, Mapping) else value


def _said(error: ValidationError, origins: Mapping[str, str]) -> str:
    """Every mistake with the name of its setting, where it was set, and what may have been meant."""
    lines = []
    for each in error.errors(include_url=False, include_input=False):
        name = ".".join(str(part) for part in each["loc"])
        origin = next(
            (origins[n] for n in origins if n == name or n.startswith(f"{name}.") or name.startswith(f"{n}.")), ""
        )
        text = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            guess = did_you_mean(name, known_names())
            text = f"there is no such setting{f'; did you mean {guess}?' if guess else ''}"
        lines.append(f"{origin + ': ' if origin else ''}{name}: {text}")
    return "\n".join(lines)


def shown(settings: Settings) -> list[tuple[str, Any]]:
    """(name, value) of every setting, as JSON has it; of what is secret only whether it is set."""
    return [(name, _hidden(name, value)) for name, value in leaves(settings.model_dump(mode="json"))]


def _hidden(name: str, value: Any) -> Any:
    if value in (None, ""):
        return None
    last = name.rpartition(".")[2]
    if name == "db.url":
        return make_url(value).render_as_string(hide_password=True)
    secret = name in ("site.mail_url", "db.password") or (name.startswith("storage.options.") and last not in _PLAIN)
    return HIDDEN if secret else value


def known_names() -> list[str]:
    """The name of every setting."""
    return [name for name, _ in leaves(Settings().model_dump(mode="python"))]
