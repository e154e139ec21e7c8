"""``codabench user``: accounts, for whoever runs the host of a site."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

import codabench as cb
from codabench.cli.app import app
from codabench.core.people import CredentialKind
from codabench.site.site import Site


class Ended(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        assert self.code == 0, self.err
        return json.loads(self.out)


class Host:
    """A directory in which the commands are typed."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __call__(self, *words: object, typed: str | None = None) -> Ended:
        env = {"CODABENCH_WORKSPACE": str(self.place), "COLUMNS": "120"}
        done = CliRunner().invoke(app, ["user", *map(str, words)], env=env, input=typed)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path / "lab")
    assert made("add", "alice", "--email", "Alice@example.org").code == 0
    return made


def test_an_account_is_made_listed_and_shown(host: Host) -> None:
    made = host("add", "robot", "--bot", "--password-stdin", "--json", typed="correct horse battery\n").document
    assert (made["username"], made["is_bot"], made["is_active"]) == ("robot", True, True)
    assert "password" not in made
    assert [each["username"] for each in host("list", "--json").document["accounts"]] == ["alice", "robot"]
    assert [each["username"] for each in host("list", "--flag", "bot", "--json").document["accounts"]] == ["robot"]
    listed = host("list").out.splitlines()
    assert listed[2].split()[:3] == ["1", "alice", "alice@example.org"]
    shown = host("show", "alice").out
    assert "alice@example.org" in shown
    assert "14.0 GiB" in shown
    assert host("show", 2, "--json").document["owns"] == {"competitions": [], "data sets": [], "tasks": []}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "Alice!"), "error[CB802]"),
        (("add", "alice"), "error[CB802]"),
        (("add", "bobby", "--email", "ALICE@example.org"), "error[CB802]"),
        (("show", "bobby"), "error[CB340]"),
        (("show", 99), "error[CB340]"),
        (("list", "--flag", "admin"), "error[CB353]"),
        (("quota", "alice", "much"), "error[CB353]"),
        (("token", "alice", "--days", -1), "error[CB802]"),
        (("delete", "alice"), "error[CB353]"),
    ],
)
def test_what_is_wrong_is_said(host: Host, words: tuple[object, ...], said: str) -> None:
    done = host(*words)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert [each["username"] for each in host("list", "--json").document["accounts"]] == ["alice"]


def test_flags_and_quota(host: Host) -> None:
    for flag in ("staff", "superuser", "bot"):
        assert host(flag, "alice", "--json").document[f"is_{flag}"]
    assert host("show", "alice").out.startswith("alice  (number 1, superuser, staff, bot)")
    assert not host("staff", "alice", "--off", "--json").document["is_staff"]
    assert host("quota", "alice", "2 GiB", "--json").document["quota"] == 2 * 1024**3
    assert "(its own)" in host("show", "alice").out
    assert host("quota", "alice", "none", "--json").document["quota"] is None


def test_the_only_superuser_stays(host: Host) -> None:
    host("superuser", "alice")
    for words in (("superuser", "alice", "--off"), ("ban", "alice"), ("delete", "alice", "--yes")):
        done = host(*words)
        assert done.code == 2
        assert "error[CB800]" in done.err


def test_banned_deleted_restored(host: Host) -> None:
    assert host("ban", "alice", "--json").document["banned_at"]
    assert "banned" in host("list").out
    assert host("ban", "alice", "--off", "--json").document["banned_at"] is None
    assert host("delete", "alice", "--yes").code == 0
    assert "no accounts" in host("list").err
    assert "deleted-1" in host("list", "--deleted").out
    assert host("restore", 1, "--json").document["deleted_at"] is None


def with_site(host: Host, work: Any) -> Any:
    with cb.Workspace(host.place, dispatch=False) as ws:
        return work(Site(ws))


def test_a_token_is_shown_once(host: Host) -> None:
    token = host("token", "alice", "--read", "--days", 1, "--name", "nightly").out.strip()
    actor = with_site(host, lambda site: site.credentials.actor(token))
    assert (actor.username, actor.scope) == ("alice", "read")
    shown = host("show", "alice").out
    assert "nightly" in shown
    assert token not in shown
    assert host("token", "alice", "--json").document["scope"] == "write"


def test_links(host: Host) -> None:
    link = host("link", "alice", "--url", "https://bench.example.org/").out.strip()
    assert link.startswith("https://bench.example.org/accounts/reset/")
    secret = link.rstrip("/").rpartition("/")[2]
    holder = with_site(host, lambda site: site.credentials.look_at_link(secret, CredentialKind.RESET))
    assert holder.username == "alice"
    first = host("link", "--json").document["link"]
    assert "/accounts/first/" in first
    host("superuser", "alice")
    assert host("link").code == 2
