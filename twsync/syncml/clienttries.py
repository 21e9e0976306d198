"""What can be changed when a server refuses the first message: credentials, version, encoding."""

from __future__ import annotations

from twsync import limits
from twsync.syncml.clientaccess import Access
from twsync.syncml.clientrefusals import Retry
from twsync.syncml.clientsetup import ClientSetup
from twsync.syncml.document import Encoding, Meta, Protocol

_OLDER = {Protocol.V1_2: Protocol.V1_1, Protocol.V1_1: Protocol.V1_0}
_OTHER = {Encoding.WBXML: Encoding.XML, Encoding.XML: Encoding.WBXML}


class Tries:
    """How the session is tried now, and what is left to try."""

    def __init__(self, setup: ClientSetup) -> None:
        self.protocol = setup.protocol
        self.encoding = setup.encoding
        self.access = Access(setup.credentials, setup.remembered.nonce)
        self._setup = setup
        self._encodings = {setup.encoding}
        self._rounds = 0

    def begin(self) -> bool:
        """Another try begins; False: there were enough."""
        self._rounds += 1
        if self._rounds > 1:
            self.access.again()
        return self._rounds <= limits.MAX_CLIENT_ROUNDS

    @property
    def session_id(self) -> str:
        """A new one for each try: servers take a second message 1 of one session for a message sent again."""
        first = self._setup.session_id
        if self._rounds <= 1:
            return first
        return str(int(first) + self._rounds - 1) if first.isascii() and first.isdigit() else f"{first}-{self._rounds}"

    def change(self, retry: Retry, chal: Meta | None = None) -> bool:
        """Make the next try another one.

        :param chal: the challenge that came with the refusal.
        :returns: whether there is anything to change.
        """
        if retry is Retry.CREDENTIALS:
            return self.access.challenged(chal)
        if retry is Retry.VERSION:
            if self._setup.fixed_protocol or self.protocol not in _OLDER:
                return False
            self.protocol = _OLDER[self.protocol]
            return True
        other = _OTHER[self.encoding]
        if self._setup.fixed_encoding or other in self._encodings:
            return False
        self.encoding = other
        self._encodings.add(other)
        return True
