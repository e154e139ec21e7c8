"""Bundles that are written: where to, what is changed, what is refused."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import server_reader
import yaml
from bundle_maker import GOOD, write
from typer.testing import CliRunner

from codabench.bundle import writer
from codabench.bundle.canonical import as_v2
from codabench.bundle.load import read_bundle
from codabench.bundle.writer import save_bundle
from codabench.cli.app import app
from codabench.core.competition import (
    ColumnSpec,
    CompetitionSpec,
    Computation,
    LeaderboardSpec,
    PageSpec,
    PhaseSpec,
    ProgramSpec,
    TaskSpec,
)
from codabench.core.errors import BundleError, StorageError, UsageError
from codabench.core.report import Report

OLD = """\
title: Old
html: {overview: overview.md, terms: terms.md, help: empty.html}
unknown: [1, two]
tasks: means nothing here
end_date: 2026-03-01
phases:
  1: {phasenumber: 1, label: One, start_date: 2026-01-01, max_submissions: 0, scoring_program: scoring.zip}
  2: {phasenumber: 2, label: Two, start_date: 2026-02-01, scoring_program: scoring.zip}
leaderboard:
  leaderboards: {RESULTS: &RESULTS {label: Results, rank: 1}}
  columns:
    mean: {leaderboard: *RESULTS, rank: 1, sort: asc, computed: {operation: Avg, fields: "a, b"}}
    a: {leaderboard: *RESULTS, rank: 2}
    b: {leaderboard: *RESULTS, rank: 3}
