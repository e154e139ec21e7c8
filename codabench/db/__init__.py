"""Rows. The SQLModel tables never leave this package; everything that comes out is a record of `codabench.core`."""
