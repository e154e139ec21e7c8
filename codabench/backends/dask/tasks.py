"""The one function that Dask calls on a worker."""

from __future__ import annotations

from typing import Any

from distributed import get_worker

from codabench.backends.dask.site import Site
from codabench.backends.dask.wire import Order


def carry_out(text: str) -> None:
    """Do what an `Order` says. What comes of it is reported, and never returned: nothing is kept in the cluster."""
    order = Order.model_validate_json(text)
    worker: Any = get_worker()

    def send(message: dict[str, Any]) -> None:
        worker.log_event(order.topic, message)

    Site.of(worker).carry_out(order, send)
