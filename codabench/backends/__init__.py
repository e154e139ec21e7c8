"""Machines: in what container (engines) and where (backends). Nothing here knows bundles, scores or the database."""
