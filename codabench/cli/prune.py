"""``codabench prune``: remove what runs have brought to this machine and nothing uses any more."""

from __future__ import annotations

from typing import Any

import typer

from codabench.cli.output import MACHINE, handled, print_json, say, tell

ENGINES = ("docker", "podman")


@handled
def prune(
    images: bool = typer.Option(False, "--images", help="Images that runs have pulled, and no container uses."),
    backend: str = typer.Option("auto", "--backend", "-b", help="auto: every engine that answers; docker or podman."),
    older_than: str = typer.Option("1h", "--older-than", help="Since the last use: 30d, 12h, 0s."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say what would be removed."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Remove images that codabench pulled. What was here before, was pulled by hand or has another name stays.

    Exit code 0: done. 2: usage. 3: no engine answers.
    """
    from codabench.core.errors import EngineError, UsageError
    from codabench.core.text import parse_duration

    if not images:
        raise UsageError("prune what?", code="CB353", hint="codabench prune --images")
    try:
        seconds = parse_duration(older_than)
    except ValueError as error:
        raise UsageError(str(error), code="CB353") from None
    found: list[dict[str, Any]] = []
    failed: EngineError | None = None
    answered = False
    for name in ENGINES if backend == "auto" else (backend,):
        try:
            found += _prune(name, seconds, dry_run=dry_run)
            answered = True
        except EngineError as error:
            failed = error
            tell(f"{name}: {error.message.splitlines()[0]}")
    if as_json:
        print_json({"ok": answered, "images": found})
    else:
        for line in _lines(found):
            say(line)
    if not answered and failed is not None:
        raise typer.Exit(MACHINE)


def _prune(name: str, seconds: float, *, dry_run: bool) -> list[dict[str, Any]]:
    from codabench.backends.hosted import HostedEngine
    from codabench.backends.select import engine_named
    from codabench.core.errors import UsageError

    engine = engine_named(name)
    try:
        if not isinstance(engine, HostedEngine):
            raise UsageError(f"the engine {name} keeps no images", code="CB353", hint="--backend docker or podman")
        pruned = engine.prune_images(seconds, dry_run=dry_run)
    finally:
        engine.close()
    return [{"engine": engine.name, **each.model_dump()} for each in pruned]


def _lines(found: list[dict[str, Any]]) -> list[str]:
    from codabench.core.text import human_size

    lines = []
    for image in found:
        why = f": {image['reason']}" if image["reason"] else ""
        size = human_size(image["size"]) if image["size"] is not None else ""
        lines.append(f"{image['outcome']:<16}  {image['engine']}  {image['name']}  {size}{why}")
    gone = [image for image in found if image["outcome"] != "kept"]
    total = human_size(sum(image["size"] or 0 for image in gone))
    return [*lines, f"{len(gone)} of {len(found)} images that codabench pulled, at most {total}"]
