"""What is written as ``competition.yaml`` reads back equal, here and with a plain YAML reader."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codabench.bundle.canonical import as_v2
from codabench.bundle.document import to_yaml
from codabench.bundle.files import BundleFiles
from codabench.bundle.nodes import Mapping
from codabench.bundle.v2 import read_v2
from codabench.bundle.yaml import read_yaml
from codabench.core.competition import (
    ColumnSpec,
    CompetitionSpec,
    Computation,
    DataSpec,
    LeaderboardSpec,
    PageSpec,
    PhaseSpec,
    ProgramSpec,
    QuestionSpec,
    SolutionSpec,
    Sorting,
    SubmissionRule,
    TaskSpec,
)
from codabench.storage.sources import SourceEntry, TreeSource


def packed() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.txt", b"a")
        archive.writestr("b.txt", b"b")
    return file.getvalue()


class Tree(TreeSource):
    FILES = {
        "logo.png": b"\x89PNG\r\n\x1a\n",
        "terms.md": b"Be fair.",
        "pages/a b.md": b"# A",
        "score/metadata": b"command: python3 score.py",
        "data/x.csv": b"1",
        "kit.zip": packed(),
    }

    def __init__(self) -> None:
        super().__init__("tree", [SourceEntry(path=name, size=len(data)) for name, data in self.FILES.items()])

    def open(self, path: str) -> BinaryIO:
        return io.BytesIO(self.FILES[path])


def read(text: str) -> CompetitionSpec:
    root, source = read_yaml(text.encode(), "competition.yaml")
    assert isinstance(root, Mapping)
    with Tree() as tree:
        spec = read_v2(root, source, BundleFiles(tree))
    assert not [p for p in source.problems if p.severity.value == "error"], source.problems
    return spec


def written(spec: CompetitionSpec) -> str:
    with Tree() as tree:
        return to_yaml(spec, tree.is_dir)


# ---------------------------------------------------------------------- strategies
whole = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
letters = st.characters(exclude_categories=("Cs",))
free = st.text(letters, max_size=60)


def name(most: int) -> st.SearchStrategy[str]:
    return st.text(letters, min_size=1, max_size=most).filter(str.strip)


words = st.sampled_from(["yes", "No", "null", "~", "1e5", "0x1F", "007", "1_000", "2026-01-01", "12:30:45", "<<", "="])
scalars = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False) | free | words
plain = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(free | words, inner, max_size=3), max_leaves=8
)
KNOWN = {
    key
    for kind in (CompetitionSpec, TaskSpec, PhaseSpec, LeaderboardSpec, ColumnSpec, SolutionSpec)
    for key in kind.model_fields
} | {"version", "terms"}
extras = st.dictionaries((free | words).filter(lambda key: key not in KNOWN), plain, max_size=3)
moments = st.datetimes(datetime(1000, 1, 1), datetime(3000, 1, 1), timezones=st.just(UTC))
folder = st.sampled_from([DataSpec(path="data"), DataSpec(path="kit.zip")])
program = st.just(ProgramSpec(path="score", commands=("python3 score.py",), metadata="metadata"))
maybe_text = st.none() | free
limits = st.none() | st.integers(1, 10**9)


@st.composite
def tasks(draw: st.DrawFn) -> tuple[TaskSpec, ...]:
    indexes = draw(st.lists(st.integers(0, 99) | st.text("abc", min_size=1), min_size=1, max_size=3, unique=True))
    return tuple(
        draw(
            st.builds(
                TaskSpec,
                index=st.just(index),
                name=name(256),
                description=maybe_text,
                key=st.none(),
                scoring_program=program,
                ingestion_program=st.none() | program,
                input_data=st.none() | folder,
                reference_data=st.none() | folder,
                ingestion_only_during_scoring=st.booleans(),
                extras=extras,
            )
        )
        for index in indexes
    )


@st.composite
def phases(draw: st.DrawFn, indexes: list[int | str]) -> tuple[PhaseSpec, ...]:
    times = sorted(draw(st.lists(moments, min_size=2, max_size=6, unique=True)))
    times = times[: len(times) // 2 * 2]
    found = []
    for n, (start, end) in enumerate(zip(times[::2], times[1::2], strict=True)):
        is_last = n == len(times) // 2 - 1
        found.append(
            draw(
                st.builds(
                    PhaseSpec,
                    index=st.just(n),
                    name=name(256),
                    description=maybe_text,
                    start=st.just(start),
                    end=st.sampled_from([end, None]) if is_last else st.just(end),
                    tasks=st.lists(st.sampled_from(indexes), min_size=1, unique=True).map(tuple),
                    max_submissions_per_day=limits,
                    max_submissions=limits,
                    execution_time_limit=st.integers(1, 10**9),
                    auto_migrate_to_this_phase=st.booleans() if n else st.just(False),
                    public_data=st.none() | folder,
                    starting_kit=st.none() | folder,
                    extras=extras,
                )
            )
        )
    return tuple(found)


@st.composite
def boards(draw: st.DrawFn) -> LeaderboardSpec:
    keys = draw(st.lists(name(36), min_size=1, max_size=4, unique=True))
    indexes = sorted(draw(st.lists(st.integers(0, 50), min_size=len(keys), max_size=len(keys), unique=True)))
    columns = []
    for place, key in enumerate(keys):
        # A column is computed from those before it only, so that there is no circle.
        computed = draw(st.sampled_from([None, *Computation][:5])) if place else None
        over = st.lists(st.sampled_from(indexes[:place]), min_size=1, unique=True) if computed else st.just([])
        column = st.builds(
            ColumnSpec,
            key=st.just(key),
            title=name(36),
            index=st.just(indexes[place]),
            sorting=st.sampled_from(Sorting),
            precision=st.integers(-5, 20),
            hidden=st.booleans(),
            computation=st.just(computed),
            computation_indexes=over.map(tuple),
            computation_weights=st.just(()),
            extras=extras,
        )
        columns.append(draw(column))
    return LeaderboardSpec(
        key=draw(name(36)),
        title=draw(name(64)),
        columns=tuple(columns),
        primary_index=draw(st.sampled_from(indexes)),
        hidden=draw(st.booleans()),
        submission_rule=draw(st.sampled_from(SubmissionRule)),
        extras=draw(extras),
    )


questions = st.builds(
    QuestionSpec,
    key=name(20),
    title=free,
    type=st.sampled_from(["checkbox", "text", "select"]),
    selection=st.lists(st.booleans() | free | words, max_size=4).map(tuple),
    is_required=st.booleans(),
    is_on_leaderboard=st.booleans(),
)


@st.composite
def competitions(draw: st.DrawFn) -> CompetitionSpec:
    listed = draw(tasks())
    indexes = [task.index for task in listed]
    return draw(
        st.builds(
            CompetitionSpec,
            format=st.just("v2"),
            title=name(256),
            description=free,
            image=st.just("logo.png"),
            terms=st.just("Be fair."),
            terms_file=st.just("terms.md"),
            pages=st.lists(
                st.builds(PageSpec, title=name(255), file=st.just("pages/a b.md"), content=st.just("# A")), max_size=3
            ).map(tuple),
            tasks=st.just(listed),
            phases=phases(indexes),
            leaderboards=st.lists(boards(), min_size=1, max_size=2).map(tuple),
            solutions=st.lists(
                st.builds(
                    SolutionSpec,
                    index=st.integers(0, 9),
                    name=st.none() | name(256),
                    description=maybe_text,
                    tasks=st.lists(st.sampled_from(indexes), unique=True).map(tuple),
                    path=st.sampled_from(["data", "kit.zip"]),
                    key=st.none(),
                    extras=extras,
                ),
                max_size=2,
                unique_by=lambda solution: solution.index,
            ).map(tuple),
            fact_sheet=st.lists(questions, max_size=3, unique_by=lambda question: question.key).map(tuple),
            docker_image=st.from_regex(r"[a-z]{1,9}/[a-z]{1,9}(:[0-9.]{1,5})?", fullmatch=True),
            queue=st.none() | st.uuids().map(str),
            reward=st.none() | name(256),
            contact_email=st.none() | st.just("a@example.org"),
            extras=extras,
        )
    )


# ---------------------------------------------------------------------- properties
@whole
@given(competitions())
def test_what_is_written_reads_back_equal(spec: CompetitionSpec) -> None:
    assert read(written(spec)) == spec


@whole
@given(competitions())
def test_what_version_2_can_say_is_not_changed(spec: CompetitionSpec) -> None:
    changed, problems = as_v2(spec)
    assert changed == spec
    assert {p.code for p in problems} <= {"CB154", "CB159"}, "only what codabench.org does otherwise"


@st.composite
def wild(draw: st.DrawFn) -> CompetitionSpec:
    """What version 2 cannot say: phases that touch or never end, columns of ranks, limits of none, long names."""
    spec = draw(competitions())
    starts = [phase.start for phase in spec.phases]
    ends = [draw(st.sampled_from([None, end])) for end in [*starts[1:], spec.phases[-1].end]]
    longer = draw(st.sampled_from([1, 20]))
    extras = draw(
        st.dictionaries(st.sampled_from(sorted(KNOWN - {"format", "terms_file", "computation_weights"})), free)
    )
    ranks = draw(st.sampled_from([Computation.MEAN_RANK, Computation.MRR]))

    def ranked(board: LeaderboardSpec) -> LeaderboardSpec:
        first = board.columns[0].index
        column = ColumnSpec(
            key="a rank", title="r" * 2 * longer, index=60, computation=ranks, computation_indexes=(first,)
        )
        columns = (*board.columns, column)
        return board.model_copy(update={"columns": columns, "primary_index": 60, "key": board.key * longer})

    phases = [
        phase.model_copy(update={"end": end, "max_submissions": draw(st.sampled_from([0, 1])), "extras": extras})
        for phase, end in zip(spec.phases, ends, strict=True)
    ]
    update = {
        "format": "v1.5",
        "title": spec.title * longer,
        "phases": tuple(phases),
        "leaderboards": tuple(ranked(board) for board in spec.leaderboards),
        "queue": draw(st.sampled_from([None, "gpu"])),
        "extras": extras,
    }
    return spec.model_copy(update=update)


@whole
@given(wild())
def test_what_is_changed_once_is_not_changed_again_and_reads_back(spec: CompetitionSpec) -> None:
    once, told = as_v2(spec)
    twice, again = as_v2(once)
    assert twice == once
    assert {p.code for p in again} <= {"CB154", "CB159"}
    assert {p.code for p in told} >= {"CB153", "CB159"}
    assert read(written(once)) == once


@whole
@given(competitions())
def test_equal_competitions_give_equal_texts(spec: CompetitionSpec) -> None:
    def reordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reordered(inner) for key, inner in reversed(value.items())}
        return [reordered(item) for item in value] if isinstance(value, list) else value

    other = spec.model_copy(update={"extras": reordered(spec.extras)})
    assert other == spec
    assert written(other) == written(spec)


@settings(deadline=None)
@given(free | words, extras)
def test_a_plain_reader_of_yaml_sees_the_same_values(title: str, more: dict[str, Any]) -> None:
    spec = CompetitionSpec(title=title, description=title, extras=more)
    data = yaml.safe_load(written(spec))
    assert data["version"] == 2
    assert data["title"] == title
    assert data.get("description", "") == title
    assert {key: data[key] for key in more} == more


@settings(deadline=None)
@given(moments)
def test_a_plain_reader_of_yaml_takes_no_moment_for_a_date(at: datetime) -> None:
    phase = PhaseSpec(index=0, name="A", start=at, end=at + timedelta(seconds=1))
    data = yaml.safe_load(written(CompetitionSpec(title="T", phases=(phase,))))
    assert isinstance(data["phases"][0]["start"], str)
    assert datetime.fromisoformat(data["phases"][0]["start"]) == at


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Plain words", "title: Plain words"),
        ("yes", "title: 'yes'"),
        ("it's: a #1", "title: 'it''s: a #1'"),
        ("Größe 😀", "title: 'Größe 😀'"),
        ("tab\there", 'title: "tab\\there"'),
        ("two\nlines\n", "title: |\n  two\n  lines"),
        ("two\n\n", 'title: "two\\n\\n"'),
        ("1e5", "title: '1e5'"),
    ],
)
def test_how_a_text_is_written(text: str, line: str) -> None:
    assert f"\n{line}\n" in written(CompetitionSpec(title=text))
