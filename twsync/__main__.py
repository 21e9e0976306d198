"""``python -m twsync``: the same as the ``twsync`` command."""

from __future__ import annotations

from twsync.cli.main import main

if __name__ == "__main__":
    main()
