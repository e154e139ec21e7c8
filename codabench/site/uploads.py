"""Uploads of data sets: announced, sent to a link, checked, kept."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from codabench.core.competition import DataRole
from codabench.core.errors import Invalid, NotFound
from codabench.core.hosting import Dataset, Job, JobKind
from codabench.core.text import human_size, storable
from codabench.site import links
from codabench.site.actors import Actor
from codabench.site.facts import DatasetFacts
from codabench.site.offers import dataset_facts
from codabench.site.part import Part
from codabench.site.policy import Action
from codabench.site.receiving import Doors, Received, check_before, same_again, spooled, stored

if TYPE_CHECKING:
    from codabench.site.site import Site

_LONGEST, _LONGEST_TEXT = 255, 10_000
_REQUIRED = "This field is required."
_NUMBER = re.compile(r"([0-9]{1,15})(?:\.0{1,9})?")


class Completed(NamedTuple):
    """What comes of an upload that is over.

    Attributes
    ----------
    job
        That makes a competition of a bundle; None: it was something else.
    """

    dataset: Dataset
    job: Job | None


class Receiving(NamedTuple):
    """An upload under way.

    Attributes
    ----------
    write
        Takes the next piece.
    finish
        When all have come: checks and keeps them.
    """

    write: Callable[[bytes], None]
    finish: Callable[[], Dataset]


class Uploads(Part):
    """How data sets come to a site."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self._doors = Doors()

    def create(
        self,
        actor: Actor,
        role: object,
        file_name: object,
        size: object,
        *,
        name: str | None = None,
        description: str = "",
        is_public: bool = False,
        license: str | None = None,
        competition: str | None = None,
    ) -> Dataset:
        """Announce an upload; `upload_url` says where to send it. Nothing has to be said when it is over.

        Parameters
        ----------
        role, file_name, size
            As somebody wrote them: a `DataRole`, the name of a file, how many bytes it has.
        name
            None: that of the file, made different from others.
        competition
            Only for a submission: where it is meant to go, so that organizers may see it.

        Raises
        ------
        Invalid
            ``CB802``: with messages for each field, ``data_file`` where there is no room.
        """
        self.site.policy.require(actor, Action.DATASET_CREATE)
        wrong: dict[str, str] = {}
        said = _checked(self.site.settings.upload, role, file_name, size, wrong)
        texts = _texts(name=name, description=description, license=license, wrong=wrong)
        if actor.account is None:
            wrong[""] = "A data set is somebody's: the operator of a host has none."
        if wrong or said is None or actor.account is None:
            raise Invalid(wrong)
        if competition is not None:
            self.site.competitions.look(actor, competition)
        made = Dataset(
            key=str(uuid.uuid4()),
            owner=actor.account,
            type=said[0],
            name=texts["name"] or said[1],
            description=texts["description"] or "",
            file_name=said[1],
            size=said[2],
            is_public=is_public,
            license=texts["license"],
            competition=competition if said[0] is DataRole.SUBMISSION else None,
            created_at=self.site.now(),
        )
        room = self.site.quota.admission(made.owner, made.size)

        def admit(used: int, name_taken: bool) -> None:
            if name_taken and texts["name"]:
                raise Invalid("You already have a data set of this name.")
            room(used)

        return self.db.admit_dataset(made, admit)

    def upload_url(self, actor: Actor, key: str) -> str:
        """Where to send the bytes of a data set with PUT, without anything that says who one is; good for five days."""
        dataset = self._found(actor, key, Action.DATASET_EDIT)
        return self.site.links.url("PUT", {"upload": dataset.key})

    @contextmanager
    def receiving(self, ticket: str, length: int | None, content_type: str | None) -> Iterator[Receiving]:
        """Take an upload piece by piece.

        Raises
        ------
        Refused
            ``CB809``: the link is not good for that.
        NotFound
            The data set was deleted.
        Invalid
            It is not what was announced.
        TooMany
            ``CB804``: too many uploads of this account are under way.
        """
        what = self.site.links.open(ticket, "PUT")
        dataset = self.db.dataset(str(what["upload"]))
        check_before(dataset, length, content_type)
        with self._doors.entered(dataset.owner), spooled(self.site, dataset.size) as (incoming, path):
            yield Receiving(incoming.write, lambda: self._keep(dataset, Received(path, incoming.whole())))

    def receive(
        self, ticket: str, chunks: Iterable[bytes], length: int | None = None, content_type: str | None = None
    ) -> Dataset:
        """Take an upload, whole or not at all; the link is all that is needed.

        Parameters
        ----------
        length, content_type
            What the request says of itself.

        Raises
        ------
        Refused, NotFound, Invalid, TooMany
            As `receiving`.
        ArchiveError
            It has to be a zip, and is none, is damaged, or is not safe to unpack.
        StateError
            Other bytes came before.
        StorageError
            It cannot be stored.
        """
        with self.receiving(ticket, length, content_type) as (write, finish):
            for chunk in chunks:
                write(chunk)
            return finish()

    def _keep(self, dataset: Dataset, came: Received) -> Dataset:
        if dataset.content is None and self.db.fill_dataset(dataset.key, stored(self.site, dataset, came)):
            return self.db.dataset(dataset.key)
        return same_again(self.db.dataset(dataset.key), came.ref)

    def completed(self, actor: Actor, key: str) -> Completed:
        """Say that an upload is over: a bundle begins to become a competition, once.

        Raises
        ------
        Invalid
            Nothing was uploaded.
        """
        dataset = self._owned(actor, key)
        if dataset.content is None:
            raise Invalid({"data_file": "Nothing was uploaded."})
        if dataset.type is not DataRole.COMPETITION_BUNDLE:
            return Completed(dataset, None)
        begun = [job for job in self.db.jobs(kind=JobKind.BUNDLE) if job.given.get("dataset") == key]
        return Completed(dataset, begun[-1] if begun else self.site.competitions.create(actor, key))

    # ------------------------------------------------------------------ finding
    def _found(self, actor: Actor, which: int | str, action: Action, *, in_use: bool = False) -> Dataset:
        """A data set, if the actor may do that with it; to who may not know of it, it is not there."""
        try:
            found = self.db.dataset(which) if isinstance(which, str) else self.db.dataset_numbered(which)
        except NotFound:
            raise NotFound("there is no such dataset, or not for you") from None
        self.site.policy.require(actor, action, dataset_facts(self.site, actor, found, in_use=in_use))
        return found

    def _owned(self, actor: Actor, key: str) -> Dataset:
        """A data set of the actor's own; public ones of others are not there, either."""
        dataset = self._found(actor, key, Action.DATASET_READ)
        self.site.policy.require(actor, Action.DATASET_EDIT, DatasetFacts(dataset.owner))
        return dataset

    def purge(self) -> None:
        """Forget what was announced and did not come while its link was good."""
        now = self.site.now()
        self.db.drop_unfilled_datasets(before=now - timedelta(seconds=links.DAYS), at=now)


