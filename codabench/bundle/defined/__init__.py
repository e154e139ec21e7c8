"""Competitions defined in Python: what they are made of, their data as files, their functions as programs."""
