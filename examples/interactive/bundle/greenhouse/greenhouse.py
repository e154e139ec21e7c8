"""Simulates the night, asks the controller for the valve every round, writes the scores.

Forty rounds of a tenth of a second: both programs have to be alive at the same time for four seconds. The controller's
heart beats twice a second; if it stops for five, the night is lost and this program exits with 1.
"""

import json
import math
import os
import sys
import threading
import time

SHARED, REF, OUTPUT = "/app/shared", "/app/input/ref", "/app/output"
ROUND = 0.1  # seconds
PATIENCE = 5  # seconds without a heartbeat
FIRST_PATIENCE = 30  # the other container may start a little later
WISH, POWER, LOSS = 21.0, 3.2, 0.09  # degrees; kelvin per round at full heat; share lost per round


def put(name, value):
    """A file appears whole or not at all: written beside its place, then renamed."""
    path = os.path.join(SHARED, name)
    with open(path + ".part", "w", encoding="utf-8") as f:
        json.dump(value, f)
    os.rename(path + ".part", path)


def get(name):
    with open(os.path.join(SHARED, name), encoding="utf-8") as f:
        return json.load(f)


def beat():
    count = 0
    while True:
        count += 1
        put("greenhouse-alive.json", count)
        time.sleep(0.5)


class Pulse:
    """Notices when the other side's heart has stopped."""

    def __init__(self):
        self.last, self.until = None, time.monotonic() + FIRST_PATIENCE

    def check(self, step):
        if os.path.exists(os.path.join(SHARED, "controller-alive.json")):
            now = get("controller-alive.json")
            if now != self.last:
                self.last, self.until = now, time.monotonic() + PATIENCE
        if time.monotonic() > self.until:
            sys.exit("the controller has gone silent in round %d" % step)


def ask(step, inside, outside, pulse):
    """The valve the controller wants, from 0 to 1."""
    put("ask-%d.json" % step, {"inside": round(inside, 3), "outside": outside})
    while not os.path.exists(os.path.join(SHARED, "answer-%d.json" % step)):
        pulse.check(step)
        time.sleep(0.02)
    value = get("answer-%d.json" % step)
    if not math.isfinite(value):
        sys.exit("the controller answered %r in round %d" % (value, step))
    return min(1.0, max(0.0, value))


def main():
    threading.Thread(target=beat, daemon=True).start()
    with open(os.path.join(REF, "night.json"), encoding="utf-8") as f:
        outside = json.load(f)["outside"]
    pulse = Pulse()
    inside, pipe, heat, discomfort = 17.0, 0.0, 0.0, []
    start = time.monotonic()
    for step, cold in enumerate(outside):
        valve = ask(step, inside, cold, pulse)
        if step == 0:
            start = time.monotonic()
        pipe += 0.5 * (valve - pipe)  # the heater is slow
        inside += POWER * pipe - LOSS * (inside - cold)
        heat += 2.5 * valve
        discomfort.append(abs(inside - WISH))
        time.sleep(max(0.0, start + (step + 1) * ROUND - time.monotonic()))
    pulse.check(len(outside))
    put("night-is-over.json", True)
    scores = {"discomfort": sum(discomfort) / len(discomfort), "heat": heat, "rounds": len(discomfort)}
    with open(os.path.join(OUTPUT, "scores.json"), "w", encoding="utf-8") as f:
        json.dump(scores, f)
    print("the night took %.0f s" % (time.monotonic() - start))


if __name__ == "__main__":
    main()
