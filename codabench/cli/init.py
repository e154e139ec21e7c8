"""``codabench init``: a competition to begin with."""

from __future__ import annotations

from enum import StrEnum

import typer

from codabench.cli.output import handled, print_json, say


class Template(StrEnum):
    """What participants submit."""

    RESULTS = "results"
    CODE = "code"
    INVERTED = "inverted"


@handled
def init(
    name: str = typer.Argument(metavar="NAME", help="The name of a new folder, and the title of the competition."),
    template: Template = typer.Option(
        Template.RESULTS, "--template", "-t", help="What participants submit: results, code, or (inverted) data."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Make a small competition that works, to be changed into your own.

    Nothing is overwritten. Exit code 0: made. 2: NAME cannot be used, or is taken. 3: it cannot be written.
    """
    from datetime import UTC, datetime
    from pathlib import Path

    from codabench.bundle.scaffold import scaffold
    from codabench.core.text import plural, printable

    files = scaffold(name, Path(), template=template.value, today=datetime.now(UTC).date())
    steps = next_steps(name)
    if as_json:
        document = {"ok": True, "directory": name, "template": template.value, "files": files, "next": steps}
        print_json(document)
        return
    say(f"made {printable(name)}: {plural(len(files), 'file')}, in which participants submit {_WHAT[template]}")
    say("\nWhat to type next: check it, run two submissions, pack it for codabench.org")
    for step in steps:
        say(f"  {step}")
    say(f"\nThen change {printable(name)}/competition.yaml; README.md beside it says what is what.")


_WHAT = {Template.RESULTS: "results", Template.CODE: "code", Template.INVERTED: "data"}


def next_steps(name: str) -> list[str]:
    """Commands that work when they are pasted."""
    from shlex import join

    from codabench.cli.demo import this_command

    # Neither an option nor somebody's home.
    folder = f"./{name}" if name[0] in "-~" else name
    run = ["run", folder, f"{folder}/starting_kit", f"{folder}/solution"]
    return [join([*this_command(), *words]) for words in (["check", folder], run, ["convert", folder, f"{folder}.zip"])]
