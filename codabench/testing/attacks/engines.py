"""The attacks on an engine: rows of security.md 3c and 3d that a container can show."""

from __future__ import annotations

import os
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from codabench.backends.engine import ContainerSpec, Mount
from codabench.core.policy import MIB, UNBOUNDED, Limits, Network, Policy, User
from codabench.core.records import ExitReason, Outcome, Role, StepName
from codabench.runner.contract import REFERENCE, command_line
from codabench.runner.scores import read_scores
from codabench.storage.sources import collect
from codabench.testing.attacks import programs
from codabench.testing.attacks.ground import SAY, Change, Ground, Shot
from codabench.testing.attacks.model import Attack, CannotShow, Play
from codabench.testing.attacks.planted import PLANT

SMALL: Final = 8 * MIB
OVERDUE: Final = 2.0
"""Seconds after the limit in which a program must be gone."""


def _limits(**limits: Any) -> Policy:
    return Policy(limits=Limits(**limits))


def _set(**fields: Any) -> Change:
    return lambda spec: spec.model_copy(update=fields)


def _limit(**fields: Any) -> Change:
    return lambda spec: spec.model_copy(update={"limits": spec.limits.model_copy(update=fields)})


def _mounting(*more: Mount) -> Change:
    return lambda spec: spec.model_copy(update={"mounts": (*spec.mounts, *more)})


def _writable(spec: ContainerSpec) -> ContainerSpec:
    return spec.model_copy(update={"mounts": tuple(m.model_copy(update={"read_only": False}) for m in spec.mounts)})


def _program(
    row: str, name: str, tries: str, program: str, off: Change, *, words: tuple[str, ...] = (),
    policy: Policy | None = None, rests_on: str | None = None, alone: bool = False,
    where: tuple[StepName, Role] = ("prediction", "program"),
) -> Attack:  # fmt: skip
    """A program in its container, and the same in one that differs by `off`."""

    def play(change: Change | None) -> Play:
        return lambda ground: ground.shoot(program, *words, where=where, policy=policy, change=change)

    return Attack(row, name, tries, play(None), play(off), rests_on=rests_on, alone=alone)


def _bare(row: str, name: str, tries: str, program: str, *, policy: Policy | None = None, **options: Any) -> Attack:
    """A program in its container, and in one that the engine makes with other options."""
    return Attack(
        row,
        name,
        tries,
        lambda ground: ground.shoot(program, policy=policy),
        lambda ground: ground.bare(program, **options),
    )


# -- time ----------------------------------------------------------------------------------------------------------


def _overstays(program: str, limit: float) -> Play:
    def play(ground: Ground) -> str:
        def look(shot: Shot) -> str:
            late = shot.end.seconds - limit
            if shot.end.reason is ExitReason.TIMEOUT and late > OVERDUE:
                return f"it was ended {late:.1f} s after its limit"
            return shot.how

        return ground.shoot(program + SAY, limit=limit, look=look)

    return play


def _polite(ground: Ground) -> str:
    return ground.shoot(programs.POLITE, programs.IGNORE + SAY)


# -- what stays ----------------------------------------------------------------------------------------------------


def _daemon(ground: Ground) -> str:
    def look(shot: Shot) -> str:
        time.sleep(2.5)
        return "it went on after its program" if (shot.place / "prediction_shared/alive").exists() else ""

    if not ground.info.sees_files:
        raise CannotShow("this engine does not see our files: nothing that is written later would be seen")
    return ground.shoot(programs.DAEMON, "/app/shared/alive", look=look)


def _daemon_of_the_host(ground: Ground) -> str:
    sign = ground.folder / "alive"
    ground.on_host(programs.DAEMON, str(sign)).communicate(timeout=30)
    time.sleep(2.5)
    return "it went on after its program" if sign.exists() else ""


def _pipe(ground: Ground) -> str:
    look: Callable[[Shot], str] = lambda shot: f"{shot.seconds:.1f} s were waited" if shot.end.seconds > 6 else ""  # noqa: E731
    return ground.shoot(programs.HOLD_PIPE, look=look)


