"""What programs do that goes wrong elsewhere, or that a participant can turn against the organizer."""

from __future__ import annotations

from collections.abc import Iterator

from codabench.bundle.checks.python import Sight
from codabench.bundle.checks.sources import ProgramText
from codabench.bundle.checks.subject import Subject
from codabench.bundle.fields import shorten
from codabench.core.problems import Problem, Severity
from codabench.core.text import did_you_mean


def check_programs(subject: Subject) -> Iterator[Problem]:
    """One note for each program and each kind of thing it does."""
    seen: set[object] = set()
    for role, programs in (("ingestion", subject.ingestion), ("scoring", subject.scoring)):
        for program in programs:
            if program.fetch and program.path not in seen:
                seen.add(program.path)
                yield _needs_network(role, program, *program.fetch)
            if program.absent and (program.path, "") not in seen:
                seen.add((program.path, ""))
                yield _starts_nothing(subject, role, program, program.absent)
    for program in subject.scoring:
        yield from _trusts_results(program)


def _needs_network(role: str, program: ProgramText, file: str, sight: Sight) -> Problem:
    return Problem(
        code="CB506",
        severity=Severity.NOTE,
        message=f"the {role} program installs or downloads something when it runs ({sight.what}): "
        "the network is off by default",
        where=program.place(file, sight),
        hint="put it into the image or the bundle; or run with the network on",
    )


def _starts_nothing(subject: Subject, role: str, program: ProgramText, script: str) -> Problem:
    near = did_you_mean(script, program.texts)
    return Problem(
        code="CB511",
        severity=Severity.WARNING,
        message=f"the {role} program will not start: its command runs {shorten(script)}, which is not in it",
        where=subject.place_of(f"{role}_program", program.path),
        hint=f"did you mean {shorten(near)}?" if near else "put it into the program, or correct the command",
    )


def _trusts_results(program: ProgramText) -> Iterator[Problem]:
    imports = next(((name, f.imports_results) for name, f in program.facts.items() if f.imports_results), None)
    if imports and imports[1]:
        yield Problem(
            code="CB507",
            severity=Severity.NOTE,
            message="the scoring program imports from the predictions: what a participant wrote runs beside the "
            "reference data",
            where=program.place(imports[0], imports[1]),
            hint="let predictions be data (CSV, JSON, .npy), and run code in the ingestion program",
        )
    pickles = next(((name, f.unpickles) for name, f in program.facts.items() if f.unpickles), None)
    if pickles and pickles[1]:
        yield Problem(
            code="CB508",
            severity=Severity.NOTE,
            message=f"the scoring program unpickles ({pickles[1].what}): a pickle of a participant can run anything "
            "beside the reference data",
            where=program.place(*pickles),
            hint="read predictions from CSV, JSON or .npy without pickles",
        )
