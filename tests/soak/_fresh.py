"""A function called in a fresh process, and what that took."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

MIB = 1 << 20


class Ended(NamedTuple):
    """What the function returned, the seconds it took, and the most memory it ever had."""

    value: Any
    seconds: float
    peak_mib: float


def call(function: Callable[..., Any], *arguments: Any, timeout: float | None = None) -> Ended:
    """Call a function at the top of a module; its arguments and what it returns are plain values.

    What it raises ends up as RuntimeError here, with the traceback on stderr.
    """
    file = sys.modules[function.__module__].__file__
    words = json.dumps([Path(str(file)).stem, function.__name__, arguments])
    argv = [sys.executable, "-B", __file__, str(Path(str(file)).parent), words]
    ended = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=False, timeout=timeout)
    if ended.returncode:
        raise RuntimeError(f"{function.__name__} ended with {ended.returncode} in its own process")
    return Ended(*json.loads(ended.stdout.splitlines()[-1]))


def peak() -> float:
    """The most memory this process has had so far, in MiB.

    On Linux not that of getrusage, which begins with the memory of the process that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (MIB if sys.platform == "darwin" else 1024)


def main(folder: str, words: str) -> None:
    import time

    sys.path.insert(0, folder)
    module, function, arguments = json.loads(words)
    began = time.monotonic()
    value = getattr(importlib.import_module(module), function)(*arguments)
    print(json.dumps([value, round(time.monotonic() - began, 3), round(peak(), 1)]))


if __name__ == "__main__":
    main(*sys.argv[1:])