def _pipe_of_the_host(ground: Ground) -> str:
    process = ground.on_host(programs.HOLD_PIPE)
    try:
        process.communicate(timeout=4)
    except subprocess.TimeoutExpired:
        return "its output never ended"
    return ""


# -- other people's data -------------------------------------------------------------------------------------------


def _search(where: tuple[StepName, Role], *, mount: bool) -> Play:
    """Look for the reference data, which is mounted too where the defence is off."""

    def play(ground: Ground) -> str:
        with ground.storage.cached(ground.tree("reference_data"), mounted=True) as held:
            off = _mounting(Mount(source=str(held.path), target=REFERENCE, read_only=True)) if mount else None
            return ground.shoot(programs.SEARCH, ground.word, where=where, change=off)

    return play


def _change_inputs(change: Change | None) -> Play:
    return lambda ground: ground.shoot(programs.CHANGE_INPUT, change=change, own_inputs=True)


def _other_run(ground: Ground, *, mount: bool) -> str:
    other = ground.plan("")
    with ground.directory(other, "prediction") as directory:
        place = directory.path("prediction_shared")
        (place / "secret").write_text(ground.secret)
        off = _mounting(Mount(source=str(place), target="/app/data/other", read_only=True)) if mount else None
        return ground.shoot(programs.SEARCH, ground.word, change=off)


def _sockets(ground: Ground, *, mount: bool) -> str:
    with ground.daemon_socket() as socket:
        return ground.shoot(programs.SOCKETS, change=_mounting(socket) if mount else None)


def _environment(ground: Ground, *, passed_on: bool) -> str:
    os.environ["CODABENCH_ATTACK"] = ground.secret
    try:
        off = _set(env=dict(os.environ)) if passed_on else None
        return ground.shoot(programs.ENVIRONMENT, ground.word, change=off)
    finally:
        os.environ.pop("CODABENCH_ATTACK", None)


def _neighbour(program: str, **options: Any) -> Play:
    def play(ground: Ground) -> str:
        with ground.neighbour() as word:
            return ground.bare(program, word, **options) if options else ground.shoot(program, word)

    return play


# -- network -------------------------------------------------------------------------------------------------------


def _reach(change: Change | None) -> Play:
    def play(ground: Ground) -> str:
        with ground.listener() as words:
            return ground.shoot(programs.REACH, *words, change=change)

    return play


# -- commands ------------------------------------------------------------------------------------------------------

INJECTION = (
    "python3 $program/main.py $(touch /app/output/a) `touch /app/output/b` ; touch /app/output/c "
    "&& touch /app/output/d | touch /app/output/e > /app/output/f"
)


def _shell(spec: ContainerSpec) -> ContainerSpec:
    program = command_line("$program/main.py", "prediction", "program")[0]
    return spec.model_copy(update={"argv": ("sh", "-c", INJECTION.replace("$program/main.py", program))})


def _inject(change: Change | None) -> Play:
    return lambda ground: ground.shoot(programs.INJECTED, command=INJECTION, change=change)


# -- whole runs ----------------------------------------------------------------------------------------------------


def _output(program: str, most: Limits, *, bounded: bool) -> Play:
    def look(outcome: Outcome, place: Path) -> str:
        if outcome.problem is not None and outcome.problem.code == "CB616":
            return ""
        if outcome.problem is not None:
            raise CannotShow(outcome.problem.message)
        return "it wrote all that it wanted"

    def play(ground: Ground) -> str:
        if not ground.info.sees_files:
            raise CannotShow("this engine does not see our files: they are counted only when a program has ended")
        return ground.run(program, policy=Policy(limits=most) if bounded else Policy(), look=look)

    return play


def _flood(policy: Policy) -> Play:
    def look(outcome: Outcome, place: Path) -> str:
        step = outcome.step("prediction")
        log = next((r for r in step.logs if r.name == "prediction_stdout"), None) if step is not None else None
        if log is None or log.total != SMALL:
            raise CannotShow(f"its output was not counted: {log.total if log else None}")
        return f"{log.blob.size} bytes of it are kept" if log.blob.size > 2 * Policy().log_keep + 4096 else ""

    return lambda ground: ground.run(programs.FLOOD, policy=policy, look=look)


