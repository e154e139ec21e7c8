"""The commands. Every module that does something is imported by the command that needs it, so that help is fast."""

from __future__ import annotations

import typer

from codabench.cli.backup import backup, database, restore
from codabench.cli.check import check
from codabench.cli.convert import convert
from codabench.cli.demo import demo
from codabench.cli.doctor import doctor
from codabench.cli.gc import gc, usage
from codabench.cli.init import init
from codabench.cli.prune import prune
from codabench.cli.rule import rule
from codabench.cli.run import run
from codabench.cli.schema import schema

app = typer.Typer(
    name="codabench",
    help="Define, run and rank machine-learning competitions and benchmarks.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help, as everything else here says it, in half the time
)


def _version(asked: bool) -> None:
    if asked:
        from codabench._version import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Define, run and rank machine-learning competitions and benchmarks."""


for command in (init, check, convert, run, demo, doctor, prune, gc, usage, backup, restore, rule, schema):
    app.command()(command)
app.add_typer(database)
