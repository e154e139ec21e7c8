"""The catalogue of rules: for each code that reading a bundle can say, what earns it, and a near miss that does not.

Each row is an edit of a small sound bundle. What only a machine or a run can say is listed apart, with the tests that
see it. A new code without a row fails here.
"""

from __future__ import annotations

import ast
import io
import json
import re
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from bundle_maker import FILES, GOOD
from test_bundle_checks import CASES
from test_bundle_v15 import LATE, OLD

from codabench.bundle.load import read_bundle
from codabench.core import errors
from codabench.core.errors import BundleError, CodabenchError
from codabench.core.problems import Problem, Severity
from codabench.core.rules import rules

ROOT = Path(__file__).resolve().parents[3]
Bytes = dict[str, bytes]


class Edit(NamedTuple):
    """What is changed: texts in ``competition.yaml``, other files (None: left out), and how all of it is packed."""

    changes: tuple[tuple[str, str], ...] = ()
    files: dict[str, bytes | None] = {}
    pack: Callable[[Path, Bytes], Path] | None = None


class Rule(NamedTuple):
    code: str
    fails: Edit
    silent: Edit
    base: str = GOOD


def say(before: str, after: str, **files: bytes | None) -> Edit:
    """`before` in ``competition.yaml`` becomes `after`."""
    return Edit(((before, after),), {name.replace("__", "/"): data for name, data in files.items()})


def top(line: str) -> Edit:
    """A line more at the top."""
    return say("title: ", f"{line}\ntitle: ")


def late(line: str) -> Edit:
    """A line more in the second phase."""
    return say("start: 2026-02-02", f"start: 2026-02-02\n    {line}")


def start(moment: str) -> Edit:
    """Another beginning of the second phase."""
    return say("start: 2026-02-02", f"start: {moment}")


def loss(line: str, *more: tuple[str, str]) -> Edit:
    """A line more in the second column."""
    return Edit((("sorting: asc", f"sorting: asc\n        {line}"), *more))


def board(line: str) -> Edit:
    """A line more in the leaderboard."""
    return say("key: board", f"key: board\n    {line}")


def put(files: dict[str, bytes | None]) -> Edit:
    return Edit((), files)


def pack(change: Callable[[Path, Bytes], Path]) -> Edit:
    return Edit((), {}, change)


