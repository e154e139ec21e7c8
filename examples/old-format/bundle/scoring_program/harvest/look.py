"""Ends with a message if the guess lacks a village; then the next command is not run."""

import os
import sys

from harvest import read

place = sys.argv[1]
path = os.path.join(place, "res", "guess.csv")
if not os.path.exists(path):
    sys.exit("guess.csv is missing")
missing = sorted(read(os.path.join(place, "ref", "harvest.csv")).keys() - read(path).keys())
if missing:
    sys.exit("guess.csv has no line for " + ", ".join(missing))
