"""What a site hosts: competitions as it knows them beside their specification, data sets, tasks, jobs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from codabench.core.base import Record
from codabench.core.competition import DataRole
from codabench.core.trees import BlobRef, TreeRef


class Hosted(Record):
    """A competition on a site.

    Attributes
    ----------
    competition
        Its id.
    owner
        The account that created it; `collaborators` have the same powers, but for deleting.
    secret_key
        Part of the link that opens it while it is not published; never changes.
    allow_robots
        Robots let themselves in, and submit without limits.
    whitelist
        Addresses in lower case that are approved without review.
    report
        Address of a page with its results.
    """

    competition: str
    owner: int
    published: bool = False
    secret_key: str
    allow_robots: bool = False
    whitelist: tuple[str, ...] = ()
    is_featured: bool = False
    report: str | None = None
    collaborators: frozenset[int] = frozenset()
    created_at: datetime


class Listed(Record):
    """A competition as lists show it.

    Attributes
    ----------
    image
        Path of its logo in the bundle.
    participants
        Those who were let in, the creator among them.
    submissions
        Those that count: not what was deleted for good.
    """

    hosted: Hosted
    title: str
    description: str = ""
    competition_type: str = "competition"
    reward: str | None = None
    contact_email: str | None = None
    image: str | None = None
    participants: int = 0
    submissions: int = 0


class Dataset(Record):
    """A file somebody uploaded, or that came with a bundle.

    Attributes
    ----------
    id
        Given out by the database; 0: not kept yet.
    key
        A UUID, by which tasks and bundles name it.
    size
        Bytes of what is downloaded.
    content
        Where its bytes are: an archive as a tree, or a file of another kind; None until they are uploaded.
    competition
        That it belongs to, with which it goes.
    license
        Under which others may use it.
    """

    id: int = 0
    key: str
    owner: int
    type: DataRole
    name: str
    description: str = ""
    file_name: str
    size: int
    content: TreeRef | BlobRef | None = None
    is_public: bool = False
    is_verified: bool = False
    license: str | None = None
    competition: str | None = None
    came_with_bundle: bool = False
    downloads: int = 0
    created_at: datetime
    deleted_at: datetime | None = None

    @property
    def blob(self) -> BlobRef | None:
        """The bytes that are downloaded."""
        if isinstance(self.content, TreeRef):
            return BlobRef(sha256=self.content.archive, size=self.content.size)
        return self.content


class SharedTask(Record):
    """A task that competitions use by its key.

    Attributes
    ----------
    scoring_program, ingestion_program, input_data, reference_data
        Keys of data sets.
    shared_with
        Accounts that see and use it.
    """

    id: int = 0
    key: str
    owner: int
    name: str
    description: str = ""
    scoring_program: str | None = None
    ingestion_program: str | None = None
    input_data: str | None = None
    reference_data: str | None = None
    ingestion_only_during_scoring: bool = False
    is_public: bool = False
    shared_with: frozenset[int] = frozenset()
    created_at: datetime
    deleted_at: datetime | None = None

    @property
    def parts(self) -> dict[str, str]:
        """The keys of the data sets that there are, by role."""
        roles = ("scoring_program", "ingestion_program", "input_data", "reference_data")
        return {role: key for role in roles if (key := getattr(self, role)) is not None}


class Posted(Record):
    """What a site knows of a submission beside the submission itself.

    Attributes
    ----------
    dataset
        Key of the data set that was submitted.
    is_public
        Its owner shows it to everybody.
    is_specific_task
        It was rerun on a task that somebody chose: no board shows it.
    """

    submission: str
    dataset: str | None = None
    is_public: bool = False
    is_specific_task: bool = False


class JobState(StrEnum):
    """Where work stands that somebody waits for."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in (JobState.FINISHED, JobState.FAILED)


class JobKind(StrEnum):
    """What is done: a bundle is made a competition, or a competition is written as one."""

    BUNDLE = "bundle"
    DUMP = "dump"


class Job(Record):
    """Work that somebody waits for.

    Attributes
    ----------
    given
        What it works on.
    done
        0 to 1.
    details
        What it does now; in the end, why it failed.
    result
        What came of it: the id of a competition, the key of a dump.
    holder, expires_at
        Who carries it out, and when others may, unless it is heard of before.
    """

    id: int
    kind: JobKind
    account: int
    competition: str | None = None
    given: dict[str, str | bool] = {}
    state: JobState = JobState.WAITING
    done: float = 0.0
    details: str = ""
    result: str | None = None
    holder: str | None = None
    expires_at: datetime | None = None
    created_at: datetime
    ended_at: datetime | None = None
