"""How a workspace brings stored scores up to date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codabench.workspace.rooms import Rooms

if TYPE_CHECKING:
    from codabench.runner.reuse import ReuseMode
    from codabench.workspace.competition import Competition
    from codabench.workspace.reevaluation.choosing import Where
    from codabench.workspace.reevaluation.handle import BatchHandle
    from codabench.workspace.reevaluation.plan import ReevaluationPlan


class Reevaluating(Rooms):
    """Re-evaluations: planned, found again."""

    def reevaluate(
        self,
        competition: Competition,
        *,
        phase: int | str | None = None,
        task: int | str | None = None,
        where: Where = "finished",
        reuse: ReuseMode = "same-submission",
        note: str = "",
    ) -> ReevaluationPlan:
        """What has to be done so that every score is that of the newest revision, and why; nothing is started.

        Parameters
        ----------
        phase, task
            By index or name; None: all.
        where
            Which runs that boards show: ``"finished"``, ``"failed"``, ``"all"``;
            ``{"status": ..., "participants": [...], "submissions": [...]}`` with any of these; or a function that is
            asked for each submission. Those of deleted submissions never.
        reuse
            Predictions of an earlier run are the start if they would come out the same:
            ``"same-submission"``; ``"any"``: also those of other submissions; ``"always"``: also where programs could
            use the network or data of the worker; ``"never"``: everything is carried out again.
        note
            Why, for readers of the board.

        Returns
        -------
        ReevaluationPlan
            ``.execute()`` carries it out.

        Raises
        ------
        NotFound
            No such phase or task.
        UsageError
            ``CB651``: `where` or `reuse` cannot be meant.
        """
        from codabench.workspace.reevaluation.planning import make_reevaluation

        return make_reevaluation(self._whole, competition, phase=phase, task=task, where=where, reuse=reuse, note=note)

    def batch(self, id: str) -> BatchHandle:
        """A re-evaluation by its id, or the beginning of it.

        Raises
        ------
        NotFound
            There is none, or several begin so.
        """
        from codabench.workspace.reevaluation.handle import BatchHandle

        found = self.db.batch_called(id)
        return BatchHandle(self._whole, self._whole.competition(found.competition), found.id)

    def batches(self, competition: Competition) -> list[BatchHandle]:
        """The re-evaluations of a competition, oldest first."""
        from codabench.workspace.reevaluation.handle import BatchHandle

        return [BatchHandle(self._whole, competition, batch.id) for batch in self.db.batches(competition.id)]
