"""What is said of bundles without errors: for each code a bundle that earns it, and near misses that do not."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest
from bundle_maker import GOOD, marked, report, write

from codabench.bundle.checks.python import look_at
from codabench.bundle.load import read_bundle
from codabench.core.problems import Problem, Severity

EXAMPLES = sorted((Path(__file__).resolve().parents[3] / "examples").glob("*/bundle"))
SCORER = "scoring/score.py"
LABELS = b"setosa\nversicolor\nvirginica\nsetosa\n"


class Case(NamedTuple):
    """A bundle as it differs from the good one, and what is said of it: nothing, or this one code."""

    code: str
    says: bool
    files: dict[str, str | bytes]
    changes: tuple[tuple[str, str], ...] = ()


def column(title: str, key: str, more: str = "") -> tuple[tuple[str, str], ...]:
    return (("title: Loss", f"title: {title}"), ("key: loss", f"key: {key}"), ("        sorting: asc", more or "#"))


def scorer(code: str, says: bool, text: str, *changes: tuple[str, str]) -> Case:
    return Case(code, says, {SCORER: text}, changes)


def written(text: str) -> str:
    return f"import json\n{text}"


BOTH = 'json.dump({"score": 1, "loss": 2}, open("o", "w"))'
HELPERS = "def put(text, f):\n    f.write(text)\n\ndef save(scores):\n    put(json.dumps(scores), open('o', 'w'))\n\n"
SPLIT = (("reference_data: data", "reference_data: ref"),)
KIT = (*SPLIT, ("end: 2026-02-01", "end: 2026-02-01\n    starting_kit: kit"))
PUBLIC = (*SPLIT, ("end: 2026-02-01", "end: 2026-02-01\n    public_data: kit"))
IMAGE = "title: Small", "title: Small\ndocker_image: "

CASES = [
    # --- directions
    Case("CB501", True, {}, column("Duration", "duration", "        sorting: desc")),
    Case("CB501", True, {}, column("Training time (s)", "train_time")),
    Case("CB501", True, {}, column("Latency", "meanLatency")),
    Case("CB501", False, {}, column("Duration", "duration", "        sorting: asc")),
    Case("CB501", False, {}, column("Survival time", "time")),
    Case("CB501", False, {}, column("Real-time factor", "real_time_factor")),
    Case("CB501", False, {}, column("Score", "timeliness")),
    # --- keys that nothing writes
    scorer("CB502", True, written('json.dump({"score": 1}, open("o", "w"))')),
    scorer("CB502", True, 'with open("scores.txt", "w") as f:\n    f.write("score: %f\\n" % 0.5)'),
    scorer("CB502", True, 'with open("scores.txt", "w") as f:\n    f.write(f"score: {0.5}")'),
    scorer("CB502", True, 'print("score:", 1, file=open("scores.txt", "w"))'),
    scorer("CB502", True, written('s = {}\ns["score"] = 1\njson.dump(s, open("o", "w"))')),
    scorer("CB502", True, written('s = dict(score=1)\nf.write(json.dumps(s))')),
    scorer("CB502", True, written(f'{HELPERS}save({{"score": 1}})\nput("<b>", h)\nput(f"<i>{{x}}", h)')),
    scorer("CB502", True, written('class S:\n  def a(self):\n    self.s = {"score": 1}\n    json.dump(self.s, f)')),
    scorer("CB502", False, written(BOTH)),
    scorer("CB502", False, written(f'{HELPERS}save({{"score": 1}})\nput(more, h)')),
    scorer("CB502", False, written(f'{HELPERS}save({{"score": 1}})\nsave(more)')),
    scorer("CB502", False, written(f'{HELPERS}save({{"score": 1}})\nlist(map(save, others))')),
    scorer("CB502", False, written(f'{HELPERS}save(*[{{"score": 1}}])')),
    scorer("CB502", False, written('json.dump({"score": 1}, f)\n# the loss is not written')),
    scorer("CB502", False, written('s = {"score": 1}\ns.update(loss=2)\njson.dump(s, f)')),
    scorer("CB502", False, written('s = {"score": 1}\nfor k in open("names"):\n    s[k] = 1\njson.dump(s, f)')),
    scorer("CB502", False, written('json.dump({"score": 1, **more()}, f)')),
    scorer("CB502", False, written("json.dump(marks(), f)")),
    scorer("CB502", True, written('def save(s):\n    json.dump(s, f)\nsave({"score": 1})')),
    scorer("CB502", False, written('json.dump({"score": 1} | more, f)')),
    scorer("CB502", False, 'for k, v in s:\n    open("scores.txt", "a").write(f"{k}: {v}")'),
    scorer("CB502", False, "from scores import main\nmain()"),
    scorer("CB502", False, "this is no Python {"),
    scorer("CB502", False, written('json.dump({"other": 1}, f)')),
    Case("CB502", False, {SCORER: written('json.dump({"score": 1}, f)'), "scoring/fast.so": b"\x7fELF\xff"}),
    Case("CB502", False, {SCORER: written('json.dump({"score": 1}, f)'), "scoring/big.py": b"#" * 200_000}),
    Case("CB502", False, {SCORER: written('json.dump({"score": 1}, f)'), "scoring/more.R": "write(loss)"}),
    # --- keys that are spelt otherwise
    scorer("CB503", True, written('json.dump({"score": 1, "Loss": 2}, f)')),
    scorer("CB503", True, written('json.dump({"score": 1, "f1 score": 2}, f)'), ("key: loss", "key: F1_score")),
    scorer("CB503", False, written(BOTH)),
    scorer("CB503", False, written('json.dump({"score": 1, "Loss": 2, "loss": 2}, f)')),
    scorer("CB503", False, written('k = "loss"\njson.dump({"score": 1, "Loss": 2}, f)')),
    scorer("CB503", False, written('s = {"score": 1, "Loss": 2}\njson.dump({k.lower(): s[k] for k in s}, f)')),
    # --- answers that are given away
    Case("CB504", True, {"ref/labels.csv": LABELS, "data/all.csv": LABELS}, SPLIT),
    Case("CB504", True, {"ref/labels.csv": LABELS, "ref/groups.csv": b"g" * 40, "data/all.csv": LABELS}, SPLIT),
    Case("CB504", True, {"ref/r.csv": LABELS, "kit/r.csv": LABELS}, KIT),
    Case("CB504", True, {"ref/r.csv": LABELS * 9999, "kit/sub/r.csv": LABELS * 9999}, PUBLIC),
    Case("CB504", True, {"data/all.csv": LABELS}),
    Case("CB504", False, {"ref/labels.csv": LABELS, "data/all.csv": LABELS[:-1] + b"!"}, SPLIT),
    Case("CB504", False, {"ref/r.csv": LABELS * 9999 + b"1", "kit/r.csv": LABELS * 9999 + b"2"}, KIT),
    Case("CB504", False, {"ref/labels.csv": b"1\n2\n", "data/all.csv": b"1\n2\n"}, SPLIT),
    Case("CB504", False, {"ref/README.md": LABELS, "data/README.md": LABELS, "ref/y.csv": b"1"}, SPLIT),
    Case("CB504", False, {"ref/grid.csv": LABELS, "ref/y.csv": b"y" * 40, "data/grid.csv": LABELS}, SPLIT),
    Case("CB504", False, {"ref/r.csv": LABELS, "later/r.csv": LABELS}, SPLIT),
    # --- images
    Case("CB505", True, {}, ((IMAGE[0], IMAGE[1] + "python"),)),
    Case("CB505", True, {}, ((IMAGE[0], IMAGE[1] + "host:5000/team/python:latest"),)),
    Case("CB505", False, {}, ((IMAGE[0], IMAGE[1] + "host:5000/team/python:3.12"),)),
    Case("CB505", False, {}, ((IMAGE[0], IMAGE[1] + f"python@sha256:{'0' * 64}"),)),
    Case("CB505", False, {}),
    # --- the network
    scorer("CB506", True, "import os\nos.system('pip install scipy')"),
    scorer("CB506", True, "import subprocess as s, sys\ns.run([sys.executable, '-m', 'pip', 'install', 'scipy'])"),
    scorer("CB506", True, "from subprocess import run\ncommand = 'apt-get -y install gcc'\nrun(command, shell=True)"),
    scorer("CB506", True, "import requests as r\nr.get('https://example.org/truth.csv')"),
    scorer("CB506", True, "from urllib.request import urlopen\nurlopen(URL)"),
    scorer("CB506", True, "from transformers import AutoModel\nAutoModel.from_pretrained('org/model')"),
    Case("CB506", True, {"ingestion/setup.sh": "set -e\nwget -q https://example.org/model.bin\n"}),
    Case("CB506", True, {"ingestion/get.sh": "huggingface-cli download org/model --local-dir /tmp/m\n"}),
    Case("CB506", True, {"ingestion/get.sh": "git clone --depth 1 https://example.org/x.git\n"}),
    # --- commands that start nothing
    *[
        Case("CB511", says, {"scoring/metadata.yaml": f"command: {command}\n"})
        for says, command in [
            (True, "python3 scorer.py"),
            (True, "python3 -u scorer.py $input $output"),
            (True, "python /app/program/scorer.py /app/input /app/output"),
            (True, "bash run.sh --all"),
            (True, "python $program/sub/score.py"),
            (False, "python3 ./score.py /app/input/res"),
            (False, "python3 $program/score.py"),
            (False, "python3 -m scorer.py"),
            (False, "python3 ../shared/scorer.py"),
            (False, "python3 /opt/scorer.py"),
            (False, "cd sub && python3 scorer.py"),
            (False, "python3 scorer.py; true"),
            (False, "python3 $ingestion_program/scorer.py"),
            (False, "bash -c 'python3 scorer.py'"),
        ]
    ],
    Case("CB506", False, {"ingestion/get.sh": "git clone /app/program/x.git && curl file:///app/x\n"}),
    Case("CB503", False, {SCORER: written('json.dump({"score": 1, "Loss": 2}, f)'), "scoring/keys.txt": "loss"}),
    Case("CB506", True, {"scoring/metadata": "command: pip install scipy && python3 score.py\n"}),
    scorer("CB506", False, "import os\nos.system('pip install --no-index --find-links . scipy')"),
    scorer("CB506", False, "import os\nos.system('pip install ./wheels/scipy.whl')"),
    scorer("CB506", False, "import requests\nrequests.get('http://localhost:8000/ask')"),
    scorer("CB506", False, "import urllib.parse\nrequests = {}\nrequests.setdefault('get', 1)"),
    scorer("CB506", False, '"""First: pip install scipy, then wget https://x.org."""\nprint("pip install scipy")'),
    scorer("CB506", False, "from transformers import AutoModel\nAutoModel.from_pretrained('/app/program/model')"),
    Case("CB506", False, {"ingestion/setup.sh": "# pip install scipy\necho pip install scipy\ncurl --version\n"}),
    # --- predictions that run
    scorer("CB507", True, "import sys\nsys.path.append('/app/input/res')"),
    scorer("CB507", True, "import os, sys\nsys.path.insert(0, os.path.join(sys.argv[1], 'res'))\nimport model"),
    scorer("CB507", True, "import sys\nfrom pathlib import Path\nR = Path('input') / 'res'\nsys.path.append(str(R))"),
    scorer("CB507", False, "import sys\nsys.path.append('/app/program/lib')"),
    scorer("CB507", False, "import os, sys\nsys.path.append(os.path.join(os.path.dirname(__file__), 'resources'))"),
    scorer("CB507", False, "import sys\nRES = '/app/input/res'\nsys.path.append(sys.argv[1])"),
    Case("CB507", False, {"ingestion/run.py": "import sys\nsys.path.append('/app/input/res')"}),
    # --- predictions that are unpickled
    scorer("CB508", True, "import pickle\nwith open('/app/input/res/model.pkl', 'rb') as f:\n    pickle.load(f)"),
    scorer("CB508", True, "import numpy as np\nnp.load(path, allow_pickle=True)"),
    scorer("CB508", True, "from joblib import load\nload('/app/input/res/m.joblib')"),
    scorer("CB508", False, "import pickle\nwith open('/app/input/ref/truth.pkl', 'rb') as f:\n    pickle.load(f)"),
    scorer("CB508", False, "import numpy as np\nnp.load('/app/input/res/y.npy')"),
    scorer("CB508", False, "import numpy as np\nnp.load(path, allow_pickle=False)"),
    scorer("CB508", False, "import pickle\npickle.dump(x, f)"),
    Case("CB508", False, {"ingestion/run.py": "import pickle\npickle.load(f)"}),
    # --- dates
    Case("CB509", True, {}, (("end: 2026-02-01", "end: 2026-02-01 23:59:59"),)),
    Case("CB509", True, {}, (("end: 2026-02-01", 'end: "2026-02-01 23:59:59+02:00"'),)),
    Case("CB509", True, {}, (("end: 2026-02-01", "end: 2026-02-01T10:00:00Z"),)),
    Case("CB509", False, {}, (("end: 2026-02-01", 'end: "2026-02-01 23:59:59"'),)),
    Case("CB509", False, {}, (("end: 2026-02-01", "end: 2026-02-01 10:00"),)),
    Case("CB509", False, {}, (("end: 2026-02-01", "end: 2026-02-01 00:00:00+00:00"),)),
    Case("CB509", False, {}, (("end: 2026-02-01", "end: 1-13-2026"),)),
    # --- texts and numbers that YAML 1.1 reads otherwise
    Case("CB510", True, {}, (("title: Small", "title: 12:30"),)),
    Case("CB510", True, {}, (("name: First", "name: no"),)),
    Case("CB510", True, {}, (("name: One", "name: 1.10"),)),
    Case("CB510", True, {}, (("name: One", "name: 2026-01-01"),)),
    Case("CB510", True, {}, (("start: 2026-02-02", "start: 2026-02-02\n    execution_time_limit: 0600"),)),
    Case("CB510", True, {}, (("title: Loss", "title: +5"),)),
    Case("CB510", False, {}, (("title: Small", 'title: "12:30"'),)),
    Case("CB510", False, {}, (("title: Small", "title: 12:70"),)),
    Case("CB510", False, {}, (("title: Small", "title: 2026"),)),
    Case("CB510", False, {}, (("title: Small", "title: 1.5"),)),
    Case("CB510", False, {}, (("name: One", "name: 2026-02-31"),)),
    Case("CB510", False, {}, (("name: One", "name: 1e3"),)),
    Case("CB510", False, {}, (("start: 2026-02-02", "start: 2026-02-02\n    execution_time_limit: 600"),)),
    Case("CB510", False, {}, (("start: 2026-02-02", "start: 2026-02-02\n    execution_time_limit: 600.0"),)),
    Case("CB510", False, {}, (("start: 2026-02-02", "start: 2026-02-02\n    execution_time_limit: 09"),)),
]  # fmt: skip


