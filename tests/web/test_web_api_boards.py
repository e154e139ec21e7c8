"""Leaderboards and results by the calls of Codabench (platform.md 2.4, 3.9)."""

from __future__ import annotations

import csv
import io
import zipfile
from typing import Any

import pytest
from board_lab import number, scored
from hosting_lab import YAML, bundle, hosted
from site_lab import person
from starlette.testclient import TestClient
from web_lab import robot

from codabench.site.actors import Actor
from codabench.site.numbers import Kind
from codabench.site.site import Site

SHEET = """\
registration_auto_approve: true
fact_sheet:
  method: {key: method, type: text, title: Method, selection: "", is_required: "false", is_on_leaderboard: "true"}
  phone: {key: phone, type: text, title: Phone, selection: "", is_required: "false", is_on_leaderboard: "false"}
"""
VISIBLE = YAML.format(more=SHEET)
HIDDEN_COLUMN = VISIBLE.replace("key: score, index: 0}", "key: score, index: 0, hidden: true}")
HIDDEN = VISIBLE.replace("    key: board\n", "    key: board\n    hidden: true\n")


class Place:
    """A competition with one submission of Ann's on its board, and the calls that go to it."""

    def __init__(self, site: Site, text: str, *, published: bool = True) -> None:
        self.site, self.creator, self.ann = site, person(site, "creator"), person(site, "annie")
        self.id = hosted(site, self.creator, bundle(text=text), published=published)
        if published:
            site.registrations.register(self.ann, self.id)
        sheet = {"method": "trees", "phone": "555"}
        made = scored(
            site, self.id, self.ann, {"score": 0.5, "time": 3}, {"score": 0.123456, "time": 1}, fact_sheet=sheet
        )
        self.number = number(site, made)
        self.competition = site.numbers.of(Kind.COMPETITION, self.id)
        self.phases = [site.numbers.of(Kind.PHASE, self.id, place) for place in (0, 1)]
        self.board = site.numbers.of(Kind.BOARD, self.id, 0)

    def get(self, path: str, actor: Actor | None = None) -> Any:
        with robot(self.site, actor) as client:
            return client.get(path)


def test_the_board_of_a_phase(site: Site) -> None:
    place = Place(site, VISIBLE)
    site.accounts.edit(place.ann, place.ann.account or 0, display_name="Ann O'Nym")
    found = place.get(f"/api/phases/{place.phases[0]}/get_leaderboard").json()
    assert (found["title"], found["id"], found["primary_index"]) == ("Board", place.phases[0], 1)
    assert found["fact_sheet_keys"] == [["method", "Method"]]
    tasks = site.db.tasks([task.key for task in site.db.competition(place.id).tasks if task.key])
    assert [(t["name"], t["id"], t["colWidth"]) for t in found["tasks"]] == [(t.name, t.id, 2) for t in tasks]
    score = dict(found["tasks"][0]["columns"][0])
    assert isinstance(score.pop("id"), int)
    assert score == {
        "computation": None, "computation_indexes": None, "title": "Score", "key": "score", "sorting": "desc",
        "index": 0, "hidden": False, "precision": 2,
    }  # fmt: skip
    (row,) = found["submissions"]
    values = [(s["task_id"], s["column_key"], s["index"], s["score"]) for s in row.pop("scores")]
    assert values == [
        (tasks[0].id, "score", 0, "0.50"),
        (tasks[0].id, "time", 1, "3.00"),
        (tasks[1].id, "score", 0, "0.12"),
        (tasks[1].id, "time", 1, "1.00"),
    ]
    assert row.pop("created_when").endswith("Z")
    assert row == {
        "id": place.number, "owner": "Ann O'Nym", "slug_url": "/profiles/user/annie/", "organization": None,
        "fact_sheet_answers": {"method": "trees"}, "detailed_results": [],
    }  # fmt: skip
    other = place.get(f"/api/phases/{place.phases[1]}/get_leaderboard/").json()
    assert (other["id"], other["submissions"], len(other["tasks"])) == (place.phases[1], [], 1)


