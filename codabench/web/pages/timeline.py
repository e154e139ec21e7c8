"""The phases of a competition as a picture: a bar for each, and where now is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from markupsafe import Markup, escape

from codabench.core.competition import PhaseSpec

WIDTH, HEIGHT = 1000, 26
_OPEN_END = 0.15
"""How much of the picture a phase without an end gets beyond everything else that is known."""


def timeline(phases: Sequence[PhaseSpec], now: datetime) -> Markup:
    """An SVG; the same in words stands beside it in the page. Colours are classes of the style sheet."""
    if not phases:
        return Markup("")
    first = min(phase.start for phase in phases)
    known = [*(phase.start for phase in phases), *(phase.end for phase in phases if phase.end)]
    last = max(known)
    if any(phase.end is None for phase in phases):
        last = max(last, now)
        last += max((last - first) * _OPEN_END, timedelta(days=1))
    whole = max((last - first).total_seconds(), 1.0)

    def at(moment: datetime) -> float:
        return round(min(1.0, max(0.0, (moment - first).total_seconds() / whole)) * WIDTH, 1)

    bars = []
    for phase in phases:
        x, end = at(phase.start), at(phase.end or last)
        state = "open" if phase.is_open(now) else "next" if now < phase.start else "over"
        words = escape(f"{phase.name}: {_day(phase.start)} to {_day(phase.end) if phase.end else 'open end'}")
        bars.append(
            f'<rect class="{state}" x="{x}" y="4" width="{max(end - x - 2, 3):.1f}" height="{HEIGHT - 8}" rx="4">'
            f"<title>{words}</title></rect>"
        )
    here = f'<line class="now" x1="{at(now)}" x2="{at(now)}" y1="0" y2="{HEIGHT}"/>' if first <= now <= last else ""
    said = escape("; ".join(phase.name for phase in phases))
    head = f'<svg class="timeline" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img"'
    # Everything that people wrote is escaped above.
    return Markup(f'{head} aria-label="Phases over time: {said}">{"".join(bars)}{here}</svg>')  # noqa: S704


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
