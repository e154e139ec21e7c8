"""What organizers of a competition do on its pages: participants, submissions, bundles, and what happens to it."""

from __future__ import annotations

from typing import Any, TypedDict

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from codabench.core.errors import Invalid
from codabench.core.people import ParticipationStatus
from codabench.core.records import Status
from codabench.core.text import plural
from codabench.site.policy import Action
from codabench.web.identity import Somebody
from codabench.web.pages.common import TOLD, Filled, Sent, onward, question
from codabench.web.pages.view import Opened, Read, View, csv
from codabench.web.routing import decides
from codabench.web.security import inside

router = APIRouter(include_in_schema=False)

_AT = "/competitions/{number:int}"


# ---------------------------------------------------------------------- the competition itself
@router.post(f"{_AT}/publish/", openapi_extra=decides(Action.COMPETITION_PUBLISH))
def publish(view: Opened, _: Somebody, sent: Sent) -> Response:
    """Let everybody see it, or only those who have its link."""
    published = view.site.competitions.publish(view.actor, view.id, sent.ticked("published"))
    said = "Everybody sees the competition now." if published else "It is seen only with its secret link now."
    return onward(view.request, inside(sent.text("next"), view.url()), said)


@router.get(f"{_AT}/delete/", openapi_extra=decides(Action.COMPETITION_DELETE))
def ask_deletion(view: Opened, _: Somebody) -> HTMLResponse:
    """Ask again."""
    view.site.policy.require(view.actor, Action.COMPETITION_DELETE, view.found.facts)
    return question(
        view.request,
        f"Delete {view.spec.title}?",
        "It is removed with everything that was submitted. What runs is cancelled. Nobody can bring it back.",
        button="Delete the competition",
        back=view.url(),
    )


@router.post(f"{_AT}/delete/", openapi_extra=decides(Action.COMPETITION_DELETE))
def delete(view: Opened, _: Somebody) -> Response:
    """Take it away."""
    view.site.competitions.delete(view.actor, view.id)
    return onward(view.request, "/competitions/", f"{view.spec.title} was deleted.")


@router.post(f"{_AT}/migrate/", openapi_extra=decides(Action.PHASE_MIGRATE))
def migrate(view: Read, _: Somebody, sent: Sent) -> Response:
    """Submit what stands on the board of a phase to the next one."""
    phase = view.chosen(sent.text("phase"))
    try:
        done = view.site.competitions.migrate(view.actor, view.id, phase.index)
    except TOLD as error:
        return view.onward("manage/", error.message, "bad")
    return view.onward("manage/", f"{plural(len(done.submissions), 'submission')} went on to the next phase.")


# ---------------------------------------------------------------------- participants
@router.get(f"{_AT}/participants/", openapi_extra=decides(Action.PARTICIPANTS_LIST))
def participants(view: Read, _: Somebody) -> HTMLResponse:
    """Who asked to take part."""
    return view.page("participants.html", "participants", form=Filled({"message": ""}), **_participants(view))


def _participants(view: View) -> dict[str, Any]:
    query = view.request.query_params
    status = query.get("status", "")
    wanted = ParticipationStatus(status) if status in list(ParticipationStatus) else None
    people = view.site.registrations.participants(
        view.actor, view.id, status=wanted, text=query.get("search"), deleted=bool(query.get("deleted"))
    )
    return {
        "people": people,
        "filters": Filled({"status": status, "search": query.get("search", ""), "deleted": query.get("deleted", "")}),
    }


@router.get(f"{_AT}/participants.csv", openapi_extra=decides(Action.PARTICIPANTS_LIST))
def participants_csv(view: Read, _: Somebody) -> Response:
    """The same as a table for spreadsheets."""
    return csv(view.site.registrations.to_csv(view.actor, view.id), f"participants-{view.number}.csv")


@router.post(f"{_AT}/participants/{{participation:int}}/", openapi_extra=decides(Action.PARTICIPANTS_DECIDE))
def decide(view: Read, _: Somebody, participation: int, sent: Sent) -> Response:
    """Let somebody in, or keep or put them out."""
    word = sent.text("status")
    try:
        if word not in ("approved", "denied"):
            raise Invalid({"status": "Approve or deny."})
        view.site.registrations.decide(view.actor, participation, ParticipationStatus(word))
    except TOLD as error:
        return view.again("participants.html", "participants", {"message": ""}, error, **_participants(view))
    return view.onward(
        "participants/", "Approved; both sides get a mail." if word == "approved" else "Denied; both sides get a mail."
    )


@router.get(f"{_AT}/participants/mail/", openapi_extra=decides(Action.PARTICIPANTS_MAIL_ALL))
def letter(view: Read, _: Somebody, to: int | None = None) -> HTMLResponse:
    """A mail to one, or to all who take part."""
    return view.page(
        "letter.html", "participants", form=Filled({"message": "", "everybody": ""}), **_recipient(view, to)
    )


def _recipient(view: View, to: int | None) -> dict[str, Any]:
    people = view.site.registrations.participants(view.actor, view.id, deleted=True)
    one = next((each for each in people if each.participation.id == to), None)
    return {
        "one": one,
        "approved": sum(p.participation.status is ParticipationStatus.APPROVED for p in people),
        "all": len(people),
    }