def _planted(ground: Ground, *, naive: bool) -> str:
    secret = ground.folder / "host-secret.txt"
    secret.write_text(ground.secret)

    def look(outcome: Outcome, place: Path) -> str:
        if naive:
            return ", ".join(_followed(place / "prediction_output", ground.secret))
        step = outcome.step("prediction")
        if step is None or step.output is None:
            raise CannotShow("nothing was collected")
        with ground.storage.open_tree(step.output) as tree:
            files = {e.path: tree.read_bytes(e.path) for e in tree.entries() if e.kind == "file"}
        if files.get("good.txt") != b"good":
            raise CannotShow("what is the program's own was not collected")
        return ", ".join(p for p, data in files.items() if ground.secret.encode() in data or b"root:" in data)

    return ground.run(PLANT, str(secret), look=look)


def _followed(folder: Path, secret: str) -> list[str]:
    """What a collector finds that opens whatever a name leads to."""
    found = []
    for place in folder.iterdir():
        try:
            if stat.S_ISREG(place.stat().st_mode) and secret in place.read_text(errors="replace"):
                found.append(place.name)
        except OSError:
            continue
    return found


def _forged(*, naive: bool) -> Play:
    def look(outcome: Outcome, place: Path) -> str:
        scores = outcome.scores
        if naive:
            with collect(place / "prediction_output") as source:
                scores = read_scores(source, ("score",)).scores
        return f"the score is {scores['score']:g}" if scores.get("score") else ""

    return lambda ground: ground.run(programs.FORGE, look=look)


