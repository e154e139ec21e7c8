"""All attacks on one engine, several at a time, within a time."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from codabench.backends.engine import ContainerEngine, Image
from codabench.testing.attacks.engines import ATTACKS
from codabench.testing.attacks.ground import Ground
from codabench.testing.attacks.model import Attack, State, Verdict, judge, verdict_of

TOGETHER = 4


def carry_out(
    engine: ContainerEngine,
    image: Image,
    attacks: Iterable[Attack] = ATTACKS,
    *,
    told: Callable[[Verdict], None] = lambda _: None,
    seconds: float | None = None,
    together: int = TOGETHER,
) -> list[Verdict]:
    """What becomes of each attack, in their order.

    Parameters
    ----------
    told
        Called with each verdict as it falls, by one thread at a time.
    seconds
        After these no further attack is begun; the rest is ``not shown``.
    together
        How many at a time; those that measure time are alone.

    Raises
    ------
    EngineError
        If the engine does not answer.
    """
    listed = list(attacks)
    if engine.probe().isolation == "none":
        return [_not_tried(attack, told) for attack in listed]
    until = None if seconds is None else time.monotonic() + seconds
    found: dict[int, Verdict] = {}
    lock = threading.Lock()
    ground = Ground(engine, image, Path(tempfile.mkdtemp(prefix="codabench-attacks-")))

    def one(number: int) -> None:
        attack = listed[number]
        if until is not None and time.monotonic() > until:
            verdict = verdict_of(attack, State.NOT_SHOWN, "no time was left")
        else:
            verdict = judge(ground, attack)
        with lock:
            found[number] = verdict
            told(verdict)

    try:
        with ThreadPoolExecutor(together, thread_name_prefix="codabench-attack") as pool:
            list(pool.map(one, (n for n, a in enumerate(listed) if not a.alone)))
        for number in (n for n, a in enumerate(listed) if a.alone):
            one(number)
    finally:
        ground.close()
    return [found[n] for n in range(len(listed))]


def _not_tried(attack: Attack, told: Callable[[Verdict], None]) -> Verdict:
    """Attacks on plain processes would be attacks on this machine."""
    verdict = verdict_of(attack, State.NOT_CLAIMED, "plain processes are not isolated, and nothing was tried")
    told(verdict)
    return verdict
