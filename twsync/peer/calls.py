"""Calls: INVITE out and in, and the dialogs they make (RFC 3261 sections 12 to 15, RFC 6086).

A call introduces two devices; the data goes elsewhere. So a call may lose its flow, or the whole server, without any harm to a session
that stands: the dialog is then left to itself, and BYE is sent if there is a flow again by the time it is due.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twsync.errors import FormatError, ProtocolError
from twsync.peer.asking import Asker
from twsync.peer.identity import ALLOW, MEDIA_PROGRESS, MEDIA_SESSION, SUPPORTED, Identity
from twsync.peer.refusals import Refusal, error_info, understood, warning
from twsync.peer.waiting import within
from twsync.sip.dialog import Dialog, DialogState
from twsync.sip.message import Address, Request, Response, response_to
from twsync.transport.interfaces import Clock
from twsync.transport.siptls import ClientTransaction, Flow, ServerTransaction, SipTransport

#: Seconds that a callee has to answer: it is a program, not a person.
ANSWER_TIMEOUT = 30.0
#: Repetition of an unacknowledged 200, seconds: first pause, longest pause, end (T1, T2 and 64 T1; RFC 3261 section 13.3.1.4).
REPEAT_FIRST, REPEAT_LONGEST, REPEAT_END = 0.5, 4.0, 32.0
#: Seconds that BYE may take; the data is done by then, nobody waits longer.
BYE_TIMEOUT = 3.0
#: Calls at once; a further one is refused.
MAX_CALLS = 64

_log = Logger()


@dataclass(eq=False)
class Call:
    """A call that stands, as this side sees it."""

    session: str
    "The Call-ID, which is the session's id."
    partner: str
    "``user/device`` of the other side."
    dialog: Dialog
    body: bytes
    "The other side's session description."
    ended: Deferred[None] = field(default_factory=Deferred)
    "Fires when the other side, or the server, has ended the call."
    acknowledged: bool = True


@dataclass(eq=False)
class Offer:
    """An INVITE that waits for the answer."""

    session: str
    partner: str
    body: bytes
    request: Request
    transaction: ServerTransaction
    cancelled: bool = False
    answered: bool = False


class CallUser(Protocol):
    """Who decides about calls: the service."""

    def offered(self, offer: Offer) -> None:
        """Someone calls; to be answered by :meth:`Calls.accept` or :meth:`Calls.refuse`."""

    def progressed(self, call: Call, body: bytes) -> None:
        """The other side tells how far it is."""


class Calls:
    """All calls of this device.

    :param clock: timers.
    :param token: gives that many random bytes.
    """

    def __init__(
        self,
        transport: SipTransport,
        clock: Clock,
        token: Callable[[int], bytes],
        user: CallUser,
    ) -> None:
        self.asker: Asker | None = None
        "The way to the server, while this device is registered."
        self.identity: Identity | None = None
        self._transport = transport
        self._clock = clock
        self._token = token
        self._user = user
        self._calls: dict[tuple[str, str, str], Call] = {}
        self._offers: dict[ServerTransaction, Offer] = {}

    # --- out ---

    async def call(self, partner: str, session: str, offer: bytes, timeout: float = ANSWER_TIMEOUT) -> Call | Refusal:
        """Call `partner` with a signed session description, and wait for the answer.

        :param session: a fresh Call-ID.
        :param timeout: seconds.
        """
        asker, identity = self.asker, self.identity
        if asker is None or identity is None:
            return Refusal(0, "server-unreachable", "There is no connection to the server; `twsync status` says why.")
        tag, sequence = asker.name(), 0
        standing: list[Call] = []
        under_way: list[ClientTransaction] = []

        def build() -> Request:
            nonlocal sequence
            sequence += 1
            return identity.invite(partner, session, sequence, tag, offer)

        def started(request: Request, transaction: ClientTransaction) -> None:
            under_way[:] = [transaction]
            requests[:] = [request]

        def again(response: Response) -> None:
            self._answered_again(requests[0], response, standing[0] if standing else None)

        requests: list[Request] = []
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = True
            for transaction in under_way:
                self._transport.cancel(transaction)

        timer = self._clock.callLater(timeout, expire)
        try:
            request, response = await asker.ask(build, header="Proxy-Authorization", again=again, started=started)
        finally:
            if timer.active():
                timer.cancel()
        if not isinstance(response, Response) or not 200 <= response.code < 300:
            refusal = understood(response, partner)
            if expired and refusal.status in (0, 487, 408):
                return Refusal(refusal.status, "no-answer", f"{partner} did not answer within {timeout:.0f} s; try again.")
            return refusal
        try:
            dialog = Dialog.from_response(request, response)
        except FormatError:
            return Refusal(0, "bad-answer", f"{partner} or the server answered against the rules of SIP; look into its log.")
        self._transport.send(asker.flow, dialog.ack(request))
        call = Call(session, partner, dialog, response.body)
        standing.append(call)
        self._calls[dialog.id] = call
        return call

    def _answered_again(self, request: Request, response: Response, standing: Call | None) -> None:
        """A 2xx after the first: its ACK was lost, or another device answered the same INVITE, which then is released."""
        if self.asker is None or not 200 <= response.code < 300:
            return
        try:
            dialog = Dialog.from_response(request, response)
        except FormatError:
            return
        self._transport.send(self.asker.flow, dialog.ack(request))
        if standing is not None and dialog.id != standing.dialog.id:
            self._ask_quietly(dialog, "BYE")

    # --- in ---

    def invited(self, request: Request, transaction: ServerTransaction) -> None:
        """Take an INVITE in."""
        self._transport.respond(transaction, response_to(request, 100))
        if request.to_tag:
            self._reject(request, transaction, 488 if self._find(request) else 481)
            return
        partner = caller_of(request)
        if partner is None:
            self._reject(request, transaction, 403, "The call does not say which device it comes from.")
        elif request.media_type != MEDIA_SESSION:
            self._reject(request, transaction, 488, "Only session descriptions of twsync are understood here.")
        elif len(self._calls) + len(self._offers) >= MAX_CALLS:
            self._reject(request, transaction, 486, "There are too many calls at once.")
        else:
            offer = Offer(request.call_id, partner, request.body, request, transaction)
            self._offers[transaction] = offer
            self._user.offered(offer)

    def cancelled(self, transaction: ServerTransaction) -> None:
        """The caller does not want an answer any more."""
        offer = self._offers.pop(transaction, None)
        if offer is not None and not offer.answered:
            offer.cancelled = offer.answered = True
            self._transport.respond(transaction, response_to(offer.request, 487, tag=self._tag()))

    def refuse(self, offer: Offer, status: int, code: str, sentence: str) -> None:
        """Answer with a refusal: its SIP status, its name for programs and a sentence for people."""
        if not offer.answered:
            offer.answered = True
            self._offers.pop(offer.transaction, None)
            self._reject(offer.request, offer.transaction, status, sentence, code)

    def accept(self, offer: Offer, answer: bytes) -> Call | None:
        """Answer 200 with a signed session description; None if the caller has gone meanwhile."""
        if offer.answered or self.identity is None:
            return None
        offer.answered = True
        self._offers.pop(offer.transaction, None)
        headers = (
            ("Contact", self.identity.contact), ("Content-Type", MEDIA_SESSION), ("Supported", SUPPORTED), ("Allow", ALLOW),
        )  # fmt: skip
        response = response_to(offer.request, 200, tag=self._tag(), headers=headers, body=answer)
        try:
            dialog = Dialog.from_request(offer.request, response)
        except FormatError:
            self._reject(offer.request, offer.transaction, 400)
            return None
        call = Call(offer.session, offer.partner, dialog, offer.body, acknowledged=False)
        self._calls[dialog.id] = call
        self._transport.respond(offer.transaction, response)
        self._repeat(call, offer.transaction, response, REPEAT_FIRST, REPEAT_FIRST)
        return call

    def _repeat(self, call: Call, transaction: ServerTransaction, response: Response, pause: float, waited: float) -> None:
        def due() -> None:
            if call.acknowledged or call.dialog.state is DialogState.ENDED:
                return
            if waited >= REPEAT_END:
                # The data may well be under way: the data channel decides, the dialog alone is given up.
                self._ask_quietly(call.dialog, "BYE")
                self._forget(call)
                return
            self._transport.respond(transaction, response)
            longer = min(REPEAT_LONGEST, 2 * pause)
            self._repeat(call, transaction, response, longer, waited + longer)

        self._clock.callLater(pause, due)

    def acknowledged(self, request: Request) -> None:
        """An ACK came."""
        call = self._find(request)
        if call is not None:
            call.acknowledged = True

    # --- in a call ---

    def in_dialog(self, request: Request, transaction: ServerTransaction) -> None:
        """Answer BYE and INFO."""
        call = self._find(request)
        if call is None:
            self._reject(request, transaction, 481)
            return
        try:
            call.dialog.received(request)
        except ProtocolError:
            self._reject(request, transaction, 500)
            return
        self._transport.respond(transaction, response_to(request, 200, tag=call.dialog.local_tag))
        if request.method == "BYE":
            self._forget(call)
        elif request.media_type == MEDIA_PROGRESS:
            self._user.progressed(call, request.body)

    def inform(self, call: Call, body: bytes) -> None:
        """Tell the other side and the server how far this side is; nobody waits for the answer."""
        headers = (("Info-Package", "vnd.twsync.progress"),)
        self._ask_quietly(call.dialog, "INFO", body=body, content_type=MEDIA_PROGRESS, headers=headers)

    async def bye(self, call: Call) -> None:
        """End the call. Gives up quietly without a connection to the server: then the server ends it by itself."""
        if call.dialog.id not in self._calls:
            return
        self._forget(call)
        finished = self._ask_quietly(call.dialog, "BYE")
        call.dialog.end()
        if finished is not None:
            try:
                await within(finished, BYE_TIMEOUT, self._clock)
            except Exception:  # a timeout, or a flow that ended: the data is safe whatever it was
                _log.debug("BYE of session {session} was not answered.", session=call.session)

    def _ask_quietly(self, dialog: Dialog, method: str, **more: Any) -> Deferred[Any] | None:  # noqa: ANN401
        asker = self.asker
        if asker is None or dialog.state is DialogState.ENDED:
            return None

        async def ask() -> None:
            _, response = await asker.ask(lambda: dialog.request(method, **more), header="Proxy-Authorization")
            if isinstance(response, Response):
                dialog.answered(response)

        return Deferred.fromCoroutine(ask()).addErrback(lambda failure: _log.debug("{method}: {failure}", method=method, failure=failure))

    def _find(self, request: Request) -> Call | None:
        return self._calls.get((request.call_id, request.to_tag, request.from_tag))

    def _forget(self, call: Call) -> None:
        if self._calls.pop(call.dialog.id, None) is not None and not call.ended.called:
            call.ended.callback(None)

    def _reject(self, request: Request, transaction: ServerTransaction, status: int, sentence: str = "", code: str = "") -> None:
        headers = [*([warning(sentence)] if sentence else []), *([error_info(code)] if code else [])]
        self._transport.respond(transaction, response_to(request, status, tag=self._tag(), headers=headers))

    def _tag(self) -> str:
        return self._token(8).hex()

    def flow_lost(self, _flow: Flow) -> None:
        """The way to the server has gone: offers cannot be answered any more, calls stay."""
        self.asker = None
        for offer in self._offers.values():
            offer.cancelled = offer.answered = True
        self._offers.clear()


def caller_of(request: Request) -> str | None:
    """The device an INVITE comes from, ``user/device``; None if it is not said.

    twsync's server says it in P-Asserted-Identity (RFC 3325), replacing whatever stood there. A stock proxy vouches for From's user only;
    then the Contact names the device, and its key has to prove it.
    """
    try:
        user = request.from_address.uri.user
        asserted = request.headers.getlist("P-Asserted-Identity")
        source = Address.parse(asserted[0]) if asserted else request.contact[0]
    except (FormatError, IndexError):
        return None
    device = source.uri.parameters.get("gr") if source.uri.user == user else None
    return f"{user}/{device}" if user and device and "/" not in user + device else None
