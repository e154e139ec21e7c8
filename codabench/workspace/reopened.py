"""A competition that a workspace keeps, seen as the bundle that it came as: its trees come from storage.

Beside its programs and data a workspace keeps two trees of a competition: the files of the bundle that are neither
(`FILES`: its description, pages, logo, whatever else lies there), and one small file that says how all of them lie in
the bundle (`LAYOUT`). No part of a bundle is stored twice, but for programs of version 1.5: as they came, and as
CodaLab unpacked them (ADR 0027).
"""

from __future__ import annotations

import posixpath
import tempfile
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from codabench.bundle.datasets import plain_key
from codabench.bundle.defined.data import made
from codabench.bundle.fields import is_uuid, shorten
from codabench.bundle.keys import parts_of
from codabench.bundle.load import Bundle, read_bundle, read_tree
from codabench.bundle.writer import save_bundle
from codabench.core.base import Record
from codabench.core.competition import CompetitionSpec, DataSpec, ProgramSpec
from codabench.core.errors import NotFound
from codabench.core.report import Report
from codabench.core.trees import TreeRef
from codabench.db.competitions import Kept
from codabench.storage.sources import Content, Overlay, TreeSource, remove_tree
from codabench.storage.store import Storage

FILES, LAYOUT = "/files", "/layout"
"""Under these names a workspace keeps the two; no path inside a bundle begins so."""
_NAME = "layout.json"

Lies = Literal["folder", "archive", "file"]


class Layout(Record):
    """How stored trees lie in a bundle.

    Attributes
    ----------
    kinds
        What lies at the path of a program or data set; of one inside another only the outer one.
    mounted
        Path -> key of what was given for the keys of data sets and tasks.
    added
        Name of a stored tree -> digest, as the bundle was when it was added last.
    gone
        Paths of files that are kept and lie there no more: what was made of them was replaced.
    updated_from
        The source of the bundle that replaced it; None: none did.
    """

    format: int = 1
    kinds: dict[str, Lies]
    mounted: dict[str, str] = {}
    added: dict[str, str] = {}
    gone: tuple[str, ...] = ()
    updated_from: str | None = None

    def tree(self) -> TreeSource:
        """To be stored."""
        return made("layout", {_NAME: self.model_dump_json().encode()})

    @classmethod
    def read(cls, storage: Storage, ref: TreeRef) -> Layout:
        """The layout that is stored there."""
        with storage.open_tree(ref) as tree:
            return cls.model_validate_json(tree.read_bytes(_NAME))


def keep_bundle(
    storage: Storage,
    bundle: Bundle,
    spec: CompetitionSpec,
    *,
    known: Mapping[str, TreeRef] | None = None,
    told: Callable[[float], None] | None = None,
) -> tuple[dict[str, TreeRef], Layout]:
    """Store everything that a bundle holds: its trees by name, without the layout, which comes back beside them.

    Parameters
    ----------
    known
        Trees that are stored already, by name.
    told
        Told before each tree how far it is, 0 to 1.

    Raises
    ------
    BundleError
        Something in it cannot be read, or a function cannot be exported.
    """
    parts = {name: part for part in parts_of(spec) if (name := part.tree) is not None}
    trees: dict[str, TreeRef] = {}
    for name, part in parts.items():
        if told is not None:
            told(len(trees) / len(parts))
        trees[name] = known[name] if known and name in known else storage.put_tree(bundle.tree(part))
    paths = sorted({part.path for part in parts.values() if part.path and not _unpacked(part)})
    outer = [path for path in paths if not any(path.startswith(f"{other}/") for other in paths)]
    trees[FILES] = storage.put_tree(Overlay(bundle.files, gone=outer))
    added = {name: ref.digest for name, ref in trees.items()}
    mounted = {path: key for path in bundle.mounted if (key := bundle.key_of(path))}
    return trees, Layout(kinds={path: _kind(bundle, path) for path in outer}, mounted=mounted, added=added)


def _unpacked(part: DataSpec) -> bool:
    """Whether what it names is one of the files, and only its tree is something else."""
    return isinstance(part, ProgramSpec) and part.unpacked


def _kind(bundle: Bundle, path: str) -> Lies:
    if bundle.files.is_dir(path):
        return "folder"
    return "file" if bundle.is_lone(path) else "archive"


