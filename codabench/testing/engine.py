"""The suite that every container engine runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codabench.backends.engine import ContainerEngine
from codabench.testing.bench import Bench
from codabench.testing.endings import Endings
from codabench.testing.files import Files
from codabench.testing.isolation import Isolation
from codabench.testing.keeping import Keeping
from codabench.testing.output import Output


class EngineContract(Endings, Output, Isolation, Files, Keeping):
    """What a `codabench.backends.engine.ContainerEngine` promises. Subclass it and provide two fixtures.

    ``make_engine``
        A callable that gives a new engine object.
    ``image``
        The name of an image that is there, with ``python3``, ``sh``, ``cat``, ``sleep`` and ``true``, and a setuid copy
        of bash as ``/usr/bin/setuid-bash`` for a program that tries to become root.

    ``pulls``, ``new_privileges`` and ``open_network`` are True; an engine that has no registries, can give no new
    privileges, or no network sets them to False.

    ``entrypoint_image`` may name another one, whose ENTRYPOINT sets CODABENCH_TEST_ENTRYPOINT to ``ran``.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def make_engine(cls) -> Callable[[], ContainerEngine]:
        raise NotImplementedError("provide a fixture that gives a callable that makes an engine")

    @pytest.fixture(scope="class")
    @classmethod
    def image(cls) -> str:
        raise NotImplementedError("provide a fixture that gives the name of an image")

    @pytest.fixture(scope="class")
    @classmethod
    def entrypoint_image(cls) -> str | None:
        return None

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, make_engine: Callable[[], ContainerEngine]) -> Iterator[ContainerEngine]:
        engine = make_engine()
        yield engine
        engine.close()

    @pytest.fixture
    def bench(self, engine: ContainerEngine, image: str, tmp_path: Path) -> Bench:
        return Bench(engine, engine.resolve(image, pull="never"), tmp_path)