@router.post(f"{_AT}/participants/mail/", openapi_extra=decides(Action.PARTICIPANTS_MAIL, Action.PARTICIPANTS_MAIL_ALL))
def write(view: Read, _: Somebody, sent: Sent, to: int | None = None) -> Response:
    """Send it."""
    part, message = view.site.registrations, sent.text("message")
    try:
        if to is not None:
            count = part.mail(view.actor, to, message)
        else:
            count = part.mail_all(view.actor, view.id, message, everybody=sent.ticked("everybody"))
    except TOLD as error:
        fields = sent.texts("message", "everybody")
        return view.again("letter.html", "participants", fields, error, **_recipient(view, to))
    return view.onward("participants/", f"The mail goes to {plural(count, 'person')}.")


# ---------------------------------------------------------------------- submissions
@router.get(f"{_AT}/manage/", openapi_extra=decides(Action.COMPETITION_SEE_SECRETS))
def manage(view: Read, _: Somebody) -> HTMLResponse:
    """Everything that was submitted."""
    return view.page("manage.html", "manage", form=Filled(), **_managed(view))


class _Filters(TypedDict):
    phase: int | None
    status: str | None
    search: str | None
    deleted: bool


def _filters(view: View) -> _Filters:
    """Which submissions an address asks for."""
    query = view.request.query_params
    phase, status = query.get("phase", ""), query.get("status", "")
    return {
        "phase": int(phase) if phase.isdecimal() and len(phase) < 5 else None,
        "status": status if status in list(Status) else None,
        "search": query.get("search") or None,
        "deleted": bool(query.get("deleted")),
    }


def _managed(view: View) -> dict[str, Any]:
    view.site.policy.require(view.actor, Action.COMPETITION_SEE_SECRETS, view.found.facts)
    query = view.request.query_params
    found = view.site.submissions.list(view.actor, competition=view.id, **_filters(view))
    filters = Filled({name: query.get(name, "") for name in ("phase", "status", "search", "deleted")})
    return {"found": found, "filters": filters, "statuses": [each.value for each in Status]}


@router.get(f"{_AT}/submissions.csv", openapi_extra=decides(Action.COMPETITION_SEE_SECRETS))
def submissions_csv(view: Read, _: Somebody) -> Response:
    """The same as a table for spreadsheets."""
    view.site.policy.require(view.actor, Action.COMPETITION_SEE_SECRETS, view.found.facts)
    text = view.site.submissions.to_csv(view.actor, competition=view.id, **_filters(view))
    return csv(text, f"submissions-{view.number}.csv")


@router.post(
    f"{_AT}/manage/",
    openapi_extra=decides(Action.SUBMISSION_RERUN, Action.SUBMISSION_HARD_DELETE, Action.SUBMISSION_DOWNLOAD),
)
def many(view: Read, _: Somebody, sent: Sent) -> Response:
    """Do the same with all that is ticked."""
    part, numbers, verb = view.site.submissions, sent.numbers("one"), sent.text("do")
    try:
        if not numbers:
            raise Invalid({"": "Tick the submissions first."})
        if verb == "rerun":
            made = part.rerun_many(view.actor, numbers)
            return view.onward("manage/", f"{plural(len(made), 'submission')} run again, as new ones.")
        if verb == "delete":
            return _delete_many(view, numbers, sure=sent.ticked("sure"))
        if verb == "download":
            files = part.download_many(view.actor, numbers)
            return view.page("downloads.html", "manage", files=files)
        raise Invalid({"": "Choose what to do."})
    except TOLD as error:
        return view.again("manage.html", "manage", {}, error, **_managed(view))


def _delete_many(view: View, numbers: list[int], *, sure: bool) -> Response:
    if not sure:
        return question(
            view.request,
            f"Delete {plural(len(numbers), 'submission')}?",
            "They are removed with their files, logs and scores, as if they had never been submitted.",
            button="Delete them",
            back=view.url("manage/"),
            fields=[("do", "delete"), ("sure", "yes"), *(("one", number) for number in numbers)],
        )
    view.site.submissions.delete_many(view.actor, numbers)
    return view.onward("manage/", f"{plural(len(numbers), 'submission')} deleted.")


@router.post(f"{_AT}/rerun/", openapi_extra=decides(Action.PHASE_RERUN))
def rerun_phase(view: Read, _: Somebody, sent: Sent) -> Response:
    """Run everything again that was submitted to a phase."""
    phase = view.chosen(sent.text("phase"))
    try:
        count = view.site.submissions.rerun_phase(view.actor, view.id, phase.index)
    except TOLD as error:
        return view.again("manage.html", "manage", {}, error, **_managed(view))
    return view.onward("manage/", f"{plural(count, 'submission')} run again, as new ones.")


# ---------------------------------------------------------------------- bundles
@router.get(f"{_AT}/bundles/", openapi_extra=decides(Action.DUMPS_LIST))
def bundles(view: Read, _: Somebody) -> HTMLResponse:
    """The bundle it came as, and what it was written as since."""
    came, dumps = view.site.competitions.bundles(view.actor, view.id)
    reach = view.site.datasets.within_reach(view.actor, [*came, *dumps])
    return view.page("bundles.html", "bundles", came=came, dumps=dumps, reach=reach)


@router.post(f"{_AT}/bundles/", openapi_extra=decides(Action.DUMPS_CREATE))
def dump(view: Read, _: Somebody, sent: Sent) -> Response:
    """Write it as a bundle."""
    job = view.site.competitions.dump(view.actor, view.id, keys=sent.ticked("keys"))
    return onward(view.request, f"/jobs/{job.id}/")
