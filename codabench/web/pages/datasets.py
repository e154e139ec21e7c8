"""Data sets, programs, submission files and bundles: one's own, and what others share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from codabench.core.competition import DataRole
from codabench.core.errors import Invalid, NotFound, Refused
from codabench.core.hosting import Dataset
from codabench.core.text import plural
from codabench.db.resources import WantedDatasets
from codabench.site.datasets import LICENSES
from codabench.site.numbers import Kind
from codabench.site.policy import Action
from codabench.web.identity import Somebody, Who, site_of
from codabench.web.pages.common import ANY_SIZE, TOLD, Entered, Filled, Sent, again, onward, question
from codabench.web.pages.files import kept
from codabench.web.pages.lists import PageNumber, Words
from codabench.web.rendering import render
from codabench.web.routing import decides, open_to_all
from codabench.web.security import inside

router = APIRouter(prefix="/datasets", include_in_schema=False)

UPLOADED = tuple(role for role in DataRole if role is not DataRole.COMPETITION_BUNDLE)
"""What is uploaded here; bundles have a page of their own."""
PROGRAMS_AND_DATA = tuple(role for role in UPLOADED if role is not DataRole.SUBMISSION)
_PAGE = 20
_FIELDS = ("name", "type", "description", "license", "is_public")

_LISTS: Mapping[str, tuple[str, tuple[DataRole, ...]]] = {
    "datasets": ("Datasets and programs", PROGRAMS_AND_DATA),
    "submissions": ("Files that were submitted", (DataRole.SUBMISSION,)),
    "bundles": ("Competition bundles", (DataRole.COMPETITION_BUNDLE,)),
}


# ---------------------------------------------------------------------- one's own
@router.get("/", openapi_extra=decides(Action.DATASET_LIST))
def datasets(
    request: Request,
    actor: Somebody,
    search: Words = "",
    type: DataRole | Literal[""] = "",  # noqa: A002
    public: bool = False,
    bundled: bool = False,
    page: PageNumber = 1,
) -> HTMLResponse:
    """Programs and data (platform.md O66)."""
    return _list(request, actor, "datasets", page, search=search, role=type or None, public=public, bundled=bundled)


@router.get("/submissions/", openapi_extra=decides(Action.DATASET_LIST))
def submissions(
    request: Request, actor: Somebody, search: Words = "", public: bool = False, page: PageNumber = 1
) -> HTMLResponse:
    """Files that were submitted (platform.md P29)."""
    return _list(request, actor, "submissions", page, search=search, public=public, bundled=True)


@router.get("/bundles/", openapi_extra=decides(Action.DATASET_LIST))
def bundles(request: Request, actor: Somebody, search: Words = "", page: PageNumber = 1) -> HTMLResponse:
    """Bundles and dumps of competitions (platform.md O78)."""
    return _list(request, actor, "bundles", page, search=search, bundled=True)


def _list(
    request: Request,
    actor: Somebody,
    which: str,
    page: int,
    *,
    search: str,
    bundled: bool,
    public: bool = False,
    role: DataRole | None = None,
) -> HTMLResponse:
    site, (title, types) = site_of(request), _LISTS[which]
    wanted = WantedDatasets(
        types=(role,) if role in types else types,
        text=search or None,
        or_public=public,
        came_with_bundle=None if bundled else False,
    )
    shown = site.datasets.list(actor, wanted, page=page, size=_PAGE)
    values = {
        "which": which,
        "title": title,
        "page": shown,
        "form": Filled({"search": search, "type": role or "", "public": public, "bundled": bundled}),
        "types": _choices(PROGRAMS_AND_DATA),
        "titles": _titles(request, actor, shown.items),
        "used": site.quota.usage(actor),
    }
    return render(request, "resources/datasets.html", values)


def _titles(request: Request, actor: Somebody, items: list[Dataset]) -> dict[str, str]:
    """Competition -> its title, for those that the actor may know of."""
    found = {}
    for id in {each.competition for each in items if each.competition}:
        try:
            found[id] = site_of(request).competitions.look(actor, id).spec.title
        except (NotFound, Refused):
            continue  # one may have files of a competition that one does not see any more
    return found


@router.get("/create/", openapi_extra=decides(Action.DATASET_CREATE))
def upload_form(request: Request, actor: Somebody, type: str = "") -> HTMLResponse:  # noqa: A002
    """The form of a new data set (platform.md O66, O68)."""
    form = Filled({**dict.fromkeys(_FIELDS, ""), "type": type, "data": ""})
    return render(request, "resources/upload.html", {"form": form, **_offered()})


@router.post("/create/upload/", openapi_extra=decides(Action.DATASET_CREATE), max_body_size=ANY_SIZE)
def upload(request: Request, _: Entered, actor: Somebody, sent: Sent) -> Response:
    """Keep a file."""
    role = sent.text("type")
    try:
        if role not in {each.value for each in UPLOADED}:
            raise Invalid({"type": "Choose what it is."})
        made = kept(
            site_of(request),
            actor,
            DataRole(role),
            sent.file("data"),
            "data",
            name=sent.text("name") or None,
            description=sent.text("description"),
            license=sent.text("license") or None,
            is_public=sent.ticked("is_public"),
        )
    except TOLD as error:
        fields = {**sent.texts(*_FIELDS), "is_public": sent.ticked("is_public"), "data": ""}
        return again(request, "resources/upload.html", fields, error, **_offered())
    return onward(request, f"/datasets/{made.id}/", f"{made.name} is uploaded.")


def _offered() -> dict[str, Any]:
    return {"types": _choices(UPLOADED), "licenses": LICENSES}


def _choices(roles: tuple[DataRole, ...]) -> list[tuple[str, str]]:
    return [(role.value, role.words) for role in roles]


# ---------------------------------------------------------------------- what others share
@router.get("/public/", openapi_extra=open_to_all("only what is public is listed"))
def public_list(
    request: Request,
    actor: Who,
    search: Words = "",
    licensed: bool = False,
    verified: bool = False,
    order: Literal["newest", "downloads"] = "newest",
    page: PageNumber = 1,
) -> HTMLResponse:
    """Public data sets (platform.md V13)."""
    site = site_of(request)
    shown = site.datasets.public(
        actor, text=search, licensed=licensed, verified=verified, order=order, page=page, size=_PAGE
    )
    values = {
        "page": shown,
        "names": site.accounts.shown_names({each.owner for each in shown.items}),
        "form": Filled({"search": search, "licensed": licensed, "verified": verified, "order": order}),
    }
    return render(request, "resources/public.html", values)


# ---------------------------------------------------------------------- one of them
Numbers = Annotated[list[int], Query(max_length=500)]


@router.get("/delete/", openapi_extra=decides(Action.DATASET_DELETE))
def delete_form(request: Request, actor: Somebody, id: Numbers) -> HTMLResponse:
    """Whether these shall go."""
    found = [site_of(request).datasets.get(actor, each) for each in id]
    return question(
        request,
        f"Delete {plural(len(found), 'file')}?",
        f"{', '.join(each.name for each in found)}. What is in use is not deleted, and then none of them is.",
        button="Delete for ever",
        back=_home(found[0]),
        action="/datasets/delete/",
        fields=[("id", each.id) for each in found],
    )


@router.post("/delete/", openapi_extra=decides(Action.DATASET_DELETE))
def delete(request: Request, actor: Somebody, sent: Sent) -> Response:
    """Delete them, all or none (platform.md O69)."""
    site, wanted = site_of(request), sent.numbers("id")
    if not wanted:
        return onward(request, "/datasets/", "Nothing was chosen.", "bad")
    home = _home(site.datasets.get(actor, wanted[0]))
    try:
        site.datasets.delete_many(actor, wanted)
    except TOLD as error:
        return onward(request, home, f"Nothing was deleted. {error.message}", "bad")
    return onward(request, home, f"{plural(len(wanted), 'file')} deleted.")


def _home(dataset: Dataset) -> str:
    """The list that has it."""
    part = {DataRole.SUBMISSION: "submissions/", DataRole.COMPETITION_BUNDLE: "bundles/"}.get(dataset.type, "")
    return f"/datasets/{part}"


@router.get("/{number}/", openapi_extra=decides(Action.DATASET_READ))
def one(request: Request, actor: Who, number: int) -> HTMLResponse:
    """What is known of a data set (platform.md V14)."""
    site = site_of(request)
    found = site.datasets.get(actor, number)
    used = site.datasets.used_by(actor, [found.key]).get(found.key, ())
    numbers = site.numbers.many(Kind.COMPETITION, [each.id for each in used])
    values = {
        "dataset": found,
        "owner": site.accounts.shown_names([found.owner]).get(f"u{found.owner}", "somebody"),
        "used": [(numbers[each.id], each.title) for each in used],
    }
    return render(request, "resources/dataset.html", values)


@router.get("/{number}/download/", openapi_extra=decides(Action.DATASET_DOWNLOAD))
def download(request: Request, actor: Who, number: int) -> Response:
    """Its bytes."""
    return RedirectResponse(site_of(request).datasets.download(actor, number), 303)


@router.get("/{number}/edit/", openapi_extra=decides(Action.DATASET_EDIT))
def edit_form(request: Request, actor: Somebody, number: int) -> HTMLResponse:
    """The form of what is said of it."""
    dataset = site_of(request).datasets.edit(actor, number, {})
    form = Filled({name: getattr(dataset, name) for name in ("name", "description", "license", "is_public")})
    return render(request, "resources/edit.html", {"dataset": dataset, "form": form, "licenses": LICENSES})


@router.post("/{number}/edit/", openapi_extra=decides(Action.DATASET_EDIT))
def edit(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Change that."""
    datasets = site_of(request).datasets
    said = {**sent.texts("name", "description"), "license": sent.text("license") or None}
    try:
        datasets.edit(actor, number, {**said, "is_public": sent.ticked("is_public")})
    except TOLD as error:
        shown = {**said, "is_public": sent.ticked("is_public")}
        kept_one = datasets.get(actor, number)
        return again(request, "resources/edit.html", shown, error, dataset=kept_one, licenses=LICENSES)
    return onward(request, f"/datasets/{number}/", "It is changed.")


@router.post("/{number}/publish/", openapi_extra=decides(Action.DATASET_EDIT))
def publish(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Let everybody have it, or nobody else (platform.md O67)."""
    made = site_of(request).datasets.edit(actor, number, {"is_public": sent.ticked("public")})
    said = f"{made.name} is {'public' if made.is_public else 'private'}."
    return onward(request, inside(sent.text("next"), f"/datasets/{number}/"), said)


@router.post("/{number}/verify/", openapi_extra=decides(Action.DATASET_VERIFY))
def verify(request: Request, actor: Somebody, number: int, sent: Sent) -> Response:
    """Say that those who run the site have looked at it (platform.md A14)."""
    site_of(request).datasets.verify(actor, number, sent.ticked("verified"))
    return onward(request, f"/datasets/{number}/")
