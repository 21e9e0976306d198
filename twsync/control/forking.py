"""One request on its way to the contacts of its callee, and the answer on its way back (RFC 3261 sections 16.6 and 16.7).

All contacts are tried at once. The first 2xx wins and the others are cancelled; without one the best of the other answers goes back when
all are there. A flow that dies, or stays silent, counts as an answer of its own kind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from twsync import limits
from twsync.control.location import Binding
from twsync.control.routing import back
from twsync.sip.message import Request, Response, response_to
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.siptls import ClientTransaction, Flow, Lost, ServerTransaction, SipTransport


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request goes, and as what."""

    flow: Flow
    request: Request
    binding: Binding | None = None
    "None inside a dialog."


@dataclass(slots=True, eq=False)
class _Branch:
    target: Target
    transaction: ClientTransaction | None = None
    final: Response | Lost | None = None
    silence: Delayed | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """How a request ended without success."""

    response: Response
    "The best answer, ready to go back."
    unreachable: bool
    "Whether no device answered: flows died or stayed silent."


class Forking:
    """Forwards one request to its targets and brings one answer back.

    :param came: the flow that the request came by.
    :param on_accepted: is told of each 2xx and each provisional response that makes a dialog, with its target, before it goes back.
    :param on_failed: is given the failure; what it returns is sent back.
    :param on_done: is called once, when nothing more is to come.
    """

    def __init__(
        self, transport: SipTransport, clock: Clock, request: Request, came: Flow, transaction: ServerTransaction, *, tag: str,
        on_accepted: Callable[[Response, Target], None], on_failed: Callable[[Failure], Response], on_done: Callable[[], None],
    ) -> None:  # fmt: skip
        self._transport = transport
        self._clock = clock
        self._request = request
        self.came = came
        self._transaction = transaction
        self._tag = tag
        self._on_accepted = on_accepted
        self._on_failed = on_failed
        self._on_done = on_done
        self._branches: list[_Branch] = []
        self._ringing: Delayed | None = None
        self._answered = False
        self._finished = False

    def start(self, targets: Sequence[Target]) -> None:
        """Forward to all of them."""
        invite = self._request.method == "INVITE"
        self._branches = [_Branch(target) for target in targets]
        if invite:
            self._ringing = self._clock.callLater(limits.RINGING_TIMEOUT, self._ringing_too_long)
        for branch in self._branches:
            if invite and branch.target.binding is not None and branch.target.binding.fingerprint is not None:
                branch.silence = self._clock.callLater(limits.SIGN_OF_LIFE_TIMEOUT, branch.target.flow.close, "no answer to an INVITE")
            branch.transaction = self._transport.request(branch.target.flow, branch.target.request, self._hear(branch))

    def cancel(self) -> None:
        """The caller has cancelled, or is gone: call the open branches off. What they answer still goes back."""
        for branch in self._branches:
            if branch.final is None and branch.transaction is not None and self._request.method == "INVITE":
                self._transport.cancel(branch.transaction)

    def _ringing_too_long(self) -> None:
        self._ringing = None
        self.cancel()

    def _hear(self, branch: _Branch) -> Callable[[Response | Lost], None]:
        def heard(answer: Response | Lost) -> None:
            if branch.silence is not None and branch.silence.active():
                branch.silence.cancel()
            branch.silence = None
            if isinstance(answer, Lost):
                self._lost(branch, answer)
            elif answer.code < 200:
                self._provisional(branch, answer)
            elif answer.code < 300:
                self._success(branch, answer)
            else:
                self._failure(branch, answer)

        return heard

    def _provisional(self, branch: _Branch, response: Response) -> None:
        if response.code == 100 or self._answered or branch.final is not None:
            return
        if self._ringing is not None:  # section 16.7, step 2
            self._ringing.cancel()
            self._ringing = self._clock.callLater(limits.RINGING_TIMEOUT, self._ringing_too_long)
        if response.to_tag:
            self._on_accepted(response, branch.target)
        self._transport.respond(self._transaction, back(response))

    def _success(self, branch: _Branch, response: Response) -> None:
        # Every 2xx to an INVITE goes back, also a second fork's and a repetition (section 16.7, step 5): the caller acknowledges each.
        if self._request.method != "INVITE" and self._answered:
            return
        branch.final = response
        self._answered = True
        self._on_accepted(response, branch.target)
        self._transport.respond(self._transaction, back(response))
        self.cancel()
        self._settle()

    def _failure(self, branch: _Branch, response: Response) -> None:
        branch.final = response
        if response.code >= 600:
            self.cancel()
        self._settle()

    def _lost(self, branch: _Branch, lost: Lost) -> None:
        if branch.final is None:
            branch.final = lost
        self._settle()

    def _settle(self) -> None:
        if self._finished or not all(branch.final is not None for branch in self._branches):
            return
        self._finished = True
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None
        if not self._answered:
            self._transport.respond(self._transaction, self._on_failed(self._best()))
        self._on_done()

    def _best(self) -> Failure:
        responses = [branch.final for branch in self._branches if isinstance(branch.final, Response)]
        if not responses:
            flows = all(branch.final is Lost.FLOW for branch in self._branches)
            return Failure(response_to(self._request, 480 if flows else 408, tag=self._tag), unreachable=True)
        best = min(responses, key=rank)
        response = back(best)
        if best.code == 503:  # section 16.7, step 6: it speaks of that one server, not of the user
            response.code, response.phrase = 500, "Server Internal Error"
        return Failure(response, unreachable=False)


def rank(response: Response) -> tuple[int, int]:
    """How good a failure is to tell the caller, the smallest first (section 16.7, step 6): 6xx, then the lowest class.

    Within 4xx first what the caller can do something about; 487 and 408 last, as they only say that nobody answered.
    """
    telling = (401, 407, 415, 420, 484)
    inner = 0 if response.code in telling else 2 if response.code in (408, 487) else 1
    return (0 if response.code >= 600 else response.code // 100, inner)
