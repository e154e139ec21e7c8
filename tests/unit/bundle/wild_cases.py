"""Cases of what real bundles hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from bundle_maker import GOOD, write
from test_bundle_v15 import OLD

from codabench.bundle.load import read_bundle
from codabench.core.competition import CompetitionSpec
from codabench.core.report import Report

KEY, OTHER = "b8a25ab3-5b0a-4a44-8d0e-6b4d1dcb2c2a", "b8a25ab3-5b0a-4a44-8d0e-6b4d1dcb2c2b"


class Case(NamedTuple):
    """A bundle, something that is read from it, and what that must be.

    `said`: the codes of all warnings and notes, in the order of the report.
    """

    name: str
    text: str | bytes
    seen: Callable[[CompetitionSpec], Any]
    value: Any
    said: tuple[str, ...] = ()
    files: Mapping[str, bytes | None] = {}


def line(*cases: Case) -> pytest.MarkDecorator:
    """One line of the list."""
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


def read(folder: Path, text: str | bytes, files: Mapping[str, bytes | None] = {}) -> tuple[CompetitionSpec, Report]:
    write(folder, "", **files)
    (folder / "competition.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with read_bundle(folder) as bundle:
        assert bundle.spec is not None, str(bundle.report)
        return bundle.spec, bundle.report


def check(case: Case, folder: Path) -> None:
    spec, report = read(folder, case.text, case.files)
    assert case.seen(spec) == case.value
    assert tuple(p.code for p in report) == case.said, str(report)


def v2(*pairs: tuple[str, str], more: str = "") -> str:
    return _changed(GOOD, pairs) + more


def v15(*pairs: tuple[str, str], more: str = "") -> str:
    return _changed(OLD, pairs) + more


def _changed(text: str, pairs: tuple[tuple[str, str], ...]) -> str:
    for before, after in pairs:
        assert before in text, before
        text = text.replace(before, after, 1)
    return text


def day(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc, arg-type]


def title(spec: CompetitionSpec) -> str:
    return spec.title


def starts(spec: CompetitionSpec) -> list[datetime]:
    return [phase.start for phase in spec.phases]


def ends(spec: CompetitionSpec) -> list[datetime | None]:
    return [phase.end for phase in spec.phases]


def names(spec: CompetitionSpec) -> list[str]:
    return [phase.name for phase in spec.phases]


def whole(spec: CompetitionSpec) -> tuple[str, int, int]:
    return spec.title, len(spec.tasks), len(spec.phases)


WHOLE = ("Small", 1, 2)


def paths(spec: CompetitionSpec) -> tuple[str | None, ...]:
    task = spec.tasks[0]
    parts = (task.scoring_program, task.ingestion_program, task.input_data, task.reference_data)
    return tuple(part and part.path for part in parts)


ORDINARY = ("scoring", "ingestion", "data", "data")
