"""scripts/soak fuzz finds what it looks for: parsers that break, hang, grow and die."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOAKS = Path(__file__).resolve().parents[1] / "soak"
INPUTS = 12
PARSERS = """
import os
from typing import NamedTuple, Any
from hypothesis import strategies as st

class Parser(NamedTuple):
    inputs: Any
    read: Any

def inputs():
    return st.integers(0, 2**40).map(lambda n: [b"%d" % n])

def good(data, folder):
    return data[-1] % 2 == 0

def broken(data, folder):
    if data[-1] % 2:
        raise KeyError(data)
    return good(data, folder)

def once(folder):
    (folder / "before").touch() if (first := not (folder / "before").exists()) else None
    return first

def hanging(data, folder):
    hangs = once(folder)
    while hangs:
        pass
    return good(data, folder)

def growing(data, folder):
    return len(bytearray(1 << 30)) == 0

def dying(data, folder):
    if once(folder):
        os.abort()
    return good(data, folder)

PARSERS = {"PARSER": Parser(inputs, PARSER)}
"""


def fuzz(parser: str, folder: Path) -> dict[str, Any]:
    for name in ("fuzz.py", "_fresh.py"):
        shutil.copy(SOAKS / name, folder / name)
    (folder / "_targets.py").write_text(PARSERS.replace('PARSER"', f'{parser}"').replace("PARSER)", f"{parser})"))
    (folder / "work").mkdir()
    code = f"import fuzz, json, pathlib; print(json.dumps(fuzz.soak({INPUTS} / fuzz.INPUTS, pathlib.Path('work'))))"
    path = os.pathsep.join([str(folder), str(SOAKS.parents[1])])
    env = {**os.environ, "PYTHONPATH": path, "CODABENCH_FUZZ_FAILURES": str(folder / "kept")}
    ended = subprocess.run([sys.executable, "-B", "-c", code], cwd=folder, env=env, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_a_good_parser_passes(tmp_path: Path) -> None:
    found = fuzz("good", tmp_path)
    assert found["failed"] == []
    assert found["good"]["tried"] == found["good"]["taken"] + found["good"]["refused"] == INPUTS


@pytest.mark.parametrize(
    ("parser", "why"),
    [("broken", "KeyError"), ("hanging", "more than 2 s"), ("growing", "MemoryError"), ("dying", "ended with -6")],
)
def test_what_it_finds_is_kept(parser: str, why: str, tmp_path: Path) -> None:
    found = fuzz(parser, tmp_path)
    assert found[parser]["tried"] == INPUTS
    assert why in found["failed"][0]
    kept = found["failed"][0].rpartition("--replay ")[2].rstrip(")")
    assert Path(kept).read_bytes().isdigit()
