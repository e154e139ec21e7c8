"""``codabench demo``: an example competition from its bundle to its leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.output import FAILED, handled, say, tell

if TYPE_CHECKING:
    from codabench.backends.engine import ContainerEngine

EXAMPLE = "code-submission"
PULL_SECONDS = 60


@handled
def demo(
    directory: Path = typer.Argument(Path("codabench-demo"), help="Where the example is put."),
    backend: str = typer.Option("auto", "--backend", "-b", help="auto, docker, podman or process."),
) -> None:
    """Open an example competition, check it, run three submissions, print the leaderboard."""
    from codabench.core.records import Status
    from codabench.workspace.competition import load

    put_example(directory)
    bundle, submissions = directory / "bundle", sorted(p for p in (directory / "submissions").iterdir() if p.is_dir())
    competition = load(bundle)
    try:
        say(repr(competition))
        tell(f"\n{competition.check().summary()}\n")
        engine, options = demo_engine(backend, competition.spec.docker_image)
        shown = [p for p in submissions if p.name in wanted(directory)]
        handles = competition.run_many(shown, backend=engine, progress=progress_here(), **options)
        say("\n" + repr(competition.leaderboard()))
        say(next_steps(directory, shown[0], backend if backend != "auto" else engine.name, options))
        if any(h.status is not Status.FINISHED for h in handles):
            for handle in handles:
                tell(repr(handle))
            raise typer.Exit(FAILED)
    finally:
        competition.close()


def progress_here() -> str:
    """A demonstration always shows how things get on."""
    import sys

    return "rich" if sys.stderr.isatty() else "plain"


def examples_root() -> Path:
    """Where the examples are: in the package, or beside it in a checkout."""
    import codabench

    package = Path(codabench.__file__).parent
    packed = package / "_examples"
    return packed if packed.is_dir() else package.parent / "examples"


def put_example(directory: Path) -> None:
    """Copy the example to `directory`; one that is there is used as it is.

    Raises
    ------
    UsageError
        If something else is there.
    """
    import shutil

    from codabench.core.errors import UsageError

    if (directory / "bundle" / "competition.yaml").is_file():
        return
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise UsageError(f"{directory} exists and is not the demo", hint="name another: codabench demo DIRECTORY")
    shutil.copytree(examples_root() / EXAMPLE, directory, dirs_exist_ok=True)


def wanted(directory: Path) -> list[str]:
    """The three submissions of differing quality: those that are expected to finish."""
    import json

    expected = json.loads((directory / "expected.json").read_text(encoding="utf-8"))
    finished = [s for s in expected["submissions"] if s["status"] == "Finished"]
    return [Path(s["path"]).name for s in finished][:3]


def demo_engine(backend: str, image: str) -> tuple[ContainerEngine, dict[str, Any]]:
    """The first engine that answers and has, or can pull in time, a Python image; else plain processes.

    Returns
    -------
    tuple
        The engine, and the options that a run needs (another image).
    """
    from codabench.backends.select import engine_named
    from codabench.core.errors import CodabenchError

    if backend != "auto":
        return engine_named(backend), {}
    reasons = []
    for name in ("docker", "podman"):
        engine = engine_named(name)
        try:
            engine.probe()
            return engine, {"image": _python_image(engine, image)}
        except CodabenchError as error:
            reasons.append(f"{name}: {error.message.splitlines()[0]}")
            engine.close()
    tell(f"no container engine can be used ({'; '.join(reasons)}): the demo's own programs run as plain processes")
    return engine_named("process"), {"image": None}


def _python_image(engine: ContainerEngine, wanted_image: str) -> str:
    """An image with Python: the one that the bundle names, one that is here, or the named one pulled."""
    here = engine.images()
    if wanted_image in here:
        return wanted_image
    for name in sorted(here):
        if name.split("/")[-1].startswith("python:") or "codalab-legacy:py3" in name:
            return name
    tell(f"pulling {wanted_image} (at most {PULL_SECONDS} s) ...")
    engine.resolve(wanted_image, timeout=PULL_SECONDS)
    return wanted_image


def next_steps(directory: Path, submission: Path, backend: str, options: dict[str, Any]) -> str:
    """Where everything is, and what to type next."""
    image = f" --image {options['image']}" if options.get("image") else ""
    how = f"--backend {backend}{image}"
    return f"""
The competition is in {directory / "bundle"}, the submissions are in {directory / "submissions"}.
Next:
  codabench check {directory / "bundle"}
  codabench run {directory / "bundle"} {submission} {how} --out results
  python -c "import codabench as cb; print(cb.load('{directory / "bundle"}'))"
"""