def found(folder: Path, case: Case) -> tuple[Problem, ...]:
    text = GOOD
    for before, after in case.changes:
        assert before in text
        text = text.replace(before, after, 1)
    write(folder, text)
    for name, data in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    with read_bundle(folder) as bundle:
        assert bundle.report.ok, str(bundle.report)
        return bundle.report.problems


@pytest.mark.parametrize("case", CASES, ids=[f"{c.code}-{c.says}-{n}" for n, c in enumerate(CASES)])
def test_what_is_said(case: Case, tmp_path: Path) -> None:
    problems = found(tmp_path, case)
    assert [p.code for p in problems] == [case.code] * case.says
    for problem in problems:
        assert problem.severity is (Severity.WARNING if case.code < "CB505" or case.code == "CB511" else Severity.NOTE)
        assert problem.hint
        assert problem.where.line
        assert marked(problem)


def test_every_code_has_both_kinds_of_cases() -> None:
    for code in {case.code for case in CASES}:
        assert {case.says for case in CASES if case.code == code} == {True, False}


NOTES = {"old-format": {"CB118", "CB216", "CB312", "CB404"}}
"""What the example of the old format is there to show."""


@pytest.mark.parametrize("bundle", EXAMPLES, ids=lambda path: path.parent.name)
def test_nothing_is_said_of_the_examples(bundle: Path) -> None:
    with read_bundle(bundle) as read:
        assert {p.code for p in read.report} == NOTES.get(bundle.parent.name, set())
        assert read.report.errors + read.report.warnings == ()


