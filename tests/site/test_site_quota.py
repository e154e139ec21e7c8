"""Quotas: what people may store, what counts, what they can clean up."""

from __future__ import annotations

import io
import threading
from typing import Any

import pytest
from hosting_lab import bundle, unpacked, zipped
from site_lab import Clock, close_site, make_site, person
from submission_lab import competition, made, with_files
from upload_lab import ZIP, announced, sent

from codabench.core.errors import Invalid, NotFound, NotSignedIn, Refused
from codabench.core.hosting import JobState
from codabench.db.resources import WantedDatasets
from codabench.site.actors import ANONYMOUS, OPERATOR, Actor
from codabench.site.quota import Unneeded
from codabench.site.site import Site


def small(clock: Clock, quota: int, db: str | None = None) -> Site:
    return make_site(clock, db, quota=quota)


def test_what_is_announced_counts(clock: Clock) -> None:
    """platform.md P30: what was announced and did not come yet counts too, or one could announce without end."""
    site = small(clock, 2 * len(ZIP) + 1)
    alice, robert = person(site, "alice"), person(site, "robert")
    first = announced(site, alice)
    sent(site, alice)
    with pytest.raises(Invalid) as caught:
        announced(site, alice)
    assert caught.value.fields["data_file"][0].startswith("Insufficient space. ")
    announced(site, robert)
    assert site.quota.usage(alice).datasets == 2 * len(ZIP)
    announced(site, alice, b"x")
    site.datasets.delete(alice, first.key)
    announced(site, alice)
    close_site(site)


def test_an_own_quota_wins(clock: Clock) -> None:
    site = small(clock, 10)
    alice, root = person(site, "alice"), person(site, "admin", is_superuser=True)
    with pytest.raises(Invalid):
        announced(site, alice)
    site.accounts.set_quota(root, alice.account or 0, 1000)
    announced(site, alice)
    assert site.quota.usage(alice) == (1000, len(ZIP), 0)
    site.accounts.set_quota(root, alice.account or 0, 0)
    with pytest.raises(Invalid):
        announced(site, alice)
    close_site(site)


def test_of_uploads_that_fit_one_by_one_both_need_not_fit(clock: Clock, database: str | None) -> None:
    site = small(clock, 3 * len(ZIP), database)
    alice = person(site, "alice")
    came: list[Any] = []

    def announce() -> None:
        try:
            came.append(announced(site, alice))
        except Invalid as error:
            came.append(error)

    threads = [threading.Thread(target=announce) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(not isinstance(each, Invalid) for each in came) == 3
    close_site(site)


def test_what_submissions_put_out_counts(clock: Clock) -> None:
    site = make_site(clock)
    alice, robert = person(site, "alice"), person(site, "robert")
    id = competition(site, alice, robert, changed={"tasks: [0, 1]": "tasks: [0]"})
    shown = with_files(site, id, robert)
    use = site.quota.usage(robert)
    # One archive, one log and one page, however often they are named.
    assert (use.datasets, use.results) == (len(ZIP), len(ZIP) + len(b"said\n") + len(b"<h1>page</h1>"))
    site.submissions.delete(alice, shown.number)
    assert site.quota.usage(robert).used == 0
    close_site(site)


def test_who_is_told(site: Site) -> None:
    alice, mallory = person(site, "alice"), person(site, "mallory")
    root = person(site, "admin", is_superuser=True)
    for who in (mallory, ANONYMOUS):
        with pytest.raises((Refused, NotSignedIn)):
            site.quota.usage(who, alice.account)
    assert site.quota.usage(root, alice.account) == site.quota.usage(alice)
    reading = Actor(alice.account, "alice", scope="read")
    for who in (ANONYMOUS, OPERATOR, reading):
        for act in (
            site.quota.delete_unused_tasks,
            site.quota.delete_unused_datasets,
            site.quota.delete_unused_submissions,
            site.quota.delete_failed_submissions,
        ):
            with pytest.raises((Refused, NotSignedIn)):
                act(who)


def test_a_task_that_does_not_fit_is_not_there(clock: Clock) -> None:
    site = small(clock, 200)
    alice = person(site, "alice")
    text = b"name: Large\ndescription:\nscoring_program: {zip: scoring.zip}\n"
    scoring = zipped({"metadata": b"command: python3 score.py\n", "score.py": bytes(range(256))})
    with pytest.raises(Invalid, match="Insufficient space"):
        site.tasks.upload(alice, io.BytesIO(zipped({"task.yaml": text, "scoring.zip": scoring})))
    assert site.tasks.list(alice).total == site.datasets.list(alice).total == 0
    close_site(site)


def test_clean_up(site: Site) -> None:
    """platform.md P31, and section 6, 13 and 14."""
    alice, robert = person(site, "alice"), person(site, "robert")
    id = competition(site, alice, robert, changed={"tasks: [0, 1]": "tasks: [0]"})
    files, other = site.datasets.files(alice, id), unpacked(site, alice, bundle())
    assert other.state is JobState.FINISHED
    used = made(site, robert, id)
    failed = with_files(site, id, robert, fails=True)
    free = sent(site, robert)
    coming = announced(site, robert)
    sent(site, alice, role="input_data")
    nothing = Unneeded(0, 0, 0, 0)
    assert site.quota.cleanup(alice) == nothing._replace(datasets=1)
    assert site.quota.cleanup(robert) == nothing._replace(submissions=1, failed=1)

    assert site.quota.delete_unused_datasets(robert) == site.quota.delete_unused_tasks(robert) == 0
    assert site.quota.delete_unused_submissions(robert) == 1
    with pytest.raises(NotFound):
        site.datasets.get(robert, free.key)
    assert site.quota.delete_failed_submissions(robert) == 1
    assert site.quota.cleanup(robert) == nothing
    assert [s.number for s in site.submissions.list(robert)] == [used.number]
    assert [s.number for s in site.submissions.list(robert, deleted=True)] == [failed.number, used.number]
    left = site.datasets.list(robert, WantedDatasets(order="oldest")).items
    assert len(left) == 2
    assert left[-1].key == coming.key

    assert site.quota.delete_unused_datasets(alice) == 1
    site.competitions.delete(alice, other.result or "")
    counts = site.quota.cleanup(alice)
    assert (counts.tasks, counts.datasets) == (2, 2)  # its kit and its solution are no part of a task
    assert site.quota.delete_unused_tasks(alice) == 2
    many = site.quota.cleanup(alice).datasets
    assert many > 3
    assert site.quota.delete_unused_datasets(alice) == many
    assert site.quota.cleanup(alice) == nothing
    # What the competition has that is still there is all there.
    assert site.datasets.files(alice, id) == files
