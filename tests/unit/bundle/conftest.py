"""The second reader is that of the acceptance bundles."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "bundles"))