class StoredBundle(Bundle):
    """The bundle of a competition that a workspace keeps.

    Attributes
    ----------
    kept
        What the workspace keeps of it.
    """

    def __init__(self, storage: Storage, kept: Kept) -> None:
        self.source, self.kept, self.storage = kept.source, kept, storage
        self.spec: CompetitionSpec = kept.spec
        self.format = kept.spec.format
        self._trees: dict[str, TreeSource] = {}
        self._stored: list[TreeSource] = []

    def __getattr__(self, name: str) -> Any:
        """`report` and `files`: what is stored is opened when somebody looks at them."""
        if name == "report":
            return self._report
        if name == "files":
            return self._all_files
        raise AttributeError(name)

    @cached_property
    def layout(self) -> Layout:
        """How its trees lie in it.

        Raises
        ------
        NotFound
            ``CB342``: the workspace ran submissions to it, and was never told to keep it.
        """
        if LAYOUT not in self.kept.trees:
            raise NotFound(
                f"not all files of {shorten(self.spec.title)} are kept here",
                code="CB342",
                hint=f"keep it with its files: workspace.add(cb.load({self.source!r}))",
            )
        return Layout.read(self.storage, self.kept.trees[LAYOUT])

    # ------------------------------------------------------------------ trees
    def tree(self, spec: DataSpec) -> TreeSource:
        if spec.tree is None:
            raise NotFound(f"{shorten(str(spec.key))} is not in {shorten(self.source)}", code="CB304")
        return self._tree(spec.tree)

    def _tree(self, name: str) -> TreeSource:
        if name not in self._trees:
            ref = self.kept.trees.get(name)
            if ref is None:
                raise NotFound(f"{shorten(name)} of {shorten(self.spec.title)} is not stored here", code="CB342")
            stored = self.storage.open_tree(ref)
            self._stored.append(stored)
            came_packed = LAYOUT in self.kept.trees and self.layout.kinds.get(name) == "archive"
            # The archive of a folder is ours, and nobody's business.
            self._trees[name] = stored if came_packed else Overlay(stored)
        return self._trees[name]

    @cached_property
    def _all_files(self) -> TreeSource:
        kinds = self.layout.kinds
        files = {path: self._content(path, kind) for path, kind in kinds.items() if kind != "folder"}
        folders = {path: self._tree(path) for path, kind in kinds.items() if kind == "folder"}
        return Overlay(self._tree(FILES), files=files, folders=folders, gone=self.layout.gone)

    def _content(self, path: str, kind: Lies) -> Content:
        tree = self._tree(path)
        archive = Content.of_archive(tree) if kind == "archive" else None
        if archive is not None:
            return archive
        name = posixpath.basename(path)
        return Content(tree.entry(name).size, lambda: tree.open(name), lambda: tree.random_access(name))

    # ------------------------------------------------------------------ what lies at its paths
    def is_lone(self, path: str) -> bool:
        return self.layout.kinds.get(path) == "file"

    @property
    def mounted(self) -> tuple[str, ...]:
        return tuple(self.layout.mounted)

    def key_of(self, path: str) -> str | None:
        return self.layout.mounted.get(path)

    def given(self, key: str) -> TreeSource | None:
        wanted = plain_key(key) if is_uuid(key) else key
        path = next((path for path, known in self.layout.mounted.items() if known == wanted), None)
        if path is None:
            return None
        return self._tree(path) if self.layout.kinds.get(path) == "archive" else self.files.subtree(path)

    # ------------------------------------------------------------------ what is wrong with it
    @cached_property
    def _described(self) -> Bundle | None:
        """The bundle as its description says; None if its tasks have files of other names since they were revised."""
        read = read_tree(self.source, Overlay(self.files, gone=self.mounted), datasets=self.given)
        if read.spec == self.spec:
            return read
        read.close()
        return None

    @cached_property
    def _report(self) -> Report:
        if self._described is not None:
            return self._described.report
        # Every part of it was checked when it came.
        return Report(source=self.source, files=sum(entry.kind == "file" for entry in self.files.entries()))

    def report_at(self, target: str) -> Report:
        """As `Bundle.report_at`; of a competition that was revised: of the bundle that `save` would write."""
        if self._described is not None:
            return self._described.report_at(target)
        work = Path(tempfile.mkdtemp(prefix="codabench-"))
        try:
            save_bundle(self, work / "bundle")
            with read_bundle(work / "bundle", datasets=self.given, target=target) as written:
                return written.report.model_copy(update={"source": self.source})
        finally:
            remove_tree(work)

    def close(self) -> None:
        if self.__dict__.get("_described") is not None:
            self.__dict__["_described"].close()
        for tree in self._stored:
            tree.close()
