"""Programs of a competition that is defined in Python: functions, or directories with a metadata file."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal, overload

from codabench.bundle.defined.data import made
from codabench.bundle.defined.export import Wrong, exported
from codabench.core.errors import UsageError
from codabench.storage.sources import TreeSource, open_source

Kind = Literal["scoring", "ingestion"]
Function = Callable[..., Any]

_COMMANDS: dict[Kind, str] = {
    "scoring": "python3 scoring.py /app/input /app/input_data /app/output /app/shared",
    "ingestion": "python3 ingestion.py /app/input_data /app/output /app/shared /app/ingested_program",
}
"""Whole paths, not placeholders: every server understands them, and plain processes translate them."""

SHIM = "_cb_io.py"


class Program:
    """A program of a task."""

    @staticmethod
    def from_dir(path: str | os.PathLike[str]) -> ProgramDirectory:
        """A directory, or a zip, that holds a program and its ``metadata.yaml`` with ``command: python3 score.py``.

        Raises
        ------
        BundleError
            It cannot be read.
        """
        return ProgramDirectory(path)


class ProgramDirectory(Program):
    """A program that is written already."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).expanduser().absolute()
        self.tree: TreeSource = open_source(self.path)

    def __repr__(self) -> str:
        return f"Program.from_dir({os.fspath(self.path)!r})"


class FunctionProgram(Program):
    """A function that is called in this process (``backend="inline"``), or written as a program for containers.

    Attributes
    ----------
    kind
        ``scoring`` or ``ingestion``.
    function
        The function itself; calling this object calls it.
    requires
        Packages that it needs. They are listed in the program's ``requirements.txt`` for whoever builds an image;
        nothing installs them when it runs.
    """

    def __init__(self, kind: Kind, function: Function, requires: Iterable[str] = ()) -> None:
        if not callable(function):
            raise UsageError(f"a {kind} program is a function, not a {type(function).__name__}", code="CB320")
        if isinstance(requires, str) or not all(isinstance(item, str) for item in requires):
            raise UsageError('requires is a list of packages, such as ["numpy", "pandas>=2"]', code="CB320")
        # What a decorator copied from a program to the function that wraps it must not come back from there.
        functools.update_wrapper(self, function)
        self.kind: Kind = kind
        self.function, self.requires = function, tuple(requires)
        if wrong := _not_of_one_argument(function):
            hint = f"write def {'score' if kind == 'scoring' else 'ingest'}(io):"
            raise UsageError(
                f"the {kind} function {self.name!r} is called with io alone: {wrong}", code="CB320", hint=hint
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    @property
    def name(self) -> str:
        return getattr(self.function, "__name__", type(self.function).__name__)

    @property
    def command(self) -> str:
        """What its metadata file says."""
        return _COMMANDS[self.kind]

    @property
    def writes_details(self) -> bool:
        """Whether its code names ``details``, the page of detailed results."""
        code = getattr(self.function, "__code__", None)
        return code is not None and "details" in code.co_names

    def tree(self) -> TreeSource:
        """The program as files.

        Raises
        ------
        BundleError
            ``CB321`` to ``CB323``: it cannot be taken out of this process; the report says why, all reasons at once.
        """
        source = exported(self.function, f"the {self.kind} function {self.name!r}")
        text = (
            f'"""The {self.kind} program, written from the function {self.name!r}."""\n\n'
            f"from __future__ import annotations\n\n{source.imports}import {SHIM[:-3]}\n\n\n{source.text}\n\n"
            f'if __name__ == "__main__":\n    {SHIM[:-3]}.main("{self.kind}", {self.name})\n'
        )
        files = {f"{self.kind}.py": text.encode(), SHIM: shim(), **self.metadata()}
        if self.requires:
            files["requirements.txt"] = "".join(f"{item}\n" for item in self.requires).encode()
        return made(f"{self.kind} program", files)

    def metadata(self) -> dict[str, bytes]:
        """Its metadata file."""
        return {"metadata.yaml": f"command: {self.command}\n".encode()}

    def described(self) -> TreeSource:
        """What is kept of a function that is called in this process: its source, if that is to be had."""
        try:
            text = inspect.getsource(self.function)
        except (OSError, TypeError):
            text = f"{self.function!r}\n"
        return made(self.name, {"called.txt": text.encode("utf-8", "replace")})

    def __repr__(self) -> str:
        return f"<{self.kind} program {self.name}>"


def _not_of_one_argument(function: Function) -> str | None:
    """Why a function cannot be called with one argument, as far as that can be told."""
    try:
        inspect.signature(function).bind(None)
    except TypeError as error:
        return str(error)
    except ValueError:  # what is written in C may not say
        return None
    return None


def shim() -> bytes:
    """The file that lies beside every exported function."""
    return Path(__file__).with_name("program_io.py").read_bytes()


@overload
def scoring(function: Function, /) -> FunctionProgram: ...
@overload
def scoring(*, requires: Iterable[str] = ()) -> Callable[[Function], FunctionProgram]: ...
def scoring(function: Function | None = None, /, *, requires: Iterable[str] = ()) -> Any:
    """Make a function ``score(io) -> dict[str, float]`` a scoring program.

    Parameters
    ----------
    requires
        Packages that it needs, for whoever builds the image; nothing is installed when it runs.

    Examples
    --------
    >>> @scoring(requires=["numpy"])
    ... def score(io):
    ...     return {"acc": float((io.predictions / "acc.txt").read_text())}
    """
    return _decorated("scoring", function, requires)


@overload
def ingestion(function: Function, /) -> FunctionProgram: ...
@overload
def ingestion(*, requires: Iterable[str] = ()) -> Callable[[Function], FunctionProgram]: ...
def ingestion(function: Function | None = None, /, *, requires: Iterable[str] = ()) -> Any:
    """Make a function ``ingest(io) -> None`` an ingestion program; see `scoring`."""
    return _decorated("ingestion", function, requires)


def _decorated(kind: Kind, function: Function | None, requires: Iterable[str]) -> Any:
    if function is not None:
        return FunctionProgram(kind, function)
    return lambda decorated: FunctionProgram(kind, decorated, requires)


def as_program(value: Any, kind: Kind) -> FunctionProgram | ProgramDirectory:
    """What a task was given as its program.

    Raises
    ------
    UsageError
        If it is none, or one of the other kind.
    """
    if isinstance(value, FunctionProgram):
        if value.kind != kind:
            raise UsageError(f"{value.name!r} is an {value.kind} program, not a {kind} program", code="CB320")
        return value
    if isinstance(value, ProgramDirectory):
        return value
    if isinstance(value, (str, os.PathLike)):
        return ProgramDirectory(value)
    return FunctionProgram(kind, value)


__all__ = ["FunctionProgram", "Program", "ProgramDirectory", "Wrong", "as_program", "ingestion", "scoring", "shim"]
