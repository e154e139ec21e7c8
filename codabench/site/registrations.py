"""Taking part in competitions (platform.md P01-P05, O45-O49, R04)."""

from __future__ import annotations

from typing import NamedTuple

from codabench.core.errors import Invalid, NotFound
from codabench.core.people import Account, Participation, ParticipationStatus
from codabench.leaderboard.exports import table
from codabench.site.actors import Actor
from codabench.site.competitions import Found
from codabench.site.part import Part
from codabench.site.policy import Action

_APPROVED, _PENDING = ParticipationStatus.APPROVED, ParticipationStatus.PENDING


class Participant(NamedTuple):
    """Somebody who applied."""

    participation: Participation
    account: Account


class Registrations(Part):
    """One application of each account to each competition, for ever."""

    def status(self, actor: Actor, competition: str, *, key: str = "") -> ParticipationStatus | None:
        """Where the actor's own application stands; None: there is none."""
        found = self.site.competitions.look(actor, competition, Action.COMPETITION_OPEN, key=key)
        return found.participation.status if found.participation else None

    def register(self, actor: Actor, competition: str, *, key: str = "") -> Participation:
        """Apply. Organizers, addresses of the white list and everybody where nobody decides are let in at once.

        Raises
        ------
        Invalid
            ``CB802``: the actor has applied before.
        """
        found = self.site.competitions.look(actor, competition, Action.COMPETITION_REGISTER, key=key)
        if actor.account is None:
            raise Invalid({"": "The operator of a host takes part in nothing."})
        account, now = self.db.account(actor.account), self.site.now()
        status = _APPROVED if self._at_once(found, account) else _PENDING
        made = self.db.add_participation(competition, actor.account, status, at=now)
        if made is None:
            raise Invalid({"": "You have applied to this competition before. One application is for ever."})
        self._tell_of_application(found, account, status)
        return made

    def _at_once(self, found: Found, account: Account) -> bool:
        hosted = found.hosted
        listed = account.email is not None and account.email.lower() in hosted.whitelist
        organizes = account.id in {hosted.owner, *hosted.collaborators}
        return organizes or listed or found.spec.registration_auto_approve

    def enrol(self, actor: Actor, competition: str, *, key: str = "") -> ParticipationStatus | None:
        """Let a robot in that asks whether it may submit, where robots are allowed; others stay what they are.

        One that was put out stays out.
        """
        found = self.site.competitions.look(actor, competition, Action.COMPETITION_OPEN, key=key)
        if (
            actor.account is not None
            and actor.scope == "write"
            and self.site.policy.allows(actor, Action.COMPETITION_ENROL, found.facts)
        ):
            return self.db.approve_participation(competition, actor.account, at=self.site.now()).status
        return found.participation.status if found.participation else None

    # ------------------------------------------------------------------ for organizers
    def participants(
        self,
        actor: Actor,
        competition: str,
        *,
        status: ParticipationStatus | None = None,
        text: str | None = None,
        deleted: bool = False,
    ) -> list[Participant]:
        """Who applied, in the order of their applications.

        Parameters
        ----------
        text
            A part of the name or of the address.
        deleted
            Also accounts that were deleted since.
        """
        self.site.competitions.look(actor, competition, Action.PARTICIPANTS_LIST)
        rows = self.db.participants(competition, status=status, containing=text or None, deleted=deleted)
        return [Participant(*row) for row in rows]

    def participant(self, actor: Actor, participation: int) -> Participant:
        """One who applied, by the number of the application."""
        _, known = self._known(actor, participation, Action.PARTICIPANTS_LIST)
        return Participant(known, self.db.account(known.account))

    def to_csv(self, actor: Actor, competition: str) -> str:
        """Who applied, as a table for spreadsheets."""
        rows = [
            (p.id, a.username, a.email or "", a.is_bot, p.status.value)
            for p, a in self.participants(actor, competition, deleted=True)
        ]
        return table([("ID", "Username", "Email", "Is Bot", "Status"), *rows])

    def decide(self, actor: Actor, participation: int, status: ParticipationStatus) -> Participation:
        """Let somebody in, or keep or put them out; both sides are told.

        Raises
        ------
        Invalid
            ``CB802``: it is that already, or an organizer would be put out.
        """
        found, before = self._known(actor, participation, Action.PARTICIPANTS_DECIDE)
        if status is not _APPROVED and before.account in {found.hosted.owner, *found.hosted.collaborators}:
            raise Invalid({"status": "Who organizes a competition takes part in it."})
        if not self.db.decide_participation(participation, status, at=self.site.now()):
            raise Invalid({"status": f"The status is {status.value} already."})
        self._tell_of_decision(found, self.db.account(before.account), status)
        return self.db.participation_numbered(participation)

    def mail(self, actor: Actor, participation: int, message: str) -> int:
        """Write to one participant; returns to how many it goes."""
        found, before = self._known(actor, participation, Action.PARTICIPANTS_MAIL)
        return self._written(found, [before.account], message)

    def mail_all(self, actor: Actor, competition: str, message: str, *, everybody: bool = False) -> int:
        """Write to those who take part; returns to how many it goes. Nobody sees who else gets it.

        Parameters
        ----------
        everybody
            Also those who wait, and who were kept out.
        """
        found = self.site.competitions.look(actor, competition, Action.PARTICIPANTS_MAIL_ALL)
        people = self.db.participants(competition, status=None if everybody else _APPROVED)
        return self._written(found, [account.id for _, account in people], message)

    def _known(self, actor: Actor, participation: int, action: Action) -> tuple[Found, Participation]:
        try:
            known = self.db.participation_numbered(participation)
            return self.site.competitions.look(actor, known.competition, action), known
        except NotFound:
            raise NotFound("there is no such participant, or not for you") from None

    # ------------------------------------------------------------------ mails
    def _written(self, found: Found, accounts: list[int], message: str) -> int:
        if not message.strip():
            raise Invalid({"message": "Write something."})
        subject = f"A message from the organizers of {found.spec.title}"
        return self.site.mail.tell(accounts, subject, self._body(found, message), wants="from_organizers")

    def _tell_of_application(self, found: Found, account: Account, status: ParticipationStatus) -> None:
        title, name = found.spec.title, account.username
        if status is _APPROVED:
            self._tell_of_decision(found, account, status)
            return
        self.site.mail.tell(
            _organizers(found),
            f"{name} asks to take part in {title}",
            self._body(found, f"{name} asks to take part in {title}. Let them in, or refuse, on its page."),
        )
        self.site.mail.tell(
            [account.id],
            f"You asked to take part in {title}",
            self._body(found, f"You asked to take part in {title}. Its organizers will decide."),
        )

    def _tell_of_decision(self, found: Found, account: Account, status: ParticipationStatus) -> None:
        title, name = found.spec.title, account.username
        said = {_APPROVED: "were let in to", ParticipationStatus.DENIED: "were refused for"}.get(status)
        if said is None:
            return
        theirs = "was" + said.removeprefix("were")
        self.site.mail.tell([account.id], f"You {said} {title}", self._body(found, f"You {said} {title}."))
        self.site.mail.tell(
            _organizers(found), f"{name} {theirs} {title}", self._body(found, f"{name} {theirs} {title}.")
        )

    def _body(self, found: Found, message: str) -> str:
        number = self.site.competitions.number(found.id)
        return f"{message}\n\n{self.site.settings.url}/competitions/{number}/\n"


def _organizers(found: Found) -> list[int]:
    return [found.hosted.owner, *sorted(found.hosted.collaborators)]
