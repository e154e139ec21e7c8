"""New competitions: of a bundle that is uploaded, or described in the words of one; and how far the work is."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from codabench.core.competition import DataRole
from codabench.core.hosting import JobKind, JobState
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.identity import Somebody, site_of
from codabench.web.pages.common import ANY_SIZE, TOLD, Entered, Filled, Sent, again, onward
from codabench.web.pages.fields import parsed
from codabench.web.pages.files import kept
from codabench.web.rendering import render
from codabench.web.routing import decides

router = APIRouter(include_in_schema=False)


@router.get("/competitions/upload/", openapi_extra=decides(Action.COMPETITION_CREATE))
def bundle(request: Request, _: Somebody) -> HTMLResponse:
    """Choose a bundle."""
    return render(request, "competition/upload.html", {"form": Filled({"data": ""})})


@router.post("/competitions/upload/", openapi_extra=decides(Action.COMPETITION_CREATE), max_body_size=ANY_SIZE)
def upload(request: Request, _: Entered, actor: Somebody, sent: Sent) -> Response:
    """Take a bundle in, and have it unpacked."""
    site = site_of(request)
    try:
        site.policy.require(actor, Action.COMPETITION_CREATE)
        job = site.competitions.create(
            actor, kept(site, actor, DataRole.COMPETITION_BUNDLE, sent.file("data"), "data").key
        )
    except TOLD as error:
        return again(request, "competition/upload.html", {"data": ""}, error)
    return onward(request, f"/jobs/{job.id}/")


@router.get("/jobs/{number:int}/", openapi_extra=decides(Action.JOB_READ))
def job(request: Request, actor: Somebody, number: int) -> HTMLResponse:
    """How far work is that somebody waits for; the page looks again by itself until it is over."""
    site = site_of(request)
    found = site.jobs.get(actor, number)
    over, done = found.state.is_final, found.state is JobState.FINISHED
    competition = found.result if found.kind is JobKind.BUNDLE and done else found.competition
    values = {
        "job": found,
        "over": over,
        "done": done,
        "is_bundle": found.kind is JobKind.BUNDLE,
        "competition": None if competition is None else site.numbers.of(Kind.COMPETITION, competition),
    }
    answer = render(request, "competition/job.html", values)
    if not over:
        answer.headers["refresh"] = "2"
    return answer


@router.get("/competitions/create/", openapi_extra=decides(Action.COMPETITION_CREATE))
def create(request: Request, _: Somebody) -> HTMLResponse:
    """An example of a description, to be changed."""
    return render(request, "competition/create.html", {"form": Filled({"document": EXAMPLE})})


@router.post("/competitions/create/", openapi_extra=decides(Action.COMPETITION_CREATE))
def describe(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Make a competition of a description with tasks that are on this site."""
    site = site_of(request)
    try:
        id = site.competitions.describe(actor, parsed(sent.text("document"), "document"))
    except TOLD as error:
        return again(request, "competition/create.html", sent.texts("document"), error)
    number = site.competitions.number(id)
    return onward(
        request, f"/competitions/{number}/", "The competition was created. Only you see it until you publish it."
    )


EXAMPLE = """\
title: My competition
description: What it is about, in a sentence.
docker_image: python:3.12-slim
terms: |
  Be fair.
pages:
  - title: Overview
    content: |
      # What to do
      Words for participants, in Markdown.
phases:
  - name: Development
    start: 2026-01-01 00:00:00
    tasks: [00000000-0000-0000-0000-000000000000]  # keys of tasks, from your resources
    max_submissions_per_day: 5
leaderboards:
  - title: Results
    key: main
    columns:
      - {title: Score, key: score, index: 0, sorting: desc}
"""
