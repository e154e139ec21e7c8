"""Runs a soak: something that must hold at full size, which is too much for the tests.

    scripts/soak                     names the soaks
    scripts/soak NAME [--tenth | --scale F] [--json]
    scripts/soak NAME --replay FILE

The last line is a JSON object, {"name", "scale", "seconds", ..., "failed"}; with --json it is the only one. The exit
code is 0 if nothing failed. What a soak says on the way goes to stderr.

A soak is a module ``tests/soak/NAME.py`` (dashes of the name are underscores there; modules that begin with an
underscore are none). Its docstring says what must hold; its function

    def soak(scale: float, folder: Path) -> dict[str, object]

does `scale` times the full amount of work in `folder`, which is empty and is deleted afterwards, and returns its
figures; under ``failed``, if anything does not hold, a list of sentences that say so. It may raise: that is a failure,
too. It may also have

    NEEDS = ("docker", "s3")         services of the test bed that it wants, in the variables of scripts/testbed env
    LIMIT = 120                      seconds for a tenth, after which scripts/test gives up (default 120)
    ALONE = True                     it measures how long something waits: scripts/test runs no other one beside it
    def replay(file, folder)         does again what failed with that file; raises what it raised, or returns a sentence

`codabench` can be imported there, and so can modules that lie beside it; ``_fresh.call`` runs a function of it in a
process of its own and says how much memory that took. Begun by a Python of a virtual environment, this program takes
that one, else the one of scripts/test.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

import cli
import venvs
from machine import BedError, say

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "tests/soak"
LIMIT = 120.0


def names() -> list[str]:
    """Every soak there is."""
    found = (each.stem for each in HOME.glob("*.py") if not each.stem.startswith("_"))
    return sorted(each.replace("_", "-") for each in found)


def setting(name: str, key: str, default: object) -> object:
    """A setting at the top of a soak's module, without importing what that needs."""
    import ast

    for node in ast.parse((HOME / f"{name.replace('-', '_')}.py").read_text()).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == key for t in node.targets):
            return ast.literal_eval(node.value)
    return default


def carry_out(name: str, scale: float) -> dict[str, object]:
    """The figures of one soak; what it needs of the test bed is started, and stopped if it was not there before."""
    needs = list(setting(name, "NEEDS", ()))
    started = cli.up(needs) if needs else []
    os.environ.update(cli.environment() if needs else {})
    began = time.monotonic()
    figures: dict[str, object]
    try:
        with tempfile.TemporaryDirectory(prefix=f"codabench-soak-{name}-") as folder:
            figures = importlib.import_module(name.replace("-", "_")).soak(scale, Path(folder))
    except Exception as error:  # noqa: BLE001 - the outermost frame: a soak that breaks has failed
        traceback.print_exc()
        figures = {"failed": [f"{type(error).__name__}: {error}"]}
    finally:
        if started:
            cli.down(started, purge=False)
    seconds = round(time.monotonic() - began, 1)
    failed = figures.pop("failed", [])
    return {"name": name, "scale": scale, "seconds": seconds, **figures, "failed": failed}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", nargs="?", choices=names(), metavar="NAME", help=f"one of: {', '.join(names())}")
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--tenth", action="store_true", help="a tenth of the work, as in scripts/test")
    amount.add_argument("--scale", type=float, default=1.0, metavar="F", help="this part of the work")
    parser.add_argument("--replay", metavar="FILE", type=Path, help="only the input in that file, which failed")
    parser.add_argument("--json", action="store_true", help="print nothing but the last line")
    given = parser.parse_args()
    if given.scale <= 0:
        parser.error("--scale must be above 0")
    return given


def use_an_environment() -> None:
    """Go on with the Python of a virtual environment."""
    if sys.prefix == sys.base_prefix:
        python = str(venvs.ensure(ROOT))
        os.execv(python, [python, "-B", __file__, *sys.argv[1:]])
    sys.path[:0] = [str(HOME), str(ROOT)]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def main() -> int:
    given = arguments()
    if given.name is None:
        print(*names(), sep="\n")
        return 0
    try:
        use_an_environment()
        if given.replay is not None:
            with tempfile.TemporaryDirectory(prefix=f"codabench-soak-{given.name}-") as folder:
                print(importlib.import_module(given.name.replace("-", "_")).replay(given.replay, Path(folder)))
            return 0
        figures = carry_out(given.name, 0.1 if given.tenth else given.scale)
    except BedError as error:
        say(str(error))
        return 1
    if not given.json:
        for key, value in figures.items():
            print(f"{key:20} {value}")
    print(json.dumps(figures), flush=True)
    return 1 if figures["failed"] else 0


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
