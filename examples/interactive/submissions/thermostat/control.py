"""On when it is too cold, off when it is too warm, like the one on the wall."""


def heating(step, inside, outside):
    return 1.0 if inside < 21 else 0.0
