"""Both steps with real processes: what is copied, what is a warning, what fails a run, and why."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tiny import FILES, Watcher, alive, answer, bundle, yaml

import codabench as cb
from codabench.backends.engine import ContainerSpec, Deadline, LogSink, StopSignal
from codabench.backends.process import ProcessContainer, ProcessEngine
from codabench.core.errors import EngineError
from codabench.core.problems import Fault
from codabench.core.records import Exit, Status

Make = Callable[..., cb.Competition]

# Ingestion runs the participant's model, and says what it found in its output.
INGEST = """\
import json, os, pathlib, runpy, sys, time
code, output = map(pathlib.Path, sys.argv[1:3])
print("found", sorted(p.name for p in output.iterdir()))
if os.path.exists(code / "wait"):
    os.write(1, b"pid %d\\n" % os.getpid())
    time.sleep(60)
made = runpy.run_path(str(code / "model.py"))
(output / "answer.json").write_text(json.dumps({"score": made["score"]}))
"""


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[cb.Competition] = []

    def load(task: str = "", ingest: str = INGEST, scorer: bytes | None = None) -> cb.Competition:
        files = {
            "ingestion/metadata": b"command: python3 $program/ingest.py $submission_program $output $shared",
            "ingestion/ingest.py": ingest.encode(),
            **({"scoring/score.py": scorer} if scorer else {}),
        }
        text = yaml().replace(
            "scoring_program: scoring,", f"scoring_program: scoring, ingestion_program: ingestion{task},"
        )
        made.append(cb.load(bundle(tmp_path / f"bundle{len(made)}", text, files)))
        return made[-1]

    yield load
    for one in made:
        one.close()


def code(folder: Path, text: str = "score = 7", **files: str) -> Path:
    folder.mkdir()
    for name, content in {"model.py": text, **files}.items():
        (folder / name).write_text(content)
    return folder


def run(comp: cb.Competition, path: Path, **options: Any) -> cb.RunHandle:
    return comp.run(path, **{"backend": "process", "progress": "none", **options}).run


def test_code_is_run_by_ingestion(make: Make, tmp_path: Path) -> None:
    found = run(make(), code(tmp_path / "mine"))
    assert (found.status, found.scores["score"]) == (Status.FINISHED, 7)
    assert (found.exit_code("prediction", "ingestion"), found.exit_code("prediction")) == (0, None)
    assert found.logs["prediction_ingestion_stdout"] == "found ['model.py']\n"  # case B: copied before
    with found.output("prediction") as output:
        assert {e.path for e in output.entries()} == {"model.py", "answer.json", "metadata"}


def test_a_description_keeps_the_output_empty(make: Make, tmp_path: Path) -> None:
    found = run(make(), code(tmp_path / "mine", metadata="description: mine"))
    assert found.logs["prediction_ingestion_stdout"] == "found []\n"  # case C
    assert found.status is Status.FINISHED


def test_results_pass_through_an_ingestion_that_fails(make: Make, tmp_path: Path) -> None:
    found = run(make(), answer(tmp_path / "mine"))
    assert (found.status, found.scores["score"]) == (Status.FINISHED, 0.5)
    assert found.exit_code("prediction", "ingestion") == 1
    (warning,) = [w for w in found.warnings if w.code == "CB612"]
    assert "the files of the submission were scored as they are" in warning.message
    with found.output("prediction") as output:
        assert b"ingestionExitCode: 1" in output.read_bytes("metadata")


def test_the_root_cause_is_named_first(make: Make, tmp_path: Path) -> None:
    found = run(make(), code(tmp_path / "mine", "raise RuntimeError('my model is broken')"))
    assert found.problem is not None
    assert (found.status, found.problem.fault) == (Status.FAILED, Fault.PARTICIPANT)
    assert "the ingestion program exited with 1: RuntimeError: my model is broken" in found.problem.message
    assert "then the scoring program exited with 1" in (found.problem.hint or "")
    assert not [w for w in found.warnings if w.code == "CB612"]


def test_ones_own_command_that_fails_fails_the_run(make: Make, tmp_path: Path) -> None:
    found = run(make(), code(tmp_path / "mine", "import sys; sys.exit(4)", metadata="command: python3 model.py"))
    assert found.problem is not None
    assert (found.problem.code, found.problem.fault) == ("CB612", Fault.PARTICIPANT)
    assert found.exit_code("prediction") == 4
    assert "scoring_stdout" not in found.logs


def test_a_list_of_commands_stops_at_the_first_failure(make: Make, tmp_path: Path) -> None:
    listed = "command:\n" + "".join(f"  - python3 say.py {n}\n" for n in (0, 3, 0))
    saying = "import sys; print('said', sys.argv[1]); sys.exit(int(sys.argv[1]))"
    found = run(make(), code(tmp_path / "mine", metadata=listed, **{"say.py": saying}))
    assert found.logs["prediction_stdout"] == "said 0\nsaid 3\n"
    assert found.exit_code("prediction") == 3


def test_metadata_that_a_program_leaves_are_set_aside(make: Make, tmp_path: Path) -> None:
    scorer = FILES["scoring/score.py"] + b"(output / 'metadata').write_text('mine')\n"
    found = run(make(scorer=scorer), code(tmp_path / "mine"))
    assert found.status is Status.FINISHED
    assert [w.message for w in found.warnings if w.code == "CB647"] == [
        "metadata beside the results is written by the runner; what was there is kept as metadata.program"
    ]
    with found.output() as output:
        assert output.read_bytes("metadata.program") == b"mine"


def test_links_that_a_program_leaves_are_warned_of(make: Make, tmp_path: Path) -> None:
    scorer = FILES["scoring/score.py"] + b"(output / 'link').symlink_to('/etc/hostname')\n"
    found = run(make(scorer=scorer), code(tmp_path / "mine"))
    assert [w.code for w in found.warnings if w.fault is not Fault.OPERATOR] == ["CB037"]


def test_a_scoring_program_without_a_command(make: Make, tmp_path: Path) -> None:
    comp = make()
    (Path(comp.source) / "scoring" / "metadata").write_text("description: none")
    found = run(cb.load(comp.source), code(tmp_path / "mine"))
    assert found.problem is not None
    assert (found.problem.code, found.problem.fault) == ("CB401", Fault.ORGANIZER)


# A scorer that waits to be cancelled, after an ingestion that had failed.
def test_a_run_cancelled_while_scoring_is_cancelled_whatever_went_before(make: Make, tmp_path: Path) -> None:
    comp, watcher = make(), Watcher()
    comp.workspace.observe(watcher.event)
    path = answer(tmp_path / "mine", '{"score": 1, "sleep": 60}')
    sub = comp.workspace.submit(comp, path, backend="process", enforce=False)
    assert watcher.sleeping.wait(20)
    assert "Scoring" in watcher.statuses(sub.run.id)
    sub.cancel()
    assert (sub.status, sub.run.exit_code("prediction", "ingestion")) == (Status.CANCELLED, 1)


def test_cancelling_while_ingestion_runs(make: Make, tmp_path: Path) -> None:
    comp, watcher = make(), Watcher()
    comp.workspace.observe(watcher.event)
    sub = comp.workspace.submit(comp, code(tmp_path / "mine", wait=""), backend="process", enforce=False)
    assert watcher.sleeping.wait(20)
    sub.cancel()
    assert sub.status is Status.CANCELLED
    assert not alive(watcher.pids[0])
    assert "Scoring" not in watcher.statuses(sub.run.id)


class HalfBroken(ProcessEngine):
    """Its second container of a step cannot be started."""

    def __init__(self) -> None:
        self.made = 0

    def create(self, spec: ContainerSpec) -> ProcessContainer:
        self.made += 1
        return Failing(spec) if self.made == 2 else ProcessContainer(spec)


class Failing(ProcessContainer):
    def run(self, logs: LogSink, stop: StopSignal, deadline: Deadline) -> Exit:
        time.sleep(0.3)
        raise EngineError("no more memory for containers")


def test_an_engine_that_fails_one_of_two_programs_ends_the_other(make: Make, tmp_path: Path) -> None:
    waiting = "import time; time.sleep(60)"
    comp = make()
    began = time.monotonic()
    with pytest.raises(EngineError, match="no more memory"):
        run(comp, code(tmp_path / "mine", waiting, metadata="command: python3 model.py"), backend=HalfBroken())
    assert time.monotonic() - began < 20
    assert comp.submissions()[0].status is Status.FAILED


def test_both_programs_are_alive_at_once_and_share_a_directory(make: Make, tmp_path: Path) -> None:
    ingest = """\
