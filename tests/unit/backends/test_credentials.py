"""Names of images in parts, allow-lists, and where credentials come from."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from codabench.backends.credentials import Credentials, find_credentials
from codabench.backends.naming import Reference, is_permitted, reference_of
from codabench.core.errors import PolicyError, UsageError
from codabench.core.policy import Policy
from codabench.runner.effective import refuse_registry

D = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("python", Reference("docker.io", "library/python")),
        ("python:3.12-slim", Reference("docker.io", "library/python", "3.12-slim")),
        ("codalab/codalab-legacy:py37", Reference("docker.io", "codalab/codalab-legacy", "py37")),
        ("index.docker.io/library/python", Reference("docker.io", "library/python")),
        ("ghcr.io/lab/a/b:2", Reference("ghcr.io", "lab/a/b", "2")),
        ("localhost/x", Reference("localhost", "x")),
        ("localhost:5000/x:y", Reference("localhost:5000", "x", "y")),
        (f"r.org:5000/x:y@{D}", Reference("r.org:5000", "x", "y", D)),
        (f"x/y@{D}", Reference("docker.io", "x/y", None, D)),
    ],
)
def test_a_name_in_parts(name: str, expected: Reference) -> None:
    assert reference_of(name) == expected


@pytest.mark.parametrize(
    ("name", "allowed", "holds"),
    [
        ("python:3", ("docker.io",), True),
        ("python:3", ("docker.io/library",), True),
        ("codalab/codalab-legacy:py37", ("ghcr.io", "docker.io/codalab"), True),
        ("ghcr.io/lab/x", ("ghcr.io/lab/",), True),
        ("ghcr.io/lab/x@" + D, ("ghcr.io/lab/x",), True),
        ("ghcr.io/laboratory/x", ("ghcr.io/lab",), False),
        ("ghcr.io.evil.org/lab/x", ("ghcr.io",), False),
        ("evil.org/ghcr.io/lab/x", ("ghcr.io",), False),
        ("docker.io.evil/x", ("docker.io",), False),
        ("127.0.0.1:5000/x", ("127.0.0.1",), False),
        (D, ("docker.io/codalab",), False),
        ("python:3", (), False),
    ],
)
def test_allow_lists_compare_whole_words(name: str, allowed: tuple[str, ...], holds: bool) -> None:
    assert is_permitted(name, allowed) is holds
    refuse_registry(name, Policy())
    if holds:
        refuse_registry(name, Policy(registries=allowed))
    else:
        with pytest.raises(PolicyError, match=r"CB362") as caught:
            refuse_registry(name, Policy(registries=allowed))
        assert name in caught.value.message


IMAGE = reference_of("r.example.org:5000/lab/x:1")


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("CODABENCH_REGISTRY_AUTH", "REGISTRY_AUTH_FILE", "DOCKER_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))


def write(path: Path, document: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def entry(user: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def auths(**entries: dict[str, str]) -> dict[str, Any]:
    return {"auths": entries}


def test_nobody_has_any() -> None:
    assert find_credentials(IMAGE) is None


def test_the_order_of_the_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """From the last to the first, each overrules the ones before it."""

    def user() -> str:
        found = find_credentials(IMAGE)
        assert found is not None
        return found.user

    host = IMAGE.host
    write(tmp_path / "home/.docker/config.json", auths(**{host: entry("docker", "a")}))
    assert user() == "docker"
    write(tmp_path / "home/.config/containers/auth.json", auths(**{host: entry("config", "a")}))
    assert user() == "config"
    write(tmp_path / "run/containers/auth.json", auths(**{host: entry("podman", "a")}))
    assert user() == "podman"
    monkeypatch.setenv("REGISTRY_AUTH_FILE", str(write(tmp_path / "r.json", auths(**{host: entry("file", "a")}))))
    assert user() == "file"
    monkeypatch.setenv("CODABENCH_REGISTRY_AUTH", str(write(tmp_path / "c.json", auths(**{host: entry("ours", "a")}))))
    assert user() == "ours"
    given = find_credentials(IMAGE, {host: ("given", "a:b")})
    assert given == Credentials("given", "a:b")
    assert find_credentials(IMAGE, {"other.org": ("given", "a")}) == find_credentials(IMAGE)


@pytest.mark.parametrize("key", ["https://index.docker.io/v1/", "docker.io", "registry-1.docker.io"])
def test_names_of_the_hub(key: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", auths(**{key: entry("me", "p:with:colons")}))
    assert find_credentials(reference_of("python"), path) == Credentials("me", "p:with:colons")
    assert find_credentials(IMAGE, path) is None


def test_the_longest_part_of_a_name_wins(tmp_path: Path) -> None:
    entries = {
        IMAGE.host: entry("all", "a"),
        f"{IMAGE.host}/lab": entry("lab", "a"),
        f"{IMAGE.host}/la": entry("x", "a"),
    }
    path = write(tmp_path / "a.json", auths(**entries))
    assert find_credentials(IMAGE, path) == Credentials("lab", "a")
    assert find_credentials(reference_of(f"{IMAGE.host}/other"), path) == Credentials("all", "a")


def test_an_identity_token(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", auths(**{IMAGE.host: {**entry("u", ""), "identitytoken": "t0ken"}}))
    found = find_credentials(IMAGE, path)
    assert found is not None
    assert found.header() == {"identitytoken": "t0ken"}


HELPER = """#!/bin/sh
read -r host
[ "$1" = get ] && [ "$#" = 1 ] && [ "$host" = "{host}" ] || {{ echo credentials not found; exit 1; }}
echo '{{"ServerURL":"x","Username":"{user}","Secret":"s3cret"}}'
"""


@pytest.mark.parametrize("key", ["credHelpers", "credsStore"])
@pytest.mark.parametrize("user", ["me", "<token>"])
def test_helpers_are_asked_by_their_standard_input(
    key: str, user: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    helper = tmp_path / "docker-credential-ours"
    helper.write_text(HELPER.format(host=IMAGE.host, user=user))
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    wanted = {IMAGE.host: "ours"} if key == "credHelpers" else "ours"
    path = write(tmp_path / "a.json", {key: wanted, "auths": {IMAGE.host: {}}})
    expected = Credentials(token="s3cret") if user == "<token>" else Credentials("me", "s3cret")
    assert find_credentials(IMAGE, path) == expected
    assert find_credentials(reference_of("ghcr.io/x"), path) is None


def test_a_helper_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    assert find_credentials(IMAGE, write(tmp_path / "a.json", {"credsStore": "there-is-none"})) is None


@pytest.mark.parametrize("text", [None, "{", "[]", b"\xff"], ids=["absent", "broken", "a list", "no text"])
def test_a_file_that_was_named_must_be_one(text: str | bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError, match=r"CB358.*a\.json"):
        find_credentials(IMAGE, path)


@pytest.mark.parametrize("document", [{"auths": []}, {"auths": {"r.example.org:5000": 1}}, {"credHelpers": 3}])
def test_odd_documents_hold_nothing(document: dict[str, Any], tmp_path: Path) -> None:
    assert find_credentials(IMAGE, write(tmp_path / "a.json", document)) is None


def test_secrets_are_not_printed() -> None:
    made = Credentials("me", "s3cret", "t0ken")
    assert "s3cret" not in f"{made!r} {made}"
    assert "t0ken" not in f"{made!r} {made}"
    assert made.hidden("it says: s3cret, t0ken") == "it says: ***, ***"
