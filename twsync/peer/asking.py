"""Requests that need an answer: sent on the present flow, with credentials where the server asks for them.

The device reuses the nonce of its registration with the next count, so that a request needs no extra round trip (RFC 7616 section 3.3);
a 401 or 407 in between (a stale nonce) is answered by the same request again, with the next CSeq (RFC 3261 section 22.2).
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from twsync.sip.digest import Credentials
from twsync.sip.message import Request, Response
from twsync.transport.siptls import ClientTransaction, Flow, Lost, SipTransport

#: Challenges answered for one request: the first one, a stale nonce, one more stale by the time it is used.
MAX_CHALLENGES = 3


class Asker:
    """Sends requests over one flow and answers challenges.

    :param token: gives that many random bytes.
    """

    def __init__(self, transport: SipTransport, flow: Flow, credentials: Credentials, token: Callable[[int], bytes]) -> None:
        self.transport = transport
        self.flow = flow
        self._credentials = credentials
        self._token = token

    def name(self) -> str:
        """A fresh tag or Call-ID: 128 random bits, as text."""
        return self._token(16).hex()

    async def ask(
        self,
        build: Callable[[], Request],
        *,
        header: str = "Authorization",
        again: Callable[[Response], None] | None = None,
        started: Callable[[Request, ClientTransaction], None] | None = None,
    ) -> tuple[Request, Response | Lost]:
        """Send what `build` makes, and wait for the final response.

        :param build: called once more, for a new request with the next sequence number, after each challenge that can be answered.
        :param header: where the credentials go: ``Authorization`` for the server itself, ``Proxy-Authorization`` for what it passes on.
        :param again: told of further 2xx to an INVITE (repetitions, forks).
        :param started: told of each transaction, so that it can be cancelled.
        :returns: the request as it was sent last, and its final response. A 401 or 407 means that the credentials were refused.
        """
        challenges = 0
        while True:
            request = build()
            self._credentials.authorize(request, self._token(16).hex(), header)
            answer: Deferred[Response | Lost] = Deferred()

            def heard(response: Response | Lost, answer: Deferred[Response | Lost] = answer) -> None:
                if isinstance(response, Response) and response.code < 200:
                    return
                if not answer.called:
                    answer.callback(response)
                elif isinstance(response, Response) and again is not None:
                    again(response)

            transaction = self.transport.request(self.flow, request, heard)
            if started is not None:
                started(request, transaction)
            response = await answer
            if not isinstance(response, Response) or response.code not in (401, 407):
                return request, response
            if challenges == MAX_CHALLENGES or not self._credentials.challenged(response):
                return request, response
            challenges += 1
