"""Placeholders, words of commands, places (contract.md 4.6 and 4.8 with the Decisions and Rulings)."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from run_maker import plan, program, task

from codabench.core.errors import UsageError
from codabench.core.policy import Policy, policy_named
from codabench.runner.contract import PLACES, command_line, log_name, placeholders
from codabench.runner.layout import mounts_of

ROLES = [("prediction", "program"), ("prediction", "ingestion"), ("scoring", "program"), ("scoring", "ingestion")]
MEANING = {
    # name: submission, ingestion in prediction, scorer, ingestion in scoring
    "program": ("/app/program",) * 4,
    "ingestion_program": ("/app/program",) * 4,
    "input": ("/app/input_data", "/app/input_data", "/app/input", "/app/input_data"),
    "output": ("/app/output",) * 4,
    "hidden": ("/app/input/ref",) * 4,
    "shared": ("/app/shared",) * 4,
    "submission_program": ("/app/program", "/app/ingested_program", "/app/ingested_program", "/app/ingested_program"),
    "tmp": ("/app/output",) * 4,
    "predictions": ("/app/output", "/app/output", "/app/input/res", "/app/input/res"),
}


@pytest.mark.parametrize(("number", "who"), list(enumerate(ROLES)))
def test_what_each_name_stands_for(number: int, who: tuple[Any, Any]) -> None:
    assert placeholders(*who) == {name: paths[number] for name, paths in MEANING.items()}


def words(command: str, step: Any = "prediction", role: Any = "ingestion") -> list[str]:
    return list(command_line(command, step, role))


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python3 $program/echo.py", ["python3", "/app/program/echo.py"]),
        ("x --data=$input", ["x", "--data=/app/input_data"]),
        ("x $input/sub $output.d", ["x", "/app/input_data/sub", "/app/output.d"]),
        ("x 'two $input words'", ["x", "two /app/input_data words"]),
        ('x "$input"', ["x", "/app/input_data"]),
        ("x $input_data $output_dir $inputs", ["x", "$input_data", "$output_dir", "$inputs"]),
        ("x $OUTPUT $$ $ $1 ${input}", ["x", "$OUTPUT", "$$", "$", "$1", "${input}"]),
        ("x $$input", ["x", "$/app/input_data"]),
        ("x $input:$output", ["x", "/app/input_data:/app/output"]),
        ("x $input$output", ["x", "/app/input_data/app/output"]),
        ("x a&&b | c > $output/f", ["x", "a&&b", "|", "c", ">", "/app/output/f"]),
        ("x # no comment", ["x", "#", "no", "comment"]),
        ("x ''", ["x", ""]),
        ('x a\\ b "c\'d"', ["x", "a b", "c'd"]),
        ("  x\t-y\n", ["x", "-y"]),
        ("x é$inputé", ["x", "é/app/input_dataé"]),
        ("x $submission_program $ingestion_program", ["x", "/app/ingested_program", "/app/program"]),
    ],
)
def test_words_of_a_command(command: str, expected: list[str]) -> None:
    assert words(command) == expected


def test_the_scorers_own_line() -> None:
    command = "python3 $program/judge.py --in=$input --pred=$predictions --hidden=$hidden $input/res:$input/ref"
    assert words(command, "scoring", "program") == [
        "python3",
        "/app/program/judge.py",
        "--in=/app/input",
        "--pred=/app/input/res",
        "--hidden=/app/input/ref",
        "/app/input/res:/app/input/ref",
    ]


@pytest.mark.parametrize("command", ["", "   ", "python3 'x", 'a "b', "x \\", "a\0b"])
def test_what_is_no_command(command: str) -> None:
    with pytest.raises(UsageError) as caught:
        words(command)
    assert caught.value.code == "CB405"


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="$\0", exclude_categories=["Cs"])), min_size=1))
def test_text_without_placeholders_passes_unchanged(parts: list[str]) -> None:
    assert words(shlex.join(parts)) == parts


@given(st.lists(st.sampled_from(["$input", "$", "$program", "x", " ", "/", "$nothing", "é"]), min_size=1).map("".join))
def test_substitution_is_done_once(text: str) -> None:
    once = words(shlex.quote(text))[0]
    assert words(shlex.quote(once))[0] == once


def test_names_of_logs() -> None:
    assert [log_name(*who, "stderr") for who in ROLES] == [  # type: ignore[arg-type]
        "prediction_stderr",
        "prediction_ingestion_stderr",
        "scoring_stderr",
        "scoring_ingestion_stderr",
    ]


def seen(step: Any, role: Any, policy: Policy | None = None, **of: Any) -> dict[str, bool]:
    made = plan(task(ingestion=program("python3 i.py"), **of), policy=policy or Policy())
    return {place.target: writable for place, writable in mounts_of(made, step, role)}


def test_what_the_submission_and_ingestion_see() -> None:
    both = {"/app/program": True, "/app/output": True, "/app/shared": True, "/app/input_data": False}
    assert seen("prediction", "program") == both
    assert seen("prediction", "ingestion") == {**both, "/app/ingested_program": True}


def test_what_the_scorer_sees() -> None:
    own = {"/app/program": True, "/app/output": True, "/app/shared": True, "/app/input": True, "/app/input/ref": False}
    assert seen("scoring", "program") == own
    assert seen("scoring", "program", during=True) == {**own, "/app/input_data": False}


@pytest.mark.parametrize("during", [False, True])
def test_reference_data_reach_the_scorer_only(during: bool) -> None:
    for step, role in ROLES[:2] + ROLES[3:]:
        assert not any(target.startswith("/app/input/") for target in seen(step, role, during=during))


def test_ingestion_during_scoring_writes_nothing_that_the_scorer_trusts() -> None:
    own = {place.host for place in PLACES["scoring", "program"]}
    its = {place.host for place in PLACES["scoring", "ingestion"]}
    assert own & its == {"scoring_shared"}


def test_policies_change_what_is_writable() -> None:
    assert not seen("prediction", "program", policy_named("strict"))["/app/program"]
    assert seen("scoring", "program", policy_named("trusted"))["/app/input/ref"]


def test_data_that_a_task_lacks_is_not_mounted() -> None:
    made = plan()
    bare = made.model_copy(update={"trees": {"submission": made.trees["submission"]}})
    targets = [place.target for place, _ in mounts_of(bare, "scoring", "program")]
    assert targets == ["/app/program", "/app/output", "/app/shared", "/app/input"]