"""


def at(day: int, second: int = 0) -> datetime:
    return datetime(2026, 1, day, 0, 0, second, tzinfo=UTC)


def phase(n: int, start: datetime, end: datetime | None, **more: Any) -> PhaseSpec:
    return PhaseSpec(index=n, name=f"P{n}", start=start, end=end, tasks=(0,), **more)


def board(*columns: ColumnSpec, **more: Any) -> LeaderboardSpec:
    return LeaderboardSpec(**{"key": "b", "title": "B", "columns": columns, **more})


def codes(spec: CompetitionSpec) -> list[str]:
    return [problem.code for problem in as_v2(spec)[1]]


def save(source: Path, dest: Path) -> Report:
    with read_bundle(source) as bundle:
        return save_bundle(bundle, dest)


def old(folder: Path) -> Path:
    """A bundle of format v1.5 whose scoring program is a zip with one folder around everything."""
    made = write(folder, OLD, empty_DOT_html=b"")
    with zipfile.ZipFile(made / "scoring.zip", "w") as archive:
        archive.writestr("wrapped/metadata", "command: python3 score.py\n")
        archive.writestr("wrapped/score.py", "")
    (made / "logo.png").unlink()
    return made


# ---------------------------------------------------------------------- what version 2 cannot say
@pytest.mark.parametrize(
    ("end", "start", "written", "told"),
    [
        (at(5), at(6), at(5), []),
        (at(5), at(5, 1), at(5), []),
        (at(5, 1), at(5, 1), at(5), ["CB151"]),
        (at(9), at(5, 1), at(5), ["CB151"]),
        (None, at(5, 1), at(5), ["CB151"]),
    ],
    ids=["apart", "a second apart", "touching", "overlapping", "without end"],
)
def test_phases_follow_each_other(end: datetime | None, start: datetime, written: datetime, told: list[str]) -> None:
    spec = CompetitionSpec(title="T", phases=(phase(0, at(1), end), phase(1, start, None)))
    changed, problems = as_v2(spec)
    assert [p.end for p in changed.phases] == [written, None]
    assert [p.code for p in problems] == told


def test_a_phase_at_the_beginning_of_time_is_no_failure() -> None:
    first = datetime.min.replace(tzinfo=UTC)
    assert codes(CompetitionSpec(title="T", phases=(phase(0, first, first), phase(1, first, None)))) == ["CB151"]


def test_no_submissions_do_not_become_no_limit() -> None:
    changed, problems = as_v2(CompetitionSpec(title="T", phases=(phase(0, at(1), None, max_submissions=0),)))
    assert changed.phases[0].max_submissions == 1
    assert [p.code for p in problems] == ["CB155"]


def test_a_column_that_only_v15_computes_gives_its_place_to_the_first_it_was_computed_from() -> None:
    mean = ColumnSpec(key="mean", title="M", index=0, computation=Computation.MEAN_RANK, computation_indexes=(2, 1))
    a = ColumnSpec(key="a", title="A", index=1)
    b = ColumnSpec(key="b", title="B", index=2, hidden=True)
    changed, problems = as_v2(CompetitionSpec(title="T", leaderboards=(board(mean, a, b),)))
    assert [(c.key, c.hidden) for c in changed.leaderboard.columns] == [("a", False), ("b", False)]
    assert changed.leaderboard.primary.key == "b"
    assert [p.code for p in problems] == ["CB153"]
    assert "'b' and 'a'" in problems[0].message


@pytest.mark.parametrize("most", [36, 37])
def test_titles_that_are_too_long_are_cut(most: int) -> None:
    column = ColumnSpec(key="k" * 99, title="t" * most, index=0)
    changed, problems = as_v2(CompetitionSpec(title="T", leaderboards=(board(column),)))
    assert len(changed.leaderboard.columns[0].title) == 36
    assert changed.leaderboard.columns[0].key == "k" * 99, "it is what programs write"
    assert [p.code for p in problems] == ["CB152"] * (most > 36)


def test_every_level_is_measured() -> None:
    spec = CompetitionSpec(
        title="t" * 999,
        pages=(PageSpec(title="p" * 999, file="a", content="a"), PageSpec(title=" ", file="b.md", content="b")),
        tasks=(TaskSpec(index=0, name="n" * 999),),
        phases=(PhaseSpec(index=0, name="n" * 999, start=at(1)),),
        leaderboards=(board(title="b" * 999, key="k" * 999),),
    )
    changed, problems = as_v2(spec)
    assert [p.code for p in problems] == ["CB152"] * 7
    assert (len(changed.title), len(changed.tasks[0].name), len(changed.phases[0].name)) == (256, 256, 256)
    assert [len(changed.pages[0].title), changed.pages[1].title] == [255, "b.md"]
    assert (len(changed.leaderboard.title), len(changed.leaderboard.key)) == (64, 36)


def test_an_unknown_key_does_not_get_a_meaning() -> None:
    changed, problems = as_v2(CompetitionSpec(title="T", extras={"fact_sheet": 1, "my_fact": 2}))
    assert changed.extras == {"my_fact": 2}
    assert [p.code for p in problems] == ["CB157"]


def test_a_queue_by_name_is_left_out() -> None:
    uuid = "00000000-0000-4000-8000-000000000000"
    assert as_v2(CompetitionSpec(title="T", queue=uuid))[0].queue == uuid
    assert as_v2(CompetitionSpec(title="T", queue="gpu"))[0].queue is None
    assert codes(CompetitionSpec(title="T", queue="gpu")) == ["CB159"]


@pytest.mark.parametrize("count", [1, 2])
def test_a_list_of_commands_is_told_once(count: int) -> None:
    program = ProgramSpec(path="scoring", commands=("python3 a.py",) * count)
    tasks = tuple(TaskSpec(index=n, name="T", scoring_program=program) for n in (0, 1))
    assert codes(CompetitionSpec(title="T", tasks=tasks)) == ["CB159"] * (count - 1)


# ---------------------------------------------------------------------- old bundles
def test_an_old_bundle_becomes_one_that_a_server_takes(tmp_path: Path) -> None:
    report = save(old(tmp_path / "old"), tmp_path / "new")
    told = sorted(p.code for p in report)
    assert told == ["CB151", "CB153", "CB155", "CB156", "CB156", "CB157", "CB158", "CB159"]
    seen = server_reader.read(tmp_path / "new")
    assert [(p["start"].month, p["end"].month) for p in seen["phases"]] == [(1, 1), (2, 3)]
    assert [t["scoring_program"] for t in seen["tasks"].values()] == ["folder", "folder"]
    assert sorted(p.name for p in (tmp_path / "new/scoring-2").iterdir()) == ["metadata", "score.py"]
    assert not (tmp_path / "new/scoring.zip").exists(), "it is written unpacked"
    assert (tmp_path / "new/empty-2.html").read_text() == "\n"
    assert (tmp_path / "new/empty.html").read_text() == ""
    data = yaml.safe_load((tmp_path / "new/competition.yaml").read_text())
    assert data["unknown"] == [1, "two"]
    assert isinstance(data["tasks"], list)


def test_what_something_else_names_stays_beside_the_unpacked_program(tmp_path: Path) -> None:
    source = old(tmp_path / "old")
    text = (source / "competition.yaml").read_text()
    (source / "competition.yaml").write_text(text.replace("label: Two", "label: Two, starting_kit: scoring.zip"))
    save(source, tmp_path / "new")
    assert (tmp_path / "new/scoring.zip").read_bytes() == (source / "scoring.zip").read_bytes()


@pytest.mark.parametrize("also", [False, True], ids=["alone", "offered as well"])
def test_data_of_one_file_get_a_folder(also: bool, tmp_path: Path) -> None:
    text = GOOD.replace("input_data: data", "input_data: x.csv")
    if also:
        text = text.replace("  - index: 1\n    name: Two", "  - index: 1\n    public_data: x.csv\n    name: Two")
    source = write(tmp_path / "one", text, x_DOT_csv=b"1\n")
    assert not server_reader.accepts(source)
    report = save(source, tmp_path / "new")
    assert [p.code for p in report] == ["CB158"]
    assert server_reader.accepts(tmp_path / "new")
    assert (tmp_path / "new/x/x.csv").read_bytes() == (source / "x.csv").read_bytes()
    assert (tmp_path / "new/x.csv").exists() == also
    assert [p.code for p in save(tmp_path / "new", tmp_path / "again.zip")] == []


def test_a_page_that_is_not_utf8_is_written_as_utf8(tmp_path: Path) -> None:
    source = write(tmp_path / "odd", overview_DOT_md="Größe".encode("latin-1"))
    report = save(source, tmp_path / "new")
    assert [p.code for p in report] == ["CB156"]
    assert server_reader.read(tmp_path / "new")["pages"][0]["content"] == "Gr��e"


# ---------------------------------------------------------------------- where it goes
def test_nothing_is_overwritten(tmp_path: Path) -> None:
    source = write(tmp_path / "good")
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine").write_text("mine")
    file = tmp_path / "taken.zip"
    file.write_text("mine")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for dest in (full, file, link, source, source / "inside", source / "inside.zip", "s3://bucket/x", ""):
        with pytest.raises(UsageError, match="CB150"):
            save(source, dest)  # type: ignore[arg-type]
    assert (full / "mine").read_text() == file.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "good", "link", "taken.zip"]
    assert not (source / "inside").exists()


def test_an_empty_directory_and_missing_parents_are_used(tmp_path: Path) -> None:
    source = write(tmp_path / "good")
    (tmp_path / "empty").mkdir()
    save(source, tmp_path / "empty")
    save(source, tmp_path / "a/b/c.zip")
    for dest in ("empty", "a/b/c.zip"):
        assert server_reader.read(tmp_path / dest)["title"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="CB704"):
        save(write(tmp_path / "good"), tmp_path / "file/new")


def test_there_is_a_whole_bundle_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "good")

    def broken(written: Path, *_: object) -> None:
        assert written.exists()
        raise BundleError("refused")

    monkeypatch.setattr(writer, "_read_back", broken)
    for dest in ("new", "new.zip"):
        with pytest.raises(BundleError):
            save(source, tmp_path / dest)
    assert [p.name for p in tmp_path.iterdir()] == ["good"]


def test_what_reads_back_otherwise_is_told(tmp_path: Path) -> None:
    """A spec that no bundle gives: the name of an image has no blanks around it."""
    with read_bundle(write(tmp_path / "good")) as bundle:
        assert bundle.spec is not None
        bundle.spec = bundle.spec.model_copy(update={"docker_image": " python:3 "})
        report = save_bundle(bundle, tmp_path / "new")
    assert [(p.code, "docker_image" in p.message) for p in report] == [("CB160", True)]


@pytest.mark.parametrize("dest", ["x" * 300, "~nobody-of-that-name/x", "a\0b"])
def test_a_place_that_no_system_has_is_no_traceback(dest: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="CB150"):
        save(write(tmp_path / "good"), dest)  # type: ignore[arg-type]


def test_a_bundle_at_a_url_is_written_to_a_file(tmp_path: Path) -> None:
    import fsspec

    fs = fsspec.filesystem("memory")
    source = write(tmp_path / "good")
    fs.put(str(source), "memory://written", recursive=True)
    save("memory://written", tmp_path / "new.zip")  # type: ignore[arg-type]
    save(source, tmp_path / "other.zip")
    assert (tmp_path / "new.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_what_would_be_refused_is_not_written(tmp_path: Path) -> None:
    """A column key is what programs write: it cannot be cut."""
    source = old(tmp_path / "old")
    text = (source / "competition.yaml").read_text().replace('"a, b"', f'"{"a" * 40}, b"')
    (source / "competition.yaml").write_text(text.replace("    a:", f"    {'a' * 40}:"))
    with pytest.raises(BundleError) as caught:
        save(source, tmp_path / "new")
    assert [p.code for p in caught.value.report or ()].count("CB103") == 1
    assert not (tmp_path / "new").exists()


def test_a_bundle_with_errors_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="CB101"):
        save(write(tmp_path / "bad", GOOD.replace("title: ", "titel: ", 1)), tmp_path / "new")


def test_modes_and_inner_archives_are_kept(tmp_path: Path) -> None:
    source = write(tmp_path / "good", scoring__tool_DOT_zip=b"PK not really", empty=None)
    (source / "scoring/score.py").chmod(0o755)
    (source / "data/nothing").mkdir()
    save(source, tmp_path / "new.zip")
    save(tmp_path / "new.zip", tmp_path / "new")
    assert (tmp_path / "new/scoring/tool.zip").read_bytes() == b"PK not really"
    assert (tmp_path / "new/scoring/score.py").stat().st_mode & 0o111
    assert (tmp_path / "new/data/nothing").is_dir()


# ---------------------------------------------------------------------- the second reader
def test_the_second_reader_cuts_unquoted_timestamps(tmp_path: Path) -> None:
    """Its twin: what the bundle says before it is saved, the server reads otherwise."""
    exact = "2026-03-01 14:30:00"
    start = next(line for line in GOOD.splitlines() if "start:" in line).split("start:")[1].strip(" ,}")
    source = write(tmp_path / "good", GOOD.replace(start, exact))
    assert server_reader.read(source)["phases"][0]["start"] == datetime(2026, 3, 1, tzinfo=UTC)
    save(source, tmp_path / "new")
    assert server_reader.read(tmp_path / "new")["phases"][0]["start"] == datetime(2026, 3, 1, 14, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"version": 2.0}, "version"),
        ({"terms": "nowhere.md"}, "unable to find page"),
        ({"leaderboards": []}, "leaderboards"),
        ({"title": "t" * 257}, "256"),
        ({"forum_enabled": "perhaps"}, "boolean"),
        ({"queue": "gpu"}, "queue"),
    ],
)
def test_the_second_reader_refuses(wrong: dict[str, Any], why: str, tmp_path: Path) -> None:
    source = write(tmp_path / "good")
    data = yaml.safe_load((source / "competition.yaml").read_text())
    (source / "competition.yaml").write_text(yaml.safe_dump({**data, **wrong}))
    with pytest.raises(server_reader.RefusedError, match=why):
        server_reader.read(source)


# ---------------------------------------------------------------------- the command
def test_the_command_writes_and_tells(tmp_path: Path) -> None:
    source, dest = old(tmp_path / "old"), tmp_path / "new.zip"
    done = CliRunner().invoke(app, ["convert", str(source), str(dest)])
    assert done.exit_code == 0
    assert done.stdout.startswith(f"wrote {dest}: ")
    assert "warning[CB153]" in done.stderr
    assert server_reader.read(dest)["title"] == "Old"


def test_the_command_as_json(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["convert", str(old(tmp_path / "old")), str(tmp_path / "new"), "--json"])
    document = json.loads(done.stdout)
    assert (document["ok"], document["format"], document["title"]) == (True, "v1.5", "Old")
    assert document["files"] == sum(p.is_file() for p in (tmp_path / "new").rglob("*"))
    assert {"CB151", "CB153"} <= {p["code"] for p in document["problems"]}


@pytest.mark.parametrize("taken", [True, False])
def test_the_command_refuses(taken: bool, tmp_path: Path) -> None:
    source = write(tmp_path / "bundle", GOOD if taken else "version: 2\n")
    dest = tmp_path / "new.zip"
    if taken:
        dest.write_text("mine")
    done = CliRunner().invoke(app, ["convert", str(source), str(dest), "--json"])
    assert done.exit_code == 2
    assert json.loads(done.stdout)["error"]["code"] == ("CB150" if taken else "CB101")
    assert dest.exists() == taken
