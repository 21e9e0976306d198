"""Frames: how a stream of bytes is cut into messages and bulk.

    u32 length (big endian, of type and payload) · u8 type · payload

At a gigabyte per second every copy counts: a payload that came in pieces is joined once, straight from what was received.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from twsync.errors import ProtocolError
from twsync.limits import MAX_BULK, MAX_FRAME

_LENGTH = struct.Struct(">I")
_HEAD = struct.Struct(">IB")
_BULK_HEAD = struct.Struct(">IBI")
_TRANSFER = struct.Struct(">I")
#: Pieces of an unfinished frame that are kept apart.
MAX_PIECES = 512
#: Bytes of the length field, which the length does not count.
LENGTH_BYTES = _LENGTH.size


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


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame."""

    kind: FrameType
    payload: bytes
    "What follows the type, or the transfer number in a bulk frame."
    transfer: int = 0
    "Transfer number of a bulk frame; 0 in others."


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
    return head(frame.kind, len(frame.payload), frame.transfer) + frame.payload


class Decoder:
    """Cuts a stream into frames; keeps no more than one unfinished frame.

    :param limit: greatest value of a length field; may be raised by setting `limit` when the other side is known.
    """

    def __init__(self, limit: int = MAX_FRAME) -> None:
        self.limit = limit
        self._head = b""
        # Of the frame whose head is complete: its kind, transfer number, payload so far, and bytes that are missing.
        self._frame: tuple[FrameType, int] | None = None
        self._pieces: list[bytes] = []
        self._missing = 0

    def feed(self, data: bytes) -> list[Frame]:
        """Take received bytes in; the frames that are complete now, in order.

        :raises ProtocolError: a length or type that no frame has. The decoder is of no use after that.
        """
        end = len(data)
        if self._missing > end and len(self._pieces) < MAX_PIECES:
            # The middle of a large frame, by far the most of what comes.
            self._pieces.append(data)
            self._missing -= end
            return []
        frames: list[Frame] = []
        at = 0
        while True:
            if self._frame is None:
                at = self._read_head(data, at)
                if self._frame is None:
                    return frames
            take = min(self._missing, end - at)
            if take:
                self._pieces.append(data if take == end else data[at : at + take])
                self._missing -= take
                at += take
            if self._missing:
                if len(self._pieces) > MAX_PIECES:  # received in crumbs, which cost more than they hold
                    self._pieces = [b"".join(self._pieces)]
                return frames
            (kind, transfer), self._frame = self._frame, None
            pieces, self._pieces = self._pieces, []
            frames.append(Frame(kind, pieces[0] if len(pieces) == 1 else b"".join(pieces), transfer))

    def _read_head(self, data: bytes, at: int) -> int:
        """Take the head of the next frame, as far as it is there; where its payload begins in `data`."""
        have = len(self._head)
        head = self._head + data[at : at + _BULK_HEAD.size - have]
        size = _HEAD.size
        if len(head) >= LENGTH_BYTES:
            (length,) = _LENGTH.unpack_from(head)
            if not 1 <= length <= self.limit:
                raise ProtocolError(f"a frame of {length} bytes")
            if len(head) > LENGTH_BYTES:
                kind = _kind(head[LENGTH_BYTES])
                if kind in _BULK:
                    size = _BULK_HEAD.size
                _check_length(kind, length)
                if len(head) >= size:
                    self._frame = kind, _TRANSFER.unpack_from(head, _HEAD.size)[0] if kind in _BULK else 0
                    self._missing = length + LENGTH_BYTES - size
                    self._head = b""
                    return at + size - have
        self._head = head[:size]
        return len(data)


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
