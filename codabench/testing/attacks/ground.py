"""Where attacks take place: real run directories, the runner's own container specifications, one engine."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from codabench.backends.backend import WorkHost
from codabench.backends.engine import ContainerEngine, ContainerSpec, Deadline, EngineInfo, Image, Mount, StopSignal
from codabench.backends.hosted import HostedEngine
from codabench.core.errors import EngineError
from codabench.core.policy import MIB, Policy
from codabench.core.records import Exit, ExitReason, Outcome, Role, StepName
from codabench.core.trees import TreeRef
from codabench.runner.containers import container_spec
from codabench.runner.contract import command_line
from codabench.runner.effective import effective_policy
from codabench.runner.execute import execute_run
from codabench.runner.layout import RunDirectory
from codabench.runner.plan import ProgramPlan, RunPlan, StepPlan
from codabench.storage.sources import open_source, remove_tree
from codabench.storage.store import Storage
from codabench.testing.attacks.model import CannotShow
from codabench.testing.bundles import write_files

SAY = "\nprint('BROKE OUT: %s' % (broke_out,) if broke_out else 'HELD', flush=True)\n"
"""The last line of every attacking program: it has set ``broke_out``, to True or to how it did."""

SCORER = "import json\njson.dump({'score': 0}, open('/app/output/scores.json', 'w'))\n"
"""Gives nothing to everybody: any other score was forged."""

FORCED = (ExitReason.TIMEOUT, ExitReason.OUT_OF_MEMORY)

Change = Callable[[ContainerSpec], ContainerSpec]


class _Kept:
    """The beginning of what a program prints."""

    def __init__(self) -> None:
        self.data = {"stdout": b"", "stderr": b""}

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        if len(self.data[stream]) < MIB:
            self.data[stream] += data


@dataclass(frozen=True)
class Shot:
    """What became of an attacking program."""

    end: Exit
    out: str
    err: str
    place: Path
    seconds: float

    @property
    def how(self) -> str:
        """How it broke out, as it says itself; empty if it was held, or ended by force.

        Raises
        ------
        CannotShow
            If it failed by itself: that is not a defence.
        """
        last = (self.out.strip().splitlines() or [""])[-1]
        if last.startswith("BROKE OUT"):
            return last.removeprefix("BROKE OUT").removeprefix(": ") or "it succeeded"
        killed = self.end.reason in FORCED or self.end.code == 137
        if last != "HELD" and not killed:
            why = (self.err.strip().splitlines() or [self.end.detail or "no word"])[-1]
            raise CannotShow(f"the attacking program ended by itself ({self.end.reason}, {self.end.code}): {why}")
        return ""


class Ground:
    """One engine, one image, and a storage with a tiny competition.

    Parameters
    ----------
    folder
        An empty directory; nothing is left in it by `close`.
    """

    def __init__(self, engine: ContainerEngine, image: Image, folder: Path) -> None:
        self.engine, self.image, self.folder = engine, image, folder
        self.info: EngineInfo = engine.probe(image)
        self.secret = f"truth-{secrets.token_hex(8)}"
        self.storage = Storage(str(folder / "storage"))
        self._numbers = itertools.count()
        data = {"data/rows.csv": "1,2\n"}
        self._trees = {
            "input_data": self._tree(data),
            "reference_data": self._tree({"truth.txt": self.secret}),
            "scoring_program": self._tree({"main.py": SCORER}),
        }

    @property
    def word(self) -> str:
        """The secret backwards, so that a program which looks for it does not find itself."""
        return self.secret[::-1]

    def tree(self, name: str) -> TreeRef:
        """The tree of that role that every run here has."""
        return self._trees[name]

    def _tree(self, files: dict[str, str]) -> TreeRef:
        with self._numbered("files") as place, open_source(write_files(place, dict(files))) as source:
            return self.storage.put_tree(source)

    @contextlib.contextmanager
    def _numbered(self, name: str) -> Iterator[Path]:
        place = self.folder / f"{name}-{next(self._numbers)}"
        place.mkdir(parents=True)
        try:
            yield place
        finally:
            remove_tree(place)

    # -- plans -----------------------------------------------------------------------------------------------------

    def plan(
        self, program: str, words: tuple[str, ...] = (), *, where: tuple[StepName, Role] = ("prediction", "program"),
        policy: Policy | None = None, command: str | None = None, time_limit: int = 60, keep: bool = False,
    ) -> RunPlan:  # fmt: skip
        """The plan of a run in which `program` is whom `where` names; everybody else is honest."""
        asked = policy or Policy()
        step, role = where
        command = command or f"python3 $program/main.py {shlex.join(words)}"
        owner = {("prediction", "program"): "submission", ("scoring", "program"): "scoring_program"}
        tree = owner.get(where, "ingestion_program")
        trees = {"submission": self._trees["scoring_program"], **self._trees, tree: self._tree({"main.py": program})}
        attacking = ProgramPlan(role=role, commands=(command,))
        scorer = ProgramPlan(role="program", commands=("python3 $program/main.py",))
        prediction = (attacking,) if step == "prediction" else ()
        scoring = (attacking,) if where == ("scoring", "program") else (scorer, attacking)
        return RunPlan(
            run="attack",
            attempt=f"attack-{secrets.token_hex(6)}",
            token="attack",
            storage=self.storage.url,
            image=self.image.name,
            pull="never",
            policy=asked,
            time_limit=time_limit,
            trees=trees,
            steps=(
                StepPlan(name="prediction", programs=prediction, copy_submission=not prediction),
                StepPlan(name="scoring", programs=scoring if step == "scoring" else (scorer,)),
            ),
            columns=("score",),
            keep=keep,
        )

    def _host(self) -> WorkHost:
        return WorkHost(engine=self.engine, scratch=self.folder, emit=lambda _: None)

    @contextlib.contextmanager
    def directory(self, plan: RunPlan, step: StepName) -> Iterator[RunDirectory]:
        """The directory of a run, filled for a step as the runner fills it."""
        owner = self.engine.file_owner(plan.policy.user)
        enforced = self.info.enforced.get("read_only_mounts", True)
        place = self.folder / "runs" / plan.attempt
        made = RunDirectory(place, plan, self.storage, owner, enforced=enforced)
        try:
            made.prepare(step)
            yield made
        finally:
            made.remove()

    # -- one container ---------------------------------------------------------------------------------------------

    def shoot(
        self, program: str, *words: str, where: tuple[StepName, Role] = ("prediction", "program"),
        policy: Policy | None = None, change: Change | None = None, command: str | None = None, limit: float = 60,
        own_inputs: bool = False,
        look: Callable[[Shot], str] | None = None,
    ) -> str:  # fmt: skip
        """Run `program` in the container that the runner would give it, changed by `change`; how it broke out.

        Parameters
        ----------
        own_inputs
            The modes of its inputs allow everything, so that only their mounts keep it from changing them.
        look
            Judges instead of the program's own last line, while the run directory is still there.
        """
        step, role = where
        plan = self.plan(program + SAY if look is None else program, words, where=where, policy=policy, command=command)
        granted, _ = effective_policy(plan.policy, self._host(), self.engine.probe())
        plan = plan.model_copy(update={"policy": granted})
        with self.directory(plan, step) as directory:
            text = plan.step(step).programs[-1].commands[0]
            argv = command_line(text, step, role)
            spec = container_spec(plan, directory, self.image, step, role, argv, {})
            spec = self._own_inputs(spec, directory) if own_inputs else spec
            spec = change(spec) if change is not None else spec
            shot = self._run(spec, limit, directory.root)
            return look(shot) if look is not None else shot.how

    def _run(self, spec: ContainerSpec, limit: float, place: Path) -> Shot:
        kept, began = _Kept(), time.monotonic()
        end = self.engine.run(spec, kept, StopSignal(), Deadline(limit))
        out, err = (kept.data[name].decode(errors="replace") for name in ("stdout", "stderr"))
        return Shot(end, out, err, place, time.monotonic() - began)

    def _own_inputs(self, spec: ContainerSpec, directory: RunDirectory) -> ContainerSpec:
        """Copies of what is read-only, with modes that allow everything to everybody."""
        mounts: list[Mount] = []
        for mount in spec.mounts:
            if mount.read_only:
                place = directory.path(f"own-{len(mounts)}")
                shutil.copytree(mount.source, place)
                for top, folders, files in os.walk(place):
                    for name in (".", *folders, *files):
                        os.chmod(os.path.join(top, name), 0o777)
                mount = mount.model_copy(update={"source": str(place)})
            mounts.append(mount)
        return spec.model_copy(update={"mounts": tuple(mounts)})

    # -- a whole run -----------------------------------------------------------------------------------------------

    def run(self, program: str, *words: str, policy: Policy | None = None, look: Callable[[Outcome, Path], str]) -> str:
        """Both steps, by the function that carries out every run; `look` judges while its directory is still there."""
        plan = self.plan(program, words, policy=policy, keep=True)
        place = self.folder / "runs" / plan.attempt
        try:
            return look(Outcome.model_validate(execute_run(plan.model_dump(mode="json"), self._host())), place)
        finally:
            remove_tree(place)

    # -- without defences ------------------------------------------------------------------------------------------

    def bare(self, program: str, *words: str, **options: Any) -> str:
        """The program in a container that the engine makes with `options` and nothing of ours.

        Parameters
        ----------
        options
            ``user``; ``paths=()``: nothing of ``/proc`` and ``/sys`` is masked; all others are those of the engine.
        """
        if not isinstance(self.engine, HostedEngine):
            raise CannotShow(f"{self.engine.name} has no containers without its defences")
        client: Any = getattr(self.engine.driver, "client", None)
        if client is None:
            raise CannotShow(f"{self.engine.name} has no containers without its defences")
        user, paths = options.pop("user", None), options.pop("paths", None)
        with _docker_errors():
            if paths is not None and self.engine.name == "podman":  # it has a word of its own for this
                options["security_opt"] = [*options.get("security_opt", ()), "unmask=ALL"]
            host = dict(client.create_host_config(**options))
            if paths is not None:
                host |= {"MaskedPaths": list(paths), "ReadonlyPaths": list(paths)}
            words = ("python3", "-c", program + SAY, *words)
            made = client.create_container(self.image.id, list(words), user=user, host_config=host)["Id"]
            try:
                client.start(made)
                code = int(client.wait(made, timeout=60)["StatusCode"])
                out, err = (client.logs(made, stdout=o, stderr=not o).decode(errors="replace") for o in (True, False))
            finally:
                client.remove_container(made, v=True, force=True)
        return Shot(Exit(reason=ExitReason.EXITED, code=code), out, err, self.folder, 0).how

    def on_host(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """The program as a plain process of this host; for programs that do no harm."""
        return subprocess.Popen(
            [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder
        )

    @contextlib.contextmanager
    def neighbour(self) -> Iterator[str]:
        """A process of this host that has the secret among its words and in its environment."""
        if not self.info.sees_files:
            raise CannotShow("the engine may run on another machine, whose processes are not known here")
        words = [sys.executable, "-c", "import time; time.sleep(120)", self.secret]
        process = subprocess.Popen(words, env={**os.environ, "CODABENCH_SECRET": self.secret})
        try:
            yield self.word
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def listener(self) -> Iterator[tuple[str, ...]]:
        """A server on this host: its port, and the addresses by which others may know this host."""
        with socket.create_server(("", 0)) as server:
            found = {"127.0.0.1"}
            with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:
                way.connect(("192.0.2.1", 9))
                found.add(way.getsockname()[0])
            yield (str(server.getsockname()[1]), *sorted(found))

    @contextlib.contextmanager
    def daemon_socket(self) -> Iterator[Mount]:
        """A directory with a socket like that of a container engine, ready to be mounted where it must not be."""
        if not self.info.sees_files:
            raise CannotShow("a socket cannot be copied to an engine that does not see our files")
        with tempfile.TemporaryDirectory(prefix="cb-") as folder, socket.socket(socket.AF_UNIX) as server:
            place = Path(folder)  # the path of a socket is short, that of a ground may be long
            server.bind(str(place / "docker.sock"))
            server.listen()
            place.chmod(0o777)
            (place / "docker.sock").chmod(0o777)
            yield Mount(source=str(place), target="/app/data/run", read_only=True)

    def close(self) -> None:
        """Remove what the attacks have left."""
        remove_tree(self.folder)


@contextlib.contextmanager
def _docker_errors() -> Iterator[None]:
    import docker.errors
    import requests

    try:
        yield
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise EngineError(f"a container without defences could not be made: {error}") from error
