"""Requests for devices that are not online: kept, and delivered by MESSAGE (RFC 3428) when the device registers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.logger import Logger

from twsync import limits
from twsync.control.location import Binding
from twsync.control.records import Records
from twsync.sip import request as request_document
from twsync.sip.message import CSeq, Request, Response
from twsync.sip.uri import Domain
from twsync.sip.values import URI
from twsync.store.control_values import StoredRequest
from twsync.transport.interfaces import Clock
from twsync.transport.siptls import Lost, SipTransport

#: Answers after which trying again at the next registration makes sense.
_PASSING = frozenset((408, 480, 486, 491))
_TURNED = {
    "one-way-from-client": "one-way-from-server",
    "one-way-from-server": "one-way-from-client",
    "refresh-from-client": "refresh-from-server",
    "refresh-from-server": "refresh-from-client",
}


def turned_round(sync_type: str) -> str:
    """The same session with client and server in each other's place."""
    return _TURNED.get(sync_type, sync_type)


@dataclass(slots=True)
class _Delivery:
    binding: Binding
    queue: list[StoredRequest]


class Pending:
    """The stored requests of all devices.

    :param wall: seconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self, transport: SipTransport, clock: Clock, wall: Callable[[], float], token: Callable[[int], bytes], domain: Domain,
        records: Records,
    ) -> None:  # fmt: skip
        self._transport = transport
        self._clock = clock
        self._wall = wall
        self._token = token
        self._domain = domain
        self._records = records
        self._stored: dict[tuple[str, str], dict[str, StoredRequest]] = {}
        self._under_way: dict[tuple[str, str], _Delivery] = {}
        self._permits: dict[tuple[str, str, str], float] = {}

    def take(self, requests: Iterable[StoredRequest], as_of: float) -> None:
        """Replace all by what the database has.

        :param as_of: when it was asked, seconds since the epoch: what was stored here since then is not in it yet, and stays.
        """
        fresh = [request for known in self._stored.values() for request in known.values() if request.created >= as_of]
        self._stored = {}
        for request in (*requests, *fresh):
            self._stored.setdefault((request.user, request.device), {})[request.id] = request

    def waiting(self, user: str, device: str) -> list[StoredRequest]:
        """What is stored for a device, the oldest first."""
        oldest = self._wall() - limits.STORED_REQUEST_LIFETIME
        return [request for request in self._stored.get((user, device), {}).values() if request.created > oldest]

    def store(self, partner: str, user: str, device: str, collection: str, sync_type: str) -> bool:
        """Keep "open a session with `partner`" for a device, once.

        :returns: False if too much is stored for it already.
        """
        waiting = self.waiting(user, device)
        if any((known.partner, known.collection, known.sync_type) == (partner, collection, sync_type) for known in waiting):
            return True
        if len(waiting) >= limits.MAX_STORED_REQUESTS:
            return False
        request = StoredRequest(self._token(16).hex(), partner, user, device, collection, sync_type, self._wall())
        self._stored.setdefault((user, device), {})[request.id] = request
        self._records.note(lambda transaction: transaction.add_request(request))
        self._log.info(
            "stored for {device}: session on {collection} with {partner}",
            device=f"{user}/{device}", collection=collection, partner=partner,
        )  # fmt: skip
        return True

    def permit(self, caller: str, callee: str, collection: str) -> None:
        """Let the receiver of a request open that session, although no grant speaks of this direction. Names are ``user/device``."""
        now = self._clock.seconds()
        self._permits = {key: until for key, until in self._permits.items() if until > now}
        self._permits[caller, callee, collection] = now + limits.STORED_REQUEST_GRACE

    def permits(self, caller: str, callee: str, collection: str) -> bool:
        """Whether `caller` was asked, by a request delivered lately, to open this session."""
        return self._permits.get((caller, callee, collection), 0.0) > self._clock.seconds()

    def deliver(self, binding: Binding) -> None:
        """A device is online: send what is stored for it, one request after the other."""
        name = (binding.user, binding.device)
        waiting = self.waiting(*name)
        if name in self._under_way or not waiting or binding.fingerprint is None:
            return
        self._under_way[name] = _Delivery(binding, waiting)
        self._next(name)

    def _next(self, name: tuple[str, str]) -> None:
        delivery = self._under_way[name]
        while delivery.queue and delivery.queue[0].id not in self._stored.get(name, {}):
            delivery.queue.pop(0)  # removed in the meantime
        if not delivery.queue:
            del self._under_way[name]
            return
        stored = delivery.queue.pop(0)

        def answered(answer: Response | Lost) -> None:
            if isinstance(answer, Response) and answer.code < 200:
                return
            if isinstance(answer, Lost):
                del self._under_way[name]  # the next registration goes on
                return
            if answer.code < 300:
                # Before the receiver can call: its INVITE comes behind this answer on the same flow.
                self.permit(f"{name[0]}/{name[1]}", stored.partner, stored.collection)
            if answer.code < 300 or (400 <= answer.code < 500 and answer.code not in _PASSING) or answer.code >= 600:
                self._log.info(
                    "delivered to {device}: session on {collection} with {partner}, answer {code}",
                    device=f"{name[0]}/{name[1]}", collection=stored.collection, partner=stored.partner, code=answer.code,
                )  # fmt: skip
                self._remove(name, stored)
            self._next(name)

        self._transport.request(delivery.binding.flow, self._message(delivery.binding, stored), answered)

    def _remove(self, name: tuple[str, str], stored: StoredRequest) -> None:
        self._stored.get(name, {}).pop(stored.id, None)
        self._records.note(lambda transaction: transaction.remove_requests([stored.id]))

    def _message(self, binding: Binding, stored: StoredRequest) -> Request:
        document = request_document.SyncRequest(stored.id, stored.partner, stored.collection, stored.sync_type)
        message = Request("MESSAGE", URI.parse(str(binding.contact.uri)), request_document.build(document))
        message.headers.set("From", f"<sips:{self._domain.realm}>;tag={self._token(8).hex()}")
        message.headers.set("To", f"<{self._domain.gruu(binding.user, binding.device)}>")
        message.call_id = f"{self._token(12).hex()}@{self._domain.realm}"
        message.cseq = CSeq(1, "MESSAGE")
        message.headers.set("Content-Type", request_document.MEDIA_TYPE)
        if binding.path:
            message.headers.setlist("Route", list(binding.path))
        return message
