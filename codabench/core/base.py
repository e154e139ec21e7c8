"""The base of every spec and record."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen value. Unknown names are refused, so a Python typo fails where it is made."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
