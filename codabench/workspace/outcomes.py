"""The leaderboards of a competition as the files that servers give organizers (contract.md 5.8)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from codabench.core.errors import StorageError, UsageError
from codabench.leaderboard.exports import Results, results_csv, results_json, results_of, results_zip

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


def write_results(competition: Competition, dest: Path, *, phase: int | str | None, **options: Any) -> Path:
    """Write what `Competition.save_results` says."""
    kind = dest.suffix.lower()
    if kind not in (".csv", ".json", ".zip"):
        raise UsageError(f"{dest.name} ends in none of .csv, .json, .zip", code="CB350", hint="name results.zip")
    phases = competition.spec.phases if phase is None else (competition.phase(phase),)
    if kind == ".csv" and len(phases) > 1:
        hint = "name one (phase=...), or write a .zip with a table for each"
        raise UsageError(f"{len(phases)} phases do not go into one table", code="CB350", hint=hint)
    boards = [_results(competition, each.index, options) for each in phases]
    data = {
        ".csv": lambda: results_csv(boards[0]).encode(),
        ".json": lambda: results_json(boards).encode(),
        ".zip": lambda: results_zip(boards),
    }[kind]()
    try:
        with dest.open("xb") as out:
            out.write(data)
    except FileExistsError:
        raise UsageError(f"{dest} is there already", code="CB706", hint="name another file") from None
    except OSError as error:
        raise StorageError(f"{dest} cannot be written: {error}", code="CB704") from error
    return dest


def _results(competition: Competition, phase: int, options: dict[str, Any]) -> Results:
    made = competition.leaderboard(phase=phase, **options)
    return results_of(made.board, competition.spec, made.phase, made.facts)
