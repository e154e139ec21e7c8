"""The front page, lists of competitions, and what every page has."""

from __future__ import annotations

import re

import pytest
from hosting_lab import YAML, bundle, hosted
from page_rules import wrong_with
from pages_lab import Browser
from site_lab import Clock, close_site, make_site, person

from codabench._version import __version__
from codabench.site.actors import OPERATOR, Actor
from codabench.site.site import Site


@pytest.fixture
def alice(site: Site) -> Actor:
    return person(site, "alice")


def called(title: str, more: str = "") -> bytes:
    return bundle(text=YAML.format(more=more).replace("Wheat seeds", title))


def test_the_front_page_shows_what_is_published(site: Site, alice: Actor) -> None:
    nobody = Browser(site).open("/")
    assert "Nothing is published here yet" in nobody.words
    hosted(site, alice, called("<Seeds & straw>"), published=True)
    hosted(site, alice, called("CANARY"))
    site.accounts.edit(alice, alice.account or 0, display_name="Alice L.")
    nobody.open("/")
    assert "&lt;Seeds &amp; straw&gt;" in nobody.text
    assert "Alice L." in nobody.words
    assert "public competitions 1 people 1 submissions 0" in nobody.words
    for page in ("/", "/competitions/public/", "/competitions/public/?search=CANARY"):
        assert "CANARY" not in nobody.open(page).words, page
    assert "Organize one" not in nobody.words
    assert "Organize one" in Browser(site, alice).open("/").words


def test_the_list_is_searched_filtered_and_ordered(site: Site, alice: Actor, clock: Clock) -> None:
    bob = person(site, "bobby")
    hosted(site, alice, called("Wheat", "reward: 10 euros\n"), published=True)
    clock.forward(days=1)
    rye = hosted(site, alice, called("Rye"), published=True)
    site.registrations.register(bob, rye)
    me = Browser(site, bob).open("/competitions/public/")
    assert "2 found" in me.words
    assert me.words.index("Rye") < me.words.index("Wheat")
    assert "1 found" in me.press("Show", search="whe").words
    assert dict(me.form("Show")[0].fields)["search"] == "whe", "and the form says what was asked for"
    assert "2 found" in me.open("/competitions/public/?search=seeds+apart").words, "the description counts, too"
    assert "10 euros" in me.open("/competitions/public/").press("Show", reward="on").words
    assert "Rye" not in me.words
    assert "No competition is like that" in me.open("/competitions/public/").press("Show", organizing="on").words
    clock.forward(days=1)
    hosted(site, alice, called("Oats"), published=True)
    nobody = Browser(site).open("/competitions/public/?search=seeds")
    assert nobody.words.index("Oats") < nobody.words.index("Rye")
    nobody.press("Show", order="popular")
    assert nobody.words.index("Rye") < nobody.words.index("Oats"), "two take part"
    assert Browser(site).open("/competitions/public/?participating=on").path == "/accounts/login/"
    assert nobody.open("/competitions/public/?order=secret").status == 400
    assert nobody.open("/competitions/public/?page=0").status == 400


def test_the_search_of_every_page_leads_to_the_list(site: Site, alice: Actor) -> None:
    hosted(site, alice, published=True)
    me = Browser(site).open("/about/").press("Search", search="wheat")
    assert me.path == "/competitions/public/"
    assert "1 found" in me.words


def test_ones_own_lists(site: Site, alice: Actor) -> None:
    hosted(site, alice)
    me = Browser(site, alice).open("/competitions/")
    assert "not published" in me.words
    assert "Delete Wheat seeds" in me.text.replace('<span class="unseen">', "").replace("</span>", "")
    assert "Wheat seeds" in me.follow("I take part").words, "organizers take part"
    bob = person(site, "bobby")
    other = Browser(site, bob).open("/competitions/")
    assert "You organize none" in other.words
    assert "You take part in none" in other.open("/competitions/?tab=in").words
    assert Browser(site).open("/competitions/").path == "/accounts/login/"


