"""What has to be done so that the score of a stored run is that of the newest revision: pure decisions.

A step is the same if its digest is. The policy that held is taken from the record of the run; programs, data and
commands from the task as it is now.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from codabench.core.competition import TaskSpec
from codabench.core.policy import Policy
from codabench.core.records import Status, StepName, StepResult
from codabench.core.trees import TreeRef
from codabench.runner.contract import CONTRACT_VERSION
from codabench.runner.expected import Expectation
from codabench.runner.inline import NAME as INLINE
from codabench.runner.plan import SubmissionFacts, plan_steps
from codabench.runner.reuse import ReuseMode, reason_against

Action = Literal["score", "full", "current", "impossible"]
"""Score only; prediction and scoring; nothing, it is up to date; it cannot be done."""


class Target(NamedTuple):
    """A task as it is now: its newest revision, its spec, its stored trees by role."""

    revision: int
    task: TaskSpec
    trees: dict[str, TreeRef]


class Past(NamedTuple):
    """What is on record of a run.

    Attributes
    ----------
    steps
        By name, as its outcome has them.
    provenance
        With the image that the run would have now; empty if it did not come so far.
    image
        Why that is not the image that it had; empty if it is.
    problem
        The code of what made it fail.
    """

    status: Status
    revision: int
    steps: dict[StepName, dict[str, Any]]
    provenance: dict[str, Any]
    image: str = ""
    problem: str | None = None


class Judgement(NamedTuple):
    """What has to be done with a run, why, and in how many containers for each step.

    Attributes
    ----------
    reuses
        Scoring starts from the predictions of the run on record, not from the submission.
    """

    action: Action
    reason: str
    prediction: int = 0
    scoring: int = 0
    reuses: bool = False


CURRENT = Judgement("current", "up to date")


class Judge:
    """Decides for the runs of one task in one phase.

    Parameters
    ----------
    results_only
        The phase accepts results only.
    """

    def __init__(self, target: Target, *, results_only: bool, reuse: ReuseMode) -> None:
        self._target, self._results_only, self._reuse = target, results_only, reuse
        self._expected = Expectation(target.task, target.trees, results_only=results_only)
        self._containers: dict[Any, tuple[int, int]] = {}

    def of(self, past: Past) -> Judgement:
        """What has to be done with a run."""
        made = past.provenance
        if made and made["engine"]["name"] == INLINE:
            return Judgement("impossible", "its functions were called in a process: submit it again")
        if not made and past.status is Status.FINISHED:
            return Judgement("impossible", "nothing is on record of how it was run")
        predicting, scoring = self._counts(made)
        if not scoring:
            return Judgement("impossible", "the task has no scoring program that could be started")
        if self._reuse == "never":
            return Judgement("full" if predicting else "score", "nothing is to be reused", predicting, scoring)
        failed = f"it failed ({past.problem})" if past.problem else f"it was {past.status.value.lower()}"
        causes = [] if past.status is Status.FINISHED else [failed]
        prediction = past.steps.get("prediction")
        same = self._same_prediction(past, prediction)
        if same and not causes and self._is_current(past, prediction):
            return CURRENT
        causes += changes(past, self._target)
        if not predicting:
            return Judgement("score", _said(causes, "the scoring step changed"), 0, scoring)
        if not made or prediction is None:
            return Judgement("full", _said([*causes, "it came to no prediction"]), predicting, scoring)
        if not same:
            return Judgement("full", _said(causes, "the prediction step changed"), predicting, scoring)
        if against := self._against(past, prediction):
            return Judgement("full", _said([*causes, f"prediction not reused: {against}"]), predicting, scoring)
        return Judgement("score", _said(causes, "the scoring step changed"), 0, scoring, reuses=True)

    def in_full(self, past: Past, reason: str) -> Judgement:
        """Prediction and scoring, where predictions cannot be had."""
        return Judgement("full", reason, *self._counts(past.provenance))

    def _same_prediction(self, past: Past, step: dict[str, Any] | None) -> bool:
        """Whether scoring would start from what it started from then."""
        expected = self._expected.prediction(past.provenance) if past.provenance else None
        if expected is None or step is None:
            return False
        return bool(step["skipped"]) if expected == "" else step["digest"] == expected and step["output"] is not None

    def _is_current(self, past: Past, prediction: dict[str, Any] | None) -> bool:
        scoring = past.steps.get("scoring")
        if scoring is None or prediction is None:
            return False
        return bool(scoring["digest"] == self._expected.scoring(past.provenance, prediction["output"]["digest"]))

    def _against(self, past: Past, step: dict[str, Any]) -> str | None:
        """Why what the prediction step came to is not reused."""
        kept = StepResult.model_validate(step)
        policy = Policy.model_validate(past.provenance["policy"])
        return reason_against(kept, digest=kept.digest, policy=policy, mode=self._reuse)

    def _counts(self, provenance: dict[str, Any]) -> tuple[int, int]:
        """Containers of both steps."""
        facts = provenance.get("submission") or {}
        key = (facts.get("metadata") is None, bool(facts.get("commands")))
        if key not in self._containers:
            known = SubmissionFacts.model_validate(facts)
            steps, _ = plan_steps(self._target.task, known, results_only=self._results_only)
            self._containers[key] = len(steps[0].programs), len(steps[1].programs)
        return self._containers[key]


def changes(past: Past, target: Target) -> list[str]:
    """What is not as it was when the run took place."""
    if not past.provenance:
        return []
    then = past.provenance["trees"]
    roles = [role for role in dict.fromkeys((*target.task.parts, *then)) if role != "submission"]
    now = {role: target.trees[role].digest for role in roles if role in target.trees}
    changed = [role.replace("_", " ") for role in roles if then.get(role) != now.get(role)]
    which = f"r{past.revision} → r{target.revision}" if past.revision != target.revision else "changed"
    found = [f"{', '.join(changed)} {which}"] if changed else []
    found += [past.image] if past.image else []
    if past.provenance["contract"] != CONTRACT_VERSION:
        found.append(f"what programs find where: version {past.provenance['contract']} → {CONTRACT_VERSION}")
    if not found and past.revision != target.revision:
        found.append(f"the task r{past.revision} → r{target.revision}")
    return found


def _said(causes: list[str], otherwise: str = "") -> str:
    return "; ".join(causes) or otherwise
