"""What the digests of a stored run's steps would be on a task as it is now: without a container, an archive or a plan.

Whoever looks over many runs asks one `Expectation` for all runs of a task. All it reads of a run is its provenance;
what the plan has to know of a submission is kept there under ``submission``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from codabench.backends.engine import Image
from codabench.core.competition import TaskSpec
from codabench.core.errors import UsageError
from codabench.core.policy import Policy
from codabench.core.records import StepName
from codabench.core.trees import TreeRef
from codabench.runner.plan import StepsPlan, SubmissionFacts, plan_steps
from codabench.runner.provenance import digest_of, step_text

_POLICY = ("network", "user", "writable_program", "writable_inputs", "gpus")
"""What of a policy decides what a step comes to; the names of local data besides."""


class _Texts(NamedTuple):
    prediction: str | None
    scoring: str


class Expectation:
    """The digests that `execute_run` would record for runs of one task, if image and worker are as they were.

    Parameters
    ----------
    trees
        The stored programs and data of the task, by role.
    results_only
        The phase accepts results only.

    Notes
    -----
    A tag may have been moved since, and a worker may grant something else. `execute_run` looks again, and carries a
    step out whose digest is not what was expected.
    """

    def __init__(self, task: TaskSpec, trees: Mapping[str, TreeRef], *, results_only: bool) -> None:
        self._task, self._trees, self._results_only = task, dict(trees), results_only
        self._known: dict[tuple[Any, ...], _Texts | None] = {}

    def prediction(self, provenance: Mapping[str, Any], *, image: str | None = None) -> str | None:
        """The digest of the prediction step; empty where nothing runs in it, and scoring starts from the submission.

        Parameters
        ----------
        provenance
            Of a run of any revision of the task, as its outcome has it.
        image
            The name of the image that the run would ask for; None: the one that it asked for then.

        Returns
        -------
        str or None
            None where it is not known: another image, a run that did not come far enough to say, or a command that
            cannot be split into words.
        """
        texts = self._texts(provenance, image)
        if texts is None:
            return None
        return digest_of(texts.prediction, provenance["trees"]["submission"], None) if texts.prediction else ""

    def scoring(
        self, provenance: Mapping[str, Any], predictions: str | None = None, *, image: str | None = None
    ) -> str | None:
        """The digest of the scoring step; None where it is not known.

        Parameters
        ----------
        predictions
            The digest of the tree that scoring would start from; None: the submission itself.
        """
        texts = self._texts(provenance, image)
        if texts is None:
            return None
        submission = provenance["trees"]["submission"]
        return digest_of(texts.scoring, submission, predictions or submission)

    def _texts(self, provenance: Mapping[str, Any], image: str | None) -> _Texts | None:
        found, policy, facts = provenance.get("image"), provenance.get("policy"), provenance.get("submission")
        if not found or not policy or facts is None or (image is not None and image != found["name"]):
            return None
        key = (
            provenance["engine"]["name"],
            *(found.get(field) for field in ("id", "digest", "platform")),
            *(policy[field] for field in _POLICY),
            *(policy["local_data"] or ()),
            facts["metadata"] is None,
            *facts["commands"],
        )
        if key not in self._known:
            self._known[key] = self._made(provenance)
        return self._known[key]

    def _made(self, provenance: Mapping[str, Any]) -> _Texts | None:
        image, engine = Image.model_validate(provenance["image"]), provenance["engine"]["name"]
        facts = SubmissionFacts.model_validate(provenance["submission"])
        steps, _ = plan_steps(self._task, facts, results_only=self._results_only)
        plan = StepsPlan(policy=Policy.model_validate(provenance["policy"]), trees=self._trees, steps=steps)

        def text(step: StepName) -> str:
            return step_text(plan, step, image, engine)

        try:
            return _Texts(text("prediction") if plan.step("prediction").programs else None, text("scoring"))
        except UsageError:  # a command that cannot be split into words: nothing of the run would start
            return None
