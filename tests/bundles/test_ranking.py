"""Orders of boards that the acceptance bundles expect, computed from the scores they expect."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from codabench.core.competition import ColumnSpec, LeaderboardSpec
from codabench.leaderboard import Entry, rank

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def folder(request):
    """The folder given with ``--bundles``."""
    given = request.config.getoption("--bundles", default=None)
    if not given:
        pytest.skip("no --bundles FOLDER")
    return Path(given)


def spec_of(board):
    """A leaderboard as `expected.json` describes it; columns from ranks name their inputs by key."""
    index = {c["key"]: c["index"] for c in board["columns"]}
    columns = []
    for c in board["columns"]:
        fields = {k: v for k, v in c.items() if k in ColumnSpec.model_fields}
        if legacy := c.get("legacy_computed"):
            fields["computation"] = {"Avg": "mean_rank", "MRR": "mrr"}[legacy["operation"]]
            fields["computation_indexes"] = [index[k] for k in legacy["fields"]]
        columns.append(ColumnSpec(**{"title": c["key"], **fields}))
    return LeaderboardSpec(key="board", title="Board", columns=columns, primary_index=board.get("primary_index", 0))


def entry_of(submission, number, tasks):
    when = submission.get("submitted_at", START + timedelta(minutes=number))
    scores = {r["task"]: r["scores"] for r in submission["runs"] if r["status"] == "Finished"}
    return Entry(
        submission=submission["id"],
        participant=submission.get("who", submission["id"]),
        created_at=when,
        sequence=number,
        tasks=scores,
        expected_tasks=tasks,
    )


@pytest.mark.bundles
def test_small_boards(folder):
    tables = json.loads((folder / "09-computed-columns" / "ranking.json").read_text())["tables"]
    for table in tables:
        entries = [
            Entry(
                submission=e["id"],
                participant=e["id"],
                created_at=START + timedelta(seconds=int(e["at"])),
                tasks={0: e["scores"]},
            )
            for e in table["entries"]
        ]
        board = rank(spec_of(table), entries)
        assert [r.submission for r in board.rows] == table["order"], table["name"]
    assert len(tables) >= 10


@pytest.mark.bundles
@pytest.mark.parametrize(
    "case",
    [
        "01-result-minimal",
        "03-code-or-result",
        "07-inverted-dataset-submission",
        "08-phases-tasks-fact-sheet",
        "09-computed-columns",
        "30-v15-leaderboard",
        "34-v18-parallel-phases",
    ],
)
def test_board_of_a_bundle(folder, case):
    compare_boards(folder / case)


@pytest.mark.parametrize("case", sorted(p.parent.name for p in EXAMPLES.glob("*/expected.json")))
def test_board_of_an_example(case):
    compare_boards(EXAMPLES / case)


def compare_boards(folder):
    expected = json.loads((folder / "expected.json").read_text())
    structure = expected["check"]["structure"]
    submissions = {s["id"]: (n, s) for n, s in enumerate(expected["submissions"])}
    boards = expected["board"] if isinstance(expected["board"], list) else [expected["board"]]
    for wanted in boards:
        tasks = tuple(range(len(structure["phases"][wanted["phase"]]["tasks"])))
        entries = [entry_of(submissions[i][1], submissions[i][0], tasks) for i in wanted["entries"]]
        board = rank(spec_of(structure["leaderboards"][0]), entries)
        assert [r.submission for r in board.rows] == wanted["order"]
        for submission, values in wanted.get("computed", {}).items():
            for key, value in values.items():
                found = board.row(submission).scores[key]
                assert found == (None if value is None else pytest.approx(value, abs=1e-9))
