"""What organizers do with a competition by the calls of Codabench: participants, mails, bundles, dumps (3.7, 3.10)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from codabench.core.errors import Invalid
from codabench.core.hosting import Dataset, Job, JobKind, JobState
from codabench.core.people import ParticipationStatus
from codabench.site.links import HOUR
from codabench.site.policy import Action
from codabench.site.registrations import Participant
from codabench.site.site import Site
from codabench.web.api.common import Asked, Body, Number, Text, body, format_of, takes, wire
from codabench.web.api.competitions import competition_of
from codabench.web.identity import Somebody, site_of
from codabench.web.routing import decides

router = APIRouter(prefix="/api", tags=["organizing"])

_STATES = {
    JobState.WAITING: "Starting",
    JobState.RUNNING: "Starting",
    JobState.FINISHED: "Finished",
    JobState.FAILED: "Failed",
}


class Message(Body):
    """A mail; ``everybody``: also to those who wait, and who were kept out."""

    message: Text
    everybody: bool = False


class Told(BaseModel):
    """To how many a mail goes."""

    count: int


class File(BaseModel):
    """A bundle, and where it can be had for a while."""

    key: str
    name: str
    file_name: str
    file_size: int
    created_when: str
    url: str


class Files(BaseModel):
    """The bundle that a competition came as, and its dumps, newest first."""

    bundle: File | None
    dumps: list[File]


class Dump(Body):
    """How a dump is written: with keys of this site in place of files, or with the files."""

    keys_instead_of_files: bool = False


class Started(BaseModel):
    """Work that was begun; ask for ``creation_status`` of that number."""

    status: str
    status_id: int


class Creation(BaseModel):
    """How far the work on a bundle or a dump is."""

    id: int
    status: str
    details: str
    resulting_competition: int | None
    created_by: str
    done: float


class ParticipantItem(BaseModel):
    """Somebody who asked to take part."""

    id: int
    competition: int
    user: int
    username: str
    email: str | None
    is_bot: bool
    is_deleted: bool
    status: str


class Decision(Body):
    """What becomes of an application."""

    status: ParticipationStatus


# ---------------------------------------------------------------------- bundles
@router.get("/competitions/{id}/get_files/", openapi_extra=decides(Action.DUMPS_LIST))
def get_files(request: Request, actor: Somebody, id: Number) -> Files:
    """The bundle of a competition, and its dumps."""
    site = site_of(request)
    bundles, dumps = site.competitions.bundles(actor, competition_of(request, id))

    def file(dataset: Dataset) -> File:
        return File(
            key=dataset.key,
            name=dataset.name,
            file_name=dataset.file_name,
            file_size=dataset.size,
            created_when=wire(dataset.created_at),
            url=site.links.url("GET", {"dataset": dataset.key, "name": dataset.file_name}, HOUR),
        )

    return Files(bundle=file(bundles[0]) if bundles else None, dumps=[file(each) for each in dumps])


@router.post(
    "/competitions/{id}/create_dump/", status_code=201, openapi_extra=decides(Action.DUMPS_CREATE, **takes(Dump))
)
def create_dump(request: Request, actor: Somebody, id: Number, given: Annotated[Dump, body(Dump)]) -> Started:
    """Begin to write a competition as a bundle that can be uploaded again."""
    keys = given.keys_instead_of_files
    job = site_of(request).competitions.dump(actor, competition_of(request, id), keys=keys)
    return Started(status="Success! Competition dump is being created!", status_id=job.id)


@router.get("/competitions/{id}/creation_status/", openapi_extra=decides(Action.JOB_READ))
def creation_status(request: Request, actor: Somebody, id: Number) -> Creation:
    """How far a bundle or a dump is; the number is the one that its beginning was answered with."""
    site = site_of(request)
    job = site.jobs.get(actor, id)
    return Creation(
        id=job.id,
        status=_STATES[job.state],
        details=job.details,
        resulting_competition=_made(site, job),
        created_by=site.accounts.called([job.account])[job.account].username,
        done=job.done,
    )


def _made(site: Site, job: Job) -> int | None:
    done = job.kind is JobKind.BUNDLE and job.state is JobState.FINISHED
    return site.competitions.number(job.result) if done and job.result is not None else None


# ---------------------------------------------------------------------- participants
@router.post(
    "/competitions/{id}/email_all_participants/", openapi_extra=decides(Action.PARTICIPANTS_MAIL_ALL, **takes(Message))
)
def email_all(request: Request, actor: Somebody, id: Number, given: Annotated[Message, body(Message)]) -> Told:
    """Write to all who take part; nobody sees who else gets it."""
    registrations, known = site_of(request).registrations, competition_of(request, id)
    return Told(count=registrations.mail_all(actor, known, given.message, everybody=given.everybody))


@router.get("/participants/", openapi_extra=decides(Action.PARTICIPANTS_LIST), response_model=list[ParticipantItem])
def participants(
    request: Request,
    actor: Somebody,
    competition: Asked = None,
    status: Text = "",
    search: Text = "",
    user__username: Text = "",
    user__email: Text = "",
    user__is_deleted: bool | None = None,
) -> object:
    """Who asked to take part in a competition; nobody, if none is named. As CSV with ``format=csv``."""
    if competition is None:
        return []
    site, id = site_of(request), competition_of(request, competition)
    if format_of(request) == "csv":
        headers = {"content-disposition": f'attachment; filename="participants-{competition}.csv"'}
        return Response(site.registrations.to_csv(actor, id), media_type="text/csv", headers=headers)
    deleted = user__is_deleted is True
    found = site.registrations.participants(actor, id, status=_status(status), text=search, deleted=deleted)
    return [
        _item(competition, each)
        for each in found
        if user__username.lower() in each.account.username.lower()
        and user__email.lower() in (each.account.email or "").lower()
        and (user__is_deleted is None or user__is_deleted == (each.account.deleted_at is not None))
    ]


def _status(text: str) -> ParticipationStatus | None:
    try:
        return ParticipationStatus(text) if text else None
    except ValueError:
        raise Invalid({"status": f'"{text[:60]}" is not a valid choice.'}) from None


@router.patch("/participants/{id}/", openapi_extra=decides(Action.PARTICIPANTS_DECIDE, **takes(Decision)))
def decide(
    request: Request, actor: Somebody, id: Number, given: Annotated[Decision, body(Decision)]
) -> ParticipantItem:
    """Let somebody in, or keep or put them out; they are told."""
    site = site_of(request)
    site.registrations.decide(actor, id, given.status)
    made = site.registrations.participant(actor, id)
    return _item(site.competitions.number(made.participation.competition), made)


@router.post("/participants/{id}/send_email/", openapi_extra=decides(Action.PARTICIPANTS_MAIL, **takes(Message)))
def send_email(request: Request, actor: Somebody, id: Number, given: Annotated[Message, body(Message)]) -> Told:
    """Write to one participant."""
    return Told(count=site_of(request).registrations.mail(actor, id, given.message))


def _item(competition: int, each: Participant) -> ParticipantItem:
    account = each.account
    return ParticipantItem(
        id=each.participation.id,
        competition=competition,
        user=account.id,
        username=account.username,
        email=account.email,
        is_bot=account.is_bot,
        is_deleted=account.deleted_at is not None,
        status=each.participation.status.value,
    )
