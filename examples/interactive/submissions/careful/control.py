"""Heats as much as is being lost, and a little more where it is too cold; remembers what is still in the pipes."""

LOSS, POWER = 0.09, 3.2

pipe = 0.0


def heating(step, inside, outside):
    global pipe
    wanted = (LOSS * (inside - outside) + 0.9 * (21 - inside)) / POWER
    valve = min(1.0, max(0.0, 2 * wanted - pipe))
    pipe += 0.5 * (valve - pipe)
    return valve
