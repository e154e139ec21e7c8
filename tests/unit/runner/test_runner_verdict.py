"""Whose fault it is, and what to do: the table of contract.md section 7."""

from __future__ import annotations

from typing import Any

import pytest
from run_maker import exited, log, plan, program, task

from codabench.core.policy import Limits, Network, Policy, policy_named
from codabench.core.problems import Fault, Problem, Severity
from codabench.core.records import Exit, ExitReason
from codabench.runner.plan import SubmissionFacts
from codabench.runner.verdict import (
    as_warning,
    exit_problem,
    no_scoring_program,
    unusable_command,
    wrapped_hint,
)

R = ExitReason
OWN, INGESTION = ("prediction", "program"), ("prediction", "ingestion")
SCORER, LATE = ("scoring", "program"), ("scoring", "ingestion")
IN_INGESTION = 'File "/app/program/ingest.py", line 1\nKeyError: 3'
IN_SUBMISSION = 'File "/app/program/i.py", line 1\n  File "/app/ingested_program/model.py", line 2\nKeyError: 3'
IMPORTING = "File \"/app/program/i.py\", line 1\nModuleNotFoundError: No module named 'model'"
ON_ANSWER = "FileNotFoundError: [Errno 2] No such file or directory: '/app/input/res/answer.csv'"
PARTICIPANT, ORGANIZER, OPERATOR = Fault.PARTICIPANT, Fault.ORGANIZER, Fault.OPERATOR


def found(who: tuple[Any, Any], end: Exit, stderr: str = "", policy: Policy | None = None) -> Problem:
    problem = exit_problem(plan(policy=policy or Policy()), *who, end, log(stderr, *who))
    assert problem is not None
    assert problem.severity is Severity.ERROR
    return problem


@pytest.mark.parametrize(
    ("who", "end", "stderr", "fault"),
    [
        (OWN, exited(1), "", PARTICIPANT),
        (OWN, Exit(reason=R.TIMEOUT), "", PARTICIPANT),
        (OWN, Exit(reason=R.OUT_OF_MEMORY), "", PARTICIPANT),
        (OWN, Exit(reason=R.NOT_STARTED, code=127), "", PARTICIPANT),
        (INGESTION, exited(1), IN_INGESTION, ORGANIZER),
        (INGESTION, exited(1), IN_SUBMISSION, PARTICIPANT),
        (INGESTION, exited(1), IMPORTING, PARTICIPANT),
        (INGESTION, exited(1), "", PARTICIPANT),
        (INGESTION, Exit(reason=R.TIMEOUT), "", PARTICIPANT),
        (INGESTION, Exit(reason=R.NOT_STARTED, code=127), "", ORGANIZER),
        (SCORER, exited(1), "ZeroDivisionError", ORGANIZER),
        (SCORER, exited(1), ON_ANSWER, PARTICIPANT),
        (SCORER, Exit(reason=R.TIMEOUT), "", ORGANIZER),
        (SCORER, Exit(reason=R.NOT_STARTED, code=126), "", ORGANIZER),
        (LATE, exited(1), IN_SUBMISSION, PARTICIPANT),
        *[(who, Exit(reason=R.CANCELLED), "", OPERATOR) for who in (OWN, INGESTION, SCORER, LATE)],
    ],
)
def test_whose_fault(who: tuple[str, str], end: Exit, stderr: str, fault: Fault) -> None:
    assert found(who, end, stderr).fault is fault


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        (exited(3), "CB612", "the submission's program exited with 3: last words"),
        (exited(139), "CB614", "ended by signal 11 (SIGSEGV) (exit code 139): last words"),
        (exited(128 + 99), "CB614", "ended by signal 99"),
        (
            Exit(reason=R.TIMEOUT),
            "CB610",
            "time limit exceeded in the prediction step: the limit was 5 seconds",
        ),
        (Exit(reason=R.OUT_OF_MEMORY), "CB611", "ran out of memory (the limit is 64.0 MiB)"),
        (Exit(reason=R.CANCELLED), "CB615", "was cancelled"),
        (Exit(reason=R.NOT_STARTED, code=127, detail="no\x1bpython"), "CB613", "(exit code 127): no\\x1bpython"),
    ],
)
def test_what_is_said(end: Exit, code: str, said: str) -> None:
    problem = found(OWN, end, "first\nlast words\n", Policy(limits=Limits(memory=64 << 20)))
    assert problem.code == code
    assert said in problem.message


