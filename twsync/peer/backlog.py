"""What was received and waits for the disk: beyond a limit the connection is not read."""

from __future__ import annotations

from twsync.limits import MAX_RECEIVE_QUEUE
from twsync.peer.dialogue import Dialogue


class Backlog:
    """Counts bytes that wait, in the reactor's thread."""

    def __init__(self, dialogue: Dialogue) -> None:
        self._dialogue = dialogue
        self._waiting = 0
        self._reading = True

    def add(self, size: int) -> None:
        """So many more wait."""
        self._waiting += size
        if self._waiting > MAX_RECEIVE_QUEUE and self._reading:
            self._reading = False
            self._dialogue.hold("disk")

    def taken(self, size: int) -> None:
        """So many are done with."""
        self._waiting -= size
        if self._waiting <= MAX_RECEIVE_QUEUE // 2 and not self._reading:
            self._reading = True
            self._dialogue.release("disk")
