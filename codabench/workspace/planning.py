"""From what a bundle, a submission and its sender say to the plan of a run: pure, but for a look at the metadata."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from codabench.bundle.defined.data import made, tree_of
from codabench.bundle.metadata import METADATA, read_metadata
from codabench.bundle.v15_trees import without_wrapping
from codabench.core.competition import DataSpec, PhaseSpec, ProgramSpec, SolutionSpec, TaskSpec
from codabench.core.errors import NotFound
from codabench.core.records import Attempt, RunOptions
from codabench.core.text import file_name, printable
from codabench.core.trees import TreeRef
from codabench.runner.inline import NAME as INLINE
from codabench.runner.plan import RunPlan, SubmissionFacts, plan_steps
from codabench.storage.sources import TreeSource, open_source
from codabench.storage.store import Storage

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition

Submitted = Any
"""What can be submitted: a zip, a directory, a URL of one, a solution of the competition, a mapping of file names to
values, a tree that the storage of the workspace has; and, to functions, any object."""


def make_plan(
    *,
    run: str,
    attempt: Attempt,
    storage: Storage,
    image: str,
    options: RunOptions,
    phase: PhaseSpec,
    task: TaskSpec,
    facts: SubmissionFacts,
    trees: dict[str, TreeRef],
    columns: tuple[str, ...],
    detailed_results: bool,
) -> RunPlan:
    """The plan of a run from what bundle, submission and caller say: pure."""
    steps, warnings = plan_steps(task, facts, results_only=phase.accepts_only_result_submissions)
    return RunPlan(
        run=run,
        attempt=attempt.id,
        token=attempt.token,
        storage=storage.url,
        cache=str(storage.cache),
        image=image,
        pull=options.pull,
        platform=options.platform,
        policy=options.policy,
        time_limit=options.time_limit or phase.execution_time_limit,
        trees=trees,
        steps=steps,
        columns=columns,
        detailed_results=detailed_results,
        keep=options.keep,
        warnings=warnings,
        scorer_metadata=task.scoring_program.metadata if task.scoring_program else None,
        facts=facts,
    )


def stored_name(spec: DataSpec, *, inline: bool) -> str | None:
    """What the stored files of a program or data set are called; of a function there is its text."""
    return f"{spec.tree}#{INLINE}" if inline and isinstance(spec, ProgramSpec) else spec.tree


def stored_parts(task: TaskSpec, stored: dict[str, TreeRef], *, inline: bool = False) -> dict[str, TreeRef]:
    """The stored trees of a task by role; `NotFound` if one is not stored."""
    found = {}
    for role, spec in task.parts.items():
        name = stored_name(spec, inline=inline)
        if name is None or name not in stored:
            raise NotFound(f"the {role.replace('_', ' ')} of task {task.name!r} is not stored here", code="CB342")
        found[role] = stored[name]
    return found


def is_object(submission: object) -> bool:
    """Whether it is no path, no tree and no mapping of files: only ``backend="inline"`` takes it."""
    return not isinstance(submission, (str, os.PathLike, Mapping, SolutionSpec, TreeRef))


def offered(submission: Any) -> TreeSource:
    """The files of a submission: a path, a mapping of names to values, or an object, of which a line of text is kept.

    Raises
    ------
    BundleError, UsageError
        They cannot be read, or not be written.
    """
    if isinstance(submission, (str, os.PathLike)):
        return open_source(submission)
    if isinstance(submission, Mapping):
        return tree_of(submission, "the submission")
    text = f"{printable(repr(submission))[:2000]}\n"
    # A metadata file without a command: the text is for an ingestion program, and no result.
    files = {"object.txt": text.encode("utf-8", "replace"), "metadata.yaml": b"# an object of Python\n"}
    return made(name_of(submission), files)


@contextmanager
def opened_submission(competition: Competition, submission: Submitted) -> Iterator[TreeSource]:
    """The files of a submission, as a competition of that format takes them (contract.md 2.5).

    A solution of the competition is one, too: its files live as long as the competition.
    """
    if isinstance(submission, SolutionSpec):
        opened = competition.tree(submission)
    elif isinstance(submission, TreeRef):
        opened = competition.workspace.storage.open_tree(submission)
    else:
        opened = offered(submission)
    try:
        yield without_wrapping(opened) if competition.spec.format == "v1.5" else opened
    finally:
        if not isinstance(submission, SolutionSpec):
            opened.close()


def submission_facts(source: TreeSource) -> SubmissionFacts:
    """What the plan has to know of a submission: its metadata, its commands, whether one folder wraps everything."""
    metadata = read_metadata(source)
    tops = {e.path.split("/")[0] for e in source.entries() if not e.path.startswith("__MACOSX/")}
    only = tops.pop() if len(tops) == 1 else None
    wrapped = only if only is not None and source.is_dir(only) else None
    own_name = name_of(source.name).removesuffix(".zip")
    hidden = [wrapped for name in METADATA if source.is_file(f"{wrapped}/{name}")]
    return SubmissionFacts(
        metadata=metadata.file,
        commands=metadata.commands,
        wrapped_in=wrapped,
        packed_wrongly=wrapped is not None and (wrapped == own_name or bool(hidden)),
    )


def name_of(submission: Submitted) -> str:
    """What a submission is called: the last part of its path; a solution has a name of its own, an object a type."""
    if isinstance(submission, SolutionSpec):
        return submission.name or f"solution {submission.index}"
    if not isinstance(submission, (str, os.PathLike)):
        named = getattr(submission, "__name__", type(submission).__name__)
        return str(named) if is_object(submission) else "submission"
    last = re.split(r"[/\\]", os.fspath(submission).rstrip("/\\"))[-1]
    return file_name(last) or "submission"  # a database and JSON hold text
