"""Bundles that become competitions, with their programs, data and tasks as resources of whoever uploaded them."""

from __future__ import annotations

import hashlib
import posixpath
import tempfile
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from codabench.bundle.load import Bundle, read_bundle
from codabench.core.competition import CompetitionSpec, DataSpec
from codabench.core.errors import BundleError, NotFound
from codabench.core.hosting import Dataset, Hosted, Job, SharedTask
from codabench.core.trees import TreeRef
from codabench.site.credentials import actor_of
from codabench.site.given import Given
from codabench.site.jobs import Done, Report
from codabench.storage.sources import remove_tree
from codabench.workspace.competition import Competition
from codabench.workspace.datasets import datasets_of
from codabench.workspace.reopened import LAYOUT, keep_bundle

if TYPE_CHECKING:
    from codabench.site.site import Site

D = TypeVar("D", bound=DataSpec)

_LONGEST_NAME = 128


def unpack(site: Site, job: Job, report: Report) -> Done:
    """Make a competition of an uploaded bundle; one that cannot be used is dropped.

    Raises
    ------
    BundleError
        It has errors; ``.report`` holds them.
    """
    dataset = site.db.dataset(str(job.given["dataset"]))
    blob = dataset.blob
    if blob is None:
        raise NotFound(f"nothing was uploaded as {dataset.file_name}")
    report(0.0, "Reading the bundle")
    work = Path(tempfile.mkdtemp(prefix="bundle-", dir=site.workspace.scratch))
    try:
        site.workspace.storage.save(blob, work / "bundle.zip")
        id = hashlib.sha256(f"job\0{job.id}\0{job.created_at.isoformat()}".encode()).hexdigest()[:32]
        with (
            Given(site, actor_of(site.db.account(job.account))) as given,
            read_bundle(work / "bundle.zip", limits=site.settings.archives, datasets=given) as bundle,
        ):
            _check(bundle)
            host(site, bundle, id, owner=job.account, given=given, source=dataset.file_name, report=report)
    except BundleError as error:
        site.db.drop_datasets([dataset.key], at=site.now())
        raise named(error, str(work / "bundle.zip"), dataset.file_name) from error
    finally:
        remove_tree(work)
    site.db.change_dataset(dataset.key, competition=id, came_with_bundle=True)
    return Done(id, competition=id)


def _check(bundle: Bundle) -> None:
    bundle.report.raise_for_errors()
    if bundle.format == "task":
        hint = "upload it among your tasks, and name its key in a competition"
        raise BundleError("this is the archive of one task, not of a competition", code="CB110", hint=hint)


def named(error: BundleError, path: str, name: str) -> BundleError:
    """The same without a path of this machine."""
    report = error.report
    if report is not None:
        told = [p.model_copy(update={"message": p.message.replace(path, name)}) for p in report.problems]
        report = report.model_copy(update={"source": name, "problems": tuple(told)})
    return BundleError(error.message.replace(path, name), report=report, code=error.code, hint=error.hint)


# ---------------------------------------------------------------------- what a site keeps of it
def host(
    site: Site,
    bundle: Bundle,
    id: str,
    *,
    owner: int,
    given: Given,
    source: str,
    about: Mapping[str, Any] | None = None,
    report: Report = lambda done, details: None,
) -> None:
    """Keep a bundle as a competition of somebody. Done again after it was stopped, it goes on where it was.

    Parameters
    ----------
    given
        What was on the site already.
    about
        Fields of `Hosted`; None: as the bundle says.
    """
    assert bundle.spec is not None  # noqa: S101 - it has no errors
    spec = bundle.spec = keyed(bundle.spec, uuid.UUID(id), {*given.datasets, *given.tasks})
    storage, now = site.workspace.storage, site.now()
    told = 0.1, 0.8
    trees, layout = keep_bundle(
        storage, bundle, spec, told=lambda done: report(told[0] + told[1] * done, "Storing programs and data")
    )
    report(sum(told), "Storing the competition")
    kept = {**trees, LAYOUT: storage.put_tree(layout.tree())}
    site.db.add_competition(id, spec, source=source, at=now, trees=kept)
    hosted = Hosted(
        competition=id,
        owner=owner,
        secret_key=str(uuid.uuid4()),
        created_at=now,
        **(about if about is not None else said(spec.extras)),
    )
    tasks = [task for task in _tasks(spec, owner, given, hosted) if task.key not in given.tasks]
    site.db.host(hosted, list(_datasets(Competition(bundle), hosted, trees, given)), tasks)


def said(extras: Mapping[str, Any]) -> dict[str, Any]:
    """What a bundle says of its place on a site: only what harms nobody there (platform.md section 6, 20)."""
    addresses, report = extras.get("whitelist_emails"), extras.get("report")
    listed = addresses if isinstance(addresses, list) else []
    return {
        "allow_robots": extras.get("allow_robot_submissions") is True,
        "whitelist": tuple(a.strip().lower() for a in listed if isinstance(a, str) and "@" in a),
        "report": report if isinstance(report, str) and report.startswith(("https://", "http://")) else None,
    }


def keyed(spec: CompetitionSpec, space: uuid.UUID, known: Iterable[str]) -> CompetitionSpec:
    """A competition whose tasks, programs and data all have a key.

    Parameters
    ----------
    space
        Makes the keys: the same bundle, hosted again after it was stopped, gets the same ones.
    known
        Keys that are on the site already; others are those of another site.
    """
    known = set(known)

    def part(data: D) -> D:
        if data.tree is None or data.key in known:
            return data
        return data.model_copy(update={"key": str(uuid.uuid5(space, f"data {data.tree}"))})

    tasks = []
    for task in spec.tasks:
        key = task.key if task.key in known else str(uuid.uuid5(space, f"task {task.index!r}"))
        parts = {role: part(data) for role, data in task.parts.items()}
        tasks.append(task.model_copy(update={**parts, "key": key}))
    phases = [p.model_copy(update={role: part(data) for role, data in p.parts.items()}) for p in spec.phases]
    solutions = tuple(part(solution) for solution in spec.solutions)
    return spec.model_copy(update={"tasks": tuple(tasks), "phases": tuple(phases), "solutions": solutions})


def _datasets(
    competition: Competition, hosted: Hosted, trees: Mapping[str, TreeRef], given: Given
) -> Iterable[Dataset]:
    """A data set for each program, data set, kit and solution that is new, in its first role."""
    made: set[str] = set()
    for found in datasets_of(competition):
        key, tree = found.key, found.spec.tree
        if key is None or tree is None or key in given.datasets or key in made:
            continue
        made.add(key)
        stem = posixpath.basename(found.spec.path or "").removesuffix(".zip")
        name = f"{competition.spec.title[: _LONGEST_NAME - 60]} - {found.role.words} {stem[:40]}"
        yield Dataset(
            key=key,
            owner=hosted.owner,
            type=found.role,
            name=name,
            file_name=f"{stem or found.role.value}.zip",
            size=trees[tree].size,
            content=trees[tree],
            competition=hosted.competition,
            came_with_bundle=True,
            created_at=hosted.created_at,
        )


def _tasks(spec: CompetitionSpec, owner: int, given: Given, hosted: Hosted) -> Iterable[SharedTask]:
    for task in spec.tasks:
        yield SharedTask(
            key=task.key or "",
            owner=owner,
            name=task.name,
            description=task.description or "",
            **{role: part.key for role, part in task.parts.items()},
            ingestion_only_during_scoring=task.ingestion_only_during_scoring,
            is_public=task.extras.get("is_public") is True,
            created_at=hosted.created_at,
        )
