"""How commands end: one JSON document, or text; errors on standard error; exit codes (contract.md section 7)."""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import typer

F = TypeVar("F", bound=Callable[..., None])

_TOO_EARLY = ("CB710", "CB714")
OK, FAILED, USAGE, MACHINE, INTERRUPTED = 0, 1, 2, 3, 130


def print_json(document: dict[str, Any]) -> None:
    """The one document of ``--json``."""
    _write(sys.stdout, json.dumps(document, indent=2, ensure_ascii=not utf8(sys.stdout), default=str))
    sys.stdout.flush()


def say(text: str = "") -> None:
    """A result, for people; characters that the terminal cannot show are replaced."""
    _write(sys.stdout, text)


def tell(text: str = "") -> None:
    """A diagnostic or progress."""
    _write(sys.stderr, text)


_PLAINER = {"─": "-", "│": "|", "├": "|", "└": "`", "…": "~", "·": "-", "→": ">", "▲": "^", "▼": "v"} | {
    "✓": "+", "✗": "x", "●": "*", "○": "o", "°": "*"
}  # fmt: skip
"""Our own signs, for terminals that cannot show them."""


def _write(stream: Any, text: str) -> None:
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeError:
        text = "".join(_PLAINER.get(sign, sign) for sign in text).encode(encoding, "replace").decode(encoding)
    stream.write(text + "\n")
    stream.flush()  # where both streams end in one file, results and diagnostics keep their order


def utf8(stream: Any) -> bool:
    """Whether a stream takes every sign."""
    return (getattr(stream, "encoding", None) or "").lower().replace("-", "") == "utf8"


def handled(command: F) -> F:
    """Turn what a command raises into a message and an exit code; nothing ends in a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from codabench.core.errors import CodabenchError

        as_json = bool(kwargs.get("as_json"))
        try:
            command(*args, **kwargs)
        except (KeyboardInterrupt, typer.Abort):  # the second one: in the midst of a question
            if as_json:
                print_json({"ok": False, "error": {"code": "CB630", "message": "interrupted", "hint": None}})
            tell("interrupted; nothing is left running")
            raise typer.Exit(INTERRUPTED) from None
        except CodabenchError as error:
            if as_json:
                print_json(error_document(error))
            else:
                tell(error_text(error))
            raise typer.Exit(exit_code(error)) from None
        except BrokenPipeError:
            raise  # who read our output has enough; there is nobody to tell
        except OSError as error:
            # The outermost frame: a full disk or a lost directory where nobody thought of it.
            machine = CodabenchError(str(error), code="CB699")
            if as_json:
                print_json(error_document(machine))
            tell(error_text(machine))
            raise typer.Exit(MACHINE) from None

    run.__signature__ = inspect.signature(command)  # type: ignore[attr-defined]
    return run  # type: ignore[return-value]


DATASET = typer.Option(
    None, "--dataset", metavar="UUID=PATH", help="The files of a data set or task that is named by key; repeatable."
)


def given_datasets(options: list[str] | None) -> dict[str, str]:
    """What ``--dataset UUID=PATH`` says, by key."""
    from codabench.core.errors import UsageError

    found: dict[str, str] = {}
    for option in options or ():
        key, _, path = option.partition("=")
        if not key or not path:
            message = f"--dataset {option!r} is no UUID=PATH"
            raise UsageError(message, code="CB170", hint="write the key, an equals sign, and a folder, zip or URL")
        found[key] = path
    return found


def read_mapping(path: Path, what: str, *, code: str) -> dict[str, Any]:
    """A mapping in a JSON or YAML file.

    Raises
    ------
    UsageError
        With `code`: it cannot be read, or is no mapping.
    """
    import yaml

    from codabench.core.errors import UsageError

    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UsageError(f"the {what} {path} cannot be read: {error}", code=code) from error
    if not isinstance(found, dict):
        raise UsageError(f"the {what} {path} is not a mapping", code=code, hint="write key: value, as JSON or YAML")
    return {str(k): v for k, v in found.items()}


def exit_code(error: BaseException) -> int:
    """2 for what the caller asked wrongly, 3 for the machine and for what nobody expected."""
    from codabench.core.errors import BundleError, CodabenchError, EngineError, StateError, StorageError

    asked = isinstance(error, CodabenchError) and not isinstance(error, (EngineError, StorageError, StateError))
    # A URL that cannot be read was asked for; so was something that does not fit where things stand.
    asked = asked or isinstance(error, BundleError) or getattr(error, "code", "") in _TOO_EARLY
    return USAGE if asked else MACHINE


def error_text(error: Any) -> str:
    """``error[CB601]: ...`` and the next step; a report speaks for itself."""
    report = getattr(error, "report", None)
    if report is not None and report.problems:
        return str(report)
    lines = [f"error[{error.code}]: {error.message}"]
    if error.hint:
        lines.append(f"  = help: {error.hint}")
    return "\n".join(lines)


def error_document(error: Any) -> dict[str, Any]:
    """An error as the one JSON document."""
    report = getattr(error, "report", None)
    problems = [p.to_dict() for p in report] if report is not None else []
    return {
        "ok": False,
        "error": {"code": error.code, "message": error.message, "hint": error.hint},
        **({"problems": problems} if problems else {}),
    }
