"""Versions of container runtimes below which a program is known to get out (security.md C23)."""

from __future__ import annotations

import re
from typing import Final

FLOORS: Final[dict[str, dict[tuple[int, int], tuple[tuple[int, int, int], str]]]] = {
    "runc": {
        (0, 0): ((1, 2, 8), "CVE-2024-21626, CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881"),
        (1, 2): ((1, 2, 8), "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881"),
        (1, 3): ((1, 3, 3), "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881"),
        (1, 4): ((1, 4, 0), "CVE-2025-31133, CVE-2025-52565 and CVE-2025-52881 in its release candidates"),
    },
}
"""Runtime -> from which line of versions -> the first safe one of that line, and what it mends."""

_VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(-?rc)?")


def outdated(runtime: str, version: str) -> str | None:
    """What is known against a runtime of that version; None if nothing, or if it cannot be told.

    Distributions mend old versions and keep their numbers: this is a reason to look, not a proof.
    """
    found = _VERSION.match(version)
    lines = FLOORS.get(runtime)
    if found is None or lines is None:
        return None
    have = (int(found[1]), int(found[2]), int(found[3] or 0))
    floor, holes = lines[max(line for line in lines if line <= have[:2])]
    if have > floor or (have == floor and not found[4]):
        return None
    safe = ".".join(map(str, floor))
    return (
        f"{runtime} {version} is older than {safe}, which mends {holes}; a package of a distribution may hold the "
        "mending under an older number: look at its changelog"
    )