IMAGE_USER: Final = Policy(user=User.IMAGE)
ALL_POWERS: Final[dict[str, Any]] = {
    "cap_add": ["SYS_ADMIN", "SYS_PTRACE", "MKNOD", "NET_RAW", "SYS_CHROOT"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
}
"""What a container without defences may: ``privileged`` asks for more than the root of some machines has."""

BESIDE: Final[tuple[StepName, Role]] = ("scoring", "ingestion")
AS_SCORER: Final[tuple[StepName, Role]] = ("scoring", "program")

ATTACKS: Final[tuple[Attack, ...]] = (
    _program(
        "C01", "fork bomb", "start more processes than allowed", programs.PIDS, _limit(pids=None),
        policy=_limits(pids=48), rests_on="pids",
    ),
    _program(
        "C02", "memory bomb", "use more memory than allowed", programs.MEMORY, _limit(memory=None),
        policy=_limits(memory=64 * MIB), rests_on="memory",
    ),
    _program(
        "C03", "memory disks", "fill /tmp and /dev/shm", programs.FILL_MEMORY_DISKS,
        _limit(tmp=64 * MIB, shm=64 * MIB), policy=_limits(tmp=SMALL, shm=SMALL),
    ),
    Attack(
        "C04", "huge file", "write one file without end",
        _output(programs.HUGE_FILE, Limits(output=SMALL), bounded=True),
        _output(programs.HUGE_FILE, Limits(output=SMALL), bounded=False),
    ),
    Attack(
        "C05", "many files", "write files without number",
        _output(programs.MANY_FILES, Limits(output_files=100), bounded=True),
        _output(programs.MANY_FILES, Limits(output_files=100), bounded=False),
    ),
    _program(
        "C06", "root file system", "write to the file system of the image", programs.ROOT, _set(read_only_root=False),
        policy=IMAGE_USER, rests_on="read_only_root",
    ),
    Attack(
        "C07", "log flood", "fill the disk by printing",
        _flood(Policy()), _flood(Policy(log_keep=UNBOUNDED.log_keep)),
    ),
    Attack("C08", "endless sleep", "stay beyond the time limit", _overstays(programs.SLEEP, 1.5),
           _overstays(programs.SLEEP, 60)),
    Attack("C09", "ignored signals", "ignore every signal that can be", _overstays(programs.IGNORE, 1.5), _polite),
    Attack("C10", "daemon", "leave a process behind", _daemon, _daemon_of_the_host),
    Attack("C11", "held pipe", "keep the output open after the end", _pipe, _pipe_of_the_host),
    Attack("C12", "changed input", "change the input data", _change_inputs(None), _change_inputs(_writable),
           rests_on="read_only_mounts"),
    Attack(
        "C13", "reference data", "find the reference data in the prediction step",
        _search(("prediction", "program"), mount=False), _search(("prediction", "program"), mount=True),
    ),
    Attack("C14", "another run", "find the files of another run on the same machine",
           lambda ground: _other_run(ground, mount=False), lambda ground: _other_run(ground, mount=True)),
    _program("C15", "network", "reach the network", programs.NETWORK, _set(network=Network.OPEN),
             rests_on="network_none"),
    Attack(
        "C16", "metadata and host", "reach the addresses of cloud metadata, private networks and servers of this host",
        _reach(None), _reach(_set(network=Network.OPEN)), rests_on="network_none",
    ),
    Attack("C17", "engine socket", "find the socket of an engine",
           lambda ground: _sockets(ground, mount=False), lambda ground: _sockets(ground, mount=True)),
    _program("C18", "setuid", "become root by a setuid program", programs.PRIVILEGES, _set(no_new_privileges=False),
             rests_on="no_new_privileges"),
    _bare("C19", "devices and mounts", "make devices, mount, change the root, forge packets", programs.DEVICES,
          policy=IMAGE_USER, user="0:0", **ALL_POWERS),
    Attack("C20", "other processes", "signal or trace a process of the host",
           _neighbour(programs.TRACE), _neighbour(programs.TRACE, pid_mode="host", user="0:0", **ALL_POWERS)),
    _bare("C21", "kernel interfaces", "use userfaultfd, bpf, perf, modules and file handles", programs.KERNEL,
          security_opt=["seccomp=unconfined"]),
    Attack(
        "C21", "further interfaces", "use io_uring, keyrings and user namespaces",
        lambda ground: ground.shoot(programs.SURFACE),
        lambda ground: ground.bare(programs.SURFACE, security_opt=["seccomp=unconfined"]), claimed=False,
    ),
    _bare("C22", "kernel files", "write where the kernel takes orders: core_pattern, cgroups, sysrq",
          programs.KERNEL_FILES, policy=IMAGE_USER, user="0:0", paths=(), **ALL_POWERS),
    Attack("C22", "core file", "leave an image of its memory where the kernel writes it",
           lambda ground: ground.shoot(programs.CORE), lambda ground: ground.bare(programs.CORE), claimed=False),
    Attack("C26", "environment", "find the caller's secrets in the environment",
           lambda ground: _environment(ground, passed_on=False), lambda ground: _environment(ground, passed_on=True)),
    Attack("C27", "words and environments", "find secrets among the words and environments of other processes",
           _neighbour(programs.OTHERS), _neighbour(programs.OTHERS, pid_mode="host", user="0:0", **ALL_POWERS)),
    _program("C28", "noisy neighbour", "take more of the processor than allowed", programs.CPUS, _limit(cpus=None),
             policy=_limits(cpus=0.05), rests_on="cpus", alone=True),
    Attack("C31", "injected commands", "have a shell read the command of a submission", _inject(None), _inject(_shell)),
    Attack("S01", "planted outputs", "have files of others collected, by fifty shapes of links, devices and races",
           lambda ground: _planted(ground, naive=False), lambda ground: _planted(ground, naive=True)),
    Attack("S03", "forged scores", "leave scores wherever the submission may write",
           _forged(naive=False), _forged(naive=True)),
    Attack("S04", "beside the scorer", "find the reference data where ingestion runs beside the scorer",
           _search(BESIDE, mount=False), _search(BESIDE, mount=True)),
    _program("S16", "hostile scorer", "reach the network as the scoring program", programs.NETWORK,
             _set(network=Network.OPEN), where=AS_SCORER, rests_on="network_none"),
)  # fmt: skip
"""Every attack that any engine can be put to."""
