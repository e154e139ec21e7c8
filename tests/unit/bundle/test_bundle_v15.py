"""Bundles of format v1.5: what CodaLab meant by them, and what is said of what is lost (contract.md section 2)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from bundle_maker import codes, marked, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from codabench.bundle.load import read_bundle
from codabench.core.competition import CompetitionSpec, Computation, SubmissionRule
from codabench.core.problems import Problem, Severity
from codabench.core.report import Report

OLD = """\
title: Old
image: logo.png
html:
  overview: overview.md
  terms: terms.md
  Prizes: overview.md
phases:
  b: {phasenumber: 2, label: Late, start_date: 2026-03-01 12:00:00, scoring_program: scoring, reference_data: data}
  a: {phasenumber: 1, label: Early, start_date: 2026-02-01, scoring_program: scoring, reference_data: data}
leaderboard:
  leaderboards:
    Main: &MAIN {label: Main board, rank: 1}
  columns:
    slow: {leaderboard: *MAIN, label: Slowness, rank: 3, sort: asc, numeric_format: 0}
    big one: {leaderboard: *MAIN, rank: 2}
    both: {leaderboard: *MAIN, label: Both, rank: 1, sort: asc, computed: {operation: Avg, fields: "big one, slow"}}
"""
EARLY, LATE = "label: Early", "label: Late"
PROGRAM = ", scoring_program: scoring, reference_data: data"


def bundle_report(folder: Path, text: str = OLD, **files: bytes | None) -> Report:
    with read_bundle(write(folder, text, **files)) as bundle:
        assert bundle.format == "v1.5"
        assert (bundle.spec is not None) == bundle.report.ok
        return bundle.report


def spec(folder: Path, text: str = OLD, **files: bytes | None) -> CompetitionSpec:
    with read_bundle(write(folder, text, **files)) as bundle:
        assert bundle.spec is not None, str(bundle.report)
        return bundle.spec


def only(report: Report, code: str) -> Problem:
    (found,) = [p for p in report if p.code == code]
    return found


def changed(*pairs: tuple[str, str]) -> str:
    """The bundle with texts in it replaced."""
    text = OLD
    for before, after in pairs:
        assert before in text, before
        text = text.replace(before, after, 1)
    return text


# ---------------------------------------------------------------------- what an ordinary one means
def test_an_ordinary_bundle_says_nothing_but_that_it_is_fine(tmp_path: Path) -> None:
    assert bundle_report(tmp_path).problems == ()


def test_what_it_means(tmp_path: Path) -> None:
    found = spec(tmp_path)
    assert found.format == "v1.5"
    assert [p.title for p in found.pages] == ["overview", "Prizes"]
    assert (found.terms_file, found.terms) == ("terms.md", "Be fair.\n")
    assert found.registration_auto_approve
    assert found.docker_image == "codalab/codalab-legacy:py37"
    early, late = found.phases
    assert (early.name, early.index, early.tasks) == ("Early", 0, (0,))
    assert early.end == late.start == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert late.end is None
    assert (early.max_submissions, early.max_submissions_per_day, early.execution_time_limit) == (100, 999, 300)
    assert not early.accepts_only_result_submissions
    assert [t.name for t in found.tasks] == ["Early Task", "Late Task"]


def test_columns_by_rank_and_a_mean_of_ranks(tmp_path: Path) -> None:
    (board,) = spec(tmp_path).leaderboards
    assert (board.key, board.title, board.submission_rule) == ("Main", "Main board", SubmissionRule.ADD)
    assert [(c.key, c.title, c.index, c.precision) for c in board.columns] == [
        ("both", "Both", 0, 2),
        ("big one", "big one", 1, 2),
        ("slow", "Slowness", 2, 0),
    ]
    assert board.columns[0].computation is Computation.MEAN_RANK
    assert board.columns[0].computation_indexes == (1, 2)
    assert board.written == ("big one", "slow")


@pytest.mark.parametrize("version", ["1", "1.5", "'1.5'", "1.0"])
def test_versions_that_mean_it(version: str, tmp_path: Path) -> None:
    assert spec(tmp_path, f"version: {version}\n{OLD}").format == "v1.5"


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("has_registration: True", "registration_auto_approve", False),
        ("has_registration: False", "registration_auto_approve", True),
        ("competition_docker_image: me/mine:1", "docker_image", "me/mine:1"),
        ("competition_docker_image: ''", "docker_image", "codalab/codalab-legacy:py37"),
        ("enable_forum: false", "forum_enabled", False),
        ("allow_public_submissions: False", "can_participants_make_submissions_public", False),
        ("enable_detailed_results: True", "enable_detailed_results", True),
        ("reward: 500", "reward", "500"),
        ("description:", "description", ""),
    ],
)
def test_keys_at_the_top(line: str, field: str, value: object, tmp_path: Path) -> None:
    assert getattr(spec(tmp_path, f"{line}\n{OLD}"), field) == value


@pytest.mark.parametrize(
    ("end", "moment"),
    [
        ("2026-12-24 18:00:00", datetime(2026, 12, 24, 18, tzinfo=UTC)),
        ("", None),
        ("null", None),
        ("'null'", None),
    ],
)
def test_the_last_phase_ends_with_the_competition(end: str, moment: datetime | None, tmp_path: Path) -> None:
    assert spec(tmp_path, f"end_date: {end}\n{OLD}").phases[-1].end == moment


def test_phases_are_half_open(tmp_path: Path) -> None:
    early, late = spec(tmp_path).phases
    assert late.start is not None
    assert not early.is_open(late.start)
    assert late.is_open(late.start)


def test_a_phase_that_never_ends(tmp_path: Path) -> None:
    text = changed((LATE, f"{LATE}, phase_never_ends: true"))
    assert spec(tmp_path, f"end_date: 2026-12-24\n{text}").phases[-1].end is None


@pytest.mark.parametrize(("said", "results_only"), [("True", True), ("False", False), ("null", False)])
def test_only_an_explicit_true_takes_results_only(said: str, results_only: bool, tmp_path: Path) -> None:
    found = spec(tmp_path, changed((EARLY, f"{EARLY}, is_scoring_only: {said}")))
    assert [p.accepts_only_result_submissions for p in found.phases] == [results_only, False]


def test_empty_pages_are_pages(tmp_path: Path) -> None:
    assert spec(tmp_path, overview_DOT_md=b"").pages[0].content == ""


# ---------------------------------------------------------------------- limits and dates that surprise
def test_a_limit_of_nought_is_none_and_says_so(tmp_path: Path) -> None:
    text = changed((EARLY, f"{EARLY}, max_submissions: 0"), (LATE, f"{LATE}, max_submissions_per_day: 0"))
    early, late = spec(tmp_path, text).phases
    assert (early.max_submissions, late.max_submissions_per_day) == (0, 0)
    warned = [p for p in bundle_report(tmp_path, text) if p.code == "CB209"]
    assert [marked(p) for p in warned] == ["0", "0"]
    assert "takes no submissions" in warned[0].message


def test_migration_into_the_first_phase_is_taken_off(tmp_path: Path) -> None:
    text = changed((EARLY, f"{EARLY}, auto_migration: True"), (LATE, f"{LATE}, auto_migration: True"))
    assert [p.auto_migrate_to_this_phase for p in spec(tmp_path, text).phases] == [False, True]
    found = bundle_report(tmp_path, text)
    assert codes(found, Severity.WARNING) == ["CB208"]
    assert marked(found.warnings[0]) == "True"


def test_an_end_before_the_start_stays_with_a_warning(tmp_path: Path) -> None:
    text = f"end_date: 2025-01-01\n{OLD}"
    assert spec(tmp_path, text).phases[-1].end == datetime(2025, 1, 1, tzinfo=UTC)
    assert marked(only(bundle_report(tmp_path, text), "CB207")) == "2025-01-01"


def test_two_phases_at_one_moment(tmp_path: Path) -> None:
    text = changed(("2026-02-01", "2026-03-01 12:00:00"))
    assert "'Early' never opens" in only(bundle_report(tmp_path, text), "CB207").message


# ---------------------------------------------------------------------- children of one parent
CHILDREN = (
    OLD.replace("label: Late", "label: Late, parent_phasenumber: 7")
    .replace("label: Early", "label: Early, parent_phasenumber: 7, max_submissions: 9, execution_time_limit: 60")
    .replace(
        "phases:\n", "phases:\n  p: {phasenumber: 7, label: Both, is_parallel_parent: 1, start_date: 2026-02-01}\n"
    )
)


def test_children_become_the_tasks_of_one_phase(tmp_path: Path) -> None:
    found = spec(tmp_path, CHILDREN)
    (phase,) = found.phases
    assert (phase.name, phase.start, phase.end) == ("Both", datetime(2026, 2, 1, tzinfo=UTC), None)
    assert [t.name for t in found.tasks_of(phase)] == ["Early Task", "Late Task"]
    assert (phase.max_submissions, phase.execution_time_limit) == (9, 300)
    notes = [p.message for p in bundle_report(tmp_path, CHILDREN) if p.code == "CB218"]
    assert len(notes) == 3
    assert "their own start_date is lost" in "".join(notes)
    assert "max_submissions of phase 'Both' is 9; its children say 9, 100" in notes


def test_a_parent_may_run_nothing_itself(tmp_path: Path) -> None:
    text = CHILDREN.replace("is_parallel_parent: 1", f"is_scoring_only: true, max_submissions: 3{PROGRAM}")
    (phase,) = spec(tmp_path, text).phases
    assert phase.max_submissions == 3
    assert not phase.accepts_only_result_submissions
    assert "the parent itself" in only(bundle_report(tmp_path, text), "CB118").message


def test_a_parent_begins_with_its_first_child(tmp_path: Path) -> None:
    text = CHILDREN.replace(", is_parallel_parent: 1, start_date: 2026-02-01", "")
    assert spec(tmp_path, text).phases[0].start == datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(("parallel", "phases"), [("true", ["Both"]), ("false", ["Both", "Early", "Late"])])
def test_a_parent_that_is_counted_as_nought(parallel: str, phases: list[str], tmp_path: Path) -> None:
    text = CHILDREN.replace("number: 7", "number: 0").replace(
        "is_parallel_parent: 1", f"is_parallel_parent: {parallel}{PROGRAM}"
    )
    assert [p.name for p in spec(tmp_path, text).phases] == phases


def test_a_child_of_nobody_is_a_phase(tmp_path: Path) -> None:
    text = changed((LATE, f"{LATE}, parent_phasenumber: 9"))
    assert [p.name for p in spec(tmp_path, text).phases] == ["Early", "Late"]
    assert marked(only(bundle_report(tmp_path, text), "CB217")) == "9"


def test_results_only_in_one_child_is_said(tmp_path: Path) -> None:
    text = CHILDREN.replace(LATE, f"{LATE}, is_scoring_only: True")
    assert not spec(tmp_path, text).phases[0].accepts_only_result_submissions
    assert "CB218" in codes(bundle_report(tmp_path, text), Severity.WARNING)


# ---------------------------------------------------------------------- leaderboards
@pytest.mark.parametrize(
    ("top", "phase", "rule", "said"),
    [
        ("", "", "Add", ""),
        ("force_submission_to_leaderboard: True\n", "", "Force_Last", "cannot change their entry"),
        ("force_submission_to_leaderboard: False\n", "", "Add", ""),
        ("disallow_leaderboard_modifying: True\n", "", "Add", "choose their entry"),
        ("", ", force_best_submission_to_leaderboard: True", "Force_Best", "in every phase, not only in 'Early'"),
        (
            "force_submission_to_leaderboard: True\n",
            ", force_best_submission_to_leaderboard: yes",
            "Force_Best",
            "Best",
        ),
    ],
)
def test_flags_become_a_rule(top: str, phase: str, rule: str, said: str, tmp_path: Path) -> None:
    text = top + changed((EARLY, EARLY + phase))
    assert spec(tmp_path, text).leaderboard.submission_rule == rule
    problems = bundle_report(tmp_path, text).problems
    assert len(problems) == bool(said)
    assert said in "".join(p.message for p in problems)


TWO = OLD.replace("{label: Main board, rank: 1}\n", "{label: Main board, rank: 2}\n    Side: {label: Side}\n").replace(
    "slow: {leaderboard: *MAIN", "slow: {leaderboard: {label: sIDE}"
)


def test_several_boards_each_with_its_own_columns(tmp_path: Path) -> None:
    found = spec(tmp_path, TWO)
    side, main = found.leaderboards
    assert (side.key, [(c.key, c.index) for c in side.columns]) == ("Side", [("slow", 0)])
    assert [(c.key, c.index, c.hidden) for c in main.columns] == [
        ("both", 0, False),
        ("big one", 1, False),
        ("slow", 2, True),  # from the other board, out of sight, because a column is computed from it
    ]
    assert main.columns[0].computation_indexes == (1, 2)
    assert found.written == ("slow", "big one")


def test_what_ranks(tmp_path: Path) -> None:
    assert spec(tmp_path).leaderboard.primary.key == "both"
    text = changed(
        ("sort: asc, numeric", "selection_default: 2, numeric"), ("rank: 2}", "rank: 2, selection_default: 1}")
    )
    assert spec(tmp_path, text).leaderboard.primary.key == "slow"


def test_a_board_defined_inside_a_column(tmp_path: Path) -> None:
    head = OLD[: OLD.index("leaderboard:")]
    board = "  columns: {x: {leaderboard: &B {label: Inside}}}\n  leaderboards: {B: *B}\n"
    (found,) = spec(tmp_path, f"{head}leaderboard:\n{board}").leaderboards
    assert (found.title, found.written) == ("Inside", ("x",))


def test_boards_without_label_or_with_the_label_of_another(tmp_path: Path) -> None:
    assert spec(tmp_path, changed(("label: Main board, ", ""))).leaderboard.title == "Main"
    twins = "Twin: {label: Main board}\n    Main: &MAIN"
    found = bundle_report(tmp_path, changed(("Main: &MAIN", twins)))
    assert codes(found, Severity.WARNING) == ["CB109"]
    assert [b.key for b in spec(tmp_path, changed(("Main: &MAIN", twins))).leaderboards] == ["Main"]


def test_weights(tmp_path: Path) -> None:
    text = changed(('slow"}', 'slow", weights: "0.25, 2"}'))
    assert spec(tmp_path, text).leaderboard.columns[0].computation_weights == (0.25, 2.0)


def test_mrr(tmp_path: Path) -> None:
    assert spec(tmp_path, changed(("Avg", "MRR"))).leaderboard.columns[0].computation is Computation.MRR


def test_max_was_never_computed(tmp_path: Path) -> None:
    text = changed(("Avg", "Max"))
    assert spec(tmp_path, text).leaderboard.columns[0].computation is None
    assert "stays empty" in only(bundle_report(tmp_path, text), "CB116").message


# ---------------------------------------------------------------------- what is lost
def test_losses_are_said_once_for_each_level_and_kept(tmp_path: Path) -> None:
    lost = "admin_names: eve,\nallow_teams: true\nhide_chart: False\nanonymous_leaderboard: True\n"
    links = "datasets: {1: {name: Past, url: 'http://example.org'}}"
    text = lost + changed((EARLY, f"{EARLY}, color: red, {links}"), (LATE, f"{LATE}, color: blue"))
    found = bundle_report(tmp_path, text)
    first, second = (p.message for p in found)
    assert {p.code for p in found.notes} == {"CB118"}
    assert "admin_names (who else administers it); allow_teams (teams); anonymous_leaderboard" in first
    assert "hide_chart" not in first
    assert "color (the colour of the tab); datasets (links to data)" in second
    kept = spec(tmp_path, text)
    assert kept.extras["admin_names"] == "eve,"
    assert kept.phases[0].extras["datasets"]["1"]["name"] == "Past"
    assert [p.extras["color"] for p in kept.phases] == ["red", "blue"]


def test_what_changes_a_run_or_who_sees_results_is_a_warning(tmp_path: Path) -> None:
    text = changed((EARLY, f"{EARLY}, leaderboard_management_mode: hide_results, default_docker_image: x"))
    assert codes(bundle_report(tmp_path, text), Severity.WARNING) == ["CB118"]
    text = changed((EARLY, f"{EARLY}, leaderboard_management_mode: default"))
    assert bundle_report(tmp_path, text).problems == ()


def test_groups_of_columns_are_kept(tmp_path: Path) -> None:
    text = changed(
        ("  columns:\n", "  column_groups: {g: &G {label: Time, rank: 1}}\n  columns:\n"),
        (", rank: 3", ", column_group: *G"),
    )
    found = spec(tmp_path, text)
    assert found.extras["leaderboard"]["column_groups"]["g"]["label"] == "Time"
    assert [c.extras for c in found.leaderboard.columns if c.extras] == [{"column_group": {"label": "Time", "rank": 1}}]
    assert "common headings" in only(bundle_report(tmp_path, text), "CB118").message


def test_unknown_keys_are_kept_and_a_guess_is_made(tmp_path: Path) -> None:
    text = changed((EARLY, f"{EARLY}, execution_time_limits: 4"))
    note = only(bundle_report(tmp_path, text), "CB105")
    assert note.hint == "did you mean execution_time_limit?"
    assert spec(tmp_path, text).phases[0].extras == {"execution_time_limits": 4}


def test_published_assets_are_not(tmp_path: Path) -> None:
    found = bundle_report(tmp_path, overview_DOT_md=b"<img src='{{ ASSET_BASE_URL }}/x.png'>")
    assert ["{{ ASSET_BASE_URL }}" in p.message for p in found] == [True, True]


def test_the_name_of_the_image_in_the_other_format(tmp_path: Path) -> None:
    found = only(bundle_report(tmp_path, f"docker_image: x\n{OLD}"), "CB116")
    assert found.hint == "write competition_docker_image"


# ---------------------------------------------------------------------- what is wrong
@pytest.mark.parametrize(
    ("pairs", "code", "text"),
    [
        ([("title: Old\n", "")], "CB101", None),
        ([("  terms: terms.md\n", "")], "CB101", "html"),
        ([("terms: terms.md", "terms:")], "CB101", "terms"),
        ([("overview: overview.md", "overview: gone.md")], "CB301", "gone.md"),
        ([("phasenumber: 2, ", "")], "CB101", LATE),
        ([("phasenumber: 2", "phasenumber: two")], "CB102", "two"),
        ([(f"{LATE}, ", "")], "CB101", None),
        ([("start_date: 2026-02-01", "start_date: soon")], "CB201", "soon"),
        ([("start_date: 2026-02-01, ", "")], "CB101", EARLY),
        ([("scoring_program: scoring, ", "")], "CB101", LATE),
        ([("scoring_program: scoring", "scoring_program: gone.zip")], "CB301", "gone.zip"),
        ([("scoring_program: scoring", "scoring_program: 0a0a0a0a-1111-2222-3333-444455556666")], "CB304", None),
        ([("label: Early", "label: Early, max_submissions: -1")], "CB106", "-1"),
        ([("  columns:\n", "  others:\n")], "CB101", None),
        ([("slow: {leaderboard: *MAIN", "slow: {leaderboard: {label: Mein board}")], "CB219", "Mein board"),
        ([("sort: asc, numeric", "sort: up, numeric")], "CB104", "up"),
        ([("one, slow", "one, slaw")], "CB212", '"big one, slaw"'),
        ([("one, slow", "one, both")], "CB213", '"big one, both"'),
        ([("operation: Avg", "operation: Mean")], "CB104", "Mean"),
        ([("operation: Avg, ", "")], "CB210", None),
        ([(', fields: "big one, slow"', "")], "CB210", None),
        ([('slow"}', 'slow", weights: "1"}')], "CB210", '"1"'),
        ([('slow"}', 'slow", weights: "1, x"}')], "CB102", '"1, x"'),
    ],
)
def test_mistakes(pairs: list[tuple[str, str]], code: str, text: str | None, tmp_path: Path) -> None:
    found = bundle_report(tmp_path, changed(*pairs))
    assert code in codes(found)
    (first,) = [p for p in found.errors if p.code == code][:1]
    assert text is None or marked(first) == text


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    text = changed(
        ("title: Old\n", ""), ("phasenumber: 1, ", ""), (", rank: 2}", ", rank: 2, sort: down}"), ("data}", "gone}")
    )
    assert sorted(codes(bundle_report(tmp_path, text))) == ["CB101", "CB101", "CB104", "CB301"]


@pytest.mark.parametrize("key", ["html", "phases", "leaderboard"])
@pytest.mark.parametrize("value", ["", "[]", "{}", "x", "[x]", "{x: y}", "{x: {}}", "{x: {y: z}}"])
def test_shapes_that_are_wrong(key: str, value: str, tmp_path: Path) -> None:
    start = OLD.index(f"{key}:")
    rest = OLD[start:].split("\n")
    after = next((n for n, line in enumerate(rest) if n and not line.startswith(" ")), len(rest))
    text = OLD[:start] + f"{key}: {value}\n" + "\n".join(rest[after:])
    assert not bundle_report(tmp_path, text).ok


def test_a_list_of_phases_asks_for_the_version(tmp_path: Path) -> None:
    text = OLD.replace("  b: {", "  - {").replace("  a: {", "  - {")
    found = only(bundle_report(tmp_path, text), "CB102")
    assert marked(found) == "phases"
    assert "version: 2" in (found.hint or "")


def test_what_phases_share_is_said_once(tmp_path: Path) -> None:
    text = OLD.replace("b: {phasenumber: 2", "b: &B {phasenumber: 2").replace(PROGRAM, ", scoring_program: gone.zip", 1)
    text = text.replace(PROGRAM, ", <<: *B")
    assert codes(bundle_report(tmp_path, text)) == ["CB301"]


def test_a_folder_taken_for_a_zip_is_said_once(tmp_path: Path) -> None:
    assert codes(bundle_report(tmp_path, OLD.replace(": scoring", ": scoring.zip")), Severity.WARNING) == ["CB303"]


def test_a_missing_date_is_all_that_is_said_of_it(tmp_path: Path) -> None:
    found = bundle_report(tmp_path, changed(("start_date: 2026-02-01, ", "")))
    assert [p.code for p in found] == ["CB101"]


def test_a_bundle_without_a_logo(tmp_path: Path) -> None:
    text = changed(("image: logo.png\n", ""))
    assert spec(tmp_path, text).image is None
    assert codes(bundle_report(tmp_path, text), Severity.WARNING) == ["CB101"]


# fmt: off
SPOILERS = ["", "[]", "{}", "- x", "~", "&a", "*MAIN", "<<: 1", "'", '"', "9" * 50, ".nan", ":", ",", "\t", "é\u202e"]
# fmt: on


@given(
    at=st.integers(0, len(CHILDREN)),
    length=st.integers(0, 40),
    put=st.one_of(st.sampled_from(SPOILERS), st.text(max_size=10)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=250)
def test_no_change_to_a_bundle_raises(at: int, length: int, put: str, tmp_path: Path) -> None:
    folder = tmp_path / "b"
    if not folder.exists():
        write(folder)
    (folder / "competition.yaml").write_text(CHILDREN[:at] + put + CHILDREN[at + length :], errors="surrogateescape")
    with read_bundle(folder) as bundle:
        assert (bundle.spec is None) == (not bundle.report.ok)
        assert "\u202e" not in str(bundle.report)
