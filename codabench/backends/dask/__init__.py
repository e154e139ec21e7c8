"""Work on a Dask cluster. Dask says where; what isolates a program there is the container engine of each worker.

One cluster is one trust domain and one network: whoever may submit to it, or has one of its certificates, may run code
on every worker. Only JSON crosses the wire: a plan and the name of a function there, events and an outcome back.
"""

from codabench.backends.dask.backend import DaskBackend
from codabench.backends.dask.security import TLS

__all__ = ["TLS", "DaskBackend"]
