"""Addresses of schedulers, and errors that cross the wire."""

from __future__ import annotations

import pytest

from codabench.backends.dask.security import Address, is_loopback
from codabench.backends.dask.serving import Listening
from codabench.backends.dask.wire import error_of, error_record, parts
from codabench.core import errors


@pytest.mark.parametrize(
    ("word", "url", "engine"),
    [
        ("dask://cluster:8786", "tls://cluster:8786", None),
        ("dask://cluster", "tls://cluster:8786", None),
        ("dask://10.0.0.1:1?engine=podman", "tls://10.0.0.1:1", "podman"),
        ("dask+tcp://127.0.0.1:8786?engine=docker", "tcp://127.0.0.1:8786", "docker"),
        ("tls://[fd00::1]:99", "tls://[fd00::1]:99", None),
        ("tcp://localhost:8786", "tcp://localhost:8786", None),
    ],
)
def test_addresses(word: str, url: str, engine: str | None) -> None:
    found = Address.of(word)
    assert (found.url, found.engine) == (url, engine)


@pytest.mark.parametrize(
    "word",
    [
        "dask://",
        "dask://a:port",
        "dask://a:99999",
        "http://a:1",
        "dask://a/b",
        "dask://a?engin=x",
        "dask://[",
        "a:8786",
    ],
)
def test_what_is_no_address(word: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        Address.of(word)
    assert caught.value.code == "CB654"
    assert word in caught.value.message


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://127.0.0.1:1", True),
        ("tcp://127.9.9.9:1", True),
        ("tcp://[::1]:1", True),
        ("tcp://localhost:1", True),
        ("inproc://10.0.0.1/1", True),
        ("tcp://10.0.0.1:1", False),
        ("tcp://0.0.0.0:1", False),
        ("tcp://localhost.example.org:1", False),
        ("tcp://127.0.0.1.example.org:1", False),
        ("", False),
    ],
)
def test_loopback(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "eth0", "worker.example.org"])
def test_without_certificates_only_loopback(host: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        Listening(host=host).arguments()
    assert caught.value.code == "CB656"


@pytest.mark.parametrize(
    "error",
    [
        errors.EngineError("no luck"),
        errors.ImageNotFound("no image", hint="build it"),
        errors.StorageError("gone", code="CB705"),
        errors.WorkLost("lost"),
    ],
)
def test_errors_cross_the_wire(error: errors.CodabenchError) -> None:
    found = error_of(error_record(error))
    assert type(found) is type(error)
    assert (found.message, found.code, found.hint) == (error.message, error.code, error.hint)


@pytest.mark.parametrize("kind", ["SystemExit", "CodabenchError.__init__", "annotations", "", None, 5, "NoSuchError"])
def test_what_is_no_error_of_ours_is_the_engines(kind: object) -> None:
    found = error_of({"type": kind, "message": "x"})
    assert type(found) is errors.EngineError


def test_other_errors_are_internal_ones() -> None:
    found = error_of(error_record(ZeroDivisionError("by zero")))
    assert (type(found), found.code, found.message) == (errors.EngineError, "CB699", "ZeroDivisionError: by zero")


def test_parts() -> None:
    assert list(parts({})) == [("{}", True)]
    found = list(parts({"x": "y" * 1_200_000}))
    assert [last for _, last in found] == [False, False, True]
    assert "".join(text for text, _ in found) == '{"x": "' + "y" * 1_200_000 + '"}'
