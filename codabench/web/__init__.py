"""REST, pages and live events over a `Site`. Never a query, a rule, a thread."""

from __future__ import annotations
