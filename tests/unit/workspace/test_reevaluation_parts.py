"""The pure parts of re-evaluation: what has to be done, how long it takes, why runs failed, what may be asked for."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

import pytest

from codabench.core.competition import ProgramSpec, TaskSpec
from codabench.core.errors import UsageError
from codabench.core.evaluations import Evaluated
from codabench.core.records import Status
from codabench.core.trees import TreeRef
from codabench.runner.contract import CONTRACT_VERSION
from codabench.runner.expected import Expectation
from codabench.workspace.reevaluation.causes import last_traceback
from codabench.workspace.reevaluation.choosing import Choice, chosen
from codabench.workspace.reevaluation.executing import allowed
from codabench.workspace.reevaluation.interrupting import interruptions
from codabench.workspace.reevaluation.judging import Judge, Judgement, Past, Target
from codabench.workspace.reevaluation.plan import Times, span
from codabench.workspace.reevaluation.progress import Pace, Standing, clock

OK = {"program": {"reason": "exited", "code": 0}}


def tree(name: str) -> TreeRef:
    return TreeRef(digest=f"sha256:{name}", archive=name, size=3, files=1)


def target(revision: int = 1, scorer: str = "scorer", **more: Any) -> Target:
    program = ProgramSpec(path="scoring", commands=("python3 score.py",), metadata="metadata")
    task = TaskSpec(index=0, name="t", scoring_program=program, **more)
    parts = {"scoring_program": tree(scorer)}
    if task.ingestion_program:
        parts["ingestion_program"] = tree("ingestion")
    return Target(revision, task, parts)


INGESTION = {"ingestion_program": ProgramSpec(path="ingestion", commands=("python3 run.py",), metadata="metadata")}


def past(of: Target, *, results_only: bool = False, **changes: Any) -> Past:
    """A run that finished on a task as it was."""
    expected = Expectation(of.task, of.trees, results_only=results_only)
    made: dict[str, Any] = {
        "contract": CONTRACT_VERSION,
        "image": {"name": "i:1", "id": "sha256:1", "platform": "linux/amd64"},
        "engine": {"name": "docker"},
        "policy": {
            "network": changes.pop("network", "none"),
            "user": "nobody",
            "writable_program": True,
            "writable_inputs": False,
            "gpus": None,
            "local_data": None,
        },
        "submission": {"metadata": None, "commands": []},
        "trees": {"submission": "sha256:mine", **{role: ref.digest for role, ref in of.trees.items()}},
    }
    made |= changes.pop("provenance", {})
    digest = expected.prediction(made)
    output = tree("predictions").model_dump() if digest else tree("mine").model_dump()
    prediction = {"name": "prediction", "digest": digest, "exits": OK if digest else {}, "output": output}
    scoring = {"name": "scoring", "digest": expected.scoring(made, output["digest"]), "exits": OK, "skipped": False}
    steps: Any = {"prediction": prediction | {"skipped": not digest}, "scoring": scoring}
    steps["prediction"] |= changes.pop("prediction", {})
    known: dict[str, Any] = {"status": Status.FINISHED, "revision": of.revision, "steps": steps, "provenance": made}
    return Past(**{**known, **changes})


def judged(then: Past, now: Target, reuse: Any = "same-submission", *, results_only: bool = False) -> Judgement:
    return Judge(now, results_only=results_only, reuse=reuse).of(then)


def test_nothing_changed() -> None:
    for of in (target(), target(**INGESTION)):
        assert judged(past(of), of) == Judgement("current", "up to date")
        assert judged(past(of, results_only=True), of, results_only=True).action == "current"


def test_another_scoring_program_needs_scoring_only() -> None:
    found = judged(past(target(**INGESTION)), target(2, "mended", **INGESTION))
    assert found == Judgement("score", "scoring program r1 → r2", 0, 1, reuses=True)
    assert judged(past(target()), target(2, "mended")) == Judgement("score", "scoring program r1 → r2", 0, 1)
    assert judged(past(target()), target(1, "mended")).reason == "scoring program changed"


def test_another_ingestion_program_needs_everything() -> None:
    before = target(**INGESTION)
    now = Target(3, before.task, {**before.trees, "ingestion_program": tree("other")})
    assert judged(past(before), now) == Judgement("full", "ingestion program r1 → r3", 1, 1)


def test_what_says_nothing_in_a_tree_is_a_change_too() -> None:
    before, now = target(**INGESTION), target(2, **INGESTION, ingestion_only_during_scoring=True)
    assert judged(past(before), now) == Judgement("score", "the task r1 → r2", 0, 2)
    other = past(before)
    changed = other._replace(provenance={**other.provenance, "contract": 0})
    assert judged(changed, target(2, "mended", **INGESTION)).reason.endswith(f"version 0 → {CONTRACT_VERSION}")


def test_another_image_needs_everything() -> None:
    of = target(**INGESTION)
    before = past(of)
    image = {"name": "i:1", "id": "sha256:2", "platform": "linux/amd64"}
    moved = before._replace(provenance={**before.provenance, "image": image}, image="image i:1 changed")
    assert judged(moved, of) == Judgement("full", "image i:1 changed", 1, 1)
    unknown = before._replace(provenance={**before.provenance, "image": None}, image="image i:1 → i:2")
    assert judged(unknown, of).action == "full"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"prediction": {"exits": {"program": {"reason": "exited", "code": 1}}}}, "did not exit with 0"),
        ({"network": "open"}, "network"),
    ],
)
def test_predictions_that_are_not_reused(changes: dict[str, Any], why: str) -> None:
    found = judged(past(target(**INGESTION), **changes), target(2, "mended", **INGESTION))
    assert (found.action, found.prediction, found.scoring) == ("full", 1, 1)
    assert found.reason.startswith("scoring program r1 → r2; prediction not reused: ")
    assert why in found.reason


def test_the_caller_decides_about_reuse() -> None:
    of, now = target(**INGESTION), target(2, "mended", **INGESTION)
    assert judged(past(of, network="open"), now, "always").action == "score"
    assert judged(past(of), of, "never") == Judgement("full", "nothing is to be reused", 1, 1)
    assert judged(past(target()), target(), "never").action == "score"  # nothing runs before scoring


def test_what_failed_is_done_again() -> None:
    of = target(**INGESTION)
    failed = past(of, status=Status.FAILED, problem="CB641")
    assert judged(failed, of) == Judgement("score", "it failed (CB641)", 0, 1, reuses=True)
    nothing = Past(Status.FAILED, 1, {}, {}, problem="CB601")
    assert judged(nothing, of) == Judgement("full", "it failed (CB601); it came to no prediction", 1, 1)
    cancelled = Past(Status.CANCELLED, 1, {}, {})
    assert judged(cancelled, of).reason == "it was cancelled; it came to no prediction"


def test_what_cannot_be_run() -> None:
    of = target()
    inline = past(of)
    inline.provenance["engine"] = {"name": "inline"}
    assert "submit it again" in judged(inline, of).reason
    bare = Target(1, TaskSpec(index=0, name="t"), {})
    assert judged(past(of), bare) == Judgement("impossible", "the task has no scoring program that could be started")
    assert judged(Past(Status.FINISHED, 1, {}, {}), of).action == "impossible"


# ---------------------------------------------------------------- which runs
def evaluated(**changes: Any) -> Evaluated:
    usual = Evaluated("r", "s", 0, 0, 1, Status.FINISHED, None, "x.zip", "ada", 0, 1, "{}", "{}", None)
    return usual._replace(**changes)


@pytest.mark.parametrize(
    ("where", "takes"),
    [
        ("finished", "F"),
        ("Finished", "F"),
        ("failed", "X"),
        ("all", "FXC"),
        ({"status": "failed"}, "X"),
        ({"participants": "ada"}, "F"),
        ({"participants": ["eve"]}, ""),
        ({"submissions": ["x.zip"], "status": "all"}, "FXC"),
        ({"submissions": "s"}, "F"),
        ({"submissions": ["t"]}, ""),
    ],
)
def test_which_runs_are_looked_at(where: Any, takes: str) -> None:
    choice = Choice(where, list)
    statuses = {"F": Status.FINISHED, "X": Status.FAILED, "C": Status.CANCELLED}
    assert "".join(c for c, status in statuses.items() if choice.takes(evaluated(status=status))) == takes
    assert choice.takes(evaluated(status=Status.RUNNING)) == bool(takes), "told that it is left out"


@pytest.mark.parametrize("where", ["finishd", {"state": "failed"}, {"status": "lost"}])
def test_a_choice_that_cannot_be_meant(where: Any) -> None:
    with pytest.raises(UsageError) as caught:
        Choice(where, list)
    assert caught.value.code == "CB651"


def test_choices_in_words() -> None:
    assert chosen([]) == "finished"
    assert chosen(["failed"]) == chosen(["status=failed"]) == {"status": "failed"}
    assert chosen(["participant=ada", "participant=eve"]) == {"participants": ["ada", "eve"]}
    assert chosen(["submission=a=b.zip"]) == {"submissions": ["a=b.zip"]}
    with pytest.raises(UsageError, match="there are status, participant, submission"):
        chosen(["team=x"])


# ---------------------------------------------------------------- how many failures, how long
@pytest.mark.parametrize(("given", "most"), [(None, None), (0, 0), (20, 20), (0.05, 25.0), (0.0, 0.0), (3.0, 3.0)])
def test_how_many_may_fail(given: Any, most: Any) -> None:
    assert allowed(given, 500) == most


@pytest.mark.parametrize("given", [-1, 1.5, -0.1, float("nan"), float("inf")])
def test_a_number_of_failures_that_is_none(given: float) -> None:
    with pytest.raises(UsageError) as caught:
        allowed(given, 500)
    assert caught.value.code == "CB651"


def test_times_of_the_past() -> None:
    assert Times.of([]) is None
    assert Times.of([3.0]) == (3.0, 3.0)
    assert Times.of([float(n) for n in range(100)]) == (49.5, 95.0)
    assert [span(s) for s in (0.25, 41, 600, 9000)] == ["0.2 s", "41 s", "10 min", "2.5 h"]
    assert [clock(s) for s in (5, 312, 3912)] == ["0:05", "5:12", "1:05:12"]


def test_where_a_batch_stands() -> None:
    counts = {Status.FINISHED: 3, Status.FAILED: 1, Status.RUNNING: 2, Status.SUBMITTED: 1, Status.CANCELLED: 1}
    found = Standing("0123456789", 12, counts, retries=2, eta=312.0)
    assert (found.left, found.open, found.under_way, found.waiting) == (8, 7, 2, 1)
    assert str(found).startswith("batch 01234567  ████████")
    assert str(found).endswith("4/12  ok 3 · failed 1 · cancelled 1 · retries 2 · 2 running   eta 5:12")
    assert Pace(10).eta(10) is None
    assert (Pace(10).eta(5) or -1) >= 0
    assert str(Standing("x", 0, {})).endswith("0/0  ok 0 · 0 running")


# ---------------------------------------------------------------- causes
BEGIN = "Traceback (most recent call last):\n"
TRACEBACK = """\
reading
Traceback (most recent call last):
  File "/app/program/score.py", line 9, in <module>
    main()
