"""``codabench check``: every problem of a bundle at once."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.output import DATASET, FAILED, USAGE, error_document, given_datasets, handled, print_json, say, tell

if TYPE_CHECKING:
    from codabench.bundle.load import Bundle
    from codabench.core.competition import CompetitionSpec


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
) -> None:
    """Check a bundle or a task archive and show every problem at once.

    Exit code 0: no errors. 1: errors. 2: SOURCE cannot be read at all.
    """
    _check(source, dataset, form=form, as_json=as_json or form is Form.JSON)


@handled
def _check(source: str, dataset: list[str] | None, *, form: Form, as_json: bool) -> None:
    from codabench.bundle.load import read_bundle
    from codabench.core.errors import BundleError

    datasets = given_datasets(dataset)
    try:
        opened = read_bundle(source, datasets=datasets)
    except BundleError as error:
        if as_json:
            nothing: dict[str, Any] = {"format": None, "title": None, "problems": [], "phases": [], "leaderboards": []}
            print_json({**nothing, **error_document(error)})
        elif form is Form.GITHUB and error.report is not None:
            from codabench.cli.github import annotated

            say(annotated(error.report))
        else:
            raise
        raise typer.Exit(USAGE) from None
    with opened as bundle:
        if as_json:
            print_json(check_document(bundle))
        else:
            _show(bundle, form)
        if not bundle.report.ok:
            raise typer.Exit(FAILED)


def _show(bundle: Bundle, form: Form) -> None:
    if form is Form.GITHUB:
        from codabench.cli.github import annotated

        if bundle.report.problems:
            say(annotated(bundle.report))
        tell(bundle.report.summary())
        return
    if bundle.spec is not None:
        say(structure_text(bundle.spec))
    tell(str(bundle.report))


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
    from codabench.workspace.competition import spec_text

    return spec_text(spec)
