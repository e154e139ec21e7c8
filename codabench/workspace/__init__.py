"""The objects users hold, and the dispatcher that drives the work of one workspace."""

import logging

logging.getLogger("codabench.workspace").addHandler(logging.NullHandler())
