"""Schemathesis over the OpenAPI document of a site with something on it, as nobody, as somebody, as superuser."""

from __future__ import annotations

import contextlib
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path += [path for name in ("site", "web") if (path := str(TESTS / name)) not in sys.path]

from api_lab import World, world  # noqa: E402
from hosting_lab import zipped  # noqa: E402
from site_lab import Clock, close_site, make_site  # noqa: E402
from web_lab import token  # noqa: E402

from codabench.web.app import create_app  # noqa: E402
from codabench.web.config import ServerSettings  # noqa: E402

ROLES = ("nobody", "bobby", "suzie")
"""Nobody; one who takes part and has submitted; a superuser."""
LIVE = "/events"
"""What does not end is no matter of single calls."""


@dataclass
class Tried:
    """What came of the calls.

    Attributes
    ----------
    statuses
        How often each status was answered, by role.
    failed
        Calls that the server could not do, as commands.
    """

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    @property
    def calls(self) -> int:
        return sum(counts.total() for counts in self.statuses.values())


@contextmanager
def peopled(database: str | None = None) -> Iterator[World]:
    """A site with a competition in which Bobby takes part, and one submission of his; None: a database in memory."""
    site = make_site(Clock(), database)
    try:
        made = world(site)
        made.annie.patch(made.path, json={"registration_auto_approve": True})
        assert made.bobby.post(f"{made.path}register/").json() == {"participant_status": "approved"}
        data = zipped({"answer.csv": b"1\n"})
        said = {"type": "submission", "request_sassy_file_name": "a.zip", "file_size": len(data)}
        announced = made.bobby.post("/api/datasets/", data=said).json()
        made.bobby.put(announced["sassy_url"], content=data, headers={"content-type": "application/zip"})
        phase = made.annie.get(made.path).json()["phases"][0]["id"]
        sent = made.bobby.post("/api/submissions/", data={"phase": phase, "data": announced["key"]})
        assert sent.status_code == 201, sent.text
        yield made
    finally:
        close_site(site)


def fuzz(examples: int, *, seed: int, below: str = "/", database: str | None = None) -> Tried:
    """Call everything that the document has, so often by each role; half of it has values that fit the document.

    Parameters
    ----------
    below
        Only paths that begin so.
    """
    import schemathesis

    tried = Tried({role: Counter() for role in ROLES})
    with peopled(database) as made:
        headers = {role: _headers(made, role) for role in ROLES}
        app = create_app(made.site, ServerSettings(hosts=("testserver",)))
        every = [found.ok() for found in schemathesis.openapi.from_asgi("/api/schema/", app).get_all_operations()]
        known = _known(made)
        # What takes things away comes last, so that there is something to ask for.
        for operation in sorted(every, key=lambda each: each.method.upper() == "DELETE"):
            if operation.path.startswith(below) and not operation.path.endswith(LIVE):
                _call(operation, examples, seed, headers, known, tried)
    return tried


def _headers(made: World, role: str) -> dict[str, str]:
    actor = made.actors.get(role)
    return {"authorization": f"Token {token(made.site, actor)}"} if actor else {}


def _known(made: World) -> dict[str, list[Any]]:
    """Things that there are: by the part of a path that they belong to, and by the names of what asks for them."""
    detail = made.annie.get(made.path).json()
    phases = [phase["id"] for phase in detail["phases"]]
    tasks = [task for phase in detail["phases"] for task in phase["tasks"]]
    datasets = made.annie.get("/api/datasets/").json()["results"]
    keys = [each["key"] for each in datasets]
    return {
        "competitions": [made.number],
        "competition": [made.number],
        "phases": phases,
        "phase": phases,
        "submissions": [each["id"] for each in made.suzie.get("/api/submissions/").json()],
        "leaderboards": [board["id"] for board in detail["leaderboards"]],
        "datasets": [each["id"] for each in datasets],
        "tasks": [task["id"] for task in tasks],
        "participants": [each["id"] for each in made.annie.get(f"/api/participants/?competition={made.number}").json()],
        "users": [actor.account for actor in made.actors.values()],
        "key": keys,
        "data": keys,
        "scoring_program": keys,
        "input_data": keys,
        "task_key": [task["key"] for task in tasks],
    }


def _aim(case: Any, known: dict[str, list[Any]], chance: Any) -> None:
    """Have a call be for things that there are, more often than not."""
    kind = next((part for part in case.operation.path.split("/") if part in known), "")
    for values in (case.path_parameters, case.query, case.body):
        if not isinstance(values, dict):
            continue
        for name in values:
            named = kind if name in ("id", "number") else name
            if named in known and chance.random() < 0.7:
                found = chance.choice(known[named])
                values[name] = [found] if isinstance(values[name], list) else found


def _call(
    operation: Any, examples: int, seed: int, headers: dict[str, dict[str, str]], known: dict[str, Any], tried: Tried
) -> None:
    import hypothesis
    from hypothesis import HealthCheck, Phase
    from hypothesis import strategies as st
    from schemathesis import GenerationMode

    made = st.one_of(operation.as_strategy(mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(made, st.randoms(use_true_random=False))
    def call(case: Any, chance: Any) -> None:
        _aim(case, known, chance)
        for role, shown in headers.items():
            status = _status(case, shown)
            tried.statuses[role][status] += 1
            if status >= 500:
                tried.failed.append(f"{status} {case.as_curl_command()}")

    # Nothing can be wrong with a call that takes nothing.
    with contextlib.suppress(hypothesis.errors.Unsatisfiable):
        call()


def _status(case: Any, headers: dict[str, str]) -> int:
    try:
        return int(case.call(headers=headers).status_code)
    except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
        return 500  # the client of schemathesis raises what the server did not expect
