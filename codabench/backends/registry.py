"""Asking a registry how much there is to download, before an engine begins to.

Engines do not say it: they learn the sizes of layers one by one, while they download them. What cannot be found out is
None, and then nothing is refused: the engine asks the registry itself in a moment, and says what is wrong.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from codabench.backends.credentials import Credentials
from codabench.backends.naming import HUB, Reference, same_platform

if TYPE_CHECKING:
    import requests

_KINDS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_PATIENCE = (3.0, 5.0)
_LONGEST = 4 * 1024 * 1024
"""Bytes of a manifest that are read; registries take none that is longer."""
_LOOPBACK = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def download_size(
    image: Reference, platform: str, credentials: Credentials | None, *, insecure: bool = False
) -> int | None:
    """Bytes of all layers of an image, compressed as they travel; None: not to be found out.

    Parameters
    ----------
    platform
        ``linux/amd64``: which of several images of that name.
    insecure
        The registry may have no encryption, as every one on loopback may.
    """
    import requests

    schemes = ("https", "http") if insecure or _LOOPBACK.fullmatch(image.host) else ("https",)
    with requests.Session() as session:
        for scheme in schemes:
            try:
                return _Asker(session, scheme, image, credentials).size(platform)
            except (requests.exceptions.RequestException, OSError, ValueError, KeyError, TypeError, AttributeError):
                continue  # what it said is no manifest, or it said nothing
    return None


class _Asker:
    def __init__(
        self, session: requests.Session, scheme: str, image: Reference, credentials: Credentials | None
    ) -> None:
        host = "registry-1.docker.io" if image.host == HUB else image.host
        self.session, self.image, self.credentials = session, image, credentials
        self.encrypted = scheme == "https"
        self.base = f"{scheme}://{host}/v2/{image.path}/manifests/"
        self.headers = {"Accept": ", ".join(_KINDS)}

    def size(self, platform: str) -> int:
        manifest = self._manifest(self.image.version)
        if "manifests" in manifest:
            manifest = self._manifest(str(_fitting(manifest["manifests"], platform)["digest"]))
        return sum(max(0, int(part["size"])) for part in (manifest["config"], *manifest["layers"]))

    def _manifest(self, version: str) -> dict[str, Any]:
        status, found, challenge = self._get(self.base + version, {})
        if status == 401:
            self._answer(challenge)
            status, found, _ = self._get(self.base + version, {})
        if status != 200:
            raise ValueError(status)
        return found

    def _answer(self, challenge: str) -> None:
        """Do what the registry wants before it talks to us: a token, or the password itself."""
        kind, _, rest = challenge.partition(" ")
        known = self.credentials if self.credentials is not None and self.credentials.password else None
        if kind.lower() == "basic" and known:
            self.headers["Authorization"] = _basic(known)
            return
        wanted = dict(_CHALLENGE.findall(rest))
        realm = wanted.pop("realm")
        if self.encrypted and not realm.startswith("https://"):
            raise ValueError(realm)  # a password that came encrypted does not leave in the open
        headers = {"Authorization": _basic(known)} if known else {}
        _, said, _ = self._get(realm, headers, {"scope": f"repository:{self.image.path}:pull", **wanted})
        self.headers["Authorization"] = f"Bearer {said.get('token') or said['access_token']}"

    def _get(
        self, url: str, headers: dict[str, str], params: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any], str]:
        """Status, document, challenge. The file ~/.netrc is left out of this."""
        sent = {**(self.headers if params is None else {}), **headers}
        with self.session.get(
            url, headers=sent, params=params, stream=True, timeout=_PATIENCE, auth=_unchanged
        ) as answer:
            text = answer.raw.read(_LONGEST, decode_content=True)
            found = json.loads(text) if answer.status_code == 200 else {}
            return answer.status_code, found, answer.headers.get("WWW-Authenticate", "")


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _basic(credentials: Credentials) -> str:
    from requests.auth import _basic_auth_str

    return _basic_auth_str(credentials.user, credentials.password)


def _fitting(manifests: list[dict[str, Any]], platform: str) -> dict[str, Any]:
    for each in manifests:
        has = each.get("platform") or {}
        name = "/".join(str(has[key]) for key in ("os", "architecture", "variant") if has.get(key))
        if same_platform(name, platform):
            return each
    raise ValueError(platform)
