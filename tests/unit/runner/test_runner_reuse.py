"""Which prediction steps are reused, and what the digests of stored runs would be on another revision."""

from __future__ import annotations

from typing import Any

import pytest
from run_maker import IMAGE, exited, plan, program, task, tree
from test_runner_plan import DESCRIBED, INGESTION, MUTE, OWN, PLAIN, WRAPPED

from codabench.backends.engine import EngineInfo, Image
from codabench.core.competition import TaskSpec
from codabench.core.policy import Limits, Network, Policy, User
from codabench.core.records import Exit, ExitReason, StepResult
from codabench.core.trees import TreeRef
from codabench.runner.expected import Expectation
from codabench.runner.plan import RunPlan, SubmissionFacts
from codabench.runner.provenance import provenance, step_digest
from codabench.runner.reuse import ReusedStep, reason_against

DONE = StepResult(name="prediction", digest="sha256:d", exits={"ingestion": exited(0)}, output=tree("out"))
TIMEOUT = Exit(reason=ExitReason.TIMEOUT)
OPEN, PROXY, DATA = Policy(network=Network.OPEN), Policy(network=Network.PROXY), Policy(local_data=("maps",))


@pytest.mark.parametrize(
    ("step", "asked", "why"),
    [
        ({}, {}, None),
        ({}, {"mode": "any"}, None),
        ({}, {"mode": "always"}, None),
        ({}, {"mode": "never"}, "reuse is off"),
        ({}, {"same_submission": False}, "of another submission"),
        ({}, {"same_submission": False, "mode": "any"}, None),
        ({}, {"same_submission": False, "mode": "always"}, "of another submission"),
        ({"exits": {"program": exited(0), "ingestion": exited(0)}}, {}, None),
        ({"exits": {"ingestion": exited(1)}}, {}, "did not exit with 0"),
        ({"exits": {"ingestion": exited(1)}}, {"mode": "always"}, "did not exit with 0"),
        ({"exits": {"program": exited(0), "ingestion": exited(1)}}, {}, "did not exit with 0"),
        ({"exits": {"program": TIMEOUT}}, {}, "did not exit with 0"),
        ({"exits": {}}, {}, "did not exit with 0"),
        ({"exits": {}, "skipped": True}, {}, "nothing ran"),
        ({"output": None}, {}, "was not kept"),
        ({"output": None}, {"mode": "always"}, "was not kept"),
        ({}, {"policy": OPEN}, "may use the network"),
        ({}, {"policy": PROXY}, "may use the network"),
        ({}, {"policy": OPEN, "mode": "any"}, "may use the network"),
        ({}, {"policy": OPEN, "mode": "always"}, None),
        ({}, {"policy": DATA}, "data of the worker"),
        ({}, {"policy": DATA, "mode": "any"}, "data of the worker"),
        ({}, {"policy": DATA, "mode": "always"}, None),
        ({}, {"digest": "sha256:e"}, "not the same any more"),
        ({}, {"digest": "sha256:e", "mode": "always"}, "not the same any more"),
        ({"digest": ""}, {}, "not the same any more"),
    ],
)
def test_when_a_step_is_reused(step: dict[str, Any], asked: dict[str, Any], why: str | None) -> None:
    given = {"digest": "sha256:d", "policy": Policy(), "mode": "same-submission", **asked}
    found = reason_against(DONE.model_copy(update=step), **given)
    assert found is None if why is None else found is not None and why in found


def test_a_step_that_was_reused_is_still_that_of_the_attempt_that_carried_it_out() -> None:
    first = ReusedStep(attempt="one", step=DONE).taken()
    assert (first.reused_from, first.digest, first.exits) == ("one", DONE.digest, DONE.exits)
    assert ReusedStep(attempt="two", step=first).taken().reused_from == "one"


# ---------------------------------------------------------------------- what is expected
INFO = EngineInfo(name="docker", version="29")
PREDICTIONS = tree("predictions")


def recorded(made: RunPlan, image: Image = IMAGE, engine: str = "docker") -> dict[str, Any]:
    """The provenance of a run of that plan, with the digests that it would record."""
    info = INFO.model_copy(update={"name": engine})
    steps = []
    if made.step("prediction").programs:
        digest = step_digest(made, "prediction", image, engine)
        steps.append(StepResult(name="prediction", digest=digest, output=PREDICTIONS))
    start = PREDICTIONS if steps else made.trees["submission"]
    steps.append(StepResult(name="scoring", digest=step_digest(made, "scoring", image, engine, start)))
    return provenance(made, image, info, steps, "x86_64", asked=Policy())


