"""Whether a prediction step that was carried out before can stand for one that is to come: pure decisions.

The rules are those of architecture.md section 2. What decides is the digest of the step (`step_digest`), which is known
only where the run takes place, where the image has been resolved and the policy has met what the worker grants.
"""

from __future__ import annotations

from typing import Literal

from codabench.core.base import Record
from codabench.core.policy import Network, Policy
from codabench.core.problems import Problem, Severity
from codabench.core.records import StepResult

ReuseMode = Literal["same-submission", "any", "always", "never"]
"""``same-submission``: steps of the same submission. ``any``: of other submissions, too. ``always``: of the same
submission, also where the network was on or data of the worker were read, of which nobody has a digest."""


class ReusedStep(Record):
    """A prediction step that a run starts scoring from, if it still is what the run would come to.

    Attributes
    ----------
    attempt
        The attempt whose step it is.
    mode
        What the caller allowed.
    """

    attempt: str
    step: StepResult
    mode: ReuseMode = "same-submission"

    def taken(self) -> StepResult:
        """The step as a step of the run that reuses it: what it came to, and the attempt that carried it out."""
        return self.step.model_copy(update={"reused_from": self.step.reused_from or self.attempt})


def unusable(step: StepResult) -> str | None:
    """Why a step is of no use to any other run; None if it is."""
    if step.skipped:
        return "nothing ran in it"
    if not step.exits or not all(end.ok for end in step.exits.values()):
        return "a program of it did not exit with 0"
    if step.output is None:
        return "its output was not kept"
    return None


def reason_against(
    step: StepResult, *, digest: str, policy: Policy, mode: ReuseMode, same_submission: bool = True
) -> str | None:
    """Why a step is not reused; None if it can be.

    Parameters
    ----------
    digest
        Of the step that is to be carried out otherwise.
    policy
        What holds for that one.
    same_submission
        Both are steps of one submission.
    """
    if mode == "never":
        return "reuse is off"
    if not same_submission and mode != "any":
        return "it is a step of another submission"
    if (why := unusable(step)) is not None:
        return why
    if mode != "always" and policy.network is not Network.NONE:
        return "its programs may use the network"
    if mode != "always" and policy.local_data:
        return "it reads data of the worker, of which nobody has a digest"
    if step.digest != digest:
        return "the image, a command, a file or the policy is not the same any more"
    return None


def reuse_note(step: ReusedStep) -> Problem:
    """The note on a run that did not carry out its prediction step."""
    return Problem(
        code="CB670",
        severity=Severity.NOTE,
        message=f"the prediction step is reused: attempt {step.taken().reused_from} carried it out in "
        f"{step.step.seconds:.1f} s; its times are from then",
    )


def no_reuse_note(step: ReusedStep, why: str, *, damaged: bool = False) -> Problem:
    """The note on a run that carried its prediction step out although there was one to reuse."""
    return Problem(
        code="CB671",
        severity=Severity.WARNING if damaged else Severity.NOTE,
        message=f"the prediction step was carried out again, not taken from attempt {step.attempt}: {why}",
        hint="`codabench gc --verify` looks for what else is damaged" if damaged else None,
    )
