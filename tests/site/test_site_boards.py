"""Leaderboards as people see them: names, numbers, hidden things, exports, events."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from itertools import islice
from typing import Any

import pytest
from board_lab import number, over, scored, submitted
from hosting_lab import YAML, bundle, hosted
from site_lab import Clock, person

from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused
from codabench.core.people import ParticipationStatus
from codabench.core.trees import BlobRef
from codabench.site.actors import ANONYMOUS, Actor
from codabench.site.board_rows import ShownBoard
from codabench.site.numbers import Kind
from codabench.site.site import Site

SHEET = """\
registration_auto_approve: true
fact_sheet:
  method: {key: method, type: text, title: Method, selection: "", is_required: "false", is_on_leaderboard: "true"}
  phone: {key: phone, type: text, title: Phone, selection: "", is_required: "false", is_on_leaderboard: "false"}
"""


def board(more: str = "", **changed: str) -> bytes:
    """A bundle whose board is otherwise: `changed` names pieces of the text."""
    text = YAML.format(more=SHEET + more)
    for old, new in changed.values():
        assert old in text
        text = text.replace(old, new)
    return bundle(text=text)


HIDDEN = board(hide=("    key: board\n", "    key: board\n    hidden: true\n"))
HIDDEN_COLUMN = board(hide=("key: score, index: 0}", "key: score, index: 0, hidden: true}"))


@pytest.fixture
def people(site: Site) -> tuple[Actor, Actor, Actor]:
    return person(site, "annie"), person(site, "bobby"), person(site, "carol")


def entered(site: Site, id: str, *actors: Actor) -> None:
    for actor in actors:
        assert site.registrations.register(actor, id).status is ParticipationStatus.APPROVED


def test_a_board_of_two_tasks(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = hosted(site, ann, board(), published=True)
    entered(site, id, bob, eve)
    site.accounts.edit(bob, bob.account or 0, display_name="Bob the Great")
    sheet = {"method": "trees", "phone": "555"}
    first = scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1}, fact_sheet=sheet)
    second = scored(site, id, eve, {"score": 0.123456, "time": 1}, None)
    scored(site, id, eve, {"score": 0.1, "time": 9}, None, board=False)
    shown = site.boards.read(bob, id)
    assert [(r.rank, r.name, r.username, r.number, r.is_mine) for r in shown.rows] == [
        (1, "Bob the Great", "bobby", number(site, first), True),
        (2, "carol", "carol", number(site, second), False),
    ]
    assert [c.spec.key for c in shown.columns] == ["score", "time"]
    tasks = site.db.tasks([t.key for t in site.db.competition(id).tasks if t.key])
    assert [(t.name, t.number) for t in shown.tasks] == [(t.name, t.id) for t in tasks]
    best, other = shown.rows
    assert best.cells["score"] == (0.625, "0.62")
    assert {key: cell.text for key, cell in best.per_task[1].items()} == {"score": "0.75", "time": "1.00"}
    assert other.per_task[0]["score"] == (0.123456, "0.12")
    assert other.per_task[1]["score"] == (None, "n/a")
    assert other.incomplete
    # What is asked, and not to be on the board, is on no board.
    assert shown.questions == (("method", "Method"),)
    assert [dict(row.answers) for row in shown.rows] == [{"method": "trees"}, {"method": None}]
    assert (shown.total, shown.phase.index) == (2, 0)
    assert [row.rank for row in site.boards.read(ANONYMOUS, id, start=1, stop=2).rows] == [2]
    assert site.boards.read(ann, id, phase=1).rows == ()
    for wrong in ({"phase": 2}, {"phase": -1}, {"board": "other"}, {"board": 1}):
        with pytest.raises(NotFound):
            site.boards.read(ann, id, **wrong)


def test_what_people_change_is_seen_at_once(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, eve = people
    id = hosted(site, ann, board(), published=True)
    entered(site, id, bob, eve)
    sheet = {"method": "a", "phone": ""}
    made = scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1}, fact_sheet=sheet)

    def seen(who: Actor) -> list[tuple[str, bool, Any, str]]:
        shown = site.boards.read(who, id).rows
        return [(r.name, r.is_mine, r.answers["method"], r.per_task[0]["time"].text) for r in shown]

    def write(shown: ShownBoard) -> bytes:
        return repr(shown.rows).encode()

    def written(who: Actor) -> bytes:
        shown = site.boards.read(who, id)
        again = [site.boards.written(who, shown, "test", write) for _ in range(2)]
        assert again[0] is again[1]
        assert again[0] == write(shown)
        return again[0]

    before_all = written(eve)
    assert written(bob) != before_all
    assert seen(bob) == [("bobby", True, "a", "3.00")]
    assert seen(eve) == [("bobby", False, "a", "3.00")]
    site.accounts.edit(bob, bob.account or 0, display_name="Bob the Great")
    site.submissions.answer(bob, number(site, made), {**sheet, "method": "b"})
    site.submissions.set_score(ann, number(site, made, 0), "time", 2.0)
    assert seen(eve) == [("Bob the Great", False, "b", "2.00")]
    assert b"Bob the Great" in written(eve)
    # What one of several tasks has is part of the board also where the mean stays.
    before = site.boards.state(eve, id)
    site.submissions.set_score(ann, number(site, made, 0), "time", 1.0)
    site.submissions.set_score(ann, number(site, made, 1), "time", 2.0)
    assert site.boards.state(eve, id).id != before.id
    assert seen(eve)[0][3] == "1.00"


def test_numbers_stay(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = hosted(site, ann, board(), published=True)
    entered(site, id, bob)
    scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1})
    (head,) = site.boards.list(ANONYMOUS, id)
    assert site.boards.numbered(ANONYMOUS, head.number) == head == site.boards.read(bob, id, "board").head
    assert [site.numbers.parts(Kind.COLUMN, c.number)[1:] for c in head.columns] == [["0", "0"], ["0", "1"]]
    shown = site.boards.read(bob, id)
    numbers = site.boards.score_numbers(bob, shown)
    assert len(set(numbers.values())) == 4
    assert numbers == site.boards.score_numbers(bob, shown)
    for gone in (head.number + 1000, 0):
        with pytest.raises(NotFound):
            site.boards.numbered(ANONYMOUS, gone)


def test_who_sees_a_board(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    staff = person(site, "staffer", is_staff=True)
    id = hosted(site, ann, HIDDEN, published=True)
    entered(site, id, bob)
    (head,) = site.boards.list(ann, id)
    for who in (bob, ANONYMOUS):
        assert site.boards.list(who, id) == ()
        for ask in (
            lambda who=who: site.boards.read(who, id),
            lambda who=who: site.boards.numbered(who, head.number),
            lambda who=who: site.boards.svg(who, id),
            lambda who=who: site.boards.state(who, id),
            lambda who=who: next(site.boards.changes(who, id)),
        ):
            with pytest.raises((Refused, NotSignedIn)):
                ask()
    for who in (ann, staff):
        assert site.boards.read(who, id).head.spec.hidden
    site.competitions.publish(ann, id, False)
    with pytest.raises(NotFound):  # not even that it is there
        site.boards.read(ANONYMOUS, id)


def test_the_secret_link_opens_the_board(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, _, _ = people
    id = hosted(site, ann, board())
    key = site.competitions.look(ann, id).hosted.secret_key
    with pytest.raises(NotFound):
        site.boards.read(ANONYMOUS, id)
    assert site.boards.read(ANONYMOUS, id, key=key).rows == ()
    assert len(site.boards.list(ANONYMOUS, id, key=key)) == 1


def test_a_hidden_column_is_in_exports_alone(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = hosted(site, ann, HIDDEN_COLUMN, published=True)
    entered(site, id, bob)
    scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1})
    for who in (ann, bob):
        shown = site.boards.read(who, id)
        assert [c.spec.key for c in shown.columns] == ["time"]
        assert set(shown.rows[0].cells) == {"time"} == set(shown.rows[0].per_task[0])
    assert [c.spec.key for c in site.boards.list(bob, id)[0].columns] == ["time"]
    assert [c.spec.key for c in site.boards.list(ann, id)[0].columns] == ["score", "time"]
    assert b"0.7500000000" in site.boards.export(ann, id).data
    for who in (bob, ANONYMOUS):
        with pytest.raises((Refused, NotSignedIn)):
            site.boards.export(who, id)


def test_exports(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    ann, bob, _ = people
    id = hosted(site, ann, board(), published=True)
    entered(site, id, bob)
    site.accounts.edit(bob, bob.account or 0, display_name="Bob the Great")
    sheet = {"method": "=1+1", "phone": "5"}
    made = scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 1 / 3, "time": 1}, fact_sheet=sheet)
    one, two = (t.id for t in site.db.tasks([t.key for t in site.db.competition(id).tasks if t.key]))
    phases = [site.numbers.of(Kind.PHASE, id, n) for n in (0, 1)]
    expected = {
        "fact_sheet_answers": sheet,
        f"First({one})-Score": "0.5000000000",
        f"First({one})-Time": "3.0000000000",
        f"Second({two})-Score": "0.3333333333",
        f"Second({two})-Time": "1.0000000000",
    }
    exported = site.boards.export(ann, id)
    assert (exported.name, exported.media_type) == ("Wheat seeds.json", "application/json")
    assert json.loads(exported.data) == {
        f"Board - Open({phases[0]})": {f"bobby-{number(site, made)}": expected},
        f"Board - Final({phases[1]})": {},
    }
    table = site.boards.export(ann, id, phase=0, format="csv")
    assert table.name == f"Board - Open({phases[0]}).csv"
    rows = list(csv.DictReader(io.StringIO(table.data.decode())))
    assert rows[0]["Username"] == f"bobby-{number(site, made)}"
    assert rows[0][f"First({one})-Score"] == "0.5000000000"
    assert site.boards.export(ann, id, phase=1, format="csv").data == b""
    packed = site.boards.export(ann, id, format="zip")
    assert packed.name == "Wheat seeds.zip"
    with zipfile.ZipFile(io.BytesIO(packed.data)) as archive:
        assert archive.namelist() == [table.name]
        assert archive.read(table.name) == table.data
    for wrong in ({"format": "csv"}, {"format": "xlsx"}):
        with pytest.raises(Invalid):
            site.boards.export(ann, id, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("flags", ["on", "off", "not on the board"])
def test_links_to_detailed_results(site: Site, people: tuple[Actor, Actor, Actor], flags: str) -> None:
    ann, bob, _ = people
    said = {
        "on": "enable_detailed_results: true\n",
        "off": "",
        "not on the board": "enable_detailed_results: true\nshow_detailed_results_in_leaderboard: false\n",
    }
    id = hosted(site, ann, board(said[flags]))
    entered_by_key(site, ann, id, bob)
    page = BlobRef(sha256="0" * 64, size=1)
    several, single = submitted(site, id, bob), submitted(site, id, ann, task=[1])
    for run in [*site.db.runs_of(several), *site.db.runs_of(single)]:
        over(site, run, {"score": 1, "time": 1}, detailed_results=page if run.task == 1 else None)
    for each in (several, single):
        site.workspace.choose(each)
    expected: dict[str, Any] = {several: {1: number(site, several, 1)}, single: {1: number(site, single)}}
    for who in (ann, bob):
        found = {row.submission: dict(row.pages) for row in site.boards.read(who, id).rows}
        assert found == (expected if flags == "on" else {several: {}, single: {}})
    # Whoever comes with the secret link may not open them.
    key = site.competitions.look(ann, id).hosted.secret_key
    assert [dict(row.pages) for row in site.boards.read(ANONYMOUS, id, key=key).rows] == [{}, {}]


def entered_by_key(site: Site, organizer: Actor, id: str, actor: Actor) -> None:
    site.registrations.register(actor, id, key=site.competitions.look(organizer, id).hosted.secret_key)


def test_changes(site: Site, people: tuple[Actor, Actor, Actor], clock: Clock) -> None:
    ann, bob, eve = people
    id = hosted(site, ann, board(), published=True)
    entered(site, id, bob, eve)
    changes = site.boards.changes(ANONYMOUS, id, every=0)
    first = next(changes)
    assert first is not None
    assert (first.kind, first.data["total"]) == ("board", 0)
    submitted(site, id, eve)  # concerns no board yet
    assert next(changes) is None
    made = scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1})
    second = next(changes)
    assert second is not None
    assert second.data["total"] == 1
    assert site.boards.read(bob, id).state == second.id == site.boards.state(bob, id).id
    # It goes on from what is known, also in another process.
    assert next(Site(site.workspace, site.settings, now=clock).boards.changes(bob, id, after=second.id)) is None
    site.workspace.set_score(site.db.runs_of(made)[0].id, "score", 0.9)
    third = next(changes)
    assert third is not None
    assert len({first.id, second.id, third.id}) == 3
    site.competitions.publish(ann, id, False)
    assert list(islice(changes, 3)) == []


def test_a_drawing(site: Site, people: tuple[Actor, Actor, Actor]) -> None:
    pytest.importorskip("vl_convert")
    ann, bob, _ = people
    id = hosted(site, ann, board(), published=True)
    entered(site, id, bob)
    site.accounts.edit(bob, bob.account or 0, display_name="<script>Bob")
    scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1}, name="secret-plan.zip")
    drawn = site.boards.svg(ANONYMOUS, id)
    assert drawn.startswith("<svg")
    assert "Bob" in drawn
    # Names of files are nobody else's business.
    assert not any(word in drawn for word in ("<script", "secret-plan", "bobby"))
    assert site.boards.svg(bob, id) is drawn
