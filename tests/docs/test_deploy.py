"""What stands in deploy/: every command line is one of ours, units are read by systemd, the image has what it needs."""

from __future__ import annotations

import configparser
import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from documents import ROOT, parse

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
CONTAINERFILE = DEPLOY / "Containerfile"
PLACES = {"%h": "/home/lab", "%C": "/home/lab/.cache", "%t": "/run/user/1000"}


def name(path: Path) -> str:
    return path.stem


def command(unit: Path) -> list[str]:
    """The words that systemd starts, with the variables that the comments of the unit show."""
    text = unit.read_text()
    shown = dict(re.findall(r"^#.*?\b([A-Z]+)=(.+)$", text, re.MULTILINE))
    shown["CREDENTIALS_DIRECTORY"] = "/run/credentials/unit"
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters="=")
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    words: list[str] = []
    for word in parser["Service"]["ExecStart"].split():
        for sign, place in PLACES.items():
            word = word.replace(sign, place)
        whole = re.sub(r"\$\{(\w+)\}", lambda found: shown[found[1]], word)
        words += shlex.split(shown[word[1:]]) if re.fullmatch(r"\$\w+", word) else [whole]
    return words


def test_there_are_units() -> None:
    assert [unit.stem for unit in UNITS] == [
        "codabench-scheduler",
        "codabench-worker-docker",
        "codabench-worker-podman",
    ]


@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_what_a_unit_starts_is_a_command(unit: Path) -> None:
    program, *words = command(unit)
    assert program.endswith("/bin/codabench")
    assert len(words) > 5
    assert parse(["codabench", *words]) is None
    assert parse(["codabench", *words, "--no-such-option"]) == "NoSuchOption"


@pytest.mark.parametrize("unit", UNITS, ids=name)
def test_systemd_reads_a_unit(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed; the commands of units are tested anyway")
    text = re.sub(r"(?<=^ExecStart=)\S+", sys.executable, unit.read_text(), flags=re.MULTILINE)
    assert said_of(unit.name, text, tmp_path) == []
    (wrong,) = said_of(unit.name, text.replace("Restart=always", "Restart=allways"), tmp_path)
    assert "allways" in wrong


def said_of(unit: str, text: str, place: Path) -> list[str]:
    """What systemd has to say of a unit; of others that it knows it may say more."""
    (place / unit).write_text(text)
    user = ["--user"] if "WantedBy=default.target" in text else []
    words = ["systemd-analyze", "verify", "--man=no", *user, str(place / unit)]
    env = {**os.environ, "XDG_RUNTIME_DIR": str(place), "LC_ALL": "C"}
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if unit in line or "Failed" in line]


def test_the_image_is_made_of_files_that_are_there() -> None:
    text = CONTAINERFILE.read_text()
    ignored = (ROOT / ".containerignore").read_text().split()
    assert os.readlink(ROOT / ".dockerignore") == ".containerignore"
    copied = [words[1:-1] for line in text.splitlines() if (words := line.split())[:1] == ["COPY"]]
    sources = [source for words in copied for source in words if not words[0].startswith("--from")]
    assert len(sources) > 4
    for source in sources:
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(f"!{source}", line) for line in ignored), f"{source} never gets there"
    (extras,) = re.findall(r"'/src\[([\w,]+)\]'", text)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    assert 'ENTRYPOINT ["codabench"]' in text


def containers() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Containers of the manifest, each with its pod."""
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    pods = [document["spec"]["template"]["spec"] for document in documents if "template" in document["spec"]]
    return [(container, pod) for pod in pods for container in pod["containers"]]


def test_what_kubernetes_starts_are_commands() -> None:
    ours = [container for container, _ in containers() if "codabench" in container["image"]]
    assert [container["args"][0] for container in ours] == ["scheduler", "worker"]
    for container in ours:
        known = {f"$({variable['name']})" for variable in container["env"]}
        assert set(re.findall(r"\$\(\w+\)", " ".join(container["args"]))) <= known
        assert parse(["codabench", *container["args"]]) is None


def test_what_kubernetes_mounts_is_there() -> None:
    for container, pod in containers():
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        assert pod["automountServiceAccountToken"] is False
