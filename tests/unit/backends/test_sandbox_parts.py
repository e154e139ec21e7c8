"""The parts of the sandbox that need no sandbox: the filter's numbers, control groups, names of containers."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from codabench.backends import cgroups, seccomp
from codabench.backends.backend import Backend
from codabench.backends.owner import myself
from codabench.backends.process import ProcessEngine
from codabench.backends.register import Entry, Register
from codabench.backends.select import word_for
from codabench.core.errors import EngineError, UsageError
from codabench.core.policy import MIB, Limits

HEADERS = {"x86_64": "/usr/include/*/asm/unistd_64.h", "aarch64": "/usr/include/asm-generic/unistd.h"}


def judge(machine: str, number: int, *arguments: int, audit: int | None = None) -> int:
    """What the filter answers: an interpreter of the five instructions it is made of."""
    code = seccomp.program(machine)
    assert code is not None
    audit = seccomp.ARCHITECTURES[machine] if audit is None else audit
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    shown = struct.pack("<IIQ6Q", number, audit, 0, *words)
    lines = list(struct.iter_unpack("=HBBI", code))
    value, at = 0, 0
    while True:
        op, if_true, if_false, k = lines[at]
        if op == 0x06:
            return int(k)
        if op == 0x20:
            value, at = struct.unpack_from("<I", shown, k)[0], at + 1
            continue
        holds = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[op]
        at += 1 + (if_true if holds else if_false)


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_the_filter(machine: str) -> None:
    column = list(seccomp.ARCHITECTURES).index(machine)
    allow, refused, unknown = 0x7FFF0000, 0x00050001, 0x00050026
    for name, numbers in seccomp.REFUSED.items():
        assert judge(machine, numbers[column]) == refused, name
    clone, ioctl, socket = ((56, 16, 41), (220, 29, 198))[column]
    assert judge(machine, 435) == unknown
    assert judge(machine, clone, 0x003D0F00) == allow  # a thread
    assert judge(machine, clone, 17) == allow  # fork
    for flag in (0x10000000, 0x20000000, 0x40000000, 0x00020000):
        assert judge(machine, clone, flag | 17) == refused
    assert judge(machine, ioctl, 0, 0x5412) == judge(machine, ioctl, 0, 0x541C) == refused
    assert judge(machine, ioctl, 0, 0x5413) == judge(machine, ioctl, 0x5412, 0) == allow
    assert judge(machine, socket, 40) == refused
    assert judge(machine, socket, 2) == judge(machine, socket, 1) == allow
    assert judge(machine, 0) == judge(machine, 63) == judge(machine, 64) == allow
    assert judge(machine, 0, audit=0x40000003) == unknown
    assert (judge(machine, 0x40000000 | 1) == unknown) is (machine == "x86_64")


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
def test_numbers_of_system_calls_are_the_kernels(machine: str) -> None:
    header = next(Path("/").glob(HEADERS[machine].lstrip("/")), None)
    if header is None:
        pytest.skip("the kernel's headers are not installed (linux-libc-dev)")
    said = dict(re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text()))
    column = list(seccomp.ARCHITECTURES).index(machine)
    assert {name: int(said[name]) for name in seccomp.REFUSED} == {n: c[column] for n, c in seccomp.REFUSED.items()}
    own = (seccomp._CLONE[machine], seccomp._IOCTL[machine], seccomp._SOCKET[machine], seccomp.CLONE3)
    assert own == tuple(int(said[name]) for name in ("clone", "ioctl", "socket", "clone3"))


def test_another_processor_has_no_filter() -> None:
    assert seccomp.program("riscv64") is None


# ---------------------------------------------------------------- control groups
MOUNT = "30 23 0:26 {root} {place} rw,nosuid shared:9 - {kind} {kind} {options}\n"


def test_version_1(tmp_path: Path) -> None:
    text = ""
    for name in ("memory", "pids", "cpu,cpuacct"):
        (tmp_path / name / "mine").mkdir(parents=True)
        text += MOUNT.format(root="/", place=tmp_path / name, kind="cgroup", options=f"rw,{name}")
    own = "3:memory:/mine\n2:pids:/mine\n1:cpu,cpuacct:/mine\n0::/mine\n"
    found = cgroups.find(text, own)
    assert found is not None
    assert (found.version, set(found.parents)) == (1, {"memory", "pids", "cpu"})
    assert found.parents["cpu"] == tmp_path / "cpu,cpuacct/mine"
    assert cgroups.find(text, own.replace("memory", "hugetlb")) is None
    assert set(found.group("x", Limits(pids=40)).directories) == {"pids"}
    group = found.group("x", Limits(memory=64 * MIB, cpus=0.5, pids=40))
    group.make()
    top = tmp_path / "memory/mine/codabench-x"
    assert (top / "memory.limit_in_bytes").read_text() == str(64 * MIB)
    assert not (top / "memory.memsw.limit_in_bytes").exists()  # where the kernel does not count swap
    assert (tmp_path / "cpu,cpuacct/mine/codabench-x/cpu.cfs_quota_us").read_text() == "50000"
    assert not group.killed_for_memory()
    (top / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    assert group.killed_for_memory()


def test_version_2_takes_the_nearest_group_that_gives_controllers(tmp_path: Path) -> None:
    """A group with processes in it gives none: the one above does, if it is ours."""
    leaf = tmp_path / "user.slice/app.slice/mine.scope"
    leaf.mkdir(parents=True)
    for directory, given in ((leaf, ""), (leaf.parent, "memory pids"), (leaf.parent.parent, "cpu memory pids")):
        (directory / "cgroup.subtree_control").write_text(given)
        (directory / "cgroup.procs").touch()
    text = MOUNT.format(root="/", place=tmp_path, kind="cgroup2", options="rw")
    found = cgroups.find(text, "0::/user.slice/app.slice/mine.scope\n")
    assert found is not None
    assert (found.version, found.parents) == (2, {"memory": leaf.parent, "pids": leaf.parent})
    assert set(found.group("x", Limits(pids=40)).directories) == {"pids"}
    group = found.group("x", Limits(memory=64 * MIB, cpus=0.5, pids=40))
    group.make()
    made = leaf.parent / "codabench-x"
    assert {p.name: p.read_text() for p in made.iterdir()} == {"memory.max": str(64 * MIB), "pids.max": "40"}
    group.add(7)
    assert (made / "cgroup.procs").read_text() == "7"
    (made / "memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert group.killed_for_memory()


def test_nothing_is_delegated(tmp_path: Path) -> None:
    text = MOUNT.format(root="/", place=tmp_path, kind="cgroup2", options="rw")
    assert cgroups.find(text, "0::/\n") is None
    assert cgroups.find("", "") is None


# ---------------------------------------------------------------- who owns what
@pytest.fixture
def register(tmp_path: Path) -> Register:
    made = Register("test")
    made.directory = tmp_path / "register"
    return made


def test_names(register: Register) -> None:
    me = Entry(owner=myself())
    register.add("a", me)
    with pytest.raises(EngineError, match="there is a container 'a' already"):
        register.add("a", me)
    dead = Entry(owner=myself().model_copy(update={"started": "1"}), cgroups=("/x",))
    register.add("b", dead)
    (register.directory / "half").write_text('{"owner"')
    assert list(register.of_the_dead()) == [("b", dead)]
    register.remove("a")
    register.add("a", me)
    assert oct(register.directory.stat().st_mode)[-3:] == "700"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", "a\n", "a" * 200])
def test_names_that_lead_elsewhere(register: Register, name: str) -> None:
    with pytest.raises(UsageError):
        register.add(name, Entry(owner=myself()))


def test_a_directory_that_somebody_put_there(register: Register, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    register.directory.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(EngineError, match="belongs to somebody else"):
        register.add("a", Entry(owner=myself()))


# ---------------------------------------------------------------- auto
@pytest.mark.parametrize(
    ("value", "image", "expected"),
    [
        ("auto", "host", "sandbox"),
        ("auto", "rootfs:/x", "sandbox"),
        ("auto", None, "auto"),
        ("auto", "python:3.12-slim", "auto"),
        ("auto", "hosted/image", "auto"),
        ("docker", "host", "docker"),
    ],
)
def test_auto_is_the_sandbox_only_where_somebody_asked(value: str, image: str | None, expected: str) -> None:
    assert word_for(value, image) == expected


def test_an_engine_stays_itself() -> None:
    engine: ProcessEngine | Backend = ProcessEngine()
    assert word_for(engine, "host") is engine
