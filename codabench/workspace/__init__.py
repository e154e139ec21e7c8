"""The objects users hold, and the dispatcher that drives the work of one workspace."""
