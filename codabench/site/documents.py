"""Competitions as plain values that people edit: the words of a bundle, with texts and keys instead of file names.

A document is read by the reader of bundles, so that one set of rules and messages holds for whatever way it comes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from codabench.bundle.canonical import as_v2
from codabench.bundle.document import to_document, to_text
from codabench.bundle.fields import is_uuid
from codabench.bundle.load import NAME, Bundle
from codabench.core.competition import (
    COMPETITION_FLAGS,
    ColumnSpec,
    CompetitionSpec,
    LeaderboardSpec,
    PhaseSpec,
)
from codabench.core.errors import Invalid
from codabench.core.hosting import Hosted
from codabench.core.problems import Problem

OF_SITE = ("allow_robots", "whitelist", "report", "collaborators")
"""What a site knows beside the specification, and organizers change."""

TEXTS = ("title", "description", "docker_image", "competition_type", "reward", "contact_email", "queue")
OF_BUNDLE = (*TEXTS, *COMPETITION_FLAGS, "terms", "pages", "image", "phases", "leaderboards", "fact_sheet")
"""What a bundle says, and organizers change."""

_DOWNLOADS = ("public_data", "starting_kit")
_INSIDE: dict[str, tuple[set[str], str | None, set[str]]] = {
    "pages": ({"title", "content"}, None, set()),
    "phases": (set(PhaseSpec.model_fields) - {"extras"}, None, set()),
    "leaderboards": (
        set(LeaderboardSpec.model_fields) - {"extras"},
        "columns",
        set(ColumnSpec.model_fields) - {"extras"},
    ),
}
"""The fields of the things in a list, and those of what lies in them."""


def document_of(hosted: Hosted, spec: CompetitionSpec) -> dict[str, Any]:
    """Everything that can be edited of a competition.

    Pages and terms are their texts; phases name tasks and data sets by key; `collaborators` are accounts.
    """
    base = as_v2(spec)[0] if spec.format == "v1.5" else spec
    said = to_document(base, lambda _path: False)
    keys = {task.index: task.key for task in spec.tasks}
    phases = [{**_known("phases", phase), "tasks": [keys[n] for n in phase["tasks"]]} for phase in said["phases"]]
    boards = said["leaderboards"] if spec.format == "v1.5" else said["leaderboards"][:1]
    return {
        **{name: said.get(name) for name in (*TEXTS, *COMPETITION_FLAGS)},
        "image": spec.image,
        "terms": spec.terms,
        "pages": [{"title": page.title, "content": page.content} for page in spec.pages],
        "phases": phases,
        "leaderboards": [_known("leaderboards", board) for board in boards],
        "fact_sheet": said.get("fact_sheet", {}),
        "allow_robots": hosted.allow_robots,
        "whitelist": list(hosted.whitelist),
        "report": hosted.report,
        "collaborators": sorted(hosted.collaborators),
    }


def _known(field: str, item: Mapping[str, Any]) -> dict[str, Any]:
    """A phase or a leaderboard without the keys that only its bundle knows: these stay, and are nobody's to edit."""
    fields, inner, inside = _INSIDE[field]
    found = {name: value for name, value in item.items() if name in fields}
    if inner is not None:
        found[inner] = [{name: value for name, value in each.items() if name in inside} for each in found[inner]]
    return found


def check_fields(given: Mapping[str, Any]) -> None:
    """Refuse fields that there are not, also inside: nobody changes what is not meant to be changed (W14).

    Raises
    ------
    Invalid
        ``CB802``: with a message for each.
    """
    wrong = {name: "There is no such field." for name in given if name not in (*OF_SITE, *OF_BUNDLE)}
    for name, (fields, inner, inside) in _INSIDE.items():
        items = given.get(name)
        if items is None or name in wrong:
            continue
        if not isinstance(items, (list, tuple)) or not all(isinstance(item, Mapping) for item in items):
            wrong[name] = "Give a list."
            continue
        found = {key for item in items for key in item if key not in fields}
        if inner is not None:
            found |= {key for item in items for each in item.get(inner) or () for key in each if key not in inside}
        if found:
            wrong[name] = f"There is no field {', '.join(sorted(map(str, found)))}."
    if wrong:
        raise Invalid(wrong)


