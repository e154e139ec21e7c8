#!/usr/bin/env python3
"""Makes the data and the logos of the examples and templates anew: python3 examples/generate.py

Needs nothing but Python. The numbers come from fixed seeds, so that a second run changes nothing; what the submissions
score is written down in each expected.json and would have to be worked out again if a seed or a formula here changed.
"""

import json
import math
import random
import struct
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent


def write(path, text):
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8", newline="\n")


# ---------------------------------------------------------------- code-submission: carved runes
SIZE = 12
RUNES = {
    "fehu": [(3, 0, 3, 11), (3, 6, 8, 1), (3, 9, 9, 3)],
    "uruz": [(2, 0, 2, 11), (2, 1, 8, 4), (8, 4, 8, 11)],
    "thurisaz": [(3, 0, 3, 11), (3, 3, 8, 6), (8, 6, 3, 9)],
    "raidho": [(3, 0, 3, 11), (3, 0, 8, 3), (8, 3, 3, 6), (3, 6, 8, 11)],
    "tiwaz": [(5.5, 0, 5.5, 11), (5.5, 0, 2, 4), (5.5, 0, 9, 4)],
    "berkana": [(3, 0, 3, 11), (3, 0, 7, 3), (7, 3, 3, 5.5), (3, 5.5, 7, 8), (7, 8, 3, 11)],
    "mannaz": [(2, 0, 2, 11), (9, 0, 9, 11), (2, 0, 9, 5), (9, 0, 2, 5)],
    "laguz": [(4, 0, 4, 11), (4, 0, 8, 4)],
}


def carve(strokes, rng):
    """One stone: strokes of an unsteady hand, a bit off the middle, with lichen and chipped edges."""
    dx, dy, zoom = rng.uniform(-1.5, 1.5), rng.uniform(-1.1, 1.1), rng.uniform(0.85, 1.05)
    cells = [[False] * SIZE for _ in range(SIZE)]
    for stroke in strokes:
        x0, y0, x1, y1 = (v + rng.gauss(0, 0.36) for v in stroke)
        for n in range(41):
            t = n / 40
            x = 5.5 + zoom * (x0 + t * (x1 - x0) - 5.5) + dx
            y = 5.5 + zoom * (y0 + t * (y1 - y0) - 5.5) + dy
            if 0 <= round(x) < SIZE and 0 <= round(y) < SIZE:
                cells[round(y)][round(x)] = True
    return ["".join("#" if c != (rng.random() < 0.04) else "." for c in row) for row in cells]


def runes():
    rng = random.Random("runes")
    base = "code-submission/bundle"

    def stones(count, prefix):
        names = [name for name in RUNES for _ in range(count)]
        rng.shuffle(names)
        return [("%s%03d" % (prefix, n), name, carve(RUNES[name], rng)) for n, name in enumerate(names, 1)]

    known, unknown = stones(12, "k"), stones(20, "u")
    write(base + "/input_data/known.txt", "\n".join("\n".join(["%s %s" % (i, n), *s, ""]) for i, n, s in known))
    write(base + "/input_data/unknown.txt", "\n".join("\n".join([i, *s, ""]) for i, _, s in unknown))
    write(base + "/reference_data/names.txt", "".join("%s %s\n" % (i, n) for i, n, _ in unknown))
    write(base + "/reference_data/stones.txt", "\n".join("\n".join([i, *s, ""]) for i, _, s in unknown))


# ---------------------------------------------------------------- result-submission: tides of a harbour
TIDES = [(1.42, 12.4206, 0.4), (0.47, 12.0, 1.9), (0.21, 23.9345, 2.6), (0.16, 25.8193, 5.1)]
DAYS = 14


