"""What every worker of a cluster says when it is looked at before any run goes there."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from codabench.backends.backend import Handle, Work
from codabench.backends.versions import versions
from codabench.core.base import Record
from codabench.core.errors import CodabenchError, EngineTimeout, EngineUnavailable, WorkLost
from codabench.core.text import plural, preformatted, printable

LOOK = "codabench.runner.preflight:look"
SKEW_SECONDS = 5.0
"""Clocks may differ so much: times of logs and events are those of workers."""


class Check(Record):
    """One thing that was looked at on one worker."""

    worker: str
    name: str
    ok: bool
    text: str
    code: str | None = None
    hint: str | None = None


class Preflight(Record):
    """Whether the workers of a cluster can carry out runs.

    Attributes
    ----------
    workers
        Their addresses.
    names
        What they are called and where they are, by address, as far as it is known: ``gpu-1 on node7``.
    """

    workers: tuple[str, ...]
    checks: tuple[Check, ...]
    names: dict[str, str] = {}

    @property
    def ok(self) -> bool:
        """There are workers, and nothing is wrong with any."""
        return bool(self.workers) and all(check.ok for check in self.checks)

    def raise_for_errors(self) -> Preflight:
        """Raise `EngineUnavailable` (``CB653``) unless everything is well."""
        if not self.ok:
            bad = len({check.worker for check in self.checks if not check.ok})
            where = f"{bad} of {plural(len(self.workers), 'worker')} cannot carry out runs" if bad else "no workers"
            raise EngineUnavailable(f"{where}\n{self}", code="CB653")
        return self

    def to_dict(self) -> dict[str, Any]:
        checks = [check.model_dump() for check in self.checks]
        return {"ok": self.ok, "workers": list(self.workers), "names": self.names, "checks": checks}

    def __str__(self) -> str:
        lines = []
        for worker in self.workers:
            name = self.names.get(worker)
            lines.append(f"{worker}  {printable(name)}" if name else worker)
            for check in self.checks:
                if check.worker == worker:
                    lines.append(f"  {'✓' if check.ok else '✗'} {check.name:<9} {printable(check.text)}")
                    lines += [f"      = help: {printable(check.hint)}"] if check.hint and not check.ok else []
        return "\n".join(lines) or "no workers"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return preformatted(str(self), "cb-preflight")


class Question(Handle, Protocol):
    """What a worker is asked, as a handle."""

    def forget(self) -> None:
        """Take it back; nobody minds if it is answered all the same."""


class Asked:
    """A worker that was asked.

    Parameters
    ----------
    submit
        Has it asked; calls what it is given when the answer is there.
    """

    def __init__(self, submit: Callable[[Callable[[Handle], None]], Question]) -> None:
        self.answered = 0.0
        self._handle = submit(self._over)

    def _over(self, handle: Handle) -> None:
        self.answered = time.time()

    def answer(self, end: float) -> dict[str, Any] | CodabenchError:
        """What it says, until a moment of the monotonic clock."""
        try:
            return self._handle.result(max(0.0, end - time.monotonic()))
        except WorkLost:
            hint = "is codabench installed there, in this version? Its own output says why it did not do what was asked"
            return WorkLost("it gave no answer: it cannot carry out our work, or was lost", hint=hint)
        except CodabenchError as error:
            return error
        except TimeoutError:
            self._handle.forget()
            hint = "it is busy or hangs; --timeout gives it longer"
            return EngineTimeout("it did not answer in time", hint=hint)


def looking(payload: dict[str, Any]) -> Work:
    """The work of looking."""
    return Work(function=LOOK, payload=payload)


def looked(
    asked: Mapping[str, Asked], names: Mapping[str, str], reads: Callable[[Any], None] | None, timeout: float
) -> Preflight:
    """What workers say.

    Parameters
    ----------
    asked, names
        By address.
    reads
        Reads here what a worker has written; raises `CodabenchError` if it cannot.
    """
    checks: list[Check] = []
    where = dict(names)
    end, here = time.monotonic() + timeout, versions()
    for worker, question in asked.items():
        answer = question.answer(end)
        if isinstance(answer, CodabenchError):
            said = {"text": answer.message, "code": answer.code, "hint": answer.hint}
            checks.append(Check(worker=worker, name="worker", ok=False, **said))
            continue
        where[worker] = " on ".join(dict.fromkeys(filter(None, (names.get(worker), answer.get("machine")))))
        found: dict[str, dict[str, Any]] = dict(answer["checks"])
        checks.append(_versions(worker, here, found.pop("versions")))
        checks.append(_clock(worker, question.answered, answer["at"]))
        checks += [Check(worker=worker, name=name, **check) for name, check in found.items()]
        if reads is not None and "written" in answer:
            checks.append(_read(worker, reads, answer["written"]))
    return Preflight(workers=tuple(asked), checks=tuple(checks), names=where)


def _versions(worker: str, here: Mapping[str, str], there: Mapping[str, Any]) -> Check:
    differ = [f"{name} {version} here, {there.get(name)} there" for name, version in here.items()]
    differ = [text for name, text in zip(here, differ, strict=True) if here[name] != there.get(name)]
    # Plans and outcomes are this library's own, so it has to be the same; the others usually get on.
    ok = here["codabench"] == there.get("codabench")
    hint = None if ok else "install the same version of codabench on both sides"
    return Check(worker=worker, name="versions", ok=ok, text="; ".join(differ) or "the same", hint=hint)


def _clock(worker: str, answered: float, at: float) -> Check:
    """Whether its clock goes with ours, by when it sent its answer and when that came: a moment later."""
    off = at - answered
    ok = abs(off) < SKEW_SECONDS
    side = "ahead" if off > 0 else "behind"
    text = f"goes with ours within {abs(off):.1f} s" if ok else f"is {abs(off):.0f} s {side}"
    hint = None if ok else "set the clocks by a time server"
    return Check(worker=worker, name="clock", ok=ok, text=text, hint=hint)


def _read(worker: str, reads: Callable[[Any], None], written: Any) -> Check:
    try:
        reads(written)
    except CodabenchError as error:
        hint = "it has to be the same place for all: an object store, or a directory that all machines share"
        text = f"what it writes is not seen here: {error.message}"
        return Check(worker=worker, name="shared", ok=False, text=text, code=error.code, hint=hint)
    return Check(worker=worker, name="shared", ok=True, text="what it writes is seen here")
