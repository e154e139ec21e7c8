"""Files of people: uploaded by a form, listed, changed, shared, deleted."""

from __future__ import annotations

import pytest
from hosting_lab import hosted, uploaded, zipped
from pages_lab import Browser
from site_lab import person

from codabench.core.competition import DataRole
from codabench.site.actors import OPERATOR, Actor
from codabench.site.site import Site

ZIP = zipped({"answer.csv": b"1\n"})


@pytest.fixture
def alice(site: Site) -> Actor:
    return person(site, "alice")


@pytest.fixture
def me(site: Site, alice: Actor) -> Browser:
    return Browser(site, alice)


def mine(site: Site, actor: Actor) -> list[str]:
    return [each.name for each in site.datasets.list(actor).items]


def test_a_file_is_uploaded_changed_shared_and_deleted(site: Site, alice: Actor, me: Browser) -> None:
    me.open("/datasets/").follow("Upload a file")
    me.press("Upload", {"data": (r"C:\seeds.csv", b"a,b\n")}, type="public_data", description="*Seeds*")
    assert "seeds.csv is uploaded" in me.words
    assert "<em>Seeds</em>" in me.text
    (dataset,) = site.datasets.list(alice).items
    assert (dataset.file_name, dataset.size, dataset.is_public) == ("seeds.csv", 4, False)
    assert dataset.key in me.text
    page = me.path

    location = me.client.get(f"{page}download/", follow_redirects=False).headers["location"]
    with site.links.download(location.split("/")[-2]).stream as stream:
        assert stream.read() == b"a,b\n"

    other = Browser(site, person(site, "bobby"))
    assert other.open(page).status == 404
    assert "seeds.csv" not in other.open("/datasets/?public=on").words
    me.open(page).press("Make public")
    assert "seeds.csv is public" in me.words
    assert "seeds.csv" in other.open("/datasets/?public=on").words
    assert "Choose seeds.csv" not in other.text, "what is somebody else's is not changed"
    nobody = Browser(site).open("/datasets/public/")
    assert "seeds.csv" in nobody.words
    assert nobody.client.get(f"{page}download/", follow_redirects=False).status_code == 303
    assert "Downloads 2" in nobody.follow("seeds.csv").words
    assert dataset.key not in nobody.text, "a key is for its owner"

    me.open(page).follow("Edit").press("Save", name="", license="MIT")
    assert me.status == 400
    me.press("Save", name="Seeds", license="MIT", is_public=False)
    assert "MIT" in me.words
    assert nobody.open(page).status == 404

    me.open("/datasets/").follow("Delete Seeds")
    assert "Delete 1 file?" in me.words
    assert mine(site, alice) == ["Seeds"], "looking deletes nothing"
    me.press("Delete for ever")
    assert "1 file deleted" in me.words
    assert mine(site, alice) == []


@pytest.mark.parametrize(
    ("fields", "file", "said"),
    [
        ({"type": ""}, ("a.zip", ZIP), "Choose what it is"),
        ({"type": "competition_bundle"}, ("a.zip", ZIP), "Choose what it is"),
        ({"type": "submission"}, None, "Choose a file"),
        ({"type": "submission"}, ("a.zip", b"no zip"), "a.zip is not a zip file"),
        ({"type": "input_data", "name": "x" * 300}, ("a.zip", ZIP), "at most 255"),
    ],
)
def test_an_upload_that_cannot_be_kept_leaves_nothing(
    site: Site, alice: Actor, me: Browser, fields: dict[str, str], file: tuple[str, bytes] | None, said: str
) -> None:
    me.open("/datasets/create/").press("Upload", {"data": file} if file else {}, description="kept", **fields)
    assert me.status == 400
    assert said in me.words.replace("&#39;", "")
    assert "kept" in me.text
    assert "codabench-" not in me.words, "where it lay on this machine is nobody's business"
    assert mine(site, alice) == []


@pytest.mark.row("W10")
def test_beyond_the_quota_nothing_is_kept(site: Site, alice: Actor, me: Browser) -> None:
    site.accounts.set_quota(OPERATOR, alice.account or 0, 10)
    me.open("/datasets/create/").press("Upload", {"data": ("a.zip", ZIP)}, type="submission")
    assert me.status == 400
    assert "Insufficient space" in me.words
    assert mine(site, alice) == []


