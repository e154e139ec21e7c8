"""Receipts: everything that decided a score, as one portable record. See docs/receipts.md."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from codabench.core.errors import StorageError, UsageError
from codabench.core.text import preformatted, printable

Digest = str
"""``sha256:`` and 64 hexadecimal digits."""


class _Kept(BaseModel):
    """A part of a receipt. What a later version adds is kept, and not understood."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Named(_Kept):
    """What something is called, and its index in the competition."""

    index: int | str
    name: str


class RevisedTask(Named):
    """A task: `revision` counts the changes of its programs and data from 1."""

    revision: int = 1


class Titled(_Kept):
    """The competition. Its title only: what decides a score are the digests."""

    title: str


class Submitted(_Kept):
    """The submission, without who made it."""

    name: str


class ImageOf(_Kept):
    """The image. `digest` is that of its repository; an image that was built on a machine has an `id` only."""

    name: str
    id: str
    digest: Digest | None = None
    platform: str | None = None


class Programs(_Kept):
    """What ran in a step: the commands of each role, and whether the submission was copied to the output before."""

    commands: dict[Literal["program", "ingestion"], list[str]]
    copies_submission: bool = False


class EngineOf(_Kept):
    """The engine, and what of the policy it does not enforce."""

    name: str
    version: str = ""
    isolation: str = ""
    not_enforced: list[str] = []


class Provenance(_Kept):
    """How to come to the same score again: `RunHandle.provenance`."""

    contract: int = Field(description="Version of the rules for what programs find where.")
    image: ImageOf
    trees: dict[str, Digest] = Field(description="By role: submission, scoring_program, reference_data...")
    programs: dict[Literal["prediction", "scoring"], Programs]
    columns: list[str] = Field(description="Keys that the scoring program was expected to write.")
    policy: dict[str, Any] = Field(description="What the run was allowed; see docs/policy.md.")
    asked: dict[str, Any] = Field(default={}, description="What was asked for instead, field by field.")
    time_limit: int = Field(gt=0, description="Seconds for each step.")
    environment: dict[str, str] = {}
    engine: EngineOf
    host: dict[str, Any] = {}
    versions: dict[str, str] = {}
    steps: dict[str, Digest] = Field(default={}, description="Digest of all that decides what a step comes to.")
    outputs: dict[str, Digest] = Field(default={}, description="Trees that steps left in /app/output.")
    reused: dict[str, str] = Field(default={}, description="Steps that an earlier attempt carried out.")


class Receipt(_Kept):
    """The receipt of a finished run.

    It names no person, no path of a host and no secret. The same run has the same receipt whenever it is asked for.

    Examples
    --------
    >>> run.receipt().save("receipt.json")                           # doctest: +SKIP
    >>> cb.verify("receipt.json", bundle="iris.zip", submission="mine")     # doctest: +SKIP
    """

    receipt: Literal[1] = 1
    run: str
    competition: Titled
    phase: Named
    task: RevisedTask
    submission: Submitted
    finished_at: datetime | None = None
    scores: dict[str, FiniteFloat]
    provenance: Provenance

    def to_json(self) -> str:
        """The text of the receipt."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the receipt to a file, over what is there.

        Raises
        ------
        StorageError
            ``CB704``: it cannot be written.
        """
        place = Path(path)
        try:
            place.write_text(self.to_json(), encoding="utf-8")
        except OSError as error:
            raise StorageError(f"{place} cannot be written: {error.strerror or error}", code="CB704") from error
        return place

    def __repr__(self) -> str:
        scores = "   ".join(f"{key} {value:g}" for key, value in self.scores.items())
        found = self.provenance
        lines = [
            f"Receipt of {printable(self.submission.name)!r} in {printable(self.competition.title)!r}, "
            f"task {printable(self.task.name)!r}   {scores}",
            f"  image   {printable(found.image.name)}   {found.image.digest or found.image.id}",
            f"  engine  {found.engine.name} {found.engine.version}   policy {found.policy.get('name')}",
            *(f"  {role.replace('_', ' '):<18} {digest}" for role, digest in found.trees.items()),
        ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return preformatted(repr(self), "cb-receipt")


def read_receipt(source: Receipt | Mapping[str, Any] | str | os.PathLike[str]) -> Receipt:
    """A receipt from a file, or from its content.

    Raises
    ------
    UsageError
        ``CB380``: it cannot be read, or is none.
    """
    if isinstance(source, Receipt):
        return source
    what = "this mapping" if isinstance(source, Mapping) else printable(os.fspath(source))
    hint = "`codabench receipt RUN` writes one"
    try:
        given = source if isinstance(source, Mapping) else json.loads(Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise UsageError(f"the receipt {what} cannot be read: {why}", code="CB380", hint=hint) from error
    version = given.get("receipt") if isinstance(given, Mapping) else None
    if version != 1:
        later = isinstance(version, int) and version > 1
        message = f"{what} is a receipt of form {version}" if later else f"{what} is no receipt"
        raise UsageError(message, code="CB380", hint="use a later version of codabench" if later else hint)
    try:
        return Receipt.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise UsageError(f"the receipt {what} is damaged: {place}: {first['msg']}", code="CB380", hint=hint) from error