Traceback (most recent call last):
  File "/app/program/score.py", line 31, in main
    value = answers["label"]
            ~~~~~~~^^^^^^^^^
  File "/usr/lib/python3.12/site-packages/pandas/core.py", line 4000, in __getitem__
    raise KeyError(key)
KeyError: 'label'
bye
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRACEBACK, "KeyError: 'label' in score.py:31"),
        (TRACEBACK.replace("KeyError: 'label'", "KeyboardInterrupt"), "KeyboardInterrupt in score.py:31"),
        (f'{BEGIN}  File "<string>", line 1\nSyntaxError: x\n', "SyntaxError: x in <string>:1"),
        (
            BEGIN
            + r"""  File "C:\runs\7f\scorer\main.py", line 3, in <module>
lib.Trouble: a: b""",
            "lib.Trouble: a: b in main.py:3",
        ),
        (BEGIN, None),
        ("all is well\n", None),
        ("", None),
    ],
)
def test_the_last_traceback(text: str, said: str | None) -> None:
    found = last_traceback(text)
    assert (found and str(found)) == said


# ---------------------------------------------------------------- Ctrl-C
def test_ctrl_c_is_counted_and_a_third_one_interrupts() -> None:
    heard: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    with interruptions(heard.append) as hands:
        assert not hands.draining
        os.kill(os.getpid(), signal.SIGINT)
        assert hands.draining
        assert not hands.cancelling
        os.kill(os.getpid(), signal.SIGINT)
        assert hands.cancelling
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert heard == [1, 2]
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_leaves_ctrl_c_alone() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with interruptions(lambda count: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
