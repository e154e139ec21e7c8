"""The plan of a run that is about to be carried out, from what the workspace keeps."""

from __future__ import annotations

from codabench.core.records import Attempt, Run, Submission
from codabench.db.database import Database
from codabench.runner.expected import Expectation
from codabench.runner.inline import NAME as INLINE
from codabench.runner.plan import RunPlan, SubmissionFacts
from codabench.runner.reuse import ReuseMode
from codabench.storage.store import Storage
from codabench.workspace.planning import make_plan, stored_parts, submission_facts
from codabench.workspace.reusing import find_reusable, known_facts
from codabench.workspace.revisions import task_of


class Plans:
    """Makes plans of runs."""

    def __init__(self, db: Database, storage: Storage) -> None:
        self._db, self._storage = db, storage
        self._facts: dict[str, SubmissionFacts] = {}
        self._modes: dict[str, ReuseMode] = {}

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
        before = self._before(run)
        plan = make_plan(
            run=run.id,
            attempt=attempt,
            storage=self._storage,
            image=submission.options.image or spec.docker_image,
            options=submission.options,
            phase=phase,
            task=task,
            facts=known_facts(before) or self.facts(submission),
            trees={"submission": submission.tree, **stored_parts(task, stored, inline=run.backend == INLINE)},
            columns=spec.written,
            detailed_results=spec.enable_detailed_results,
        )
        if not before or not plan.step("prediction").programs:
            return plan
        parts = {role: ref for role, ref in plan.trees.items() if role != "submission"}
        expected = Expectation(task, parts, results_only=phase.accepts_only_result_submissions)
        found = find_reusable(self._db, before, expected, image=plan.image, mode=self._mode(run.batch))
        return plan.model_copy(update={"reused": found})

    def _before(self, run: Run) -> list[Run]:
        """The runs that one of a re-evaluation may take a step from: those of its submission on its task that are over,
        the one that boards show first, then the newest. Other runs, as those of ``rerun``, execute everything."""
        if run.batch is None and not run.scoring_only:
            return []
        known = (r for r in reversed(self._db.runs_of(run.submission)) if r.task == run.task and r.id != run.id)
        return sorted((r for r in known if r.status.is_final), key=lambda r: not r.shown)

    def _mode(self, batch: str | None) -> ReuseMode:
        """What the plan of a re-evaluation says of reuse (``reuse``); it never changes."""
        if batch is None:
            return "same-submission"
        if batch not in self._modes:
            self._modes[batch] = self._db.batch(batch).plan.get("reuse", "same-submission")
        return self._modes[batch]
