"""Directories: what goes in, what comes out, and whose it is."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest

from codabench.backends.engine import Deadline, StopSignal
from codabench.core.errors import EngineError
from codabench.core.policy import User
from codabench.core.records import Exit
from codabench.testing.bench import Bench, Sink

_LOCKED_AWAY = """
import os, sys
os.chdir(sys.argv[1])
os.umask(0)
os.makedirs('a/b/c')
for name in ('x', 'a/x', 'a/b/x', 'a/b/c/x', 'never'):
    with open(name, 'w') as file: file.write(name)
os.symlink('/etc/passwd', 'link')
os.symlink('/etc', 'a/folder')
for name in ('x', 'a/b/c/x'): os.chmod(name, 0o600)
os.chmod('never', 0)
os.chmod('a/b/c', 0)
os.chmod('a/b', 0o700)
os.chmod('a', 0o300)
"""

_MEET = """
import os, sys, time
mine, yours = sys.argv[2:4]
open(os.path.join(sys.argv[1], mine), 'w').close()
while not os.path.exists(os.path.join(sys.argv[1], yours)): time.sleep(0.01)
print('met')
"""


def _contents(root: Path) -> dict[str, str]:
    """Regular files and their text."""
    files = (Path(folder, name) for folder, _, names in os.walk(root) for name in names)
    return {str(f.relative_to(root)): f.read_text() for f in files if not f.is_symlink()}


class Files:
    def test_in_and_out(self, bench: Bench) -> None:
        data, output = bench.directory("data", line="hello"), bench.directory("output")
        mounts = (bench.mount(data, "/app/data", read_only=True), bench.mount(output, "/app/output"))
        words = ("sh", "-c", "cat /app/data/line > /app/output/copy")
        if not bench.isolated:  # paths inside of a script are not seen, those in its words are
            words = ("cp", "/app/data/line", "/app/output/copy")
        assert bench.run(*words, mounts=mounts).end.ok
        assert _contents(output) == {"copy": "hello"}
        assert _contents(data) == {"line": "hello"}

    def test_a_mount_inside_another(self, bench: Bench) -> None:
        outer, inner = bench.directory("outer", near="outer"), bench.directory("inner", far="inner")
        (outer / "ref").mkdir()
        mounts = (bench.mount(outer, "/app/input"), bench.mount(inner, "/app/input/ref", read_only=True))
        program = "import sys; print(*(open(f'{sys.argv[1]}/{name}').read() for name in ('near', 'ref/far')))"
        ran = bench.python(program, "/app/input", mounts=mounts)
        assert ran.out == b"outer inner\n", ran
        assert not (outer / "ref").is_symlink()
        assert list((outer / "ref").iterdir()) == []
        assert _contents(inner) == {"far": "inner"}

    def test_content_may_change_until_the_start(self, bench: Bench) -> None:
        data = bench.directory("data", line="early")
        container = bench.engine.create(bench.spec("cat", "/app/line", mounts=(bench.mount(data, "/app"),)))
        (data / "line").write_text("late")
        sink = Sink()
        assert container.run(sink, StopSignal(), Deadline(60)).ok
        assert sink.read("stdout") == b"late"

    @pytest.mark.parametrize("user", [User.NOBODY, User.IMAGE])
    def test_whatever_is_left_can_be_read_and_removed(self, bench: Bench, user: User) -> None:
        output = bench.directory("output", user)
        (output / "old").write_text("old")
        ran = bench.python(_LOCKED_AWAY, "/app/output", mounts=(bench.mount(output, "/app/output"),), user=user)
        assert ran.end.ok, ran
        expected = {name: name for name in ("x", "a/x", "a/b/x", "a/b/c/x")} | {"never": "never", "old": "old"}
        assert _contents(output) == expected
        shutil.rmtree(output)
        assert not output.exists()

    def test_what_was_written_before_a_kill_is_there(self, bench: Bench) -> None:
        output = bench.directory("output")
        program = "import sys, time\nopen(sys.argv[1], 'w').write('kept')\ntime.sleep(600)"
        ran = bench.python(program, "/app/x", mounts=(bench.mount(output, "/app"),), limit=1.5)
        assert ran.end.code is None
        assert _contents(output) == {"x": "kept"}

    def test_a_mount_inside_a_mount(self, bench: Bench) -> None:
        outer, inner = bench.directory("outer", a="a"), bench.directory("inner", b="b")
        mounts = (bench.mount(outer, "/app/input"), bench.mount(inner, "/app/input/res"))
        assert bench.run("cat", "/app/input/a", "/app/input/res/b", mounts=mounts).out == b"ab"
        assert _contents(inner) == {"b": "b"}

    def test_two_at_once_share_a_directory(self, bench: Bench) -> None:
        shared = bench.directory("shared")
        mounts = (bench.mount(shared, "/app/shared"),)
        names = ("first", "second")
        pairs = [(mine, yours) for mine, yours in (names, reversed(names))]
        containers = [
            bench.engine.create(bench.spec("python3", "-c", _MEET, "/app/shared", *pair, mounts=mounts))
            for pair in pairs
        ]
        ends: list[Exit] = []
        deadline = Deadline(60)
        threads = [
            threading.Thread(target=lambda c=c: ends.append(c.run(Sink(), StopSignal(), deadline))) for c in containers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [end.ok for end in ends] == [True, True]
        assert set(_contents(shared)) == set(names)

    def test_working_directory(self, bench: Bench) -> None:
        program = bench.directory("program", main="print('from the working directory')")
        mounts = (bench.mount(program, "/app/program"),)
        ran = bench.run("python3", "main", workdir="/app/program", mounts=mounts)
        assert ran.out == b"from the working directory\n"

    def test_a_source_that_is_not_there(self, bench: Bench) -> None:
        missing = bench.root / "missing"
        with pytest.raises(EngineError, match="missing"):
            bench.run("true", mounts=(bench.mount(missing, "/app"),))
        assert not missing.exists()
