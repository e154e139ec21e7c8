"""What ``competition.yaml`` says and another machine would read differently: dates, images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from codabench.bundle.checks.subject import Subject
from codabench.bundle.dates import DateError, parse_date
from codabench.bundle.edits import dated, mending
from codabench.bundle.fields import shorten
from codabench.bundle.nodes import Mapping, Scalar, Sequence
from codabench.core.problems import Problem, Severity

_TIMESTAMP = re.compile(
    r"(\d{4}-\d{1,2}-\d{1,2})(?:[Tt]|[ \t]+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?"
)
"""What YAML 1.1 takes for a timestamp, of which codabench.org keeps the day (contract.md 1.6)."""
_OFFSET = re.compile(r"\d:\d\d(?::\d\d(?:\.\d+)?)?[ \t]*([-+]\d{1,2}:?(?:\d\d)?)$")


def check_image(subject: Subject) -> Iterator[Problem]:
    """An image whose name stands for another image tomorrow."""
    image = subject.spec.docker_image
    name, _, digest = image.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if digest or tag not in ("", "latest"):
        return
    key = "docker_image" if subject.spec.format == "v2" else "competition_docker_image"
    node = subject.root.get(key)
    if not isinstance(node, Scalar):
        return
    what = "has the tag latest" if tag else "has no tag"
    yield Problem(
        code="CB505",
        severity=Severity.NOTE,
        message=f"the image {shorten(image)} {what}: it may be another one tomorrow, and scores with it",
        where=subject.source.of(node),
        hint="name a version, such as python:3.12-slim, or a digest (image@sha256:...)",
    )


def check_dates(subject: Subject) -> Iterator[Problem]:
    """Moments of which codabench.org would keep the day only, or drop the offset."""
    if subject.spec.format != "v2":
        return  # such a bundle gets there by way of a converter, which writes dates that are kept
    phases = subject.root.get("phases")
    nodes = [
        node
        for phase in (phases.items if isinstance(phases, Sequence) else ())
        if isinstance(phase, Mapping)
        for key in ("start", "end")
        if isinstance(node := phase.get(key), Scalar)
    ]
    wrong = [(node, *both) for node in nodes if (both := moments(node)) and both[0] != both[1]]
    if not wrong:
        return
    node, meant, kept = wrong[0]
    more = f", and {len(wrong) - 1} more like it" if len(wrong) > 1 else ""
    yield Problem(
        code="CB509",
        severity=Severity.NOTE,
        message=f"codabench.org reads {node.text.strip()} as {kept:%Y-%m-%d %H:%M:%S} UTC{more}",
        where=subject.source.of(node),
        also=tuple(subject.source.of(other) for other, _, _ in wrong[1:4]),
        hint=f'write "{meant:%Y-%m-%d %H:%M:%S}", with quotes and in UTC: that is kept',
        fix=mending("put dates into quotes, in UTC", *(dated(subject.source, n, m) for n, m, _ in wrong)),
    )


def moments(node: Scalar) -> tuple[datetime, datetime] | None:
    """What a date means, and what codabench.org makes of it."""
    text = node.text.strip()
    meant, _ = parse_date(text, plain=node.plain)
    if meant is None:
        return None
    if node.plain and (match := _TIMESTAMP.fullmatch(text)):
        day = "-".join(part.zfill(2) for part in match[1].split("-"))
        return meant, datetime.fromisoformat(day).replace(tzinfo=UTC)
    if offset := _OFFSET.search(text):
        try:
            kept, _ = parse_date(text[: offset.start(1)], plain=False)
        except DateError:
            return None
        return (meant, kept) if kept else None
    return meant, meant
