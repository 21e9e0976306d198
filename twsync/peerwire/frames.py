"""Frames: how a stream of bytes is cut into messages and bulk.

    u32 length (big endian, of type and payload) · u8 type · payload

At a gigabyte per second every copy counts: who receives asks where the next bytes are to go, and decrypts them right there.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from twsync.errors import ProtocolError
from twsync.limits import MAX_BULK, MAX_FRAME

_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">IB")
_BULK_HEAD = struct.Struct(">IBI")
_TRANSFER = struct.Struct(">I")
#: Bytes of the length field, which the length does not count.
LENGTH_BYTES = _LENGTH.size

Payload: TypeAlias = bytes | memoryview


class FrameType(enum.IntEnum):
    """What a frame carries."""

    CONTROL = 0x01
    DATA = 0x02
    DATA_ZSTD = 0x03
    SIGNATURE = 0x04
    PING = 0x05
    PONG = 0x06


_BULK = frozenset({FrameType.DATA, FrameType.DATA_ZSTD, FrameType.SIGNATURE})
_TYPES = {int(kind): kind for kind in FrameType}


class Memory(Protocol):
    """Where payloads stand."""

    def take(self, size: int) -> memoryview:
        """So many bytes of any content."""

    def give(self, view: Payload) -> None:
        """What `take` gave is not used any more."""


class Fresh:
    """New memory for each payload."""

    def take(self, size: int) -> memoryview:
        """See `Memory`."""
        return memoryview(bytearray(size))

    def give(self, view: Payload) -> None:
        """It is freed with its last user."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame."""

    kind: FrameType
    payload: Payload
    "What follows the type, or the transfer number in a bulk frame."
    transfer: int = 0
    "Transfer number of a bulk frame; 0 in others."
    home: Memory | None = field(default=None, compare=False, repr=False)
    "Whose memory the payload is."

    def release(self) -> None:
        """The payload is not used any more: its memory may be. A frame that is not released costs no more than new memory."""
        if self.home is not None:
            self.home.give(self.payload)


def head(kind: FrameType, size: int, transfer: int = 0) -> bytes:
    """The bytes that go before a payload of `size` bytes.

    :raises ValueError: the payload is larger than a frame may be.
    """
    if kind in _BULK:
        if size > MAX_BULK:
            raise ValueError("bulk payload too large for one frame")
        return _BULK_HEAD.pack(size + 5, kind, transfer)
    if size + 1 > MAX_FRAME:
        raise ValueError("payload too large for one frame")
    return _HEAD.pack(size + 1, kind)


def encode(frame: Frame) -> bytes:
    """The bytes of a frame."""
    return b"".join((head(frame.kind, len(frame.payload), frame.transfer), frame.payload))


class Decoder:
    """Cuts a stream into frames; keeps no more than one unfinished frame.

    The bytes go to where :meth:`room` says, then :meth:`took` tells how many there are now; :meth:`feed` does both with bytes at hand.

    :param limit: greatest value of a length field; may be raised by setting `limit` when the other side is known.
    :param memory: for payloads.
    """

    def __init__(self, limit: int = MAX_FRAME, memory: Memory | None = None) -> None:
        self.limit = limit
        self._memory = memory or Fresh()
        self._head = memoryview(bytearray(_BULK_HEAD.size))
        self._head_size = _HEAD.size
        # Of the frame whose head is complete: its kind, transfer number and payload.
        self._frame: tuple[FrameType, int, memoryview] | None = None
        #: Bytes of the head, or of the payload, that are there.
        self._have = 0

    def room(self) -> memoryview:
        """Where the next bytes of the stream belong, as far as that is known; never empty."""
        if self._frame is None:
            return self._head[self._have : self._head_size]
        return self._frame[2][self._have :]

    def took(self, count: int) -> Frame | None:
        """`count` bytes more are where `room` said; the frame that they complete.

        :raises ProtocolError: a length or type that no frame has. The decoder is of no use after that.
        """
        self._have += count
        if self._frame is None and not self._begin():
            return None
        assert self._frame is not None
        kind, transfer, payload = self._frame
        if self._have < len(payload):
            return None
        self._frame, self._have, self._head_size = None, 0, _HEAD.size
        return Frame(kind, payload, transfer, self._memory)

    def feed(self, data: bytes) -> list[Frame]:
        """Take received bytes in; the frames that are complete now, in order.

        :raises ProtocolError: as `took`.
        """
        frames: list[Frame] = []
        with memoryview(data) as view:
            at = 0
            while at < len(view):
                room = self.room()
                count = min(len(room), len(view) - at)
                room[:count] = view[at : at + count]
                at += count
                frame = self.took(count)
                if frame is not None:
                    frames.append(frame)
        return frames

    def _begin(self) -> bool:
        """Look at the head as far as it is there; whether it is complete."""
        head = self._head
        if self._have < LENGTH_BYTES:
            return False
        (length,) = _LENGTH.unpack_from(head)
        if not 1 <= length <= self.limit:
            raise ProtocolError(f"a frame of {length} bytes")
        if self._have < _HEAD.size:
            return False
        kind = _kind(head[LENGTH_BYTES])
        _check_length(kind, length)
        if kind in _BULK and self._have < _BULK_HEAD.size:
            self._head_size = _BULK_HEAD.size
            return False
        transfer = _TRANSFER.unpack_from(head, _HEAD.size)[0] if kind in _BULK else 0
        self._frame = kind, transfer, self._memory.take(length + LENGTH_BYTES - self._have)
        self._have = 0
        return True


def _kind(number: int) -> FrameType:
    try:
        return _TYPES[number]
    except KeyError:
        raise ProtocolError(f"a frame of unknown type {number}") from None


def _check_length(kind: FrameType, length: int) -> None:
    if kind in _BULK:
        if length < _BULK_HEAD.size - LENGTH_BYTES:
            raise ProtocolError("a bulk frame without a transfer number")
        if length > MAX_BULK + _BULK_HEAD.size - LENGTH_BYTES:
            raise ProtocolError("a bulk frame that is too large")
    elif kind is not FrameType.CONTROL and length != 1:
        raise ProtocolError("a ping or pong with content")
