"""Usage: ingest.py INPUT SUBMISSION OUTPUT: runs a submitted Reader and writes OUTPUT/readings.txt."""

import os
import sys


def load(path):
    """[(first line of the block, the rows below it), ...]"""
    with open(path, encoding="utf-8") as f:
        blocks = [b.splitlines() for b in f.read().strip().split("\n\n")]
    return [(b[0], b[1:]) for b in blocks]


def main(source, submission, output):
    known = load(os.path.join(source, "known.txt"))
    unknown = load(os.path.join(source, "unknown.txt"))
    if not os.path.exists(os.path.join(submission, "reader.py")):
        sys.exit("the submission holds no reader.py, so nothing was run")

    sys.path.insert(0, submission)
    from reader import Reader

    reader = Reader()
    reader.learn([rows for _, rows in known], [head.split()[1] for head, _ in known])
    print("learned from %d stones" % len(known))
    readings = ["%s %s\n" % (name, reader.read(list(rows))) for name, rows in unknown]
    with open(os.path.join(output, "readings.txt"), "w", encoding="utf-8") as f:
        f.writelines(readings)
    print("read %d stones" % len(readings))


if __name__ == "__main__":
    main(*sys.argv[1:])
