"""What is used of a quota, and four buttons for what nothing needs any more (platform.md P30, P31)."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from codabench.site.actors import Actor
from codabench.site.policy import Action
from codabench.site.quota import Quota
from codabench.web.identity import Somebody, site_of
from codabench.web.pages.common import onward, question
from codabench.web.rendering import render
from codabench.web.routing import decides

router = APIRouter(prefix="/datasets/cleanup", include_in_schema=False)


class What(StrEnum):
    """What may be deleted; the words are the fields of `Unneeded`."""

    TASKS = "tasks"
    DATASETS = "datasets"
    SUBMISSIONS = "submissions"
    FAILED = "failed"


WORDS = {
    What.TASKS: "tasks that no competition has",
    What.DATASETS: "datasets and programs that nothing has",
    What.SUBMISSIONS: "uploaded files that are no submission",
    What.FAILED: "submissions that failed",
}
_DELETE: dict[What, Callable[[Quota, Actor], int]] = {
    What.TASKS: Quota.delete_unused_tasks,
    What.DATASETS: Quota.delete_unused_datasets,
    What.SUBMISSIONS: Quota.delete_unused_submissions,
    What.FAILED: Quota.delete_failed_submissions,
}


@router.get("/", openapi_extra=decides(Action.ACCOUNT_SEE_USE))
def overview(request: Request, actor: Somebody) -> HTMLResponse:
    """How much there is of each."""
    quota = site_of(request).quota
    counts = quota.cleanup(actor)._asdict()
    rows = [(what.value, words, counts[what.value]) for what, words in WORDS.items()]
    return render(request, "resources/cleanup.html", {"used": quota.usage(actor), "rows": rows})


@router.get("/{what}/", openapi_extra=decides(Action.ACCOUNT_SEE_USE))
def clean_form(request: Request, actor: Somebody, what: What) -> HTMLResponse:
    """Whether these shall go."""
    count = site_of(request).quota.cleanup(actor)._asdict()[what.value]
    return question(
        request,
        f"Delete {count} {WORDS[what]}?",
        "Nobody brings them back. What is in use stays.",
        button="Delete for ever",
        back="/datasets/cleanup/",
    )


@router.post("/{what}/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def clean(request: Request, actor: Somebody, what: What) -> Response:
    """Delete them."""
    count = _DELETE[what](site_of(request).quota, actor)
    return onward(request, "/datasets/cleanup/", f"{count} {WORDS[what]} deleted.")
