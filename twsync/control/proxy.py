"""The stateful, record-routing proxy (RFC 3261 section 16): brings a call to the callee's devices and keeps to the way of its dialog.

What belongs to a dialog follows the dialog table; all else is addressed to a user or a device of this domain, needs a user who has proven
to be one, and the policy's consent.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from twsync import limits
from twsync.control.calling import Call, Calling
from twsync.control.dialogs import Dialog, DialogTable, Party
from twsync.control.directory import Directory
from twsync.control.forking import Failure, Forking, Target
from twsync.control.ladder import Ladder
from twsync.control.location import Binding, Location
from twsync.control.offers import PROGRESS_MEDIA
from twsync.control.pending import Pending, turned_round
from twsync.control.policy import Policy
from twsync.control.refusal import Refusal, warning
from twsync.control.routing import ASSERTED, Routes, back, check_extensions, check_forwards, check_size, onward
from twsync.control.sessions import Sessions
from twsync.sip.message import Request, Response, response_to
from twsync.transport.interfaces import Clock
from twsync.transport.siptls import Flow, ServerTransaction, SipTransport

#: The text of the Warning that tells a caller that the request is kept.
STORED = "request stored"


class Proxy:
    """Passes requests on."""

    _log = Logger()

    def __init__(
        self, *, transport: SipTransport, clock: Clock, token: Callable[[int], bytes], routes: Routes, policy: Policy,
        directory: Directory, location: Location, dialogs: DialogTable, pending: Pending, sessions: Sessions, ladder: Ladder,
    ) -> None:  # fmt: skip
        self._transport = transport
        self._clock = clock
        self._token = token
        self._routes = routes
        self._directory = directory
        self._calling = Calling(routes, policy, directory, location, pending)
        self._dialogs = dialogs
        self._pending = pending
        self._sessions = sessions
        self._ladder = ladder
        self._under_way: dict[ServerTransaction, Forking] = {}
        self._under_way_keys: set[tuple[str, str, int, str]] = set()

    # --- outside dialogs -----------------------------------------------------------------------------------------------------------

    def forward(self, request: Request, flow: Flow, transaction: ServerTransaction, user: str) -> None:
        """Pass on a request of `user` to the devices of the user or the device that its Request-URI names.

        :raises Refusal: it is not passed on.
        :raises FormatError: a header is malformed.
        """
        self._check_loop(request)
        self._routes.strip_own(request, flow)
        call = self._calling.call(request, flow, user)
        bindings = self._calling.bindings(call)
        if not bindings:
            raise self._unavailable(call)
        if request.method == "INVITE" and len(self._dialogs) + len(self._under_way) >= limits.MAX_DIALOGS:
            raise Refusal(503, "Too many calls", [("Retry-After", "10")])
        targets = [Target(binding.flow, self._addressed(call, binding), binding) for binding in bindings]
        invite = request.method == "INVITE"
        if invite and call.offer is not None and self._sessions.begin(request.call_id, call.caller.full_name, call.callee, call.offer):
            self._ladder.begin(request.call_id, flow, bindings[0].flow)
        early: list[Dialog] = []
        confirmed: list[Dialog] = []

        def accepted(response: Response, target: Target) -> None:
            if not invite:
                if call.offer is not None and target.binding is not None:
                    self._pending.permit(target.binding.full_name, call.caller.full_name, call.offer.collection)
                return
            dialog = self._establish(call, response, target)
            (confirmed if dialog.confirmed else early).append(dialog)
            if dialog.confirmed:
                self._sessions.running(request.call_id, call.caller.full_name)

        def failed(failure: Failure) -> Response:
            if failure.unreachable and call.offer is not None:
                refusal = self._unavailable(call)
                return self._response(request, refusal)
            if invite:
                self._sessions.end(request.call_id, call.caller.full_name, "failed", f"{failure.response.code} {failure.response.phrase}")
            return failure.response

        def done() -> None:
            for dialog in early:
                if not dialog.confirmed:
                    self._dialogs.remove(dialog)

        self._pass_on(request, flow, transaction, targets, accepted, failed, done)

    def _unavailable(self, call: Call) -> Refusal:
        """The answer for a callee who is not there. A session's request is kept for the device, if it is one of ours."""
        request, offer = call.request, call.offer
        device = None if call.device is None else self._directory.device(call.user, call.device)
        if offer is None or device is None or device.fingerprint is None or not call.caller.device:
            self._sessions.end(request.call_id, call.caller.full_name, "failed", "480 Temporarily Unavailable")
            return Refusal(480)
        sync_type = offer.sync_type if offer.partner else turned_round(offer.sync_type)
        if not self._pending.store(call.caller.full_name, call.user, device.name, offer.collection, sync_type):
            self._sessions.end(request.call_id, call.caller.full_name, "failed", "480 Temporarily Unavailable")
            return Refusal(480, None, [warning(self._routes.domain.realm, "too many requests wait for this device already")])
        if request.method == "INVITE":
            self._sessions.begin(request.call_id, call.caller.full_name, call.callee, offer)
            self._sessions.end(request.call_id, call.caller.full_name, "stored", "480 Temporarily Unavailable")
        return Refusal(480, None, [warning(self._routes.domain.realm, STORED)])

    def _addressed(self, call: Call, binding: Binding) -> Request:
        copy = onward(call.request, binding.contact, binding.path)
        # RFC 3325: who calls, in this server's words, in place of anything that the caller may have written there.
        asserted = self._routes.domain.uri(call.caller.user, call.caller.device or None)
        copy.headers.set(ASSERTED, f"<{asserted}>")
        if copy.method in ("INVITE", "SUBSCRIBE"):
            self._routes.record(copy, call.flow, binding.flow)
        check_size(copy)
        return copy

    def _establish(self, call: Call, response: Response, target: Target) -> Dialog:
        binding = target.binding
        assert binding is not None  # out of dialogs every target is a contact
        callee = Party(binding.user, binding.device, binding.flow)
        now = self._clock.seconds()
        tags = call.request.from_tag, response.to_tag
        return self._dialogs.establish(Dialog(call.request.call_id, *tags, call.caller, callee, response.code >= 200, now))

    # --- both ----------------------------------------------------------------------------------------------------------------------

    def _pass_on(
        self, request: Request, flow: Flow, transaction: ServerTransaction, targets: list[Target],
        accepted: Callable[[Response, Target], None], failed: Callable[[Failure], Response], done: Callable[[], None],
    ) -> None:  # fmt: skip
        key = _key(request)
        if request.method == "INVITE":
            self._transport.respond(transaction, response_to(request, 100))

        def finished() -> None:
            self._under_way.pop(transaction, None)
            self._under_way_keys.discard(key)
            done()

        forking = Forking(
            self._transport, self._clock, request, flow, transaction,
            tag=self._token(8).hex(), on_accepted=accepted, on_failed=failed, on_done=finished,
        )  # fmt: skip
        self._under_way[transaction] = forking
        self._under_way_keys.add(key)
        forking.start(targets)

    def _check_loop(self, request: Request) -> None:
        """The same request by another way: it was forked before it came here, or has come back (sections 8.2.2.2, 16.3 step 4)."""
        if _key(request) in self._under_way_keys:
            raise Refusal(482)

    def _response(self, request: Request, refusal: Refusal) -> Response:
        return response_to(request, refusal.code, refusal.phrase, tag=self._token(8).hex(), headers=refusal.headers)

    def cancel(self, transaction: ServerTransaction) -> None:
        """The caller has cancelled this INVITE. What the callees answer then goes back."""
        forking = self._under_way.get(transaction)
        if forking is not None:
            forking.cancel()

    # --- inside dialogs ------------------------------------------------------------------------------------------------------------

    def in_dialog(self, request: Request, flow: Flow, transaction: ServerTransaction, proven: frozenset[str]) -> None:
        """Pass on a request inside a dialog to its other side.

        :param proven: the users that the flow has proven to be.
        :raises Refusal: 481, there is no such dialog, or it is none of the sender's; 480, the other side is not there.
        """
        dialog, target = self._other_side(request, flow, proven)
        check_forwards(request)
        check_extensions(request, frozenset(), "Proxy-Require")
        check_size(request)
        self._check_loop(request)
        dialog.heard = self._clock.seconds()
        if request.method == "INFO" and request.media_type == PROGRESS_MEDIA:
            self._sessions.progressed(dialog.call_id, dialog.caller.full_name, request.body)
        if request.method == "BYE":
            dialog.ending = True
        if target is None:
            if dialog.ending:
                self._ended(dialog)
            raise Refusal(480)
        copy = onward(request, None)
        if request.method == "INVITE":
            self._routes.record(copy, flow, target)
            check_size(copy)
        # While a BYE is on its way the dialog still stands: what crosses it has to find the other side (section 15.1.2).
        self._pass_on(
            request, flow, transaction, [Target(target, copy)],
            lambda response, target: None, lambda failure: failure.response, lambda: self._ended(dialog) if dialog.ending else None,
        )  # fmt: skip

    def acknowledge(self, request: Request, flow: Flow, proven: frozenset[str]) -> None:
        """Pass on the ACK of a 2xx. It is never answered; one that belongs nowhere is dropped."""
        try:
            dialog, target = self._other_side(request, flow, proven)
            check_forwards(request)
            copy = onward(request, None)
            check_size(copy)
        except Refusal:
            return
        if target is not None:
            dialog.heard = self._clock.seconds()
            self._transport.send(target, copy)

    def stray(self, response: Response) -> None:
        """Pass on a 2xx to an INVITE whose transaction is over: the caller has to acknowledge it again (section 16.7, step 5)."""
        found = self._dialogs.find(response.call_id, response.from_tag, response.to_tag)
        if found is None or response.cseq.method != "INVITE" or not 200 <= response.code < 300 or len(response.via) < 2:
            return
        dialog, forward = found
        target = self._dialogs.flow_of(dialog.caller if forward else dialog.callee)
        if target is not None:
            self._transport.send(target, back(response))

    def _other_side(self, request: Request, flow: Flow, proven: frozenset[str]) -> tuple[Dialog, Flow | None]:
        found = self._dialogs.find(request.call_id, request.from_tag, request.to_tag)
        if found is None:
            raise Refusal(481)
        dialog, forward = found
        sender, receiver = (dialog.caller, dialog.callee) if forward else (dialog.callee, dialog.caller)
        if not self._dialogs.sends(sender, flow, proven):
            raise Refusal(481)
        sender.flow = flow
        self._routes.strip_own(request, flow)
        return dialog, self._dialogs.flow_of(receiver)

    def _ended(self, dialog: Dialog) -> None:
        self._dialogs.remove(dialog)
        self._sessions.end(dialog.call_id, dialog.caller.full_name, "done")

    # --- what time and flows bring -------------------------------------------------------------------------------------------------

    def flow_closed(self, flow: Flow) -> None:
        """A caller who is gone does not want its calls any more."""
        for forking in list(self._under_way.values()):
            if forking.came is flow:
                forking.cancel()

    def recycle(self) -> None:
        """Give up the dialogs that nobody holds any more."""
        for dialog in self._dialogs.recycle(self._clock.seconds()):
            self._sessions.end(dialog.call_id, dialog.caller.full_name, "lost", "both devices lost the connection to the server")
            self._log.info("dialog {call_id} recycled", call_id=dialog.call_id)


def _key(request: Request) -> tuple[str, str, int, str]:
    return request.call_id, request.from_tag, request.cseq.sequence, request.method
