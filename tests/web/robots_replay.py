"""The calls that the robots make, as they make them: verbs, paths, forms and headers of the log in platform.md 4.

Nothing is sent that they do not send: no content type with the empty body of a rerun, no slash where one of them
leaves it out, no credentials with an upload or a download.
"""

from __future__ import annotations

import re
from typing import Any

from robots_lab import PASSWORD, TITLE, Answer, Http, Lab

FORM = {"Content_Type": "application/x-www-form-urlencoded"}
AGENT = {"User-Agent": "python-requests/2.31.0", "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SUBMISSION = {
    "phase_name", "name", "filename", "description", "created_when", "is_public", "is_specific_task_re_run", "status",
    "status_details", "owner", "has_children", "parent", "children", "pk", "id", "phase", "scores",
    "fact_sheet_answers", "leaderboard", "on_leaderboard", "task", "auto_run", "can_make_submissions_public",
    "is_soft_deleted",
}  # fmt: skip
TASK = {
    "id", "name", "description", "key", "created_by", "created_when", "is_public", "ingestion_only_during_scoring",
    "validated", "input_data", "ingestion_program", "reference_data", "scoring_program", "shared_with",
}  # fmt: skip
DETAILS = {
    "logs", "data_file", "prediction_result", "detailed_result", "scoring_result", "leaderboards", "fact_sheet_answers",
}  # fmt: skip
BOARD = {"id", "primary_index", "title", "key", "columns", "hidden", "submission_rule"}
COLUMN = {
    "id", "computation", "computation_indexes", "title", "key", "sorting", "index", "hidden", "precision",
}  # fmt: skip
SCORE = {"id", "index", "score", "column_key"}
CREATED = {
    "id", "data", "phase", "status", "status_details", "filename", "description", "md5", "fact_sheet_answers",
    "organization", "queue", "created_when", "scores",
}  # fmt: skip


def document(answer: Answer, status: int = 200) -> Any:
    assert answer.status == status, f"{answer.status}: {answer.body[:500]!r}"
    assert answer.headers["content-type"].startswith("application/json"), answer.headers
    return answer.json


class Replay:
    """One robot after the other; each call is one line of the log."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.http, self.token = lab, Http(lab.url), ""

    def call(self, verb: str, path: str, *, token: bool = False, body: bytes | None = None, **headers: str) -> Answer:
        given = dict(AGENT) | {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Token {self.token}"
        return self.http(verb, path, body=body, headers=given)

    def form(self, path: str, text: str, *, token: bool = True) -> Answer:
        return self.call("POST", path, token=token, body=text.encode(), **FORM)

    def look_around(self) -> None:
        """get_competition_details: without anybody being signed in."""
        found = document(self.call("GET", "/api/competitions/"))
        assert isinstance(found, list)
        mine = next(each for each in found if each["id"] == self.lab.competition)
        assert (mine["created_by"], mine["title"]) == (self.lab.creator, TITLE)
        place = f"/api/competitions/{self.lab.competition}"
        answer = self.call("GET", place)
        if answer.status in (301, 302, 307, 308):
            assert answer.headers["location"].removeprefix(self.lab.url) == f"{place}/"
            answer = self.call("GET", f"{place}/")
        one = document(answer)
        assert one["title"] == TITLE
        phase = next(each for each in one["phases"] if each["id"] == self.lab.phase)
        assert phase["name"] == "Robots run"
        assert [(task["id"], task["name"]) for task in phase["tasks"]] == self.lab.tasks
        assert all(isinstance(task["id"], int) for task in phase["tasks"])

    def log_in(self, name: str | None = None) -> None:
        """What each of the others begins with."""
        answer = self.form(
            "/api/api-token-auth/",
            f"username={name or self.lab.bot}&password={PASSWORD.replace(' ', '+')}",
            token=False,
        )
        self.token = document(answer)["token"]
        assert re.fullmatch(r"[0-9a-f]{40}", self.token)

    def submit(self, tasks: list[int]) -> dict[str, Any]:
        """example_submission: what a new submission was answered with."""
        may = document(self.call("GET", f"/api/can_make_submission/{self.lab.phase}/", token=True))
        assert may == {"can": True, "reason": None}
        size = len(self.lab.submission)
        text = f"type=submission&request_sassy_file_name=submission.zip&file_size={size}"
        made = document(self.form("/api/datasets/", text), 201)
        assert set(made) == {"key", "sassy_url"}
        assert UUID.fullmatch(made["key"])
        assert made["sassy_url"].startswith(self.lab.url)
        put = self.call("PUT", made["sassy_url"], body=self.lab.submission, Content_Type="application/zip")
        assert put.status == 200, put
        chosen = "".join(f"&tasks={number}" for number in tasks)
        text = f"phase={self.lab.phase}{chosen}&data={made['key']}"
        new: dict[str, Any] = document(self.form("/api/submissions/", text), 201)
        assert set(new) == CREATED
        assert next(iter(new)) == "id"
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", new.pop("created_when"))
        expected = {
            "data": made["key"], "phase": self.lab.phase, "status": "Submitting", "status_details": None,
            "filename": "submission.zip", "description": "", "md5": None, "fact_sheet_answers": None,
            "organization": None, "queue": None, "scores": [],
        }  # fmt: skip
        assert {name: value for name, value in new.items() if name != "id"} == expected
        return new

    def read(self, number: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """get_submission_details: lists it, and reads it with all of its files."""
        listed = document(self.call("GET", f"/api/submissions/?phase={self.lab.phase}", token=True))
        assert isinstance(listed, list)
        one = document(self.call("GET", f"/api/submissions/{number}/", token=True))
        assert next(each for each in listed if each["id"] == number) == one
        assert set(one) == SUBMISSION
        assert MOMENT.fullmatch(one["created_when"])
        assert one["owner"] == self.lab.bot
        assert one["task"] is None or set(one["task"]) == TASK
        for score in one["scores"]:
            assert set(score) == SCORE
            assert re.fullmatch(r"-?\d+\.\d{10}", score["score"])
        details = document(self.call("GET", f"/api/submissions/{number}/get_details/", token=True))
        assert set(details) == DETAILS
        assert all(set(board) == BOARD for board in details["leaderboards"])
        assert all(set(column) == COLUMN for board in details["leaderboards"] for column in board["columns"])
        data = self.call("GET", details["data_file"])
        assert (data.status, data.body) == (200, self.lab.submission)
        for log in details["logs"]:
            assert set(log) == {"name", "data_file"}
            assert self.call("GET", log["data_file"]).status == 200
        return one, details

    def run_again(self, number: int, key: str) -> dict[str, Any]:
        """rerun_submission: on a task of its choice; what the new one is at once."""
        assert any(each["id"] == number for each in document(self.call("GET", "/api/submissions/", token=True)))
        tasks = document(self.call("GET", "/api/tasks/", token=True))
        assert {"count", "next", "previous", "results"} <= set(tasks)
        assert any(each["key"] == key for each in tasks["results"])
        again = self.call("POST", f"/api/submissions/{number}/re_run_submission/?task_key={key}", token=True)
        made = document(again)
        assert set(made) == {"id"}
        new: dict[str, Any] = document(self.call("GET", f"/api/submissions/{made['id']}/", token=True))
        assert new["task"]["key"] == key
        assert (new["is_specific_task_re_run"], new["owner"]) == (True, self.lab.bot)
        return new
