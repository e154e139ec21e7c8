"""Submissions that are carried out: from the upload to scores and logs, watched while they go on. Real processes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest
from hosting_lab import bundle, hosted, zipped
from site_lab import Clock, make_site, person
from submission_lab import link
from upload_lab import sent

import codabench as cb
from codabench.core.errors import NotFound
from codabench.core.records import Status
from codabench.site.actors import ANONYMOUS, Actor
from codabench.site.showing import Shown
from codabench.site.site import Site
from codabench.site.submissions import Told

SCORER = rb"""import json, os, pathlib, sys, time
given, truth, output = map(pathlib.Path, sys.argv[1:4])
answer = json.loads((given / "answer.json").read_text())
for n in range(answer.get("lines", 0)):
    os.write(1, b"caf\xc3"); time.sleep(0.15); os.write(1, b"\xa9 %d\n" % n)
    (output / "detailed_results.html").write_text(f"<p>{n}</p>")
print('{"type": "plot", "y": [1, 2]}')
sys.exit(answer["exit"]) if "exit" in answer else None
(output / "scores.json").write_text(json.dumps({"score": answer["score"], "time": 5}))
"""
YAML = """\
version: 2
title: Tiny
image: logo.png
terms: terms.md
registration_auto_approve: true
enable_detailed_results: true
pages: [{title: Overview, file: overview.md}]
tasks:
  - {index: 0, name: First, scoring_program: scoring, reference_data: truth}
  - {index: 1, name: Second, scoring_program: scoring, reference_data: truth}
phases:
  - {index: 0, name: One, start: 2020-01-01, tasks: [0]}
leaderboards:
  - title: Board
    key: board
    columns:
      - {title: Score, key: score, index: 0}
      - {title: Time, key: time, index: 1, sorting: asc}
"""
PROGRAM = {
    "scoring/metadata": b"command: python3 $program/score.py $predictions $hidden $output\n",
    "scoring/score.py": SCORER,
}


@pytest.fixture
def site(clock: Clock, tmp_path: Path) -> Iterator[Site]:
    with cb.Workspace(tmp_path / "lab", backend="process") as ws, make_site(clock, workspace=ws) as made:
        yield made


def competition(site: Site, ann: Actor, *tasks: int) -> str:
    text = YAML.replace("tasks: [0]", f"tasks: {list(tasks)}")
    return hosted(site, ann, bundle(text=text, files=PROGRAM), published=True)


def submitted(site: Site, actor: Actor, id: str, **answer: Any) -> Shown:
    data = zipped({"answer.json": json.dumps({"score": 0.5, **answer}).encode()})
    return site.submissions.create(actor, id, 0, sent(site, actor, data).key)


def told(site: Site, actor: Actor, number: int, after: str | None = None) -> list[Told]:
    return [each for each in site.submissions.live(actor, number, after) if each is not None]


def text(events: list[Told]) -> str:
    return "".join(data["text"] for _, kind, data in events if kind == "log" and data["name"] == "scoring_stdout")


def test_from_an_upload_to_scores(site: Site) -> None:
    ann, bob = person(site, "annie"), person(site, "bobby")
    id = competition(site, ann, 0)
    site.registrations.register(bob, id)
    n = submitted(site, bob, id, lines=4).number
    live = site.submissions.live(bob, n)
    first = list(takewhile(lambda each: each is None or each[1] != "log", live))
    after = next(reversed([each[0] for each in first if each is not None]))
    # Who was cut off goes on where that was, and characters that came in two pieces are whole.
    rest = told(site, bob, n, after)
    assert text(rest).startswith("café 0\ncafé 1\ncafé 2\ncafé 3\n")
    everything = [each for each in first if each is not None] + rest
    whole = told(site, bob, n)
    assert [each[:2] for each in whole] == [each[:2] for each in everything]
    assert [data["status"] for _, kind, data in whole if kind == "status"][-1] == "Finished"
    assert [data["data"]["y"] for _, kind, data in whole if kind == "plot"] == [[1, 2]]
    assert {data["submission"] for _, _, data in whole} == {n}
    assert told(site, bob, n, whole[-1][0]) == []
    json.dumps(whole)  # as it goes to a browser

    shown = site.submissions.get(bob, n)
    assert (shown.status, shown.file_size) == (Status.FINISHED, site.db.dataset(str(shown.dataset)).size)
    assert [(s.key, s.value) for s in shown.scores] == [("score", 0.5), ("time", 5.0)]
    assert shown.started_at is not None
    assert shown.ended_at is not None
    details = site.submissions.details(bob, n)
    assert b"caf\xc3\xa9 3" in link(site, dict(details.logs)["scoring_stdout"])
    assert link(site, site.submissions.detailed_result(ANONYMOUS, n)) == b"<p>3</p>"
    assert b"scores.json" in link(site, details.scoring_result)
    with pytest.raises(NotFound):
        site.submissions.live(ANONYMOUS, n)


def test_of_a_parent_the_children_are_watched(site: Site) -> None:
    ann = person(site, "annie")
    id = competition(site, ann, 0, 1)
    shown = submitted(site, ann, id, exit=3)
    events = told(site, ann, shown.number)
    assert {data["submission"] for _, _, data in events} == {shown.number, *shown.children}
    ends = {data["submission"]: data["status"] for _, kind, data in events if kind == "status"}
    assert ends == dict.fromkeys((shown.number, *shown.children), "Failed")
    parts = lambda events: [[e for e in events if e[2]["submission"] == child] for child in shown.children]  # noqa: E731
    kinds = lambda events: [[(e[1], e[2]) for e in part] for part in parts(events)]  # noqa: E731
    for cut in range(0, len(events), 3):
        before, again = kinds(events[: cut + 1]), kinds(told(site, ann, shown.number, events[cut][0]))
        assert [one + rest for one, rest in zip(before, again, strict=True)] == kinds(events)
    for odd in ("x", "1", "1.2.3", "-1.2", "9" * 40 + ".1"):
        assert kinds(told(site, ann, shown.number, odd)) == kinds(events)
    assert "exited with 3" in str(site.submissions.get(ann, shown.number).status_details)
