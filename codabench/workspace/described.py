"""What a competition is, by its spec: its parts by name, and how it is shown."""

from __future__ import annotations

from datetime import datetime

from codabench.core.competition import CompetitionSpec, LeaderboardSpec, PhaseSpec, SolutionSpec, TaskSpec
from codabench.core.text import plural, printable
from codabench.workspace import admission
from codabench.workspace.dispatcher import utc_now
from codabench.workspace.named import Named
from codabench.workspace.planning import name_of


class Described:
    """What a competition is.

    Attributes
    ----------
    spec
        What its bundle says.
    """

    spec: CompetitionSpec

    @property
    def title(self) -> str:
        return self.spec.title

    @property
    def phases(self) -> Named[PhaseSpec]:
        """By place or by name: ``comp.phases[0]``, ``comp.phases["Final"]``."""
        return Named.of(self.spec.phases, "phase", lambda p: p.name)

    @property
    def tasks(self) -> Named[TaskSpec]:
        """By place or by name."""
        return Named.of(self.spec.tasks, "task", lambda t: t.name)

    @property
    def leaderboards(self) -> Named[LeaderboardSpec]:
        """By place or by key; `leaderboard` gives the first one, ranked."""
        return Named.of(self.spec.leaderboards, "leaderboard", lambda b: b.key)

    @property
    def solutions(self) -> Named[SolutionSpec]:
        """Sample submissions of the organizer, by place or by name: ``comp.run(comp.solutions[0])``."""
        return Named.of(self.spec.solutions, "solution", name_of)

    def phase(self, wanted: int | str) -> PhaseSpec:
        """A phase by index or name; `NotFound` says which there are."""
        return admission.find_phase(self.spec, wanted)

    def choose_phase(self, wanted: int | str | None = None) -> PhaseSpec:
        """The phase a submission goes to: the one named, else the one open now, else the last that began."""
        return self.phase(wanted) if wanted is not None else admission.choose_phase(self.spec, utc_now())

    def __repr__(self) -> str:
        return spec_text(self.spec)

    def _repr_html_(self) -> str:
        from codabench.workspace.display import competition_html

        return competition_html(self.spec)


def spec_text(spec: CompetitionSpec) -> str:
    """What a competition is, in a few lines."""
    alone = spec.format == "task"
    lines = [f"{'Task' if alone else 'Competition'} {printable(spec.title)!r}"]
    now = utc_now()
    for phase in () if alone else spec.phases:
        names = ", ".join(printable(t.name) for t in spec.tasks_of(phase))
        lines.append(f"├─ phase {phase.index} {printable(phase.name)}   {period_text(phase, now)}   tasks: {names}")
    lines += [f"├─ task {task.index} {printable(task.name)}   {_parts_text(task)}" for task in spec.tasks]
    for board in spec.leaderboards:
        columns = " · ".join(f"{printable(c.title)} {'▲' if c.sorting.value == 'desc' else '▼'}" for c in board.columns)
        lines.append(f"├─ leaderboard {printable(board.key)} ({board.submission_rule.value})   {columns}")
    lines.append(f"└─ image   {printable(spec.docker_image)}")
    return "\n".join(lines)


def period_text(phase: PhaseSpec, now: datetime) -> str:
    """When a phase is open, and where it stands at `now`."""
    begin = phase.start.strftime("%Y-%m-%d %H:%M")
    if phase.end is None:
        span = f"from {begin} UTC, no end"
    else:
        span = f"{begin} → {phase.end.strftime('%Y-%m-%d %H:%M')} UTC"
    if phase.is_open(now):
        left = f", {plural((phase.end - now).days, 'day')} left" if phase.end else ""
        return f"{span} (open{left})"
    return f"{span} ({'not begun' if now < phase.start else 'over'})"


def _parts_text(task: TaskSpec) -> str:
    return " ".join(role.replace("_", " ").replace(" program", "").replace(" data", "") + " ✓" for role in task.parts)
