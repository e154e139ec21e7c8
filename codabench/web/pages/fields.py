"""The fields by which a competition is edited in forms: what they are called, and how values become text and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from codabench.bundle.nodes import value
from codabench.bundle.yaml import read_yaml
from codabench.core.competition import Computation, DataRole, Sorting, SubmissionRule
from codabench.core.errors import Invalid
from codabench.core.problems import Severity
from codabench.web.pages.common import Given

Kind = Literal["line", "text", "number", "tick", "choice", "moment", "lines", "numbers", "tasks"]


class Field(NamedTuple):
    """One field of a form; `name` as in `Competitions.document`."""

    name: str
    label: str
    kind: Kind = "line"
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    required: bool = False


class Part(NamedTuple):
    """What is edited and saved together.

    Attributes
    ----------
    fields
        Of the competition, or of each thing in the list that `name` is.
    inner
        The list in each of those things, and its fields.
    grows
        One more can be added, and each be left out.
    """

    name: str
    title: str
    fields: tuple[Field, ...]
    is_list: bool = False
    inner: str = ""
    inside: tuple[Field, ...] = ()
    grows: bool = True


def _said(*words: str) -> tuple[tuple[str, str], ...]:
    return tuple((word, word.replace("_", " ")) for word in words)


PARTS = (
    Part(
        "details",
        "Details",
        (
            Field("title", "Title", required=True),
            Field("description", "Description", "text"),
            Field("competition_type", "Type", "choice", choices=_said("competition", "benchmark")),
            Field("docker_image", "Image that programs run in", required=True),
            Field("reward", "Reward"),
            Field("contact_email", "E-mail for questions"),
            Field("report", "Report", help="The address of a page with the results."),
            Field("queue", "Queue", help="Key of the queue that runs the submissions; empty: that of the site."),
        ),
    ),
    Part(
        "participation",
        "Participation",
        (
            Field("terms", "Terms", "text", "In Markdown. Participants agree to them before they register."),
            Field("registration_auto_approve", "Let in everybody who registers", "tick"),
            Field("allow_robots", "Allow robots", "tick", "They let themselves in and submit without limits."),
            Field("whitelist", "Let in at once", "lines", "E-mail addresses, one in a line."),
        ),
    ),
    Part(
        "switches",
        "Switches",
        (
            Field("auto_run_submissions", "Run submissions at once", "tick", "Otherwise you start each by hand."),
            Field("can_participants_make_submissions_public", "Participants may publish their submissions", "tick"),
            Field("make_programs_available", "Participants may download the programs", "tick"),
            Field("make_input_data_available", "Participants may download the input data", "tick"),
            Field("enable_detailed_results", "Scoring programs write pages with details", "tick"),
            Field("show_detailed_results_in_submission_panel", "Link those pages from submissions", "tick"),
            Field("show_detailed_results_in_leaderboard", "Link those pages from the leaderboard", "tick"),
            Field("forum_enabled", "There is a forum", "tick"),
        ),
    ),
    Part(
        "pages",
        "Pages",
        (Field("title", "Title", required=True), Field("content", "Text", "text", "In Markdown.")),
        is_list=True,
    ),
    Part(
        "phases",
        "Phases",
        (
            Field("name", "Name", required=True),
            Field("description", "Description", "text"),
            Field("start", "Start", "moment", "In UTC.", required=True),
            Field("end", "End", "moment", "In UTC. Only the last phase may stay open."),
            Field("tasks", "Tasks", "tasks"),
            Field("max_submissions_per_day", "Submissions of a person a day", "number", "Empty: no limit."),
            Field("max_submissions", "Submissions of a person in all", "number", "Empty: no limit."),
            Field("execution_time_limit", "Seconds for each step", "number"),
            Field("auto_migrate_to_this_phase", "Begins with what stood on the board before", "tick"),
            Field("accepts_only_result_submissions", "Takes results only, no code", "tick"),
            Field("hide_output", "Hide all output from participants", "tick"),
            Field("hide_prediction_output", "Hide what predictions put out", "tick"),
            Field("hide_score_output", "Hide what scoring puts out", "tick"),
            Field("public_data", "Public data", help="Key of a data set."),
            Field("starting_kit", "Starting kit", help="Key of a data set."),
        ),
        is_list=True,
    ),
    Part(
        "leaderboards",
        "Leaderboard",
        (
            Field("title", "Title", required=True),
            Field("key", "Key", required=True),
            Field("submission_rule", "Which submissions stand on it", "choice", choices=_said(*SubmissionRule)),
            Field("primary_index", "Index of the column that ranks first", "number"),
            Field("hidden", "Hide it from participants", "tick"),
        ),
        is_list=True,
        inner="columns",
        inside=(
            Field("title", "Title", required=True),
            Field("key", "Key", help="As the scoring program writes it.", required=True),
            Field("index", "Index", "number", required=True),
            Field(
                "sorting",
                "Better is",
                "choice",
                choices=((Sorting.DESC.value, "larger"), (Sorting.ASC.value, "smaller")),
            ),
            Field("precision", "Digits after the point", "number"),
            Field("hidden", "Hide it", "tick"),
            Field("computation", "Computed as", "choice", choices=(("", "not computed"), *_said(*Computation))),
            Field("computation_indexes", "Computed from columns", "numbers", "Indexes, such as 0, 1."),
        ),
        grows=False,
    ),
    Part(
        "fact_sheet",
        "Fact sheet",
        (
            Field("key", "Key", required=True),
            Field("title", "Question", required=True),
            Field("type", "Answer", "choice", choices=_said("checkbox", "text", "select")),
            Field("selection", "Choices", "lines", "One in a line, where there is a choice."),
            Field("is_required", "There has to be an answer", "tick"),
            Field("is_on_leaderboard", "Show answers on the leaderboard", "tick"),
        ),
        is_list=True,
    ),
    Part(
        "collaborators",
        "Administrators",
        (
            Field(
                "collaborators",
                "Collaborators",
                "lines",
                "Names of accounts, one in a line. They may do what you may, but for deleting.",
            ),
        ),
    ),
)
BY_NAME = {part.name: part for part in PARTS}
OFFERED = (DataRole.PUBLIC_DATA, DataRole.STARTING_KIT)


# ---------------------------------------------------------------------- values as text
def written(field: Field, found: Any) -> str:
    """A value as the text of its field."""
    if found is None or found == "" or found is False:
        return ""
    if field.kind == "tick":
        return "on" if found in (True, "true") else ""
    if field.kind == "moment":
        return str(found).removesuffix("Z")
    if field.kind == "numbers":
        return ", ".join(map(str, found))
    return "\n".join(map(str, found)) if isinstance(found, (list, tuple)) else str(found)


def filled(part: Part, document: Mapping[str, Any]) -> dict[str, str]:
    """Everything that stands in the form of a part."""
    if not part.is_list:
        return {field.name: written(field, document.get(field.name)) for field in part.fields}
    found: dict[str, str] = {}
    for n, item in enumerate(things(part, document)):
        found |= _item(part.fields, f"{part.name}.{n}", item)
        for m, each in enumerate(item.get(part.inner, ()) if part.inner else ()):
            found |= _item(part.inside, f"{part.name}.{n}.{part.inner}.{m}", each)
    return found


def things(part: Part, document: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """What is in the list that a part is."""
    found = document.get(part.name) or ()
    return list(found.values()) if isinstance(found, Mapping) else list(found)


def _item(fields: Sequence[Field], at: str, item: Mapping[str, Any]) -> dict[str, str]:
    return {f"{at}.{field.name}": written(field, item.get(field.name)) for field in fields}


# ---------------------------------------------------------------------- text as values
def given(part: Part, sent: Given) -> dict[str, Any]:
    """What the form of a part says, as `Competitions.edit` takes it.

    Raises
    ------
    Invalid
        ``CB802``: what stands in a field for a number is none.
    """
    if not part.is_list:
        return {field.name: _value(field, field.name, sent) for field in part.fields}
    items = list(_things(part.fields, part.name, sent, part))
    if part.name == "fact_sheet":
        return {part.name: {item["key"]: _question(item) for item in items}}
    return {part.name: items}


def _things(fields: Sequence[Field], at: str, sent: Given, part: Part | None = None) -> Iterator[dict[str, Any]]:
    """What is left of a list, in the order that was given; one whose first field is empty is none."""
    places = sent.numbers(f"{at}.place")
    kept = [n for n in places if not sent.ticked(f"{at}.{n}.gone") and sent.text(f"{at}.{n}.{fields[0].name}").strip()]
    for n in sorted(kept, key=lambda n: _order(sent.text(f"{at}.{n}.order"), n)):
        item = {field.name: _value(field, f"{at}.{n}.{field.name}", sent) for field in fields}
        if part is not None and part.inner:
            item[part.inner] = [_column(each) for each in _things(part.inside, f"{at}.{n}.{part.inner}", sent)]
        yield item


def _order(text: str, n: int) -> tuple[float, int]:
    try:
        return float(text), n
    except ValueError:
        return float("inf"), n


def _column(item: dict[str, Any]) -> dict[str, Any]:
    if not item["computation"]:
        return {name: found for name, found in item.items() if not name.startswith("computation")}
    return item


def _question(item: dict[str, Any]) -> dict[str, Any]:
    ticks = {name: str(item[name]).lower() for name in ("is_required", "is_on_leaderboard")}
    return {**item, **ticks, "selection": item["selection"] or ""}


def _value(field: Field, at: str, sent: Given) -> Any:
    text = sent.text(at)
    match field.kind:
        case "tick":
            return bool(text)
        case "tasks":
            return sent.all(at)
        case "lines":
            return [line.strip() for line in text.splitlines() if line.strip()]
        case "number":
            return _number(field, text, at) if text.strip() else None
        case "numbers":
            return [_number(field, each, at) for each in text.split(",") if each.strip()]
        case "moment":
            return f"{text.strip().removesuffix('Z')}Z" if text.strip() else None
        case "text":
            return text or None
    return text.strip() or None


def _number(field: Field, text: str, at: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Invalid({at: f"{field.label}: write a whole number."}) from None


# ---------------------------------------------------------------------- the whole as text
def parsed(text: str, field: str) -> dict[str, Any]:
    """What a text in YAML or JSON says.

    Raises
    ------
    Invalid
        ``CB802``: with what is wrong, each with its line.
    """
    node, source = read_yaml(text.encode(), "the text")
    wrong = [
        f"Line {problem.line}: {problem.message}" if problem.line else problem.message
        for problem in source.problems
        if problem.severity is Severity.ERROR
    ]
    found = value(node)
    if not wrong and not isinstance(found, dict):
        wrong = ["Write names of fields, each with its value."]
    if wrong:
        raise Invalid({field: wrong})
    return dict(found)
