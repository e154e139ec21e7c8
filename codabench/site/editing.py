"""Competitions that are made of a document, or changed by one, while submissions keep their meaning."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from codabench.bundle.canonical import as_v2
from codabench.bundle.defined.data import made
from codabench.bundle.defined.logo import placeholder_logo
from codabench.bundle.document import to_document
from codabench.bundle.keys import parts_of, with_keys
from codabench.bundle.load import Bundle, read_tree
from codabench.core.competition import ColumnSpec, CompetitionSpec, DataSpec, LeaderboardSpec, PhaseSpec, TaskSpec
from codabench.core.errors import Invalid, NotFound, StateError
from codabench.core.hosting import Hosted
from codabench.core.people import Account
from codabench.site.actors import Actor
from codabench.site.documents import OF_SITE, Written, check_fields, phases_of, texts_of, written
from codabench.site.given import Given
from codabench.site.offers import task_facts
from codabench.site.pictures import narrow
from codabench.site.policy import Action
from codabench.site.unpacking import host
from codabench.storage.sources import Content, Overlay, TreeSource
from codabench.workspace.competition import Competition
from codabench.workspace.reopened import StoredBundle
from codabench.workspace.updating import update

if TYPE_CHECKING:
    from codabench.site.site import Site

_LOGO_WIDTH = 1200
_TRIES = 5
_WITH = {"terms": ("terms", "terms_file"), "phases": ("phases", "tasks", "solutions")}
"""Fields of the specification that change with one of the document."""


# ---------------------------------------------------------------------- making
def described(site: Site, actor: Actor, document: Mapping[str, Any], owner: int) -> str:
    """Make a competition of a document; returns its id.

    Raises
    ------
    Invalid
        ``CB802``: with messages for each field.
    """
    check_fields(document)
    about, given = _parted(site, document, owner)
    given.setdefault("image", None)
    given["image"] = given["image"] or placeholder_logo(str(given.get("title", "")))
    fields, files = texts_of(_drawn(given), ())
    indexes: dict[str, int | str] = {}
    phases = phases_of(given.pop("phases", ()), indexes, {})
    said = {name: value for name, value in given.items() if value is not None and name not in ("terms", "pages")}
    tasks = [{"index": index, "key": key} for key, index in indexes.items()]
    text = written({"version": 2, **said, **fields, "tasks": tasks, "phases": phases}, files)
    id = uuid.uuid4().hex
    tree = made("description", text.files)
    with Given(site, actor) as known, _read("a description", tree, known, text, indexes) as bundle:
        host(site, bundle, id, owner=owner, given=known, source="a description", about=about)
    return id


# ---------------------------------------------------------------------- changing
def edited(site: Site, actor: Actor, hosted: Hosted, changes: Mapping[str, Any]) -> None:
    """Change fields of a competition, all of them or none.

    Raises
    ------
    Invalid
        ``CB802``: with messages for each field.
    """
    check_fields(changes)
    about, given = _parted(site, changes, hosted.owner)
    if not isinstance(given.get("image"), bytes):
        given.pop("image", None)  # the name of the one that it has
    if given:
        _persist(lambda: _rewrite(site, actor, hosted, given))
    collaborators = about.pop("collaborators", None)
    if about:
        site.db.change_hosted(hosted.competition, **about)
    if collaborators is not None:
        site.db.set_collaborators(hosted.competition, collaborators, at=site.now())


def adopted(site: Site, actor: Actor, hosted: Hosted, key: str) -> int | str:
    """The index of a task in a competition; one that it does not have is added, and no phase uses it (R13).

    Raises
    ------
    NotFound
        There is no such task, or not for the actor.
    """
    spec = site.db.competition(hosted.competition)
    known = {task.key: task.index for task in spec.tasks}
    if key not in known:
        if not any(site.policy.allows(actor, Action.TASK_USE, task_facts(task)) for task in site.db.tasks([key])):
            raise NotFound("No Task matches the given query.")  # what clients know word by word
        _persist(lambda: _rewrite(site, actor, hosted, {}, also=key))
        spec = site.db.competition(hosted.competition)
        known = {task.key: task.index for task in spec.tasks}
    return known[key]


def renewed(site: Site, actor: Actor, hosted: Hosted, key: str) -> None:
    """Have a competition use a task as it is on the site now, for submissions that come; old scores stay."""
    _persist(lambda: _rewrite(site, actor, hosted, {}, anew=key))


def _persist(change: Callable[[], None]) -> None:
    """Make a change also where others change other fields at the same time."""
    for left in reversed(range(_TRIES)):
        try:
            change()
            return
        except StateError as error:
            if error.code != "CB717" or not left:
                raise


def _rewrite(
    site: Site,
    actor: Actor,
    hosted: Hosted,
    given: dict[str, Any],
    *,
    also: str | None = None,
    anew: str | None = None,
) -> None:
    """Read the bundle of a competition with changes in its description, and be what it says where it changed."""
    workspace, id = site.workspace, hosted.competition
    kept = workspace.trees.kept(id)
    said, files, indexes = _base(kept), kept.files, {task.key or "": task.index for task in kept.spec.tasks}
    old = set(indexes)
    replaced = _texts(kept.spec, given)
    tops = {entry.path.split("/")[0] for entry in Overlay(files, gone=replaced).entries()}
    fields, texts = texts_of(_drawn(given), tops)
    fields |= {name: value for name, value in given.items() if name not in ("terms", "pages", "image", "phases")}
    if "phases" in given:
        fields["phases"] = phases_of(given["phases"], indexes, _paths(kept.spec))
    if also is not None:
        phases_of([{"tasks": [also]}], indexes, {})
    new = [key for key in indexes if key not in old]
    if anew is not None:
        new.append(anew)
        said["tasks"] = [task for task in said["tasks"] if task["index"] != indexes[anew]]
    tasks = [*said["tasks"], *({"index": indexes[key], "key": key} for key in new)]
    text = written({**said, **fields, "tasks": tasks}, texts)
    tree = Overlay(files, files={path: Content.of_bytes(data) for path, data in text.files.items()}, gone=replaced)
    with Given(site, actor) as known, _read(kept.spec.title, tree, known, text, new) as bundle:
        assert bundle.spec is not None  # noqa: S101 - it has no errors
        touched = {name for field in given for name in _WITH.get(field, (field,))} | ({"tasks"} if new else set())
        keep = set(site.db.used(id).tasks) | ({indexes[also]} if also else set())
        bundle.spec = _changed(kept.spec, bundle.spec, touched, keep, None if anew is None else indexes[anew])
        competition = workspace.competition(id)
        update(workspace, competition, Competition(bundle), note="edited", before=kept)


def _base(kept: StoredBundle) -> dict[str, Any]:
    """What a competition says now, by the paths of its files."""
    spec = as_v2(kept.spec)[0] if kept.spec.format == "v1.5" else kept.spec
    plain, _ = with_keys(spec, None)
    return to_document(plain, kept.files.is_dir)


def _changed(
    before: CompetitionSpec, read: CompetitionSpec, touched: set[str], keep: set[int | str], anew: int | str | None
) -> CompetitionSpec:
    """The competition as it was, but for what was touched; tasks that nothing uses any more are left out.

    Parameters
    ----------
    keep
        Tasks that stay also where no phase has them: submissions were run on them.
    anew
        A task that is what it was read as, not what it was.
    """
    keys = {part.path: part.key for part in parts_of(before) if part.path}
    update = {name: getattr(read, name) for name in touched if name in CompetitionSpec.model_fields}
    if "phases" in touched:
        update["phases"] = tuple(_phase_with_keys(phase, keys, before) for phase in read.phases)
    if "leaderboards" in touched:
        update["leaderboards"] = _boards(read, before)
    if "tasks" in touched:
        had = {task.index: task for task in before.tasks if task.index != anew}
        places = {task.index: place for place, task in enumerate(before.tasks)}
        tasks = [had.get(task.index, task) for task in read.tasks]
        tasks.sort(key=lambda task: places.get(task.index, len(places)))
        used = {index for phase in update.get("phases", before.phases) for index in phase.tasks}
        update["tasks"] = _needed(tasks, used | keep)
        left = {task.index for task in update["tasks"]}
        there = [s.model_copy(update={"tasks": tuple(i for i in s.tasks if i in left)}) for s in before.solutions]
        update["solutions"] = tuple(solution for solution in there if solution.tasks)
    return before.model_copy(update=update)


def _needed(tasks: list[TaskSpec], wanted: set[int | str]) -> tuple[TaskSpec, ...]:
    return tuple(task for task in tasks if task.index in wanted)


def _phase_with_keys(phase: PhaseSpec, keys: Mapping[str, str | None], before: CompetitionSpec) -> PhaseSpec:
    parts: dict[str, Any] = {
        role: part.model_copy(update={"key": part.key or keys.get(part.path or "")})
        for role, part in phase.parts.items()
    }
    extras = before.phases[phase.index].extras if phase.index < len(before.phases) else {}
    return phase.model_copy(update={**parts, "extras": extras})


def _boards(read: CompetitionSpec, before: CompetitionSpec) -> tuple[LeaderboardSpec, ...]:
    """Leaderboards with what no document says of them, as it was; and those that are not used."""
    had = {board.key: board for board in before.leaderboards}
    found = []
    for board in read.leaderboards:
        old = had.get(board.key)
        columns = {column.key: column for column in old.columns} if old else {}
        kept = [_column(column, columns.get(column.key)) for column in board.columns]
        found.append(board.model_copy(update={"columns": tuple(kept), "extras": old.extras if old else {}}))
    unused = () if before.format == "v1.5" else before.leaderboards[1:]
    return (*found, *(board for board in unused if board.key not in {b.key for b in found}))


def _column(column: ColumnSpec, old: ColumnSpec | None) -> ColumnSpec:
    if old is None:
        return column
    same = (column.computation, column.computation_indexes) == (old.computation, old.computation_indexes)
    update = {"extras": old.extras, "computation_weights": old.computation_weights if same else ()}
    return column.model_copy(update=update)


# ---------------------------------------------------------------------- parts of both
@contextmanager
def _read(name: str, tree: TreeSource, known: Given, text: Written, tasks: Iterable[str]) -> Iterator[Bundle]:
    """What the reader of bundles makes of a document that names these tasks of the site, without errors."""
    known.check_tasks(tasks)
    bundle = read_tree(name, tree, sound=False, datasets=known)
    try:
        text.blame(bundle)
        yield bundle
    finally:
        bundle.close()


def _parted(site: Site, given: Mapping[str, Any], owner: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the site keeps, checked, and what goes into the specification."""
    about: dict[str, Any] = {}
    if "allow_robots" in given:
        about["allow_robots"] = given["allow_robots"] is True
    if "whitelist" in given:
        about["whitelist"] = _addresses(given["whitelist"] or ())
    if "report" in given:
        about["report"] = _address_of_web(given["report"])
    if "collaborators" in given:
        about["collaborators"] = frozenset(_people(site, given["collaborators"] or (), owner))
    return about, {name: value for name, value in given.items() if name not in OF_SITE}


