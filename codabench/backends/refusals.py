"""What engines and registries say when an image cannot be pulled, as an error with a cause, a fault and a next step.

Neither engine gives such failures a type of their own: the words are all there is, and they are quoted.
"""

from __future__ import annotations

import re

from codabench.backends.naming import reference_of
from codabench.core.errors import EngineError, ImageNotFound, RegistryError

_PLAIN = re.compile(r"HTTP response to HTTPS client|x509:|certificate", re.I)
_FULL = re.compile(r"no space left on device|disk quota exceeded|not enough space", re.I)
_LIES = re.compile(
    r"verification failed|digest did not match|digest mismatch|does not match|unsupported schema|"
    r"mediaType in manifest should be",
    re.I,
)
_ABSENT = re.compile(
    r"manifest unknown|name unknown|manifest invalid|not found|does not exist or may require|no matching manifest|"
    r"no image found in (manifest|image index)|StatusCode: 404|invalid reference|unsupported manifest media type|"
    r"parsing image configuration",
    re.I,
)
_DENIED = re.compile(
    r"unauthorized|authentication required|no basic auth|access .*denied|denied:|invalid username|forbidden|"
    r"StatusCode: 40[13]|status(?: code)?:? 40[13]",
    re.I,
)
_BUSY = re.compile(r"toomanyrequests|too many requests|rate limit|(HTTP|status|code):? 429", re.I)
_AWAY = re.compile(
    r"connection refused|no such host|timeout|timed out|deadline exceeded|unreachable|connection reset|EOF|no route|"
    r"request canceled|server misbehaving|temporary failure|broken pipe|status(?: code)?(?: from registry)?:? 5\d\d",
    re.I,
)


def refused(name: str, said: str, engine: str) -> EngineError:
    """The error that these words mean. Only what may go by itself is a `RegistryError` with ``passing``.

    An absent image is the organizer's to mend; everything else is the operator's.
    """
    image = reference_of(name)
    host = image.host
    words = said.replace(name, "").replace(image.path, "")  # an image may well be called `timeout`
    if _PLAIN.search(words):
        return RegistryError(
            f"the registry {host} of the image {name} has no encryption that {engine} trusts; it says: {said}",
            hint=_insecure(engine, host),
        )
    if _FULL.search(words):
        return EngineError(
            f"there is no room for the image {name} where {engine} keeps images; it says: {said}",
            code="CB609",
            hint="`codabench prune --images` removes images that codabench pulled and nothing uses",
        )
    if _LIES.search(words):
        return RegistryError(
            f"what the registry {host} sent for the image {name} is not what it announced, and was refused; "
            f"{engine} says: {said}",
            code="CB608",
            hint="a damaged transfer, a broken proxy, or a registry that cannot be trusted: ask who runs it",
            passing=True,
        )
    if _DENIED.search(words) and not _ABSENT.search(words):
        return RegistryError(
            f"the registry {host} does not give out the image {name} to us; it says: {said}",
            code="CB607",
            hint=f"`{engine} login {host}`, as the user who runs codabench",
        )
    if _ABSENT.search(words) and not _AWAY.search(words):
        private = " (a private image looks the same from outside)" if _DENIED.search(words) else ""
        return ImageNotFound(
            f"the image {name} is not here and could not be pulled; the registry says: {said}",
            hint=f"check the name and the tag, `{engine} login {host}`{private}, or name another image with `--image`",
        )
    if _BUSY.search(words):
        return RegistryError(
            f"the registry {host} lets nobody pull {name} so soon again; it says: {said}",
            hint=f"wait, or `{engine} login {host}`: registries give those they know more",
            passing=True,
        )
    return RegistryError(
        f"the image {name} is not here and its registry {host} does not deliver it; {engine} says: {said}",
        hint=f"is this machine offline, or the registry down? Try `{engine} pull {name}` by hand, "
        "or bring the image beforehand",
        passing=True,
    )


def _insecure(engine: str, host: str) -> str:
    if engine == "podman":
        return (
            f'for a registry without encryption: PodmanEngine(insecure_registries=("{host}",)), or '
            f"`insecure = true` for it in /etc/containers/registries.conf"
        )
    return f'for a registry without encryption: "insecure-registries": ["{host}"] in /etc/docker/daemon.json'
