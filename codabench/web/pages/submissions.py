"""What somebody submits to a competition: the form, the list, and a page for each submission with its buttons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from codabench.core.competition import DataRole, QuestionSpec
from codabench.core.errors import CodabenchError, Invalid, NotFound
from codabench.site.lists import MOST
from codabench.site.policy import Action
from codabench.site.showing import Shown
from codabench.web.identity import Somebody
from codabench.web.messages import Kind
from codabench.web.pages.common import ANY_SIZE, TOLD, Entered, Filled, Given, Sent, question
from codabench.web.pages.files import kept
from codabench.web.pages.view import Opened, Read, View
from codabench.web.routing import decides

router = APIRouter(include_in_schema=False)


# ---------------------------------------------------------------------- mine
@router.get("/competitions/{number:int}/submissions/", openapi_extra=decides(Action.COMPETITION_OPEN))
def mine(view: Opened, phase: str = "") -> HTMLResponse:
    """How one takes part, then the form, and what one has submitted."""
    fields = {"agreed": "", **_sheet(view, {})}
    return view.page("submissions.html", "submissions", form=Filled(fields), **_mine(view, phase))


def mine_again(view: View, fields: Mapping[str, object], error: CodabenchError, phase: str = "") -> HTMLResponse:
    """The same with a form that did not do."""
    return view.again("submissions.html", "submissions", fields, error, **_mine(view, phase))


def _mine(view: View, phase: str) -> dict[str, Any]:
    chosen, part, me = view.chosen(phase), view.site.submissions, view.actor
    known: dict[str, Any] = {"phase": chosen, "allowance": None, "mine": []}
    if view.may(Action.SUBMISSION_CREATE):
        known["allowance"] = part.allowance(me, view.id, chosen.index, key=view.key)
        known["tasks"] = view.spec.tasks_of(chosen)
        known["mine"] = part.list(me, competition=view.id, phase=chosen.index, owner=me.account)
    return known


@router.post(
    "/competitions/{number:int}/submissions/upload/",
    openapi_extra=decides(Action.SUBMISSION_CREATE),
    max_body_size=ANY_SIZE,
)
def submit(_: Entered, view: Read, sent: Sent, phase: str = "") -> Response:
    """Take a submission in: the file and everything that was answered, in one form."""
    site, me, chosen = view.site, view.actor, view.chosen(phase)
    try:
        site.policy.require(me, Action.SUBMISSION_CREATE, view.found.facts)
        may = site.submissions.allowance(me, view.id, chosen.index, key=view.key)
        if not may.can:  # before a large file is stored
            raise Invalid({"": may.reason or "You cannot submit now."})
        data = kept(site, me, DataRole.SUBMISSION, sent.file("data"), "data", competition=view.id).key
        made = site.submissions.create(
            me,
            view.id,
            chosen.index,
            data,
            tasks=sent.all("task") or None,
            fact_sheet=_answers(view.spec.fact_sheet, sent),
            key=view.key,
        )
    except TOLD as error:
        return mine_again(view, {"data": "", **_given(view, sent)}, error, phase)
    return view.onward(f"submissions/{made.number}/", "Your submission was taken in.")


def _answers(questions: tuple[QuestionSpec, ...], sent: Given) -> dict[str, Any] | None:
    """The answers to a fact sheet, as a form gives them."""
    if not questions:
        return None
    return {
        q.key: sent.ticked(f"fact:{q.key}") if q.type == "checkbox" else sent.text(f"fact:{q.key}") for q in questions
    }


def _sheet(view: View, answers: Mapping[str, Any]) -> dict[str, object]:
    """The fields of a fact sheet with what was answered."""
    return {f"fact:{q.key}": answers.get(q.key, "") for q in view.spec.fact_sheet}


def _given(view: View, sent: Given) -> dict[str, object]:
    return {name: sent.text(name) for name in _sheet(view, {})}


# ---------------------------------------------------------------------- one
def shown_here(view: View, submission: int) -> Shown:
    """A submission to this competition."""
    shown = view.site.submissions.get(view.actor, submission, key=view.key)
    if shown.competition != view.id:
        raise NotFound("there is no such submission, or not for you")
    return shown


@router.get("/competitions/{number:int}/submissions/{submission:int}/", openapi_extra=decides(Action.SUBMISSION_READ))
def one(view: Opened, submission: int) -> HTMLResponse:
    """A submission: how it goes on, what it came to, what can be done with it."""
    shown = shown_here(view, submission)
    return view.page("submission.html", "submissions", form=Filled(_fields(view, shown)), **_one(view, shown))


def _one(view: View, shown: Shown) -> dict[str, Any]:
    part, me = view.site.submissions, view.actor
    sees = Action.SUBMISSION_DETAILS in shown.can
    return {
        "one": shown,
        "children": [part.get(me, each, key=view.key) for each in shown.children],
        "details": part.details(me, shown.number, key=view.key) if sees else None,
        "phase": view.spec.phases[shown.phase],
        "final": shown.status.is_final,
        "tasks": _other_tasks(view, shown),
        "columns": {column.key: column for board in view.spec.ranking for column in board.columns},
    }


def _other_tasks(view: View, shown: Shown) -> list[tuple[str, str]]:
    """What organizers may run it on beside its own tasks: (key, name)."""
    if Action.SUBMISSION_RERUN not in shown.can or not view.organizes:
        return []
    own = {task.key: task.name for task in view.spec.tasks if task.key}
    return list((own | {task.key: task.name for task in view.site.tasks.list(view.actor, size=MOST).items}).items())


def _fields(view: View, shown: Shown) -> dict[str, object]:
    scores = {f"score:{each.number}": each.value for each in shown.scores}
    return {**_sheet(view, shown.fact_sheet or {}), **scores, "task": ""}


class Pressed(NamedTuple):
    """What a button of a submission does.

    Attributes
    ----------
    loses
        What is lost by it: asked before.
    """

    action: Action
    do: Callable[[View, int, Given], tuple[str, Kind]]
    loses: str = ""


def _by(method: str, said: str, *more: Any) -> Callable[[View, int, Given], tuple[str, Kind]]:
    """A method of the part that takes nothing but the number."""

    def do(view: View, number: int, sent: Given) -> tuple[str, Kind]:
        getattr(view.site.submissions, method)(view.actor, number, *more)
        return said, "good"

    return do


def _rerun(view: View, number: int, sent: Given) -> tuple[str, Kind]:
    task = sent.text("task")
    view.site.submissions.rerun(view.actor, number, task=task or None)
    said = "The submission runs again, as a new one"
    return (f"{said}; no leaderboard shows it." if task else f"{said}."), "good"


def _cancel(view: View, number: int, sent: Given) -> tuple[str, Kind]:
    if view.site.submissions.cancel(view.actor, number):
        return "The submission was cancelled.", "good"
    return "There was nothing to cancel: it was over.", "info"


def _score(view: View, number: int, sent: Given) -> tuple[str, Kind]:
    shown, changed = shown_here(view, number), 0
    for each in shown.scores:
        name = f"score:{each.number}"
        text = sent.text(name).strip()
        if text and text != str(each.value):
            view.site.submissions.score(view.actor, each.number, _number(name, text))
            changed += 1
    return ("The scores were set.", "good") if changed else ("No score was changed.", "info")


def _number(field: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Invalid({field: "Write a number."}) from None


def _answer(view: View, number: int, sent: Given) -> tuple[str, Kind]:
    view.site.submissions.answer(view.actor, number, _answers(view.spec.fact_sheet, sent) or {})
    return "The answers were kept.", "good"


BUTTONS = {
    "cancel": Pressed(Action.SUBMISSION_CANCEL, _cancel),
    "run": Pressed(Action.SUBMISSION_RUN, _by("run", "The submission runs.")),
    "rerun": Pressed(Action.SUBMISSION_RERUN, _rerun),
    "delete": Pressed(
        Action.SUBMISSION_SOFT_DELETE,
        _by("soft_delete", "The submission was deleted."),
        "Its files and logs are removed; that it was submitted stays known.",
    ),
    "remove": Pressed(
        Action.SUBMISSION_HARD_DELETE,
        _by("delete", "The submission was deleted."),
        "It is removed with its files, logs and scores, as if it had never been submitted.",
    ),
    "publish": Pressed(Action.SUBMISSION_PUBLISH, _by("publish", "Everybody may see the submission now.", True)),
    "withdraw": Pressed(Action.SUBMISSION_PUBLISH, _by("publish", "The submission is private again.", False)),
    "board": Pressed(Action.SUBMISSION_PUT_ON_BOARD, _by("put_on_board", "It stands on the leaderboard now.")),
    "unboard": Pressed(Action.SUBMISSION_TAKE_OFF_BOARD, _by("take_off_board", "It was taken off the leaderboard.")),
    "answer": Pressed(Action.SUBMISSION_ANSWER, _answer),
    "score": Pressed(Action.SUBMISSION_SCORE, _score),
}
"""By the last word of their address."""
_ALL = decides(*dict.fromkeys(button.action for button in BUTTONS.values()))
_BUTTON = "/competitions/{number:int}/submissions/{submission:int}/{button}/"


@router.get(_BUTTON, openapi_extra=_ALL)
def ask(view: Opened, submission: int, button: str) -> HTMLResponse:
    """Ask again before something is lost."""
    if button not in BUTTONS or not BUTTONS[button].loses:
        raise NotFound("there is no such page")
    shown_here(view, submission)
    return question(
        view.request,
        f"Delete submission {submission}?",
        BUTTONS[button].loses,
        button="Delete it",
        back=view.url(f"submissions/{submission}/"),
        action=view.url(f"submissions/{submission}/{button}/"),
    )


@router.post(_BUTTON, openapi_extra=_ALL)
def press(view: Opened, _: Somebody, submission: int, button: str, sent: Sent) -> Response:
    """Do what a button of a submission says."""
    if button not in BUTTONS:
        raise NotFound("there is no such button")
    shown = shown_here(view, submission)
    try:
        said, kind = BUTTONS[button].do(view, submission, sent)
    except TOLD as error:
        fields = _fields(view, shown)
        given = {name: sent.text(name) for name in fields if sent.text(name)}
        return view.again("submission.html", "submissions", {**fields, **given}, error, **_one(view, shown))
    if sent.text("back") == "manage":
        return view.onward("manage/", said, kind)
    if BUTTONS[button].loses:
        return view.onward("submissions/", said, kind, phase=shown.phase)
    return view.onward(f"submissions/{submission}/", said, kind)


# ---------------------------------------------------------------------- the page that a scoring program wrote
@router.get(
    "/competitions/{number:int}/detailed_results/{submission:int}/",
    openapi_extra=decides(Action.SUBMISSION_DETAILED_RESULT),
)
def detailed(view: Opened, submission: int) -> HTMLResponse:
    """What a scoring program wrote about a submission, in a frame that can do nothing to this site (H01)."""
    ticket = view.site.submissions.detailed_result(view.actor, submission, key=view.key)
    return view.page("detailed.html", "results", submission=submission, address=view.link(ticket))
