"""The command line: parse, call the library, print. Never a rule.

Results go to standard output, progress and diagnostics to standard error. With ``--json`` standard output is exactly
one JSON document.
"""

from __future__ import annotations


def main() -> None:
    """The entry point of the command ``codabench``."""
    try:
        from codabench.cli.app import app

        app(prog_name="codabench")
    except KeyboardInterrupt:
        # Before a command had begun, or once more while it was cleaning up.
        raise SystemExit(130) from None
