"""The domain: specs, records, status events, problems, errors.

Nothing here touches files, YAML, sockets, processes, the wall clock or randomness. Times and identifiers come in as
arguments. Everything is a frozen pydantic model or a pure function.
"""
