"""What may be read and said of submissions in every state, by everybody: as the table says that was written by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from permission_matrix import Section
from submission_states import SECTIONS, State, everybody

from codabench.core.errors import NotFound, NotSignedIn, Refused
from codabench.site.actors import Actor
from codabench.site.site import Site

TOLD = {Refused: "-", NotSignedIn: "s", NotFound: "0"}

Act = Callable[[Site, Actor, int, str], object]
READS: dict[str, Act] = {
    "submission.read": lambda site, actor, n, key: site.submissions.get(actor, n, key=key),
    "submission.details": lambda site, actor, n, key: site.submissions.details(actor, n, key=key),
    "submission.live": lambda site, actor, n, key: site.submissions.live(actor, n),
    "submission.detailed_result": lambda site, actor, n, key: site.submissions.detailed_result(actor, n, key=key),
    "submission.answer": lambda site, actor, n, key: site.submissions.answer(actor, n, {}),
}
PARTS: dict[str, str] = {
    "submission.logs": "logs",
    "submission.prediction_output": "prediction_result",
    "submission.scoring_output": "scoring_result",
}


def _found(state: State, section: Section) -> dict[str, dict[str, str]]:
    """What everybody is told; of parts of the details only where there are details and files."""
    cells: dict[str, dict[str, str]] = {}
    for role, actor in state.actors.items():
        row = {action: _told(state, act, actor) for action, act in READS.items()}
        row["submission.publish"] = _told(
            state, lambda site, who, n, _key: site.submissions.publish(who, n, state.public), actor
        )
        listed = state.site.submissions.list(actor, competition=state.id, key=state.key, deleted=True)
        row["submission.list"] = "y" if listed else section.cells["submission.list"][role].replace("y", "not")
        if row["submission.details"] == "y" and state.has_files:
            details = state.site.submissions.details(actor, state.number, key=state.key)
            for action, part in PARTS.items():
                wanted = section.cells[action][role]
                row[action] = "y" if getattr(details, part) else wanted.replace("y", "not")
        for action, cell in row.items():
            cells.setdefault(action, {})[role] = cell
    return cells


def _told(state: State, act: Act, actor: Actor) -> str:
    try:
        act(state.site, actor, state.number, state.key)
    except (Refused, NotSignedIn, NotFound) as error:
        return TOLD[type(error)]
    return "y"


SAME = {
    "soft-deleted", "waits for the organizer", "failed", "cancelled", "rule Add", "rule Add_And_Delete_Multiple",
    "rule Force_Last", "rule Force_Latest_Multiple", "rule Force_Best", "a rerun on another task",
}  # fmt: skip
"""States in which what is asked here is as in another one: they are for what is done to submissions."""
STATES = [section for section in SECTIONS if section.state not in SAME]


def test_there_are_states() -> None:
    assert len(STATES) >= 17


@pytest.mark.row("W01", "W03")
@pytest.mark.parametrize("part", range(3))
def test_everybody_is_told_what_the_table_says(site: Site, part: int) -> None:
    actors = everybody(site)
    for section in STATES[part::3]:
        found = _found(State(site, section, actors), section)
        wanted = {a: {role: section.cells[a][role] for role in row} for a, row in found.items()}
        assert found == wanted, str(section)
