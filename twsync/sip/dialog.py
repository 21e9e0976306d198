"""Dialogs (RFC 3261 section 12): who talks with whom, by which route, with which sequence numbers."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

import sipmessage

from twsync import limits
from twsync.errors import FormatError, ProtocolError
from twsync.sip.message import CSeq, Message, Request, adopt
from twsync.sip.values import URI, Address

#: Requests whose Contact replaces the other side's target (RFC 3261 section 12.2, RFC 3311, 6665, 3515).
_TARGET_REFRESH = frozenset(("INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"))


class DialogState(enum.Enum):
    """Where a dialog stands."""

    EARLY = "early"
    CONFIRMED = "confirmed"
    ENDED = "ended"


@dataclass(slots=True)
class Dialog:
    """One side's view of a dialog."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    "The own From/To value with tag, as it is written in requests."
    remote: str
    "The other side's, with tag."
    remote_target: str
    "The URI that in-dialog requests go to: the other side's Contact."
    route_set: tuple[str, ...]
    "Route values in the order in which requests carry them."
    local_seq: int
    remote_seq: int | None
    state: DialogState
    contact: str = ""
    "The own Contact value, written in target refresh requests."

    @classmethod
    def from_response(cls, request: sipmessage.Request, response: sipmessage.Response) -> Dialog:
        """The caller's dialog (UAC) from its request as sent and a 101-299 response (section 12.1.2).

        :raises FormatError: if the response has no To tag or no Contact.
        """
        sent, answer = adopt(request), adopt(response)
        if not answer.to_tag:
            raise FormatError("A response that makes a dialog must have a To tag.")
        return cls(
            call_id=answer.call_id,
            local_tag=sent.from_tag,
            remote_tag=answer.to_tag,
            local=sent.headers["From"],
            remote=answer.headers["To"],
            remote_target=_target(answer),
            # The caller meets last what recorded itself first.
            route_set=tuple(reversed(_record_route(answer))),
            local_seq=sent.cseq.sequence,
            remote_seq=None,
            state=DialogState.CONFIRMED if response.code >= 200 else DialogState.EARLY,
            contact=sent.headers.get("Contact") or "",
        )

    @classmethod
    def from_request(cls, request: sipmessage.Request, response: sipmessage.Response) -> Dialog:
        """The callee's dialog (UAS) from a received request and the own 101-299 response, which has tag and Contact (section 12.1.1).

        :raises FormatError: if the request has no Contact, or the response no To tag.
        """
        asked, answer = adopt(request), adopt(response)
        if not answer.to_tag:
            raise FormatError("A response that makes a dialog must have a To tag.")
        return cls(
            call_id=asked.call_id,
            local_tag=answer.to_tag,
            remote_tag=asked.from_tag,
            local=answer.headers["To"],
            remote=asked.headers["From"],
            remote_target=_target(asked),
            route_set=tuple(_record_route(asked)),
            local_seq=0,
            remote_seq=asked.cseq.sequence,
            state=DialogState.CONFIRMED if response.code >= 200 else DialogState.EARLY,
            contact=answer.headers.get("Contact") or "",
        )

    @property
    def id(self) -> tuple[str, str, str]:
        """Call-ID, local tag, remote tag."""
        return self.call_id, self.local_tag, self.remote_tag

    def matches(self, request: sipmessage.Request) -> bool:
        """Whether a received request belongs to this dialog: its Call-ID, To tag = local tag, From tag = remote tag."""
        return dialog_id(adopt(request), local_is_from=False) == self.id

    def request(self, method: str, *, body: bytes = b"", content_type: str = "", headers: Iterable[tuple[str, str]] = ()) -> Request:
        """The next in-dialog request (section 12.2.1.1), without Via.

        :raises ProtocolError: if the dialog has ended, or no sequence number is left.
        """
        if self.state is DialogState.ENDED:
            raise ProtocolError("The dialog has ended.", "dialog-ended")
        if self.local_seq >= limits.MAX_CSEQ:
            raise ProtocolError("The dialog has used up its sequence numbers.", "dialog-ended")
        self.local_seq += 1
        request = self._in_dialog(method, self.local_seq, body)
        if self.contact and method in _TARGET_REFRESH:
            request.headers.set("Contact", self.contact)
        if content_type:
            request.headers.set("Content-Type", content_type)
        for name, value in headers:
            request.headers.add(name, value)
        return request

    def ack(self, invite: sipmessage.Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
        """The ACK for a 2xx to this INVITE (section 13.2.2.4); sent outside transactions, for each 2xx that comes.

        :param headers: the INVITE's credentials are to be repeated here (section 22.1), where a proxy asked for them.
        """
        request = self._in_dialog("ACK", adopt(invite).cseq.sequence, b"")
        for name, value in headers:
            request.headers.add(name, value)
        return request

    def _in_dialog(self, method: str, sequence: int, body: bytes) -> Request:
        target = self.remote_target
        routes = list(self.route_set)
        if routes and "lr" not in Address.parse(routes[0]).uri.parameters:
            # A strict router wants to find itself in the Request-URI, and the target at the end of the route.
            target, routes = str(Address.parse(routes[0]).uri), [*routes[1:], f"<{target}>"]
        request = Request(method, URI.parse(target), body)
        if routes:
            request.headers.setlist("Route", routes)
        request.headers.set("Max-Forwards", str(limits.MAX_FORWARDS))
        request.headers.set("From", self.local)
        request.headers.set("To", self.remote)
        request.headers.set("Call-ID", self.call_id)
        request.cseq = CSeq(sequence=sequence, method=method)
        return request

    def received(self, request: sipmessage.Request) -> None:
        """Check a received in-dialog request and take its sequence number and Contact over (section 12.2.2). BYE ends the dialog.

        ACK and CANCEL carry the number of their INVITE, and change nothing.

        :raises ProtocolError: if its sequence number is not above the last; the answer is 500 (code ``cseq``).
        """
        asked = adopt(request)
        if request.method in ("ACK", "CANCEL"):
            return
        sequence = asked.cseq.sequence
        if self.remote_seq is not None and sequence <= self.remote_seq:
            raise ProtocolError("A request came out of order.", "cseq")
        self.remote_seq = sequence
        if request.method == "BYE":
            self.end()
        elif request.method in _TARGET_REFRESH:
            self._refresh_target(asked)

    def answered(self, response: sipmessage.Response) -> None:
        """Take a response to an own request of this dialog over, the one that made it included.

        A 2xx to INVITE confirms and refreshes the target. The dialog ends with an answer to BYE (unless it asks for credentials), with 408
        or 481 to anything (section 12.2.1.2), and an early one with a failure of its INVITE.
        """
        answer = adopt(response)
        method = answer.cseq.method
        if response.code < 200 or self.state is DialogState.ENDED:
            return
        if response.code < 300:
            if method in _TARGET_REFRESH:
                self._refresh_target(answer)
            if self.state is DialogState.EARLY and method in ("INVITE", "SUBSCRIBE"):
                self.state = DialogState.CONFIRMED
                if self.remote_seq is None:
                    # Proxies may have left since the provisional response (section 13.2.2.4).
                    self.route_set = tuple(reversed(_record_route(answer)))
        over = response.code in (408, 481) or (method == "BYE" and response.code not in (401, 407))
        if over or (response.code >= 300 and self.state is DialogState.EARLY and method == "INVITE"):
            self.end()

    def _refresh_target(self, message: Message) -> None:
        if message.headers.getlist("Contact"):
            self.remote_target = _target(message)

    def end(self) -> None:
        """The dialog is over."""
        self.state = DialogState.ENDED


def dialog_id(message: Message, local_is_from: bool) -> tuple[str, str, str]:
    """Call-ID, local tag, remote tag of a message: From is the local side in own requests and in responses to them."""
    tags = (message.from_tag, message.to_tag)
    return (message.call_id, *(tags if local_is_from else tags[::-1]))


def _target(message: Message) -> str:
    contacts = message.contact
    if not contacts:
        raise FormatError("A message that makes a dialog must have a Contact.")
    return str(contacts[0].uri)


def _record_route(message: Message) -> list[str]:
    return [str(address) for address in message.record_route]
