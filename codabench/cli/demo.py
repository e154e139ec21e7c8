"""``codabench demo``: an example competition from its bundle to its leaderboard."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from codabench.cli.output import FAILED, handled, say, tell

if TYPE_CHECKING:
    from codabench.backends.engine import ContainerEngine
    from codabench.workspace.competition import Competition
    from codabench.workspace.handles import SubmissionHandle

EXAMPLE = "code-submission"
PULL_SECONDS = 60


@handled
def demo(
    directory: Path = typer.Argument(Path("codabench-demo"), help="Where the example and the results are put."),
    backend: str = typer.Option("auto", "--backend", "-b", help="auto, docker, podman, sandbox or process."),
) -> None:
    """Open an example competition, check it, run three submissions, print the leaderboard."""
    from codabench.core.records import Status
    from codabench.workspace.loading import load

    put_example(directory)
    competition = load(directory / "bundle")
    try:
        say(repr(competition))
        tell(f"\n{competition.check().summary()}")
        engine, options = demo_engine(backend, competition.spec.docker_image)
        tell(f"running three submissions with {engine.name}\n")
        shown = submissions_to_show(directory)
        handles = competition.run_many(shown, backend=engine, progress=progress_here(), **options)
        say("\n" + repr(competition.leaderboard()))
        results = write_results(directory, competition, handles)
        say(next_steps(directory, results, shown[-1], engine.name, options))
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
    """Where the examples are."""
    from codabench.core.packaged import packaged

    return packaged("_examples", "examples")


def put_example(directory: Path) -> None:
    """Copy the example to `directory`; one that is there is used as it is.

    Raises
    ------
    UsageError
        If something else is there.
    StorageError
        If nothing can be written there.
    """
    import shutil

    from codabench.core.errors import StorageError, UsageError

    source = examples_root() / EXAMPLE
    if (directory / "bundle" / "competition.yaml").is_file():
        return
    another = "name another place: `codabench demo DIRECTORY`"
    try:
        # A copy that was interrupted holds nothing but parts of the example, and is completed.
        if directory.exists() and not {p.name for p in directory.iterdir()} <= {p.name for p in source.iterdir()}:
            raise UsageError(f"{directory} exists and is not the demo", hint=another)
        # Installers compile what they install, and a bundle should look as its organizer wrote it.
        shutil.copytree(source, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    except NotADirectoryError as error:
        raise UsageError(f"{directory} is a file", hint=another) from error
    except (OSError, shutil.Error) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StorageError(f"the demo cannot be written to {directory}: {why}", code="CB704", hint=another) from error


def submissions_to_show(directory: Path) -> list[Path]:
    """The submissions of differing quality: the first three that are expected to finish, the best one last."""
    import json

    expected = json.loads((directory / "expected.json").read_text(encoding="utf-8"))
    finished = [directory / s["path"] for s in expected["submissions"] if s["status"] == "Finished"]
    return finished[:3]


def demo_engine(backend: str, image: str) -> tuple[ContainerEngine, dict[str, Any]]:
    """The first engine that answers and has, or can pull in time, a Python image; else the sandbox; else processes.

    Returns
    -------
    tuple
        The engine, and the options that a run needs (another image).

    Raises
    ------
    EngineError
        If the engine that was asked for cannot do it.
    """
    from codabench.backends.select import engine_named
    from codabench.core.errors import CodabenchError

    if backend == "process":
        return engine_named(backend), {}
    reasons = []
    for name in ("docker", "podman", "sandbox") if backend == "auto" else (backend,):
        engine = engine_named(name)
        try:
            engine.probe()
            return engine, {"image": _python_image(engine, image)}
        except CodabenchError as error:
            engine.close()
            if backend != "auto":
                raise
            reasons.append(f"{name}: {error.message.splitlines()[0]}")
    tell(f"no engine can be used ({'; '.join(reasons)}): the demo's own programs run as plain processes")
    return engine_named("process"), {}


def _python_image(engine: ContainerEngine, wanted: str) -> str:
    """An image with Python: the one that the bundle names, one that is here, or the named one pulled."""
    from codabench.backends.sandbox_view import HOST

    here = engine.images()
    if here == [HOST]:
        return HOST  # the demo's own programs, on this machine's own Python
    for name in [wanted, *sorted(here)]:
        # Podman shows the registry too: docker.io/library/python:3.12-slim.
        short = name.split("/")[-1]
        if name in here and (name == wanted or short.startswith("python:") or "codalab-legacy:py3" in name):
            return name
    tell(f"pulling {wanted} (at most {PULL_SECONDS} s) ...")
    engine.resolve(wanted, timeout=PULL_SECONDS)
    return wanted


def write_results(directory: Path, competition: Competition, handles: list[SubmissionHandle]) -> Path:
    """Logs, outputs and scores in a new directory beside the bundle; the runs' own directories go with the process."""
    from codabench.cli.run import submission_document
    from codabench.workspace.export import export_results

    board = competition.leaderboard()
    results = fresh(directory, "results")
    document = {
        "competition": competition.title,
        "submissions": [submission_document(handle, board.names[handle.id]) for handle in handles],
        "leaderboard": board.to_dict(),
    }
    export_results(results, handles, [board], document)
    return results


def fresh(directory: Path, name: str) -> Path:
    """A path in `directory` where nothing is: ``results``, ``results-2``, ..."""
    number = 1
    while (path := directory / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return path


def next_steps(directory: Path, results: Path, best: Path, engine: str, options: dict[str, Any]) -> str:
    """Where everything is, and what to type next: commands that work when they are pasted."""
    import sys
    from shlex import join

    bundle, mine = str(directory / "bundle"), str(fresh(directory, "my-submission"))
    how = ["--backend", engine, *(["--image", options["image"]] if options.get("image") else [])]
    run = ["run", bundle, mine, str(best), *how, "--out", str(fresh(directory, "my-results"))]
    return f"""
Where everything is
  the competition        {directory / "bundle"}
  the submissions        {directory / "submissions"}
  logs, scores, pages    {results}
  the best one's page    {results / best.name / "detailed_results.html"}

What to type next: check the bundle, change a copy of the best submission, run both
  {join([*this_command(), "check", bundle])}
  {join(["cp", "-r", str(best), mine])}
  {join([*this_command(), *run])}
The same in Python
  {join([sys.executable])} -c {_quoted(f"import codabench as cb; print(cb.load({bundle!r}).check())")}
"""


def _quoted(code: str) -> str:
    """Python code as one word of a shell; readable where the shell allows it."""
    from shlex import quote

    return quote(code) if set(code) & set('"$`\\!') else f'"{code}"'


def this_command() -> list[str]:
    """How this program was called, so that it can be called so again: it need not be on the PATH."""
    import shutil
    import sys

    called = Path(sys.argv[0])
    if called.name != "codabench":
        return [sys.executable, "-m", "codabench"]
    found = shutil.which("codabench")
    on_path = found is not None and Path(found).absolute() == called.absolute()
    return ["codabench" if on_path else sys.argv[0]]
