"""The API of Codabench at the root of the host (platform.md section 3), so that existing clients work as they are."""

from __future__ import annotations

from fastapi import APIRouter

from codabench.web.api import (
    acts,
    boards,
    competitions,
    datasets,
    document,
    housekeeping,
    organizing,
    people,
    phases,
    submissions,
    tasks,
)

ROUTERS: tuple[APIRouter, ...] = (
    people.router,
    organizing.router,
    competitions.router,
    phases.router,
    datasets.router,
    tasks.router,
    housekeeping.router,
    acts.router,
    submissions.router,
    boards.router,
    document.router,
)
"""What an application includes, in this order."""
