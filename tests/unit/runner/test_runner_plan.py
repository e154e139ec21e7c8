"""The decision table of contract.md 4.5, and digests of steps."""

from __future__ import annotations

from typing import Any

import pytest
from run_maker import IMAGE, plan, program, task, tree

from codabench.core.policy import Limits, Network, Policy, User
from codabench.core.records import StepName
from codabench.core.trees import TreeRef
from codabench.runner.description import describe
from codabench.runner.plan import SubmissionFacts
from codabench.runner.provenance import step_digest

INGESTION, MUTE = program("python3 ingest.py"), program()
PLAIN = SubmissionFacts()
DESCRIBED = SubmissionFacts(metadata="metadata")
WRAPPED = SubmissionFacts(wrapped_in="lessons")
MISTAKEN = SubmissionFacts(wrapped_in="mine", packed_wrongly=True)
OWN = SubmissionFacts(metadata="metadata.yaml", commands=("python3 model.py",))


@pytest.mark.parametrize(
    ("case", "facts", "ingestion", "during", "results_only", "prediction", "copied", "scoring", "warned"),
    [
        ("A", PLAIN, None, False, False, [], True, ["program"], []),
        ("B", PLAIN, INGESTION, False, False, ["ingestion"], True, ["program"], []),
        ("C", DESCRIBED, INGESTION, False, False, ["ingestion"], False, ["program"], []),
        ("D", DESCRIBED, None, False, False, [], True, ["program"], ["CB621"]),
        ("E", OWN, None, False, False, ["program"], False, ["program"], []),
        ("F", OWN, INGESTION, False, False, ["program", "ingestion"], False, ["program"], []),
        ("G as A", PLAIN, INGESTION, True, False, [], True, ["program", "ingestion"], []),
        ("G as D", DESCRIBED, INGESTION, True, False, [], True, ["program", "ingestion"], []),
        ("G as E", OWN, INGESTION, True, False, ["program"], False, ["program", "ingestion"], []),
        ("B, mute", PLAIN, MUTE, False, False, [], True, ["program"], ["CB402"]),
        ("C, mute", DESCRIBED, MUTE, False, False, [], False, ["program"], ["CB402"]),
        ("G, mute", PLAIN, MUTE, True, False, [], True, ["program"], ["CB402"]),
        ("A, wrapped", WRAPPED, None, False, False, [], True, ["program"], []),
        ("A, wrapped by mistake", MISTAKEN, None, False, False, [], True, ["program"], ["CB622"]),
        ("results", PLAIN, None, False, True, [], True, ["program"], []),
        ("results of code", OWN, INGESTION, False, True, [], True, ["program"], []),
        ("results, described", DESCRIBED, None, False, True, [], True, ["program"], []),
        ("results, during", OWN, INGESTION, True, True, [], True, ["program", "ingestion"], []),
    ],
)
def test_what_runs(
    case: str,
    facts: SubmissionFacts,
    ingestion: Any,
    during: bool,
    results_only: bool,
    prediction: list[str],
    copied: bool,
    scoring: list[str],
    warned: list[str],
) -> None:
    made = plan(task(ingestion=ingestion, during=during), facts, results_only=results_only)
    first, second = made.steps
    assert [p.role for p in first.programs] == prediction
    assert first.copy_submission == copied
    assert [p.role for p in second.programs] == scoring
    assert [w.code for w in made.warnings] == warned
    assert made.during_scoring == ("ingestion" in scoring)
    assert not second.copy_submission


def test_a_task_without_a_scoring_program_that_can_run() -> None:
    for scoring in (None, MUTE):
        assert plan(task(scoring=scoring)).step("scoring").program("program") is None


def test_lists_of_commands_stay_lists() -> None:
    facts = SubmissionFacts(metadata="metadata", commands=("a", "b"))
    own = plan(facts=facts).step("prediction").program("program")
    assert own is not None
    assert own.commands == ("a", "b")


def test_a_plan_is_json() -> None:
    made = plan(task(ingestion=INGESTION), OWN)
    assert type(made).model_validate_json(made.model_dump_json()) == made


