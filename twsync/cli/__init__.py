"""The ``twsync`` command."""
