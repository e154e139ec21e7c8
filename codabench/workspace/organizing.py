"""What a workspace does with competitions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codabench.workspace.dispatcher import utc_now
from codabench.workspace.finding import the_competition
from codabench.workspace.reopened import StoredBundle
from codabench.workspace.rooms import Rooms

if TYPE_CHECKING:
    from codabench.workspace.competition import Competition


class Organizing(Rooms):
    """Competitions: kept, opened again, changed."""

    def add(self, competition: Competition) -> Competition:
        """Keep a competition here, with all its files. Its runs go to this workspace from now on.

        One that is here already and came from the same place: where files of its tasks have changed, the tasks get new
        revisions; what was revised here since stays revised.

        Raises
        ------
        BundleError
            Something in it cannot be read, or a function of it cannot be exported.
        """
        self._attach(competition)
        self.trees.add(competition)
        competition._use(self._whole)
        self._fresh(competition)
        return competition

    def competition(self, wanted: str) -> Competition:
        """A competition that is kept here, without its bundle: by its id, the beginning of it, or its title.

        Raises
        ------
        NotFound
            There is none, or (``CB343``) it may be several; the message lists them.
        """
        from codabench.workspace.competition import Competition

        id = the_competition(self.db, wanted)
        found = self.trees.kept(id)
        opened = Competition(found)
        opened.id = id
        opened._use(self._whole)
        return opened

    def competitions(self) -> dict[str, str]:
        """What is kept here: the id and the title of every competition, oldest first."""
        return dict(self.db.competitions())

    def _attach(self, competition: Competition) -> None:
        self.db.add_competition(competition.id, competition.spec, source=competition.source, at=utc_now())

    def _fresh(self, competition: Competition) -> None:
        """Have an object show its competition as it is kept now: others may have changed it."""
        if competition._private:
            return  # nobody else knows that workspace
        kept = self.trees.kept(competition.id)
        known = competition.bundle
        if kept.spec != competition.spec or (isinstance(known, StoredBundle) and known.kept != kept.kept):
            competition._reopen(competition.id, kept)
