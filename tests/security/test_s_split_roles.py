"""What participant code can reach in a run, and what of it can reach a score (security.md C13, C14, S01, S03 to S05).

Each attack runs in the place where participant code runs. Its twin shows that the same program succeeds where the
defence is missing, so a defence that is lost turns the test red, and a broken attack does too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import codabench as cb
from codabench.backends.engine import ContainerSpec, Deadline, Mount, StopSignal
from codabench.testing.bundles import write_bundle, write_files

pytestmark = pytest.mark.engine

SECRET = "the-truth-is-41825"

HONEST_SCORER = """
    import json, os
    truth = open("/app/input/ref/truth.txt").read()
    found = {}
    for name in ("found.json",):
        path = os.path.join("/app/input/res", name)
        if os.path.exists(path):
            found = json.load(open(path))
    json.dump({"score": found.get("score", 0), "leaked": float(truth.strip() in json.dumps(found))},
              open("/app/output/scores.json", "w"))
"""

SEARCH = """
    import json, os, sys
    hits = []
    for top, folders, files in os.walk("/"):
        folders[:] = [f for f in folders if os.path.join(top, f) not in ("/proc", "/sys", "/dev")]
        for name in files:
            path = os.path.join(top, name)
            try:
                if os.path.isfile(path) and os.path.getsize(path) < 1 << 20:
                    with open(path, "rb") as f:
                        if b"the-truth-is-" in f.read() and not path.endswith(("main.py", "strategy.py")):
                            hits.append(path)
            except OSError:
                pass
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            for what in ("environ", "cmdline", "root/app/input/ref/truth.txt"):
                try:
                    with open("/proc/%s/%s" % (pid, what), "rb") as f:
                        if b"the-truth-is-" in f.read():
                            hits.append("/proc/%s/%s" % (pid, what))
                except OSError:
                    pass
    print("hits", hits)
    json.dump({"score": len(hits), "hits": hits}, open("/app/output/found.json", "w"))
