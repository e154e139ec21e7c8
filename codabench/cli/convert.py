"""``codabench convert``: any bundle, written as a version 2 bundle; any task, as a task archive."""

from __future__ import annotations

from pathlib import Path

import typer

from codabench.cli.output import DATASET, given_datasets, handled, print_json, read_mapping, say, tell


@handled
def convert(
    source: str = typer.Argument(metavar="SOURCE", help="A competition bundle or task archive."),
    dest: str = typer.Argument(metavar="DEST", help="Where to write: a file that ends in .zip, or a directory."),
    task: str = typer.Option(None, "--task", "-t", help="Index or name: only this task, as a task archive."),
    keys: Path = typer.Option(
        None, "--keys", help="A JSON or YAML file, path -> UUID: what is written by key, without files; {}: as it was."
    ),
    dataset: list[str] = DATASET,
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Write a bundle as a version 2 bundle that codabench.org takes, a task as a task archive; say what is lost.

    Nothing is overwritten. Exit code 0: written. 2: SOURCE has errors, or DEST is taken. 3: DEST cannot be written.
    """
    from codabench.core.report import Report, render_problem
    from codabench.core.text import plural, printable
    from codabench.workspace.loading import load

    by_key = None if keys is None else read_mapping(keys, "keys", code="CB170")
    with load(source, datasets=given_datasets(dataset)) as competition:
        saved = competition.save(dest, task=task, keys=by_key)
        problems = (*competition.check().problems, *saved.problems)
        if as_json:
            print_json(
                {
                    "ok": True,
                    "source": source,
                    "dest": dest,
                    "format": competition.spec.format,
                    "title": competition.title,
                    "files": saved.files,
                    "problems": [p.to_dict() for p in problems],
                }
            )
            return
        for problem in problems:
            tell(render_problem(problem))
        both = Report(source=dest, problems=problems)
        counts = f"{plural(len(both.warnings), 'warning')}, {plural(len(both.notes), 'note')}"
        say(f"wrote {printable(dest)}: {plural(saved.files, 'file')} · {counts}")
