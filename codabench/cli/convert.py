"""``codabench convert``: any bundle, written as a version 2 bundle."""

from __future__ import annotations

import typer

from codabench.cli.output import handled, print_json, say, tell


@handled
def convert(
    source: str = typer.Argument(metavar="SOURCE", help="A competition bundle: directory, zip, or URL."),
    dest: str = typer.Argument(metavar="DEST", help="Where to write: a file that ends in .zip, or a directory."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Write a bundle as a version 2 bundle that codabench.org takes, and say what is lost.

    Nothing is overwritten. Exit code 0: written. 2: SOURCE has errors, or DEST is taken. 3: DEST cannot be written.
    """
    from codabench.bundle.load import read_bundle
    from codabench.bundle.writer import save_bundle
    from codabench.core.report import Report, render_problem
    from codabench.core.text import plural, printable

    with read_bundle(source) as bundle:
        saved = save_bundle(bundle, dest)
        problems = (*bundle.report.problems, *saved.problems)
        if as_json:
            print_json(
                {
                    "ok": True,
                    "source": source,
                    "dest": dest,
                    "format": bundle.format,
                    "title": bundle.spec.title if bundle.spec else None,
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
