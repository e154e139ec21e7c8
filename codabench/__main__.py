"""``python -m codabench``."""

from codabench.cli import main

main()
