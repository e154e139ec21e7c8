"""People around one workspace: accounts, roles, registration, limits, mail. Every method takes an actor."""

from __future__ import annotations
