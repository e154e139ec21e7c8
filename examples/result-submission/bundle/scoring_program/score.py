"""Compares /app/input/res/forecast.csv with /app/input/ref/level.csv, hour by hour."""

import csv
import json
import os
import sys

RES, REF, OUTPUT = "/app/input/res", "/app/input/ref", "/app/output"


def levels(path):
    with open(path, encoding="utf-8-sig", newline="") as f:
        rows = list(csv.DictReader(f))
    try:
        return {int(row["hour"]): float(row["level"]) for row in rows}
    except (KeyError, TypeError, ValueError) as e:
        sys.exit("%s: two columns, hour and level, with numbers in every line are needed (%r)" % (path, e))


def mean(values):
    return sum(values) / len(values)


def main():
    path = os.path.join(RES, "forecast.csv")
    if not os.path.exists(path):
        sys.exit("forecast.csv is missing; the submission holds " + (", ".join(sorted(os.listdir(RES))) or "nothing"))
    truth, forecast = levels(os.path.join(REF, "level.csv")), levels(path)
    errors = {hour: abs(forecast[hour] - level) for hour, level in truth.items() if hour in forecast}
    days = {"first_day": range(24), "second_day": range(24, 48)}
    scores = {name: mean([errors[h] for h in hours]) for name, hours in days.items() if all(h in errors for h in hours)}
    if len(scores) == 2:
        scores["error"] = mean(list(errors.values()))
        scores["within"] = mean([error <= 0.1 for error in errors.values()])
    elif not scores:
        sys.exit("no day is complete: %d of %d hours were forecast" % (len(errors), len(truth)))
    with open(os.path.join(OUTPUT, "scores.json"), "w", encoding="utf-8") as f:
        json.dump(scores, f)
    print("%d hours compared" % len(errors))


if __name__ == "__main__":
    main()
