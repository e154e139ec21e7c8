"""Every exception this library raises on purpose.

::

    CodabenchError                    .code  .hint
    ├── BundleError                   a bundle or an archive cannot be used; carries .report
    │   ├── ArchiveError              one archive is unsafe or damaged
    │   └── SourceUnavailable         (also StorageError) what lies at a URL could not be read
    ├── SubmissionRejected            phase closed, limit reached, fact sheet incomplete
    ├── NotFound                      (also LookupError) no phase, task, run of that name; says what there is
    ├── UsageError                    (also ValueError) an argument that cannot be meant
    ├── PolicyError                   the engine cannot enforce what the policy demands
    ├── EngineError                   the engine failed to do its work (the machine failed, not the program)
    │   ├── EngineUnavailable         (also ConnectionError) nothing answers
    │   │   └── NoRoom                a backend takes nothing now; it may later
    │   ├── ImageNotFound             (also FileNotFoundError) no such image here, and it could not be pulled
    │   ├── RegistryError             (also ConnectionError) a registry is away, fails, refuses us or lies
    │   ├── EngineTimeout             (also TimeoutError) the engine did not answer in time
    │   └── WorkLost                  the worker that had a piece of work was lost; nobody knows what came of it
    ├── StorageError                  (also OSError) bytes could not be written, read or verified
    ├── StateError                    a transition that the table of legal transitions does not have
    ├── BatchAborted                  a re-evaluation was given up: too many of its runs failed; carries .failures
    ├── RunFailed                     only from raise_for_status(): a failed program is a value
    ├── Interrupted                   work was cancelled before it had a result
    ├── Refused                       who asks may not do that
    │   └── Banned                    whoever it is was banned from this site
    ├── NotSignedIn                   nobody is signed in, or what was shown is worth nothing
    ├── Invalid                       (also ValueError) fields that cannot be accepted; carries .fields
    ├── TooMany                       too much was tried in too short a time; carries .seconds
    └── MissingExtra                  (also ImportError) an optional dependency is not installed

A message says what, where and why; ``hint`` is the next step. ``code`` is stable (``CB601``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from codabench.core.report import Report


class CodabenchError(Exception):
    """The root of all errors of this library.

    Parameters
    ----------
    message
        What, where and why.
    code
        Stable identifier, ``CB`` and three digits.
    hint
        The next step, shown on a line of its own.
    """

    default_code = "CB000"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        if hint:
            self.add_note(f"hint: {hint}")

    def __str__(self) -> str:
        return f"[{self.code}] {self.message}"


class BundleError(CodabenchError):
    """A bundle cannot be used. ``report`` holds every problem, not only the first."""

    default_code = "CB100"

    def __init__(
        self, message: str, *, report: Report | None = None, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.report = report


class ArchiveError(BundleError):
    """An archive is unsafe or damaged; ``code`` says how."""

    default_code = "CB020"


class SubmissionRejected(CodabenchError):
    """A submission was not admitted; nothing was stored."""

    default_code = "CB330"


class NotFound(CodabenchError, LookupError):
    """There is nothing of that name; the message lists what there is."""

    default_code = "CB340"


class UsageError(CodabenchError, ValueError):
    """An argument that cannot be meant."""

    default_code = "CB350"


class PolicyError(CodabenchError):
    """The engine cannot enforce what the policy demands; nothing was started."""

    default_code = "CB360"


class EngineError(CodabenchError):
    """The engine failed to do its work. The program is not to blame."""

    default_code = "CB600"


class EngineUnavailable(EngineError, ConnectionError):
    """No engine answers."""

    default_code = "CB601"


class NoRoom(EngineUnavailable):
    """A backend is there and takes nothing now, as a cluster without workers; it may later."""

    default_code = "CB652"


class ImageNotFound(EngineError, FileNotFoundError):
    """The image is not here and could not be pulled."""

    default_code = "CB603"


class RegistryError(EngineError, ConnectionError):
    """An image could not be pulled, and not because there is none: its registry is away, fails, refuses us or lies.

    Parameters
    ----------
    passing
        The same request may well succeed a little later; `resolve` has tried it again until its time was over.
    """

    default_code = "CB606"

    def __init__(
        self, message: str, *, code: str | None = None, hint: str | None = None, passing: bool = False
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.passing = passing


class EngineTimeout(EngineError, TimeoutError):
    """The engine did not answer in time."""

    default_code = "CB604"


class WorkLost(EngineError):
    """The worker that had a piece of work was lost, and nobody knows what came of it: it has to be done again.

    Attributes
    ----------
    begun
        The worker had begun it, so that it may be the cause.
    """

    default_code = "CB658"

    def __init__(self, message: str, *, begun: bool = True, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, code=code, hint=hint)
        self.begun = begun


class StorageError(CodabenchError, OSError):
    """Bytes could not be written, read or verified."""

    default_code = "CB700"


class SourceUnavailable(BundleError, StorageError):
    """A bundle, or anything else to be read, lies at a URL that could not be read; ``code`` says why."""

    default_code = "CB042"


class StateError(CodabenchError):
    """A transition that the table of legal transitions does not have, or that somebody else made first."""

    default_code = "CB710"


class RunFailed(CodabenchError):
    """A run failed, and the caller asked for an exception (``raise_for_status``)."""

    default_code = "CB620"


class BatchAborted(CodabenchError):
    """A re-evaluation was given up because too many of its runs failed. What finished is kept.

    Attributes
    ----------
    batch
        Its id.
    failures
        The failures by cause.
    """

    default_code = "CB650"

    def __init__(self, message: str, *, batch: str = "", failures: Any = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.batch, self.failures = batch, failures


class Interrupted(CodabenchError):
    """Work was cancelled before it had a result."""

    default_code = "CB630"


class Refused(CodabenchError):
    """Who asks may not do that. What may not even be known to exist is `NotFound` instead."""

    default_code = "CB800"


class Banned(Refused):
    """Whoever it is was banned from this site."""

    default_code = "CB803"


class NotSignedIn(CodabenchError):
    """Nobody is signed in, or what was shown is worth nothing: unknown, expired, revoked."""

    default_code = "CB801"


class Invalid(CodabenchError, ValueError):
    """What was given cannot be accepted.

    Parameters
    ----------
    wrong
        Field to what is wrong with it; ``""``, or a text alone: with all of them together.
    """

    default_code = "CB802"

    def __init__(
        self, wrong: str | Mapping[str, str | Sequence[str]], *, code: str | None = None, hint: str | None = None
    ) -> None:
        by_field = {"": wrong} if isinstance(wrong, str) else wrong
        self.fields = {name: [of] if isinstance(of, str) else list(of) for name, of in by_field.items()}
        said = [f"{name}: {text}" if name else text for name, texts in self.fields.items() for text in texts]
        super().__init__("; ".join(said), code=code, hint=hint)


class TooMany(CodabenchError):
    """Too much was tried in too short a time.

    Attributes
    ----------
    seconds
        After which it may be tried again.
    """

    default_code = "CB804"

    def __init__(
        self, message: str, *, seconds: float = 60.0, code: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.seconds = seconds


class MissingExtra(CodabenchError, ImportError):
    """An optional dependency is not installed."""

    default_code = "CB370"