# ---------------------------------------------------------------------- what people write
def _checked(
    most: int, role: object, file_name: object, size: object, wrong: dict[str, str]
) -> tuple[DataRole, str, int] | None:
    """The three fields that every upload has; what is wrong with them goes into `wrong`."""
    known = [each.value for each in DataRole]
    if role not in known:
        wrong["type"] = f"Choose one of {', '.join(known)}." if role else _REQUIRED
    if not isinstance(file_name, str) or not file_name.strip():
        wrong["file_name"] = _REQUIRED
    elif len(file_name) > _LONGEST or not file_name.isprintable() or re.search(r"[/\\]", file_name):
        wrong["file_name"] = f"Give the name of a file: at most {_LONGEST} characters, no folders."
    many = _whole(size)
    if size is None or size == "":
        wrong["file_size"] = _REQUIRED
    elif many is None:
        wrong["file_size"] = "A valid number is required."
    elif not 0 < many <= most:
        wrong["file_size"] = f"From one byte to {human_size(most)} are taken at once."
    return None if wrong else (DataRole(str(role)), str(file_name), many or 0)


def _whole(size: object) -> int | None:
    """Bytes as clients write them: ``22``, ``"22"``, ``"22.0"``."""
    found = _NUMBER.fullmatch(str(size).strip())
    return int(found[1]) if found else None


def _texts(*, wrong: dict[str, str], **texts: object) -> dict[str, str | None]:
    return {name: text_of(name, text, wrong) for name, text in texts.items()}


def text_of(name: str, text: object, wrong: dict[str, str]) -> str | None:
    """A text that somebody wrote; nothing where there is none."""
    if text is None:
        return None
    most = _LONGEST_TEXT if name == "description" else _LONGEST
    if not isinstance(text, str) or len(text) > most:
        wrong[name] = f"Write a text of at most {most} characters."
        return None
    return storable(text).strip() or None
