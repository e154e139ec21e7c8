"""A code submission through the library against the bare calls of an engine's SDK: two containers each."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import competition
from measure import Benchmark, CannotMeasureError, Side, milliseconds


def steps_of(folder: Path, bundle: Path, submission: Path) -> list[tuple[list[str], dict[str, str]]]:
    """(command, mounts) of both steps, for the bare side: the same programs, their directories already on disk."""
    input_, output = folder / "input", folder / "output"
    for place in (input_, output):
        place.mkdir()
        place.chmod(0o777)
    predict = ["python3", "/app/program/main.py"]
    score = ["python3", "/app/program/score.py", "/app/output"]
    return [
        (predict, {str(submission): "/app/program", str(output): "/app/output"}),
        (score, {str(bundle / "scorer"): "/app/program", str(input_): "/app/input", str(output): "/app/output"}),
    ]


@contextmanager
def _sides(name: str) -> Iterator[tuple[Side, Side]]:
    import codabench as cb

    engine: Any = competition.engine(name)
    with tempfile.TemporaryDirectory(prefix="codabench-benchmark-") as text:
        folder = Path(text)
        bundle, submission = competition.write(folder)
        bare = importlib.import_module(f"bare_{name}").TwoSteps(
            getattr(engine, "url", None), competition.IMAGE, steps_of(folder, bundle, submission)
        )
        comp = cb.load(bundle)
        try:

            def through_the_library() -> None:
                image = competition.image_of(name)
                submitted = comp.run(submission, backend=engine, image=image, progress="none")
                if submitted.run.scores != {"score": 1.0}:
                    raise CannotMeasureError(f"the submission did not run: {submitted}")

            yield lambda: milliseconds(through_the_library), lambda: milliseconds(bare.run)
        finally:
            comp.close()


docker = Benchmark(
    name="two_step_docker",
    about="a code submission through comp.run, against bare calls of the docker SDK",
    unit="ms",
    sides=lambda: _sides("docker"),
    must=("ratio", 1.10),
    pause=0.1,
)
podman = Benchmark(
    name="two_step_podman",
    about="the same with Podman, against bare calls of the podman SDK",
    unit="ms",
    sides=lambda: _sides("podman"),
    pause=0.1,
)
sandbox = Benchmark(
    name="two_step_sandbox",
    about="the same in the sandbox, against bare calls of bubblewrap",
    unit="ms",
    sides=lambda: _sides("sandbox"),
    pause=0.1,
)