def _addresses(given: Any) -> tuple[str, ...]:
    wrong = [each for each in given if not isinstance(each, str) or each.count("@") != 1 or len(each) > 320]
    if wrong:
        raise Invalid({"whitelist": f"{wrong[0]!r:.60} is no e-mail address."})
    return tuple(dict.fromkeys(each.strip().lower() for each in given))


def _address_of_web(given: Any) -> str | None:
    if not given:
        return None
    if not isinstance(given, str) or not given.startswith(("https://", "http://")) or len(given) > 2000:
        raise Invalid({"report": "Write an address that begins with https:// or http://."})
    return given


def _people(site: Site, given: Any, owner: int) -> list[int]:
    known: dict[int, Account] = {a.id: a for a in site.db.accounts(ids=[g for g in given if isinstance(g, int)])}
    wrong = [each for each in given if each not in known or not known[each].may_enter]
    if wrong:
        raise Invalid({"collaborators": f"There is no account {wrong[0]!r:.60}."})
    return [each for each in known if each != owner]


def _drawn(given: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a logo that was written anew: only what we have drawn is shown to others (security.md H06)."""
    image = given.get("image")
    if image is not None and not isinstance(image, bytes):
        raise Invalid({"image": "Give the bytes of a picture."})
    return {**given, **({"image": narrow(image, _LOGO_WIDTH, field="image")} if image else {})}


def _texts(spec: CompetitionSpec, given: Mapping[str, Any]) -> list[str]:
    """The files that are replaced and that nothing else names."""
    replaced: set[str] = set()
    if "pages" in given:
        replaced |= {page.file for page in spec.pages}
    if "terms" in given and spec.terms_file:
        replaced.add(spec.terms_file)
    if given.get("image") and spec.image:
        replaced.add(spec.image)
    stay = {page.file for page in spec.pages} if "pages" not in given else set()
    stay |= {spec.terms_file or ""} if "terms" not in given else set()
    stay |= {spec.image or ""} if not given.get("image") else set()
    return sorted(replaced - stay - _inside_data(spec))


def _inside_data(spec: CompetitionSpec) -> set[str]:
    """Pages and logos that are also part of a program or data set stay where they are."""
    folders = tuple(f"{part.path}/" for part in parts_of(spec) if part.path)
    texts = [page.file for page in spec.pages] + [path for path in (spec.image, spec.terms_file) if path]
    return {path for path in texts if f"{path}/".startswith(folders)}


def _paths(spec: CompetitionSpec) -> dict[str, str]:
    """Where data sets lie in the bundle that phases offer already, by their keys."""
    offered: list[DataSpec] = [part for phase in spec.phases for part in phase.parts.values()]
    return {part.key: part.path for part in offered if part.key and part.path}
