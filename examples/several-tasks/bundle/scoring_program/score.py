"""Usage: score.py INPUT OUTPUT: compares INPUT/res/counts.json with INPUT/ref/counts.json."""

import json
import os
import sys


def load(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return json.load(f)


def mean(values):
    return sum(values) / len(values)


def main(source, output):
    if not os.path.exists(os.path.join(source, "res", "counts.json")):
        sys.exit("there is no counts.json to score")
    truth, counts = load(source, "ref", "counts.json"), load(source, "res", "counts.json")
    off = [abs(counts.get(name, 0) - steps) for name, steps in truth.items()]
    scores = {
        "exact": mean([d == 0 for d in off]),
        "close": max(0.0, 1 - mean([d / steps for d, steps in zip(off, truth.values())])),
        "steps_off": mean(off),
    }
    with open(os.path.join(output, "scores.json"), "w", encoding="utf-8") as f:
        json.dump(scores, f)
    print("%d recordings, %.1f steps off" % (len(off), scores["steps_off"]))


if __name__ == "__main__":
    main(*sys.argv[1:])
