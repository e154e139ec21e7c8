"""Settings: from where, what wins, what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from codabench.core.errors import UsageError
from codabench.web.config import Settings, known_names, leaves, load


def written(folder: Path, text: str) -> Path:
    file = folder / "codabench.toml"
    file.write_text(text, "utf-8")
    return file


def test_nothing_has_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = load(environment={})
    assert (found.settings, found.origins) == (Settings(), {})


def test_later_ones_win_and_each_value_knows_where_it_is_from(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [site]
        title = "A lab"
        quota = "2 GB"
        [server]
        port = 80
        proxies = ["10.0.0.1"]
        [storage.options]
        endpoint_url = "https://s3.example.org"
        """,
    )
    environment = {
        "CODABENCH__SERVER__PORT": "81",
        "codabench__site__url": "https://lab.example.org/",
        "CODABENCH__SERVER__HOSTS": '["a.example.org"]',
        "CODABENCH__STORAGE__OPTIONS__KEY": "k",
        "CODABENCH_WORKSPACE": "not ours",
    }
    found = load(file, environment=environment, given={"server.port": 82, "server.host": None})
    settings, origins = found
    assert settings.site.title == "A lab"
    assert settings.site.quota == 2 * 1024**3
    assert settings.site.url == "https://lab.example.org"
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 82)
    assert settings.server.hosts == ("a.example.org",)
    assert settings.storage.options == {"endpoint_url": "https://s3.example.org", "key": "k"}
    assert origins["server.port"] == "the command line"
    assert origins["site.title"] == str(file)
    assert origins["site.url"] == "$codabench__site__url"
    assert origins["storage.options.key"] == "$CODABENCH__STORAGE__OPTIONS__KEY"
    assert "server.host" not in origins
    assert load(file, environment={}).settings.server.port == 80


def test_the_file_here_is_taken_without_being_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "[server]\nport = 8123\n")
    monkeypatch.chdir(tmp_path)
    assert Settings.load().server.port == 8123


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("[server", {}, "cannot be read"),
        (None, {}, "cannot be read"),
        ("", {"CODABENCH__SERVER__HOSTS": "[1,"}, "CODABENCH__SERVER__HOSTS is no JSON"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str | None, environment: dict[str, str], said: str) -> None:
    file = tmp_path / "none.toml" if text is None else written(tmp_path, text)
    with pytest.raises(UsageError, match=said) as caught:
        load(file, environment=environment)
    assert caught.value.code == "CB820"


@pytest.mark.parametrize(
    ("text", "environment", "said"),
    [
        ("[site]\ntitel = 'x'", {}, "site.titel: there is no such setting; did you mean site.title?"),
        ("[sever]\nport = 1", {}, "sever: there is no such setting"),
        ("[site]\nquota = 'much'", {}, "codabench.toml: site.quota: "),
        ("", {"CODABENCH__SERVER__PORT": "99999"}, "$CODABENCH__SERVER__PORT: server.port: "),
        ("", {"CODABENCH__SERVER__LOG_LEVEL": "loud"}, "server.log_level: "),
        ("site = 3", {}, "codabench.toml: site: "),
        ("", {"CODABENCH__SITE": "x"}, "$CODABENCH__SITE: site: "),
    ],
)
def test_what_cannot_be(tmp_path: Path, text: str, environment: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(written(tmp_path, text), environment=environment)
    assert caught.value.code == "CB821"
    assert said in caught.value.message


def test_everything_that_is_wrong_is_said_at_once_and_no_value(tmp_path: Path) -> None:
    file = written(tmp_path, "[site]\nmail_url = 3\nquota = 'much'\n[db]\npassword = 5\nurl = 'x'\nother = 'hunter2'\n")
    with pytest.raises(UsageError) as caught:
        load(file, environment={})
    for name in ("site.mail_url", "site.quota", "db.password", "db.other"):
        assert name in caught.value.message
    assert "hunter2" not in caught.value.message


def test_the_password_of_the_database_may_lie_elsewhere(tmp_path: Path) -> None:
    url = "postgresql+psycopg://lab@db/lab"
    given = load(environment={"CODABENCH__DB__URL": url, "CODABENCH__DB__PASSWORD": "p@ss"}).settings.db
    assert given.whole_url() == "postgresql+psycopg://lab:p%40ss@db/lab"
    assert "p@ss" not in repr(given)
    kept = tmp_path / "password"
    kept.write_text("other\n")
    given = load(environment={"CODABENCH__DB__URL": url, "CODABENCH__DB__PASSWORD_FILE": str(kept)}).settings.db
    assert given.whole_url() == "postgresql+psycopg://lab:other@db/lab"
    kept.unlink()
    for broken in (given, load(environment={"CODABENCH__DB__URL": "no url"}).settings.db):
        with pytest.raises(UsageError) as caught:
            broken.whole_url()
        assert caught.value.code == "CB821"
    assert Settings().db.whole_url() is None


def test_every_setting_has_a_name() -> None:
    names = known_names()
    assert {"site.title", "db.url", "storage.options", "server.port", "runs.backend"} <= set(names)
    assert dict(leaves({"a": {"b": 1}, "c": {}})) == {"a.b": 1, "c": {}}
