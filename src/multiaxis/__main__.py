"""``python -m multiaxis`` is the command ``multiaxis``."""

from multiaxis.cli.app import main

if __name__ == "__main__":
    main()
