"""What stays at an engine: nothing."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from codabench.backends.engine import ContainerEngine, Deadline, StopSignal
from codabench.testing.bench import Bench, Sink


class Keeping:
    def test_discard(self, bench: Bench) -> None:
        name = _name()
        bench.engine.create(bench.spec("true", name=name)).discard()
        assert _is_free(bench, name)

    def test_close_leaves_no_container(self, bench: Bench, make_engine: Callable[[], ContainerEngine]) -> None:
        names, other = [_name(), _name()], make_engine()
        bench.engine.run(bench.spec("true", name=names[0]), Sink(), StopSignal(), Deadline(60))
        other.create(bench.spec("true", name=names[1]))
        other.close()
        bench.engine.close()
        assert all(_is_free(bench, name) for name in names)

    def test_leftovers_of_the_dead_and_of_the_living(
        self, bench: Bench, make_engine: Callable[[], ContainerEngine]
    ) -> None:
        if not bench.isolated:
            assert bench.engine.reap() == []
            return
        dead, living, mine = _name(), _name(), _name()
        own = bench.engine.create(bench.spec("true", name=mine))
        with _owner(bench, make_engine, living):
            with _owner(bench, make_engine, dead):
                assert not set(bench.engine.reap()) & {dead, living, mine}
            reaped = bench.engine.reap()
            assert dead in reaped
            assert not {living, mine} & set(reaped)
            assert own.run(Sink(), StopSignal(), Deadline(60)).ok
            assert _is_free(bench, dead)
        assert living in bench.engine.reap()

    def test_labels(self, bench: Bench) -> None:
        assert bench.run("true", labels={"codabench.run": "x", "codabench.owner": "somebody else"}).end.ok

    def test_entry_point_of_the_image_is_kept(self, bench: Bench, entrypoint_image: str | None) -> None:
        if entrypoint_image is None:
            pytest.skip("no image with an entry point was given")
        ask = ("sh", "-c", "echo $CODABENCH_TEST_ENTRYPOINT")
        image = bench.engine.resolve(entrypoint_image)
        assert bench.run(*ask, image=image).out == b"ran\n"
        assert bench.run(*ask).out == b"\n"

    def test_what_the_engine_says_of_itself(self, bench: Bench) -> None:
        info = bench.info
        assert info.name == bench.engine.name
        assert info.version
        assert info.platform.startswith("linux/")
        assert {name for name, holds in info.enforced.items() if not holds} == set(info.reasons)
        assert all(info.reasons.values())


def _name() -> str:
    return f"codabench-test-{uuid.uuid4().hex}"


def _is_free(bench: Bench, name: str) -> bool:
    """Whether a container of that name can be made, which it cannot while there is one."""
    bench.engine.close()  # what goes on in the background is done then
    return bench.run("true", name=name).end.ok


@contextmanager
def _owner(bench: Bench, make_engine: Callable[[], ContainerEngine], name: str) -> Iterator[None]:
    """Another process that owns a container while this lasts, and is killed then."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            make_engine().create(bench.spec("true", name=name))
            os.write(tell, b"x")
            time.sleep(600)
        finally:
            os._exit(1)
    os.close(tell)
    try:
        assert os.read(ready, 1) == b"x", "the other process could not make its container"
        yield
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
