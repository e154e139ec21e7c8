"""Finds the time from step to step by comparing the signal with itself, then counts the peaks that keep that rhythm."""

import json
import os
import sys

RATE = 25
CLEAR = 0.05


def smooth(signal, half):
    sums = [sum(signal[max(0, n - half) : n + half + 1]) for n in range(len(signal))]
    sizes = [min(len(signal), n + half + 1) - max(0, n - half) for n in range(len(signal))]
    return [s / size for s, size in zip(sums, sizes)]


def period(signal):
    """Samples from step to step: a lag between 0.25 and 1.1 s at which the signal resembles itself."""
    mean = sum(signal) / len(signal)
    flat = [v - mean for v in signal]

    def likeness(lag):
        pairs = list(zip(flat, flat[lag:]))
        return sum(a * b for a, b in pairs) / len(pairs)

    found = [likeness(lag) for lag in range(RATE + 5)]
    humps = [n for n in range(RATE // 4, RATE + 3) if found[n - 1] <= found[n] >= found[n + 1]]
    if not humps:
        return RATE // 2
    # Left and right differ, so two steps resemble each other more than one does: the first clear hump is the step.
    best = max(found[n] for n in humps)
    return next((n for n in humps if found[n] >= CLEAR * best), humps[0])


def count(signal):
    gentle = smooth(signal, 1)
    step = period(gentle)
    swing = smooth(gentle, step)
    wave = [a - b for a, b in zip(smooth(gentle, max(1, step // 8)), swing)]
    peaks = []
    for n in sorted(range(len(wave)), key=lambda n: -wave[n]):
        if wave[n] <= 0:
            break
        if all(abs(n - p) > 0.62 * step for p in peaks):
            peaks.append(n)
    return len(peaks)


source, output = sys.argv[1:]
with open(os.path.join(source, "recordings.json")) as f:
    recordings = json.load(f)
with open(os.path.join(output, "counts.json"), "w") as f:
    json.dump({name: count(signal) for name, signal in recordings.items()}, f)
