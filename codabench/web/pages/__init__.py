"""Pages, by subject. They call the parts of the site and show what comes back; they decide nothing."""

from __future__ import annotations

from codabench.web.pages import (
    administering,
    cleaning,
    competition,
    creating,
    datasets,
    editing,
    entering,
    front,
    lists,
    organizing,
    people,
    results,
    status,
    submissions,
    tasks,
)

ROUTERS = (
    front.router,
    entering.router,
    lists.router,
    people.router,
    cleaning.router,
    datasets.router,
    tasks.router,
    status.router,
    administering.router,
    creating.router,
    editing.router,
    organizing.router,
    submissions.router,
    competition.router,
    results.router,
)
