"""Competitions in which people submit, and their submissions."""

from __future__ import annotations

from typing import Any

from board_lab import over
from hosting_lab import YAML, bundle, hosted
from upload_lab import fetched, sent

from codabench.core.errors import Refused
from codabench.core.problems import Problem, Severity
from codabench.core.records import LogRecord, StepResult
from codabench.site.actors import Actor
from codabench.site.showing import Shown
from codabench.site.site import Site
from codabench.site.submission_files import FileTicket

OPEN = "registration_auto_approve: true\n"
SCORES = {"score": 1.0, "time": 2.0}
PROBLEM = Problem(code="CB501", severity=Severity.ERROR, message="the scoring program said SECRET-LABELS")


def competition(site: Site, ann: Actor, *who: Actor, more: str = "", changed: dict[str, str] | None = None) -> str:
    """A competition of this actor in which others take part; `changed` replaces texts of its bundle."""
    text = YAML.format(more=OPEN + more)
    for old, new in (changed or {}).items():
        assert old in text
        text = text.replace(old, new)
    id = hosted(site, ann, bundle(text=text), published=True)
    for each in who:
        site.registrations.register(each, id)
    return id


def made(site: Site, actor: Actor, id: str, *, phase: int = 0, **more: Any) -> Shown:
    """A submission that waits for its turn."""
    return site.submissions.create(actor, id, phase, sent(site, actor).key, **more)


def with_files(site: Site, id: str, actor: Actor, *, fails: bool = False) -> Shown:
    """A submission on one task whose run left outputs, logs and a page."""
    storage, shown = site.workspace.storage, made(site, actor, id)
    log, page = storage.put(b"said\n"), storage.put(b"<h1>page</h1>")
    for run in site.db.runs_of(shown.id):
        steps = tuple(
            StepResult(
                name=name,
                output=site.db.submission(shown.id).tree,
                logs=(LogRecord(name=f"{name}_stdout", blob=log, total=5),),
            )
            for name in ("prediction", "scoring")
        )
        problem = PROBLEM if fails else None
        over(site, run, None if fails else SCORES, steps=steps, detailed_results=page, problem=problem)
    return site.submissions.get(actor, shown.number)


def shape(site: Site, actor: Actor, number: int) -> str:
    """What an actor gets of the details: upload, prediction, scoring and page, and how many logs."""
    try:
        found = site.submissions.details(actor, number)
    except Refused as error:
        return error.message
    parts = (found.data_file, found.prediction_result, found.scoring_result, found.detailed_result)
    return "".join("-" if part is None else "y" for part in parts) + str(len(found.logs))


def link(site: Site, ticket: FileTicket | None) -> bytes:
    """What a link to a file gives."""
    assert ticket is not None
    return fetched(site, site.links.url("GET", ticket.what))
