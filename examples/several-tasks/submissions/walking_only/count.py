"""Divides the length of a walk by the usual time from step to step. Made for walks, and says so."""

import json
import os
import sys

source, output = sys.argv[1:]
with open(os.path.join(source, "recordings.json")) as f:
    recordings = json.load(f)
others = [name for name in recordings if not name.startswith("walk")]
if others:
    sys.exit("%s is not a walk" % others[0])
with open(os.path.join(output, "counts.json"), "w") as f:
    json.dump({name: round(len(signal) * 1.8 / 25) for name, signal in recordings.items()}, f)
