"""How competitions, submissions and runs show themselves in a notebook: static, escaped, below 20 kB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from codabench.core import markup
from codabench.core.competition import CompetitionSpec, LeaderboardSpec, PhaseSpec, Sorting, TaskSpec
from codabench.core.records import Status
from codabench.core.report import render_problem
from codabench.core.text import plural
from codabench.workspace.dispatcher import utc_now

if TYPE_CHECKING:
    from codabench.workspace.handles import RunHandle, SubmissionHandle

_MOODS = {Status.FINISHED: "ok", Status.FAILED: "bad", Status.CANCELLED: "warn"}
_LISTED = 30
"""Phases, tasks, columns or scores that are listed."""


def competition_html(spec: CompetitionSpec) -> str:
    """Phases, tasks and leaderboards, each as a part that folds."""
    alone = spec.format == "task"
    parts = [f"<h4>{_short(spec.title)}</h4>"]
    if not alone:
        parts.append(_folded(plural(len(spec.phases), "phase"), [_phase(spec, p) for p in spec.phases]))
    parts.append(_folded(plural(len(spec.tasks), "task"), [_task(t) for t in spec.tasks]))
    parts += [
        _folded(f"leaderboard {b.title} ({b.submission_rule.value})", _columns(b), opened=True)
        for b in spec.leaderboards
    ]
    return markup.block("competition", *parts[:_LISTED], markup.note(f"image {spec.docker_image}"))


def _phase(spec: CompetitionSpec, phase: PhaseSpec) -> str:
    from codabench.workspace.described import period_text

    names = [t.name for t in spec.tasks_of(phase)]
    limits = [f"{most} {per}" for most, per in _limits(phase) if most is not None]
    said = [period_text(phase, utc_now()), f"tasks: {_listing(names)}", *limits]
    return f"<b>{_short(phase.name)}</b> <small>{markup.escape(' · '.join(said))}</small>"


def _limits(phase: PhaseSpec) -> Sequence[tuple[int | None, str]]:
    return (phase.max_submissions_per_day, "a day"), (phase.max_submissions, "in all")


def _task(task: TaskSpec) -> str:
    parts = _listing([role.replace("_", " ") for role in task.parts])
    return f"<b>{_short(task.name)}</b> <small>{markup.escape(parts)}</small>"


def _columns(board: LeaderboardSpec) -> list[str]:
    found = []
    for column in board.columns:
        better = "larger is better" if column.sorting is Sorting.DESC else "smaller is better"
        computed = [f"{column.computation.value} of other columns"] if column.computation else []
        words = [
            better,
            *(["ranks"] if column is board.primary else []),
            *(["hidden"] if column.hidden else []),
            *computed,
        ]
        found.append(f"<b>{_short(column.title)}</b> <small>{markup.escape(' · '.join(words))}</small>")
    return found


def submission_html(handle: SubmissionHandle) -> str:
    """Status and scores, a row for each task where there are several, and what went wrong."""
    status = handle.status
    word = status.value + (" (incomplete)" if handle.incomplete else "")
    head = _headline(f"Submission {handle.name}", word, status)
    scores = handle.scores if status is Status.FINISHED else {}
    several = len(handle.runs) > 1
    runs = _runs_table(handle) if several else ""
    if not several:
        scores = scores or handle.run.scores
    return markup.block("submission", head, _scores(scores), runs, _troubles(handle.runs))


def run_html(run: RunHandle) -> str:
    """Status, scores, where it took place, and what went wrong."""
    word = run.status.value + (f" in {run.seconds:.1f} s" if run.outcome else "")
    made = run.provenance
    facts = [made.get("engine", {}).get("name"), made.get("image", {}).get("id")]
    where = " · ".join(str(fact) for fact in facts if fact)
    return markup.block(
        "run",
        _headline("Run", word, run.status),
        _scores(run.scores),
        markup.note(where) if where else "",
        _troubles([run]),
    )


def _runs_table(handle: SubmissionHandle) -> str:
    keys = list(dict.fromkeys(key for run in handle.runs for key in run.scores))[:_LISTED]
    rows = [
        [
            markup.cell(task.name),
            markup.cell(run.status.value, _MOODS.get(run.status, "")),
            markup.number(f"{run.seconds:.1f} s" if run.outcome else ""),
            *(markup.number(f"{run.scores[key]:g}" if key in run.scores else "") for key in keys),
        ]
        for task, run in zip(handle.tasks, handle.runs, strict=True)
    ]
    return markup.table("", ["Task", "Status", "Time", *keys], rows, numbers=range(2, 3 + len(keys)))


def _headline(what: str, word: str, status: Status) -> str:
    mood = _MOODS.get(status, "m")
    return f'<h4>{_short(what)} <span class="{mood}">{markup.escape(word)}</span></h4>'


def _scores(scores: dict[str, float]) -> str:
    if not scores:
        return ""
    shown = [f"{_short(key)} <b>{value:g}</b>" for key, value in list(scores.items())[:_LISTED]]
    left = len(scores) - len(shown)
    shown += [f"… {plural(left, 'more score')}"] if left > 0 else []
    return f"<p>{' · '.join(shown)}</p>"


def _troubles(runs: Iterable[RunHandle]) -> str:
    problems = [p for run in runs for p in ([run.problem] if run.problem else []) + list(run.warnings)]
    shown = [f"<pre>{markup.escape(render_problem(p)[:3000])}</pre>" for p in problems]
    return markup.fitting(shown, "problem", limit=9_000)


def _folded(summary: str, items: Sequence[str], *, opened: bool = True) -> str:
    more = [f"… {len(items) - _LISTED} more"] if len(items) > _LISTED else []
    listed = "".join(f"<li>{item}</li>" for item in [*items[:_LISTED], *more])
    return f"<details{' open' if opened else ''}><summary>{_short(summary)}</summary><ul>{listed}</ul></details>"


def _listing(names: Sequence[str]) -> str:
    more = [f"{len(names) - 6} more"] if len(names) > 6 else []
    return ", ".join([*(markup.one_line(n, 40) for n in names[:6]), *more])


def _short(text: str) -> str:
    return markup.escape(markup.one_line(text))
