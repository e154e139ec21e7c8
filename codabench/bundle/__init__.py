"""Files to specs: YAML with positions, one reader per format, checks that yield every problem at once."""
