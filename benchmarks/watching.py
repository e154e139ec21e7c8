"""Five hundred readers of one run: how late they hear what it prints, and what that costs the server."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import competition
from dispatching import _schema as schema
from measure import Benchmark, CannotMeasureError, Side
from serving import host, opened, serve, served

READERS, SECONDS = 500, 15
SCORER = f"""\
import json, pathlib, sys, time
end = time.time() + {SECONDS}
while time.time() < end:
    print("at", time.time(), flush=True)
    time.sleep(0.1)
(pathlib.Path(sys.argv[1]) / "scores.json").write_text(json.dumps({{"score": 1.0}}))
"""
_AT = re.compile(rb"at (\d+\.\d+)")
GROWN: tuple[str, list[float]] = ("MiB", [])


def serve_runs(url: str, folder: Path, port: int) -> None:
    from codabench.web.app import create_app

    site = opened(url, folder, dispatch=True)
    threading.Thread(target=site.workspace.dispatch, daemon=True).start()
    serve(create_app(site), port)


def _bundle(folder: Path) -> Path:
    """A competition whose submissions wait until somebody starts them, and whose scorer says what time it is."""
    from codabench.bundle.defined.logo import placeholder_logo

    bundle, _ = competition.write(folder)
    said = (bundle / "competition.yaml").read_text()
    (bundle / "competition.yaml").write_text(f"auto_run_submissions: false\n{said}")
    (bundle / "logo.png").write_bytes(placeholder_logo("live"))
    (bundle / "scorer/metadata.yaml").write_text("command: python3 $program/score.py $output\n")
    (bundle / "scorer/score.py").write_text(SCORER)
    return bundle


async def _reader(port: int, path: str, token: str, late: list[float]) -> None:
    """Hears what a submission reports, and notes how old each line is when it comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Token {token}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0]:
        raise CannotMeasureError(f"a reader is answered {head[:100]!r}")
    while line := await reader.readline():
        now = time.time()
        late += [(now - float(at)) * 1000 for at in _AT.findall(line)]
        if line.startswith(b"event: over"):
            break
    writer.close()


@contextmanager
def _live() -> Iterator[tuple[Side, Side]]:
    from codabench.site.actors import OPERATOR
    from codabench.site.credentials import actor_of

    with ExitStack() as stack:
        url = stack.enter_context(schema())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="codabench-benchmark-")))
        site = opened(url, folder)
        stack.callback(site.workspace.close)
        stack.callback(site.close)
        owner = actor_of(site.accounts.add(OPERATOR, "owner1", email=None))
        id = host(site, owner, _bundle(folder))
        token = site.credentials.make_token(owner, owner.account, name="benchmark")
        port, process = stack.enter_context(served(__file__, "runs", url, folder))

        def heard(readers: int, grown: list[float] | None = None) -> float:
            with site.workspace.competition(id) as opened_again:
                given = {"participant": owner.participant, "enforce": True, "limits": False}
                made = site.workspace.submit(opened_again, {"answer.txt": "1"}, **given)
            from codabench.site.finding import number_of

            number, late = number_of(site, made.record), list[float]()

            async def everybody() -> None:
                path = f"/api/submissions/{number}/events"
                tasks = [asyncio.create_task(_reader(port, path, token, late)) for _ in range(readers)]
                await asyncio.sleep(3)
                before = _resident(process)
                site.submissions.run(owner, number)
                await asyncio.gather(*tasks)
                if grown is not None:
                    grown.append(_resident(process) - before)

            asyncio.run(everybody())
            if len(late) < readers * SECONDS:
                raise CannotMeasureError(f"{readers} readers heard {len(late)} lines")
            return sorted(late)[int(len(late) * 0.99)]

        yield lambda: heard(READERS, GROWN[1]), lambda: heard(1)


def _resident(process: int) -> float:
    """MiB of a process, now."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


live = Benchmark(
    name="web_live",
    about=f"how late lines of a run come to {READERS} readers of a real server with PostgreSQL that carries it out, "
    "of all lines and readers the 99th percentile, against one reader; beside it what the server's memory grows by",
    unit="ms",
    sides=_live,
    must=("value", 1000),
    most=2,
    beside=GROWN,
)

if __name__ == "__main__":
    serve_runs(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
