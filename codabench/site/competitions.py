"""Competitions on a site: looked at, published, deleted. How they come and change is in modules beside this one."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codabench.core.competition import CompetitionSpec, DataRole
from codabench.core.errors import Invalid, NotFound
from codabench.core.hosting import Dataset, Hosted, Job, JobKind, Listed
from codabench.core.people import Participation
from codabench.db.hosting import Wanted
from codabench.site import lists
from codabench.site.actors import Actor
from codabench.site.documents import document_of
from codabench.site.dumps import dump
from codabench.site.editing import adopted, described, edited
from codabench.site.facts import CompetitionFacts, DatasetFacts
from codabench.site.numbers import Kind
from codabench.site.offers import known_competitions
from codabench.site.pictures import narrow
from codabench.site.policy import Action
from codabench.site.unpacking import unpack
from codabench.workspace.migration import Migration

if TYPE_CHECKING:
    from codabench.site.site import Site
    from codabench.workspace.competition import Competition


@dataclass(frozen=True)
class Found:
    """A competition, as it is for the one who looks.

    Attributes
    ----------
    participation
        The actor's own; None: did not ask to take part.
    """

    hosted: Hosted
    spec: CompetitionSpec
    facts: CompetitionFacts
    participation: Participation | None

    @property
    def id(self) -> str:
        return self.hosted.competition


class Competitions(lists.Lists):
    """Every method takes the id of a competition; `key` is that of its secret link, where somebody shows it."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        site.jobs.define(JobKind.BUNDLE, lambda job, report: unpack(site, job, report))
        site.jobs.define(JobKind.DUMP, lambda job, report: dump(site, job, report))

    # ------------------------------------------------------------------ looking
    def look(self, actor: Actor, id: str, action: Action = Action.COMPETITION_READ, *, key: str = "") -> Found:
        """A competition, if the actor may do that with it.

        Raises
        ------
        NotFound
            There is none, or the actor may not know of it.
        Refused, NotSignedIn
            The actor may not do that.
        """
        try:
            hosted, spec = self.db.hosted(id), self.db.competition(id)
        except NotFound:
            raise NotFound("there is no such competition, or not for you") from None
        mine = None if actor.account is None else self.db.participation(id, actor.account)
        found = Found(hosted, spec, self.facts(hosted, spec, mine, key=key), mine)
        self.site.policy.require(actor, action, found.facts)
        return found

    def facts(
        self, hosted: Hosted, spec: CompetitionSpec, participation: Participation | None, *, key: str = ""
    ) -> CompetitionFacts:
        """What decides about a competition for the one with this participation."""
        return CompetitionFacts(
            creator=hosted.owner,
            collaborators=hosted.collaborators,
            participation=participation.status if participation else None,
            published=hosted.published,
            has_key=bool(key) and _same(key, hosted.secret_key),
            allows_robots=hosted.allow_robots,
            shows_programs=spec.make_programs_available,
            shows_inputs=spec.make_input_data_available,
        )

    def counted(self, found: Found) -> Listed:
        """A competition that was found, as lists show it: with its counts."""
        for listed in self.db.listed(Wanted(ids=(found.id,))):
            return listed
        raise NotFound("there is no such competition any more")

    def titles(self, actor: Actor, ids: Collection[str]) -> dict[str, str]:
        """The titles of competitions, of those that the actor may know."""
        known = tuple(known_competitions(self.site, actor, ids)) if ids else ()
        return {each.hosted.competition: each.title for each in self.db.listed(Wanted(ids=known))}

    def number(self, id: str) -> int:
        """The integer of a competition, as in its address."""
        return self.site.numbers.of(Kind.COMPETITION, id)

    def logo(self, actor: Actor, id: str, *, width: int, key: str = "") -> bytes | None:
        """The logo as a PNG of at most so many pixels in width, written anew (platform.md O86); None: it has none."""
        competition = self.opened(actor, id, Action.COMPETITION_OPEN, key=key)
        try:
            image, files = competition.spec.image, competition.bundle.files
            if image is None or not files.is_file(image):
                return None
            return narrow(files.read_bytes(image), width)
        except Invalid:
            return None
        finally:
            competition.close()

    def opened(self, actor: Actor, id: str, action: Action = Action.COMPETITION_READ, *, key: str = "") -> Competition:
        """The same as an object of the workspace, with its files and boards; `look` has asked whether that may be."""
        return self.site.workspace.competition(self.look(actor, id, action, key=key).id)

    # ------------------------------------------------------------------ beginning
    def create(self, actor: Actor, bundle: str) -> Job:
        """Make a competition of a bundle that was uploaded, in the background.

        Parameters
        ----------
        bundle
            Key of the data set; it has to be the actor's own.
        """
        self.site.policy.require(actor, Action.COMPETITION_CREATE)
        dataset = self.db.dataset(bundle)
        self.site.policy.require(actor, Action.DATASET_EDIT, DatasetFacts(dataset.owner))
        if dataset.type is not DataRole.COMPETITION_BUNDLE:
            raise Invalid({"bundle": f"{dataset.name} is no bundle."})
        return self.site.jobs.start(actor, JobKind.BUNDLE, {"dataset": bundle}, account=dataset.owner)

    def describe(self, actor: Actor, document: Mapping[str, Any]) -> str:
        """Make a competition of a description, with tasks that are on the site; returns its id.

        Parameters
        ----------
        document
            As `document` gives one.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field.
        """
        self.site.policy.require(actor, Action.COMPETITION_CREATE)
        if actor.account is None:
            raise Invalid({"": "A competition is somebody's: the operator of a host creates none."})
        return described(self.site, actor, document, actor.account)

    # ------------------------------------------------------------------ changing
    def document(self, actor: Actor, id: str) -> dict[str, Any]:
        """Everything that `edit` changes, in the words of a bundle: texts of pages and terms, keys of tasks."""
        found = self.look(actor, id, Action.COMPETITION_EDIT)
        return document_of(found.hosted, found.spec)

    def edit(self, actor: Actor, id: str, changes: Mapping[str, Any]) -> None:
        """Change fields of a competition at any time; what is not named stays. Submissions keep their meaning.

        Parameters
        ----------
        changes
            Fields of `document`, whole: all phases, or all pages.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field; nothing was changed.
        UsageError
            ``CB719``: phases or tasks that have submissions would go, or change places.
        StateError
            ``CB717``: somebody else changed it at the same time.
        """
        found = self.look(actor, id, Action.COMPETITION_EDIT)
        edited(self.site, actor, found.hosted, changes)

    def adopt(self, actor: Actor, id: str, task: str) -> int | str:
        """The place of a task in a competition; one that it does not have yet is added, and is in no phase.

        Whoever calls this has asked whether the actor may run submissions again.

        Parameters
        ----------
        task
            Its key; the actor has to be allowed to use it.
        """
        return adopted(self.site, actor, self.db.hosted(id), task)

    def publish(self, actor: Actor, id: str, published: bool) -> bool:
        """Let everybody see a competition, or nobody who does not know its link."""
        self.look(actor, id, Action.COMPETITION_PUBLISH)
        self.db.change_hosted(id, published=published)
        return published

    def feature(self, actor: Actor, id: str, featured: bool) -> None:
        """Lift a competition on the front page."""
        self.look(actor, id, Action.COMPETITION_FEATURE)
        self.db.change_hosted(id, is_featured=featured)

    def delete(self, actor: Actor, id: str) -> None:
        """Take a competition away, with all that was submitted; what runs is cancelled. Nobody brings it back."""
        self.look(actor, id, Action.COMPETITION_DELETE)
        self.site.workspace.delete_competition(self.site.workspace.competition(id), cancel=True)

    def migrate(self, actor: Actor, id: str, phase: int) -> Migration:
        """Take what stands on the board of a phase to the next one, without waiting for what is not over.

        Raises
        ------
        Invalid
            It is the last phase.
        """
        found = self.look(actor, id, Action.PHASE_MIGRATE)
        if phase + 1 >= len(found.spec.phases):
            raise Invalid({"phase": "No phase comes after this one."})
        competition = self.site.workspace.competition(id)
        try:
            return self.site.workspace.migrate(competition, phase + 1, leave_unfinished=True)
        finally:
            competition.close()
            self.db.post_copies()

    # ------------------------------------------------------------------ bundles and dumps
    def dump(self, actor: Actor, id: str, *, keys: bool = False) -> Job:
        """Write a competition as a bundle that can be uploaded again, in the background.

        Parameters
        ----------
        keys
            Keys of data sets instead of their files: for this site only.
        """
        found = self.look(actor, id, Action.DUMPS_CREATE)
        owner = found.hosted.owner
        return self.site.jobs.start(actor, JobKind.DUMP, {"keys": keys}, account=owner, competition=id)

    def bundles(self, actor: Actor, id: str) -> tuple[list[Dataset], list[Dataset]]:
        """The bundle that a competition came as, if it did, and its dumps, newest first."""
        self.look(actor, id, Action.DUMPS_LIST)
        found = [d for d in self.db.datasets(competition=id) if d.type is DataRole.COMPETITION_BUNDLE]
        return [d for d in found if d.came_with_bundle], [d for d in reversed(found) if not d.came_with_bundle]


def _same(key: str, secret: str) -> bool:
    """Whether somebody shows the right key; it may be spelled as anybody spells a UUID."""
    try:
        shown = str(uuid.UUID(key))
    except ValueError:
        return False
    return hmac.compare_digest(shown, secret)
