"""One file for each model: what it is configured to, from a checkpoint, and how that is loaded.

Each has `ORIGINS` (whose names a checkpoint may have, and a name that only those have), `config_of`
and `load`.
"""
