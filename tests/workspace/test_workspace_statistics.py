"""Scores of items, from the scoring program to the board."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import codabench as cb
from codabench.core.errors import NotFound

pytestmark = pytest.mark.filterwarnings("ignore:.*CB690")


@cb.scoring
def score(io: cb.ScoringIO) -> dict[str, float]:
    text = (io.predictions / "answers.txt").read_text()
    right = [float(c == "1") for c in text.strip()]
    if "!" in text:
        (io.output / "scores_per_item.csv").write_text("item,acc\na,1\na,0\n")
    else:
        io.items({"acc": right})
    return {"acc": sum(right) / len(right), "size": len(right)}


@pytest.fixture(scope="module")
def comp() -> Iterator[cb.Competition]:
    made = cb.Competition(
        title="Bits",
        tasks=[cb.Task(name="bits", scoring_program=score)],
        columns=[cb.Column(key="acc", title="Accuracy"), cb.Column(key="size")],
    )
    for name, right, size in (("sharp", 55, 60), ("close", 54, 60), ("blunt", 15, 60), ("short", 1, 6)):
        text = "1" * right + "0" * (size - right)
        made.run({"answers.txt": text}, backend="inline", name=name, progress="none")
    made.run({"answers.txt": "0" * 50 + "!"}, backend="inline", name="torn", progress="none")
    yield made
    made.close()


def test_the_board_knows(comp: cb.Competition) -> None:
    board = comp.leaderboard()
    found = board.statistics()
    assert found is board.statistics()
    assert found.groups == (("sharp", "close"), ("blunt",))
    rows = {r.name: r for r in found.rows}
    assert rows["sharp"].low < 55 / 60 < rows["sharp"].high
    assert rows["short"].why == "6 items: at least 20 are needed"
    assert rows["torn"].why == "scores_per_item.csv: item 'a' is there twice"
    assert not board.statistics("size").known
    with pytest.raises(NotFound, match="no column 'accuracy'"):
        board.statistics("accuracy")


def test_a_torn_file_is_a_warning_and_the_run_counts(comp: cb.Competition) -> None:
    torn = comp.submissions()[-1]
    assert torn.status is cb.Status.FINISHED
    assert [w.code for w in torn.run.warnings if w.code != "CB660"] == ["CB649"]
    assert "left aside: item 'a' is there twice" in repr(torn)
    assert "CB649" not in {w.code for w in comp.submissions()[0].run.warnings}


def test_the_board_explains_how_sure_it_is(comp: cb.Competition) -> None:
    board = comp.leaderboard()
    said = board.explain("close", "sharp")
    assert "Accuracy decides" in said
    assert said.endswith("chance could do that.")
    assert board.explain("sharp", "blunt").endswith("more than chance would do.")
    assert board.explain("short", "blunt").endswith("(short: 6 items: at least 20 are needed).")


def test_items_are_written_by_programs_alike(comp: cb.Competition) -> None:
    called = comp.submissions()[0].run.output("scoring").read_bytes("scores_per_item.csv")
    there = comp.run({"answers.txt": "1" * 55 + "0" * 5}, backend="process", progress="none")
    assert there.run.output("scoring").read_bytes("scores_per_item.csv") == called
    assert called.startswith(b"item,acc\r\n0,1.0\r\n1,1.0\r\n")


@pytest.mark.parametrize(
    ("columns", "ids", "message"),
    [
        ({"acc": [1, 2]}, ["a"], "not one number in each column"),
        ({"acc": [1, 2], "size": [1]}, None, "not one number"),
        ({"acc": ["x"]}, None, "no number: 'x'"),
    ],
)
def test_items_that_cannot_be_meant(tmp_path, columns, ids, message) -> None:
    io = cb.ScoringIO(tmp_path, tmp_path, None, tmp_path, tmp_path)
    with pytest.raises((ValueError, TypeError), match=message):
        io.items(columns, ids)
