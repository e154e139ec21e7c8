"""``codabench doctor``: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import platform
import sys
from typing import Any

import typer

from codabench.cli.output import MACHINE, handled, print_json, say

ENGINES = ("docker", "podman", "sandbox")
MARKS = {True: "✓", False: "✗"}


@handled
def doctor(
    image: str = typer.Option(None, "--image", help="An image with python3, to look at each engine from inside."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Say what works here. Exit code 0: an engine can run containers. 3: none can."""
    engines = [_look(name, image) for name in ENGINES]
    document = {
        "ok": any(e["ok"] for e in engines),
        "codabench": _version(),
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "name_clash": _name_clash(),
        "engines": engines,
    }
    if as_json:
        print_json(document)
    else:
        for line in _lines(document):
            say(line)
    if not document["ok"]:
        raise typer.Exit(MACHINE)


def _look(name: str, image: str | None) -> dict[str, Any]:
    from codabench.backends.sandbox_view import HOST
    from codabench.backends.select import engine_named
    from codabench.core.errors import CodabenchError

    engine = engine_named(name)
    try:
        info = engine.probe()
        here = engine.images()
        known = (i for i in sorted(here) if here == [HOST] or "python" in i or "codalab-legacy:py3" in i)
        chosen = next(known, None) if image is None or here == [HOST] else image
        if chosen is not None:
            info = engine.probe(engine.resolve(chosen, pull="never" if image is None else "missing"))
        return {"name": name, "ok": True, "image": chosen, **info.model_dump(exclude={"name"})}
    except CodabenchError as error:
        return {"name": name, "ok": False, "code": error.code, "message": error.message, "hint": error.hint}
    finally:
        engine.close()


def _version() -> str:
    from codabench._version import __version__

    return __version__


def _name_clash() -> str | None:
    """Another distribution that owns the module ``codabench``, if there is one."""
    from importlib import metadata

    owners = set(metadata.packages_distributions().get("codabench", [])) - {"codabench"}
    return ", ".join(sorted(owners)) or None


def _lines(document: dict[str, Any]) -> list[str]:
    lines = [f"✓ codabench {document['codabench']}   python {document['python']}   {document['platform']}"]
    if document["name_clash"]:
        lines.append(
            f"! {document['name_clash']} owns the module codabench, too: uninstall it, then reinstall codabench"
        )
    for engine in document["engines"]:
        lines += _engine_lines(engine)
    return lines


def _engine_lines(engine: dict[str, Any]) -> list[str]:
    if not engine["ok"]:
        hint = [f"    fix: {engine['hint']}"] if engine["hint"] else []
        return [f"✗ {engine['name']}   {engine['message']}", *hint]
    rootless = " rootless" if engine["rootless"] else ""
    files = "sees our files" if engine["sees_files"] else "does not see our files: they are copied in and out"
    lines = [f"✓ {engine['name']} {engine['version']}{rootless}   {engine['platform']}   {files}"]
    if engine["image"] is None:
        lines.append("    no image with Python here: name one with --image to try what really holds")
    for name, holds in engine["enforced"].items():
        why = f": {engine['reasons'][name]}" if name in engine["reasons"] else ""
        lines.append(f"    {MARKS[holds]} {name.replace('_', ' ')}{why}")
    return lines
