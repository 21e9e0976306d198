"""Who is let in: the Cred of a message against the accounts (fact sheet section 7)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from twsync import limits
from twsync.syncml import auth
from twsync.syncml.codes import StatusCode
from twsync.syncml.document import Cred, Header, Meta, Protocol
from twsync.syncml.lockout import Attempts, Challenges, Place
from twsync.syncml.ports import Account, Accounts, Devices, Nonces

#: Stands for an account that does not exist, so that a wrong name takes the same work as a wrong password. Nobody is let in as this one.
_NOBODY = Account("", digest=auth.user_digest("", ""))


#: How every nonce begins that is given out here.
OWN_NONCE = b"twsy"


class Verdict(msgspec.Struct, frozen=True):
    """What came of a header's Cred."""

    code: StatusCode
    "Of the header: 212, or 401, 406, 407."
    account: str | None = None
    "Who it is, if he is let in."
    chal: Meta | None = None


class Gate:
    """Checks credentials for all sessions of a server.

    :param lock: makes a lock, for several threads.
    :param scheme: what is asked for: `auth.MD5` or `auth.BASIC`. The other one is taken too.
    :param empty_nonce: take an md5 digest made with an empty nonce from a device that never got one. SyncEvolution tries that first; but
        such a digest can be repeated by whoever hears it, under another device id. Without, it costs one message more at first contact.
    """

    def __init__(
        self, accounts: Accounts, nonces: Nonces, devices: Devices, lock: Callable[[], AbstractContextManager[object]], *,
        scheme: str = auth.MD5, empty_nonce: bool = False,
    ) -> None:  # fmt: skip
        self._accounts = accounts
        self._nonces = nonces
        self._devices = devices
        self._scheme = scheme
        self._empty_nonce = empty_nonce
        self._attempts = Attempts(lock())
        self._challenges = Challenges(lock())
        # Guesses that come at once must not all be tried before the first of them is counted.
        self._one_at_a_time = lock()

    def admit(self, header: Header, now: float, nonce: bytes, origin: str) -> Verdict:
        """Check the header of a session that is not authorised yet.

        :param origin: the address that it comes from.
        :param nonce: fresh random bytes: for the next session if it is let in, else for the next attempt.
        """
        device, nonce = header.source.uri, OWN_NONCE + nonce[len(OWN_NONCE) :]
        if header.cred is None:
            return Verdict(StatusCode.MISSING_CREDENTIALS, chal=self._challenge(header.source.name or "", header, nonce))
        presented = auth.read_credentials(header.cred)
        if presented is not None and presented.scheme not in (auth.BASIC, auth.MD5):
            return Verdict(StatusCode.NOT_SUPPORTED, chal=self._challenge(header.source.name or "", header, nonce))
        name = (presented.user if presented is not None else None) or header.source.name or ""
        places = self._places(name, device)
        account = None
        with self._one_at_a_time:
            if presented is not None and not self._attempts.locked(places, origin, now):
                account = self._prove(presented, name, header)
            if account is None and self._guesses(presented, name, device):
                self._attempts.failed(places, origin, now)
        if account is None:
            return Verdict(StatusCode.WRONG_CREDENTIALS, chal=self._challenge(name, header, nonce, presented))
        self._attempts.succeeded(places, origin)
        self._devices.seen(account.name, device)
        if presented is None or presented.scheme == auth.BASIC:
            return Verdict(StatusCode.AUTHENTICATED, account.name)
        self._challenges.used(name, device)
        self._challenges.used("", device)
        self._nonces.store(account.name, device, nonce)
        return Verdict(StatusCode.AUTHENTICATED, account.name, auth.challenge(auth.MD5, nonce))

    def confirm(self, cred: Cred, header: Header, account: str, now: float, origin: str) -> StatusCode | None:
        """Check the Cred of a single command in an authorised session: it has to be that of the same account.

        :returns: 401, or None: it holds.
        """
        presented = auth.read_credentials(cred)
        places = self._places(account, header.source.uri)
        with self._one_at_a_time:
            if presented is not None and not self._attempts.locked(places, origin, now):
                proved = self._prove(presented, presented.user or header.source.name or account, header)
                if proved is not None and proved.name == account:
                    return None
            self._attempts.failed(places, origin, now)
        return StatusCode.WRONG_CREDENTIALS

    def challenge(self, header: Header, account: str, nonce: bytes) -> Meta:
        """A challenge for a client that was let in, and sent a wrong Cred with a command.

        :param nonce: as for `admit`.
        """
        return self._challenge(header.source.name or account, header, OWN_NONCE + nonce[len(OWN_NONCE) :])

    def prove(self, chal: Meta, header: Header, account: str) -> Cred | None:
        """The own Cred for a client that was let in and wants to know that this host knows the account's password too.

        Only md5, for basic would be the password itself; and not for a nonce of our own: whoever is amid a session over plain HTTP could
        put our challenge to him into it, and sign in with the answer.

        :returns: None: it cannot be answered.
        """
        challenge, known = auth.read_challenge(chal), self._find(account)
        if challenge.scheme != auth.MD5 or challenge.nonce is None or challenge.nonce.startswith(OWN_NONCE) or known is None:
            return None
        digest = _digest(known, known.name, header, challenge.nonce)
        return None if digest is None else Cred(digest, Meta(format="b64", type=auth.MD5))

    def _guesses(self, presented: auth.Presented | None, name: str, device: str) -> bool:
        """Whether a Cred that failed was a try at a password.

        An md5 digest of a device that no nonce was given to is none: it cannot be right, so nothing is learned by it. Most clients begin
        with one, and many new ones at once must not count as guesses.
        """
        if presented is None or presented.scheme != auth.MD5:
            return True
        names = [name] if name else self._devices.owners(device)
        return any(self._nonces_of(name, self._called(each), device) for each in names)

    def _called(self, name: str) -> str:
        """An account's own name."""
        account = self._find(name)
        return name if account is None else account.name

    def _challenge(self, name: str, header: Header, nonce: bytes, presented: auth.Presented | None = None) -> Meta:
        scheme = self._scheme
        if scheme == auth.MD5 and self._hopeless(name, header, presented):
            scheme = auth.BASIC
        if scheme == auth.MD5:
            self._challenges.give(name, header.source.uri, nonce)
        return auth.challenge(scheme, nonce)

    def _hopeless(self, name: str, header: Header, presented: auth.Presented | None) -> bool:
        """Whether no md5 digest of this client can be checked: then the password itself has to be asked for (fact sheet section 7).

        Of an account that keeps no clear password those of SyncML 1.0 cannot, nor those made with ``user@host``. A name that does not exist
        is like such an account.
        """
        if not name:
            return presented is not None and presented.scheme == auth.MD5 and not self._devices.owners(header.source.uri)
        account = self._find(name)
        if account is not None and account.password is not None:
            return False
        return header.protocol is Protocol.V1_0 or ("@" in name and (account is None or account.name != name))

    def _prove(self, presented: auth.Presented, name: str, header: Header) -> Account | None:
        device = header.source.uri
        if presented.scheme == auth.BASIC:
            account = self._find(name)
            right = _right_password(account or _NOBODY, presented.password or "")
            return account if right else None
        names = [name] if name else list(self._devices.owners(device))
        for candidate in names:
            account = self._find(candidate)
            if presented.digest is None:
                continue
            for nonce in self._nonces_of(name, candidate if account is None else account.name, device):
                expected = _digest(account or _NOBODY, candidate, header, nonce)
                if expected is not None and auth.same(expected, presented.digest) and account is not None:
                    return account
        return None

    def _find(self, name: str) -> Account | None:
        """An account; ``user@host`` is ``user`` if there is no other."""
        if not name or len(name) > limits.MAX_SYNCML_NAME:
            return None
        account = self._accounts.account(name)
        plain, at, _ = name.rpartition("@")
        return self._accounts.account(plain) if account is None and at and plain else account

    def _places(self, name: str, device: str) -> tuple[Place, ...]:
        """Where an attempt counts. A device that has been let in to the account counts alone: a stranger who guesses at the account does
        not lock its owner out, unless he knows the id of his device and comes from its address, or from many."""
        account, device = self._find(name), device[: limits.MAX_SYNCML_NAME]
        # By the account's own name: ``user@anything`` is one account.
        own = account.name if account is not None else name[: limits.MAX_SYNCML_NAME]
        owners = self._devices.owners(device)
        if owners and (not name or own in owners):
            return (("device of account", device, own),)
        return (("account", own), ("device", device))

    def _nonces_of(self, name: str, account: str, device: str) -> list[bytes]:
        stored = self._nonces.load(account, device)
        # A client that got its challenge before it said its name.
        given = [self._challenges.get(known, device) for known in {name, ""}]
        return [nonce for nonce in (*given, stored or (b"" if self._empty_nonce else None)) if nonce is not None]


def _right_password(account: Account, password: str) -> bool:
    if account.password is not None:
        return hmac.compare_digest(account.password.encode(), password.encode())
    return account.digest is not None and hmac.compare_digest(account.digest, auth.user_digest(account.name, password))


def _digest(account: Account, name: str, header: Header, nonce: bytes) -> str | None:
    """The digest that an account's client has to send; None: its secret is not enough for it."""
    if account.password is not None:
        return auth.md5_for(header.protocol, name, account.password, nonce)
    if account.digest is None or header.protocol.value == "1.0":
        return None
    return auth.md5(account.digest, nonce)
