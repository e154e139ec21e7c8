"""What is stored and what goes on, by the calls of Codabench: quotas, clean-up, analytics (platform.md 3.9, 3.10)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from codabench.core.errors import Invalid
from codabench.site.policy import Action
from codabench.site.settings import GB
from codabench.site.status import Use
from codabench.web.api.common import Day, format_of
from codabench.web.identity import Somebody, site_of
from codabench.web.routing import decides

router = APIRouter(prefix="/api", tags=["housekeeping"])

_YEAR = timedelta(days=365)


class Quota(BaseModel):
    """What one may store, in GB, and what one does store, in bytes."""

    quota: float
    storage_used: int


class Cleanup(BaseModel):
    """How many things one has that nothing needs."""

    unused_tasks: int
    unused_datasets_programs: int
    unused_submissions: int
    failed_submissions: int


class Cleaned(BaseModel):
    """How many things were deleted."""

    success: bool
    message: str
    count: int


class Count(BaseModel):
    """How much came from that day on, until the next one that is told."""

    date: date
    count: int


class Analytics(BaseModel):
    """How much came in a time, altogether and by day, week or month."""

    registered_user_count: int
    competition_count: int
    competitions_published_count: int
    submissions_made_count: int
    users_data: list[Count]
    competitions_data: list[Count]
    competitions_published_data: list[Count]
    submissions_data: list[Count]
    start_date: date
    end_date: date
    time_unit: str


class Usage(BaseModel):
    """Bytes of a competition, or of somebody."""

    name: str
    data: int
    submissions: int
    results: int
    total: int


class Orphans(BaseModel):
    """What is stored and nothing names: how many files, and their bytes."""

    count: int
    size: int


# ---------------------------------------------------------------------- one's own
@router.get("/user_quota/", openapi_extra=decides(Action.ACCOUNT_SEE_USE))
def user_quota(request: Request, actor: Somebody) -> Quota:
    """What one may store, and what one does store."""
    used = site_of(request).quota.usage(actor)
    return Quota(quota=used.quota / GB, storage_used=used.used)


@router.get("/user_quota_cleanup/", openapi_extra=decides(Action.ACCOUNT_SEE_USE))
def user_quota_cleanup(request: Request, actor: Somebody) -> Cleanup:
    """How much there is to clean up."""
    found = site_of(request).quota.cleanup(actor)
    return Cleanup(
        unused_tasks=found.tasks,
        unused_datasets_programs=found.datasets,
        unused_submissions=found.submissions,
        failed_submissions=found.failed,
    )


@router.delete("/delete_unused_tasks/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def delete_unused_tasks(request: Request, actor: Somebody) -> Cleaned:
    """Delete one's tasks that no competition has."""
    return _cleaned(site_of(request).quota.delete_unused_tasks(actor))


@router.delete("/delete_unused_datasets/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def delete_unused_datasets(request: Request, actor: Somebody) -> Cleaned:
    """Delete one's programs and data that nothing has."""
    return _cleaned(site_of(request).quota.delete_unused_datasets(actor))


@router.delete("/delete_unused_submissions/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def delete_unused_submissions(request: Request, actor: Somebody) -> Cleaned:
    """Delete what one uploaded for submissions, and is none."""
    return _cleaned(site_of(request).quota.delete_unused_submissions(actor))


@router.delete("/delete_failed_submissions/", openapi_extra=decides(Action.ACCOUNT_EDIT))
def delete_failed_submissions(request: Request, actor: Somebody) -> Cleaned:
    """Take one's submissions away that failed."""
    return _cleaned(site_of(request).quota.delete_failed_submissions(actor))


def _cleaned(count: int) -> Cleaned:
    return Cleaned(success=True, message="Deleted.", count=count)


# ---------------------------------------------------------------------- of the site
@router.get("/analytics/", openapi_extra=decides(Action.SITE_ANALYTICS), response_model=Analytics)
def analytics(
    request: Request,
    actor: Somebody,
    start_date: Annotated[Day | None, Query(description="usually a year before the end")] = None,
    end_date: Annotated[Day | None, Query(description="usually today")] = None,
    time_unit: Literal["day", "week", "month"] = "month",
) -> object:
    """How much came in a time; as CSV with ``format=csv``."""
    site = site_of(request)
    until = end_date or site.now().date()
    since = start_date or (until - _YEAR if until > date.min + _YEAR else date.min)
    try:
        if format_of(request) == "csv":
            return _csv(site.status.analytics_csv(actor, since, until, time_unit), "analytics")
        periods = site.status.analytics(actor, since, until, time_unit)
    except Invalid as error:
        raise Invalid({"end_date": error.fields.get("until", [error.message])}) from None

    def series(name: str) -> list[Count]:
        return [Count(date=period.begins, count=getattr(period, name)) for period in periods]

    def total(name: str) -> int:
        return sum(int(getattr(period, name)) for period in periods)

    return Analytics(
        registered_user_count=total("users"),
        competition_count=total("competitions"),
        competitions_published_count=total("published"),
        submissions_made_count=total("submissions"),
        users_data=series("users"),
        competitions_data=series("competitions"),
        competitions_published_data=series("published"),
        submissions_data=series("submissions"),
        start_date=since,
        end_date=until,
        time_unit=time_unit,
    )


@router.get("/analytics/competitions_usage/", openapi_extra=decides(Action.SITE_ANALYTICS), response_model=list[Usage])
def competitions_usage(request: Request, actor: Somebody) -> object:
    """Which competition uses how much storage, largest first; as CSV with ``format=csv``."""
    status = site_of(request).status
    if format_of(request) == "csv":
        return _csv(status.storage_csv(actor, "competition"), "competitions")
    return [_usage(use) for use in status.storage(actor, "competition")]


@router.get("/analytics/users_usage/", openapi_extra=decides(Action.SITE_ANALYTICS), response_model=list[Usage])
def users_usage(request: Request, actor: Somebody) -> object:
    """Who uses how much storage, largest first; as CSV with ``format=csv``."""
    status = site_of(request).status
    if format_of(request) == "csv":
        return _csv(status.storage_csv(actor, "user"), "users")
    return [_usage(use) for use in status.storage(actor, "user")]


@router.get("/analytics/get_orphan_files/", openapi_extra=decides(Action.SITE_ADMINISTER))
def get_orphan_files(request: Request, actor: Somebody) -> Orphans:
    """What is stored and nothing names any more."""
    found = site_of(request).status.orphans(actor)
    return Orphans(count=len(found.items), size=found.size)


@router.delete("/analytics/delete_orphan_files/", openapi_extra=decides(Action.SITE_ADMINISTER))
def delete_orphan_files(request: Request, actor: Somebody) -> Orphans:
    """Remove it, where it is older than a day; the answer comes when it is gone."""
    found = site_of(request).status.orphans(actor, delete=True)
    return Orphans(count=len(found.items), size=found.size)


def _usage(use: Use) -> Usage:
    return Usage(name=use.name, data=use.data, submissions=use.submissions, results=use.results, total=use.total)


def _csv(text: str, name: str) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)
