"""Whose key is whose: trust at the first meeting, refusal of a changed key.

The server vouches for users; a device's key vouches for the device. At a first meeting the key that the device shows must be the one that
the server announces for it, if it announces one; from then on only the remembered key counts, whatever the server says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from twsync.errors import SessionError
from twsync.peer.presence import Device
from twsync.session.negotiate import KeyState
from twsync.store.journal import Journal
from twsync.store.trust import Meeting


class Acquaintance:
    """What this host knows of others' keys.

    :param devices: what the server announces now, by full name.
    """

    def __init__(self, journal: Journal, devices: Callable[[], Mapping[str, Device]], now_ns: Callable[[], int]) -> None:
        self._journal = journal
        self._devices = devices
        self._now_ns = now_ns

    def announced(self, device: str) -> str | None:
        """The fingerprint that the server announces."""
        found = self._devices().get(device)
        return found.fingerprint if found is not None else None

    def state(self, device: str, fingerprint: str) -> KeyState:
        """How a key that a device shows stands to what is known; changes nothing."""
        known = self._journal.trust.get(device)
        if known is not None:
            return KeyState.TRUSTED if known.fingerprint == fingerprint else KeyState.CHANGED
        announced = self.announced(device)
        return KeyState.NEW if announced in (None, fingerprint) else KeyState.CHANGED

    def meet(self, device: str, fingerprint: str) -> KeyState:
        """As :meth:`state`, and remember: a first key as trusted, a changed one as offered, for ``twsync trust``."""
        state = self.state(device, fingerprint)
        if state is not KeyState.NEW and self._journal.trust.get(device) is None:
            return state  # never met, and not who the server says: neither is remembered
        meeting = self._journal.trust.meet(device, fingerprint, self._now_ns())
        return {Meeting.FIRST: KeyState.NEW, Meeting.SAME: KeyState.TRUSTED, Meeting.CHANGED: KeyState.CHANGED}[meeting]

    def require(self, device: str, fingerprint: str) -> None:
        """:meth:`meet`, for the caller.

        :raises SessionError: the key is another than before.
        """
        if self.meet(device, fingerprint) is KeyState.CHANGED:
            what = f"{device} has another key than before ({fingerprint}); if that is right, run `twsync trust {device}` and try again."
            raise SessionError(what, "key-changed")