def test_a_good_end_is_no_problem() -> None:
    assert exit_problem(plan(), "scoring", "program", exited(0), log()) is None


def test_last_words_are_bounded_and_printable() -> None:
    message = found(OWN, exited(1), "x" * 5000 + "\x1b[2J").message
    assert len(message) < 300
    assert message.isprintable()


@pytest.mark.parametrize(
    ("stderr", "policy", "hint"),
    [
        ("OSError: [Errno 101] Network is unreachable", Policy(), "--network open"),
        ("socket.gaierror: Temporary failure in name resolution", Policy(), "--network open"),
        ("Network is unreachable", Policy(network=Network.OPEN), None),
        ("OSError: [Errno 30] Read-only file system: 'x'", Policy(), "--policy trusted"),
        ("OSError: [Errno 30] Read-only file system: 'x'", policy_named("strict"), "--policy standard"),
        ("OSError: [Errno 30] Read-only file system: '/app/input/ref/x'", Policy(), "reference data read-only"),
        ("OSError: [Errno 30] Read-only file system: '/app/scores'", Policy(), "programs write to /app/output"),
        ("ModuleNotFoundError: No module named 'numpy'", Policy(), "'numpy' is neither in the image python:3"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/app/data/x.csv'", Policy(), "use input_data"),
        ("FileNotFoundError: [Errno 2] No such file or directory: '/app/database'", Policy(), None),
        ("nothing known", Policy(), None),
    ],
)
def test_hints_of_what_was_printed(stderr: str, policy: Policy, hint: str | None) -> None:
    found_hint = found(OWN, exited(1), stderr, policy).hint
    assert (found_hint is None) if hint is None else (hint in (found_hint or ""))


def test_what_pip_installed_meanwhile() -> None:
    printed = log("ModuleNotFoundError: No module named 'thing'")
    printed.write("stdout", b"Collecting thing\nSuccessfully installed thing-1.0\n")
    for policy, hint in ((Policy(), "--policy trusted"), (policy_named("trusted"), "neither in the image")):
        problem = exit_problem(plan(policy=policy), "prediction", "ingestion", exited(1), printed)
        assert problem is not None
        assert hint in (problem.hint or "")


def test_hints_of_how_it_ended() -> None:
    assert "--timeout" in (found(OWN, Exit(reason=R.TIMEOUT)).hint or "")
    assert "--memory" in (found(OWN, Exit(reason=R.OUT_OF_MEMORY)).hint or "")
    assert "--memory" in (found(OWN, exited(137)).hint or "")
    assert "without a shell" in (found(OWN, Exit(reason=R.NOT_STARTED, code=127)).hint or "")


def test_a_command_that_cannot_be_split_is_whose_metadata_it_is() -> None:
    own = SubmissionFacts(metadata="metadata", commands=("python3 'x",))
    assert unusable_command(plan(facts=SubmissionFacts(metadata="metadata", commands=("python3 x",)))) is None
    problem = unusable_command(plan(facts=own))
    assert problem is not None
    assert (problem.code, problem.fault) == ("CB405", PARTICIPANT)
    assert "the submission's program cannot be started" in problem.message
    for of in (task(ingestion=program('"')), task(scoring=program("a", "b 'c"))):
        problem = unusable_command(plan(of))
        assert problem is not None
        assert problem.fault is ORGANIZER


def test_what_a_scoring_program_lacks() -> None:
    assert "its metadata has no command" in no_scoring_program("metadata").message
    assert "no metadata file" in no_scoring_program(None).message
    assert no_scoring_program(None).fault is ORGANIZER


def test_the_same_finding_as_a_warning_and_with_a_hint() -> None:
    problem = found(INGESTION, exited(1))
    assert as_warning(problem, "scoring went on").severity is Severity.WARNING
    assert as_warning(problem, "scoring went on").message.endswith("; scoring went on")
    assert "'my solution'" in (wrapped_hint(problem, "my solution").hint or "")