def test_logos_are_shown_to_whom_the_competition_is(site: Site, alice: Actor) -> None:
    id = hosted(site, alice)
    page = f"/competitions/{site.competitions.number(id)}/logo/"
    shown = Browser(site, alice).client.get(page)
    assert shown.headers["content-type"] == "image/png"
    assert shown.content.startswith(b"\x89PNG")
    nobody = Browser(site).client
    assert nobody.get(page).status_code == 404
    assert nobody.get(page, params={"secret_key": site.db.hosted(id).secret_key}).status_code == 200


def test_the_foot_of_every_page(clock: Clock) -> None:
    site = make_site(clock, contact="help@example.org", title="A lab")
    me = Browser(site).open("/accounts/login/")
    foot = me.text.partition("<footer")[2]
    assert f"codabench {__version__}" in foot
    assert 'href="mailto:help@example.org"' in foot
    assert 'href="/api/docs/"' in foot
    assert "About A lab" in me.follow("About").words
    assert "Three cookies" in me.words
    close_site(site)


def test_colours_are_chosen_and_kept(site: Site) -> None:
    me = Browser(site).open("/about/")
    assert 'data-theme="auto"' in me.text
    me.press("Set", theme="dark")
    assert me.path == "/about/"
    assert 'data-theme="dark"' in me.text
    assert 'data-theme="dark"' in me.open("/").text
    me.client.cookies.set("theme", '"><script>')
    assert 'data-theme="auto"' in Browser(site).open("/").text
    assert "<script>" not in me.open("/").text
    assert me.client.post("/theme/", data={"theme": "purple", "next": "//evil"}).url.path == "/"


def test_files_that_cannot_change_are_not_asked_for_again(site: Site) -> None:
    me = Browser(site).open("/")
    named = re.findall(r'(?:href|src)="(/static/[^"]+)"', me.text)
    assert len(named) >= 3
    for each in named:
        assert "immutable" in me.client.get(each).headers["cache-control"], each
    for other in (named[0].partition("?")[0], f"{named[0]}0", "/static/upload.js", "/static/none.js?v=1"):
        assert "immutable" not in me.client.get(other).headers.get("cache-control", ""), other


def test_nobody_else_puts_words_on_a_page(site: Site) -> None:
    me = Browser(site)
    me.client.cookies.set("said", "eyJ0ZXh0IjoiQ0FOQVJZIn0.x")
    assert "CANARY" not in me.open("/").text
    foreign = Browser(site)
    until = site.now().replace(year=2100)
    ticket = foreign.client.app.state.signer.ticket("GET", {"text": "CANARY"}, until=until)  # type: ignore[attr-defined]
    foreign.client.cookies.set("said", ticket)
    assert "CANARY" not in foreign.open("/").text, "signed for something else"


def test_pages_of_failures(site: Site) -> None:
    me = Browser(site)
    assert me.open("/no/such/page/").status == 404
    assert "Not found" in me.words
    alice = person(site, "alice")
    banned = Browser(site, alice)
    site.accounts.ban(OPERATOR, alice.account or 0)
    assert banned.open("/").status == 403
    assert "banned" in banned.words
    assert "Log out" not in banned.text


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<h1>x</h1><input id='a'>", "no label"),
        ("<h1>x</h1><p id=a></p><p id=a></p>", "2 elements"),
        ("<h1>x</h1><form method=post></form>", "does not show"),
        ("<h1>x</h1><p style='color: red'></p>", "policy"),
        ("<h1>x</h1><button onclick='x()'></button>", "policy"),
        ("<h1>x</h1><script>x()</script>", "not ours"),
        ("<h1>x</h1><img src=x>", "without words"),
        ("<h1>x</h1><ul><li>x</ul></div>", "closes"),
        ("<h1>x</h1><p><form></form></p>", "ends before"),
        ("<p>x</p>", "0 headings"),
    ],
)
def test_what_is_wrong_with_a_page_is_found(page: str, said: str) -> None:
    assert any(said in each for each in wrong_with(page))
    assert wrong_with('<h1>x</h1><label for="a">A</label><input id="a"><img src="x" alt=""><ul><li>x</ul>') == []
