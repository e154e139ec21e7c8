"""What goes on at a site: submissions and where they run, how much there was of what, storage, maintenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal, NamedTuple

from codabench.backends.owner import Owner
from codabench.core.errors import Invalid, NotSignedIn
from codabench.db.hosting import Wanted
from codabench.db.overviews import Carried
from codabench.db.postings import Sought
from codabench.leaderboard.exports import table
from codabench.site.actors import Actor, account_of
from codabench.site.lists import MOST
from codabench.site.part import Part
from codabench.site.policy import Action
from codabench.site.showing import Showing, Shown, items_of

if TYPE_CHECKING:
    from codabench.storage.sweep import Sweep

PAGE = 50
Every = Literal["day", "week", "month"]
_COUNTED = ("users", "competitions", "published", "submissions")
_LONGEST_SPAN = timedelta(days=3660)
_LONGEST_TEXT = 2000
_MAINTENANCE, _ANNOUNCED, _SWEPT = "maintenance", "announcement", "swept"


class Work(NamedTuple):
    """A submission, and where it is or was carried out (platform.md P32).

    Attributes
    ----------
    queue
        ``*``: the one of the site.
    prediction_host, scoring_host
        Machines or workers; empty: that did not begin, or there are several.
    """

    shown: Shown
    queue: str
    prediction_host: str
    scoring_host: str


class WorkPage(NamedTuple):
    """A page of a list, counted from 1; `more`: another one follows."""

    items: list[Work]
    number: int
    size: int
    more: bool


class Period(NamedTuple):
    """How much came within a day, a week from its Monday, or a month.

    Attributes
    ----------
    published
        Of the competitions, those that everybody may see.
    """

    begins: date
    users: int
    competitions: int
    published: int
    submissions: int


class Use(NamedTuple):
    """Bytes of somebody, or of a competition; what two have is stored once and counted for both."""

    name: str
    data: int
    submissions: int
    results: int

    @property
    def total(self) -> int:
        return self.data + self.submissions + self.results


class Status(Part):
    """Everybody finds what is theirs; those who run the site find all."""

    # ------------------------------------------------------------------ what runs
    def work(self, actor: Actor, *, page: int = 1, size: int = PAGE, children: bool = False) -> WorkPage:
        """One's own submissions and those to competitions one organizes, newest first; superusers find all.

        Parameters
        ----------
        children
            Also what submissions of several tasks are on each of them.

        Raises
        ------
        NotSignedIn
            ``CB801``: nobody is signed in.
        """
        if actor.is_anonymous:
            raise NotSignedIn("Authentication credentials were not provided.")
        page, size = max(1, page), max(1, min(size, MOST))
        sought = Sought(visible_to=None if actor.is_superuser else actor.account)
        postings = self.db.sought(sought, offset=(page - 1) * size, limit=size + 1)
        showing = Showing(self.site, actor, postings[:size])
        items = [
            item
            for posting in postings[:size]
            if (facts := showing.facts.get(posting.submission.id)) is not None
            and self.site.policy.allows(actor, Action.SUBMISSION_MONITOR, facts)
            for item in items_of(posting, children=children)
        ]
        runs = [showing.runs(item) for item in items]
        hosts = _hosts(self.db.carried_out([run.id for several in runs for run in several]))
        rows = [
            Work(shown, "*", *(_only(hosts.get((run.id, step), "") for run in own) for step in _STEPS))
            for own, shown in zip(runs, showing.make(items), strict=True)
        ]
        return WorkPage(rows, page, size, len(postings) > size)

    # ------------------------------------------------------------------ figures
    def analytics(self, actor: Actor, since: date, until: date, every: Every = "month") -> list[Period]:
        """How much came between two days, the last one included; days are those of UTC (platform.md A15).

        Raises
        ------
        Invalid
            ``CB802``: they are in the wrong order, or more than ten years apart.
        """
        self.site.policy.require(actor, Action.SITE_ANALYTICS)
        if every not in ("day", "week", "month"):
            raise Invalid({"every": "Say day, week or month."})
        if not timedelta(0) <= until - since <= _LONGEST_SPAN:
            raise Invalid({"until": "Choose a day after the first one, at most ten years later."})
        begin, end = (datetime.combine(day, time(), UTC) for day in (since, until + timedelta(days=1)))
        found: dict[date, Counter[str]] = {}
        for n in range((until - since).days + 1):
            found.setdefault(_begin(since + timedelta(days=n), every), Counter())
        for what, days in self.db.daily_counts(begin, end).items():
            for day, many in days.items():
                found[_begin(date.fromisoformat(day), every)][what] += many
        return [Period(begins, *(counts[what] for what in _COUNTED)) for begins, counts in found.items()]

    def analytics_csv(self, actor: Actor, since: date, until: date, every: Every = "month") -> str:
        """The same as a table for spreadsheets."""
        rows = [(each.begins.isoformat(), *each[1:]) for each in self.analytics(actor, since, until, every)]
        return table([("Begins", *(name.capitalize() for name in _COUNTED)), *rows])

    def published_csv(self, actor: Actor) -> str:
        """The published competitions as a table for spreadsheets, oldest first (platform.md A24).

        The duration is in days, of competitions that end.
        """
        self.site.policy.require(actor, Action.SITE_ANALYTICS)
        heads = ("Title", "Description", "Participants", "Submissions", "Year", "Phases", "Reward", "Duration", "URL")
        rows = []
        for each in self.db.listed(Wanted(published=True)):
            id = each.hosted.competition
            phases = self.db.competition(id).phases
            ends = phases[-1].end
            days = "" if ends is None else str((ends - phases[0].start).days)
            url = f"{self.site.settings.url}/competitions/{self.site.competitions.number(id)}/"
            about = each.participants, each.submissions, each.hosted.created_at.year, len(phases)
            rows.append((each.title, each.description, *about, each.reward or "", days, url))
        return table([heads, *rows])

    def storage(self, actor: Actor, by: Literal["competition", "user"]) -> list[Use]:
        """Who uses how much storage, largest first (platform.md A17, A18)."""
        self.site.policy.require(actor, Action.SITE_ANALYTICS)
        found: dict[str, Counter[str]] = {}
        for row in self.site.workspace.usage().rows:
            whose = row.competition if by == "competition" else row.user
            if whose:
                found.setdefault(whose, Counter())[row.kind] += row.size
        names = {} if by == "competition" else self._names(found)
        uses = [
            Use(names.get(whose, whose), sizes["data"], sizes["submission"], sizes["output"] + sizes["log"])
            for whose, sizes in found.items()
        ]
        return sorted(uses, key=lambda use: (-use.total, use.name))

    def storage_csv(self, actor: Actor, by: Literal["competition", "user"]) -> str:
        """The same as a table for spreadsheets."""
        return table([("Name", "Data", "Submissions", "Results"), *self.storage(actor, by)])

    def _names(self, participants: Iterable[str]) -> dict[str, str]:
        accounts = {account: name for name in participants if (account := account_of(name)) is not None}
        return {accounts[account]: name for account, name in self.db.usernames(set(accounts)).items()}

    # ------------------------------------------------------------------ what nobody needs
    def orphans(self, actor: Actor, *, delete: bool = False, verify: bool = False) -> Sweep:
        """What is stored and nothing names any more (platform.md A20, A21).

        Parameters
        ----------
        delete
            Remove it, where it is older than a day.
        verify
            Read everything that stays, and say what was changed.
        """
        self.site.policy.require(actor, Action.SITE_ADMINISTER)
        return self.site.workspace.gc(dry_run=not delete, verify=verify)

    def sweep(self) -> Sweep | None:
        """Remove such things every so many days; None: not now. The first time only begins to count.

        Where nobody has an account there is no site: others may keep something in the same storage.
        """
        days, now = self.site.settings.sweep_days, self.site.now()
        if days is None or self.site.workspace.forgets or not self.db.count_accounts():
            return None
        last = self.db.said(_SWEPT)
        if last is not None and now - datetime.fromisoformat(last) < timedelta(days=days):
            return None
        self.db.say(_SWEPT, now.isoformat())
        return None if last is None else self.site.workspace.gc(dry_run=False)

    # ------------------------------------------------------------------ what everybody is told
    def announcement(self, actor: Actor) -> str | None:
        """What the front page says before anything else, in Markdown; None: nothing."""
        return self.db.said(_ANNOUNCED)

    def announce(self, actor: Actor, text: str) -> None:
        """Have it say something, or nothing where the text is empty (platform.md V04, A12)."""
        self.site.policy.require(actor, Action.SITE_ADMINISTER)
        if len(text) > _LONGEST_TEXT:
            raise Invalid({"announcement": f"Write at most {_LONGEST_TEXT} characters."})
        self.db.say(_ANNOUNCED, text.strip() or None)

    # ------------------------------------------------------------------ maintenance
    def maintenance(self, actor: Actor) -> str | None:
        """What is shown instead of every page; None: the site is open to this actor. Administrators always come in."""
        return None if actor.is_superuser else self.db.said(_MAINTENANCE)

    def close_for_maintenance(self, actor: Actor, text: str = "") -> None:
        """Show a text instead of every page to everybody else (platform.md V25, A25)."""
        self.site.policy.require(actor, Action.SITE_ADMINISTER)
        if len(text) > _LONGEST_TEXT:
            raise Invalid({"text": f"Write at most {_LONGEST_TEXT} characters."})
        self.db.say(_MAINTENANCE, text.strip() or "This site is being worked on. Please come back a little later.")

    def open_again(self, actor: Actor) -> None:
        """End the maintenance."""
        self.site.policy.require(actor, Action.SITE_ADMINISTER)
        self.db.say(_MAINTENANCE, None)


_STEPS = ("prediction", "scoring")


def _hosts(carried: Sequence[Carried]) -> dict[tuple[str, str], str]:
    return {(each.run, each.step): str(each.place.get("worker") or "") or _machine(each.holder) for each in carried}


def _machine(holder: str | None) -> str:
    """The name of the machine of a process."""
    owner = Owner.of_label(holder or "")
    return owner.machine.partition(":")[0] if owner else holder or ""


def _only(hosts: Iterable[str]) -> str:
    """The one that there is."""
    found = {host for host in hosts if host}
    return found.pop() if len(found) == 1 else ""


def _begin(day: date, every: Every) -> date:
    if every == "month":
        return day.replace(day=1)
    return day - timedelta(days=day.weekday()) if every == "week" else day
