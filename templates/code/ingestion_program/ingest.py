"""Usage: ingest.py DATA SUBMISSION OUTPUT: lets the submitted model learn, and writes its answers to answers.csv."""

import csv
import os
import sys


def grains(path):
    """The measures of each grain, and its name where the file has one."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [(float(row["length"]), float(row["width"])) for row in rows], [row.get("name") for row in rows]


def main(data, submission, output):
    sys.path.insert(0, submission)
    from model import Model  # the participant's

    model = Model()
    model.fit(*grains(os.path.join(data, "train.csv")))
    answers = model.predict(grains(os.path.join(data, "test.csv"))[0])
    with open(os.path.join(output, "answers.csv"), "w", encoding="utf-8") as file:
        file.writelines("%s\n" % answer for answer in answers)
    print("%d answers" % len(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
