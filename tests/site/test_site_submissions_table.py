"""What may be read and said of submissions in every state, by everybody: as the table says that was written by hand."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from board_lab import over
from permission_matrix import Section, sections
from site_lab import person
from submission_lab import SCORES, competition
from upload_lab import sent

from codabench.core.errors import NotFound, NotSignedIn, Refused
from codabench.core.events import EventKind
from codabench.core.hosting import Posted
from codabench.core.records import LogRecord, StepResult
from codabench.site.actors import ANONYMOUS, Actor
from codabench.site.site import Site

TOLD = {Refused: "-", NotSignedIn: "s", NotFound: "0"}
HIDES = ("hide_output", "hide_prediction_output", "hide_score_output")

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


class State:
    """A submission in the state of a section, and everybody who asks for it."""

    def __init__(self, site: Site, section: Section, actors: dict[str, Actor]) -> None:
        self.site, self.actors, words = site, actors, section.words
        flags = "".join(f"    {flag}: true\n" for flag in HIDES if flag in words)
        hidden = "    hidden: true\n" if "board_hidden" in words else ""
        board = f"    key: board\n    submission_rule: {section.values['rule']}\n{hidden}"
        changed = {"    tasks: [0, 1]\n": f"    tasks: [1]\n{flags}", "    key: board\n": board}
        more = {
            "enable_detailed_results": "detailed_results" in words,
            "can_participants_make_submissions_public": "private" not in words,
            "auto_run_submissions": section.values["status"] != "Submitting",
        }
        text = "".join(f"{name}: {str(value).lower()}\n" for name, value in more.items())
        self.id = competition(site, actors["Cr"], actors["Ow"], actors["Ap"], more=text, changed=changed)
        site.competitions.edit(
            actors["Cr"], self.id, {"collaborators": [actors["Co"].account], "allow_robots": "robots" in words}
        )
        made = site.submissions.create(actors["Ow"], self.id, 0, sent(site, actors["Ow"]).key)
        self.number, self.public = made.number, "public" in words
        self._end(made.id, section.values["status"])
        if "on_board" in words:
            site.workspace.choose(made.id)
        if "deleted" in words:
            site.db.delete_submission(made.id, at=site.now())
        specific = "task_rerun" in words
        site.db.post(Posted(submission=made.id, dataset=made.dataset, is_public=self.public, is_specific_task=specific))
        site.competitions.publish(actors["Cr"], self.id, "published" in words)
        self.key = site.competitions.look(actors["Cr"], self.id).hosted.secret_key if "key" in words else ""
        # What was deleted has no files any more.
        self.has_files = section.values["status"] in ("Finished", "Failed") and "deleted" not in words

    def _end(self, id: str, status: str) -> None:
        storage, (run,) = self.site.workspace.storage, self.site.db.runs_of(id)
        if status in ("Finished", "Failed"):
            log, tree = storage.put(b"said\n"), self.site.db.submission(id).tree
            steps = tuple(
                StepResult(name=name, output=tree, logs=(LogRecord(name=f"{name}_stdout", blob=log, total=5),))
                for name in ("prediction", "scoring")
            )
            page = storage.put(b"<h1>page</h1>")
            over(self.site, run, SCORES if status == "Finished" else None, steps=steps, detailed_results=page)
        elif status == "Cancelled":
            self.site.db.append(run.id, [EventKind.RUN_CANCELLED], at=self.site.now())
        elif status == "Running":
            me = {"attempt": f"a-{run.id}", "token": "t"}
            self.site.db.start_attempt(run.id, at=self.site.now(), **me)
            self.site.db.append(run.id, [EventKind.PREDICTION_STARTED], at=self.site.now(), **me)

    def found(self, section: Section) -> dict[str, dict[str, str]]:
        """What everybody is told; of parts of the details only where there are details and files."""
        cells: dict[str, dict[str, str]] = {}
        for role, actor in self.actors.items():
            row = {action: self._told(act, actor) for action, act in READS.items()}
            row["submission.publish"] = self._told(
                lambda site, who, n, _key: site.submissions.publish(who, n, self.public), actor
            )
            listed = self.site.submissions.list(actor, competition=self.id, key=self.key, deleted=True)
            row["submission.list"] = "y" if listed else section.cells["submission.list"][role].replace("y", "not")
            if row["submission.details"] == "y" and self.has_files:
                details = self.site.submissions.details(actor, self.number, key=self.key)
                for action, part in PARTS.items():
                    wanted = section.cells[action][role]
                    row[action] = "y" if getattr(details, part) else wanted.replace("y", "not")
            for action, cell in row.items():
                cells.setdefault(action, {})[role] = cell
        return cells

    def _told(self, act: Act, actor: Actor) -> str:
        try:
            act(self.site, actor, self.number, self.key)
        except (Refused, NotSignedIn, NotFound) as error:
            return TOLD[type(error)]
        return "y"


SAME = {
    "soft-deleted", "waits for the organizer", "failed", "cancelled", "rule Add", "rule Add_And_Delete_Multiple",
    "rule Force_Last", "rule Force_Latest_Multiple", "rule Force_Best", "a rerun on another task",
}  # fmt: skip
"""States in which what is asked here is as in another one: they are for what is done to submissions."""
STATES = [s for s in sections() if s.kind == "submission" and s.state not in SAME]


def test_there_are_states() -> None:
    assert len(STATES) >= 17


@pytest.mark.row("W01", "W03")
@pytest.mark.parametrize("part", range(3))
def test_everybody_is_told_what_the_table_says(site: Site, part: int) -> None:
    names = {"Au": "nobody", "Ap": "carol", "Ow": "bobby", "Co": "colin", "Cr": "annie"}
    actors = {role: person(site, name) for role, name in names.items()} | {
        "An": ANONYMOUS,
        "St": person(site, "staffer", is_staff=True),
        "Su": person(site, "boss1", is_superuser=True),
        "Bo": person(site, "robot", is_bot=True),
    }
    for section in STATES[part::3]:
        found = State(site, section, actors).found(section)
        wanted = {a: {role: section.cells[a][role] for role in row} for a, row in found.items()}
        assert found == wanted, str(section)
