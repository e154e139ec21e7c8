"""What a submission costs does not grow with those before it."""

from __future__ import annotations

from pathlib import Path

import pytest

import codabench as cb

COMPETITION = """\
version: 2
title: Nothing
image: logo.png
terms: terms.md
docker_image: any
pages: [{title: Terms, file: terms.md}]
tasks: [{index: 0, name: Nothing, description: Nothing, scoring_program: scorer}]
phases: [{index: 0, name: Always, description: Always, start: 2026-01-01, tasks: [0]}]
leaderboards: [{title: Nothing, key: nothing, columns: [{title: Score, key: score, index: 0, sorting: desc}]}]
"""
SCORER = "import sys\nopen(sys.argv[1] + '/scores.json', 'w').write('{\"score\": 1}')\n"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
    (folder / "scorer").mkdir(parents=True)
    (folder / "competition.yaml").write_text(COMPETITION)
    (folder / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "terms.md").write_text("None.\n")
    (folder / "scorer/metadata.yaml").write_text("command: python3 /app/program/score.py /app/output\n")
    (folder / "scorer/score.py").write_text(SCORER)
    return folder


def test_programs_are_read_once(bundle: Path, tmp_path: Path) -> None:
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "answers.txt").write_text("1\n")
    competition = cb.load(bundle)
    try:
        for _ in range(2):
            done = competition.run(submission, backend="process", policy="trusted", progress="none")
            assert done.scores == {"score": 1.0}, done
            # From now on only what the workspace keeps is there to be run.
            (bundle / "scorer/score.py").unlink(missing_ok=True)
    finally:
        competition.close()


def test_many_submissions_of_several_people_are_listed_in_their_order(bundle: Path, tmp_path: Path) -> None:
    submission = tmp_path / "submission"
    submission.mkdir()
    (submission / "answers.txt").write_text("1\n")
    competition = cb.load(bundle)
    try:
        done = [
            competition.run(submission, backend="process", policy="trusted", progress="none", participant=name)
            for name in ("ann", "bob", "ann")
        ]
        listed = competition.submissions()
        assert [h.id for h in listed] == [h.id for h in done]
        assert [[r.id for r in h.runs] for h in listed] == [[r.id for r in h.runs] for h in done]
        assert {h.status for h in listed} == {cb.Status.FINISHED}
        assert competition.submissions(phase=0)[1].record.participant == "bob"
    finally:
        competition.close()