# ---------------------------------------------------------------------- as the reader of bundles takes it
class Written(NamedTuple):
    """A document as a ``competition.yaml`` with its files.

    Attributes
    ----------
    places
        The first line of each field.
    files
        By path; with what the document says.
    """

    text: str
    places: list[tuple[int, str]]
    files: dict[str, bytes]

    def blame(self, bundle: Bundle) -> None:
        """Say which fields cannot be accepted.

        Raises
        ------
        Invalid
            ``CB802``: with the problems of the bundle, each at its field.
        """
        found: dict[str, list[str]] = {}
        for problem in bundle.report.errors:
            found.setdefault(self._field(problem), []).append(f"{problem.message} [{problem.code}]")
        if found:
            raise Invalid(found)

    def _field(self, problem: Problem) -> str:
        """Where it stands, or what it says is missing."""
        if problem.file == NAME and problem.line:
            field = next((name for line, name in reversed(self.places) if line <= problem.line), "")
            return "phases" if field == "tasks" else field
        return next((name for name in OF_BUNDLE if problem.message.startswith(f"{name} ")), "")


def written(document: Mapping[str, Any], files: Mapping[str, bytes]) -> Written:
    """A description in the words of a bundle, as text."""
    text, places = "", []
    for key, value in document.items():
        places.append((text.count("\n") + 1, key))
        text += to_text({key: _plain(value)})
    return Written(text, places, {**files, NAME: text.encode()})


def _plain(value: Any) -> Any:
    """What YAML has words for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def texts_of(given: Mapping[str, Any], taken: Iterable[str]) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Pages, terms and logo as a bundle has them: names of files, and the files.

    Parameters
    ----------
    given
        The fields that are new.
    taken
        Names at the top that other files have.
    """
    fields: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    used = {name.casefold() for name in taken}

    def put(stem: str, end: str, data: bytes) -> str:
        numbered = (f"{stem}-{n}{end}" for n in itertools.count(2))
        name = next(name for name in itertools.chain([stem + end], numbered) if name.casefold() not in used)
        used.add(name.casefold())
        files[name] = data
        return name

    if "terms" in given:
        fields["terms"] = put("terms", ".md", str(given["terms"] or "").encode())
    if "pages" in given:
        fields["pages"] = [
            {"title": page.get("title", ""), "file": put("page", ".md", str(page.get("content") or "").encode())}
            for page in given["pages"]
        ]
    if isinstance(given.get("image"), bytes):
        fields["image"] = put("logo", ".png", given["image"])
    return fields, files


def phases_of(
    phases: Iterable[Mapping[str, Any]], indexes: dict[str, int | str], paths: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Phases as a bundle has them: places for tasks, which get new ones in `indexes` where they are new.

    Parameters
    ----------
    indexes
        Of tasks by their keys.
    paths
        In the bundle, of data sets by their keys.
    """
    found = []
    numbers = (n for n in itertools.count() if n not in set(indexes.values()))
    for place, phase in enumerate(phases):
        named = {**phase, "index": place}
        if "tasks" in phase:
            named["tasks"] = [_index(key, indexes, numbers) for key in phase["tasks"] or ()]
        for role in _DOWNLOADS:
            if role in phase:
                named[role] = _named(role, phase[role], paths)
        found.append({key: value for key, value in named.items() if value is not None or key.startswith("max_")})
    return found


def _index(key: Any, indexes: dict[str, int | str], numbers: Iterable[int]) -> int | str:
    if not isinstance(key, str) or not is_uuid(key):
        raise Invalid({"phases": f"{key!r:.60} is not the key of a task."})
    if key not in indexes:
        indexes[key] = next(iter(numbers))
    return indexes[key]


def _named(role: str, key: Any, paths: Mapping[str, str]) -> str | None:
    """A data set by key, never by a path: somebody would be offered what is secret."""
    if key is None or key == "":
        return None
    if not isinstance(key, str) or not is_uuid(key):
        raise Invalid({"phases": f"{key!r:.60}, for the {role.replace('_', ' ')}, is not the key of a data set."})
    return paths.get(key, key)
