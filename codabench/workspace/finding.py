"""The competition, submission or run that somebody means; where it may be several, which ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from codabench.core.errors import NotFound
from codabench.core.records import Run, Submission
from codabench.core.text import did_you_mean, printable
from codabench.db.competitions import Competitions
from codabench.db.finding import SHORTEST, Finding

if TYPE_CHECKING:
    from codabench.db.database import Database

SHORT = 8
"""Characters of an id that people are shown."""


def short(id: str) -> str:
    """An id as people are shown it; at least four of its characters are enough to name it."""
    return id[:SHORT]


def the_competition(db: Competitions, wanted: str) -> str:
    """The id of the competition that is meant: by its id or its title, or the beginning of one of them.

    Raises
    ------
    NotFound
        There is none, or (``CB343``) it may be several; the message lists them.
    """
    there = dict(db.competitions())
    found = _competitions(there, wanted)
    if len(found) == 1:
        return found[0]
    if found:
        raise _refused("competition", wanted, [_competition(id, there[id]) for id in found])
    listed = ", ".join(f"{printable(title)!r} ({short(id)})" for id, title in there.items()) or "none"
    guess = did_you_mean(wanted, list(there.values()))
    hint = f"did you mean {printable(guess)!r}?" if guess else "name it by its title, or the beginning of its id"
    raise NotFound(f"there is no competition {printable(wanted)!r} here; there are: {listed}", hint=hint)


def _competitions(there: Mapping[str, str], wanted: str) -> list[str]:
    """The ids that may be meant, of competitions by id."""
    if wanted in there:
        return [wanted]
    titles = {id: title.casefold() for id, title in there.items()}
    called = [id for id, title in titles.items() if title == wanted.casefold()]
    if not called and len(wanted) >= SHORTEST:
        called = [id for id, title in titles.items() if title.startswith(wanted.casefold())]
    begun = [id for id in there if len(wanted) >= SHORTEST and id.startswith(wanted)]
    return list(dict.fromkeys([*called, *begun]))


def submission_or_competition(db: Database, wanted: str) -> Submission | str:
    """The submission that is meant, or the id of the competition.

    Raises
    ------
    NotFound
        See `the_submission`.
    """
    submissions, there = db.find_submissions(wanted), dict(db.competitions())
    competitions = _competitions(there, wanted)
    found: list[Submission | str] = [*submissions, *competitions]
    if len(found) == 1:
        return found[0]
    candidates = [*map(_said, submissions), *(_competition(id, there[id]) for id in competitions)]
    raise _refused("submission or competition", wanted, candidates)


def _competition(id: str, title: str) -> str:
    return f"competition {short(id)}  {printable(title)!r}"


def the_submission(db: Finding, wanted: str, competition: str | None = None) -> Submission:
    """The submission that is meant: by its id or the beginning of it, its name, or ``participant#number``.

    Raises
    ------
    NotFound
        There is none, or (``CB343``) it may be several; the message lists them.
    """
    found = db.find_submissions(wanted, competition)
    if len(found) == 1:
        return found[0]
    raise _refused("submission", wanted, [_said(each) for each in found])


def the_run(db: Finding, wanted: str) -> Run:
    """The run that is meant: by its id, or the beginning of it.

    Raises
    ------
    NotFound
        See `the_submission`.
    """
    found = db.find_runs(wanted)
    if len(found) == 1:
        return found[0]
    raise _refused("run", wanted, [_run(each) for each in found])


def run_or_submission(db: Finding, wanted: str) -> Run | Submission:
    """The run, or the submission, that is meant.

    Raises
    ------
    NotFound
        See `the_submission`.
    """
    runs, submissions = db.find_runs(wanted), db.find_submissions(wanted)
    found: list[Run | Submission] = [*submissions, *runs]
    if len(found) == 1:
        return found[0]
    raise _refused("run or submission", wanted, [*map(_said, submissions), *map(_run, runs)])


def _said(each: Submission) -> str:
    who = f"{printable(each.participant)}#{each.number}"
    return f"submission {short(each.id)}  {who}  {printable(each.name)!r}  {each.created_at:%Y-%m-%d %H:%M}"


def _run(each: Run) -> str:
    return f"run {short(each.id)}  of submission {short(each.submission)}, task {each.task}  {each.status.value}"


def _refused(what: str, wanted: str, candidates: Sequence[str]) -> NotFound:
    shown = printable(wanted)
    if candidates:
        listed = "\n  ".join([f"{shown!r} may mean {len(candidates)} things:", *candidates])
        return NotFound(listed, code="CB343", hint="write more of an id")
    ways = f"an id or its beginning ({SHORTEST} characters or more)"
    ways += "" if what == "run" else ", the name of a submission, or participant#number"
    return NotFound(f"there is no {what} {shown!r}", hint=f"name it by {ways}")
