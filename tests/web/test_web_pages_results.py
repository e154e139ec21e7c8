"""The leaderboard as a page: for each reader, sorted and searched, as it is now, without what is hidden."""

from __future__ import annotations

import re

from board_lab import number, scored
from hosting_lab import YAML, bundle, hosted
from site_lab import person
from web_lab import browser

from codabench.site.actors import Actor
from codabench.site.site import Site

_CELL = re.compile(r"<t[hd][^>]*>(.*?)</t[hd]>", re.S)


def rows(page: str) -> list[list[str]]:
    """The texts of the table, row by row."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    cells = [[re.sub(r"<[^>]*>", "", cell) for cell in _CELL.findall(row)] for row in body.split("<tr")[1:]]
    return [[" ".join(cell.split()) for cell in row] for row in cells]


def names(page: str) -> list[str]:
    return [row[1] for row in rows(page)]


def competition(site: Site, *people: Actor, more: str = "", hide: str = "") -> tuple[str, str]:
    """The id and the address of a competition in which these take part."""
    text = YAML.format(more=f"registration_auto_approve: true\n{more}")
    text = text.replace("    key: board\n", f"    key: board\n    submission_rule: Force_Best\n{hide}")
    id = hosted(site, people[0], bundle(text=text), published=True)
    for each in people[1:]:
        site.registrations.register(each, id)
    return id, f"/competitions/{site.competitions.number(id)}/results/?phase=0"


def test_each_reader_sees_the_board_as_it_is_now(site: Site) -> None:
    ann, bob, eve = (person(site, name) for name in ("annie", "bobby", "carol"))
    id, at = competition(site, ann, bob, eve)
    made = scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1}, board=False)
    scored(site, id, eve, {"score": 0.25, "time": 1}, {"score": 0.125, "time": 2}, board=False)
    stranger, hers = browser(site), browser(site, eve)
    with stranger, hers:
        for _ in range(2):
            assert names(stranger.get(at).text) == ["carol", "bobby"]
            assert names(hers.get(at).text) == ["carol (you)", "bobby"]
        # All tasks, then each of both.
        assert rows(stranger.get(at).text)[1][-6:] == ["0.62", "2.00", "0.50", "3.00", "0.75", "1.00"]
        site.accounts.edit(bob, bob.account or 0, display_name="<b>Bob</b>")
        site.submissions.set_score(ann, number(site, made, 0), "time", 0.5)
        page = stranger.get(at).text
        assert names(page) == ["&lt;b&gt;Bob&lt;/b&gt;", "carol"]
        assert rows(page)[0][-3] == "0.50"


def test_sorted_and_searched(site: Site) -> None:
    ann, bob, eve = (person(site, name) for name in ("annie", "bobby", "carol"))
    id, at = competition(site, ann, bob, eve)
    scored(site, id, bob, {"score": 0.5, "time": 3}, {"score": 0.75, "time": 1}, board=False)
    scored(site, id, eve, {"score": 0.9, "time": 5}, None, board=False)
    with browser(site) as stranger:
        asked = {query: names(stranger.get(at + query).text) for query in ("", "&sort=time@0", "&sort=-time@0")}
        assert asked == {
            "": ["bobby", "carol"],
            "&sort=time@0": ["bobby", "carol"],
            "&sort=-time@0": ["carol", "bobby"],
        }
        assert names(stranger.get(at + "&sort=-score@1").text) == ["bobby", "carol"]  # without a value: the last
        assert names(stranger.get(at + "&sort=nothing").text) == ["bobby", "carol"]
        assert names(stranger.get(at + "&search=ARO").text) == ["carol"]
        assert "Nobody of that name" in stranger.get(at + "&search=nobody").text


def test_what_is_hidden_is_on_no_page(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id, at = competition(site, ann, bob, hide="    hidden: true\n")
    scored(site, id, bob, {"score": 0.987654, "time": 3}, {"score": 0.987654, "time": 1}, board=False)
    with browser(site) as stranger, browser(site, bob) as his, browser(site, ann) as hers:
        for each in (stranger, his):
            page = each.get(at).text
            assert "The leaderboard is hidden." in page
            assert "0.99" not in page
        assert names(hers.get(at).text) == ["bobby"]
