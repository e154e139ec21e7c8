"""What each problem code means: the tables of ``docs/problems.md``, which travel with the package."""

from __future__ import annotations

import re
from functools import cache

from codabench.core.base import Record
from codabench.core.packaged import packaged

_ROW = re.compile(r"\| (CB\d{3}) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|")
_HEADING = re.compile(r"(#{2,3}) (.+)")


class Rule(Record):
    """One code.

    Attributes
    ----------
    code, severity
        The severity as the table has it: ``error``, ``warning``, ``note``, or ``raised`` (by exceptions).
    group
        What it is about, such as "fact sheets".
    meaning, action
        One sentence each: what is wrong, what to do.
    more
        Background and examples, where there are any.
    """

    code: str
    severity: str
    group: str
    meaning: str
    action: str
    more: str = ""

    def __str__(self) -> str:
        lines = [f"{self.code} ({self.severity}; {self.group})", "", self.meaning]
        if self.action != "–":
            lines.append(f"  = help: {self.action}")
        return "\n".join([*lines, *(["", self.more] if self.more else [])])


@cache
def rules() -> dict[str, Rule]:
    """Every rule, by code and in the order of the codes."""
    found: dict[str, Rule] = {}
    more: dict[str, list[str]] = {}
    group, current = "", ""
    for line in _text().splitlines():
        if heading := _HEADING.fullmatch(line):
            current = heading[2] if heading[1] == "###" else ""
            group = group if current else heading[2].partition(": ")[2]
        elif row := _ROW.fullmatch(line):
            code, severity, meaning, action = (cell.strip() for cell in row.groups())
            found[code] = Rule(code=code, severity=severity, group=group, meaning=meaning, action=action)
        elif current:
            more.setdefault(current, []).append(line)
    for code, lines in more.items():
        found[code] = found[code].model_copy(update={"more": "\n".join(lines).strip()})
    return found


def _text() -> str:
    return packaged("_problems.md", "docs/problems.md").read_text(encoding="utf-8")
