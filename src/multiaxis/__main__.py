"""``python -m multiaxis`` is the command ``multiaxis``; even its loading can be interrupted."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Load the command and run it."""
    try:
        from multiaxis.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("multiaxis: interrupted before anything was done\n")
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
