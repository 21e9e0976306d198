"""How a client proves who it is: which credentials go with the next message, and what a challenge changes (fact sheet section 7).

The same for the server as a whole (Status of SyncHdr) and for one datastore (Status of its Alert).
"""

from __future__ import annotations

import msgspec

from twsync.syncml.auth import BASIC, MD5, credentials, read_challenge
from twsync.syncml.codes import StatusCode
from twsync.syncml.document import Cred, Meta, Protocol

#: Rounds of credentials before a client gives up: an old nonce, the other scheme, and one for servers that need one more (Ovi).
MAX_TRIES = 3


class Credentials(msgspec.Struct, frozen=True):
    """An account at a server."""

    user: str
    password: str
    schemes: tuple[str, ...] = (MD5, BASIC)
    "Those that may be used; the first is tried before the server names one. Leave `BASIC` out where a connection is not encrypted."

    def __repr__(self) -> str:
        """Without the password."""
        return f"Credentials({self.user!r})"


class Access:
    """The state of one login.

    :param account: None: nothing to prove.
    :param nonce: the one that the server gave at the end of the last session; empty: none.
    :param eager: whether credentials go with the first message, without being asked.
    """

    def __init__(self, account: Credentials | None, nonce: bytes = b"", *, eager: bool = True) -> None:
        self._account = account
        self._scheme = account.schemes[0] if account is not None and account.schemes else None
        self._wanted = eager
        self._tries = 0
        self.nonce = nonce
        "For the next digest; to be kept for the next session."

    def cred(self, protocol: Protocol) -> Cred | None:
        """What goes with the next message."""
        if self._account is None or self._scheme is None or not self._wanted:
            return None
        return credentials(self._scheme, protocol, self._account.user, self._account.password, self.nonce)

    def accepted(self, code: int, chal: Meta | None) -> None:
        """The server took what was sent: for the session (212), or for this message only (any other success)."""
        self._learn(chal)
        if code == StatusCode.AUTHENTICATED:
            self._wanted = False

    def challenged(self, chal: Meta | None) -> bool:
        """The server answered 401 or 407.

        :returns: whether another try makes sense.
        """
        self._tries += 1
        if self._account is None or self._tries > MAX_TRIES:
            return False
        scheme = self._learn(chal)
        if scheme is not None and scheme not in self._account.schemes:
            return False
        self._wanted = True
        if scheme is not None:
            self._scheme = scheme
        # Without a challenge nothing would be different the next time, but for what was not sent at all.
        return scheme is not None or self._tries == 1

    def again(self) -> None:
        """The session begins anew: what was accepted for the session has to be proved again."""
        self._wanted = True

    def _learn(self, chal: Meta | None) -> str | None:
        if chal is None:
            return None
        challenge = read_challenge(chal)
        if challenge.nonce is not None:
            self.nonce = challenge.nonce
        return challenge.scheme or None
