"""Models made ready for where they run: folded, exported. Imports nothing optional by itself."""

from multiaxis.deploy.fold import fold

__all__ = ["fold"]
