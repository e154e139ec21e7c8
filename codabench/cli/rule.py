"""``codabench rule``: what a problem code means."""

from __future__ import annotations

import typer

from codabench.cli.output import handled, say


def complete(typed: str) -> list[str]:
    """The codes that begin with what was typed, for shells."""
    from codabench.core.rules import rules

    return [code for code in rules() if code.startswith(typed.upper())]


@handled
def rule(
    code: str = typer.Argument(metavar="CODE", help="A code such as CB504.", autocompletion=complete),
) -> None:
    """Explain a problem code: what it means, why it matters, what to do."""
    from codabench.core.errors import NotFound
    from codabench.core.rules import rules
    from codabench.core.text import did_you_mean, printable

    known = rules()
    wanted = code.strip().upper()
    wanted = wanted if wanted.startswith("CB") else f"CB{wanted}"
    if wanted not in known:
        near = did_you_mean(wanted[:20], known)
        hint = f"did you mean {near}?" if near else f"codes run from {min(known)} to {max(known)}"
        raise NotFound(f"there is no code {printable(code[:40])}", hint=hint)
    say(str(known[wanted]))
