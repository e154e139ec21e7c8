"""The commands. Every module that does something is imported by the command that needs it, so that help is fast."""

from __future__ import annotations

from typing import Any

import typer

from codabench.cli.acting import cancel, rerun, start
from codabench.cli.backup import backup, database, restore
from codabench.cli.check import check
from codabench.cli.cluster import certs, preflight, scheduler, worker
from codabench.cli.competitions import add, competitions
from codabench.cli.config import config
from codabench.cli.convert import convert
from codabench.cli.deciding import choose, delete, score
from codabench.cli.demo import demo
from codabench.cli.dispatch import dispatch
from codabench.cli.doctor import doctor
from codabench.cli.gc import gc, usage
from codabench.cli.init import init
from codabench.cli.listing import runs, submissions
from codabench.cli.maintenance import maintenance
from codabench.cli.phases import migrate, tick
from codabench.cli.prune import prune
from codabench.cli.reevaluate import reevaluate
from codabench.cli.results import export, leaderboard
from codabench.cli.revising import revise, revisions, update
from codabench.cli.rule import rule
from codabench.cli.run import run
from codabench.cli.schema import schema
from codabench.cli.serve import serve
from codabench.cli.show import logs, show
from codabench.cli.status import status
from codabench.cli.submit import submit
from codabench.cli.users import user
from codabench.cli.verify import receipt, verify

SECTIONS: dict[str, tuple[Any, ...]] = {
    "Write a competition": (init, check, convert, schema, rule),
    "Try it": (run, demo),
    "Keep it in a workspace": (add, competitions, update, revise, revisions, export),
    "Submit": (submit, submissions, runs, show, logs, cancel, rerun, start, leaderboard),
    "Decide": (choose, score, delete, migrate),
    "Check scores": (receipt, verify, reevaluate),
    "Look after a workspace": (dispatch, status, tick, gc, usage, backup, restore, database),
    "Host it": (serve, config, user, maintenance),
    "A cluster": (scheduler, worker, certs, preflight),
    "Look after this machine": (doctor, prune),
}
"""The commands, in the order of the help."""


_Mistake: Any = typer.BadParameter.__base__
"""What is wrong with a line: typer has no public name for it."""


class Sections(typer.core.TyperGroup):
    """Shows the commands in sections."""

    def invoke(self, ctx: Any) -> Any:
        """Carry out a command. A line that is wrong is answered by one JSON document, too, where it asks for that."""
        line = [*ctx._protected_args, *ctx.args]
        try:
            return super().invoke(ctx)
        except _Mistake as mistake:
            if "--json" in line:
                from codabench.cli.output import error_document, print_json
                from codabench.core.errors import UsageError

                hint = f"codabench {line[0]} --help"
                print_json(error_document(UsageError(mistake.format_message(), code="CB353", hint=hint)))
            raise

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write them to the help."""
        for title, members in SECTIONS.items():
            names: list[str] = [
                str(each.info.name) if isinstance(each, typer.Typer) else each.__name__ for each in members
            ]
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(200)) for name in names])


app = typer.Typer(
    name="codabench",
    cls=Sections,
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


for each in (each for members in SECTIONS.values() for each in members):
    if isinstance(each, typer.Typer):
        app.add_typer(each)
    else:
        app.command()(each)