"""


@pytest.fixture(scope="module", params=["docker", "podman", "sandbox"])
def engine(request: pytest.FixtureRequest, make_engine_called: Callable[[str], Any]) -> Iterator[Any]:
    made = make_engine_called(request.param)
    yield made
    made.close()


def run(bundle: Path, submission: Path, engine: Any, **options: Any) -> Any:
    competition = cb.load(bundle)
    handle = competition.run(submission, backend=engine, progress="none", **options)
    handle.run.logs  # noqa: B018 - kept for the message of a failing assertion
    return handle.run, competition


def command(folder: Path, program: str, **files: str) -> Path:
    return write_files(folder, {"metadata": "command: python3 main.py\n", "main.py": program, **files})


class Sink:
    def __init__(self) -> None:
        self.data = b""

    def write(self, stream: str, data: bytes) -> None:
        self.data += data


def alone(engine: Any, image: str, program: Path, mounts: dict[str, Path], **options: Any) -> tuple[Any, str]:
    """The same program in a container whose mounts the test chooses: where the defence is off."""
    owner = engine.file_owner(cb.Policy().user)
    for place in {program, *mounts.values()}:
        if owner:
            os.chown(place, *owner)
    listed = [Mount(source=str(program), target="/app/program")]
    listed += [Mount(source=str(source), target=target) for target, source in mounts.items()]
    spec = ContainerSpec(
        image=engine.resolve(image),
        argv=("python3", "main.py"),
        workdir="/app/program",
        mounts=tuple(listed),
        **options,
    )
    sink = Sink()
    end = engine.run(spec, sink, StopSignal(), Deadline(60))
    return end, sink.data.decode()


@pytest.mark.row("C13")
@pytest.mark.twin("C13")
def test_reference_data_is_nowhere_in_the_prediction_step(engine, tmp_path, test_image):
    truth = {"truth.txt": SECRET}
    bundle = write_bundle(
        tmp_path / "bundle", scoring={"main.py": HONEST_SCORER}, reference_data=truth, columns=("score", "leaked")
    )
    found, competition = run(bundle, command(tmp_path / "sub", SEARCH), engine)
    assert found.scores == {"score": 0, "leaked": 0}, found.logs
    competition.close()

    reference = write_files(tmp_path / "ref", truth)
    program = command(tmp_path / "twin", SEARCH)
    (tmp_path / "out").mkdir()
    _, said = alone(engine, test_image, program, {"/app/input/ref": reference, "/app/output": tmp_path / "out"})
    assert "/app/input/ref/truth.txt" in said


@pytest.mark.row("S04")
def test_reference_data_is_nowhere_where_ingestion_runs_during_scoring(engine, tmp_path):
    """The scorer is alive beside it and has the truth; nothing of it is to be seen, its output neither."""
    scorer = """
        import json, os, time
        for _ in range(300):
            if os.path.exists("/app/shared/found.json"):
                break
            time.sleep(0.1)
        found = json.load(open("/app/shared/found.json"))
        json.dump({"score": found["score"]}, open("/app/output/scores.json", "w"))
        print(found)
    """
    ingestion = SEARCH.replace("/app/output/found.json", "/app/shared/part") + (
        '    json.dump({"score": 1}, open("/app/output/scores.json", "w"))\n'
        '    os.rename("/app/shared/part", "/app/shared/found.json")\n'
    )
    bundle = write_bundle(
        tmp_path / "bundle",
        scoring={"main.py": scorer},
        ingestion={"main.py": ingestion},
        reference_data={"truth.txt": SECRET},
        during_scoring=True,
    )
    found, competition = run(bundle, write_files(tmp_path / "sub", {"x": "1"}), engine)
    assert found.scores == {"score": 0}, found.logs
    competition.close()


@pytest.mark.row("S03")
def test_scores_forged_in_prediction_are_not_taken(engine, tmp_path):
    """Scores files left wherever participant code can write do not become the score (S03)."""
    forger = """
        import json, os
        for folder in ("/app/output", "/app/shared", "/app/program", "/tmp", "/app/input_data"):
            for name in ("scores.json", "scores.txt"):
                try:
                    with open(os.path.join(folder, name), "w") as f:
                        f.write('{"score": 99}' if name.endswith("json") else "score: 99")
                except OSError as error:
                    print(folder, error)
    """
    scorer = """
        import os
        with open("/app/output/scores.txt", "a") as f:
            f.write("score: 1" if not os.listdir("/app/shared") else "score: 50")
    """
    bundle = write_bundle(tmp_path / "bundle", scoring={"main.py": scorer}, input_data={"a": "1"})
    found, competition = run(bundle, command(tmp_path / "sub", forger), engine)
    assert found.scores == {"score": 1}, found.logs
    silent = write_bundle(tmp_path / "silent", scoring={"main.py": "print('no scores')"}, input_data={"a": "1"})
    nothing, other = run(silent, tmp_path / "sub", engine)
    assert nothing.status == "Failed"
    assert nothing.problem.code == "CB641"
    competition.close()
    other.close()


@pytest.mark.row("S05")
@pytest.mark.twin("S05")
def test_modules_planted_among_predictions_do_not_reach_the_scorer(engine, tmp_path):
    """Neither cwd nor PYTHONPATH of the scorer is a directory that a participant wrote (S05). A scorer that puts it
    on its path by itself gets what it asked for: that is the twin."""
    planted = "open('/app/output/scores.json', 'w').write('{\"score\": 99}'); import os; os._exit(0)\n"
    names = ("sitecustomize.py", "usercustomize.py", "json.py", "helper.py", "encodings/__init__.py")
    submission = write_files(tmp_path / "sub", dict.fromkeys(names, planted))
    honest = {
        "main.py": "import json, helper\njson.dump({'score': helper.ONE}, open('/app/output/scores.json', 'w'))\n"
    }
    bundle = write_bundle(tmp_path / "bundle", scoring={**honest, "helper.py": "ONE = 1\n"})
    found, competition = run(bundle, submission, engine)
    assert found.scores == {"score": 1}, found.logs
    careless = "import sys\nsys.path.insert(0, '/app/input/res')\n" + honest["main.py"]
    twin = write_bundle(tmp_path / "twin", scoring={"main.py": careless, "helper.py": "ONE = 1\n"})
    hijacked, other = run(twin, submission, engine)
    assert hijacked.scores == {"score": 99}
    competition.close()
    other.close()


LINKS = """
    import os, socket
    out = "/app/output"
    os.symlink("/etc/passwd", out + "/passwd")
    os.symlink("../input/ref/truth.txt", out + "/truth")
    os.symlink("/app/input/ref", out + "/folder")
    os.symlink("/", out + "/root")
    os.symlink("loop", out + "/loop")
    os.symlink("/proc/self/environ", out + "/environ")
    os.symlink("HOST", out + "/host")
    os.mkfifo(out + "/fifo")
    socket.socket(socket.AF_UNIX).bind(out + "/socket")
    os.mkdir(out + "/deep")
    os.symlink("../../../../../../../../../../etc/hostname", out + "/deep/escape")
    with open(out + "/real.txt", "w") as f:
        f.write("mine")
    os.link(out + "/real.txt", out + "/hard.txt")
    os.mkdir(out + "/closed")
    with open(out + "/closed/kept.txt", "w") as f:
        f.write("kept")
    os.chmod(out + "/closed", 0)
