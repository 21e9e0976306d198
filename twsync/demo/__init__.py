"""``twsync demo``: a control server and two hosts as real processes on loopback, and a story told with them.

:mod:`~twsync.demo.commands` runs commands, :mod:`~twsync.demo.stage` starts and ends the daemons, :mod:`~twsync.demo.trees` compares
folders, :mod:`~twsync.demo.story` is the story and :mod:`~twsync.demo.chapters` its chapters.
All that is done here is done by the public commands, so what the demonstration shows is what a user gets.
"""

from __future__ import annotations

from twsync.demo.story import main

__all__ = ["main"]
