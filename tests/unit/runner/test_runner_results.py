"""What is taken from hostile output: metadata of our own, the page, files only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from run_maker import exited

from codabench.backends.engine import StopSignal
from codabench.core.records import Exit, ExitReason
from codabench.runner.results import collected, detailed_results, place_metadata

SECRET = "the truth"


def dangling(place: Path) -> None:
    (place / "metadata").symlink_to("/nowhere/at/all")


def link_out(place: Path) -> None:
    (place.parent / "secret").write_text(SECRET)
    (place / "metadata").symlink_to(place.parent / "secret")


def folder(place: Path) -> None:
    (place / "metadata").mkdir()
    (place / "metadata" / "x").write_text("x")


def fifo(place: Path) -> None:
    os.mkfifo(place / "metadata")


def no_mode(place: Path) -> None:
    (place / "metadata").write_text("exitCode: 0\n")
    (place / "metadata").chmod(0)


def locked_folder(place: Path) -> None:
    folder(place)
    (place / "metadata").chmod(0)


def everything_taken(place: Path) -> None:
    (place / "metadata").write_text("mine")
    (place / "metadata.program").mkdir()
    (place / "metadata.program" / "x").write_text("x")
    (place / "metadata.program.1").symlink_to("loop")


def folder_onto_file(place: Path) -> None:
    folder(place)
    (place / "metadata.program").write_text("x")


def locked_output(place: Path) -> None:
    (place / "metadata").write_text("mine")
    place.chmod(0)


HOSTILE = [
    dangling,
    link_out,
    folder,
    fifo,
    no_mode,
    locked_folder,
    everything_taken,
    folder_onto_file,
    locked_output,
]
KILLED = Exit(reason=ExitReason.TIMEOUT, seconds=5)


@pytest.mark.parametrize("make", HOSTILE)
def test_our_metadata_stand_whatever_a_program_left(tmp_path: Path, make: Callable[[Path], None]) -> None:
    place = tmp_path / "output"
    place.mkdir()
    make(place)
    (problem,) = place_metadata(place, {"program": exited(3), "ingestion": KILLED}, None)
    assert not (place / "metadata").is_symlink()
    assert yaml.safe_load((place / "metadata").read_text()) == {
        "exitCode": 3,
        "elapsedTime": 1.25,
        "ingestionExitCode": None,
        "ingestionElapsedTime": 5,
    }
    assert problem.code == "CB647"
    kept = problem.message.rsplit(" ", 1)[1]
    assert (place / kept).is_symlink() or os.path.lexists(place / kept)
    with collected(place, StopSignal()) as source:
        found = {e.path: source.read_bytes(e.path) for e in source.entries() if e.kind == "file"}
    assert SECRET.encode() not in found.values()
    assert b"exitCode: 3" in found["metadata"]


def test_the_twin_writes_through_the_link(tmp_path: Path) -> None:
    """What happens without the defence: the secret is overwritten by whoever opens the name."""
    place = tmp_path / "output"
    place.mkdir()
    link_out(place)
    (place / "metadata").write_text("exitCode: 3\n")
    assert (tmp_path / "secret").read_text() == "exitCode: 3\n"


@pytest.mark.parametrize("make", HOSTILE)
def test_the_same_for_an_ordinary_user(nobody: Any, make: Callable[[Path], None]) -> None:
    """For root no mode is in the way; who runs containers as an ordinary user meets their own uid's modes."""

    def work(folder: Path) -> None:
        place = folder / "output"
        place.mkdir()
        make(place)
        place_metadata(place, {"program": exited(3)}, None)
        with collected(place, StopSignal()) as source:
            assert b"exitCode: 3" in source.read_bytes("metadata")

    assert nobody.does(work)


def test_what_did_not_run_is_null(tmp_path: Path) -> None:
    assert place_metadata(tmp_path, {}, None) == ()
    assert set(yaml.safe_load((tmp_path / "metadata").read_text()).values()) == {None}
    assert set(os.listdir(tmp_path)) == {"metadata"}


def test_time_is_that_of_ingestion_where_it_ran_alone(tmp_path: Path) -> None:
    place_metadata(tmp_path, {"ingestion": exited(0)}, None)
    assert yaml.safe_load((tmp_path / "metadata").read_text()) == {
        "exitCode": None,
        "elapsedTime": 1.25,
        "ingestionExitCode": 0,
        "ingestionElapsedTime": 1.25,
    }


@pytest.mark.parametrize(
    ("pages", "chosen"),
    [
        ((), None),
        (("scores.html",), "scores.html"),
        (("z.html", "b.html"), "b.html"),
        (("a.html", "detailed_results.html"), "detailed_results.html"),
        (("sub/detailed_results.html",), None),
        (("page.htm", "page.HTML"), None),
        (("detailed_results.html/inside.txt", "z.html"), "z.html"),
    ],
)
def test_which_page_is_taken(tmp_path: Path, pages: tuple[str, ...], chosen: str | None) -> None:
    for page in pages:
        (tmp_path / page).parent.mkdir(exist_ok=True)
        (tmp_path / page).write_text("<p>")
    with collected(tmp_path, StopSignal()) as source:
        assert detailed_results(source) == chosen


def test_a_page_that_is_a_link_is_no_page(tmp_path: Path) -> None:
    (tmp_path / "detailed_results.html").symlink_to("/etc/hostname")
    with collected(tmp_path, StopSignal()) as source:
        assert detailed_results(source) is None
        assert [p.code for p in source.problems] == ["CB037"]