def tides():
    rng = random.Random("tides")
    surge, levels = 0.0, []
    for hour in range(24 * (DAYS + 2)):
        surge = 0.97 * surge + rng.gauss(0, 0.02)
        tide = sum(a * math.cos(2 * math.pi * hour / period - phase) for a, period, phase in TIDES)
        levels.append(round(2.1 + tide + surge, 3))
    past, future = levels[: 24 * DAYS], levels[24 * DAYS :]
    table = "hour,level\n"
    base = "result-submission/bundle"
    write(base + "/gauge/history.csv", table + "".join("%d,%.3f\n" % (h, v) for h, v in enumerate(past, -24 * DAYS)))
    write(base + "/reference_data/level.csv", table + "".join("%d,%.3f\n" % (h, v) for h, v in enumerate(future)))

    average = sum(past) / len(past)
    rows = harmonics(past)
    forecasts = {
        "average/forecast.csv": [average] * 48,
        "lunar_day/forecast.csv": [past[h - 25 if h < 25 else h - 50] for h in range(48)],
        "harmonics/forecast.csv": rows,
        "one_day_only/forecast.csv": rows[:24],
        "wrong_name/prediction.csv": rows,
    }
    for name, values in forecasts.items():
        text = table + "".join("%d,%.3f\n" % (h, v) for h, v in enumerate(values))
        write("result-submission/submissions/" + name, text)


def harmonics(past):
    """The next 48 hours by least squares: a mean, and a sine and a cosine for each known period."""
    periods = [period for _, period, _ in TIDES]

    def features(hour):
        waves = [2 * math.pi * hour / p for p in periods]
        return [1.0] + [f(w) for w in waves for f in (math.cos, math.sin)]

    rows = [features(h) for h in range(len(past))]
    size = len(rows[0])
    matrix = [[sum(r[i] * r[j] for r in rows) for j in range(size)] for i in range(size)]
    vector = [sum(r[i] * v for r, v in zip(rows, past)) for i in range(size)]
    for i in range(size):  # Gauss and Jordan; the matrix is well conditioned
        vector[i] /= matrix[i][i]
        matrix[i] = [v / matrix[i][i] for v in matrix[i]]
        for j in range(size):
            if j != i:
                vector[j] -= matrix[j][i] * vector[i]
                matrix[j] = [a - matrix[j][i] * b for a, b in zip(matrix[j], matrix[i])]
    return [sum(w * f for w, f in zip(vector, features(len(past) + h))) for h in range(48)]


# ---------------------------------------------------------------- interactive: a night in the greenhouse
def night():
    rng = random.Random("night")
    outside = []
    gust = 0.0
    for step in range(40):
        gust = 0.7 * gust + rng.gauss(0, 0.6)
        outside.append(round(9 - 7 * math.sin(math.pi * step / 39) + gust, 2))
    write("interactive/bundle/reference_data/night.json", json.dumps({"outside": outside}) + "\n")


# ---------------------------------------------------------------- several-tasks: counting steps
GAITS = {"walk": (1.8, 1.0, 0.35, 0.25), "run": (2.8, 2.4, 0.5, 0.55), "stairs": (1.4, 0.9, 0.45, 0.3)}


def steps():
    for gait, (pace, strength, sway, noise) in GAITS.items():
        rng = random.Random(gait)
        recordings, counts = {}, {}
        for n in range(1, 13):
            name = "%s-%02d" % (gait, n)
            count = rng.randint(12, 28)
            signal, phase = [], 0.0
            speed = pace * rng.uniform(0.85, 1.15)
            while phase < count:
                height = strength * (max(0.0, math.sin(2 * math.pi * phase)) - 0.3)
                half = sway * math.sin(math.pi * phase + 0.6)  # left and right foot differ
                signal.append(round(1 + height + half + rng.gauss(0, noise), 3))
                phase += speed * rng.uniform(0.9, 1.1) / 25
            recordings[name], counts[name] = signal, count
        base = "several-tasks/bundle/%s/" % gait
        write(base + "input/recordings.json", dump(recordings))
        write(base + "reference/counts.json", dump(counts))


def dump(mapping):
    return "{\n" + ",\n".join(" %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in mapping.items()) + "\n}\n"


# ---------------------------------------------------------------- templates: barley, oat and wheat
GRAINS = {"barley": (8.6, 3.4), "oat": (10.2, 2.7), "wheat": (6.4, 3.2)}
MIDDLING = ("8.0,3.2,barley", "9.0,3.0,oat", "7.6,3.4,wheat")


