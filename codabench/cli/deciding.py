"""``codabench score``, ``choose``, ``delete``: what people decide about submissions."""

from __future__ import annotations

import sys

import typer

from codabench.cli.completing import complete_run, complete_submission
from codabench.cli.output import FAILED, handled, print_json, say, tell
from codabench.cli.show import SUBMISSION, WHAT, only_run
from codabench.cli.submit import address
from codabench.cli.workspaces import DB, JSON, WORKSPACE, opened


@handled
def score(
    what: str = typer.Argument(metavar="RUN|SUBMISSION", help=WHAT, autocompletion=complete_run),
    key: str = typer.Argument(metavar="KEY", help="A column of the leaderboard."),
    value: str = typer.Argument(metavar="VALUE", help="A number; none takes back what was set."),
    note: str = typer.Option(..., "--note", help="Why; it is kept."),
    by: str = typer.Option(None, "--by", help="Who sets it; default: you."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Set a score by hand. What the scoring program wrote stays, and leaderboards show what is set."""
    from codabench.core.errors import UsageError
    from codabench.workspace.finding import short

    try:
        number = None if value == "none" else float(value)
    except ValueError:
        raise UsageError(f"{value!r} is no number", code="CB353", hint="write 0.5, or none") from None
    with opened(workspace, db) as ws:
        run = only_run(ws, what)
        ws.set_score(run.id, key, number, note=note, by=by)
        if as_json:
            print_json({"ok": True, "run": run.id, "key": key, "value": number})
        else:
            say(f"{key} of run {short(run.id)} is {'as it was scored' if number is None else f'{number:g}'}")


@handled
def choose(
    what: str = typer.Argument(metavar="SUBMISSION", help=SUBMISSION, autocompletion=complete_submission),
    off: bool = typer.Option(False, "--off", help="Take it off the leaderboard."),
    by: str = typer.Option(None, "--by", help="Who; default: you."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """Put a submission on the leaderboard, or take it off, where the rule of the leaderboard lets people choose."""
    with opened(workspace, db, dispatch=False) as ws:
        handle = ws.submission(what)
        ws.choose(handle, not off, by=by)
        if as_json:
            print_json({"ok": True, "submission": handle.id, "shown": not off})
        else:
            say(f"{address(handle)}  is {'off' if off else 'on'} the leaderboard, as its rule says")


@handled
def delete(
    what: list[str] = typer.Argument(metavar="SUBMISSION|COMPETITION...", autocompletion=complete_submission),
    hard: bool = typer.Option(
        False, "--hard", help="Submissions, also those on the leaderboard: they count against limits no more."
    ),
    cancel: bool = typer.Option(False, "--cancel", help="Cancel first what is not over."),
    yes: bool = typer.Option(False, "--yes", "-y", help="Do not ask."),
    workspace: str | None = WORKSPACE,
    db: str | None = DB,
    as_json: bool = JSON,
) -> None:
    """List submissions or a competition no more. Their files go with the next `codabench gc`.

    What the leaderboard shows goes only with --hard; it then shows what its rule says of the rest.

    Exit code 0: done. 1: you said no. 2: usage; on the leaderboard; runs are not over; nobody can be asked.
    """
    from codabench.core.records import Submission
    from codabench.core.text import plural, printable
    from codabench.workspace.corrections import see_that_it_may_go
    from codabench.workspace.finding import short, submission_or_competition

    with opened(workspace, db, dispatch=False) as ws:
        found = [submission_or_competition(ws.db, word) for word in what]
        handles = [ws.submission(each.id) for each in found if isinstance(each, Submission)]
        competitions = [ws.competition(each) for each in found if isinstance(each, str)]
        for handle in handles:
            tell(f"submission   {address(handle)}  {handle!r}".splitlines()[0])
        for competition in competitions:
            many = plural(len(competition.submissions()), "submission")
            tell(f"competition  {short(competition.id)}  {printable(competition.title)!r} with {many}")
        for handle in handles:
            see_that_it_may_go(ws, handle, hard=hard)
        ask(yes=yes, as_json=as_json)
        for handle in handles:
            handle.delete(hard=hard, cancel=cancel)
        for competition in competitions:
            ws.delete_competition(competition, cancel=cancel)
        if as_json:
            gone = {"submissions": [h.id for h in handles], "competitions": [c.id for c in competitions]}
            print_json({"ok": True, **gone})
        else:
            tell("deleted")


def ask(*, yes: bool, as_json: bool) -> None:
    """Go on only if somebody says so."""
    from codabench.core.errors import UsageError

    if yes:
        return
    if as_json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError("nobody can be asked whether this is to be deleted", code="CB353", hint="--yes")
    if not typer.confirm("delete?", err=True):
        raise typer.Exit(FAILED)
