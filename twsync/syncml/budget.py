"""What one message may hold: commands, items and device informations, counted while it is read."""

from __future__ import annotations

from twsync import limits
from twsync.errors import FormatError


class Budget:
    """The room of one message."""

    def __init__(self) -> None:
        self._commands = limits.MAX_SYNCML_COMMANDS
        self._items = limits.MAX_SYNCML_ITEMS
        self._devinfs = limits.MAX_DEVINFS

    def command(self) -> None:
        """One more command.

        :raises FormatError: there are too many.
        """
        self._commands -= 1
        if self._commands < 0:
            raise FormatError(f"a SyncML message with more than {limits.MAX_SYNCML_COMMANDS} commands")

    def item(self) -> None:
        """One more item, or one more of what is repeated as freely: references, pairs of a Map, marks.

        :raises FormatError: there are too many.
        """
        self._items -= 1
        if self._items < 0:
            raise FormatError(f"a SyncML message with more than {limits.MAX_SYNCML_ITEMS} items")

    def devinf(self) -> None:
        """One more document of device information.

        :raises FormatError: there are too many.
        """
        self._devinfs -= 1
        if self._devinfs < 0:
            raise FormatError(f"a SyncML message with more than {limits.MAX_DEVINFS} device informations")
