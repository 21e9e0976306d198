"""A message while it is written: each command is encoded once, when it is measured, and the message is put together from these parts.

What a command's bytes are does not depend on what stands around it (`twsync.syncml.codec`), so the result is that of `codec.encode`.
"""

from __future__ import annotations

import msgspec

from twsync.syncml import codec
from twsync.syncml.document import Command, Encoding, Header, Message, Sync

#: What a message that is final ends with, and a Sync, in each encoding.
_FINAL = {Encoding.XML: b"<Final/>", Encoding.WBXML: b"\x12"}
_SYNC_END = {Encoding.XML: b"</Sync>", Encoding.WBXML: b"\x01"}


class Draft:
    """One message.

    :param header: with the final MsgID.
    :raises FormatError: it holds what the encoding or the version cannot say.
    """

    def __init__(self, header: Header, encoding: Encoding) -> None:
        self.header = header
        self._encoding = encoding
        self._frame = codec.encode(Message(header=header, final=True), encoding)
        # By identity: a command is measured and then put into the message.
        self._parts: dict[int, tuple[Command, bytes]] = {}

    @property
    def overhead(self) -> int:
        """Bytes of the message without any command, final."""
        return len(self._frame)

    def size(self, command: Command) -> int:
        """Bytes that a command takes, exactly.

        :raises FormatError: it holds what the encoding or the version cannot say; it has to stay out of the message.
        """
        return len(self._part(command))

    def encode(self, message: Message) -> bytes:
        """The whole message.

        :param message: with the header of the draft.
        :raises FormatError: a command that was not measured holds what the encoding or the version cannot say.
        """
        if not message.body:
            return codec.encode(message, self._encoding)
        end = self._frame.rindex(_FINAL[self._encoding])
        parts = [self._sync(command) if isinstance(command, Sync) else self._part(command) for command in message.body]
        rest = end if message.final else end + len(_FINAL[self._encoding])
        return b"".join((self._frame[:end], *parts, self._frame[rest:]))

    def _sync(self, sync: Sync) -> bytes:
        opened = codec.part(msgspec.structs.replace(sync, commands=()), self._encoding, self.header.protocol)
        closing = _SYNC_END[self._encoding]
        return b"".join((opened.removesuffix(closing), *map(self._part, sync.commands), closing))

    def _part(self, command: Command) -> bytes:
        known = self._parts.get(id(command))
        if known is None:
            known = self._parts[id(command)] = (command, codec.part(command, self._encoding, self.header.protocol))
        return known[1]
