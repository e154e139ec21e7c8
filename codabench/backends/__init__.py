"""Machines: in what container (engines) and where (backends). Nothing here knows bundles, scores or the database."""

import logging

logging.getLogger("codabench.backends").addHandler(logging.NullHandler())
