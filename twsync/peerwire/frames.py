"""Frames: how a stream of bytes is cut into messages and bulk.

    u32 length (big endian, of type and payload) · u8 type · payload

At a gigabyte per second every copy counts: who receives asks where the next bytes are to go, and decrypts them right there.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeAlias

from twsync.errors import ProtocolError
from twsync.limits import MAX_BULK, MAX_FRAME

_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">IB")
_BULK_HEAD = struct.Struct(">IBI")
_TRANSFER = struct.Struct(">I")
#: Bytes of the length field, which the length does not count.
LENGTH_BYTES = _LENGTH.size

#: Bytes of a bulk payload from which on frames of one size are looked out for, and how many that should follow are taken in together.
LONG, RUN = 64 * 1024, 4

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


class Room(NamedTuple):
    """Where bytes belong."""

    into: memoryview
    like: bytes = b""
    "What should come there, as many bytes; empty: anything. If something else does, there is no telling what the rooms behind it are for."


class Decoder:
    """Cuts a stream into frames; keeps no more than one unfinished frame.

    The bytes go to where :meth:`room` or :meth:`rooms` says, then :meth:`took` tells how many there are now; :meth:`feed` does both with
    bytes at hand.

    :param limit: greatest value of a length field; may be raised by setting `limit` when the other side is known.
    :param memory: for payloads.
    """

    def __init__(self, limit: int = MAX_FRAME, memory: Memory | None = None) -> None:
        self.limit = limit
        self._memory = memory or Fresh()
        self._head = _head_room()
        self._head_size = _HEAD.size
        # Of the frame whose head is complete: its kind, transfer number and payload.
        self._frame: tuple[FrameType, int, memoryview] | None = None
        #: Bytes of the head, or of the payload, that are there.
        self._have = 0
        #: The head of the last bulk frame, and whether the one before had the same and nothing came between.
        self._bulk_head = b""
        self._alike = False
        #: For the heads and payloads of frames that are expected to follow.
        self._spare: list[tuple[memoryview, memoryview]] = []

    def room(self) -> memoryview:
        """Where the next bytes of the stream belong, as far as that is known; never empty."""
        if self._frame is None:
            return self._head[self._have : self._head_size]
        return self._frame[2][self._have :]

    def rooms(self) -> list[Room]:
        """The same, and where the bytes behind them belong if more frames like the last two follow: large content comes so."""
        rooms = [Room(self.room())]
        if self._frame is not None and self._alike and len(self._frame[2]) >= LONG:
            while len(self._spare) < RUN:
                self._spare.append((_head_room(), self._memory.take(len(self._frame[2]))))
            for next_head, next_payload in self._spare:
                rooms += Room(next_head, self._bulk_head), Room(next_payload)
            rooms.pop()  # what is behind the last head is asked for when it is there
        return rooms

    def took(self, count: int) -> list[Frame]:
        """`count` bytes more are where `room` or `rooms` said; the frames that they complete, in order.

        :raises ProtocolError: a length or type that no frame has. The decoder is of no use after that.
        """
        frames: list[Frame] = []
        while count:
            end = len(self._head) if self._frame is None else len(self._frame[2])
            step = min(count, end - self._have)
            self._have += step
            count -= step
            # Bytes of another frame than the expected one, behind its head.
            over = b"" if self._frame is not None else self._begin()
            if self._frame is not None and self._have == len(self._frame[2]):
                kind, transfer, payload = self._frame
                self._frame, self._have, self._head_size = None, 0, _HEAD.size
                if self._spare:
                    self._head = self._spare[0][0]
                frames.append(Frame(kind, payload, transfer, self._memory))
            if over:
                frames += self.feed(over)
        return frames

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
                frames += self.took(count)
        return frames

    def _begin(self) -> bytes:
        """Look at the head as far as it is there, and begin its frame if it is complete.

        :returns: what is there behind it.
        """
        head, have = self._head, self._have
        if have < LENGTH_BYTES:
            return b""
        (length,) = _LENGTH.unpack_from(head)
        if not 1 <= length <= self.limit:
            raise ProtocolError(f"a frame of {length} bytes")
        if have < _HEAD.size:
            return b""
        kind = _kind(head[LENGTH_BYTES])
        _check_length(kind, length)
        size = _BULK_HEAD.size if kind in _BULK else _HEAD.size
        if have < size:
            self._head_size = size
            return b""
        transfer, before = 0, self._bulk_head
        self._bulk_head = bytes(head) if kind in _BULK else b""
        self._alike = self._bulk_head == before != b""
        if kind in _BULK:
            (transfer,) = _TRANSFER.unpack_from(head, _HEAD.size)
        self._frame = kind, transfer, self._payload(length + LENGTH_BYTES - size)
        self._have = 0
        return bytes(head[size:have])

    def _payload(self, size: int) -> memoryview:
        """Memory for a payload: what was prepared for it, or else nothing was expected right."""
        if self._spare and len(self._spare[0][1]) == size:
            return self._spare.pop(0)[1]
        while self._spare:
            self._memory.give(self._spare.pop()[1])
        return self._memory.take(size)


def _head_room() -> memoryview:
    return memoryview(bytearray(_BULK_HEAD.size))


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
