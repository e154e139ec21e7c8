"""Names of images and platforms, as engines write them."""

from __future__ import annotations

from typing import Any


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
