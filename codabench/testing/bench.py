"""Runs programs on an engine under test."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from codabench.backends.engine import ContainerEngine, ContainerSpec, Deadline, EngineInfo, Image, Mount, StopSignal
from codabench.core.policy import User
from codabench.core.records import Exit, ExitReason

BROKE_OUT = b"BROKE OUT"
HELD = b"HELD"


class Sink:
    """Keeps everything."""

    def __init__(self) -> None:
        self.parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self.parts[stream].append(data)

    def read(self, stream: Literal["stdout", "stderr"]) -> bytes:
        return b"".join(self.parts[stream])


@dataclass(frozen=True)
class Ran:
    """What became of a program."""

    end: Exit
    out: bytes
    err: bytes
    seconds: float

    @property
    def code(self) -> int | None:
        """Its exit code, if it ended by itself."""
        return self.end.code if self.end.reason is ExitReason.EXITED else None

    @property
    def broke_out(self) -> bool:
        """Whether an attack succeeded. One that says nothing at all was stopped by force."""
        assert self.out.strip() in (BROKE_OUT, HELD, b""), self
        return self.out.strip() == BROKE_OUT


class Bench:
    """One engine, one image, and directories to mount."""

    def __init__(self, engine: ContainerEngine, image: Image, root: Path) -> None:
        self.engine = engine
        self.image = image
        self.root = root

    @property
    def info(self) -> EngineInfo:
        """What the engine found out about itself by trying."""
        return self.engine.probe(self.image)

    @property
    def isolated(self) -> bool:
        return self.engine.probe().isolation != "none"

    def spec(self, *argv: str, **options: Any) -> ContainerSpec:
        return ContainerSpec(image=options.pop("image", self.image), argv=argv, **options)

    def run(self, *argv: str, limit: float | None = 60, stop: StopSignal | None = None, **options: Any) -> Ran:
        sink, began = Sink(), time.monotonic()
        end = self.engine.run(self.spec(*argv, **options), sink, stop or StopSignal(), Deadline(limit))
        return Ran(end, sink.read("stdout"), sink.read("stderr"), time.monotonic() - began)

    def python(self, program: str, *words: str, **options: Any) -> Ran:
        return self.run("python3", "-c", program, *words, **options)

    def attack(self, program: str, *words: str, **options: Any) -> bool:
        """Whether a program that prints `BROKE_OUT` or `HELD` broke out."""
        ran = self.python(program, *words, **options)
        assert ran.end.ok or ran.end.reason is ExitReason.OUT_OF_MEMORY, ran
        return ran.broke_out

    def directory(self, name: str, user: User = User.NOBODY, **files: str) -> Path:
        """A directory that programs of `user` may write to."""
        path = self.root / name
        path.mkdir()
        for file, text in files.items():
            (path / file).write_text(text)
        owner = self.engine.file_owner(user)
        if owner is not None:
            for each in (path, *path.iterdir()):
                os.chown(each, *owner)
        return path

    def mount(self, path: Path, target: str, *, read_only: bool = False) -> Mount:
        return Mount(source=str(path), target=target, read_only=read_only)


def alive(token: str) -> list[int]:
    """Processes of this host with a word in their command; containers of a local engine are among them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if token.encode() in words and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found
