"""Nods off before midnight."""


def heating(step, inside, outside):
    if step == 4:
        raise RuntimeError("zzz")
    return 0.5
