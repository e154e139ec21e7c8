"""Usage: score.py PREDICTIONS REFERENCE OUTPUT: compares answers.csv with labels.csv, line by line."""

import json
import os
import sys


def lines(path):
    with open(path, encoding="utf-8") as file:
        return [line.strip() for line in file if line.strip()]


def main(predictions, reference, output):
    path = os.path.join(predictions, "answers.csv")
    if not os.path.exists(path):
        # A clear message and an exit code that is not 0: the participant sees both.
        sys.exit("answers.csv is missing; there is " + ", ".join(sorted(os.listdir(predictions))))
    truth, answers = lines(os.path.join(reference, "labels.csv")), lines(path)
    if len(answers) != len(truth):
        sys.exit("answers.csv has %d lines, %d are needed" % (len(answers), len(truth)))
    right = sum(a == t for a, t in zip(answers, truth))
    # The keys are those of the columns in competition.yaml.
    scores = {"accuracy": right / len(truth), "mistakes": len(truth) - right}
    with open(os.path.join(output, "scores.json"), "w", encoding="utf-8") as file:
        json.dump(scores, file)
    print("%d of %d are right" % (right, len(truth)))


if __name__ == "__main__":
    main(*sys.argv[1:])
