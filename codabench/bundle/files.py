"""The files that a bundle names: found, confined to the bundle, looked into (contract.md 1.3, 1.5, 1.11)."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

from codabench.bundle.datasets import KeyedData, plain_key
from codabench.bundle.edits import mending, replaced
from codabench.bundle.fields import Fields, is_uuid, shorten
from codabench.bundle.metadata import LITTER, METADATA, read_metadata
from codabench.bundle.nodes import Node, Scalar
from codabench.core.competition import DataSpec, ProgramSpec
from codabench.core.errors import ArchiveError, BundleError
from codabench.core.problems import Location, Problem
from codabench.core.text import did_you_mean, human_size
from codabench.storage.sources import ArchiveLimits, Content, Overlay, TreeSource, zip_in

MAX_PAGE = 16 << 20
MAX_LOOK = 64 << 20
"""An archive inside an archive that is larger than this is recognised by its first bytes, not unpacked, for a check."""
MAX_FETCH = 1 << 20
"""The same for one that lies on a remote store."""
_OUTSIDE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|[/~\\]")
_ENCODING = "save it with the encoding UTF-8"
_ZIP = (b"PK\3\4", b"PK\5\6")


class BundleFiles:
    """The files of one bundle; what several tasks share is looked at once.

    Parameters
    ----------
    limits
        One budget for the bundle and the archives in it (security.md Z07).
    datasets
        What stands for data sets that are named by key. Closed together with this object.

    Attributes
    ----------
    tree
        The files of the bundle, and those of data sets that it names by key.
    folder
        Where references are looked up: the top, or the folder of a task that stands for a key.
    limits, datasets
        As given.
    unpack
        What the format of the bundle does to programs after they are unpacked; None: nothing.
    """

    def __init__(
        self, tree: TreeSource, limits: ArchiveLimits = ArchiveLimits.OWN, datasets: KeyedData | None = None
    ) -> None:
        self.tree = self._bundle = tree
        self.limits, self.datasets = limits, datasets or KeyedData()
        self.folder = ""
        self._mounted: dict[str, str] = {}
        self._put_files: dict[str, Content] = {}
        self._put_folders: dict[str, TreeSource] = {}
        left = max(0, limits.inflated_bytes - tree.total_size)
        self._limits = limits.model_copy(update={"inflated_bytes": left})
        self.unpack: Callable[[TreeSource, ArchiveLimits], TreeSource] | None = None
        self._opened: dict[str, TreeSource | ArchiveError] = {}
        self._programs: dict[str, TreeSource] = {}
        self._names: list[str] | None = None
        self._told: set[str] = set()

    def close(self) -> None:
        """Release what was opened inside the bundle, not the bundle itself."""
        for program in self._programs.values():
            program.close()
        self._programs.clear()
        for opened in self._opened.values():
            if isinstance(opened, TreeSource):
                opened.close()
        self._opened.clear()
        self.datasets.close()

    # ------------------------------------------------------------------ trees
    def open(self, path: str) -> TreeSource:
        """A directory of the bundle, or the archive that a file of it is.

        Raises
        ------
        ArchiveError
            The file is not an archive that can be used.
        """
        if path not in self._opened:
            try:
                self._opened[path] = self._outer(path) or self._inner(path)
            except ArchiveError as error:
                self._opened[path] = error
        opened = self._opened[path]
        if isinstance(opened, ArchiveError):
            raise opened
        return opened

    def open_program(self, path: str) -> TreeSource:
        """As `open`, in the way that the format unpacks programs."""
        tree = self.open(path)
        if self.unpack is None:
            return tree
        if path not in self._programs:
            self._programs[path] = self.unpack(tree, self._limits)
        return self._programs[path]

    def _outer(self, path: str) -> TreeSource | None:
        """What needs no unpacking: a folder, or a file that is data by itself."""
        if self.tree.is_dir(path):
            return self.tree.subtree(path)
        return self.tree.lone(path) if self.is_lone(path) else None

    def is_lone(self, path: str) -> bool:
        """Whether it is a file that neither says nor seems to be an archive, such as a CSV file."""
        if self.tree.is_dir(path) or path.lower().endswith(".zip"):
            return False
        return self.tree.read_bytes(path, 4) not in _ZIP

    def _check_magic(self, path: str) -> None:
        if self.tree.read_bytes(path, 4) in _ZIP:
            return
        if path.lower().endswith(".zip"):
            raise ArchiveError(f"{shorten(path)} is not a zip file", code="CB307", hint="pack it again")
        message = f"{shorten(path)} is neither a folder nor a zip file"
        raise ArchiveError(message, code="CB307", hint="name the folder that holds it")

    def _inner(self, path: str) -> TreeSource:
        self._check_magic(path)
        return zip_in(self.tree, path, limits=self._limits)

    def at_hand(self, path: str) -> bool:
        """Whether it can be looked into without unpacking, or fetching, much of it first."""
        if self.tree.is_dir(path):
            return True
        most = MAX_FETCH if self.tree.far else MAX_LOOK
        return self.tree.entry(path).size <= most or self.tree.random_access(path) is not None

    # ------------------------------------------------------------------ references
    def data(
        self, fields: Fields, key: str, role: str, *, download: bool = False, by_key: bool = False
    ) -> DataSpec | None:
        """The data set that a key names; problems go to `fields`.

        Parameters
        ----------
        download
            It is offered to people as it is and never unpacked for a program: any file will do.
        by_key
            The value is the UUID of a data set, not a path.
        """
        node = fields.get(key)
        path = self.resolve(fields, node, role, by_key=by_key) if node is not None else None
        if path is None or node is None:
            return None
        if self.is_lone(path):
            if not download:
                message = f"the {role} is one file, {shorten(path)}, and taken as a folder that holds it"
                fields.warn("CB307", message, node, "put it into a folder: codabench.org unpacks folders and zips only")
        elif not self._usable(fields, node, path):
            return None
        return DataSpec(path=path, key=self._mounted.get(path))

    def program(self, fields: Fields, key: str, role: str, *, by_key: bool = False) -> ProgramSpec | None:
        """The program that a key names, with the commands of its metadata file."""
        node = fields.get(key)
        path = self.resolve(fields, node, role, by_key=by_key) if node is not None else None
        if path is not None and self.is_lone(path):
            message = f"the {role} {shorten(path)} is neither a folder nor a zip file"
            fields.error("CB307", message, node, "name the folder that holds it")
            return None
        if path is None or node is None or not self._usable(fields, node, path, always=True):
            return None
        tree = self.open_program(path)
        unpacked = tree is not self.open(path)
        if unpacked:
            self._tell(fields, f"{path}/", [_at(problem, path) for problem in tree.problems])
        metadata = read_metadata(tree, path)
        self._tell(fields, f"{path}/{metadata.file}", metadata.problems)
        if not metadata.commands:
            self._without_command(fields, node, role, tree, metadata.file)
        return ProgramSpec(
            path=path,
            key=self._mounted.get(path),
            commands=metadata.commands,
            metadata=metadata.file,
            unpacked=unpacked,
        )

    def resolve(self, fields: Fields, node: Node, role: str, *, by_key: bool = False) -> str | None:
        """The path inside the bundle that a value names, without slash at the end."""
        if not isinstance(node, Scalar):
            fields.error(
                "CB102", f"the {role} of {fields.what or 'the bundle'} must be a path", node, "name one file or folder"
            )
            return None
        written = node.text.strip()
        if by_key or (is_uuid(written) and not self.tree.exists(posixpath.join(self.folder, written))):
            what = f"the {role} of {fields.what or 'the task'} refers to a data set stored on another server"
            return self.by_key(fields, node, what, as_file=True)
        path = self.confine(fields, node, written)
        if path is None or self.tree.exists(path):
            return path
        folder = path.removesuffix(".zip")
        if folder != path and self.tree.is_dir(folder):
            if path not in self._told:
                message = f"{shorten(written)} is not in the bundle; the folder {folder}/ is taken"
                fix = mending(f"write {folder}/", replaced(fields.source, node, f"{folder}/"))
                fields.warn("CB303", message, node, f"write {folder}/", fix)
            self._told.add(path)
            return folder
        self._not_there(fields, node, f"{shorten(written)} is not in the bundle", path, folder)
        return None

    def confine(self, fields: Fields, node: Node, written: str) -> str | None:
        """`written` as a path relative to the root of the bundle, or None with a problem if it leads out."""
        path = posixpath.normpath(written) if written else ""
        if "\0" in written or _OUTSIDE.match(written) or path.split("/")[0] == "..":
            what = "leaves the bundle" if ".." in path else "is not inside the bundle"
            hint = f"paths are relative to {posixpath.basename(fields.source.file)} and stay below it"
            if "://" in written:
                hint = "download it into the bundle, and name its path there"
            fields.error("CB302", f"{shorten(written)} {what}", node, hint)
            return None
        if path in ("", "."):
            fields.error("CB310", f"{shorten(written)} is the bundle itself", node, "name a file or a folder in it")
            return None
        return posixpath.join(self.folder, path)

    def knows(self, node: Scalar) -> bool:
        """Whether something is given for the key that stands there, usable or not."""
        try:
            return is_uuid(node.text.strip()) and self.datasets.find(node.text.strip()) is not None
        except BundleError:
            return True

    def by_key(self, fields: Fields, node: Scalar, unknown: str, *, as_file: bool) -> str | None:
        """The path that a data set or task of a server has here, or None with a problem.

        Parameters
        ----------
        unknown
            What is told if nothing is given for the key.
        as_file
            Whether an archive stays a file, or becomes a folder.
        """
        key = node.text.strip()
        if not is_uuid(key):
            hint = "a key is a UUID such as 5d6c1f20-3a9b-4c58-9e70-1b2c3d4e5f01"
            fields.error("CB163", f"{shorten(key)} is not the key of a data set or task", node, hint)
            return None
        try:
            tree = self.datasets.find(key)
        except BundleError as error:
            fields.error(
                "CB165",
                f"what is given for {key} cannot be used: {error.message}",
                node,
                error.hint or "give another file",
            )
            return None
        if tree is None:
            hint = f"download it there; give it as --dataset {key}=PATH, or put it into the bundle and name its path"
            fields.error("CB304", f"{unknown}: {key}", node, hint)
            return None
        return self._mount(plain_key(key), tree, as_file=as_file)

    def _mount(self, key: str, tree: TreeSource, *, as_file: bool) -> str:
        """Put a data set among the files of the bundle, as what it was given: a folder, or an archive."""
        archive = Content.of_archive(tree) if as_file else None
        tops = {e.path.split("/")[0] for e in self._bundle.entries()}
        top = next((name for name in tops if name.casefold() == "datasets"), "datasets")
        path = posixpath.join(top, f"{key}.zip" if archive else key)
        while path not in self._mounted and self._bundle.exists(path):
            path = posixpath.join(posixpath.dirname(path), f"given-{posixpath.basename(path)}")
        if path not in self._mounted:
            self._mounted[path] = key
            if archive:
                self._put_files[path] = archive
            else:
                self._put_folders[path] = tree
            self.tree = Overlay(self._bundle, files=self._put_files, folders=self._put_folders)
        return path

    @property
    def mounted(self) -> tuple[str, ...]:
        """Where the data sets and tasks lie that were given for keys."""
        return tuple(self._mounted)

    def key_of(self, path: str) -> str | None:
        """The key that a data set was given for, if that is what lies there."""
        return self._mounted.get(path)

    def given(self, key: str) -> TreeSource | None:
        """The files that were given for a key."""
        return self.datasets.find(key)

    def _not_there(self, fields: Fields, node: Node, message: str, path: str, folder: str) -> None:
        guess = self._guess(path, folder)
        hint = f"did you mean {guess}?" if guess else "put it into the bundle, or correct the path"
        fix = mending(f"write {guess}", replaced(fields.source, node, guess), safe=False) if guess else None
        fields.error("CB301", message, node, hint, fix)

    def _guess(self, path: str, folder: str) -> str | None:
        if self.tree.is_file(f"{path}.zip"):
            return f"{path}.zip"
        if self._names is None:
            files = {e.path for e in self._bundle.entries()[:5000]}
            folders = {posixpath.dirname(name) for name in files} - {""}
            self._names = sorted(n for n in files | folders if not n.startswith("__MACOSX"))
        base = posixpath.basename(path)
        same = next((n for n in self._names if posixpath.basename(n).lower() == base.lower()), None)
        return same or did_you_mean(folder if len(folder) < 200 else base[:99], self._names)

    def _usable(self, fields: Fields, node: Node, path: str, *, always: bool = False) -> bool:
        """Whether a reference is a folder or a sound archive."""
        if self.tree.is_dir(path):
            return True
        try:
            if not always and not self.at_hand(path):
                self._check_magic(path)
                return True
            inner = self.open(path)
        except ArchiveError as error:
            code = error.code if error.code == "CB307" else "CB308"
            fields.error(code, error.message, node, error.hint)
            return False
        self._tell(fields, path, [_at(problem, path) for problem in inner.problems])
        if not always:
            self._warn_wrapped(fields, node, path, inner)
        return True

    @staticmethod
    def _warn_wrapped(fields: Fields, node: Node, path: str, inner: TreeSource) -> None:
        tops = {e.path.split("/")[0] for e in inner.entries()} - set(LITTER)
        if len(tops) == 1 and inner.is_dir(top := tops.pop()):
            message = f"everything in {shorten(path)} lies in one folder, {shorten(top + '/')}: programs find it there"
            fields.warn("CB311", message, node, "pack what is in the folder, if programs look for it at the top")

    def _tell(self, fields: Fields, path: str, problems: Iterable[Problem]) -> None:
        """Problems inside a tree: once, however many tasks use it."""
        if path not in self._told:
            self._told.add(path)
            fields.source.problems += problems

    def _without_command(self, fields: Fields, node: Node, role: str, tree: TreeSource, metadata: str | None) -> None:
        wrapped = [e.path for e in tree.entries() if e.path.count("/") == 1 and e.path.split("/")[1] in METADATA]
        hint = "add a file metadata.yaml at its top with a line: command: python3 program.py"
        if wrapped and not metadata:
            hint = f"the metadata is in {shorten(wrapped[0])}: pack what is in the folder, not the folder"
        why = f"its {metadata} has no command" if metadata else "it has no metadata file with a command"
        if role == "scoring program":
            message = f"the scoring program of {fields.what} will not run, no submission can be scored: {why}"
            fields.warn("CB401", message, node, hint)
        else:
            fields.warn("CB402", f"the {role} of {fields.what} will not run: {why}", node, hint)

    # ------------------------------------------------------------------ pages and logo
    def page(self, fields: Fields, key: str, node: Node, *, may_be_empty: bool = False) -> tuple[str, str] | None:
        """(path, text) of a page or of the terms."""
        path = self._file(fields, key, node)
        if path is None:
            return None
        if self.tree.entry(path).size > MAX_PAGE:
            fields.error(
                "CB305",
                f"{shorten(path)} is larger than {human_size(MAX_PAGE)}",
                node,
                "link to large pictures instead",
            )
            return None
        data = self.tree.read_bytes(path)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("utf-8-sig", "replace")
            fields.warn(
                "CB309", f"{shorten(path)} is not UTF-8 text; what cannot be read is shown as �", node, _ENCODING
            )
        if not text and not may_be_empty:
            fields.error("CB305", f"{shorten(path)} is empty", node, "write something into it")
            return None
        if not text.strip():
            fields.warn("CB305", f"there is nothing to read in {shorten(path)}", node, "write something into it")
        return path, text

    def logo(self, fields: Fields, key: str, node: Node) -> str | None:
        """The path of a picture, if it is one."""
        path = self._file(fields, key, node)
        if path and not _is_picture(self.tree.read_bytes(path, 16)):
            fields.error(
                "CB306", f"the logo {shorten(path)} is not a picture: it must be a JPEG, PNG or GIF", node, "convert it"
            )
            return None
        return path

    def _file(self, fields: Fields, key: str, node: Node) -> str | None:
        if not isinstance(node, Scalar):
            fields.error("CB102", f"{key} must be the path of a file", node, f"write {key}: name.md")
            return None
        path = self.confine(fields, node, node.text.strip())
        if path is None or self.tree.is_file(path):
            return path
        what = "is a folder, not a file" if self.tree.is_dir(path) else "is not in the bundle"
        self._not_there(fields, node, f"{shorten(node.text)} {what}", path, path)
        return None


def _is_picture(head: bytes) -> bool:
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a"))


def _at(problem: Problem, path: str) -> Problem:
    return problem.model_copy(update={"where": Location(file=path)})
