"""Addresses and forms that nobody's browser sends: they are answered, and nothing breaks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import pytest
from board_lab import scored
from pages_lab import Browser
from site_lab import person
from submission_lab import competition

from codabench.site.site import Site
from codabench.web.routing import routes_of

ODD = ["99999999999999999999", "-1", "%00", "%ff", "a%2f..%2fb", "x" * 300]
QUERIES = [
    "page=99999999999999999999",
    "page=1000000",
    "search=%00%ff%F0%9F%92%A9",
    "id=99999999999999999999",
    "id=x&id=",
    "order=%00&type=%00&tab=%00&flag=%00&status=%00&sort=%00",
    "next=%00%0d%0aset-cookie:x",
    "since=0001-01-01&until=9999-12-31&every=day",
    "secret_key=%00&key=%00",
]
FIELDS = [
    "username",
    "email",
    "password",
    "repeated",
    "terms",
    "next",
    "theme",
    "display_name",
    "biography",
    "personal_url",
    "forum",
    "name",
    "scope",
    "days",
    "type",
    "description",
    "license",
    "is_public",
    "data",
    "published",
    "public",
    "verified",
    "shared_with",
    "scoring_program",
    "input_data",
    "is_staff",
    "quota",
    "banned",
    "featured",
    "closed",
    "text",
    "search",
    "status",
    "message",
    "reason",
    "task",
    "score",
    "phase",
    "fact_sheet",
]
VALUES = ["", "\x00\ud7ff\U0010ffff", "9" * 400, "on"]


def paths(site_client: Browser, verb: str) -> Iterator[str]:
    for route in routes_of(site_client.client.app):  # type: ignore[arg-type]
        if verb in (route.methods or ()) and not route.path.startswith(("/api/", "/files/", "/uploads/")):
            yield route.path


@pytest.fixture
def me(site: Site) -> Browser:
    root = person(site, "admin1", is_superuser=True)
    bob = person(site, "bobby")
    scored(site, competition(site, root, bob), bob, {"score": 0.5, "time": 2.0}, None)
    return Browser(site, root)


def test_odd_addresses_are_answered(site: Site, me: Browser) -> None:
    nobody, answers = Browser(site), Counter[int]()
    broken = []
    for path in paths(me, "GET"):
        urls = {re.sub(r"\{[^}]*\}", odd, path) for odd in ODD}
        urls |= {f"{re.sub(r'{[^}]*}', '1', path)}?{query}" for query in QUERIES}
        tries = [(me, url) for url in sorted(urls)] + [(nobody, re.sub(r"\{[^}]*\}", ODD[0], path))]
        for browser, url in tries:
            status = browser.client.get(url, follow_redirects=False).status_code
            answers[status] += 1
            if status >= 500:
                broken.append((url, status))
    assert broken == []
    assert min(answers[each] for each in (200, 303, 400, 404)) > 20


@pytest.mark.parametrize("value", VALUES)
def test_odd_forms_are_answered(site: Site, me: Browser, value: str) -> None:
    csrf = dict(me.open("/about/").form("Log out")[0].fields)["csrf"]
    broken = []
    for path in paths(me, "POST"):
        if path in ("/accounts/logout/", "/admin/maintenance/") or "/delete/" in path:
            continue  # nothing would be left to try
        url = re.sub(r"\{[^}]*\}", "1", path)
        fields = {**dict.fromkeys(FIELDS, value), "csrf": csrf}
        for kind in ({"data": fields}, {"data": fields, "files": {"data": ("", b""), "photo": (value[:9], b"x")}}):
            status = me.client.post(url, follow_redirects=False, **kind).status_code  # type: ignore[arg-type]
            if status >= 500:
                broken.append((url, status))
    assert broken == []
