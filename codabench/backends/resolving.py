"""From the name of an image to what the engine runs."""

from __future__ import annotations

from typing import Any, Literal

from codabench.backends.driver import Driver
from codabench.backends.engine import Emit, Image
from codabench.backends.naming import digest_of, id_of, platform_of, same_platform
from codabench.core.errors import EngineError, ImageNotFound


def resolve(
    engine: str,
    driver: Driver,
    name: str,
    pull: Literal["missing", "always", "never"],
    platform: str | None,
    emit: Emit | None,
    timeout: float | None,
) -> Image:
    """As `ContainerEngine.resolve`. Nothing is remembered between calls: tags move."""
    found = _find(driver, name) if pull != "always" else None
    other = found is not None and platform is not None and not same_platform(platform_of(found), platform)
    if (found is None or other) and pull != "never":
        driver.pull(name, platform, emit, timeout)
        found = _find(driver, name)
    if found is None:
        raise ImageNotFound(
            f"the image {name} is not in {engine}",
            hint=f"`{engine} pull {name}`, or let it be pulled, or name another image with `--image`",
        )
    if platform is not None and not same_platform(platform_of(found), platform):
        raise ImageNotFound(
            f"the image {name} in {engine} is for {platform_of(found)}, and {platform} was asked for",
            hint="pull it for that platform, or leave the platform out",
        )
    return Image(
        name=name,
        id=id_of(found),
        digest=digest_of(name, found.get("RepoDigests") or ()),
        platform=platform_of(found),
        size=found.get("Size"),
    )


def _find(driver: Driver, name: str) -> dict[str, Any] | None:
    try:
        return driver.inspect_image(name)
    except EngineError as error:
        if "invalid reference" not in error.message:
            raise
        raise ImageNotFound(
            f"{name!r} cannot be the name of an image",
            hint="names are lower case, with an optional tag: `python:3.12-slim`",
        ) from error
