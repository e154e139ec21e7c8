"""Competitions written as bundles that can be uploaded again, with nothing lost (platform.md O64; section 6, 20)."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codabench.core.competition import CompetitionSpec, DataRole
from codabench.core.hosting import Dataset, Hosted, Job
from codabench.site.jobs import Done, Report
from codabench.storage.sources import remove_tree

if TYPE_CHECKING:
    from codabench.site.site import Site


def dump(site: Site, job: Job, report: Report) -> Done:
    """Write a competition as a bundle, and keep it as a data set of whoever organizes it."""
    assert job.competition is not None  # noqa: S101 - dumps are of one
    hosted = site.db.hosted(job.competition)
    competition = site.workspace.competition(job.competition)
    report(0.1, "Writing the bundle")
    work = Path(tempfile.mkdtemp(prefix="dump-", dir=site.workspace.scratch))
    try:
        competition.bundle.spec = with_settings(competition.spec, hosted)
        said = competition.save(work / "dump.zip", keys={} if job.given.get("keys") else None)
        report(0.7, "Storing the bundle")
        blob = site.workspace.storage.put(work / "dump.zip")
    finally:
        competition.close()
        remove_tree(work)
    key = str(uuid.uuid5(uuid.UUID(job.competition), f"dump {job.id}"))
    if not site.db.datasets(keys=[key]):
        when = f"{job.created_at:%Y-%m-%d %H:%M:%S}"
        site.db.add_dataset(
            Dataset(
                key=key,
                owner=hosted.owner,
                type=DataRole.COMPETITION_BUNDLE,
                name=f"{competition.spec.title[:80]} - dump {when}",
                file_name=f"dump-{job.created_at:%Y%m%d-%H%M%S}.zip",
                size=blob.size,
                content=blob,
                competition=job.competition,
                created_at=site.now(),
            )
        )
    return Done(key, details="\n".join(problem.message for problem in said.problems))


def with_settings(spec: CompetitionSpec, hosted: Hosted) -> CompetitionSpec:
    """A competition that also says what only a site knows of it: other readers leave these keys alone."""
    about: dict[str, Any] = {
        "allow_robot_submissions": hosted.allow_robots or None,
        "whitelist_emails": list(hosted.whitelist) or None,
        "report": hosted.report,
    }
    extras = {**spec.extras, **about}
    return spec.model_copy(update={"extras": {key: value for key, value in extras.items() if value is not None}})
