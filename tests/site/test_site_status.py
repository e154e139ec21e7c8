"""What goes on: server status, figures, storage, maintenance."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from board_lab import scored, submitted
from hosting_lab import hosted
from site_lab import QUICK, Clock, close_site, person
from submission_lab import competition, with_files
from upload_lab import ZIP, sent

import codabench as cb
from codabench.backends.owner import myself
from codabench.core.errors import Invalid, NotSignedIn, Refused
from codabench.core.events import EventKind as K
from codabench.core.records import Outcome, Run, Status
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.settings import SiteSettings
from codabench.site.site import Site


# ---------------------------------------------------------------------- server status
def seen(site: Site, actor: Actor, **how: Any) -> list[str]:
    return [work.shown.id for work in site.status.work(actor, **how).items]


def test_everybody_finds_what_is_theirs(site: Site) -> None:
    """platform.md P32, A35; section 2.6."""
    alice, carol, robert, mallory = (person(site, name) for name in ("alice", "carol", "robert", "mallory"))
    root, staff = person(site, "admin", is_superuser=True), person(site, "staff", is_staff=True)
    robot = person(site, "robot", is_bot=True)
    first = competition(site, alice, robert, mallory, more="allow_robot_submissions: true\n")
    second = competition(site, carol, robert)
    site.competitions.edit(alice, first, {"collaborators": [carol.account]})
    ids = [
        submitted(site, id, who)
        for id, who in ((first, robert), (first, mallory), (second, robert))
    ][::-1]  # fmt: skip
    assert seen(site, robert) == [ids[0], ids[2]]
    assert seen(site, mallory) == [ids[1]]
    assert seen(site, alice) == ids[1:]
    assert seen(site, carol) == seen(site, root) == seen(site, OPERATOR) == ids
    assert seen(site, staff) == seen(site, robot) == []
    with pytest.raises(NotSignedIn):
        site.status.work(ANONYMOUS)
    page = site.status.work(root, page=1, size=2)
    assert (len(page.items), page.more) == (2, True)
    page = site.status.work(root, page=2, size=2)
    assert ([work.shown.id for work in page.items], page.more) == (ids[2:], False)


def carried_out(site: Site, run: Run, scores: dict[str, float], on: dict[str, str] | None = None) -> None:
    """A run is over that this process drove; its prediction took place on a worker."""
    at = max(run.created_at, datetime.now(UTC)) + timedelta(milliseconds=1)
    me: dict[str, Any] = {"attempt": f"a-{run.id}", "token": "t", "at": at}
    site.db.start_attempt(run.id, **me, holder=myself().label())
    if on is not None:
        site.db.append(run.id, [K.PREDICTION_STARTED], data=on, **me)
    site.db.append(run.id, [K.SCORING_STARTED], **me)
    site.db.append(run.id, [K.RUN_FINISHED], outcome=Outcome(status=Status.FINISHED, scores=scores), **me)


def test_where_it_ran(site: Site) -> None:
    alice = person(site, "alice")
    id = hosted(site, alice)
    waiting, done = submitted(site, id, alice), submitted(site, id, alice)
    first, second = site.db.runs_of(done)
    carried_out(site, first, {"score": 1.0, "time": 1.0}, on={"worker": "gpu-7"})
    carried_out(site, second, {"score": 1.0, "time": 1.0})
    rows = site.status.work(alice, children=True).items
    assert [(work.shown.id, work.shown.has_children, work.shown.task and work.shown.task.name) for work in rows] == [
        (done, True, None), (done, False, "First"), (done, False, "Second"),
        (waiting, True, None), (waiting, False, "First"), (waiting, False, "Second"),
    ]  # fmt: skip
    here = myself().machine.partition(":")[0]
    hosts = [(work.prediction_host, work.scoring_host) for work in rows[:4]]
    assert hosts == [("gpu-7", here), ("gpu-7", here), ("", here), ("", "")]
    assert {work.queue for work in rows} == {"*"}
    assert [work.shown.status for work in rows[:2]] == [Status.FINISHED] * 2


# ---------------------------------------------------------------------- figures
def test_analytics(site: Site, clock: Clock) -> None:
    root, alice = person(site, "admin", is_superuser=True), person(site, "alice")
    hosted(site, alice, published=True)
    clock.forward(days=31)
    robert = person(site, "robert")
    hosted(site, robert)
    found = site.status.analytics(root, date(2026, 2, 1), date(2026, 4, 30))
    # The clock begins on the first of March.
    assert [(p.begins.month, *p[1:4]) for p in found] == [(2, 0, 0, 0), (3, 2, 1, 1), (4, 1, 1, 0)]
    days = site.status.analytics(root, date(2026, 3, 1), date(2026, 3, 1), "day")
    assert [p[1:4] for p in days] == [(2, 1, 1)]
    weeks = site.status.analytics(root, date(2026, 3, 1), date(2026, 3, 2), "week")
    assert [(p.begins.isoformat(), p.users) for p in weeks] == [("2026-02-23", 2), ("2026-03-02", 0)]
    text = site.status.analytics_csv(root, date(2026, 3, 1), date(2026, 3, 31))
    assert text.splitlines()[0] == "Begins,Users,Competitions,Published,Submissions"
    assert text.splitlines()[1].startswith("2026-03-01,2,1,1,")


def test_published_competitions_as_a_table(site: Site) -> None:
    """platform.md A24; names cannot be formulas (security.md H07)."""
    alice, robert = person(site, "alice"), person(site, "robert")
    hosted(site, alice)
    id = competition(site, alice, robert, changed={"title: Wheat seeds": "title: =cmd()"}, more="reward: $100\n")
    submitted(site, id, robert)
    site.competitions.edit(alice, id, {"phases": [
        {"name": "Only", "start": "2026-01-01", "end": "2026-01-31", "tasks": [site.db.competition(id).tasks[0].key]},
    ]})  # fmt: skip
    (heads, row) = list(csv.reader(io.StringIO(site.status.published_csv(OPERATOR))))
    assert row[0] == "'=cmd()"
    found = dict(zip(heads[2:], row[2:], strict=True))
    number = site.competitions.number(id)
    assert found == {
        "Participants": "2", "Submissions": "1", "Year": "2026", "Phases": "1", "Reward": "$100", "Duration": "30",
        "URL": f"http://127.0.0.1:8000/competitions/{number}/",
    }  # fmt: skip


def test_submissions_are_counted_on_their_day(site: Site) -> None:
    alice = person(site, "alice")
    id = hosted(site, alice)
    scored(site, id, alice, {"score": 1.0, "time": 1.0}, None)
    today = datetime.now(UTC).date()
    (period,) = site.status.analytics(OPERATOR, today, today, "day")
    assert period.submissions == 1


@pytest.mark.parametrize(
    ("since", "until", "every"),
    [
        (date(2026, 1, 2), date(2026, 1, 1), "day"),
        (date(1, 1, 1), date(9999, 12, 31), "day"),
        (date(2026, 1, 1), date(2026, 1, 2), "hour"),
    ],
)
def test_spans_that_are_none(since: date, until: date, every: Any, site: Site) -> None:
    with pytest.raises(Invalid):
        site.status.analytics(OPERATOR, since, until, every)


def test_who_sees_figures(site: Site) -> None:
    day = date(2026, 1, 1)
    for who in (ANONYMOUS, person(site, "alice"), person(site, "staff", is_staff=True)):
        for ask in (
            lambda who: site.status.analytics(who, day, day),
            lambda who: site.status.analytics_csv(who, day, day),
            site.status.published_csv,
            lambda who: site.status.storage(who, "user"),
            lambda who: site.status.storage_csv(who, "user"),
            lambda who: site.status.orphans(who),
            lambda who: site.status.close_for_maintenance(who),
            lambda who: site.status.open_again(who),
        ):
            with pytest.raises((Refused, NotSignedIn)):
                ask(who)


def test_storage(site: Site) -> None:
    alice, robert = person(site, "alice"), person(site, "robert")
    id = competition(site, alice, robert, changed={"tasks: [0, 1]": "tasks: [0]"})
    with_files(site, id, robert)
    sent(site, robert, b"12345", "input_data", file_name="=cmd().csv")
    by_user = {use.name: use for use in site.status.storage(OPERATOR, "user")}
    assert by_user["robert"][1:] == (len(ZIP) + 5, len(ZIP), len(ZIP) + len(b"said\n") + len(b"<h1>page</h1>"))
    (mine,) = site.status.storage(OPERATOR, "competition")
    assert (mine.name, mine.submissions) == ("Wheat seeds", len(ZIP))
    assert site.status.storage_csv(OPERATOR, "competition").splitlines()[0] == "Name,Data,Submissions,Results"


def test_what_nobody_needs_goes_by_itself(tmp_path: Path, clock: Clock) -> None:
    ws = cb.Workspace(tmp_path / "lab", backend="process", dispatch=False)
    site = Site(ws, SiteSettings.model_validate(QUICK), now=clock)
    alice = person(site, "alice")
    gone, kept = sent(site, alice, b"gone", "input_data", file_name="a"), sent(site, alice)
    site.datasets.delete(alice, gone.key)
    blobs = [path for path in (tmp_path / "lab" / "blobs").rglob("*") if path.is_file()]
    for path in blobs:
        os.utime(path, (0, 0))  # written long ago
    site.tick()
    assert all(path.exists() for path in blobs), "the first time only begins to count"
    clock.forward(hours=23)
    assert site.status.sweep() is None
    assert len(site.status.orphans(OPERATOR).items) == 1
    clock.forward(hours=2)
    site.tick()
    assert gone.blob is not None
    assert kept.blob is not None
    assert {path.name for path in blobs if path.exists()} == {kept.blob.sha256}
    assert site.status.sweep() is None
    close_site(site)


def test_no_sweep_where_nobody_wants_it(site: Site) -> None:
    site.tick()
    assert site.db.said("swept") is None, "without accounts it is no site"
    person(site, "alice")
    site.settings = site.settings.model_copy(update={"sweep_days": None})
    site.tick()
    assert site.db.said("swept") is None
    site.settings = site.settings.model_copy(update={"sweep_days": 1})
    site.tick()
    assert site.db.said("swept")


# ---------------------------------------------------------------------- maintenance
def test_maintenance(site: Site) -> None:
    """platform.md V25, A25."""
    root, alice = person(site, "admin", is_superuser=True), person(site, "alice")
    assert site.status.maintenance(ANONYMOUS) is None
    site.status.close_for_maintenance(root, "  Back at noon. ")
    assert site.status.maintenance(ANONYMOUS) == site.status.maintenance(alice) == "Back at noon."
    assert site.status.maintenance(root) is None
    site.status.close_for_maintenance(OPERATOR)
    assert "later" in (site.status.maintenance(alice) or "")
    with pytest.raises(Invalid):
        site.status.close_for_maintenance(root, "x" * 2001)
    site.status.open_again(root)
    assert site.status.maintenance(alice) is None