def test_an_error_is_not_followed_by_remarks(tmp_path: Path) -> None:
    text = GOOD.replace("title: Small", "docker_image: python").replace("end: 2026-02-01", "end: 2026-02-01 10:00:00")
    assert [p.code for p in report(tmp_path, text)] == ["CB101"]


def test_one_cause_is_said_once(tmp_path: Path) -> None:
    """Three tasks with one program and one pair of data sets; two late dates; two slow columns."""
    tasks = "".join(
        f"  - {{index: {n}, name: T{n}, scoring_program: scoring, input_data: data, reference_data: ref}}\n"
        for n in (1, 2, 3)
    )
    text = GOOD.replace("phases:\n", f"{tasks}phases:\n").replace("reference_data: data", "reference_data: ref")
    text = text.replace("tasks: [0]", "tasks: [0, 1, 2, 3]").replace("end: 2026-02-01", "end: 2026-02-01 10:00:00")
    text = text.replace("start: 2026-02-02", "start: 2026-02-02 10:00:00").replace("title: Score", "title: Seconds")
    text = text.replace("key: score", "key: seconds").replace("title: Loss", "title: Minutes").replace("asc", "desc")
    text = text.replace("key: loss", "key: minutes")
    source = b"import json, pickle\njson.dump({'seconds': 1}, f)\npickle.load(f)\npickle.load(g)\n"
    extra = {"data__y_DOT_csv": LABELS, "data__z_DOT_csv": LABELS, "ref__y_DOT_csv": LABELS}
    found = report(tmp_path, text, scoring__score_DOT_py=source, **extra)
    assert sorted(p.code for p in found) == ["CB501", "CB502", "CB504", "CB508", "CB509"]
    late = next(p for p in found if p.code == "CB509")
    assert len(late.also) == 1
    assert late.hint is not None
    assert '"2026-02-01 10:00:00"' in late.hint


