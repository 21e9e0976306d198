"""Keep folders and personal records the same on several hosts, with control separated from transmission."""

__version__ = "0.1.0"
