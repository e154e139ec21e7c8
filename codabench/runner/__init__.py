"""One submission to one result: the /app contract as data, the plan, the run directory, scores, provenance."""