def test_programs_and_data_in_archives_are_looked_into(tmp_path: Path) -> None:
    text = GOOD.replace("scoring_program: scoring", "scoring_program: scoring.zip").replace(
        "reference_data: data", "reference_data: ref.zip"
    )
    write(tmp_path, text, data__labels_DOT_csv=LABELS)
    program = {"metadata": "command: python3 é.py".encode(), "é.py": "é = 1; import requests; requests.get(é)".encode()}
    for name, files in {"scoring.zip": program, "ref.zip": {"labels.csv": LABELS}}.items():
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            for inner, data in files.items():
                archive.writestr(inner, data)
    with read_bundle(tmp_path) as bundle:
        leak, network = bundle.report.problems
    assert (leak.code, leak.line, network.code, network.file) == ("CB504", 14, "CB506", "scoring.zip/é.py")
    assert marked(network).startswith("requests.get")


def test_columns_of_the_old_format_have_places(tmp_path: Path) -> None:
    text = """\
title: Old
image: logo.png
html: {overview: overview.md, terms: terms.md}
phases:
  1: {phasenumber: 1, label: One, start_date: 2026-01-01, scoring_program: scoring, reference_data: ref}
leaderboard:
  leaderboards:
    A: &A {label: A, rank: 1}
  columns:
    score: {leaderboard: *A, label: Score, rank: 1}
    duration: {leaderboard: *A, label: Duration, rank: 2}
"""
    source = b"f = open('scores.txt', 'w')\nf.write('score: 1')\n"
    found = report(tmp_path, text, scoring__score_DOT_py=source, ref__y_DOT_csv=LABELS)
    assert [(p.code, p.line) for p in found] == [("CB501", 11), ("CB502", 11)]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 9999,
        "x = 1" + " + 1" * 30_000,
        "x = '" + "a" * 99_999 + "'\n",
        "\0",
        "x = " + "9" * 9999,
        "\n".join(f"a{n} = f'{{a{n + 1}}}{{a{n + 1}}}{{a{n + 1}}}'" for n in range(400)) + "\nopen('x').write(a0)",
        "import os\n" + "os.system('pip ' * 99)\n" * 2000,
        "import os\nos.system('pip install" + " -x" * 20_000 + "')",
        "import json\n" + "".join(f"json.dump(s{n}, f)\ns{n}['a'] = 1\n" for n in range(3000)),
        "x = '\\d'\n" * 3000,
        "a, b = b, a\nopen('x').write(a)",
        "".join(f"def f{n}(a):\n    f{n + 1}(a)\n    f{n + 1}(a)\n" for n in range(1500)) + "json.dump(a, f)",
        "import json\ndef f(" + ", ".join(f"a{n}" for n in range(5000)) + "): json.dumps(a1)\n" + "f(x)\n" * 15,
        "import json\n" + "a = b\nb = a\n" * 3000 + "json.dump(a, f)\nf.write(a)\n" * 900,
    ],
    ids=range(14),
)
def test_hostile_programs_are_looked_at_in_bounded_time(text: str) -> None:
    assert len(text) <= 1 << 17
    start = time.process_time()
    look_at(text)
    assert time.process_time() - start < 2


def test_a_thousand_files_are_compared_in_half_a_second(tmp_path: Path) -> None:
    text = GOOD.replace("reference_data: data", "reference_data: ref")
    files = {f"{role}__{n}_DOT_bin": f"{role} {n:06}".encode() * 9 for role in ("data", "ref") for n in range(500)}
    write(tmp_path, text, **files)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        with read_bundle(tmp_path) as bundle:
            assert bundle.report.problems == ()
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.5


def test_dense_programs_are_read_up_to_a_budget(tmp_path: Path) -> None:
    """What is beyond it is not judged, and takes no time."""
    folder = write(tmp_path, **{f"scoring__m{n}_DOT_py": b"f.write(a + b + c)\n" * 6000 for n in range(20)})
    start = time.process_time()
    with read_bundle(folder) as bundle:
        assert bundle.report.problems == ()
    assert time.process_time() - start < 5
