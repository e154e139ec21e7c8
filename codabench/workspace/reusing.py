"""Which stored prediction step a run of a re-evaluation may start scoring from."""

from __future__ import annotations

from collections.abc import Iterable

from codabench.core.records import Run
from codabench.db.database import Database
from codabench.runner.expected import Expectation
from codabench.runner.plan import SubmissionFacts
from codabench.runner.reuse import ReusedStep, ReuseMode, unusable


def find_reusable(
    db: Database, before: Iterable[Run], expected: Expectation, *, image: str, mode: ReuseMode
) -> ReusedStep | None:
    """A step that a run may reuse, as far as can be said before it; None if there is none.

    One whose digest is what the run is expected to come to; else one of another digest, so that the run says why it was
    not taken. Where the run takes place its digest decides, and the other rules are applied.

    Parameters
    ----------
    before
        Earlier runs of the same submission on the same task, the best first.
    image
        The name of the image that the run asks for.
    mode
        What the re-evaluation allows.
    """
    if mode == "never":
        return None
    second: ReusedStep | None = None
    for run in before:
        digest = expected.prediction(run.outcome.provenance, image=image) if run.outcome else None
        found = _offered(run, mode)
        if found is not None and found.step.digest == digest:
            return found
        if digest and mode == "any" and (known := db.find_step(digest)) is not None:
            return _offered(db.run(known.run), mode)
        second = second or found
    return second


def known_facts(before: Iterable[Run]) -> SubmissionFacts | None:
    """What earlier runs knew of their submission, so that its archive is not opened again."""
    kept = (run.outcome.provenance.get("submission") for run in before if run.outcome)
    return next((SubmissionFacts.model_validate(facts) for facts in kept if facts is not None), None)


def _offered(run: Run, mode: ReuseMode) -> ReusedStep | None:
    """The prediction step of a run, if there is anything to take."""
    step = run.outcome.step("prediction") if run.outcome else None
    if step is None or run.attempt is None or unusable(step):
        return None
    return ReusedStep(attempt=run.attempt, step=step, mode=mode)
