"""Models made ready for where they run: folded, exported. Imports nothing optional by itself."""

from multiaxis.deploy.fold import fold, folded

__all__ = ["fold", "folded"]
