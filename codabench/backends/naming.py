"""Names of images and platforms, as engines write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from codabench.core.granting import holds

HUB = "docker.io"
"""The registry of names that say none."""


@dataclass(frozen=True)
class Reference:
    """The name of an image, in parts: ``ghcr.io/lab/image:2`` has the host ``ghcr.io``, the path ``lab/image``."""

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def version(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or "latest"

    @property
    def repository(self) -> str:
        """Host and path."""
        return f"{self.host}/{self.path}"


def reference_of(name: str) -> Reference:
    """The parts of a name, as engines read it: the first word is a host if it has a dot or a colon."""
    rest, _, digest = name.partition("@")
    first, slash, others = rest.partition("/")
    has_host = bool(slash) and (first == "localhost" or re.search(r"[.:]", first) is not None)
    host, path = (first, others) if has_host else (HUB, rest)
    tag = None
    if ":" in path.rpartition("/")[2]:
        path, _, tag = path.rpartition(":")
    if host in (HUB, "index.docker.io"):
        host, path = HUB, path if "/" in path else f"library/{path}"
    return Reference(host, path, tag, digest or None)


def is_permitted(name: str, registries: tuple[str, ...]) -> bool:
    """Whether an image comes from one of these: hosts (``ghcr.io``) or parts of one (``docker.io/codalab``).

    Names are compared by whole words: ``ghcr.io/lab`` does not permit ``ghcr.io/laboratory/image``.
    """
    repository = reference_of(name).repository
    return any(holds(entry, repository) for entry in registries)


def id_of(found: dict[str, Any]) -> str:
    name = str(found["Id"])
    return name if ":" in name else f"sha256:{name}"


def platform_of(found: dict[str, Any]) -> str:
    parts = (found.get("Os") or "linux", found.get("Architecture") or "", found.get("Variant") or "")
    return "/".join(p for p in parts if p)


def same_platform(have: str, want: str) -> bool:
    """Variants count only where both name one: ``linux/arm64`` is ``linux/arm64/v8``."""
    return all(a == b for a, b in zip(have.split("/"), want.split("/"), strict=False))


def digest_of(name: str, digests: Any) -> str | None:
    """``sha256:...`` of the manifest in the repository of that name; one that was built here is in none."""
    repository = name.partition("@")[0]
    if ":" in repository.rpartition("/")[2]:
        repository = repository.rpartition(":")[0]
    known = (str(d).rpartition("@") for d in digests)
    fetched = ((repo, digest) for repo, _, digest in known if not repo.startswith("localhost/"))
    return next((d for repo, d in fetched if repo == repository or repo.endswith(f"/{repository}")), None)


def architecture(name: str) -> str:
    """``amd64`` for ``x86_64``: images and hosts name the same thing differently."""
    return {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}.get(name, name)