def test_leaderboards_by_their_number(site: Site) -> None:
    place = Place(site, VISIBLE)
    assert place.get("/api/leaderboards/").json() == []
    found = place.get(f"/api/leaderboards/{place.board}/").json()
    assert (found["id"], found["key"], found["hidden"], found["submission_rule"]) == (
        place.board,
        "board",
        False,
        "Add",
    )
    assert [row["id"] for row in found["submissions"]] == [place.number]
    assert place.get("/api/leaderboards/999999/").status_code == 404
    assert place.get("/api/phases/999999/get_leaderboard/").status_code == 404


@pytest.mark.parametrize(
    ("text", "published", "stranger", "creator"),
    [(HIDDEN, True, 403, 200), (VISIBLE, False, 404, 200), (VISIBLE, True, 200, 200)],
    ids=["hidden", "unpublished", "open"],
)
def test_who_sees_a_board(site: Site, text: str, published: bool, stranger: int, creator: int) -> None:
    place = Place(site, text, published=published)
    for path in (f"/api/phases/{place.phases[0]}/get_leaderboard/", f"/api/leaderboards/{place.board}/"):
        assert place.get(path).status_code == stranger
        assert place.get(path, place.creator).status_code == creator
    secret = site.db.hosted(place.id).secret_key
    shown = place.get(f"/api/phases/{place.phases[0]}/get_leaderboard/?secret_key={secret}")
    assert shown.status_code == (403 if text is HIDDEN else 200)


def test_a_hidden_column_is_exported_and_not_shown(site: Site) -> None:
    place = Place(site, HIDDEN_COLUMN)
    shown = place.get(f"/api/phases/{place.phases[0]}/get_leaderboard/", place.creator)
    assert "score" not in {s["column_key"] for row in shown.json()["submissions"] for s in row["scores"]}
    assert "0.12" not in shown.text
    exported = place.get(f"/api/competitions/{place.competition}/results.json", place.creator)
    assert '"0.1234560000"' in exported.text


def test_results_are_exported(site: Site) -> None:
    place = Place(site, VISIBLE)
    path = f"/api/competitions/{place.competition}/results"
    tasks = site.db.tasks([task.key for task in site.db.competition(place.id).tasks if task.key])
    names = [f"{task.name}({task.id})-{title}" for task in tasks for title in ("Score", "Time")]
    values = ["0.5000000000", "3.0000000000", "0.1234560000", "1.0000000000"]
    row, sheet = f"annie-{place.number}", {"method": "trees", "phone": "555"}
    document = place.get(f"{path}.json", place.creator).json()
    assert document == {
        f"Board - Open({place.phases[0]})": {
            row: {"fact_sheet_answers": sheet, **dict(zip(names, values, strict=True))}
        },
        f"Board - Final({place.phases[1]})": {},
    }
    assert place.get(f"{path}/", place.creator).json() == document

    several = place.get(f"{path}.csv", place.creator)
    assert several.status_code == 400
    one = place.get(f"{path}.csv?phase={place.phases[0]}", place.creator)
    assert one.headers["content-type"] == "text/csv; charset=utf-8"
    table = list(csv.reader(io.StringIO(one.text)))
    assert table[0] == ["Username", "fact_sheet_answers", *names]
    assert table[1][0] == row
    assert table[1][2:] == values

    packed = place.get(f"{path}.zip", place.creator)
    assert "Wheat%20seeds.zip" in packed.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        (name,) = archive.namelist()
        assert archive.read(name).decode() == one.text

    assert place.get(f"{path}.json").status_code == 403
    assert place.get(f"{path}.json", place.ann).status_code == 403
    assert place.get(f"{path}.xml", place.creator).status_code == 404
    assert place.get(f"{path}/?format=xml", place.creator).status_code == 400
    assert place.get(f"{path}.csv?phase=999999", place.creator).status_code == 404
    other = hosted(site, place.creator)
    foreign = site.numbers.of(Kind.PHASE, other, 0)
    assert place.get(f"{path}.csv?phase={foreign}", place.creator).status_code == 400


def test_a_get_by_another_verb(client: TestClient) -> None:
    assert client.post("/api/leaderboards/").status_code == 405
