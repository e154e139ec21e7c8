"""What the programs of a run printed, as a mapping."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from codabench.core.records import LogRecord, Outcome
from codabench.core.text import printable

if TYPE_CHECKING:
    from codabench.workspace.workspace import Workspace


class Logs(Mapping[str, str]):
    """What the programs of a run printed, by name (``prediction_stderr``, ``scoring_stdout``...)."""

    def __init__(self, workspace: Workspace, outcome: Outcome | None, live: Mapping[str, bytes] | None = None) -> None:
        self._workspace = workspace
        self._live = dict(live or {})
        records = [log for step in (outcome.steps if outcome else ()) for log in step.logs]
        self._records: dict[str, LogRecord] = {log.name: log for log in records}

    def __getitem__(self, name: str) -> str:
        return self.raw(name).decode("utf-8", "replace")

    def raw(self, name: str) -> bytes:
        """The kept bytes of a log; while the run goes on, those that came so far."""
        if name in self._live:
            return self._live[name]
        return self._workspace.storage.get(self._records[name].blob)

    def record(self, name: str) -> LogRecord:
        """How much there was, and whether the middle was left out."""
        return self._records[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._live or self._records)

    def __len__(self) -> int:
        return len(self._live or self._records)

    def __repr__(self) -> str:
        return (
            "\n".join(f"── {name} ──\n{printable(text).rstrip()}" for name, text in self.items() if text) or "no output"
        )
