"""Devices for programs: by name of the Container Device Interface (CDI), by number, or all; and whether they arrive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from codabench.backends.engine import ContainerSpec, Deadline, Image, StopSignal
from codabench.core.errors import PolicyError
from codabench.core.records import ExitReason

if TYPE_CHECKING:
    from codabench.backends.engine import ContainerEngine

_LIST_DEVICES = 'for device in /dev/* /dev/*/*; do echo "$device"; done'
_SECONDS = 30.0


def cdi_names(offered: tuple[str, ...], gpus: str) -> list[str]:
    """Names of the devices that are asked for (``"all"``, a number, or names) among those that are offered.

    Raises
    ------
    PolicyError
        If they are not there.
    """
    if "=" in gpus:
        missing = [name for name in gpus.split(",") if name not in offered]
        if missing:
            raise PolicyError(
                f"this engine does not offer {', '.join(missing)}",
                hint=f"it offers {', '.join(offered) or 'no device at all'}",
            )
        return gpus.split(",")
    kinds = {name.partition("=")[0] for name in offered}
    single = sorted(name for name in offered if name.rpartition("=")[2].isdigit())
    if gpus == "all":
        return [f"{kind}=all" for kind in sorted(kinds) if f"{kind}=all" in offered] or single
    if int(gpus) > len(single):
        raise PolicyError(f"the run asks for {gpus} GPUs and this engine offers {len(single)}")
    return single[: int(gpus)]


def refuse_blind(engine: ContainerEngine, image: Image, gpus: str) -> None:
    """See from inside a container that devices arrive: an engine may accept the request and give nothing.

    An image without a shell cannot be looked into, and is believed.

    Raises
    ------
    PolicyError
        ``CB361``: the container sees no device that one without the request would not see.
    """
    plain, given = _devices(engine, image, None), _devices(engine, image, gpus)
    if plain is not None and given is not None and not given - plain:
        raise PolicyError(
            f"the run asks for GPUs ({gpus}), {engine.name} takes the request, and the container sees no device",
            code="CB361",
            hint="the driver or the NVIDIA Container Toolkit is not set up: does `nvidia-smi` work on the host?",
        )


def _devices(engine: ContainerEngine, image: Image, gpus: str | None) -> set[str] | None:
    seen = _Lines()
    spec = ContainerSpec(image=image, argv=("sh", "-c", _LIST_DEVICES), gpus=gpus)
    end = engine.create(spec).run(seen, StopSignal(), Deadline(_SECONDS))
    return None if end.reason is ExitReason.NOT_STARTED else set(seen.text.split("\n"))


class _Lines:
    """Keeps standard output."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, stream: Literal["stdout", "stderr"], data: bytes) -> None:
        self.text += data.decode("utf-8", "replace") if stream == "stdout" else ""
