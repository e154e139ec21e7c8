"""The API of Codabench at the root of the host (platform.md section 3), so that existing clients work as they are."""

from __future__ import annotations

from fastapi import APIRouter

from codabench.web.api import competitions, datasets, organizing, people, phases

ROUTERS: tuple[APIRouter, ...] = (
    people.router,
    organizing.router,
    competitions.router,
    phases.router,
    datasets.router,
)
"""What an application includes, in this order."""
