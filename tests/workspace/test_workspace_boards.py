"""Boards of workspaces: the rule of the bundle, choices, numbers set by hand, pages, exports."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tiny import LAST, answer, bundle, yaml

import codabench as cb
from codabench.core.errors import NotFound, StateError, UsageError
from codabench.core.records import HandScore

BEST = LAST.replace("    key: board\n", "    key: board\n    submission_rule: Force_Best\n")
SCORES = {"one": ("ada", 0.5), "two": ("ada", 0.9), "three": ("bob", 0.7), "copy": ("eve", 0.7)}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cb.Workspace]:
    root = tmp_path_factory.mktemp("boards")
    with cb.Workspace(root / "lab", backend="process", jobs=2) as ws:
        for title, text in (("Best", BEST), ("Chosen", LAST)):
            made = bundle(root / title, yaml(last=text).replace("title: Tiny", f"title: {title}"))
            with cb.load(made) as comp:
                ws.add(comp)
                for name, (who, score) in SCORES.items():
                    given = answer(root / title / f"{name}-in", json.dumps({"score": score}))
                    comp.run(given, name=name, participant=who, progress="none")
        yield ws


def names(board: Any) -> list[str]:
    return [board.name(row) for row in board]


def test_the_rule_of_the_bundle_holds_in_a_workspace(lab: cb.Workspace) -> None:
    comp = lab.competition("Best")
    board = comp.leaderboard()
    assert names(board) == ["two", "three", "copy"]
    assert board.board.rule_applied
    assert names(comp.leaderboard(rule=False)) == ["two", "three", "copy", "one"]
    assert "not applied" in repr(comp.leaderboard(rule=False))


def test_a_number_set_by_hand_counts(lab: cb.Workspace) -> None:
    comp = lab.competition("Best")
    one = next(s for s in comp.submissions() if s.name == "one")

    def put(value: float | None) -> list[str]:
        now = datetime.now(UTC)
        lab.db.set_score(HandScore(run=one.run.id, key="score", value=value, by="o", note="", at=now))
        return names(comp.leaderboard())

    assert put(1.0) == ["one", "three", "copy"]
    assert put(None) == ["two", "three", "copy"]


def test_where_people_choose_the_board_says_what_is_left(lab: cb.Workspace) -> None:
    comp = lab.competition("Chosen")
    assert names(comp.leaderboard()) == []
    assert "4 scored submissions can be put there" in " ".join(repr(comp.leaderboard()).split())
    by_name = {s.name: s.id for s in comp.submissions()}
    for name in ("one", "three", "two"):
        lab.choose(by_name[name])
    assert names(comp.leaderboard()) == ["two", "three"], "with Add each participant has one"
    with pytest.raises(StateError, match="an entry stays until its participant puts another") as caught:
        lab.choose(by_name["two"], False)
    assert caught.value.code == "CB714"


def test_what_the_board_shows_is_deleted_only_for_good(tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "b", yaml(last=BEST))))
        best, _, failed = (
            comp.run(answer(tmp_path / name, text), name=name, participant="ada", progress="none")
            for name, text in (("best", '{"score": 2}'), ("second", '{"score": 1}'), ("failed", '{"exit": 1}'))
        )
        with pytest.raises(StateError, match="'best' cannot be deleted: it is on the leaderboard") as caught:
            best.delete()
        assert (caught.value.code, "hard" in str(caught.value.hint)) == ("CB714", True)
        assert names(comp.leaderboard()) == ["best"]
        failed.delete()
        with pytest.raises(StateError, match="was deleted"):
            failed.delete()
        best.delete(hard=True)
        assert names(comp.leaderboard()) == ["second"], "the next best takes its place"


def test_a_rerun_of_some_tasks_is_not_put_on_the_board(tmp_path: Path) -> None:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "b", yaml(("First", "Second")))))
        first = comp.run(answer(tmp_path / "a"), progress="none")
        part = first.rerun(task="First").wait()
        with pytest.raises(StateError, match="on tasks of one's own choice is on no board"):
            ws.choose(part)
        ws.choose(first)
        assert names(comp.leaderboard()) == [first.name]


def test_pages(lab: cb.Workspace) -> None:
    comp = lab.competition("Best")
    first, second = (lab.leaderboard(comp, page=n, size=2) for n in (1, 2))
    assert (names(first), names(second)) == (["two", "three"], ["copy"])
    assert [row.rank for row in second] == [3]
    assert first.total == second.total == 3
    whole = comp.leaderboard()
    assert whole.page(2, size=2).rows == second.rows
    assert names(whole.page(9)) == []
    assert second.rows[0].tied, "with the last row of the page before"
    assert whole["three"] == whole[1] == whole[whole[1].submission]
    with pytest.raises(NotFound, match="no submission 'thre'"):
        whole["thre"]
    with pytest.raises(UsageError, match="no aggregation 'median'"):
        comp.leaderboard(aggregation="median")  # type: ignore[arg-type]
    for page, size in ((0, 2), (1, 0), (1.5, 2), ("1", 2)):
        with pytest.raises(UsageError, match="pages are counted from 1"):
            comp.leaderboard(page=page, size=size)


def test_what_is_there_twice_is_named(lab: cb.Workspace) -> None:
    comp = lab.competition("Best")
    board = comp.leaderboard(participants={"bob": "Institute of Engines"})
    assert board.duplicates == [["three", "copy"]]
    assert "equal byte by byte: three (bob), copy (eve)" in board.board.notes
    assert [row.participant for row in board] == ["ada", "Institute of Engines", "eve"]
    assert comp.holdouts() == {"First": 4}


def test_a_ranking_of_ones_own(lab: cb.Workspace) -> None:
    comp = lab.competition("Best")
    board = comp.leaderboard(rule=False, ranking=lambda row: -row.scores["score"])
    assert names(board)[0] == "one"
    assert next(iter(board.to_frame().columns[3:])) == "lambda"


def test_frames(lab: cb.Workspace) -> None:
    board = lab.competition("Best").leaderboard()
    long = board.to_frame(layout="long")
    assert list(long.columns) == ["rank", "submission", "participant", "task", "column", "value"]
    assert long[long.column == "score"].value.tolist() == [0.9, 0.7, 0.7]
    assert len(long) == 6
    with pytest.raises(UsageError, match="no layout 'tall'"):
        board.to_frame(layout="tall")


HOSTILE = '=HYPERLINK("http://x")<b>\u202e'


def test_names_and_facts_are_shown_wherever_the_board_is(tmp_path: Path) -> None:
    asked = "  {0}: {{key: {0}, type: text, title: {1}, selection: '', is_required: false, is_on_leaderboard: {2}}}\n"
    sheet = "fact_sheet:\n" + "".join(
        asked.format(key, title, on)
        for key, title, on in (("net", "Network", "true"), ("mail", "Mail", "false"), ("rank", "Level", "true"))
    )
    columns = LAST.replace("key: score", "key: submission").replace("key: time", "key: participant")
    with cb.Workspace(tmp_path / "lab", backend="process") as ws:
        comp = ws.add(cb.load(bundle(tmp_path / "b", yaml(extra=sheet, last=columns))))
        wrote = '{"score": 0, "write": {"submission": 0.5, "participant": 2}}'
        for who in ("ada", "bob"):
            facts = {"net": HOSTILE, "mail": "secret", "rank": "high"} if who == "ada" else None
            given = answer(tmp_path / who, wrote)
            comp.run(given, name=who, participant=who, fact_sheet=facts, progress="none")
        board = comp.leaderboard(rule=False, participants={"ada": HOSTILE, "bob": "Института"})

        wide, long = board.to_frame(), board.to_frame(layout="long")
        assert list(wide.columns) == [
            *("submission", "participant", "submitted_at"),
            *("score.submission", "score.participant", "net", "fact.rank"),
        ]
        assert wide.participant.tolist() == [HOSTILE, "Института"]
        assert wide["score.submission"].tolist() == [0.5, 0.5]
        assert wide["fact.rank"].dropna().tolist() == ["high"]
        assert set(long.participant) == {HOSTILE, "Института"}

        head, first, second = csv.reader(io.StringIO(board.to_csv()))
        assert head[4:] == ["score.submission", "score.participant", "net", "fact.rank"]
        assert (first[2], first[6]) == (f"'{HOSTILE}", f"'{HOSTILE}")
        assert (second[2], second[6:]) == ("Института", ["", ""])

        text, html = repr(board), board._repr_html_()
        for shown in (text, html):
            assert "Network" in shown
            assert "Института" in shown
            assert "secret" not in shown
            assert "\u202e" not in shown
        assert "<b>\\u202e" not in html
        assert "&lt;b&gt;" in html

        saved = comp.save_results(tmp_path / "r.csv", rule=False, participants={"ada": HOSTILE})
        assert saved.read_text(encoding="utf-8").splitlines()[1].startswith('"\'=HYPERLINK(""http://x"")<b>')
        (rows,) = json.loads(comp.save_results(tmp_path / "r.json", rule=False).read_text()).values()
        assert [row.get("fact_sheet_answers") for row in rows.values()] == [{"net": HOSTILE, "rank": "high"}, None]


def test_files_as_servers_write_them(lab: cb.Workspace, tmp_path: Path) -> None:
    comp = lab.competition("Best")
    document = json.loads(comp.save_results(tmp_path / "r.json").read_text())
    ((title, rows),) = document.items()
    assert title == "Board - One(0)"
    assert [key.partition("-")[0] for key in rows] == ["ada", "bob", "eve"]
    assert next(iter(rows.values())) == {"First(0)-Score": "0.9000000000", "First(0)-Time": "5.0000000000"}
    assert comp.save_results(tmp_path / "r.csv").read_text().startswith("Username,fact_sheet_answers,First(0)-Score,")
    assert comp.save_results(tmp_path / "r.zip").stat().st_size > 100
    with pytest.raises(UsageError, match="is there already"):
        comp.save_results(tmp_path / "r.zip")
    with pytest.raises(UsageError, match="ends in none of"):
        comp.save_results(tmp_path / "r.txt")
