"""Bundles that people upload, and competitions made of them."""

from __future__ import annotations

import io
import uuid
import zipfile
from collections.abc import Mapping

from codabench.bundle.defined.logo import placeholder_logo
from codabench.core.competition import DataRole
from codabench.core.hosting import Dataset, Job, JobState
from codabench.site.actors import Actor
from codabench.site.site import Site

YAML = """\
version: 2
title: Wheat seeds
description: Tell seeds apart.
image: logo.png
terms: terms.md
docker_image: example/python:1
{more}pages:
  - {{title: Overview, file: overview.md}}
tasks:
  - index: 0
    name: First
    scoring_program: scoring
    reference_data: truth
    ingestion_only_during_scoring: true
  - {{index: 1, name: Second, scoring_program: scoring, reference_data: truth, input_data: inputs.zip}}
phases:
  - name: Open
    index: 0
    start: 2026-01-01 08:30:15
    end: 2026-06-01
    tasks: [0, 1]
    starting_kit: kit
    public_data: kit
  - {{name: Final, index: 1, start: 2026-06-02, tasks: [1], auto_migrate_to_this_phase: true}}
solutions:
  - {{index: 0, path: solution, tasks: [0]}}
leaderboards:
  - title: Board
    key: board
    primary_index: 1
    columns:
      - {{title: Score, key: score, index: 0}}
      - {{title: Time, key: time, index: 1, sorting: asc}}
"""
FILES = {
    "logo.png": placeholder_logo("wheat"),
    "terms.md": b"Be fair.\n",
    "overview.md": b"# Wheat\n",
    "scoring/metadata": b"command: python3 $program/score.py\n",
    "scoring/score.py": b"",
    "truth/labels.csv": b"SECRET-LABELS\n",
    "kit/readme.md": b"Start here.\n",
    "solution/answer.csv": b"1\n",
}


def zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def bundle(more: str = "", files: Mapping[str, bytes] | None = None, text: str | None = None) -> bytes:
    everything = {**FILES, "inputs.zip": zipped({"x.csv": b"1\n"}), **(files or {})}
    return zipped({**everything, "competition.yaml": (text or YAML.format(more=more)).encode()})


def uploaded(site: Site, actor: Actor, data: bytes, *, role: DataRole = DataRole.COMPETITION_BUNDLE) -> Dataset:
    """A data set with these bytes."""
    assert actor.account is not None
    content = site.workspace.storage.put(data)
    key = str(uuid.uuid4())
    made = Dataset(
        key=key, owner=actor.account, type=role, name=f"{role.value} {key[:4]}", file_name="wheat.zip",
        size=len(data), content=content, created_at=site.now(),
    )  # fmt: skip
    return site.db.add_dataset(made)


def unpacked(site: Site, actor: Actor, data: bytes) -> Job:
    """What came of uploading a bundle."""
    job = site.competitions.create(actor, uploaded(site, actor, data).key)
    return site.jobs.wait(actor, job.id, timeout=60)


def hosted(site: Site, actor: Actor, data: bytes | None = None, *, published: bool = False) -> str:
    """The id of a competition of this actor."""
    job = unpacked(site, actor, data or bundle())
    assert job.state is JobState.FINISHED, job.details
    assert job.result is not None
    if published:
        site.competitions.publish(actor, job.result, True)
    return job.result
