"""Quotas, clean-up and figures by REST (platform.md 3.9, 3.10)."""

from __future__ import annotations

import csv
import io

import pytest
from api_lab import World, world
from hosting_lab import zipped
from site_lab import Clock

from codabench.site.site import Site

TASK = zipped(
    {
        "task.yaml": b"name: Mine\ndescription: d\nscoring_program:\n  zip: s.zip\n",
        "s.zip": zipped({"metadata": b"command: python3 score.py\n"}),
    }
)
FIGURES = (
    "/api/analytics/",
    "/api/analytics/competitions_usage/",
    "/api/analytics/users_usage/",
    "/api/analytics/get_orphan_files/",
)


@pytest.fixture
def made(site: Site) -> World:
    return world(site)


def test_what_one_may_store_and_does(made: World) -> None:
    before = made.bobby.get("/api/user_quota/").json()
    assert before == {"quota": 15.0, "storage_used": 0}
    made.bobby.post("/api/datasets/", data={"type": "submission", "request_sassy_file_name": "a.zip", "file_size": 22})
    assert made.bobby.get("/api/user_quota/").json()["storage_used"] == 22
    assert made.annie.get("/api/user_quota/").json()["storage_used"] > 0
    assert made.nobody.get("/api/user_quota/").status_code == 403


def test_what_nothing_needs_is_counted_and_deleted(made: World) -> None:
    made.bobby.post("/api/tasks/upload_task/", files={"file": ("t.zip", TASK)})
    counts = {"unused_tasks": 1, "unused_datasets_programs": 0, "unused_submissions": 0, "failed_submissions": 0}
    assert made.bobby.get("/api/user_quota_cleanup/").json() == counts
    assert made.bobby.delete("/api/delete_unused_tasks/").json()["count"] == 1
    left = made.bobby.get("/api/user_quota_cleanup/").json()
    assert left == counts | {"unused_tasks": 0, "unused_datasets_programs": 1}
    assert made.bobby.delete("/api/delete_unused_datasets/").json() == {
        "success": True,
        "message": "Deleted.",
        "count": 1,
    }
    for call in ("submissions", "datasets", "tasks"):
        assert made.bobby.delete(f"/api/delete_unused_{call}/").json()["count"] == 0
    assert made.bobby.delete("/api/delete_failed_submissions/").json()["count"] == 0
    assert made.annie.get("/api/user_quota_cleanup/").json()["unused_tasks"] == 0, "a competition has them"
    assert made.nobody.delete("/api/delete_unused_tasks/").status_code == 403


def test_figures_are_for_those_who_run_the_site(made: World) -> None:
    for path in FIGURES:
        assert made.nobody.get(path).status_code == 403, path
        assert made.annie.get(path).status_code == 403, path
        assert made.suzie.get(path).status_code == 200, path
    assert made.annie.delete("/api/analytics/delete_orphan_files/").status_code == 403
    assert made.suzie.delete("/api/analytics/delete_orphan_files/").json() == {"count": 0, "size": 0}


def test_figures(made: World, clock: Clock) -> None:
    found = made.suzie.get("/api/analytics/?start_date=January 1, 2026&end_date=2026-03-31&time_unit=month").json()
    assert [each["count"] for each in found["users_data"]] == [0, 0, 3]
    assert (found["registered_user_count"], found["competition_count"]) == (3, 1)
    assert (found["competitions_published_count"], found["submissions_made_count"]) == (1, 0)
    assert made.suzie.get("/api/analytics/").json()["end_date"] == clock().date().isoformat()
    wrong = made.suzie.get("/api/analytics/?start_date=2026-03-31&end_date=2026-01-01")
    assert (wrong.status_code, set(wrong.json())) == (400, {"end_date"})
    assert made.suzie.get("/api/analytics/?start_date=soon").status_code == 400
    rows = list(csv.reader(io.StringIO(made.suzie.get("/api/analytics.csv?time_unit=week").text)))
    assert len(rows) > 50
    (use,) = made.suzie.get("/api/analytics/competitions_usage/").json()
    assert use["total"] == use["data"] + use["submissions"] + use["results"] > 0
    for path in ("competitions_usage", "users_usage"):
        assert made.suzie.get(f"/api/analytics/{path}.csv").headers["content-type"].startswith("text/csv")
