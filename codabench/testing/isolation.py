"""What a program cannot do: each defence is attacked from inside, and with the defence off the same attack succeeds.

An attack prints `BROKE OUT` or `HELD`. Where an engine declares in `probe` that it does not enforce a property, the
declaration is tested instead: it has a reason, and the attack does succeed.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from codabench.core.errors import PolicyError
from codabench.core.policy import MIB, Limits, Network, User
from codabench.testing.attacks.programs import (
    CAPABILITIES,
    MEMORY,
    NETWORK,
    PIDS,
    PRIVILEGES,
    ROOT,
)
from codabench.testing.bench import Bench

_SAY = "\nprint('BROKE OUT' if broke_out else 'HELD', flush=True)\n"

CPUS = """
import time
began = time.monotonic()
while time.process_time() < 0.6: pass
broke_out = time.monotonic() - began < 2.4
"""

BECOME_ROOT = """
import json
import os
inside, outside = open('/proc/self/uid_map').read().split()[:2]
broke_out = os.geteuid() == 0 and outside == '0'
"""

READ = """
import sys
try:
    broke_out = open(sys.argv[1]).read() == 'secret'
except OSError: broke_out = False
"""

WRITE = """
import sys
try:
    broke_out = open(sys.argv[1], 'w').write('forged') > 0
except OSError: broke_out = False
"""

FILL = """
import sys
try:
    with open(sys.argv[1], 'wb') as file:
        for _ in range(12): file.write(bytes(1 << 20))
    broke_out = True
except OSError: broke_out = False
"""

OTHERS = """
import os, sys
def word(pid):
    try: return open('/proc/%s/cmdline' % pid, 'rb').read()
    except OSError: return b''
