"""Reads a harvest: village -> (day of the year, tons)."""

import csv


def read(path):
    with open(path, encoding="utf-8-sig", newline="") as f:
        return {row["village"]: (float(row["day"]), float(row["tons"])) for row in csv.DictReader(f)}
