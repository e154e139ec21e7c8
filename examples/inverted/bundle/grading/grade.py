"""Marks /app/input/res/answers.txt against /app/input/ref/languages.txt."""

import os
import sys

from marks import marks

RES, REF, OUTPUT = "/app/input/res", "/app/input/ref", "/app/output"


def lines(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as f:
        return f.read().split()


def main():
    if not os.path.exists(os.path.join(RES, "answers.txt")):
        sys.exit("the learner handed in nothing; its log says why")
    scores = marks(lines(REF, "languages.txt"), lines(RES, "answers.txt"))
    scores["letters"] = int(lines(RES, "letters.txt")[0])
    with open(os.path.join(OUTPUT, "scores.txt"), "w", encoding="utf-8") as f:
        f.writelines("%s: %r\n" % item for item in sorted(scores.items()))
    print("%.0f %% right" % (100 * scores["accuracy"]))


if __name__ == "__main__":
    main()