broke_out = any(sys.argv[1].encode() in word(pid).split(b'\\0') for pid in os.listdir('/proc') if pid.isdigit())
"""


def attack_of(program: str) -> str:
    """The attack as a whole program."""
    return program + _SAY


class Isolation:
    open_network = True
    """Whether this installation gives a container any network where one is allowed."""

    new_privileges = True
    """Whether this engine can give a program new privileges where they are allowed; one that cannot never does."""

    def defended(
        self, bench: Bench, name: str, program: str, on: dict[str, Any], off: dict[str, Any], *words: str
    ) -> None:
        """The attack fails with the defence on and succeeds with it off; or the engine says that it does not defend."""
        info, program = bench.info, attack_of(program)
        if info.enforced[name]:
            assert name not in info.reasons
            assert not bench.attack(program, *words, **on)
        else:
            assert info.reasons[name]
            if "limits" in on:
                with pytest.raises(PolicyError, match=name):
                    bench.attack(program, *words, **on)
            else:
                assert bench.attack(program, *words, **on)
        assert bench.attack(program, *words, **off)

    def test_network(self, bench: Bench) -> None:
        if self.open_network:
            self.defended(bench, "network_none", NETWORK, {}, {"network": Network.OPEN})
        else:
            assert not bench.attack(attack_of(NETWORK))

    def test_a_network_that_cannot_be_had_is_refused(self, bench: Bench) -> None:
        with pytest.raises(PolicyError, match="proxy"):
            bench.run("true", network=Network.PROXY)

    def test_own_network_works(self, bench: Bench) -> None:
        program = (
            "import socket\n"
            "for name in ('localhost', '127.0.0.1'):\n"
            "    server = socket.create_server((name, 0))\n"
            "    socket.create_connection((name, server.getsockname()[1])).close()\n"
            "print('talked')"
        )
        assert bench.python(program).out == b"talked\n"

    def test_memory(self, bench: Bench) -> None:
        self.defended(bench, "memory", MEMORY, {"limits": Limits(memory=64 * MIB)}, {})

    def test_pids(self, bench: Bench) -> None:
        self.defended(bench, "pids", PIDS, {"limits": Limits(pids=40)}, {"limits": Limits(pids=None)})

    def test_cpus(self, bench: Bench) -> None:
        self.defended(bench, "cpus", CPUS, {"limits": Limits(cpus=0.2)}, {})

    def test_read_only_root(self, bench: Bench) -> None:
        if not bench.isolated and os.geteuid():
            pytest.skip("an ordinary user cannot write to the root of this host either")
        on: dict[str, Any] = {"user": User.IMAGE}
        self.defended(bench, "read_only_root", ROOT, on, {**on, "read_only_root": False})

    def test_no_new_privileges(self, bench: Bench) -> None:
        if not bench.isolated and os.geteuid():
            assert not bench.info.enforced["no_new_privileges"]
            return
        if not self.new_privileges:
            assert bench.info.enforced["no_new_privileges"]
            assert not bench.attack(attack_of(PRIVILEGES))
            assert not bench.attack(attack_of(PRIVILEGES), no_new_privileges=False)
            return
        self.defended(bench, "no_new_privileges", PRIVILEGES, {}, {"no_new_privileges": False})

    def test_user(self, bench: Bench) -> None:
        off = {"user": User.IMAGE}
        if bench.info.rootless:  # nothing inside is root, whoever it says it is
            assert bench.info.enforced["user"]
            assert not bench.attack(attack_of(BECOME_ROOT))
            assert not bench.attack(attack_of(BECOME_ROOT), **off)
        elif bench.isolated or os.geteuid() == 0:
            self.defended(bench, "user", BECOME_ROOT, {}, off)

    def test_capabilities(self, bench: Bench) -> None:
        if bench.isolated:
            assert not bench.attack(attack_of(CAPABILITIES))
            assert not bench.attack(attack_of(CAPABILITIES), user=User.IMAGE, read_only_root=False)
        elif os.geteuid() == 0:
            assert bench.attack(attack_of(CAPABILITIES))

    def test_read_only_mounts(self, bench: Bench) -> None:
        data = bench.directory("data", answer="secret")
        locked, free = (bench.mount(data, "/app/data", read_only=flag) for flag in (True, False))
        program = attack_of(WRITE)
        if bench.isolated:
            assert not bench.attack(program, "/app/data/answer", mounts=(locked,))
            assert not bench.attack(program, "/app/data/answer", mounts=(locked,), user=User.IMAGE)
            assert (data / "answer").read_text() == "secret"
        else:
            assert bench.info.reasons["read_only_mounts"]
        assert bench.attack(program, "/app/data/answer", mounts=(free,))
        assert (data / "answer").read_text() == "forged"

    def test_what_is_not_mounted_is_not_there(self, bench: Bench) -> None:
        data = bench.directory("hidden", answer="secret")
        mount = bench.mount(data, "/app/data")
        outside = str(data / "answer")
        assert bench.attack(attack_of(READ), outside) is not bench.isolated
        assert bench.attack(attack_of(READ), "/app/data/answer", mounts=(mount,))

    def test_other_processes_are_not_there(self, bench: Bench) -> None:
        mine = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()
        assert bench.attack(attack_of(OTHERS.replace("sys.argv[1]", repr(mine)))) is not bench.isolated
        assert bench.attack(attack_of(OTHERS), "a-word-of-its-own")

    @pytest.mark.parametrize("place", ["/tmp/x", "/dev/shm/x"])
    def test_temporary_files_are_bounded(self, bench: Bench, place: str) -> None:
        if not bench.isolated:
            return
        small, large = Limits(tmp=8 * MIB, shm=8 * MIB), Limits(tmp=64 * MIB, shm=64 * MIB)
        assert not bench.attack(attack_of(FILL), place, limits=small)
        assert bench.attack(attack_of(FILL), place, limits=large)

    def test_programs_run_from_the_temporary_directory(self, bench: Bench) -> None:
        script = "printf '#!/bin/sh\\necho ran' >/tmp/$$; chmod +x /tmp/$$; /tmp/$$; rm /tmp/$$"
        assert bench.run("sh", "-c", script).out == b"ran\n"

    def test_environment(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("CODABENCH_SECRET", "HTTP_PROXY", "http_proxy", "AWS_SECRET_ACCESS_KEY", "DOCKER_HOST"):
            monkeypatch.setenv(name, "http://leaked.example")
        given = {"GIVEN": "a 'b' $c\n d=é", "EMPTY": ""}
        ran = bench.python("import os, json; print(json.dumps(dict(os.environ)))", env=given)
        assert b"leaked" not in ran.out
        inside = json.loads(ran.out)
        assert {name: inside[name] for name in given} == given

    def test_words_of_the_command_are_taken_as_they_are(self, bench: Bench) -> None:
        words = ["", " ", "; echo x", "$(id)", "`id`", "a\nb", "*", "'", '"', "é", "--x=$HOME", "\\"]
        ran = bench.python("import json, sys; print(json.dumps(sys.argv[1:]))", *words)
        assert json.loads(ran.out) == words
