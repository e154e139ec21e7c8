"""``codabench schema``: what editors need to help with ``competition.yaml``, and what receipts hold."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from codabench.cli.output import handled, say


@handled
def schema(
    out: Path | None = typer.Option(None, "--out", metavar="FILE", help="Write it there, over what is there."),
    receipt: bool = typer.Option(False, "--receipt", help="That of receipts instead."),
) -> None:
    """Print the JSON Schema of competition.yaml, for editors."""
    from codabench.bundle.schema import schema as generated
    from codabench.core.errors import StorageError

    found = generated()
    if receipt:
        from codabench.workspace.receipts import Receipt

        found = Receipt.model_json_schema()
    text = json.dumps(found, indent=2, ensure_ascii=False)
    if out is None:
        say(text)
        return
    try:
        out.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror or error}", code="CB704") from error
