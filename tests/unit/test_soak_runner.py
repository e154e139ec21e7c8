"""scripts/soak: what it prints, and when it says that something failed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = ROOT / "scripts/bed/soak.py"


def run(*arguments: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The runner; with `home`, its soaks are those of that folder."""
    argv = [sys.executable, "-B", str(RUNNER), *arguments]
    if home is not None:
        start = f"import sys; sys.path.insert(0, {str(RUNNER.parent)!r}); import soak, pathlib; "
        start += f"soak.HOME = pathlib.Path({str(home)!r}); sys.argv[0] = 'soak'; sys.exit(soak.main())"
        argv = [sys.executable, "-B", "-c", start, *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)


def soak_of(folder: Path, body: str) -> Path:
    (folder / "my_soak.py").write_text(f"def soak(scale, folder):\n    {body}\n")
    (folder / "_beside.py").write_text("")
    return folder


def test_every_soak_is_known_by_its_file_and_described() -> None:
    files = {p.stem.replace("_", "-") for p in (ROOT / "tests/soak").glob("[!_]*.py")}
    ended = run()
    assert set(ended.stdout.split()) == files
    table = (ROOT / "docs/testing.md").read_text()
    assert all(f"| `{name}` |" in table for name in files)


def test_the_last_line_is_the_verdict(tmp_path: Path) -> None:
    ended = run("my-soak", "--tenth", home=soak_of(tmp_path, "return {'tried': int(1000 * scale)}"))
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout.splitlines()[-1])
    assert list(found) == ["name", "scale", "seconds", "tried", "failed"]
    assert (found["name"], found["tried"], found["failed"]) == ("my-soak", 100, [])


@pytest.mark.parametrize(
    "body", ["return {'failed': ['it was lost']}", "raise ValueError('it was lost')"], ids=["says so", "raises"]
)
def test_what_fails_is_said_and_ends_with_1(body: str, tmp_path: Path) -> None:
    ended = run("my-soak", "--json", home=soak_of(tmp_path, body))
    assert ended.returncode == 1
    (line,) = ended.stdout.splitlines()
    assert "it was lost" in json.loads(line)["failed"][0]


def test_its_folder_is_empty_and_goes_away(tmp_path: Path) -> None:
    body = "assert not list(folder.iterdir()); (folder / 'x').write_text(''); return {'where': str(folder)}"
    found = json.loads(run("my-soak", "--json", home=soak_of(tmp_path, body)).stdout)
    assert not found["failed"]
    assert not Path(found["where"]).exists()


def test_names_are_known() -> None:
    ended = run("nothing")
    assert ended.returncode == 2
    assert "big-zip" in ended.stderr
