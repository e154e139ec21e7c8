"""A step is whenever the acceleration rises above 1.3 g, but not twice within a fifth of a second."""

import json
import os
import sys


def count(signal):
    steps, last = 0, -5
    for n in range(1, len(signal)):
        if signal[n - 1] < 1.3 <= signal[n] and n - last >= 5:
            steps, last = steps + 1, n
    return steps


source, output = sys.argv[1:]
with open(os.path.join(source, "recordings.json")) as f:
    recordings = json.load(f)
with open(os.path.join(output, "counts.json"), "w") as f:
    json.dump({name: count(signal) for name, signal in recordings.items()}, f)
