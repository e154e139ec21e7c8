"""Which runs a re-evaluation looks at: ``where``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

from codabench.core.errors import UsageError
from codabench.core.evaluations import Evaluated
from codabench.core.records import Status
from codabench.core.text import did_you_mean
from codabench.runner.reuse import ReuseMode

if TYPE_CHECKING:
    from codabench.workspace.handles import SubmissionHandle

Where = str | Mapping[str, Any] | Callable[["SubmissionHandle"], bool]
"""``"finished"``, ``"failed"``, ``"all"``; ``{"status": ..., "participants": [...], "submissions": [...]}`` with any of
these; or a function that is asked for each submission."""

_STATUSES: dict[str, frozenset[Status]] = {
    "finished": frozenset([Status.FINISHED]),
    "failed": frozenset([Status.FAILED]),
    "all": frozenset([Status.FINISHED, Status.FAILED, Status.CANCELLED]),
}
_KEYS = ("status", "participants", "submissions")


class Choice:
    """Says of each run whether it is looked at.

    Parameters
    ----------
    handles
        The submissions as a function is given them; asked for only then.

    Raises
    ------
    UsageError
        ``CB651``: it cannot be meant.
    """

    def __init__(self, where: Where, handles: Callable[[], Collection[SubmissionHandle]]) -> None:
        self._people: frozenset[str] | None = None
        self._submissions: frozenset[str] | None = None
        status: Any = "finished"
        if callable(where):
            status = "all"
            self._submissions = frozenset(handle.id for handle in handles() if where(handle))
        elif isinstance(where, str):
            status = where
        else:
            self._check(where)
            status = where.get("status", "finished")
            self._people = _words(where.get("participants"))
            self._submissions = _words(where.get("submissions"))
        word = str(status).lower()
        if word not in _STATUSES:
            raise _unknown("status", word, _STATUSES)
        self.statuses = _STATUSES[word]

    def _check(self, where: Mapping[str, Any]) -> None:
        for key in where:
            if key not in _KEYS:
                raise _unknown("choice", key, _KEYS)

    def takes(self, run: Evaluated) -> bool:
        """Whether a run is looked at, if it is over."""
        if run.status.is_final and run.status not in self.statuses:
            return False
        if self._people is not None and run.participant not in self._people:
            return False
        return self._submissions is None or not self._submissions.isdisjoint((run.submission, run.name))


def chosen(words: Collection[str]) -> Literal["finished"] | dict[str, Any]:
    """``status=failed``, ``participant=ada``, ``submission=x.zip``, as a command says it; each may come again.

    Raises
    ------
    UsageError
        ``CB651``: it cannot be meant.
    """
    found: dict[str, Any] = {}
    for word in words:
        key, _, value = word.partition("=")
        if not value:
            key, value = "status", word
        if key == "status":
            found[key] = value
        elif key in ("participant", "submission"):
            found.setdefault(f"{key}s", []).append(value)
        else:
            raise _unknown("choice", key, ("status", "participant", "submission"))
    return found or "finished"


def check_reuse(mode: str) -> None:
    """Whether there is such a mode.

    Raises
    ------
    UsageError
        ``CB651``: there is none.
    """
    if mode not in get_args(ReuseMode):
        raise _unknown("reuse", mode, get_args(ReuseMode))


def _words(value: Any) -> frozenset[str] | None:
    """Identifiers, names, or handles that have one."""
    if value is None:
        return None
    several = [value] if isinstance(value, str) or not isinstance(value, Collection) else value
    return frozenset(str(getattr(one, "id", one)) for one in several)


def _unknown(what: str, word: str, known: Collection[str]) -> UsageError:
    guess = did_you_mean(word, known)
    hint = f"did you mean {guess!r}?" if guess else None
    return UsageError(f"no {what} {word!r}; there are {', '.join(known)}", code="CB651", hint=hint)
