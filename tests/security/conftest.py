"""The sites that are attacked are those of the tests of sites."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / other) for other in ("site", "web")]
