"""What a verification came to: score by score, and in which ways it differed from the run of the receipt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from codabench.core.base import Record
from codabench.core.errors import UsageError
from codabench.core.problems import Problem
from codabench.core.records import Status
from codabench.core.report import render_problem
from codabench.core.text import did_you_mean, preformatted, printable
from codabench.workspace.receipts import Provenance, Receipt

TOLERANCE = 1e-9
"""The largest difference that is none, unless somebody says otherwise."""

OTHERS = "*"

Tolerance = float | Mapping[str, float]
"""One for all columns, or by key; that of ``*`` is for the columns that are not named."""


class ColumnCheck(Record):
    """One column.

    Attributes
    ----------
    recorded, found
        The score in the receipt, and the one that came out now; None where there is none.
    tolerance
        The largest absolute difference that is none.
    """

    key: str
    recorded: float | None
    found: float | None
    tolerance: float

    @property
    def difference(self) -> float | None:
        """How far they are apart; None where one of them is missing."""
        return None if self.recorded is None or self.found is None else abs(self.found - self.recorded)

    @property
    def ok(self) -> bool:
        """It reproduces."""
        return self.difference is not None and self.difference <= self.tolerance


class Verification(Record):
    """What running a receipt again came to.

    Attributes
    ----------
    columns
        Every column of either run.
    status, problem
        How the run ended, and why it failed.
    notes
        In what the run differed from that of the receipt: engine, versions, host, policy, image.
    provenance
        Of the run that was made to verify.
    """

    receipt: Receipt
    columns: tuple[ColumnCheck, ...]
    status: Status
    problem: Problem | None = None
    notes: tuple[str, ...] = ()
    provenance: dict[str, Any] = {}
    seconds: float = 0.0

    @property
    def reproduces(self) -> bool:
        """It finished, and every column is within its tolerance."""
        return self.status is Status.FINISHED and all(column.ok for column in self.columns)

    def to_dict(self) -> dict[str, Any]:
        """The shape that ``codabench verify --json`` prints."""
        return {
            "ok": self.reproduces,
            "reproduces": self.reproduces,
            "status": self.status.value,
            "columns": [
                {**column.model_dump(), "difference": column.difference, "ok": column.ok} for column in self.columns
            ],
            "problem": self.problem.to_dict() if self.problem else None,
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
            "provenance": self.provenance,
            "receipt": self.receipt.model_dump(mode="json"),
        }

    def __repr__(self) -> str:
        return "\n".join([self._verdict(), *map(_line, self.columns), *(f"  note: {note}" for note in self.notes)])

    def _verdict(self) -> str:
        if self.reproduces:
            return f"reproduces within tolerance ({self.seconds:.1f} s)"
        if self.problem is not None:
            return f"does not reproduce: the run ended {self.status.value}\n{render_problem(self.problem)}"
        other = [column.key for column in self.columns if not column.ok]
        return f"does not reproduce: {', '.join(map(printable, other))}"

    def _repr_html_(self) -> str:
        return preformatted(repr(self), "cb-verification")


def _line(column: ColumnCheck) -> str:
    there, here = ("none" if v is None else f"{v!r}".removesuffix(".0") for v in (column.recorded, column.found))
    apart = "" if column.difference is None else f"   difference {column.difference:.3g}"
    sign = "=" if column.ok else "≠"
    return f"  {printable(column.key)}   {there} {sign} {here}{apart}, tolerance {column.tolerance:g}"


def tolerances(receipt: Receipt, asked: Tolerance) -> dict[str, float]:
    """The tolerance of each column of a receipt.

    Raises
    ------
    UsageError
        ``CB383``: a column that the receipt does not have, or a number that is no tolerance.
    """
    named = dict(asked) if isinstance(asked, Mapping) else {}
    default = named.pop(OTHERS, TOLERANCE) if isinstance(asked, Mapping) else asked
    for key in named:
        if key not in receipt.scores:
            guess = did_you_mean(key, receipt.scores)
            hint = f"did you mean {guess!r}?" if guess else f"there are {', '.join(receipt.scores)}"
            raise UsageError(f"the receipt has no score {key!r}", code="CB383", hint=hint)
    for value in (default, *named.values()):
        if not 0 <= value < math.inf:
            raise UsageError(f"a tolerance is a number from 0, not {value:g}", code="CB383")
    return dict.fromkeys(receipt.scores, default) | named


def compared(
    recorded: Mapping[str, float], found: Mapping[str, float], allowed: Mapping[str, float]
) -> tuple[ColumnCheck, ...]:
    """Column by column. A column that only one of them has is no reproduction."""
    return tuple(
        ColumnCheck(key=key, recorded=recorded.get(key), found=found.get(key), tolerance=allowed.get(key, TOLERANCE))
        for key in dict.fromkeys([*recorded, *found])
    )


def differences(recorded: Provenance, found: Mapping[str, Any]) -> tuple[str, ...]:
    """In what a run differed from that of a receipt, besides its scores."""
    if not found:
        return ()
    here = Provenance.model_validate(found)
    pairs: list[tuple[str, Any, Any]] = [
        ("contract version", recorded.contract, here.contract),
        ("image", _image(recorded, here), _image(here, recorded)),
        ("platform", recorded.image.platform, here.image.platform),
        ("engine", f"{recorded.engine.name} {recorded.engine.version}", f"{here.engine.name} {here.engine.version}"),
        ("not enforced", recorded.engine.not_enforced, here.engine.not_enforced),
        ("environment", recorded.environment, here.environment),
        *_of_mappings("policy ", recorded.policy, here.policy),
        *_of_mappings("", recorded.versions, here.versions),
        *_of_mappings("host ", recorded.host, here.host),
    ]
    notes = [f"{what}: {_said(there)} in the receipt, {_said(now)} here" for what, there, now in pairs if there != now]
    if recorded.reused:
        which = " and ".join(recorded.reused)
        notes.append(f"the run of the receipt had reused its {which} step; here it was carried out")
    return tuple(notes)


def _image(one: Provenance, other: Provenance) -> str:
    """What tells two images apart: the digest, if both have one."""
    both = one.image.digest and other.image.digest
    return str(one.image.digest if both else one.image.id)


def _of_mappings(prefix: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(f"{prefix}{key.replace('_', ' ')}", there.get(key), here.get(key)) for key in sorted({*there, *here})]


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(each)}" for key, each in value.items()) or "nothing"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_said, value)) or "none"
    return "none" if value is None else printable(str(value))
