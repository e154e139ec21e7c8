"""What an organizer would want to know of a bundle that has no errors: warnings and notes, never a refusal.

Each check is a pure function over what was read. All of them keep silent when in doubt: a remark that is wrong costs
more trust than one that is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from codabench.bundle.checks.columns import check_directions, check_keys
from codabench.bundle.checks.description import check_dates, check_image
from codabench.bundle.checks.leaks import check_leaks
from codabench.bundle.checks.programs import check_programs
from codabench.bundle.checks.scalars import check_scalars
from codabench.bundle.checks.subject import Subject
from codabench.bundle.files import BundleFiles
from codabench.bundle.nodes import Mapping, Source
from codabench.core.competition import CompetitionSpec
from codabench.core.errors import ArchiveError, StorageError
from codabench.core.problems import Problem

CHECKS: tuple[Callable[[Subject], Iterator[Problem]], ...] = (
    check_directions,
    check_keys,
    check_image,
    check_dates,
    check_scalars,
    check_leaks,
    check_programs,
)


def check_sound(spec: CompetitionSpec, root: Mapping, source: Source, files: BundleFiles) -> list[Problem]:
    """Warnings and notes on a bundle that was read without errors."""
    subject = Subject(spec, root, source, files)
    found: list[Problem] = []
    for check in CHECKS:
        try:
            found += check(subject)
        except StorageError:
            raise
        except (ArchiveError, OSError):
            # A file that cannot be read is said when it is needed; a remark is not worth an error.
            continue
    return found
