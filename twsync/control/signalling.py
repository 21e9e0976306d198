"""The server as SIP sees it: takes each request to the part that answers it, and turns refusals into responses."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from typing import Literal

from twisted.logger import Logger
from twisted.python.failure import Failure

from twsync import limits
from twsync.control.authentication import Authentication
from twsync.control.directory import Changes
from twsync.control.ladder import Ladder
from twsync.control.location import Binding, Location
from twsync.control.pending import Pending
from twsync.control.presence import Presence
from twsync.control.proxy import Proxy
from twsync.control.records import Records
from twsync.control.refusal import Refusal, warning
from twsync.control.registrar import Registered, Registrar
from twsync.control.routing import ALLOWED, REGISTRAR_OPTIONS, Routes, check_extensions, check_forwards
from twsync.errors import FormatError
from twsync.sip.message import Message, Request, Response, response_to
from twsync.store.control_rows import Transaction
from twsync.store.control_values import Device, StoredRequest, User
from twsync.transport.interfaces import Clock
from twsync.transport.siptls import Flow, ServerTransaction, SipTransport

_ALLOW = ("Allow", ", ".join(ALLOWED))


class Signalling:
    """What stands above the SIP transport (`siptls.SipUser`). The service makes the parts and sets them here."""

    _log = Logger()

    transport: SipTransport
    authentication: Authentication
    registrar: Registrar
    location: Location
    proxy: Proxy
    presence: Presence
    pending: Pending
    ladder: Ladder

    def __init__(
        self, clock: Clock, wall: Callable[[], float], token: Callable[[int], bytes], routes: Routes, records: Records,
    ) -> None:  # fmt: skip
        self._clock = clock
        self._wall = wall
        self._token = token
        self._routes = routes
        self._records = records

    # --- siptls.SipUser ------------------------------------------------------------------------------------------------------------

    def flow_opened(self, flow: Flow) -> None:
        """A connection stands."""
        self._log.debug("{flow} opened, TLS {secure}, certificate {peer}", flow=flow, secure=flow.secure, peer=flow.peer_fingerprint)
        flow.close_when_silent(limits.SIP_SILENCE_TIMEOUT)

    def flow_closed(self, flow: Flow, reason: str) -> None:
        """A connection ended, and with it what was registered over it (RFC 5626 section 5.2)."""
        self._log.debug("{flow} closed: {reason}", flow=flow, reason=reason)
        for binding in self.location.on_flow(flow):
            self.location.remove(binding)
            self._gone(binding, reason)
        self.proxy.flow_closed(flow)
        self.presence.flow_closed(flow)
        self.authentication.forget_flow(flow)
        self.ladder.flow_closed(flow)

    def request_received(self, request: Request, flow: Flow, transaction: ServerTransaction | None) -> None:
        """A request came: answer it, or pass it on."""
        if request.method == "ACK":
            self._guard(request, None, lambda: self.proxy.acknowledge(request, flow, self.authentication.proven(flow)))
        elif transaction is None:
            self._log.debug("{method} without a transaction dropped", method=request.method)
        elif request.method == "CANCEL":
            self.proxy.cancel(transaction)
        else:
            self._guard(request, transaction, lambda: self._dispatch(request, flow, transaction))

    def response_received(self, response: Response, flow: Flow) -> None:
        """A response that belongs to no transaction here."""
        self._guard(None, None, lambda: self.proxy.stray(response))

    def message_traced(self, flow: Flow, direction: Literal["sent", "received"], message: Message) -> None:
        """A message went over the wire."""
        self.ladder.traced(flow, direction, message)

    # --- requests ------------------------------------------------------------------------------------------------------------------

    def _dispatch(self, request: Request, flow: Flow, transaction: ServerTransaction) -> None:
        method = request.method
        if method == "REGISTER":
            check_extensions(request, REGISTRAR_OPTIONS)
            if not self._routes.domain.owns(request.uri, self._routes.aliases(flow)):
                raise Refusal(404, "Domain not served here")
            self._as_user(request, flow, transaction, False, self._register)
        elif request.to_tag:
            if method == "SUBSCRIBE":
                self.presence.refresh(request, flow, transaction)
            else:
                self.proxy.in_dialog(request, flow, transaction, self.authentication.proven(flow))
        elif method == "OPTIONS":
            headers = [_ALLOW, ("Accept", "application/sdp, application/reginfo+xml"), ("Supported", "path, outbound, gruu")]
            self._answer(request, transaction, 200, headers=(*headers, ("Allow-Events", "reg")))
        elif method == "SUBSCRIBE":
            check_extensions(request, frozenset())
            self._as_user(request, flow, transaction, False, self.presence.subscribe)
        elif method in ("INVITE", "MESSAGE"):
            check_forwards(request)
            check_extensions(request, frozenset(), "Proxy-Require")
            self._as_user(request, flow, transaction, True, self.proxy.forward)
        elif method in ALLOWED:
            raise Refusal(481)  # BYE, INFO, NOTIFY belong into a dialog
        else:
            raise Refusal(405, None, [_ALLOW])

    def _as_user(
        self, request: Request, flow: Flow, transaction: ServerTransaction, proxy: bool,
        then: Callable[[Request, Flow, ServerTransaction, str], None],
    ) -> None:  # fmt: skip
        """Go on if the sender has proven to be a user."""
        then(request, flow, transaction, self.authentication.examine(request, flow, self._clock.seconds(), proxy))

    def _register(self, request: Request, flow: Flow, transaction: ServerTransaction, user: str) -> None:
        also = self._routes.aliases(flow)
        if self._routes.domain.user(request.to_address.uri, also) != user:
            raise Refusal(403, "To is another user")
        registered = self.registrar.register(request, flow, user, self._clock.seconds(), self._wall())

        def committed(_: None) -> None:
            headers = [("Date", email.utils.formatdate(self._wall(), usegmt=True)), *registered.headers]
            self._answer(request, transaction, 200, headers=headers)
            self._announce(registered)

        def failed(failure: Failure) -> None:
            self._log.error("registration of {user} not written to the database: {reason}", user=user, reason=failure.getErrorMessage())
            self._answer(request, transaction, 500)

        if not registered.added and not registered.removed:
            committed(None)
        else:
            self._records.do(lambda database: self._write(database, registered)).addCallbacks(committed, failed)

    def _write(self, database: Transaction, registered: Registered) -> None:
        """In the database's thread: reads values only."""
        for device in registered.devices:
            database.save_device(device)
        for binding in registered.removed:
            database.remove_binding(binding.user, binding.key)
        offset = self._wall() - self._clock.seconds()
        for binding in registered.added:
            database.save_binding(binding.row(binding.expires + offset))

    def _announce(self, registered: Registered) -> None:
        for binding in registered.appeared:
            self._log.info("{device} registered from {observed}", device=binding.full_name, observed=binding.observed)
        for binding in (*registered.appeared, *registered.removed):
            self.presence.changed(binding.user, binding.device)
        for binding in registered.removed:
            self._log.info("{device} unregistered", device=binding.full_name)
        for binding in registered.added:
            binding.flow.close_when_silent(limits.SIP_SILENCE_TIMEOUT)
            if self.location.find(binding.user, binding.key) is binding:
                self.pending.deliver(binding)

    # --- what time and administrators bring ----------------------------------------------------------------------------------------

    def expire(self) -> None:
        """Give up what was not prolonged; called often."""
        for binding in self.location.expire(self._clock.seconds()):
            self._gone(binding, "expired")
            if not self.location.on_flow(binding.flow):
                # Nobody tells when a client vanishes behind a NAT; its connection would stand for ever.
                binding.flow.close_when_silent(limits.SIP_FLOW_TIMER)
        self.presence.expire()

    def _gone(self, binding: Binding, reason: str) -> None:
        seen = self.registrar.seen(binding.user, binding.device, self._wall())
        self._log.info("{device} offline: {reason}", device=binding.full_name, reason=reason)
        self.presence.changed(binding.user, binding.device)

        def write(database: Transaction) -> None:
            database.remove_binding(binding.user, binding.key)
            if seen is not None:
                database.touch_device(seen)

        self._records.note(write)

    def _concerned(self, changes: Changes) -> list[Binding]:
        found = [binding for user in changes.users for binding in self.location.of_user(user)]
        found += [binding for user, name in changes.devices if user not in changes.users for binding in self.location.of_device(user, name)]
        return found

    def take_requests(self, requests: list[StoredRequest], as_of: float) -> None:
        """The stored requests have changed in the database: deliver what can be delivered."""
        self.pending.take(requests, as_of)
        for name in {(request.user, request.device) for request in requests}:
            for binding in self.location.of_device(*name)[:1]:
                self.pending.deliver(binding)

    def take_directory(self, users: list[User], devices: list[Device], as_of: float) -> None:
        """Users or devices have changed in the database: who has no right to be here any more has to go."""
        changes = self.registrar.directory.take(users, devices, as_of)
        for binding in self._concerned(changes):
            self._log.info("{device} signed out by an administrator's change", device=binding.full_name)
            self.location.remove(binding)
            self._gone(binding, "signed out")
            binding.flow.close("signed out by an administrator")
        for flow in list(self.transport.flows.values()):
            if self.authentication.proven(flow) & changes.users:
                flow.close("signed out by an administrator")
        self.presence.replaced()

    def leave(self) -> None:
        """The server stops: nobody is online any more."""
        seen = [
            device for flow in self.transport.flows.values() for binding in self.location.on_flow(flow)
            if (device := self.registrar.seen(binding.user, binding.device, self._wall())) is not None
        ]  # fmt: skip

        def write(database: Transaction) -> None:
            database.clear_bindings()
            for device in seen:
                database.touch_device(device)

        self._records.note(write)

    # --- answers -------------------------------------------------------------------------------------------------------------------

    def _guard(self, request: Request | None, transaction: ServerTransaction | None, act: Callable[[], None]) -> None:
        try:
            act()
        except Refusal as refusal:
            if request is not None and transaction is not None:
                headers = refusal.headers
                if refusal.phrase is not None and not any(name == "Warning" for name, _ in headers):
                    # Reason phrases get lost on the way through some agents; devices show the Warning.
                    headers = (*headers, warning(self._routes.domain.realm, refusal.phrase.replace("\\", "").replace('"', "'")))
                self._answer(request, transaction, refusal.code, refusal.phrase, headers)
        except FormatError as error:
            self._log.debug("malformed request: {reason}", reason=error.message)
            if request is not None and transaction is not None:
                self._answer(request, transaction, 400)
        except Exception:
            self._log.failure("a request could not be dealt with")
            if request is not None and transaction is not None:
                self._answer(request, transaction, 500)

    def _answer(
        self, request: Request, transaction: ServerTransaction, code: int, phrase: str | None = None,
        headers: tuple[tuple[str, str], ...] | list[tuple[str, str]] = (),
    ) -> None:  # fmt: skip
        self.transport.respond(transaction, response_to(request, code, phrase, tag=self._token(8).hex(), headers=headers))
