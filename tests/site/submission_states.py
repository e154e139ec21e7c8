"""Submissions in the states of the table of permissions, and everybody who asks for them."""

from __future__ import annotations

from board_lab import over
from permission_matrix import Section, sections
from site_lab import person
from submission_lab import SCORES, competition
from upload_lab import sent

from codabench.core.events import EventKind
from codabench.core.hosting import Posted
from codabench.core.records import LogRecord, StepResult
from codabench.site.actors import ANONYMOUS, Actor
from codabench.site.site import Site

HIDES = ("hide_output", "hide_prediction_output", "hide_score_output")
SECTIONS = [section for section in sections() if section.kind == "submission"]


def everybody(site: Site) -> dict[str, Actor]:
    """Somebody for each role."""
    names = {"Au": "nobody", "Ap": "carol", "Ow": "bobby", "Co": "colin", "Cr": "annie"}
    return {role: person(site, name) for role, name in names.items()} | {
        "An": ANONYMOUS,
        "St": person(site, "staffer", is_staff=True),
        "Su": person(site, "boss1", is_superuser=True),
        "Bo": person(site, "robot", is_bot=True),
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
