"""What programs do that goes wrong elsewhere, or that a participant can turn against the organizer."""

from __future__ import annotations

from collections.abc import Iterator

from codabench.bundle.checks.python import Sight
from codabench.bundle.checks.sources import ProgramText
from codabench.bundle.checks.subject import Subject
from codabench.core.problems import Problem, Severity


def check_programs(subject: Subject) -> Iterator[Problem]:
    """One note for each program and each kind of thing it does."""
    seen = set()
    for role, programs in (("ingestion", subject.ingestion), ("scoring", subject.scoring)):
        for program in programs:
            if program.fetch and program.path not in seen:
                seen.add(program.path)
                yield _needs_network(role, program, *program.fetch)
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
