"""S01-S16, as far as they can be shown without containers: collecting, forged scores, scores files, stale reports.

What separates a participant's program from the scorer is which directories each of them gets. Here the programs are
plain processes that are given those directories; that containers give nothing else is the engines' own suite.
"""

from __future__ import annotations

import json
import os
import pickle
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.core.competition import CompetitionSpec
from codabench.core.errors import StateError
from codabench.core.events import EventKind
from codabench.core.records import Outcome, Run, Status, Submission
from codabench.core.trees import TreeRef
from codabench.db.database import Database
from codabench.runner.scores import SIZE_LIMIT, read_scores
from codabench.storage.sources import collect, extract

HEAD = """\
version: 2
title: Guarded
image: logo.png
terms: terms.md
pages: [{title: Overview, file: terms.md}]
phases: [{index: 0, name: One, start: 2020-01-01, tasks: [0]}]
leaderboards: [{title: B, key: b, columns: [{title: Score, key: score, index: 0}]}]
"""
TRUTH = "the truth nobody may see"


def competition(folder: Path, task: str, **programs: str) -> cb.Competition:
    """A competition whose programs are given as text: ``name__file`` for ``name/file``."""
    files = {name.replace("__", "/").replace("_DOT_", "."): text for name, text in programs.items()}
    for name, text in {
        "competition.yaml": HEAD + f"tasks: [{{index: 0, name: T, reference_data: truth, {task}}}]\n",
        "terms.md": "Be fair.",
        "truth/answer.txt": TRUTH,
        **files,
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n and more")
    return cb.load(folder)


def submission(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_DOT_", ".")).write_text(text)
    return folder


# A scorer that gives 0 to everybody: whatever else comes out was forged.
JUDGE = """\
import json, pathlib, sys
given, output = map(pathlib.Path, sys.argv[1:3])
print("res:", sorted(p.name for p in given.iterdir()))
(output / "scores.json").write_text(json.dumps({"score": 0}))
"""
SCORING = {
    "scoring__metadata": "command: python3 $program/judge.py $predictions $output",
    "scoring__judge_DOT_py": JUDGE,
}


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Callable[..., cb.Competition]]:
    made: list[cb.Competition] = []

    def load(task: str = "scoring_program: scoring", **programs: str) -> cb.Competition:
        made.append(competition(tmp_path / "bundle", task, **{**SCORING, **programs}))
        return made[-1]

    yield load
    for one in made:
        one.close()


def run(comp: cb.Competition, path: Path) -> cb.SubmissionHandle:
    return comp.run(path, backend="process", progress="none")


# ---------------------------------------------------------------- S01: what is collected
def leave_links(output: Path) -> None:
    """Every way out of an output directory that a program can leave behind."""
    outside = output.parent / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(TRUTH)
    (output / "file").symlink_to(outside / "secret.txt")
    (output / "folder").symlink_to(outside)
    (output / "relative").symlink_to("../outside/secret.txt")
    (output / "proc").symlink_to("/proc/self/environ")
    (output / "loop").symlink_to("loop")
    (output / "scores.json").symlink_to(outside / "secret.txt")
    (output / "sub").mkdir()
    (output / "sub" / "up").symlink_to("../..")
    os.link(outside / "secret.txt", output / "hard")
    os.mkfifo(output / "fifo")
    (output / "good.txt").write_text("good")


@pytest.mark.row("S01")
def test_s01_nothing_of_the_outside_is_collected(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    leave_links(output)
    with collect(output) as source:
        assert {e.path: source.read_bytes(e.path) for e in source.entries() if e.kind == "file"} == {
            "good.txt": b"good"
        }
        assert len(source.problems) == 9
        taken = tmp_path / "taken"
        taken.mkdir()
        extract(source, taken)
    assert not [p for p in taken.rglob("*") if p.is_symlink()]


@pytest.mark.twin("S01")
def test_s01_twin_a_walk_that_follows_takes_the_secret(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    leave_links(output)
    followed = [p for p in output.iterdir() if p.is_file()]
    assert sum(p.read_text() == TRUTH for p in followed if p.name != "proc") == 4


# ---------------------------------------------------------------- S03, S04: split roles
FORGER = """\
import pathlib, sys
for place in (sys.argv[1], "."):
    pathlib.Path(place, "scores.json").write_text('{"score": 1}')
    pathlib.Path(place, "scores.txt").write_text("score: 1")
"""


def forging(folder: Path) -> Path:
    return submission(folder, metadata="command: python3 $program/forge.py $output", forge_DOT_py=FORGER)


def test_s03_a_scores_file_among_the_predictions_is_no_score(
    guarded: Callable[..., cb.Competition], tmp_path: Path
) -> None:
    comp = guarded()
    coded = run(comp, forging(tmp_path / "code"))
    plain = run(comp, submission(tmp_path / "plain", scores_DOT_json='{"score": 1}', scores_DOT_txt="score: 1"))
    for sub in (coded, plain):
        assert "scores.json" in sub.run.logs["scoring_stdout"]  # it is there, as a prediction
        assert sub.scores == {"score": 0}


def test_s03_twin_where_the_scorer_takes_what_lies_there_the_forgery_counts(
    guarded: Callable[..., cb.Competition], tmp_path: Path
) -> None:
    copying = "import pathlib, shutil, sys\nshutil.copy(pathlib.Path(sys.argv[1], 'scores.json'), sys.argv[2])\n"
    comp = guarded(scoring__judge_DOT_py=copying)
    assert run(comp, forging(tmp_path / "code")).scores == {"score": 1}


DURING = "scoring_program: scoring, ingestion_program: ingestion, ingestion_only_during_scoring: true"
# Ingestion runs participant code beside the scorer: it writes wherever it is given a place, and reads what it is given.
BESIDE = """\
import json, os, pathlib, sys
output, shared, code, hidden = sys.argv[1:5]
for place in (output, shared, code):
    for name in ("scores.json", "metadata", "detailed_results.html"):
        pathlib.Path(place, name).write_text(json.dumps({"score": 1}))
seen = [p for place in (output, shared, code) for p in pathlib.Path(place).rglob("*") if p.is_file()]
found = [p for p in seen if "truth" in p.read_text()]
pathlib.Path(shared, "done").write_text(json.dumps({"truth": len(found), "hidden": os.path.exists(hidden)}))
"""
WAITING = """\
import json, pathlib, sys, time
given, output, shared = map(pathlib.Path, sys.argv[1:4])
while not (shared / "done").exists():
    time.sleep(0.01)
print((shared / "done").read_text(), sorted(p.name for p in given.iterdir()), sorted(p.name for p in output.iterdir()))
(output / "scores.json").write_text(json.dumps({"score": 0}))
"""


def test_s04_ingestion_beside_the_scorer_forges_nothing(guarded: Callable[..., cb.Competition], tmp_path: Path) -> None:
    comp = guarded(
        DURING,
        scoring__metadata="command: python3 $program/judge.py $predictions $output $shared",
        scoring__judge_DOT_py=WAITING,
        ingestion__metadata="command: python3 $program/i.py $output $shared $submission_program $hidden",
        ingestion__i_DOT_py=BESIDE,
    )
    sub = run(comp, submission(tmp_path / "mine", model_DOT_py="x = 1"))
    assert sub.scores == {"score": 0}, sub
    said = sub.run.logs["scoring_stdout"]
    # It saw no truth, its $hidden leads nowhere, and what it wrote is neither in res nor in the scorer's output.
    assert json.loads(said[: said.index("}") + 1]) == {"truth": 0, "hidden": False}
    assert said[said.index("}") + 1 :].split() == ["['metadata',", "'model.py']", "[]"]
    with sub.run.output() as output:
        assert {e.path for e in output.entries()} == {"scores.json", "metadata"}
        assert b"exitCode" in output.read_bytes("metadata")


# ---------------------------------------------------------------- S05: what a participant plants for the scorer
PLANTED = "import pathlib, sys\npathlib.Path(sys.argv[2], 'scores.json').write_text('{\"score\": 1}')\nsys.exit(0)\n"


def test_s05_planted_modules_are_not_imported(guarded: Callable[..., cb.Competition], tmp_path: Path) -> None:
    names = ("sitecustomize", "usercustomize", "json", "pathlib", "judge")
    planted = submission(tmp_path / "mine", evil_DOT_pth="import os", **{f"{n}_DOT_py": PLANTED for n in names})
    sub = run(guarded(), planted)
    assert "sitecustomize.py" in sub.run.logs["scoring_stdout"]
    assert sub.scores == {"score": 0}


def test_s05_twin_a_scorer_that_looks_there_is_hijacked(guarded: Callable[..., cb.Competition], tmp_path: Path) -> None:
    careless = "import sys\nsys.path.insert(0, sys.argv[1])\nimport helper\n" + JUDGE
    planted = submission(tmp_path / "mine", helper_DOT_py=PLANTED)
    assert run(guarded(scoring__judge_DOT_py=careless), planted).scores == {"score": 1}


# ---------------------------------------------------------------- S06-S11: scores files are data
@pytest.mark.row("S06", "S07")
@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "-Infinity", "1e400", '"nan"', '"-inf"', "null", "[1]", '{"a": 1}']
)
def test_s06_s07_only_finite_numbers_are_scores(tmp_path: Path, value: str) -> None:
    (tmp_path / "scores.json").write_text(f'{{"score": {value}}}')
    with collect(tmp_path) as source:
        found = read_scores(source, ("score",))
    assert found.problem is not None
    assert (found.problem.code, found.scores) == ("CB643", {})


def sparse(place: Path) -> None:
    with open(place / "scores.json", "wb") as file:
        file.truncate(1 << 30)


def endless(place: Path) -> None:
    os.mkfifo(place / "scores.json")


@pytest.mark.row("S09")
@pytest.mark.parametrize(("leave", "code"), [(sparse, "CB642"), (endless, "CB641")])
def test_s09_a_huge_or_endless_file_costs_nothing(tmp_path: Path, leave: Callable[[Path], None], code: str) -> None:
    leave(tmp_path)
    began = time.perf_counter()
    with collect(tmp_path) as source:
        found = read_scores(source, ("score",))
    assert time.perf_counter() - began < 0.5
    assert found.problem is not None
    assert found.problem.code == code
    assert SIZE_LIMIT <= 1 << 20


TAGS = [
    "score: !!python/object/apply:os.mkdir [{place}]",
    "!!python/object/apply:os.mkdir [{place}]: 1",
    "score: !!python/object/new:os.mkdir {{args: [{place}]}}",
    "score: &a [*a, !!python/name:os.system ]",
    "{{score: 1, <<: !!python/module:os}}",
]


@pytest.mark.row("S11")
@pytest.mark.parametrize("text", TAGS)
@pytest.mark.parametrize("name", ["scores.txt", "scores.json"])
def test_s11_nothing_in_a_scores_file_is_executed(tmp_path: Path, text: str, name: str) -> None:
    output, made = tmp_path / "output", tmp_path / "made"
    output.mkdir()
    (output / name).write_text(text.format(place=made))
    with collect(output) as source:
        assert read_scores(source, ("score",)).problem is not None
    assert not made.exists()


@pytest.mark.twin("S11")
def test_s11_twin_an_unsafe_loader_executes_it(tmp_path: Path) -> None:
    import yaml

    made = tmp_path / "made"
    yaml.load(TAGS[0].format(place=made), Loader=yaml.UnsafeLoader)
    assert made.is_dir()


# ---------------------------------------------------------------- S12: exit codes
@pytest.mark.row("S12")
@pytest.mark.parametrize(("ending", "code"), [("sys.exit(1)", "CB612"), ("os.kill(os.getpid(), 9)", "CB614")])
def test_s12_a_score_before_a_failure_is_no_score(
    guarded: Callable[..., cb.Competition], tmp_path: Path, ending: str, code: str
) -> None:
    comp = guarded(scoring__judge_DOT_py=JUDGE + "import os\n" + ending)
    sub = run(comp, submission(tmp_path / "mine", x="1"))
    assert sub.problem is not None
    assert (sub.status, sub.problem.code, sub.run.scores) == (Status.FAILED, code, {})
    assert len(comp.leaderboard()) == 0


@pytest.mark.row("S12")
def test_s12_a_score_before_the_time_is_over_is_no_score(
    guarded: Callable[..., cb.Competition], tmp_path: Path
) -> None:
    comp = guarded(scoring__judge_DOT_py=JUDGE + "import time\ntime.sleep(60)")
    sub = comp.run(submission(tmp_path / "mine", x="1"), backend="process", progress="none", timeout=1)
    assert sub.problem is not None
    assert (sub.problem.code, sub.run.scores) == ("CB610", {})


# ---------------------------------------------------------------- S15: reports of attempts that do not count
AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.row("S15", "D07")
def test_s15_a_stale_attempt_cannot_score() -> None:
    db = Database()
    db.add_competition("c", CompetitionSpec(title="C"), source="", at=AT)
    tree = TreeRef(digest="d", archive="a", size=1, files=1)
    made = Submission(id="s", competition="c", phase=0, name="s", participant="p", tree=tree, created_at=AT)
    db.add_submission(made, [Run(id="r", submission="s", task=0, position=0, created_at=AT)], kind=EventKind.RUN_QUEUED)
    db.start_attempt("r", attempt="old", token="t1", at=AT)
    db.append("r", [EventKind.ATTEMPT_LOST], at=AT)
    db.start_attempt("r", attempt="new", token="t2", at=AT)

    def report(attempt: str, token: str, score: float) -> Status:
        outcome = Outcome(status=Status.FINISHED, scores={"score": score})
        kinds = [EventKind.SCORING_STARTED, EventKind.RUN_FINISHED]
        return db.append("r", kinds, at=AT, attempt=attempt, token=token, outcome=outcome)

    for attempt, token in (("old", "t1"), ("new", "t1"), ("old", "t2")):
        with pytest.raises(StateError):
            report(attempt, token, 1.0)
    assert report("new", "t2", 0.5) is Status.FINISHED
    with pytest.raises(StateError):
        report("new", "t2", 1.0)
    outcome = db.run("r").outcome
    assert outcome is not None
    assert outcome.scores == {"score": 0.5}
    db.close()


# ---------------------------------------------------------------- nothing that travels is pickled
class Bomb:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.place),))


def test_plans_and_results_are_json_and_no_pickle_is_read(
    guarded: Callable[..., cb.Competition], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    bomb = pickle.dumps(Bomb(made))
    planted = submission(tmp_path / "mine")
    for name in ("metadata", "scores.json", "answer.pkl", "model.joblib"):
        (planted / name).write_bytes(bomb)
    sub = run(guarded(), planted)
    assert sub.scores == {"score": 0}
    assert not made.exists()
    pickle.loads(bomb)  # the twin: what a reader of pickles would have done
    assert made.is_dir()
