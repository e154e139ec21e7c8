"""What became of the attacks on this machine, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from codabench.core.text import printable


def markdown(engines: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """A Markdown table with one line for each attack and one column for each engine.

    Parameters
    ----------
    engines
        By the name of the engine: verdicts as JSON.
    """
    found = {name: {(v["row"], v["name"]): v for v in verdicts} for name, verdicts in engines.items()}
    every = {key: v for verdicts in found.values() for key, v in verdicts.items()}
    lines = [f"| row | a hostile program tries to | {' | '.join(found)} |", f"|---|---|{'---|' * len(found)}"]
    for key, verdict in every.items():
        cells = [_cell(verdicts.get(key)) for verdicts in found.values()]
        lines.append(f"| {verdict['row']} | {verdict['tries']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(verdict: Mapping[str, Any] | None) -> str:
    if verdict is None:
        return ""
    reason = printable(verdict["reason"]).replace("|", "\\|")
    return f"{verdict['state']}: {reason}" if reason else str(verdict["state"])
