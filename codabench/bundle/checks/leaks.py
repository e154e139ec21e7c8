"""Reference data that participants are given: the same bytes in the data of a task or of its phase."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator

from codabench.bundle.checks.subject import Subject
from codabench.bundle.fields import shorten
from codabench.bundle.files import BundleFiles
from codabench.bundle.metadata import LITTER
from codabench.core.competition import DataSpec, TaskSpec
from codabench.core.problems import Problem, Severity
from codabench.core.text import plural

_LEAST = 33
"""Bytes; what is smaller is the same by chance."""
_MOST = 256 << 20
"""Bytes that are compared for one bundle."""
_MOST_FETCHED = 2 << 20
"""The same for one on a remote store."""
_HEAD = 1 << 16
_NO_ANSWERS = re.compile(
    r"(^|[/_.-])(readme|licen[cs]e|metadata|requirements|environment|info|features?|inputs?|x|public|samples?|examples?|"
    r"ids?|__init__)([_.-]|$)|\.(py|md|html?|pdf|ipynb|png|jpe?g|svg|sh|toml|cfg|ini)$|(^|/)\.",
    re.IGNORECASE,
)
"""Names of files that scoring programs and participants share without harm."""
_ANSWERS = re.compile(
    r"(^|[/_.-])(y|labels?|targets?|truth|answers?|solutions?|reference|ref|gold|expected|hidden)([_.-]|$)",
    re.IGNORECASE,
)
"""Names of files that hold answers, whatever else lies beside them."""
_WORDS = {"input_data": "input data", "public_data": "public data", "starting_kit": "starting kit"}


class _Comparison:
    """Which files of two trees are equal; what was hashed is not hashed again."""

    def __init__(self, files: BundleFiles) -> None:
        self._files = files
        self._left = _MOST_FETCHED if files.tree.far else _MOST
        self._digests: dict[tuple[str, str, int], bytes | None] = {}

    def shared(self, ours: str, theirs: str) -> list[tuple[str, str]]:
        """(file of `ours`, file of `theirs`) with the same bytes: of the same size, then beginning, then content.

        Scoring programs often need the input beside the answers. So where something is left of `ours` that is not
        shared, only what is called answers is taken for answers.
        """
        if not (self._files.at_hand(ours) and self._files.at_hand(theirs)):
            return []
        left = candidates = self._candidates(ours)
        if ours == theirs:
            return [(name, name) for name in left]
        right = [e.path for e in self._files.open(theirs).entries() if e.size >= _LEAST]
        keys: tuple[dict[str, object], dict[str, object]] = ({}, {})
        for key in (self._size, self._head, self._whole):
            keys = {n: key(ours, n) for n in left}, {n: key(theirs, n) for n in right}
            common = set(keys[0].values()) & set(keys[1].values()) - {None}
            left = [n for n in left if keys[0][n] in common]
            right = [n for n in right if keys[1][n] in common]
        by_content = {keys[1][name]: name for name in reversed(right)}
        found = [(name, by_content[keys[0][name]]) for name in left]
        return found if len(found) == len(candidates) else [pair for pair in found if any(map(_ANSWERS.search, pair))]

    def _candidates(self, path: str) -> list[str]:
        """Files that may be answers, the small ones first."""
        entries = [e for e in self._files.open(path).entries() if e.kind == "file" and e.size >= _LEAST]
        entries = [e for e in entries if not _NO_ANSWERS.search(e.path) and e.path.split("/")[0] not in LITTER]
        return [e.path for e in sorted(entries, key=lambda e: e.size)]

    def _size(self, path: str, name: str) -> int:
        return self._files.open(path).entry(name).size

    def _head(self, path: str, name: str) -> bytes | None:
        return self._digest(path, name, min(_HEAD, self._size(path, name)))

    def _whole(self, path: str, name: str) -> bytes | None:
        return self._digest(path, name, self._size(path, name))

    def _digest(self, path: str, name: str, size: int) -> bytes | None:
        """sha256 of the first `size` bytes of a file; None if that would be too much."""
        key = (path, name, size)
        if key not in self._digests:
            self._digests[key] = None
            if size <= self._left:
                self._left -= size
                digest = hashlib.sha256()
                with self._files.open(path).open(name) as file:
                    while size > 0 and (block := file.read(min(size, _HEAD))):
                        digest.update(block)
                        size -= len(block)
                self._digests[key] = digest.digest()
        return self._digests[key]


def check_leaks(subject: Subject) -> Iterator[Problem]:
    """Files of reference data that also lie in what participants, or their programs, are given."""
    comparison = _Comparison(subject.files)
    pairs: dict[tuple[str, str], str] = {}
    for task in subject.spec.tasks:
        reference = task.reference_data.path if task.reference_data else None
        for role, data in _given(subject, task):
            if reference and data.path:
                pairs.setdefault((reference, data.path), role)
    for (reference, given), role in pairs.items():
        if shared := comparison.shared(reference, given):
            ours, theirs = shared[0]
            more = f", and {plural(len(shared) - 1, 'more file')}" if len(shared) > 1 else ""
            known, open_ = _shown(reference, ours), _shown(given, theirs)
            yield Problem(
                code="CB504",
                severity=Severity.WARNING,
                message=f"reference data, {known}, also lies in the {_WORDS[role]} as {open_}{more}: it can be read",
                where=subject.place_of("reference_data", reference),
                also=(subject.place_of(role, given),),
                hint="leave the answers out of what is given away; if they are none, this can stay",
            )


def _shown(path: str, name: str) -> str:
    """A file of a tree; the tree may be the file itself."""
    return shorten(path if posixpath.basename(path) == name else posixpath.join(path, name))


def _given(subject: Subject, task: TaskSpec) -> Iterator[tuple[str, DataSpec]]:
    if task.input_data:
        yield "input_data", task.input_data
    for phase in subject.spec.phases:
        if task.index in phase.tasks:
            if phase.public_data:
                yield "public_data", phase.public_data
            if phase.starting_kit:
                yield "starting_kit", phase.starting_kit
