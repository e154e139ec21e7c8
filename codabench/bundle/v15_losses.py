"""What CodaLab knew and this library does not: said once for each level, with what is lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from codabench.bundle.fields import Fields
from codabench.bundle.nodes import Node, Scalar, scalar_value
from codabench.core.problems import Severity

LOST_AT_TOP = {
    "admin_names": "who else administers it",
    "anonymous_leaderboard": "hidden names on the leaderboard",
    "allow_teams": "teams",
    "enable_teams": "teams",
    "require_team_approval": "approval of teams",
    "enable_per_submission_metadata": "descriptions of submissions",
    "show_datasets_from_yaml": "the list of data sets",
    "hide_top_three": "hidden leaders",
    "hide_chart": "the chart of scores",
    "enable_medical_image_viewer": "the viewer of medical images",
    "url_redirect": "a redirection",
    "upper_bound_max_submission_size": "the size that a submission may have",
}
LOST_IN_PHASES = {
    "color": "the colour of the tab",
    "datasets": "links to data",
    "max_submission_size": "the size that a submission may have",
    "participant_max_storage_use": "the room that a participant has",
    "delete_submissions_except_best_and_last": "the deletion of submissions",
}
LOST_WITH_PARENTS = dict.fromkeys(
    ("scoring_program", "reference_data", "input_data", "ingestion_program"),
    "what the parent itself would run: its children are the tasks",
)
LOST_IN_COLUMNS = {"column_group": "common headings of columns", "show_rank": "ranks beside the values"}
IMAGES = {
    "default_docker_image": "competition_docker_image serves all programs",
    "scoring_program_docker_image": "competition_docker_image serves all programs",
    "ingestion_program_docker_image": "competition_docker_image serves all programs",
    "disable_custom_docker_image": "participants cannot choose an image",
}


def note_losses(levels: Sequence[Fields], lost: Mapping[str, str], where: str = "") -> None:
    """One note of the keys of `lost` that are set somewhere in `levels`, each with what it did."""
    _tell(levels, lost, where, Severity.NOTE)


def warn_of_losses(levels: Sequence[Fields], lost: Mapping[str, str], where: str = "") -> None:
    """The same as a warning: without it something else happens than was meant."""
    _tell(levels, lost, where, Severity.WARNING)


def _tell(levels: Sequence[Fields], lost: Mapping[str, str], where: str, severity: Severity) -> None:
    found: dict[str, Node] = {}
    for fields in levels:
        for key, (place, node) in fields.node.entries.items():
            if key in lost and not _says_nothing(node):
                found.setdefault(key, place)
    if found:
        meanings: dict[str, list[str]] = {}
        for key in found:
            meanings.setdefault(lost[key], []).append(key)
        listed = "; ".join(f"{', '.join(keys)} ({meaning})" for meaning, keys in meanings.items())
        message = f"without effect here and kept aside{where}: {listed}"
        levels[0].source.add("CB118", severity, message, next(iter(found.values())))


def _says_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and scalar_value(node) in (None, False, 0, "", "default")
