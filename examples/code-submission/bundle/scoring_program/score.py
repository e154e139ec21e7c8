"""Usage: score.py INPUT OUTPUT: INPUT holds ref/ and res/; writes OUTPUT/scores.json and detailed_results.html."""

import html
import json
import os
import sys

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Misread stones</title>
<style>
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60em; margin: 1.5em auto; padding: 0 1em }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .2em .7em; text-align: right; border-bottom: 1px solid #8884 }
th { font-weight: 500; opacity: .75 } th:first-child { text-align: left }
.hit { background: #2e7d3244; font-weight: 600 } .miss { background: #c6282844 } .none { opacity: .3 }
ul { display: flex; flex-wrap: wrap; gap: 1em; padding: 0; list-style: none }
li { width: 7em; font-size: 13px } svg { width: 7em; height: 7em; background: #8882; border-radius: .7em; fill: currentColor }
</style>
<h1>%(right)d of %(all)d stones read rightly</h1>
<p>A row for each rune on the stones, a column for what they were taken for.</p>
<table>%(table)s</table>
<h2>%(heading)s</h2>
<ul>%(stones)s</ul>
</html>
"""


def pairs(path):
    with open(path, encoding="utf-8") as f:
        return [(line.split() + ["", ""])[:2] for line in f if line.strip()]


def drawing(rows):
    cells = ["M%d %dh1v1h-1z" % (x, y) for y, row in enumerate(rows) for x, c in enumerate(row) if c == "#"]
    return '<svg viewBox="-1 -1 14 14"><path d="%s"/></svg>' % "".join(cells)


def table(truth, read):
    names = sorted(set(truth.values()))
    lines = ["<tr><th></th>" + "".join("<th>%s</th>" % n for n in names) + "<th>other</th></tr>"]
    for name in names:
        stones = [s for s in truth if truth[s] == name]
        cells = ""
        for other in names + [None]:
            count = sum((read[s] if read[s] in names else None) == other for s in stones)
            kind = "none" if not count else "hit" if other == name else "miss"
            cells += '<td class="%s">%d</td>' % (kind, count)
        lines.append("<tr><th>%s</th>%s</tr>" % (name, cells))
    return "".join(lines)


def page(truth, read, shapes):
    wrong = [s for s in truth if read[s] != truth[s]]
    shown = wrong[:40]
    stones = "".join(
        "<li>%s<br>%s: %s, not %s</li>" % (drawing(shapes[s]), s, truth[s], html.escape(read[s][:12]) or "blank")
        for s in shown
    )
    heading = (
        "Misread" if len(shown) == len(wrong) else "The first %d of %d that were misread" % (len(shown), len(wrong))
    )
    values = {"right": len(truth) - len(wrong), "all": len(truth), "table": table(truth, read), "stones": stones}
    return PAGE % dict(values, heading=heading if wrong else "Not one was misread")


def main(source, output):
    ref, res = os.path.join(source, "ref"), os.path.join(source, "res")
    if not os.path.exists(os.path.join(res, "readings.txt")):
        sys.exit("there is no readings.txt to score: did the reader stop with an error?")
    truth = dict(pairs(os.path.join(ref, "names.txt")))
    given = dict(pairs(os.path.join(res, "readings.txt")))
    read = {stone: given.get(stone, "") for stone in truth}
    with open(os.path.join(ref, "stones.txt"), encoding="utf-8") as f:
        blocks = [b.splitlines() for b in f.read().strip().split("\n\n")]

    right = {}
    for stone, name in truth.items():
        right.setdefault(name, []).append(read[stone] == name)
    hits = sum(map(sum, right.values()))
    scores = {
        "accuracy": hits / len(truth),
        "hardest": min(sum(r) / len(r) for r in right.values()),
        "misread": len(truth) - hits,
    }
    with open(os.path.join(output, "detailed_results.html"), "w", encoding="utf-8") as f:
        f.write(page(truth, read, {b[0]: b[1:] for b in blocks}))
    with open(os.path.join(output, "scores.json"), "w", encoding="utf-8") as f:
        json.dump(scores, f)
    print("%d of %d stones read rightly" % (hits, len(truth)))


if __name__ == "__main__":
    main(*sys.argv[1:])
