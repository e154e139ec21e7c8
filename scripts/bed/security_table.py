"""The threat table, docs/security.md, made from the results of tests.

    scripts/security-table            run the tests that are marked with rows, write results and table
    scripts/security-table --render   write the table again from the results that are there

Nobody writes the state of a row by hand. A test says which rows it attacks (``@pytest.mark.row``) and of which rows it
is the twin (``@pytest.mark.twin``); what passed on which engine is kept in tests/security/rows.json; a row is *tested*
on an engine where an attack failed and a twin succeeded, there or without any engine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cli
import venvs

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "tests/security/rows.json"
TABLE = ROOT / "docs/security.md"
ENGINES = ("docker", "podman", "sandbox")
NEEDS = ("docker", "podman", "s3", "postgres")
TESTS = (
    "tests/security",
    "tests/dask/test_dask_security.py",
    "tests/dask/test_namespaces.py",
    "tests/engines/test_leftovers.py",
    "tests/storage/test_contract.py",
    "tests/unit/leaderboard/test_board_plots.py",
    "tests/unit/runner/test_runner_scores.py",
    "tests/unit/storage/test_protocols.py",
    "tests/workspace/test_displays.py",
)

HEAD = """\
# Security: what is tried, and what holds

Made by `scripts/security-table` from the results of tests; nobody writes the state of a row. A row is **tested**
where an attack fails *and* its twin succeeds: the same attack with exactly that one defence off. A test without
such a twin proves nothing.

Try it on your own machine and engines: `codabench doctor --attacks` runs every attack on an engine, and its twin;
about a minute for each. It says `held`, `broke out` (exit code 1), `not claimed` where the engine says itself that
it does not enforce something, `unproven` where nothing shows that the attack could have succeeded, `not shown`
where it could not be tried. `--table` writes Markdown, `--json` everything. An engine of your own is judged by the
same attacks: `codabench.testing.attacks.carry_out(engine, image)`.

What this is not: containers share the kernel of the machine, and a hole in it is a way out. Keep kernel and engine
up to date (`codabench doctor` names a runtime with known holes), use rootless Podman or user namespaces where you
can, and give machines that judge strangers nothing else to do.

Left to the engine: which system calls a container may make is the engine's own list. Docker before 25 lets io_uring
through; Podman lets key rings and further user namespaces through, and the size of a core file is that of its
service. The sandbox refuses all of them; where an attack on it fails and there is no twin, the row is not counted.
"""


def tested(results: list[dict[str, Any]], row: str, engine: str) -> bool:
    """Whether an attack of the row failed and a twin succeeded on that engine, or without any."""

    def shown(kind: str) -> bool:
        return any(r["row"] == row and r["kind"] == kind and r["engine"] in (None, engine) for r in results)

    return shown("row") and shown("twin")


def state(results: list[dict[str, Any]], row: Any, engine: str) -> str:
    """``tested``, ``by design`` or ``not covered``."""
    if tested(results, row.id, engine):
        return "tested"
    return "by design" if row.by_design else "not covered"


def render(results: list[dict[str, Any]]) -> str:
    """The whole document."""
    from codabench.testing.attacks.rows import GROUPS, ROWS

    counts = {e: sum(tested(results, row, e) for row in ROWS) for e in ENGINES}
    said = ", ".join(f"{count} with {engine.capitalize()}" for engine, count in counts.items())
    lines = [HEAD, f"Tested of {len(ROWS)} rows: {said}.", ""]
    for letter, title in GROUPS.items():
        lines += [f"## {title}", "", f"| row | tried | defence | {' | '.join(ENGINES)} | shown by |"]
        lines.append(f"|---|---|---|{'---|' * len(ENGINES)}---|")
        for row in (r for r in ROWS.values() if r.id.startswith(letter)):
            cells = " | ".join(state(results, row, e) for e in ENGINES)
            lines.append(f"| {row.id} | {row.tried} | {row.defence} | {cells} | {_shown_by(results, row)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _shown_by(results: list[dict[str, Any]], row: Any) -> str:
    if row.by_design or row.not_covered:
        return str(row.by_design or row.not_covered)
    of_row = [r for r in results if r["row"] == row.id]
    if not of_row:
        return "no test"
    attacks, twins = (_names(r["test"] for r in of_row if r["kind"] == kind) for kind in ("row", "twin"))
    only = [name for name in twins if name not in attacks]
    return ", ".join(f"`{n}`" for n in attacks) + (f"; twin: {', '.join(f'`{n}`' for n in only)}" if only else "")


def _names(tests: Iterable[str]) -> list[str]:
    return sorted({test.rpartition("::")[2] for test in tests})


def merged(shown: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each test once, whatever its parameters; an attack of the battery keeps its name."""
    found = set()
    for each in shown:
        file, _, name = each["test"].partition("::")
        name, _, parameters = name.partition("[")
        attack = parameters.rstrip("]").partition("-")[2] if name == "test_attack" else ""
        test = f"{file}::{name}" + (f"[{attack}]" if attack else "")
        found.add((each["row"], each["kind"], each["engine"] or "", test))
    return [{"row": r, "kind": k, "engine": e or None, "test": t} for r, k, e, t in sorted(found)]


def run_tests() -> list[dict[str, Any]]:
    started = cli.up(list(NEEDS))
    try:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "rows.json")
            argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "row or twin"]
            environment = {**os.environ, **cli.environment(), "CODABENCH_TEST_REQUIRE_ENGINES": "1"}
            argv += [f"--rows={file}", *TESTS]
            if subprocess.run(argv, cwd=ROOT, env=environment, check=False).returncode:
                sys.exit("a test failed: the table was not written")
            return merged(json.loads(file.read_text()))
    finally:
        if started:
            cli.down(started, purge=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--render", action="store_true", help="only write the table again")
    given = parser.parse_args()
    if sys.prefix == sys.base_prefix:
        python = str(venvs.ensure(ROOT))
        os.execv(python, [python, "-B", __file__, *sys.argv[1:]])
    sys.path.insert(0, str(ROOT))
    if not given.render:
        RESULTS.write_text(json.dumps(run_tests(), indent=0) + "\n")
    TABLE.write_text(render(json.loads(RESULTS.read_text())))
    print(TABLE.read_text().partition("Tested of")[2].partition("\n")[0])


if __name__ == "__main__":
    main()
