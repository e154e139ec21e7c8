"""The plan of a run that is about to be carried out, from what the workspace keeps."""

from __future__ import annotations

from codabench.core.records import Attempt, Run, Submission
from codabench.db.database import Database
from codabench.runner.inline import NAME as INLINE
from codabench.runner.plan import RunPlan, SubmissionFacts
from codabench.storage.store import Storage
from codabench.workspace.planning import make_plan, stored_parts, submission_facts
from codabench.workspace.revisions import task_of


class Plans:
    """Makes plans of runs."""

    def __init__(self, db: Database, storage: Storage) -> None:
        self._db, self._storage = db, storage
        self._facts: dict[str, SubmissionFacts] = {}

    def learn(self, submission: str, facts: SubmissionFacts) -> None:
        """Take what is known of a submission already, so that its archive is not opened again."""
        self._facts[submission] = facts

    def facts(self, submission: Submission) -> SubmissionFacts:
        """What the plan has to know of a submission."""
        facts = self._facts.get(submission.id)
        if facts is None:
            with self._storage.open_tree(submission.tree) as source:
                facts = self._facts[submission.id] = submission_facts(source)
        return facts

    def make(self, run: Run, attempt: Attempt) -> RunPlan:
        """The plan of an attempt at a run.

        Raises
        ------
        NotFound
            Something that the run needs is not stored.
        """
        submission = self._db.submission(run.submission)
        spec = self._db.competition(submission.competition)
        phase = spec.phases[submission.phase]
        task, stored = task_of(self._db, submission.competition, run)
        return make_plan(
            run=run.id,
            attempt=attempt,
            storage=self._storage,
            image=submission.options.image or spec.docker_image,
            options=submission.options,
            phase=phase,
            task=task,
            facts=self.facts(submission),
            trees={"submission": submission.tree, **stored_parts(task, stored, inline=run.backend == INLINE)},
            columns=spec.written,
            detailed_results=spec.enable_detailed_results,
        )
