"""Histories under the six submission rules, with the board that the acceptance bundles expect after every event."""

import json
from datetime import datetime
from pathlib import Path

import pytest
from test_ranking import spec_of

from codabench.leaderboard import events as happened
from codabench.leaderboard import rules
from codabench.leaderboard.standings import Standings

ROLES = {"participant": "participant", "organizer": "organizer", "superuser": "operator"}


def event_of(step, made):
    """The event of a step that is allowed."""
    at, name = datetime.fromisoformat(step["at"]), step["id"]
    match step["do"]:
        case "submit":
            tasks = tuple(range(step.get("tasks", 1)))
            made[name] = not step.get("task_specific_rerun", False)
            return happened.Submitted(at, name, step["who"], len(made), tasks, eligible=made[name])
        case "score":
            return happened.Scored(at, name, dict(enumerate(step.get("tasks", [step.get("scores")]))))
        case "fail":
            return happened.Failed(at, name)
        case "add" | "remove" as do:
            return happened.EntryChosen(at, name, do == "add", step["by"])
        case "edit":
            ((key, value),) = step["scores"].items()
            return happened.ScoreEdited(at, name, step.get("task", 0), key, value)
        case "soft_delete" | "hard_delete":
            return happened.Deleted(at, name)


def refused(step, rule, standings, made):
    """Whether somebody may do that."""
    if step["do"] in ("add", "remove"):
        who = {"role": ROLES[step["by"]], "eligible": made[step["id"]]}
        return rules.refusal(rule, shown=step["do"] == "add", **who) is not None
    on = standings.is_on(step["id"])
    return rules.refused_deletion(on, role=ROLES[step["by"]], hard=step["do"] == "hard_delete") is not None


@pytest.mark.bundles
def test_histories(request):
    given = request.config.getoption("--bundles", default=None)
    if not given:
        pytest.skip("no --bundles FOLDER")
    histories = json.loads((Path(given) / "10-submission-rules" / "events.json").read_text())["histories"]
    steps = 0
    for history in histories:
        spec = spec_of(history).model_copy(update={"submission_rule": history["rule"]})
        rule = rules.SubmissionRule(history["rule"])
        tasks = tuple(range(max(s.get("tasks", 1) for s in history["events"] if s["do"] == "submit")))
        standings, made, past = Standings(spec, rule=rule, tasks=tasks), {}, []
        for step in history["events"]:
            if "allowed" in step:
                assert refused(step, rule, standings, made) is not step["allowed"], (history["name"], step)
            if step.get("allowed", True):
                past.append(event_of(step, made))
                standings.apply(past[-1])
            assert standings.submissions == step["board"], (history["name"], step)
            assert Standings.after(spec, past, rule=rule, tasks=tasks).submissions == step["board"]
            steps += 1
    assert steps > 150
