"""What programs find where, as data (contract.md 4.5 to 4.8 with the Decisions and Rulings).

`CONTRACT_VERSION` is part of every step digest: raise it when a change here can change a score.
"""

from __future__ import annotations

import re
import shlex
from typing import Final

from codabench.core.base import Record
from codabench.core.errors import UsageError
from codabench.core.records import Role, StepName

CONTRACT_VERSION: Final = 1

PROGRAM = "/app/program"
OUTPUT = "/app/output"
SHARED = "/app/shared"
INPUT = "/app/input"
REFERENCE = "/app/input/ref"
PREDICTIONS = "/app/input/res"
INPUT_DATA = "/app/input_data"
SUBMISSION = "/app/ingested_program"
LOCAL_DATA = "/app/data"
"""Below it, by name and read-only: directories of the worker that the policy names."""


class Place(Record):
    """A directory in a container.

    Attributes
    ----------
    target
        Path inside.
    host
        Which directory of the run is mounted there; the same name means the same directory.
    writable
        ``always``; or the name of the policy switch that gives a private copy instead of a read-only mount.
    only_if
        The task must have this data.
    """

    target: str
    host: str
    writable: str = "always"
    only_if: str | None = None


_INPUT_DATA = Place(target=INPUT_DATA, host="input_data", writable="writable_inputs", only_if="input_data")

PLACES: Final[dict[tuple[StepName, Role], tuple[Place, ...]]] = {
    ("prediction", "program"): (
        Place(target=PROGRAM, host="submission", writable="writable_program"),
        Place(target=OUTPUT, host="prediction_output"),
        Place(target=SHARED, host="prediction_shared"),
        _INPUT_DATA,
    ),
    ("prediction", "ingestion"): (
        Place(target=PROGRAM, host="ingestion_program", writable="writable_program"),
        Place(target=SUBMISSION, host="submission", writable="writable_program"),
        Place(target=OUTPUT, host="prediction_output"),
        Place(target=SHARED, host="prediction_shared"),
        _INPUT_DATA,
    ),
    ("scoring", "program"): (
        Place(target=PROGRAM, host="scoring_program", writable="writable_program"),
        Place(target=OUTPUT, host="scoring_output"),
        Place(target=SHARED, host="scoring_shared"),
        Place(target=INPUT, host="scoring_input"),
        Place(target=REFERENCE, host="reference_data", writable="writable_inputs", only_if="reference_data"),
    ),
    # Participant code is imported here: no reference data, and an output of its own (split roles, S03 and S04).
    ("scoring", "ingestion"): (
        Place(target=PROGRAM, host="ingestion_program", writable="writable_program"),
        Place(target=SUBMISSION, host="ingested_predictions"),
        Place(target=OUTPUT, host="ingestion_output"),
        Place(target=SHARED, host="scoring_shared"),
        _INPUT_DATA,
    ),
}
"""Which directories each program of each step sees."""

SCORER_INPUT_DATA: Final = _INPUT_DATA
"""Added to the scorer's places where ingestion runs during scoring (contract.md 4.4)."""


def placeholders(step: StepName, role: Role) -> dict[str, str]:
    """What each ``$name`` stands for (contract.md 4.8, Decision and Rulings).

    ``$input`` is the input data except for the scoring program; ``$submission_program`` in the submission's own
    container is its own directory; ``$tmp`` is the output, because programs pass files through it.
    """
    return {
        "program": PROGRAM,
        "ingestion_program": PROGRAM,
        "input": INPUT if (step, role) == ("scoring", "program") else INPUT_DATA,
        "output": OUTPUT,
        "hidden": REFERENCE,
        "shared": SHARED,
        "submission_program": PROGRAM if (step, role) == ("prediction", "program") else SUBMISSION,
        "tmp": OUTPUT,
        "predictions": OUTPUT if step == "prediction" else PREDICTIONS,
    }


_TOKEN = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")


def command_line(command: str, step: StepName, role: Role) -> tuple[str, ...]:
    """The words of a command: POSIX shell words, no shell; then placeholders.

    A token is ``$`` and a name, longest match, so ``$input_data`` is not ``$input``; an unknown one stays as it is.

    Raises
    ------
    UsageError
        If the command is empty, a quote is never closed, or a word holds a zero character.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command {command!r} cannot be split into words: {error}", code="CB405") from error
    if not words:
        raise UsageError("the command is empty", code="CB405")
    if "\0" in command:
        raise UsageError(f"the command {command!r} holds a character that no argument can hold", code="CB405")
    known = placeholders(step, role)
    return tuple(_TOKEN.sub(lambda m: known.get(m[1], m[0]), word) for word in words)


ENVIRONMENT: Final[dict[str, str]] = {
    "PYTHONUNBUFFERED": "1",
    "http_proxy": "",
    "https_proxy": "",
    # Nobody's home is not writable, and libraries write caches: give them a place that is thrown away.
    "HOME": "/tmp",  # noqa: S108 - inside the container
    "XDG_CACHE_HOME": "/tmp/.cache",  # noqa: S108
    "MPLCONFIGDIR": "/tmp/.matplotlib",  # noqa: S108
    "NUMBA_CACHE_DIR": "/tmp/.numba",  # noqa: S108
    # Some uids have no name in some images; libraries that ask for one look here first.
    "USER": "codabench",
    "LOGNAME": "codabench",
}
"""The whole environment that a program gets from us."""

_LOG_STEMS: Final[dict[tuple[StepName, Role], str]] = {
    ("prediction", "program"): "prediction",
    ("prediction", "ingestion"): "prediction_ingestion",
    ("scoring", "program"): "scoring",
    ("scoring", "ingestion"): "scoring_ingestion",
}


def log_name(step: StepName, role: Role, stream: str) -> str:
    """``prediction_ingestion_stderr`` and the like (contract.md 4.9)."""
    return f"{_LOG_STEMS[step, role]}_{stream}"