def test_a_plan_for_people() -> None:
    shown = describe(plan(task(ingestion=INGESTION), OWN, policy=Policy(network=Network.OPEN)))
    assert (shown["image"], shown["network"], shown["time_limit"]) == ("python:3", "open", 5)
    roles = [[p["role"] for p in step["programs"]] for step in shown["steps"]]
    assert roles == [["program", "ingestion"], ["program"]]
    mounts = shown["steps"][1]["programs"][0]["mounts"]
    assert {"target": "/app/input/ref", "from": "reference_data", "writable": False} in mounts


def digest(step: StepName = "scoring", predictions: TreeRef | None = None, resolved: Any = IMAGE, **more: Any) -> str:
    return step_digest(plan(task(ingestion=INGESTION), OWN, **more), step, resolved, "docker", predictions)


@pytest.mark.parametrize("step", ["prediction", "scoring"])
@pytest.mark.parametrize(
    "change",
    [
        {"run": "other", "attempt": "other", "token": "other"},
        {"time_limit": 99},
        {"policy": Policy(limits=Limits(memory=1 << 30, cpus=1, pids=7))},
        {"policy": Policy(log_keep=5)},
        {"columns": ("other",)},
        {"keep": True, "storage": "memory://y", "cache": "/c"},
        {"image": "the-same-by-another-name"},
        {"resolved": IMAGE.model_copy(update={"id": "sha256:cc", "name": "n"})},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_change_the_digest_of_a_step(step: StepName, change: dict[str, Any]) -> None:
    assert digest(step) == digest(step, **change)


def trees(**changed: str) -> dict[str, TreeRef]:
    names = ["submission", "scoring_program", "input_data", "reference_data", "ingestion_program"]
    return {n: tree(changed.get(n, n)) for n in names}


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("both", "network", {"policy": Policy(network=Network.OPEN)}),
    ("both", "user", {"policy": Policy(user=User.IMAGE)}),
    ("both", "gpus", {"policy": Policy(gpus="all")}),
    ("both", "writable", {"policy": Policy(writable_program=False)}),
    ("both", "image", {"resolved": IMAGE.model_copy(update={"digest": "sha256:cc"})}),
    ("both", "platform", {"resolved": IMAGE.model_copy(update={"platform": "linux/arm64"})}),
    ("both", "submission", {"trees": trees(submission="x")}),
    ("prediction", "ingestion", {"trees": trees(ingestion_program="x")}),
    ("prediction", "input", {"trees": trees(input_data="x")}),
    ("scoring", "scorer", {"trees": trees(scoring_program="x")}),
    ("scoring", "reference", {"trees": trees(reference_data="x")}),
    ("scoring", "predictions", {"predictions": tree("other")}),
]


@pytest.mark.parametrize(("steps", "name", "change"), CHANGES, ids=[name for _, name, _ in CHANGES])
def test_what_changes_the_digest_of_a_step(steps: str, name: str, change: dict[str, Any]) -> None:
    for step in ("prediction", "scoring"):
        same = digest(step) == digest(step, **change)  # type: ignore[arg-type]
        assert same == (steps not in (step, "both"))


def test_commands_and_the_copy_change_the_digest() -> None:
    def of(*args: Any, **more: Any) -> str:
        return step_digest(plan(*args, **more), "prediction", IMAGE, "docker")

    made = [
        of(task(), OWN),
        of(task(), SubmissionFacts(metadata="metadata", commands=("python3 other.py",))),
        of(task(), PLAIN),
        of(task(ingestion=INGESTION), PLAIN),
        of(task(ingestion=INGESTION), DESCRIBED),
        of(task(ingestion=INGESTION), OWN),
    ]
    assert len(set(made)) == len(made)


def test_an_image_without_a_digest_belongs_to_its_engine() -> None:
    image = IMAGE.model_copy(update={"digest": None})
    made = plan()
    assert step_digest(made, "scoring", image, "docker") != step_digest(made, "scoring", image, "podman")
    assert step_digest(made, "scoring", IMAGE, "docker") == step_digest(made, "scoring", IMAGE, "podman")
