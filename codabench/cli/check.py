"""``codabench check``: every problem of a bundle at once."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.output import DATASET, FAILED, USAGE, error_document, given_datasets, handled, print_json, say, tell
from codabench.core.text import printable

if TYPE_CHECKING:
    from codabench.bundle.load import Bundle
    from codabench.core.competition import CompetitionSpec
    from codabench.core.report import Report


class Form(StrEnum):
    """How problems are printed."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def check(
    source: str = typer.Argument(
        metavar="SOURCE", help="A competition bundle or task archive: directory, zip, or URL."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document: --format json."),
    form: Form = typer.Option(Form.TEXT, "--format", help="github: annotations for a workflow of GitHub."),
    dataset: list[str] = DATASET,
    target: str = typer.Option(
        "local", metavar="TARGET", help="codabench.org: what is refused or read otherwise there."
    ),
    mend: bool = typer.Option(False, "--fix", help="Mend competition.yaml in a directory, where its meaning stays."),
    unsafe: bool = typer.Option(False, "--unsafe-fixes", help="Mend also by guesses, and where rankings may change."),
    diff: bool = typer.Option(False, "--diff", help="Show what --fix would do, and write nothing."),
) -> None:
    """Check a bundle or a task archive and show every problem at once.

    Exit code 0: no errors (left). 1: errors. 2: SOURCE cannot be read at all, or not be mended.
    """
    form = Form.JSON if as_json else form
    if mend or unsafe or diff:
        _mend(source, dataset, form=form, as_json=form is Form.JSON, unsafe=unsafe, diff=diff, target=target)
    else:
        _check(source, dataset, form=form, as_json=form is Form.JSON, target=target)


@handled
def _mend(
    source: str, dataset: list[str] | None, *, form: Form, as_json: bool, unsafe: bool, diff: bool, target: str
) -> None:
    from codabench.bundle.fix import fix

    fixed = fix(source, unsafe=unsafe, dry_run=diff, target=target, datasets=given_datasets(dataset))
    if as_json:
        with _opened(source, dataset, form, target) as bundle:
            done = [problem.to_dict() for problem in fixed.applied]
            left = {"ok": fixed.report.ok, "problems": [problem.to_dict() for problem in fixed.report]}
            more = {"fixed": done, "diff": fixed.diff, "written": fixed.written}
            print_json({**check_document(bundle), **left, **more})
    else:
        if fixed.diff:
            say(fixed.diff)
        for problem in fixed.applied:
            line = f":{problem.line}" if problem.line else ""
            what = problem.fix.description if problem.fix else ""
            tell(f"{'would be fixed' if diff else 'fixed'}[{problem.code}]: {printable(what)} ({problem.file}{line})")
        _tell_report(fixed.report, form)
    if not fixed.report.ok:
        raise typer.Exit(FAILED)


@handled
def _check(source: str, dataset: list[str] | None, *, form: Form, as_json: bool, target: str) -> None:
    with _opened(source, dataset, form, target) as bundle:
        if as_json:
            print_json(check_document(bundle))
        else:
            if bundle.spec is not None and form is Form.TEXT:
                say(structure_text(bundle.spec))
            _tell_report(bundle.report, form)
        if not bundle.report.ok:
            raise typer.Exit(FAILED)


def _opened(source: str, dataset: list[str] | None, form: Form, target: str) -> Bundle:
    """The bundle; if it cannot be read at all, that is said in the form that is wanted."""
    from codabench.bundle.load import read_bundle
    from codabench.core.errors import BundleError

    datasets = given_datasets(dataset)
    try:
        return read_bundle(source, target=target, datasets=datasets)
    except BundleError as error:
        if form is Form.JSON:
            nothing: dict[str, Any] = {"format": None, "title": None, "problems": [], "phases": [], "leaderboards": []}
            print_json({**nothing, **error_document(error)})
        elif form is Form.GITHUB and error.report is not None:
            from codabench.cli.github import annotated

            say(annotated(error.report))
        else:
            raise
        raise typer.Exit(USAGE) from None


def _tell_report(report: Report, form: Form) -> None:
    if form is Form.TEXT:
        tell(str(report))
        return
    from codabench.cli.github import annotated

    if report.problems:
        say(annotated(report))
    tell(report.summary())


def check_document(bundle: Bundle) -> dict[str, Any]:
    """What ``check --json`` prints."""
    spec = bundle.spec
    return {
        "ok": bundle.report.ok,
        "format": bundle.format or "v2",
        "title": spec.title if spec else None,
        "problems": [p.to_dict() for p in bundle.report],
        "phases": [] if spec is None else [_phase(spec, n) for n in range(len(spec.phases))],
        "leaderboards": [] if spec is None else [_leaderboard(board) for board in spec.leaderboards],
    }


def _phase(spec: CompetitionSpec, place: int) -> dict[str, Any]:
    phase = spec.phases[place]
    return {
        "index": phase.index,
        "name": phase.name,
        "start": _moment(phase.start),
        "end": _moment(phase.end),
        "tasks": [{"index": t.index, "name": t.name} for t in spec.tasks_of(phase)],
    }


def _leaderboard(board: Any) -> dict[str, Any]:
    return {
        "key": board.key,
        "columns": [
            {"key": c.key, "title": c.title, "sorting": c.sorting.value, "primary": c.index == board.primary_index}
            for c in board.columns
        ],
    }


def _moment(at: Any) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")


def structure_text(spec: CompetitionSpec) -> str:
    """What a bundle holds, in a few lines."""
    from codabench.workspace.described import spec_text

    return spec_text(spec)
