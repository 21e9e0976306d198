"""Whether compressing pays: only if the wire is what everything waits for, and the content shrinks."""

from __future__ import annotations

from collections.abc import Callable

import zstandard

from twsync.errors import ProtocolError
from twsync.limits import COMPRESSIBLE, FAST_WIRE, KIB, MAX_BULK, ZSTD_LEVEL
from twsync.peerwire.frames import FrameType, Payload

#: Bytes of a chunk that are tried before the whole is compressed.
SAMPLE = 64 * KIB
#: Seconds of sending that one judgement is based on.
WINDOW = 0.5


class Pace:
    """How fast the wire takes what is sent. Told by the reactor's thread, asked from any.

    :param seconds: the time.
    :param allowed: whether the other side takes compressed data.
    """

    def __init__(self, seconds: Callable[[], float], allowed: bool) -> None:
        self._seconds = seconds
        self._allowed = allowed
        self._bytes = 0
        self._waited = 0.0
        self._began = seconds()
        self._slow = False

    def now(self) -> float:
        """The time."""
        return self._seconds()

    @property
    def slow(self) -> bool:
        """Whether chunks should be compressed if they can be."""
        return self._slow

    def sent(self, size: int, waited: float) -> None:
        """A frame of `size` bytes went out, and the wire let us wait for `waited` seconds after it."""
        if not self._allowed:
            return
        self._bytes += size
        self._waited += waited
        now = self._seconds()
        elapsed = now - self._began
        if elapsed >= WINDOW:
            # Time that was not spent waiting for the wire says nothing about it.
            if self._waited >= elapsed / 2:
                self._slow = self._bytes / elapsed < FAST_WIRE
            elif self._bytes:
                self._slow = False
            self._bytes, self._waited, self._began = 0, 0.0, now

    def pack(self, data: Payload) -> tuple[FrameType, Payload]:
        """A chunk as it should travel. In a worker's thread."""
        if not self._slow or len(data) < 512:
            return FrameType.DATA, data
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        if len(data) > SAMPLE:
            middle = (len(data) - SAMPLE) // 2
            if len(compressor.compress(data[middle : middle + SAMPLE])) > SAMPLE * COMPRESSIBLE:
                return FrameType.DATA, data
        packed = compressor.compress(data)
        if len(packed) > len(data) * COMPRESSIBLE:
            return FrameType.DATA, data
        return FrameType.DATA_ZSTD, packed


def unpack(kind: FrameType, payload: Payload) -> Payload:
    """The content of a data frame; what it expands to is known before it is expanded. In a worker's thread.

    :raises ProtocolError: it is no zstd frame, or one that does not say or is not as large as it may be.
    """
    if kind is not FrameType.DATA_ZSTD:
        return payload
    try:
        size = zstandard.frame_content_size(payload)
        if not 0 <= size <= MAX_BULK:
            raise ProtocolError("a compressed frame of unknown or too large content")
        content: bytes = zstandard.ZstdDecompressor().decompress(payload, max_output_size=max(size, 1), allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ProtocolError("a compressed frame that cannot be read") from error
    if len(content) != size:
        raise ProtocolError("a compressed frame that lies about its size")
    return content
