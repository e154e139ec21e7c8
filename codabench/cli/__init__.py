"""The command line: parse, call the library, print. Never a rule.

Results go to standard output, progress and diagnostics to standard error. With ``--json`` standard output is exactly
one JSON document.
"""

from __future__ import annotations

import signal


def main() -> None:
    """The entry point of the command ``codabench``.

    A terminal that is closed and a polite kill end a command as Ctrl-C does: containers would outlive it otherwise.
    """
    try:
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is signal.SIG_DFL:  # nohup keeps its meaning
                signal.signal(number, signal.default_int_handler)
        from codabench.cli.app import app

        app(prog_name="codabench")
    except KeyboardInterrupt:
        # Before a command had begun, or once more while it was cleaning up.
        raise SystemExit(130) from None
