"""Every call of the API 100 times by schemathesis, as nobody, as somebody and as superuser: no server error."""

from __future__ import annotations

from pathlib import Path

SEED = 20_261_124
LIMIT = 240
EXAMPLES = 100
"""Of each call, for each role."""


def soak(scale: float, folder: Path) -> dict[str, object]:
    """Everything in the OpenAPI document; half of the values fit it, many name things that are there."""
    from _rest import fuzz

    tried = fuzz(max(1, round(EXAMPLES * scale)), seed=SEED)
    figures: dict[str, object] = {"tried": tried.calls}
    for role, counts in tried.statuses.items():
        figures[role] = {str(status): counts[status] for status in sorted(counts)}
    failed = tried.failed[:20]
    if not all(counts[200] and counts[403 if role == "nobody" else 400] for role, counts in tried.statuses.items()):
        failed.append("nothing was done, or nothing was refused, which proves nothing")
    return {**figures, "failed": failed}
