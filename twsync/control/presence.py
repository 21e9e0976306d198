"""Who is online: subscriptions to ``Event: reg`` (RFC 6665, 3680), for the own devices and those that grants make visible.

A watcher first gets everything, then what changes; changes that come within a moment go in one NOTIFY, and the next NOTIFY waits for the
answer to the one before. A document that would not fit into a message goes in several, the first of them full.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.logger import Logger

from twsync import limits
from twsync.control.directory import Directory
from twsync.control.location import Location
from twsync.control.policy import Policy
from twsync.control.refusal import Refusal
from twsync.control.registrations import Registrations
from twsync.control.routing import Routes
from twsync.errors import ProtocolError
from twsync.sip import reginfo
from twsync.sip.dialog import Dialog
from twsync.sip.message import Request, Response, response_to
from twsync.sip.reginfo import RegInfo
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.siptls import Flow, Lost, ServerTransaction, SipTransport

Name = tuple[str, str]


@dataclass(slots=True, eq=False)
class _Watcher:
    user: str
    flow: Flow
    dialog: Dialog
    expires: float
    full: bool = True
    "Whether everything is due."
    changed: set[Name] = field(default_factory=set)
    "Devices that are due."
    version: int = 0
    queue: list[bytes] = field(default_factory=list)
    "Documents to be sent, in order."
    busy: bool = False
    "Whether a NOTIFY waits for its answer."
    ended: str = ""
    "Why the last NOTIFY is due, in the words of Subscription-State."


class Presence:
    """All subscriptions.

    :param wall: seconds since the epoch.
    """

    _log = Logger()

    def __init__(
        self, transport: SipTransport, clock: Clock, wall: Callable[[], float], token: Callable[[int], bytes], routes: Routes,
        policy: Policy, directory: Directory, location: Location, shortest: int,
    ) -> None:  # fmt: skip
        self._transport = transport
        self._clock = clock
        self._wall = wall
        self._token = token
        self._routes = routes
        self._policy = policy
        self._registrations = Registrations(routes.domain, clock, wall, directory, location)
        self._shortest = shortest
        self._watchers: dict[tuple[str, str, str], _Watcher] = {}
        self._due: Delayed | None = None

    def __len__(self) -> int:
        return len(self._watchers)

    # --- subscriptions -------------------------------------------------------------------------------------------------------------

    def subscribe(self, request: Request, flow: Flow, transaction: ServerTransaction, user: str) -> None:
        """Open a subscription of `user` to the own address of record.

        :raises Refusal: it cannot be.
        """
        self._check(request)
        also = self._routes.aliases(flow)
        if self._routes.domain.user(request.uri, also) != user or self._routes.domain.user(request.from_address.uri, also) != user:
            raise Refusal(403, "Only the own registration can be watched")
        if sum(1 for watcher in self._watchers.values() if watcher.flow is flow) >= limits.MAX_SUBSCRIPTIONS_PER_FLOW:
            raise Refusal(403, "Too many subscriptions")
        seconds = self._lifetime(request)
        headers = [("Contact", f"<{self._routes.own(flow)}>"), ("Expires", str(seconds))]
        response = response_to(request, 200, tag=self._token(8).hex(), headers=headers)
        watcher = _Watcher(user, flow, Dialog.from_request(request, response), self._clock.seconds() + seconds)
        self._watchers[watcher.dialog.id] = watcher
        self._transport.respond(transaction, response)
        if seconds == 0:  # a single look (RFC 6665 section 4.4.3)
            watcher.ended = "timeout"
        self._send(watcher)

    def refresh(self, request: Request, flow: Flow, transaction: ServerTransaction) -> None:
        """Prolong a subscription or, with Expires: 0, end it.

        :raises Refusal: there is none.
        """
        watcher = self._watchers.get((request.call_id, request.to_tag, request.from_tag))
        if watcher is None or watcher.flow is not flow:
            raise Refusal(481)
        self._check(request)
        try:
            watcher.dialog.received(request)
        except ProtocolError as error:
            raise Refusal(500, None, [("Retry-After", "1")]) from error
        seconds = self._lifetime(request)
        watcher.expires = self._clock.seconds() + seconds
        if seconds == 0:
            watcher.ended = "timeout"
        headers = [("Contact", f"<{self._routes.own(flow)}>"), ("Expires", str(seconds))]
        self._transport.respond(transaction, response_to(request, 200, headers=headers))
        watcher.full = True  # section 4.1.2.2: a refresh brings the full state
        self._send(watcher)

    def _check(self, request: Request) -> None:
        if request.event_package.lower() != "reg":
            raise Refusal(489, None, [("Allow-Events", "reg")])
        accepted = [value.partition(";")[0].strip().lower() for header in request.headers.getlist("Accept") for value in header.split(",")]
        if accepted and not {reginfo.MEDIA_TYPE, "application/*", "*/*"} & set(accepted):
            raise Refusal(406, None, [("Accept", reginfo.MEDIA_TYPE)])

    def _lifetime(self, request: Request) -> int:
        asked = limits.MAX_SUBSCRIPTION_SECONDS if request.expires is None else request.expires
        if 0 < asked < self._shortest:
            raise Refusal(423, None, [("Min-Expires", str(self._shortest))])
        return min(asked, limits.MAX_SUBSCRIPTION_SECONDS)

    # --- what happens --------------------------------------------------------------------------------------------------------------

    def changed(self, user: str, device: str) -> None:
        """A device has come, gone or moved."""
        watching = set(self._policy.watchers(user))
        for watcher in self._watchers.values():
            if watcher.user in watching:
                watcher.changed.add((user, device))
        self._soon()

    def replaced(self) -> None:
        """The directory has changed: everyone gets everything anew, so that removed devices vanish."""
        for watcher in self._watchers.values():
            watcher.full = True
        self._soon()

    def flow_closed(self, flow: Flow) -> None:
        """A watcher has gone."""
        for key in [key for key, watcher in self._watchers.items() if watcher.flow is flow]:
            del self._watchers[key]

    def expire(self) -> None:
        """End the subscriptions that were not prolonged."""
        now = self._clock.seconds()
        for watcher in list(self._watchers.values()):
            if watcher.expires <= now and not watcher.ended:
                watcher.ended = "timeout"
                self._send(watcher)

    def _soon(self) -> None:
        if self._due is None and self._watchers:
            self._due = self._clock.callLater(limits.NOTIFY_COALESCE, self._send_all)

    def _send_all(self) -> None:
        self._due = None
        for watcher in list(self._watchers.values()):
            self._send(watcher)

    # --- NOTIFY --------------------------------------------------------------------------------------------------------------------

    def _send(self, watcher: _Watcher) -> None:
        """The next NOTIFY, unless one is under way or nothing is due."""
        if watcher.busy or self._watchers.get(watcher.dialog.id) is not watcher:
            return
        if not watcher.queue and (watcher.full or watcher.changed):
            watcher.queue = self._documents(watcher)
        if not watcher.queue and not watcher.ended:
            return
        body = watcher.queue.pop(0) if watcher.queue else b""
        last = bool(watcher.ended) and not watcher.queue
        left = max(0, round(watcher.expires - self._clock.seconds()))
        state = f"terminated;reason={watcher.ended}" if last else f"active;expires={left}"
        headers = [("Event", "reg"), ("Subscription-State", state), ("Contact", f"<{self._routes.own(watcher.flow)}>")]
        notify = watcher.dialog.request("NOTIFY", body=body, content_type=reginfo.MEDIA_TYPE if body else "", headers=headers)
        if last:
            del self._watchers[watcher.dialog.id]
        watcher.busy = True

        def answered(answer: Response | Lost) -> None:
            if isinstance(answer, Response) and answer.code < 200:
                return
            watcher.busy = False
            if isinstance(answer, Lost) or answer.code >= 300:
                # Whoever does not want or understand a NOTIFY has no subscription (RFC 6665 section 4.2.2).
                self._watchers.pop(watcher.dialog.id, None)
                return
            self._send(watcher)

        self._transport.request(watcher.flow, notify, answered)

    def _documents(self, watcher: _Watcher) -> list[bytes]:
        changed = None if watcher.full else frozenset(watcher.changed)
        full, watcher.full = watcher.full, False
        watcher.changed.clear()
        documents = []
        for registrations in self._registrations.told(self._policy.visible(watcher.user), changed):
            documents.append(reginfo.build(RegInfo(watcher.version, full, registrations)))
            watcher.version += 1
            full = False
        return documents
