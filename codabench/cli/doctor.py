"""``codabench doctor``: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import platform
import sys
from typing import Any

import typer

from codabench.cli.output import FAILED, MACHINE, handled, print_json, say

ENGINES = ("docker", "podman", "sandbox")
MARKS = {True: "✓", False: "✗"}


@handled
def doctor(
    image: str = typer.Option(None, "--image", help="An image with python3, to look at each engine from inside."),
    engine: str = typer.Option(None, "--engine", metavar="NAME", help="Look at this engine only."),
    attacks: bool = typer.Option(
        False, "--attacks", help="Attack each engine from inside, as hostile programs would; about a minute for each."
    ),
    seconds: float = typer.Option(180.0, "--seconds", min=1, help="Begin no attack on an engine after these."),
    table: bool = typer.Option(False, "--table", help="Print what became of the attacks as a Markdown table."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Say what works here. Exit code 0: an engine can run containers. 1: an attack succeeded. 3: no engine can."""
    attacks = attacks or table
    engines = [_look(name, image, seconds if attacks else None) for name in ([engine] if engine else ENGINES)]
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
    elif table:
        say(_table(engines))
    else:
        for line in _lines(document):
            say(line)
    if not document["ok"]:
        raise typer.Exit(MACHINE)
    if not all(verdict["ok"] for e in engines for verdict in e.get("attacks", ())):
        raise typer.Exit(FAILED)


def _look(name: str, image: str | None, seconds: float | None) -> dict[str, Any]:
    """What an engine is; with `seconds`, what became of the attacks on it."""
    from codabench.backends.sandbox_view import HOST
    from codabench.backends.select import engine_named
    from codabench.core.errors import CodabenchError

    engine = engine_named(name)
    try:
        info = engine.probe()
        here = engine.images()
        known = (i for i in sorted(here) if here == [HOST] or "python" in i or "codalab-legacy:py3" in i)
        chosen = next(known, None) if image is None or here == [HOST] else image
        found: dict[str, Any] = {"name": name, "ok": True, "image": chosen}
        if chosen is not None:
            resolved = engine.resolve(chosen, pull="never" if image is None else "missing")
            info = engine.probe(resolved)
            if seconds is not None:
                found["attacks"] = _attacked(engine, resolved, seconds)
        return {**found, **info.model_dump(exclude={"name"})}
    except CodabenchError as error:
        return {"name": name, "ok": False, "code": error.code, "message": error.message, "hint": error.hint}
    finally:
        engine.close()


def _attacked(engine: Any, image: Any, seconds: float) -> list[dict[str, Any]]:
    from codabench.testing.attacks import ATTACKS, Verdict, carry_out

    fallen = 0

    def told(verdict: Verdict) -> None:
        nonlocal fallen
        fallen += 1
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{engine.name}: {fallen} of {len(ATTACKS)}  {verdict.row} {verdict.name}")
            sys.stderr.write("\n" if fallen == len(ATTACKS) else "")
            sys.stderr.flush()

    verdicts = carry_out(engine, image, told=told, seconds=seconds)
    return [{**verdict.model_dump(mode="json"), "ok": verdict.ok} for verdict in verdicts]


def _table(engines: list[dict[str, Any]]) -> str:
    from codabench.testing.attacks.report import markdown

    return markdown({e["name"]: e["attacks"] for e in engines if "attacks" in e})


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
    lines += [f"    ! {warning}" for warning in engine["warnings"]]
    if engine["image"] is None:
        lines.append("    no image with Python here: name one with --image to try what really holds")
    for name, holds in engine["enforced"].items():
        why = f": {engine['reasons'][name]}" if name in engine["reasons"] else ""
        lines.append(f"    {MARKS[holds]} {name.replace('_', ' ')}{why}")
    for verdict in engine.get("attacks", ()):
        mark = {"held": MARKS[True], "broke out": MARKS[False]}.get(verdict["state"], "-")
        said = "" if verdict["state"] == "held" else f": {verdict['state']}, {verdict['reason']}"
        lines.append(f"    {mark} {verdict['row']} {verdict['name']}{said}")
    return lines
