"""Writes the mean errors in days and tons, and whether the village that begins first was found."""

import os
import sys

from harvest import read

place, output = sys.argv[1:3]
truth = read(os.path.join(place, "ref", "harvest.csv"))
guess = read(os.path.join(place, "res", "guess.csv"))


def error(part):
    return sum(abs(guess[village][part] - truth[village][part]) for village in truth) / len(truth)


def first(harvest):
    return min(truth, key=lambda village: harvest[village][0])


with open(os.path.join(output, "scores.txt"), "w") as f:
    f.write("day error:%r\n" % error(0))
    f.write("tons error:%r\n" % error(1))
    f.write("first village:%d\n" % (first(guess) == first(truth)))
