"""Data sets: files that people upload for submissions, tasks and competitions, and share with others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from codabench.core.competition import DataRole
from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused
from codabench.core.hosting import Dataset
from codabench.core.trees import BlobRef
from codabench.db.resources import WantedDatasets
from codabench.db.uses import Naming
from codabench.site import links
from codabench.site.actors import Actor
from codabench.site.lists import MOST, PAGE, SHORT, Page
from codabench.site.offers import Offer, dataset_facts, offers_of, used_by
from codabench.site.policy import Action
from codabench.site.uploads import Uploads, text_of

LICENSES = (
    "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-ND-4.0", "CC-BY-NC-ND-4.0",
    "ODbL-1.0", "ODC-By-1.0", "PDDL-1.0", "MIT", "Apache-2.0", "BSD-3-Clause", "GPL-3.0-or-later",
)  # fmt: skip
"""Those that are offered, by their SPDX identifiers; any other text may be written."""

SHARED = (DataRole.PUBLIC_DATA,)
"""What the list of public data sets has (platform.md V13)."""
_EDITED = ("name", "description", "license", "is_public")


class CompetitionFile(NamedTuple):
    """A file that a competition offers to who asks."""

    dataset: Dataset
    offer: Offer


class Datasets(Uploads):
    """Every method that takes a data set takes its number or its key."""

    # ------------------------------------------------------------------ looking
    def get(self, actor: Actor, which: int | str) -> Dataset:
        """A data set by its number or its key."""
        return self._found(actor, which, Action.DATASET_READ)

    def download(self, actor: Actor, which: int | str, *, seconds: float = links.HOUR) -> str:
        """A link to its bytes, good for an hour; it is counted.

        Raises
        ------
        NotFound
            Nothing was uploaded yet, or there is nothing for this actor.
        """
        dataset = self._found(actor, which, Action.DATASET_DOWNLOAD)
        if dataset.content is None:
            raise NotFound(f"nothing was uploaded as {dataset.name}")
        self.db.count_download(dataset.key)
        return self.site.links.url("GET", {"dataset": dataset.key, "name": dataset.file_name}, seconds)

    def within_reach(self, actor: Actor, several: Iterable[Dataset]) -> set[str]:
        """The keys of those that the actor may download: lists also name others."""
        may, of = self.site.policy.allows, dataset_facts
        return {each.key for each in several if may(actor, Action.DATASET_DOWNLOAD, of(self.site, actor, each))}

    def content(self, key: str) -> BlobRef:
        """The bytes of a data set for a link that was given out."""
        blob = self.db.dataset(key).blob
        if blob is None:
            raise NotFound("nothing was uploaded")
        return blob

    def list(
        self, actor: Actor, wanted: WantedDatasets | None = None, *, page: int = 1, size: int = SHORT
    ) -> Page[Dataset]:
        """The actor's own data sets; with ``or_public`` also what others share.

        Raises
        ------
        NotSignedIn
            ``CB801``: nobody is signed in.
        """
        if actor.account is None:
            raise NotSignedIn("Authentication credentials were not provided.")
        return self._page((wanted or WantedDatasets()).model_copy(update={"owner": actor.account}), page, size)

    def public(
        self,
        actor: Actor,
        *,
        text: str | None = None,
        licensed: bool = False,
        verified: bool = False,
        order: Literal["newest", "downloads"] = "newest",
        page: int = 1,
        size: int = PAGE,
    ) -> Page[Dataset]:
        """What anybody may have; nobody has to be signed in."""
        wanted = WantedDatasets(
            types=SHARED,
            is_public=True,
            uploaded=True,
            text=text or None,
            has_license=licensed or None,
            is_verified=verified or None,
            order=order,
        )
        return self._page(wanted, page, size)

    def _page(self, wanted: WantedDatasets, page: int, size: int) -> Page[Dataset]:
        page, size = max(1, page), max(1, min(size, MOST))
        items, total = self.db.wanted_datasets(wanted, offset=(page - 1) * size, limit=size)
        return Page(items, page, size, total)

    def used_by(self, actor: Actor, keys: Collection[str]) -> dict[str, Sequence[Naming]]:
        """Keys -> the competitions that need them, as far as the actor may know of those."""
        return used_by(self.site, actor, keys)

    def files(self, actor: Actor, competition: str, *, key: str = "") -> Sequence[CompetitionFile]:
        """What a competition offers to the actor, in the order of tasks, phases and solutions (platform.md P25)."""
        found = self.site.competitions.look(actor, competition, key=key)
        offers = [o for o in offers_of(found.spec) if self.site.policy.allows(actor, o.action, found.facts)]
        known = {dataset.key: dataset for dataset in self.db.datasets(keys={offer.key for offer in offers})}
        return [CompetitionFile(known[offer.key], offer) for offer in offers if offer.key in known]

    # ------------------------------------------------------------------ changing
    def edit(self, actor: Actor, which: int | str, changes: Mapping[str, Any]) -> Dataset:
        """Change the name, the description, the license, or whether it is public; what is not named stays.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field; nothing was changed.
        """
        dataset = self._found(actor, which, Action.DATASET_EDIT)
        wrong: dict[str, str] = {name: "This cannot be changed." for name in changes if name not in _EDITED}
        values = {name: changes[name] for name in ("name", "description", "license") if name in changes}
        values = {name: text_of(name, value, wrong) for name, value in values.items()}
        if "name" in values and not values["name"]:
            wrong.setdefault("name", "A data set needs a name.")
        if "description" in values:
            values["description"] = values["description"] or ""
        if "is_public" in changes:
            values["is_public"] = changes["is_public"]
            if not isinstance(changes["is_public"], bool):
                wrong["is_public"] = "Say true or false."
        if wrong:
            raise Invalid(wrong)
        if values and not self.db.edit_dataset(dataset.key, values):
            raise Invalid({"name": "You already have a data set of this name."})
        return self.db.dataset(dataset.key)

    def verify(self, actor: Actor, which: int | str, verified: bool = True) -> Dataset:
        """Say that those who run the site have looked at it."""
        dataset = self._found(actor, which, Action.DATASET_VERIFY)
        self.db.change_dataset(dataset.key, is_verified=verified)
        return self.db.dataset(dataset.key)

    def delete(self, actor: Actor, which: int | str) -> None:
        """Delete a data set that nothing needs; its bytes go with the next clean-up of the storage.

        Raises
        ------
        Refused
            ``CB800``: a competition, a task or a submission needs it.
        """
        self.delete_many(actor, [which])

    def delete_many(self, actor: Actor, several: Sequence[int | str]) -> int:
        """The same of several: all of them, or none; returns how many."""
        found = [self._found(actor, each, Action.DATASET_DELETE, in_use=True) for each in dict.fromkeys(several)]
        # Somebody may have taken one into use since.
        if self.db.drop_datasets([dataset.key for dataset in found], at=self.site.now()):
            raise Refused("It is in use.")
        return len(found)