# ---------------------------------------------------------------------- archives
def archive(files: Bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in files.items():
            target.writestr(zipfile.ZipInfo(name), data)
    return packed.getvalue()


def zipped(change: Callable[[bytes], bytes] = bytes, **more: bytes) -> Edit:
    """The bundle as a zip with some files more, whose bytes are then changed."""

    def packed(folder: Path, files: Bytes) -> Path:
        path = folder / "bundle.zip"
        path.write_bytes(change(archive(files | {name.replace("_DOT_", "."): data for name, data in more.items()})))
        return path

    return pack(packed)


def header(offset: int, value: bytes) -> Callable[[bytes], bytes]:
    """Overwrite a field of the first entry, in the directory and before its bytes (where it stands 2 bytes earlier)."""

    def change(data: bytes) -> bytes:
        directory = data.index(b"PK\1\2")
        found = bytearray(data)
        found[directory + offset : directory + offset + len(value)] = value
        found[offset - 2 : offset - 2 + len(value)] = value
        return bytes(found)

    return change


def renamed(before: bytes, after: bytes) -> Callable[[bytes], bytes]:
    assert len(before) == len(after)
    return lambda data: data.replace(before, after)


def data(path: str, **files: bytes) -> Edit:
    """Other input data; the archive that it names, if files are given."""
    packed: Bytes = {path: archive({name.replace("__", "/"): inner for name, inner in files.items()})} if files else {}
    return Edit((("input_data: data", f"input_data: {path}"),), {**packed})


def folder(change: Callable[[Path], Path | None]) -> Edit:
    """The bundle as a directory, changed by hand."""

    def written(place: Path, files: Bytes) -> Path:
        for name, data in files.items():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(data)
        return change(place) or place

    return pack(written)


def sparse(place: Path, size: int) -> None:
    with (place / "large.bin").open("wb") as file:
        file.truncate(size)


def linked(place: Path, target: str) -> None:
    (place / "data" / "link").symlink_to(target)


def wrapped(place: Path, *, alone: bool) -> Path:
    """All in one folder; or a copy of the description in a folder of its own, beside the true one."""
    inner = place / "inner"
    inner.mkdir()
    for path in [p for p in place.iterdir() if p != inner and (alone or p.name == "competition.yaml")]:
        path.rename(inner / path.name) if alone else (inner / path.name).write_bytes(path.read_bytes())
    return place


def scorer(metadata: str) -> Edit:
    """A scoring program in an archive, with its metadata there."""
    packed = {"s.zip": archive({metadata: b"command: x"})}
    return Edit((("scoring_program: scoring", "scoring_program: s.zip"),), {**packed})


FACTS = (
    "fact_sheet:\n  team: {key: team, type: text, title: Team, selection: '', is_required: false,"
    " is_on_leaderboard: false}\ntitle: "
)


def facts(*changes: tuple[str, str]) -> Edit:
    return Edit((("title: ", FACTS), *changes))


SECOND_BOARD = "  - {title: Other, key: other, columns: [{title: A, key: a, index: 0}]}"
UUID = "a1b2c3d4-0000-4000-8000-0123456789ab"
LAST = "k: {phasenumber: 3, label: Kid, start_date: 2026-04-01, scoring_program: scoring, reference_data: data}"
CHILD = LAST.replace("{", "{parent_phasenumber: 2, ")

RULES = [
    # --- YAML
    Rule("CB001", say("title: Small", "title: 'Small"), say("title: Small", "title: 'Small'")),
    Rule("CB002", say("  - title: Overview", "\t- title: Overview"), say("title: Small", "title: 'a\ttab'")),
    Rule("CB003", top("title: Tiny"), top("# title: Tiny")),
    Rule("CB004", say("title: Small", "title: Sm\udce4ll"), say("title: Small", "title: Smäll")),
    Rule("CB005", top("description: " + "x" * 200_001), top("description: " + "x" * 200_000)),
    Rule("CB006", say("title: Small", "title: !!binary Small"), say("title: Small", "title: !!str Small")),
    Rule("CB007", say("title: Small", "---\ntitle: Small"), say("version: 2", "---\nversion: 2")),
    Rule("CB008", put({"competition.yaml": b"# nothing yet\n"}), top("# nothing to add")),
    Rule(
        "CB009",
        put({"competition.yaml": b"- version: 2\n"}),
        put({"competition.yaml": json.dumps(yaml.safe_load(GOOD), default=str).encode()}),
    ),
    # --- archives and folders
    Rule("CB021", folder(lambda place: place / "nothing"), folder(lambda place: None)),
    Rule("CB022", zipped(lambda data: b""), zipped()),
    Rule("CB023", zipped(lambda data: data[:-30]), zipped(lambda data: data[:-2] + b"\4\0note")),
    Rule("CB024", zipped(lambda data: b"logo.gif".join(data.rsplit(b"logo.png", 1))), zipped()),
    Rule("CB025", zipped(header(16, b"\1\2\3\4")), zipped()),
    Rule("CB026", pack(lambda place, files: place), folder(lambda place: None)),
    Rule("CB027", put({"data/a\nb": b""}), put({"data/a b": b""})),
    Rule("CB028", folder(lambda place: linked(place, "/etc")), folder(lambda place: linked(place, "x.csv"))),
    Rule("CB029", folder(lambda p: sparse(p, (100 << 30) + 1)), folder(lambda p: sparse(p, 99 << 30))),
    Rule("CB031", zipped(header(8, b"\1\0")), zipped(header(8, b"\0\0"))),
    Rule("CB032", zipped(header(10, b"\x0c\0")), zipped(header(10, b"\0\0"))),
    Rule("CB033", zipped(a_DOT_txt=b"", A_DOT_txt=b""), zipped(a_DOT_txt=b"", b_DOT_txt=b"")),
    Rule("CB034", zipped(renamed(b"b.txt", b"a.txt"), a_DOT_txt=b"", b_DOT_txt=b""), zipped(a_DOT_txt=b"")),
    Rule("CB035", zipped(renamed(b"data/x.csv", b"data\\x.csv")), zipped()),
    Rule("CB036", zipped(lambda data: b"#!/bin/sh\n" + data), zipped()),
    # --- what a bundle says
    Rule("CB101", say("title: Small\n", ""), say("title: Small", "title: 'null'")),
    Rule("CB102", say("tasks: [0]", "tasks: 0"), say("tasks: [0]", "tasks: ['0']")),
    Rule("CB103", say("title: Small", "title: " + "x" * 257), say("title: Small", "title: " + "x" * 256)),
    Rule("CB104", say("sorting: asc", "sorting: ascending"), say("sorting: asc", "sorting: desc")),
    Rule("CB105", top("subtitle: of all"), top("description: of all")),
    Rule("CB106", late("max_submissions: -1"), late("max_submissions: 1")),
    Rule(
        "CB107",
        say("phases:", "  - {index: 0, name: Second, scoring_program: scoring}\nphases:"),
        say("phases:", "  - {index: 1, name: Second, scoring_program: scoring}\nphases:"),
    ),
    Rule("CB108", say("tasks: [0]", "tasks: [1]"), say("tasks: [0]", "tasks: ['0']")),
    Rule("CB109", say("tasks: [0]", "tasks: []"), say("tasks: [0]", "tasks: [0,]")),
    Rule("CB110", put({"competition.yaml": None, "competition.yml": b""}), put({"competition.yml": b""})),
    Rule("CB112", folder(lambda p: wrapped(p, alone=True)), folder(lambda p: wrapped(p, alone=False))),
    Rule("CB113", say("version: 2\n", ""), say("version: 2", "version: '2'")),
    Rule("CB114", say("version: 2", "version: 2.0"), say("version: 2", 'version: "2"')),
    Rule("CB116", top("is_public: true"), say("name: First", "name: First\n    is_public: true")),
    Rule("CB117", top("contact_email: nobody"), top("contact_email: nobody@example.org")),
    Rule("CB118", top("disallow_leaderboard_modifying: true"), top("disallow_leaderboard_modifying: false"), OLD),
    # --- fact sheets
    Rule("CB120", facts(("is_required: false,", "")), facts()),
    Rule("CB121", facts(("is_required: false", "is_required: false, help: more")), facts()),
    Rule("CB122", facts(("key: team", "key: group")), facts(("key: team", "key: 'team'"))),
    Rule("CB123", facts(("selection: ''", "selection: a")), facts(("selection: ''", "selection: [a]"))),
    # --- dates, phases, leaderboards
    Rule("CB201", say("end: 2026-02-01", "end: 2026-02-30"), say("end: 2026-02-01", "end: 2026-01-31")),
    Rule("CB202", say("end: 2026-02-01", "end: 20260201"), say("end: 2026-02-01", "end: '20260201'")),
    Rule("CB203", say("end: 2026-02-01", "end: 2-1-2026"), say("end: 2026-02-01", "end: 1-31-2026")),
    Rule("CB204", start("2026-01-31"), start("2027-01-31")),
    Rule("CB205", start("2026-02-01"), start("'2026-02-01 00:00:01'")),
    Rule("CB206", say("    end: 2026-02-01\n", ""), late("end:")),
    Rule("CB207", say("end: 2026-02-01", "end: 2025-02-01"), say("end: 2026-02-01", "end: 2026-01-02")),
    Rule(
        "CB208",
        say("end: 2026-02-01", "end: 2026-02-01\n    auto_migrate_to_this_phase: true"),
        late("auto_migrate_to_this_phase: true"),
    ),
    Rule("CB209", late("max_submissions: 0"), late("max_submissions: 1")),
    Rule("CB210", loss("computation: avg"), loss("computation: avg\n        computation_indexes: [0]")),
    Rule("CB211", loss("computation_indexes: [0]"), loss("computation_indexes: []")),
    Rule(
        "CB212",
        loss("computation: avg\n        computation_indexes: [0, 2]"),
        loss("computation: avg\n        computation_indexes: [0]"),
    ),
    Rule(
        "CB213",
        loss("computation: avg\n        computation_indexes: [0, 1]"),
        loss("computation: avg\n        computation_indexes: ['0']"),
    ),
    Rule("CB214", board("primary_index: 2"), board("primary_index: 1")),
    Rule("CB215", loss(f"\n{SECOND_BOARD}"), loss(f"\n# {SECOND_BOARD}")),
    Rule("CB216", top("force_submission_to_leaderboard: true"), top("force_submission_to_leaderboard: false"), OLD),
    Rule("CB217", say(LATE, f"parent_phasenumber: 9, {LATE}"), say(LATE, f"parent_phasenumber: 0, {LATE}"), OLD),
    Rule("CB218", say("phases:", f"phases:\n  {CHILD}"), say("phases:", f"phases:\n  {LAST}"), OLD),
    Rule("CB219", say("*MAIN, rank: 2", "Side, rank: 2"), say("*MAIN, rank: 2", "MAIN BOARD, rank: 2"), OLD),
    # --- files that a bundle names
    Rule("CB301", data("Data"), data("data/")),
    Rule("CB302", data("../data"), data("x/../data")),
    Rule("CB303", data("data.zip"), data("data.zip", x=b"1")),
    Rule("CB304", data(UUID), data(UUID, x=b"1")),
    Rule("CB305", put({"terms.md": b"\n"}), put({"terms.md": b"."})),
    Rule("CB306", put({"logo.png": b"a picture"}), put({"logo.png": b"GIF89a"})),
    Rule("CB307", data("data/x.csv"), late("public_data: data/x.csv")),
    Rule("CB308", data("d.zip", x=b"1")._replace(files={"d.zip": b"PK\3\4, and no more"}), data("d.zip", x=b"1")),
    Rule("CB309", put({"terms.md": b"caf\xe9"}), put({"terms.md": b"caf\xc3\xa9"})),
    Rule("CB310", data("."), data("./data")),
    Rule("CB311", data("d.zip", d__x=b"1"), data("d.zip", d__x=b"1", y=b"2")),
    Rule("CB312", scorer("s/metadata"), scorer("metadata"), OLD),
    # --- programs
    Rule("CB401", put({"scoring/metadata": None}), put({"scoring/metadata.yaml": b"command: x"})),
    Rule("CB402", put({"ingestion/metadata.yaml": b"about: x"}), put({"ingestion/metadata.yaml": b"command: 'x'"})),
    Rule("CB403", put({"scoring/metadata": b"command: 'x"}), put({"scoring/metadata": b"command: 'x'"})),
    Rule("CB404", put({"scoring/metadata": b"command: [x, y]"}), put({"scoring/metadata": b"command: x y"})),
]  # fmt: skip


def found(rule: Rule, edit: Edit, place: Path) -> tuple[Problem, ...]:
    """Everything that is said of the edited bundle."""
    text = rule.base
    for before, after in edit.changes:
        assert before in text, before
        text = text.replace(before, after, 1)
    files = {"competition.yaml": text.encode("utf-8", "surrogateescape"), **FILES, **edit.files}
    kept = {name: data for name, data in files.items() if data is not None}
    source = (edit.pack or folder(lambda _: None).pack)(place, kept)  # type: ignore[misc]
    try:
        bundle = read_bundle(source)
    except BundleError as error:
        return error.report.problems if error.report else ()
    with bundle:
        assert (bundle.spec is not None) == bundle.report.ok
        return bundle.report.problems


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_what_earns_a_code(rule: Rule, tmp_path: Path) -> None:
    problems = found(rule, rule.fails, tmp_path)
    named = [p for p in problems if p.code == rule.code]
    assert named, [str(p) for p in problems]
    severities = {word.strip() for word in rules()[rule.code].severity.split(",")}
    assert {p.severity for p in named} <= severities or severities == {"raised"}
    assert all(p.hint for p in named if p.severity is not Severity.NOTE), "what to do next is not said"


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_near_miss_is_silent(rule: Rule, tmp_path: Path) -> None:
    assert found(rule, rule.silent, tmp_path) == ()


# ---------------------------------------------------------------------- nothing is forgotten
APART = {
    "tests/site/test_site_accounts.py": "CB805 CB806",
    "tests/site/test_site_credentials.py": "CB807 CB808",
    "tests/site/test_site_signing.py": "CB809 CB822",
    "tests/web/test_web_core.py": "CB810",
    "tests/web/test_web_config.py": "CB820 CB821",
    "tests/web/test_web_serve.py": "CB823 CB824 CB825",
    "tests/unit/test_archive_sources.py": "CB037 CB038 CB707",
    "tests/unit/bundle/test_bundle_fact_sheet.py": "CB125 CB126 CB127 CB128 CB129",
    "tests/unit/bundle/test_bundle_writer.py": "CB150 CB151 CB152 CB153 CB155 CB156 CB157 CB158 CB159 CB160 CB704",
    "tests/unit/bundle/test_bundle_document.py": "CB154",
    "tests/unit/bundle/test_bundle_task.py": "CB161 CB162 CB163 CB164 CB165 CB166 CB170",
    "tests/unit/bundle/test_bundle_keys.py": "CB167 CB168",
    "tests/workspace/test_workspace_tasks.py": "CB354",
    "tests/unit/backends/test_dask_words.py": "CB654",
    "tests/dask/test_dask_workspace.py": "CB652 CB653",
    "tests/dask/test_dask_security.py": "CB655 CB656",
    "tests/dask/test_dask_backend.py": "CB657 CB658 CB659",
    "tests/unit/bundle/test_bundle_fix.py": "CB359",
    "tests/bundles/test_target.py": " ".join(f"CB18{n}" for n in range(10)),
    "tests/workspace/test_workspace_statistics.py": "CB649",
    "tests/unit/bundle/test_defined_models.py": "CB320",
    "tests/unit/bundle/test_defined_export.py": "CB321 CB322 CB323",
    "tests/unit/bundle/test_defined_data.py": "CB324",
    "tests/workspace/test_pack.py": "CB325",
    "tests/workspace/test_inline.py": "CB690 CB691 CB692",
    "tests/workspace/test_workspace_runs.py": "CB331 CB332 CB333 CB405",
    "tests/workspace/test_raised_codes.py": (
        "CB334 CB335 CB341 CB342 CB351 CB352 CB353 CB356 CB605 CB660 CB703 CB705 CB706 CB720 CB722 CB723"
    ),
    "tests/workspace/test_workspace_takeover.py": "CB631 CB632",
    "tests/workspace/test_workspace_shared.py": "CB693",
    "tests/workspace/test_workspace_ceiling.py": "CB662 CB663",
    "tests/workspace/test_workspace_quota.py": "CB616",
    "tests/unit/runner/test_runner_proxy.py": "CB364",
    "tests/engines/test_proxy.py": "CB664",
    "tests/engines/test_gpus.py": "CB361",
    "tests/unit/runner/test_runner_verdict.py": "CB610 CB611 CB612 CB613 CB614 CB615",
    "tests/unit/leaderboard/test_board_order.py": "CB376",
    "tests/unit/backends/test_credentials.py": "CB358 CB362",
    "tests/unit/backends/test_pulling.py": "CB607 CB608 CB609",
    "tests/unit/runner/test_runner_plan.py": "CB621 CB622",
    "tests/unit/runner/test_runner_scores.py": "CB641 CB642 CB643 CB644 CB645 CB646",
    "tests/unit/runner/test_runner_results.py": "CB647",
    "tests/workspace/test_workspace_steps.py": "CB648",
    "tests/cli/test_cli.py": "CB699",
    "tests/unit/storage/test_remote.py": "CB041 CB042 CB043 CB044",
    "tests/unit/storage/test_protocols.py": "CB045",
    "tests/storage/test_contract.py": "CB355",
    "tests/workspace/test_workspace_housekeeping.py": "CB357",
    "tests/unit/db/test_db_finding.py": "CB343",
    "tests/cli/test_cli_workspace_deciding.py": "CB714",
    "tests/unit/storage/test_store.py": "CB701 CB702",
    "tests/unit/db/test_db_database.py": "CB711",
    "tests/unit/db/test_db_evaluations.py": "CB712 CB717",
    "tests/workspace/test_competitions_revised.py": "CB718 CB719",
    "tests/unit/db/test_db_migrations.py": "CB721 CB725",
    "tests/unit/db/test_db_places.py": "CB707 CB724",
    "tests/workspace/test_reevaluation_batches.py": "CB650",
    "tests/unit/workspace/test_reevaluation_parts.py": "CB651",
    "tests/workspace/test_workspace_reuse.py": "CB670 CB671",
    "tests/workspace/test_workspace_verify.py": "CB380 CB381 CB382 CB383 CB384",
    "tests/workspace/test_workspace_backup.py": "CB730 CB731 CB732 CB733",
}
"""Codes that no edit of a bundle earns: those of submissions, of what is written, of engines and of machines."""
RAISED = {c.default_code for c in vars(errors).values() if isinstance(c, type) and issubclass(c, CodabenchError)}
"""Codes that the classes of errors have by themselves; ``test_core_errors.py`` makes one of each."""


@cache
def emitted() -> set[str]:
    """Every code in the source of the library."""
    files = (ROOT / "codabench").rglob("*.py")
    nodes = (node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if re.fullmatch(r"CB\d{3}", text)}


def test_the_catalogue_is_complete() -> None:
    """A new code needs a row here, or a test that is listed."""
    apart = {code for codes in APART.values() for code in codes.split()}
    rows = {rule.code for rule in RULES} | {case.code for case in CASES}
    assert emitted() - rows - apart == RAISED - rows - apart
    assert (rows | apart) - emitted() == set(), "not said any more"
    assert rows & apart == set()


@pytest.mark.parametrize("file", APART)
def test_what_stands_apart_is_tested_there(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    assert [code for code in APART[file].split() if code not in text] == []


def test_every_code_is_explained_and_none_that_is_not_said() -> None:
    assert set(rules()) == emitted()
    assert [code for code, rule in rules().items() if not rule.more] == [], "a row, but no section"