def expected(of: TaskSpec, made: RunPlan, *, results_only: bool = False, **changed: TreeRef) -> Expectation:
    trees = {role: ref for role, ref in made.trees.items() if role != "submission"}
    return Expectation(of, {**trees, **changed}, results_only=results_only)


def digests(expectation: Expectation, kept: dict[str, Any], **more: Any) -> dict[str, str]:
    prediction = expectation.prediction(kept, **more)
    start = PREDICTIONS.digest if prediction else None
    found = {"prediction": prediction, "scoring": expectation.scoring(kept, start, **more)}
    return {name: digest for name, digest in found.items() if digest}


FACTS = [PLAIN, DESCRIBED, OWN, WRAPPED, SubmissionFacts(metadata="metadata", commands=("a 'b c'", "d $input"))]
POLICIES = [
    Policy(),
    Policy(name="strict", writable_program=False),
    Policy(network=Network.OPEN, user=User.IMAGE, gpus="all", writable_inputs=True, local_data=("maps", "roads")),
    Policy(limits=Limits(memory=1 << 30), log_keep=5),
]
IMAGES = [(IMAGE, "docker"), (IMAGE, "podman"), (IMAGE.model_copy(update={"digest": None}), "podman")]


@pytest.mark.parametrize("results_only", [False, True])
@pytest.mark.parametrize("during", [False, True])
@pytest.mark.parametrize("ingestion", [None, INGESTION, MUTE], ids=["none", "ingestion", "mute"])
@pytest.mark.parametrize("facts", FACTS, ids=["plain", "described", "own", "wrapped", "two"])
def test_where_nothing_changed_the_digests_are_those_that_were_recorded(
    facts: SubmissionFacts, ingestion: Any, during: bool, results_only: bool
) -> None:
    of = task(ingestion=ingestion, during=during)
    for policy in POLICIES:
        made = plan(of, facts, results_only=results_only, policy=policy)
        same = expected(of, made, results_only=results_only)
        for image, engine in IMAGES:
            kept = recorded(made, image, engine)
            assert digests(same, kept) == kept["steps"]
            assert digests(same, kept, image=image.name) == kept["steps"]
            assert digests(same, kept, image="another:1") == {}


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({}, {"prediction", "scoring"}),
        ({"scoring_program": tree("new")}, {"prediction"}),
        ({"reference_data": tree("new")}, {"prediction"}),
        ({"ingestion_program": tree("new")}, {"scoring"}),  # as far as the same predictions come of it
        ({"input_data": tree("new")}, {"scoring"}),
    ],
)
def test_what_changed_decides_what_is_expected_to_change(changed: dict[str, TreeRef], same: set[str]) -> None:
    of = task(ingestion=INGESTION)
    made = plan(of, PLAIN)
    kept, found = recorded(made), expected(of, made, **changed)
    assert {name for name, digest in digests(found, kept).items() if digest == kept["steps"][name]} == same


def test_a_command_that_changed_and_one_that_cannot_be_split() -> None:
    made = plan(task(ingestion=INGESTION), PLAIN)
    kept = recorded(made)
    other = expected(task(ingestion=INGESTION, scoring=program("python3 new.py")), made)
    assert other.prediction(kept) == kept["steps"]["prediction"]
    assert other.scoring(kept, PREDICTIONS.digest) != kept["steps"]["scoring"]
    broken = expected(task(ingestion=INGESTION, scoring=program("python3 'new.py")), made)
    assert broken.prediction(kept) is broken.scoring(kept) is None


def test_one_expectation_tells_submissions_apart() -> None:
    of = task(ingestion=INGESTION)
    found = None
    for facts in FACTS:
        for submission in ("one", "two"):
            made = plan(of, facts)
            made = made.model_copy(update={"trees": {**made.trees, "submission": tree(submission)}})
            found = found or expected(of, made)
            kept = recorded(made)
            assert digests(found, kept) == kept["steps"]


def test_of_a_run_that_the_machine_failed_nothing_is_expected() -> None:
    of = task()
    assert expected(of, plan(of)).prediction({}) is None
