"""What was received and waits for the disk: beyond a limit the connection is not read."""

from __future__ import annotations

from threading import Lock

from twsync.limits import MAX_RECEIVE_QUEUE
from twsync.peer.dialogue import Dialogue
from twsync.peer.streams import Workshop


class Backlog:
    """Counts bytes that wait. The reactor is troubled only when it has to do something: not for each frame."""

    def __init__(self, dialogue: Dialogue, workshop: Workshop) -> None:
        self._dialogue = dialogue
        self._workshop = workshop
        self._lock = Lock()
        self._waiting = 0
        self._held = False

    def add(self, size: int) -> None:
        """So many more wait. In the reactor's thread."""
        with self._lock:
            self._waiting += size
            hold = self._waiting > MAX_RECEIVE_QUEUE and not self._held
            self._held = self._held or hold
        if hold:
            self._dialogue.hold("disk")

    def taken(self, size: int) -> None:
        """So many are done with. In any thread."""
        with self._lock:
            self._waiting -= size
            release = self._waiting <= MAX_RECEIVE_QUEUE // 2 and self._held
            if release:
                self._held = False
        if release:
            self._workshop.back(self._release)

    def _release(self) -> None:
        with self._lock:
            held = self._held
        if not held:  # else it came to be held again meanwhile
            self._dialogue.release("disk")
