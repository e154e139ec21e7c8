"""Smaller parts: names of images and platforms, paths of processes, removal."""

from __future__ import annotations

import pytest

from codabench.backends.cleanup import Remover
from codabench.backends.naming import digest_of, id_of, platform_of, same_platform
from codabench.backends.process import _translator
from codabench.core.errors import EngineError

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64


@pytest.mark.parametrize(
    ("name", "digests", "expected"),
    [
        ("python:3", [f"python@{A}"], A),
        ("python", [f"docker.io/library/python@{A}"], A),
        ("x/y:1", [f"docker.io/x/y@{A}", f"docker.io/z/y@{B}"], A),
        (f"x/y@{A}", [f"x/y@{A}"], A),
        ("host:5000/x:1", [f"host:5000/x@{B}"], B),
        ("x/y:1", [f"other/x/y2@{A}"], None),
        ("x/y:1", [f"localhost/x/y@{A}"], None),
        ("x/y:1", [], None),
    ],
)
def test_digest_of_a_repository(name: str, digests: list[str], expected: str | None) -> None:
    assert digest_of(name, digests) == expected


@pytest.mark.parametrize(
    ("have", "want", "same"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/amd64", False),
        ("linux/arm/v7", "linux/arm/v6", False),
    ],
)
def test_platforms(have: str, want: str, same: bool) -> None:
    assert same_platform(have, want) is same


def test_what_engines_say_of_images() -> None:
    assert id_of({"Id": "abc"}) == id_of({"Id": "sha256:abc"}) == "sha256:abc"
    assert platform_of({"Os": "linux", "Architecture": "arm64", "Variant": "v8"}) == "linux/arm64/v8"
    assert platform_of({"Architecture": "amd64"}) == "linux/amd64"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/app/input", "/host/in"),
        ("/app/input/res/x", "/host/res/x"),
        ("/app/input/x", "/host/in/x"),
        ("--data=/app/input/x,/app/output", "--data=/host/in/x,/host/out"),
        ("/app/inputs", "/app/inputs"),
        ("/app/input-2", "/app/input-2"),
        ("/my/app/input", "/my/app/input"),
        ("/app", "/app"),
        ("", ""),
        ("/app/input:/app/output", "/host/in:/host/out"),
    ],
)
def test_paths_of_processes(text: str, expected: str) -> None:
    places = {"/app/input": "/host/in", "/app/input/res": "/host/res", "/app/output/": "/host/out"}
    assert _translator(places)(text) == expected


def test_removal_goes_on_after_a_failure() -> None:
    remover, done = Remover(), []

    def fail() -> None:
        raise EngineError("busy")

    for _ in range(2):  # also after a flush
        remover.put(fail)
        remover.put(lambda: done.append(1))
        remover.flush()
    assert done == [1, 1]
    remover.flush()
