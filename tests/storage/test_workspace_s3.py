"""A workspace whose files are in a bucket: its runs use the credentials it was opened with, no plan holds them."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path
from typing import Any

import codabench as cb
from codabench.workspace.planning import make_plan

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workspace"))
import tiny


def test_runs_and_housekeeping(s3: Any, tmp_path: Path, monkeypatch: Any) -> None:
    import s3fs

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    plans = []
    monkeypatch.setattr("codabench.workspace.plans.make_plan", lambda **k: plans.append(make_plan(**k)) or plans[-1])
    fs = s3fs.S3FileSystem(**s3.options(), skip_instance_cache=True)
    bucket = f"workspace-{uuid.uuid4().hex[:12]}"
    fs.mkdir(bucket)
    try:
        url, db = f"s3://{bucket}/lab", f"sqlite:///{tmp_path}/lab.db"
        with cb.load(tiny.bundle(tmp_path / "bundle")) as comp:
            with cb.Workspace(url, db=db, backend="process", storage_options=s3.options()) as ws:
                run = ws.submit(ws.add(comp), tiny.answer(tmp_path / "mine")).wait().run
                assert run.scores["score"] == 0.5, run.problem
                assert ws.gc(dry_run=False, older_than=0, verify=True).items == ()
                assert ws.usage().size > 0
            with cb.Workspace(url, db=db, backend="process", storage_options=s3.options()) as ws:
                assert "scoring" in ws.run(run.id).logs["scoring_stdout"]
        assert plans
        assert all(s3.options()["secret"] not in plan.model_dump_json() for plan in plans)
    finally:
        fs.rm(bucket, recursive=True)
