"""A competition defined in Python as a bundle for others, proved by running a submission from it."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codabench.bundle.defined.bundle import DefinedBundle
from codabench.bundle.defined.data import made
from codabench.bundle.load import Bundle
from codabench.bundle.writer import save_bundle
from codabench.core.base import Record
from codabench.core.errors import BundleError, UsageError
from codabench.core.records import Status
from codabench.core.report import Report, render_problem
from codabench.core.text import human_size, plural, preformatted, printable
from codabench.storage.sources import remove_tree
from codabench.workspace.handles import SubmissionHandle
from codabench.workspace.inline import all_functions
from codabench.workspace.planning import is_object, offered

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition

TOLERANCE = 1e-9
"""Absolute and relative: scores are compared as numbers, not as text."""


class Packed(Record):
    """What `Competition.pack` wrote, and how it was proved.

    Attributes
    ----------
    files, size
        Number of files, and bytes of the zip or of all files.
    report
        What was lost or changed on the way.
    verified
        Where a submission was run from the bundle; None: nowhere.
    scores
        What it scored there: task -> column -> value.
    compared
        Whether the same functions gave the same scores in this process.
    """

    path: Path
    files: int
    size: int
    report: Report
    verified: str | None = None
    scores: dict[str, dict[str, float]] = {}
    compared: bool = False

    def __repr__(self) -> str:
        lines = [f"✓ packed {printable(str(self.path))}   {plural(self.files, 'file')}, {human_size(self.size)}"]
        lines += [f"  {line}" for problem in self.report for line in render_problem(problem).splitlines()]
        said = "  read back and compared equal"
        if self.verified:
            scored = "; ".join(
                " ".join([f"{printable(task)}:", *(f"{key} {value:g}" for key, value in scores.items())])
                for task, scores in self.scores.items()
            )
            said += f" · a submission ran in {self.verified}: {scored}"
            said += ", as in this process" if self.compared else ""
        return "\n".join([*lines, said])

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return preformatted(repr(self), "cb-packed")


def pack(
    bundle: Bundle,
    dest: str | os.PathLike[str],
    *,
    verify: Any = None,
    submission: Any = None,
    **options: Any,
) -> Packed:
    """See `Competition.pack`."""
    if not isinstance(bundle, DefinedBundle):
        raise UsageError("only a competition that is defined in Python is packed", code="CB320", hint="use save")
    if submission is not None and not is_object(submission):
        bundle = _with_kit(bundle, submission)
    scores: dict[str, dict[str, float]] = {}
    compared = False
    if verify is not None:
        scores, compared = _verified(bundle, submission, verify, options)
    report = save_bundle(bundle, dest)
    place = Path(dest).expanduser()
    written = [place] if place.is_file() else [item for item in place.rglob("*") if item.is_file()]
    return Packed(
        path=place,
        files=report.files,
        size=sum(item.stat().st_size for item in written),
        report=report,
        verified=None if verify is None else _named(verify),
        scores=scores,
        compared=compared,
    )


def _with_kit(bundle: DefinedBundle, submission: Any) -> DefinedBundle:
    """The competition with the sample submission in the starting kit of phases that have none."""
    given = bundle.definition
    if given.starting_kit is not None:
        return bundle
    kit = made("starting kit", {}, {"sample_submission": offered(submission)})
    return DefinedBundle(given.model_copy(update={"starting_kit": kit}))


def _chosen(competition: Competition, submission: Any) -> Any:
    """What is run: the submission that was given, else the first solution."""
    if submission is not None:
        return submission
    if not competition.solutions:
        hint = 'pack("x.zip", verify="docker", submission="sample/"), or solutions=[...] in the competition'
        raise UsageError("there is no submission to verify with", code="CB320", hint=hint)
    return competition.solutions[0]


def _verified(
    bundle: DefinedBundle, submission: Any, verify: Any, options: dict[str, Any]
) -> tuple[dict[str, dict[str, float]], bool]:
    """The scores of a submission, run from the written bundle, and whether they were compared with those of here."""
    from codabench.workspace.competition import Competition
    from codabench.workspace.loading import load

    work = Path(tempfile.mkdtemp(prefix="codabench-"))
    try:
        save_bundle(bundle, work / "bundle.zip")
        with load(work / "bundle.zip") as packed:
            run = packed.run(_chosen(packed, submission), backend=verify, progress="none", **options)
            there = _scores(run, _named(verify))
    finally:
        remove_tree(work)
    here = Competition(DefinedBundle(bundle.definition))
    with here:
        if not all_functions(here):
            return there, False
        given = {key: options[key] for key in ("phase", "task") if key in options}
        called = here.run(_chosen(here, submission), backend="inline", progress="none", **given)
        expected = _scores(called, "this process")
    _compare(there, expected, _named(verify))
    return there, True


def _scores(handle: SubmissionHandle, where: str) -> dict[str, dict[str, float]]:
    for task, run in zip(handle.tasks, handle.runs, strict=True):
        if run.status is not Status.FINISHED:
            why = render_problem(run.problem) if run.problem else run.status.value
            message = f"the submission to verify with did not finish in {where}, in task {task.name!r}\n{why}"
            raise BundleError(message, code="CB325", hint="give a submission that works, or mend the program")
    return {task.name: run.scores for task, run in zip(handle.tasks, handle.runs, strict=True)}


def _compare(there: Mapping[str, Mapping[str, float]], here: Mapping[str, Mapping[str, float]], where: str) -> None:
    said = []
    for task, scores in here.items():
        for key in dict.fromkeys((*scores, *there[task])):
            ours, theirs = scores.get(key), there[task].get(key)
            equal = ours is not None and theirs is not None
            if equal and math.isclose(ours or 0.0, theirs or 0.0, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                continue
            said.append(f"task {task!r}: {key} is {theirs!r} in {where} and {ours!r} in this process")
    if said:
        hint = "fix seeds and versions; a function must depend on nothing but its io"
        raise BundleError(f"the packed programs score otherwise: {'; '.join(said)}", code="CB325", hint=hint)


def _named(verify: Any) -> str:
    return verify if isinstance(verify, str) else str(getattr(verify, "name", type(verify).__name__))
