"""``python -m multiaxis`` is the command ``multiaxis``; even its loading can be interrupted."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from typing import NoReturn

SPINS = "10000"
"""How often an idle thread looks for work before it sleeps; see docs/speed.md."""


def main() -> NoReturn:
    """Load the command and run it."""
    wait_briefly(os.environ)
    try:
        from multiaxis.cli.app import main as run
    except KeyboardInterrupt:
        sys.stderr.write("multiaxis: interrupted before anything was done\n")
        sys.exit(130)
    run()


def wait_briefly(environment: MutableMapping[str, str]) -> None:
    """Let threads that wait for others sleep soon, unless the user has said how they wait.

    GNU OpenMP's spin for long. Where another program needs the core, the thread that all wait for
    does not get it. OpenMP reads this when torch is loaded, here and in workers.
    """
    if not {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"} & environment.keys():
        environment["GOMP_SPINCOUNT"] = SPINS


if __name__ == "__main__":
    main()