def test_the_list_is_searched_and_filtered(site: Site, alice: Actor, me: Browser) -> None:
    hosted(site, alice)
    for role in (DataRole.INPUT_DATA, DataRole.SUBMISSION):
        uploaded(site, alice, ZIP, role=role)
    assert "input_data" in me.open("/datasets/").words
    assert "scoring" not in me.words.split("Choose Name")[-1], "what came with bundles is not shown at first"
    me.press("Show", bundled="on", type="scoring_program")
    assert "Wheat seeds - scoring program" in me.words
    assert "input_data" not in me.words.split("Choose Name")[-1]
    assert "Nothing is here" in me.press("Show", search="nothing like it").words
    assert "submission " in me.open("/datasets/submissions/").words
    assert "competition_bundle" in me.open("/datasets/bundles/").words
    assert me.open("/datasets/?type=secret").status == 400


def test_lists_go_on(site: Site, alice: Actor, me: Browser) -> None:
    for _ in range(21):
        uploaded(site, alice, ZIP, role=DataRole.INPUT_DATA)
    me.open("/datasets/?search=input").follow("Next")
    assert me.answer.url.query == b"search=input&page=2"
    assert "Page 2 of 2" in me.words
    assert "Next" not in me.words
    assert "Page 1 of 2" in me.follow("Back").words


@pytest.mark.row("W02")
def test_several_are_deleted_all_or_none(site: Site, alice: Actor, me: Browser) -> None:
    several = [uploaded(site, alice, ZIP, role=DataRole.INPUT_DATA) for _ in range(3)]
    foreign = uploaded(site, person(site, "bobby"), ZIP, role=DataRole.INPUT_DATA)
    me.open("/datasets/").press("Delete what is chosen", id=[several[0].id, several[1].id])
    assert "Delete 2 files?" in me.words
    csrf = dict(me.form("Delete for ever")[0].fields)["csrf"]
    sent = {"csrf": csrf, "id": [several[0].id, foreign.id]}
    assert me.client.post("/datasets/delete/", data=sent).status_code == 404
    assert len(mine(site, alice)) == 3
    me.press("Delete for ever")
    assert "2 files deleted" in me.words
    assert mine(site, alice) == [several[2].name]
    assert me.open("/datasets/").press("Delete what is chosen").status == 400, "nothing was chosen"


def test_what_is_in_use_stays(site: Site, alice: Actor, me: Browser) -> None:
    id = hosted(site, alice)
    used = next(d for d in site.db.datasets(competition=id) if d.type is DataRole.SCORING_PROGRAM)
    me.open(f"/datasets/{used.id}/")
    assert "Wheat seeds" in me.words
    me.follow("Delete").press("Delete for ever")
    assert "Nothing was deleted" in me.words
    assert site.db.dataset(used.key)


def test_those_who_run_the_site_verify(site: Site, alice: Actor, me: Browser) -> None:
    dataset = uploaded(site, alice, ZIP, role=DataRole.PUBLIC_DATA)
    site.datasets.edit(alice, dataset.id, {"is_public": True})
    assert "Verify" not in me.open(f"/datasets/{dataset.id}/").words
    root = Browser(site, person(site, "admin1", is_superuser=True)).open(f"/datasets/{dataset.id}/")
    root.press("Verify")
    assert "verified" in Browser(site).open("/datasets/public/?verified=on").words.split("Actions")[-1]
    root.press("Take the verification back")
    assert "No public dataset" in Browser(site).open("/datasets/public/?verified=on").words


def test_files_of_others_are_not_there(site: Site, alice: Actor) -> None:
    dataset = uploaded(site, alice, ZIP, role=DataRole.INPUT_DATA)
    other = Browser(site, person(site, "bobby"))
    for page in ("", "edit/", "download/"):
        assert other.open(f"/datasets/{dataset.id}/{page}").status == 404
    assert other.open(f"/datasets/delete/?id={dataset.id}").status == 404
    assert Browser(site).open("/datasets/").path == "/accounts/login/"