import pathlib, sys, time
shared = pathlib.Path(sys.argv[3])
(shared / "question").write_text("6 * 7")
while not (shared / "answer").exists():
    time.sleep(0.01)
print((shared / "answer").read_text())
"""
    scorer = b"""\
import json, pathlib, sys, time
output, shared = pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
while not (shared / "question").exists():
    time.sleep(0.01)
(shared / "part").write_text("42")
(shared / "part").rename(shared / "answer")
(output / "scores.json").write_text(json.dumps({"score": 42, "time": 0}))
"""
    comp = make(", ingestion_only_during_scoring: true", ingest, scorer)
    (Path(comp.source) / "scoring" / "metadata").write_text(
        "command: python3 $program/score.py $predictions $hidden $output $shared"
    )
    found = run(cb.load(comp.source), code(tmp_path / "mine"), timeout=20)
    assert (found.status, found.scores["score"]) == (Status.FINISHED, 42), found
    assert found.logs["scoring_ingestion_stdout"] == "42\n"
    assert (found.exit_code("scoring"), found.exit_code("scoring", "ingestion")) == (0, 0)


def test_provenance_says_how_to_come_to_the_same_score(make: Make, tmp_path: Path) -> None:
    comp = make()
    first, second = run(comp, code(tmp_path / "one")), run(comp, code(tmp_path / "two"))
    other = run(comp, code(tmp_path / "three", "score = 8"))
    assert json.loads(json.dumps(first.provenance)) == first.provenance
    assert set(first.provenance["trees"]) == {"submission", "ingestion_program", "scoring_program", "reference_data"}
    assert first.provenance["steps"]["prediction"] == second.provenance["steps"]["prediction"]
    assert first.provenance["steps"]["prediction"] != other.provenance["steps"]["prediction"]
    assert first.provenance["steps"]["scoring"] != other.provenance["steps"]["scoring"]
    assert first.provenance["engine"]["not_enforced"]


def test_output_that_is_more_than_is_taken_is_the_programs_failure(make: Make, tmp_path: Path) -> None:
    """A file with holes fills no disk; it is refused all the same, and nobody blames the machine."""
    holes = "import sys\nopen(sys.argv[{}] + '/holes', 'w').truncate(10**12)\n"
    scorer = run(make(scorer=holes.format(3).encode()), code(tmp_path / "one"))
    assert scorer.problem is not None
    assert (scorer.status, scorer.problem.code, scorer.problem.fault) == (Status.FAILED, "CB648", Fault.ORGANIZER)
    assert "'/app/output' holds more than" in scorer.problem.message
    assert scorer.exit_code("scoring") == 0

    own = bundle(tmp_path / "own", yaml())
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "metadata").write_text("command: python3 $program/own.py $output $output")
    (tmp_path / "two" / "own.py").write_text(holes.format(1))
    with contextlib.closing(cb.load(own)) as competition:
        found = run(competition, tmp_path / "two")
        assert found.problem is not None
        assert (found.problem.code, found.problem.fault) == ("CB648", Fault.PARTICIPANT)
        assert found.exit_code("prediction") == 0


def test_a_program_of_python_2_shows_what_python_3_says(make: Make, tmp_path: Path) -> None:
    comp = make(scorer=b"print 'scoring'\n")
    sub = comp.run(code(tmp_path / "mine"), backend="process", progress="none")
    assert sub.status is Status.FAILED
    assert sub.problem is not None
    assert "SyntaxError: Missing parentheses in call to 'print'" in sub.problem.message
    assert sub.problem.fault is Fault.ORGANIZER


def test_scoring_begins_as_soon_as_prediction_has_ended(make: Make, tmp_path: Path) -> None:
    """Real scoring programs give up where the last sign of life of the ingestion program is half a minute old."""
    ingest = INGEST + "(output / 'beat').write_text(str(time.time()))\n"
    scorer = FILES["scoring/score.py"] + (
        b"gap = time.time() - float((given / 'beat').read_text())\n"
        b"(output / 'scores.json').write_text(json.dumps({'score': gap, 'time': 1}))\n"
    )
    comp = make(ingest=ingest, scorer=scorer)
    sub = comp.run(code(tmp_path / "mine"), backend="process", progress="none")
    assert 0 < sub.scores["score"] < 30
