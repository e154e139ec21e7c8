"""Which URLs are taken from people who are not trusted with this host (security.md G06).

The owner of a workspace names any fsspec URL. The same text from a user could name a file of this host (``file://``), a
bucket that only this host's credentials open (``s3://``), or one file system inside another (``simplecache::``).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import urlsplit

from codabench.core.errors import BundleError
from codabench.storage.names import shown

USER_PROTOCOLS = frozenset({"https"})
"""What users may name unless the owner allows more: what is reached with no rights of this host."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://[^\s\x00-\x1f\x7f\\]+")


def check_user_url(url: str, protocols: Collection[str] = USER_PROTOCOLS) -> None:
    """Refuse a URL that a user may not name.

    Parameters
    ----------
    protocols
        In small letters, without ``://``.

    Raises
    ------
    BundleError
        ``CB045``: no URL, not one of these protocols, several in a chain, or with a name and a password.
    """
    match = _URL.fullmatch(url)
    allowed = ", ".join(f"{name}://" for name in sorted(protocols))
    if match is None:
        why = "it is not a URL"
    elif "::" in url:
        why = "it is a chain of several"
    elif match[1].lower() not in protocols:
        why = f"{match[1].lower()}:// is not taken from users"
    elif "@" in urlsplit(url).netloc:
        why = "it holds a user name"
    else:
        return
    raise BundleError(f"the URL {shown(url)} is refused: {why}", code="CB045", hint=f"allowed: {allowed}")
