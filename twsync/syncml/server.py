"""All sessions of a SyncML server: which message belongs to which, lost replies, time limits. Without I/O.

A message finds its session by the token in the address that the server named (RespURI), else by (device, SessionID). The same bytes again
get the same reply byte for byte, as long as nothing newer was said in that session, and some minutes beyond its end.

Threads: `receive` may be called by several at once. What sessions share is guarded by one lock that is held for moments; each
session by a lock of its own, so that a message sent twice at once waits for the reply of the first. The locks come from the caller,
because this floor has none.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager

import msgspec

from twsync import limits
from twsync.errors import FormatError, TwsyncError
from twsync.syncml import auth, codec
from twsync.syncml.codes import number
from twsync.syncml.deviceinfo import OwnDevice
from twsync.syncml.document import Header
from twsync.syncml.interrupted import Interrupted
from twsync.syncml.ports import Accounts, Devices, Nonces
from twsync.syncml.servergate import Gate
from twsync.syncml.serversession import KnownPeer, Reply, ServerSession

#: Makes a lock: ``threading.Lock``, or ``contextlib.nullcontext`` where there is one thread.
LockFactory = Callable[[], AbstractContextManager[object]]


#: The twsync host or nothing, Source, SessionID, and where the messages come from.
Key = tuple[str, str, str, str]


class Refusal(msgspec.Struct, frozen=True):
    """What cannot be answered by a SyncML message: an HTTP status."""

    status: int
    "400: no SyncML message; 404: no such session (any more); 500; 503: too many sessions."
    text: str


class ServerSetup(msgspec.Struct, frozen=True):
    """Settings of a server."""

    own: OwnDevice
    scheme: str = auth.MD5
    "What clients are asked for; the other scheme is taken too."
    empty_nonce: bool = False
    "See `twsync.syncml.servergate.Gate`."


class _Entry:
    """A session with what the registry knows of it."""

    def __init__(self, session: ServerSession, token: str, key: Key, lock: AbstractContextManager[object]) -> None:
        self.session = session
        self.token = token
        self.key = key
        self.lock = lock
        self.used = 0.0
        self.ended: float | None = None
        self.last: tuple[bytes, Reply] | None = None
        self.working = 0
        self.origin = ""
        "Where its last message came from."
        self.newest = b""
        "Digest of the last message that belongs to it."
        self.at_work: tuple[bytes, codec.Decoded] | None = None
        "The message that is being dealt with, and its digest."
        self.told: Reply | None = None
        "What was said meanwhile."
        self.token_used = False
        self.leaving = False
        "It is given up, or has to be because somebody waits for a datastore of it: no message is dealt with any more."
        self.superseded: list[_Entry] = []


class Server:
    """See the module.

    :param accounts: whom it knows.
    :param nonces: of finished sessions.
    :param devices: device information of clients.
    :param lock: see `LockFactory`.
    """

    def __init__(self, setup: ServerSetup, accounts: Accounts, nonces: Nonces, devices: Devices, lock: LockFactory) -> None:
        self._setup = setup
        self._accounts = accounts
        self._devices = devices
        self._gate = Gate(accounts, nonces, devices, lock, scheme=setup.scheme, empty_nonce=setup.empty_nonce)
        self._interrupted = Interrupted(lock())
        self._new_lock = lock
        self._lock = lock()
        self._by_token: dict[str, _Entry] = {}
        self._by_key: dict[Key, _Entry] = {}
        self._closed = False

    def __len__(self) -> int:
        """Sessions that are kept, ended ones too."""
        return len(self._by_token)

    @property
    def moved(self) -> float:
        """When a message last got a session on, in seconds since 1970; 0: none did."""
        with self._lock:
            return max((entry.session.moved for entry in self._by_token.values()), default=0.0)

    def receive(
        self,
        token: str | None,
        body: bytes,
        content_type: str | None,
        now: float,
        random: Callable[[int], bytes],
        resp_uri: Callable[[str], str] | None = None,
        peer: KnownPeer | None = None,
        origin: str = "",
    ) -> Reply | Refusal:
        """Answer one message.

        :param token: what the address of the request holds of a RespURI; None: it is the address for new sessions.
        :param now: seconds since 1970.
        :param random: gives as many random bytes as asked for.
        :param resp_uri: makes the absolute address for a token; None: none is told, and (device, SessionID) has to do.
        :param peer: a twsync host that is proved already.
        :param origin: the address that the message comes from: without a token, a session goes on from where it began only; and failed
            sign-ins are counted by it.
        """
        self.expire(now)
        try:
            decoded = codec.decode(body, content_type)
        except FormatError as error:
            return Refusal(400, error.message)
        digest = _digest(body)
        entry = self._find(token, _key(decoded.message.header, peer, origin), decoded.message.header, digest, now, random, resp_uri, peer)
        if isinstance(entry, Refusal):
            return entry
        try:
            with entry.lock:
                reply = self._answer(entry, digest, decoded, now, random, origin)
        finally:
            with self._lock:
                entry.working -= 1
                old, entry.superseded = entry.superseded, []
        # Not while the own lock is held: of two new sessions of one device each would wait for the other.
        for other in old:
            with other.lock:
                other.session.close()
        return reply

    def busy(self, body: bytes, origin: str = "") -> Reply | None:
        """What to say to a message that `receive` has been dealing with for so long that the client could give up; then `receive` gives
        the same. What is owed to the message comes with the reply to the next one. Does not take long, for it reads nothing again.

        :param origin: as for `receive`.
        :returns: None: it is not at work (any more), or the client was not let in yet.
        """
        digest = _digest(body)
        with self._lock:
            for entry in self._by_token.values():
                if entry.at_work is not None and entry.at_work[0] == digest and entry.origin == origin:
                    decoded = entry.at_work[1]
                    entry.told = entry.told or entry.session.busy(decoded.message.header, decoded.encoding)
                    return entry.told
        return None

    def expire(self, now: float) -> None:
        """Give up sessions that were silent for too long, and forget those that ended a while ago."""
        with self._lock:
            old = [entry for entry in self._by_token.values() if not entry.working and _expired(entry, now)]
            for entry in old:
                self._forget(entry)
        for entry in old:
            entry.session.close()

    def gives_way(self, name: str, now: float) -> bool:
        """Whether a datastore that a session has can be had by somebody else, by `give_way`."""
        with self._lock:
            return any(entry.session.gives_way(name, now) for entry in self._by_token.values())

    def give_way(self, name: str, now: float) -> bool:
        """Somebody else wants a datastore: sessions that do not get on, or have had it for long, are given up.

        :returns: whether any was. One that is being dealt with just now is given up at its next message.
        """
        with self._lock:
            found = [entry for entry in self._by_token.values() if entry.session.gives_way(name, now)]
            old = [entry for entry in found if not entry.working]
            for entry in found:
                entry.leaving = True
            for entry in old:
                self._forget(entry)
        for entry in old:
            with entry.lock:
                entry.session.close()
        return bool(old)

    def close(self) -> None:
        """Give up all sessions, and begin no other: a message that is still on its way to a thread opens nothing any more."""
        with self._lock:
            self._closed = True
            entries = list(self._by_token.values())
            for entry in entries:
                self._forget(entry)
        for entry in entries:
            with entry.lock:
                entry.session.close()

    def _answer(
        self, entry: _Entry, digest: bytes, decoded: codec.Decoded, now: float, random: Callable[[int], bytes], origin: str
    ) -> Reply | Refusal:
        if entry.last is not None and entry.last[0] == digest:
            return entry.last[1]
        if entry.leaving:
            entry.session.close()
            with self._lock:
                self._forget(entry)
            return Refusal(404, "this session is over; begin a new one at the server's own address")
        stranger = entry.session.account is None
        with self._lock:
            entry.at_work, entry.told = (digest, decoded), None
        try:
            refused = entry.session.deal_with(decoded.message, decoded.encoding, now, random(limits.NONCE_BYTES), origin)
            with self._lock:
                entry.at_work = None
            reply = msgspec.structs.replace(entry.told or refused or entry.session.reply(), datastores=entry.session.datastores)
        except Exception as error:
            # Nothing of a message raises; a store that fails where no datastore is meant (accounts, devices) does.
            entry.session.close()
            entry.ended = now
            if not isinstance(error, TwsyncError):
                raise
            return Refusal(500, error.message)
        finally:
            with self._lock:
                entry.at_work = None
        entry.last, entry.used = (digest, reply), now
        entry.ended = (entry.ended or now) if entry.session.over else None
        if stranger and entry.session.account is not None:
            self._supersede(entry)
        return reply

    def _find(
        self,
        token: str | None,
        key: Key,
        header: Header,
        digest: bytes,
        now: float,
        random: Callable[[int], bytes],
        resp_uri: Callable[[str], str] | None,
        peer: KnownPeer | None,
    ) -> _Entry | Refusal:
        """The session of a message, marked as at work."""
        with self._lock:
            if self._closed:
                return Refusal(503, "the server is closed")
            if token:
                known = self._by_token.get(token)
                if known is None or known.key[:2] != key[:2]:
                    return Refusal(404, "there is no such session; begin a new one at the server's own address")
                known.token_used = True
                return _at_work(known, now, digest, key[3])
            known = self._by_key.get(key)
            if known is not None:
                if known.newest == digest or (number(header.msg_id) != 1 and not known.token_used):
                    return _at_work(known, now, digest, key[3])
                # Device and SessionID are no secret: whoever knows them must not get into a session that has an address of its own.
                if number(header.msg_id) != 1:
                    return Refusal(404, "this session goes on at the address that its first reply named")
            begun = self._begin(key, random, resp_uri, peer)
            return begun if isinstance(begun, Refusal) else _at_work(begun, now, digest, key[3])

    def _begin(
        self, key: Key, random: Callable[[int], bytes], resp_uri: Callable[[str], str] | None, peer: KnownPeer | None
    ) -> _Entry | Refusal:
        if len(self._by_token) >= limits.MAX_SYNCML_SESSIONS:
            idle = [entry for entry in self._by_token.values() if not entry.working and (entry.ended or entry.session.account is None)]
            if not idle:
                return Refusal(503, "too many sessions at once; try again in some minutes")
            self._forget(min(idle, key=lambda entry: entry.used))
        token = random(limits.TOKEN_BYTES).hex()
        address = resp_uri(token) if resp_uri is not None else None
        entry: _Entry
        session = ServerSession(
            self._setup.own,
            self._accounts,
            self._devices,
            self._gate,
            peer,
            self._interrupted,
            address,
            lambda name: self._set_free(entry, name),
        )
        entry = _Entry(session, token, key, self._new_lock())
        self._by_token[token] = self._by_key[key] = entry
        return entry

    def _set_free(self, entry: _Entry, name: str) -> bool:
        """A session wants a datastore that another has: whether it was given up by those that can be, older ones of the same device (its
        client was killed) and any that was silent for a while.

        The own lock is held while those of older sessions are waited for, and never the other way round.
        """
        with self._lock:
            if entry.token not in self._by_token:
                return False
            older = list(itertools.takewhile(lambda other: other is not entry, self._by_token.values()))
            same = (entry.session.account, *entry.key[:2])
            old = [
                other
                for other in older
                if other.session.holds(name)
                and ((other.session.account, *other.key[:2]) == same or (not other.working and other.session.gives_way(name, entry.used)))
            ]
            for other in old:
                self._forget(other)
        for other in old:
            with other.lock:
                other.session.close()
        return bool(old)

    def _supersede(self, entry: _Entry) -> None:
        """A device was let in: its older sessions are given up, and the oldest ones of an account that has too many."""
        with self._lock:
            own = [
                other
                for other in self._by_token.values()
                if other is not entry and other.session.account == entry.session.account and other.key[0] == entry.key[0]
            ]
            own.sort(key=lambda other: other.used)
            old = [other for other in own if other.key[1] == entry.key[1]]
            rest = [other for other in own if other not in old and not other.working]
            old += rest[: max(0, len(rest) + 1 - limits.MAX_SYNCML_ACCOUNT_SESSIONS)]
            for other in old:
                self._forget(other)
            entry.superseded += old

    def _forget(self, entry: _Entry) -> None:
        # A message of it that waits for its turn must not open again what will be closed.
        entry.leaving = True
        self._by_token.pop(entry.token, None)
        if self._by_key.get(entry.key) is entry:
            del self._by_key[entry.key]


def _key(header: Header, peer: KnownPeer | None, origin: str) -> Key:
    who = peer.device if peer is not None else ""
    return who, header.source.uri[: limits.MAX_SYNCML_NAME], header.session_id[: limits.MAX_SYNCML_NAME], origin


def _at_work(entry: _Entry, now: float, digest: bytes, origin: str) -> _Entry:
    entry.working += 1
    entry.newest = digest
    entry.origin = origin
    if entry.ended is None or entry.last is None or entry.last[0] != digest:
        # What ended is not kept by being asked for again: a device may begin each session with the same bytes.
        entry.used = now
    return entry


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _expired(entry: _Entry, now: float) -> bool:
    if entry.ended is not None:
        return now - entry.used >= limits.SYNCML_RESEND_TIME
    return now - entry.used >= limits.SYNCML_SESSION_TIMEOUT
