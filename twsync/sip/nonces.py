"""Digest nonces: HMAC'd time stamps, and which nonce counts were used on them.

A nonce proves by itself when it was made, so challenges cost no memory. Memory is spent on a nonce only when a right password came with
it, and is bounded: a nonce whose window had to be dropped, and every older one without a window, is stale, never accepted again.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections import OrderedDict

_STAMP = struct.Struct(">QQ")
_MAC_SIZE = 16


class Nonces:
    """Makes nonces and accepts each nonce count once.

    :param secret: at least 16 random bytes; new at each start.
    :param lifetime: seconds.
    :param window: nonce counts that may arrive out of order.
    :param most: nonces with a window in memory.
    """

    def __init__(self, secret: bytes, lifetime: float, window: int, most: int) -> None:
        if len(secret) < 16:
            raise ValueError("The secret of nonces must have at least 16 bytes.")
        self._secret = secret
        self._lifetime = lifetime
        self._window = window
        self._most = most
        self._made = 0
        self._used: OrderedDict[bytes, tuple[int, int]] = OrderedDict()
        self._floor = -1

    def __len__(self) -> int:
        return len(self._used)

    def make(self, now: float) -> str:
        """A new nonce."""
        self._made += 1
        stamp = _STAMP.pack(_microseconds(now), self._made)
        return base64.urlsafe_b64encode(stamp + self._mac(stamp)).decode().rstrip("=")

    def accept(self, nonce: str, count: int, now: float) -> bool:
        """Whether this count of this nonce is used for the first time, in time. It counts as used then."""
        stamp = self._stamp(nonce)
        if stamp is None:
            return False
        made, _ = _STAMP.unpack(stamp)
        if not 0 <= _microseconds(now) - made <= self._lifetime * 1e6:
            return False
        highest, seen = self._used.get(stamp, (0, 0))
        if highest == 0 and made <= self._floor:
            return False
        if count > highest:
            # Bit 0 is the highest count, bit n the one n below it.
            seen = ((seen << min(count - highest, self._window)) | 1) & ((1 << self._window) - 1)
            highest = count
        else:
            bit = 1 << (highest - count) if highest - count < self._window else 0
            if count < 1 or not bit or seen & bit:
                return False
            seen |= bit
        self._used[stamp] = (highest, seen)
        self._trim(now)
        return True

    def _trim(self, now: float) -> None:
        oldest_useful = _microseconds(now) - self._lifetime * 1e6
        while self._used:
            stamp = next(iter(self._used))
            made, _ = _STAMP.unpack(stamp)
            if made >= oldest_useful and len(self._used) <= self._most:
                return
            del self._used[stamp]
            self._floor = max(self._floor, made)

    def _stamp(self, nonce: str) -> bytes | None:
        try:
            raw = base64.b64decode(nonce + "=" * (-len(nonce) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        stamp, mac = raw[: _STAMP.size], raw[_STAMP.size :]
        if len(raw) != _STAMP.size + _MAC_SIZE or not hmac.compare_digest(mac, self._mac(stamp)):
            return None
        # Base64 has several spellings of the same bytes; the window goes by the bytes.
        return stamp

    def _mac(self, stamp: bytes) -> bytes:
        return hmac.digest(self._secret, b"nonce" + stamp, hashlib.sha256)[:_MAC_SIZE]


def _microseconds(now: float) -> int:
    return max(0, int(now * 1e6))