"""


@pytest.mark.row("S01")
def test_links_in_an_output_lead_nowhere(engine, tmp_path):
    """50 shapes are tried without an engine (test_z_archives); here a real program leaves them (S01)."""
    secret = tmp_path / "host-secret.txt"
    secret.write_text(SECRET)
    scorer = """
        import json, os
        listed = sorted(os.path.join(top, n) for top, _, names in os.walk("/app/input/res") for n in names)
        text = " ".join(open(p).read() for p in listed)
        print(listed)
        json.dump({"score": len(listed), "leaked": float("the-truth" in text or "root:" in text)},
                  open("/app/output/scores.json", "w"))
    """
    bundle = write_bundle(tmp_path / "bundle", scoring={"main.py": scorer}, columns=("score", "leaked"))
    found, competition = run(bundle, command(tmp_path / "sub", LINKS.replace("HOST", str(secret))), engine)
    assert found.scores["leaked"] == 0, found.logs
    with found.output("prediction") as output:
        names = {e.path for e in output.entries()}
        assert "closed/kept.txt" in names
        assert not names & {"passwd", "truth", "environ", "host", "fifo", "socket", "deep/escape"}
        text = b"".join(output.read_bytes(e.path) for e in output.entries() if e.kind == "file")
    assert SECRET.encode() not in text
    assert b"root:" not in text
    assert found.warnings
    assert not list((competition.workspace.scratch / "runs").iterdir())
    competition.close()


@pytest.mark.row("C14")
def test_two_runs_side_by_side_do_not_see_each_other(engine, tmp_path):
    """C14: each attempt has its directories alone."""
    peeking = """
        import json, os, time
        open("/app/shared/mine-%d" % os.getpid(), "w").write("the-truth-is-mine")
        time.sleep(2)
        seen = [os.path.join(t, n) for t, _, names in os.walk("/app") for n in names if n.startswith("mine-")]
        json.dump({"score": len(seen)}, open("/app/output/found.json", "w"))
    """
    bundle = write_bundle(
        tmp_path / "bundle",
        scoring={"main.py": HONEST_SCORER},
        reference_data={"truth.txt": SECRET},
        columns=("score", "leaked"),
    )
    competition = cb.load(bundle)
    names = [command(tmp_path / n, peeking) for n in "ab"]
    handles = competition.run_many(names, backend=engine, jobs=2, progress="none")
    assert [h.run.scores["score"] for h in handles] == [1, 1]
    competition.close()


def test_provenance_says_what_ran(engine, tmp_path, test_image):
    bundle = write_bundle(
        tmp_path / "bundle", scoring={"main.py": "open('/app/output/scores.txt', 'w').write('score: 1')"}
    )
    found, competition = run(bundle, write_files(tmp_path / "sub", {"x": "1"}), engine, image=test_image)
    record = json.loads(json.dumps(found.provenance))
    assert record["image"]["id"].startswith("rootfs:/" if engine.name == "sandbox" else "sha256:")
    assert record["trees"]["submission"].startswith("sha256:")
    assert record["policy"]["network"] == "none"
    assert record["engine"]["name"] == engine.name
    assert set(record["steps"]) == {"scoring"}
    competition.close()