def grains():
    rng = random.Random("grains")

    def grown(count):
        names = [name for name in GRAINS for _ in range(count)]
        rng.shuffle(names)
        return ["%.1f,%.1f,%s" % (rng.gauss(GRAINS[n][0], 0.8), rng.gauss(GRAINS[n][1], 0.25), n) for n in names]

    def table(path, rows, head="length,width,name"):
        write("../templates/" + path, "\n".join([head, *rows, ""]))

    known, unknown = grown(10), grown(10)
    measures, answers = zip(*(row.rsplit(",", 1) for row in unknown))
    table("training/data/train.csv", known)
    table("common/data/test.csv", measures, "length,width")
    table("inverted/starting_kit/train.csv", MIDDLING)
    table("inverted/solution/train.csv", known[:12])
    write("../templates/common/reference_data/labels.csv", "\n".join(answers) + "\n")
    write("../templates/results/starting_kit/answers.csv", "oat\n" * len(answers))
    write("../templates/results/solution/answers.csv", "".join(nearest(*m.split(",")) + "\n" for m in measures))


def nearest(length, width):
    """The variety with the most similar measures on average."""
    return min(GRAINS, key=lambda n: (GRAINS[n][0] - float(length)) ** 2 + (GRAINS[n][1] - float(width)) ** 2)


# ---------------------------------------------------------------- logos
LOGOS = {
    "code-submission": ((54, 48, 74), (240, 196, 120), [(3, 0, 3, 11), (3, 6, 8, 1), (3, 9, 9, 3)]),
    "result-submission": ((15, 76, 117), (187, 225, 250), [(0, 5, 2, 8), (2, 8, 5, 3), (5, 3, 8, 8), (8, 8, 11, 4)]),
    "interactive": (
        (27, 67, 50),
        (183, 228, 199),
        [(1, 5, 5.5, 1), (5.5, 1, 10, 5), (1, 5, 1, 11), (10, 5, 10, 11), (1, 11, 10, 11)],
    ),
    "inverted": (
        (92, 26, 51),
        (255, 209, 102),
        [(1, 2, 10, 2), (10, 2, 10, 8), (10, 8, 5, 8), (5, 8, 2, 11), (2, 11, 2, 8), (2, 8, 1, 8), (1, 8, 1, 2)],
    ),
    "../templates/common": (
        (120, 84, 28),
        (255, 236, 179),
        [(5.5, 1, 5.5, 11), (5.5, 4, 3, 1.5), (5.5, 4, 8, 1.5), (5.5, 7, 3, 4.5), (5.5, 7, 8, 4.5)],
    ),
    "old-format": (
        (74, 20, 60),
        (190, 227, 140),
        [(5, 0, 5, 3), (2, 4, 2, 4), (5, 4, 5, 4), (8, 4, 8, 4), (3.5, 7, 3.5, 7), (6.5, 7, 6.5, 7), (5, 10, 5, 10)],
    ),
    "several-tasks": (
        (31, 41, 55),
        (251, 146, 60),
        [(0, 11, 0, 8), (0, 8, 4, 8), (4, 8, 4, 4), (4, 4, 8, 4), (8, 4, 8, 0), (8, 0, 11, 0)],
    ),
}


def logo(ground, ink, strokes, size=96):
    """A PNG of strokes on a plain ground."""
    scale, width = size / 15, size / 20

    def distance(x, y, stroke):
        x0, y0, x1, y1 = (scale * (v + 2) for v in stroke)
        length = (x1 - x0) ** 2 + (y1 - y0) ** 2
        t = max(0.0, min(1.0, ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / (length or 1)))
        return math.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0))

    rows = b""
    for y in range(size):
        rows += b"\0"
        for x in range(size):
            cover = max(0.0, min(1.0, width / 2 + 0.5 - min(distance(x, y, s) for s in strokes)))
            rows += bytes(round(g + (i - g) * cover) for g, i in zip(ground, ink))

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def main():
    runes()
    tides()
    night()
    steps()
    grains()
    for name, (ground, ink, strokes) in LOGOS.items():
        path = HERE / name / ("logo.png" if name.startswith("..") else "bundle/logo.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(logo(ground, ink, strokes))


if __name__ == "__main__":
    main()
