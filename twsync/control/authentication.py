"""Who sends a request: digest credentials (RFC 3261 section 22), and whether they are looked at yet after failures."""

from __future__ import annotations

import math

from twsync.control.directory import Directory
from twsync.control.oldagents import OldAgents
from twsync.control.refusal import Refusal
from twsync.control.routing import Routes
from twsync.control.slowdown import SlowDown
from twsync.sip.digest import Lookup, Outcome, Verdict, Verifier
from twsync.sip.message import Request
from twsync.transport.siptls import Flow

#: Tells devices why they have to wait (RFC 3261 section 20.18).
FAILED_SIGN_INS = ("Error-Info", "<urn:twsync:refusal:failed-sign-ins>")


class Authentication:
    """Checks credentials and remembers which users a flow has proven to be.

    :param verifier: makes and checks challenges for the server's realm.
    :param routes: knows by which names the server is meant.
    :param directory: knows the users' secrets.
    :param slowdown: counts failures.
    """

    def __init__(self, verifier: Verifier, routes: Routes, directory: Directory, slowdown: SlowDown) -> None:
        self._verifier = verifier
        self._routes = routes
        self._old_agents = OldAgents()
        self._directory = directory
        self._slowdown = slowdown
        self._proven: dict[str, set[str]] = {}

    def examine(self, request: Request, flow: Flow, now: float, proxy: bool) -> str:
        """The user who sends a request.

        A flow that has proven to be a user is not slowed down as that user, whatever others behind its address do.

        :param proxy: whether the proxy asks (407, Proxy-Authorization) or the server itself (401, Authorization).
        :raises Refusal: the challenge, the same for a wrong password and an unknown user; 503 with Retry-After (RFC 3261 sections 21.5.4
            and 20.33), because of failures before: the password was not looked at.
        """
        values = request.headers.getlist("Proxy-Authorization" if proxy else "Authorization")
        claimed = self._verifier.claimed(values)
        if claimed is None:
            raise self._challenge(request, flow, now, proxy, stale=False)
        place = (claimed, flow.remote[0], self._known_key(claimed, flow))
        wait = 0.0 if claimed in self._proven.get(flow.id, ()) else self._slowdown.wait(*place, now)
        if wait > 0:
            seconds = math.ceil(wait)
            raise Refusal(503, f"Too many failed sign-ins, wait {seconds} s", [("Retry-After", str(seconds)), FAILED_SIGN_INS])
        verdict = self._verdict(values, request, flow, now, self._directory.secret)
        if verdict.outcome is Outcome.ACCEPTED:
            self._old_agents.answered(request, flow)
            self._proven.setdefault(flow.id, set()).add(verdict.user)
            flow.authenticated()
            return verdict.user
        if verdict.outcome is Outcome.REFUSED:
            former = self._verdict(values, request, flow, now, self._directory.former_secret)
            if former.outcome is Outcome.REFUSED:  # whoever has the password of before the last change guesses nothing
                self._slowdown.failed(*place, now)
        raise self._challenge(request, flow, now, proxy, stale=verdict.outcome is Outcome.STALE)

    def _verdict(self, values: list[str], request: Request, flow: Flow, now: float, secret: Lookup) -> Verdict:
        also = self._routes.aliases(flow)
        return self._verifier.verify(
            values, request.method, request.uri, secret, now, lambda signed: self._routes.domain.owns(signed, also)
        )  # fmt: skip

    def _challenge(self, request: Request, flow: Flow, now: float, proxy: bool, *, stale: bool) -> Refusal:
        challenges = self._old_agents.suited(self._verifier.challenges(now, stale=stale), request, flow)
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        return Refusal(407 if proxy else 401, None, [(name, challenge) for challenge in challenges])

    def _known_key(self, user: str, flow: Flow) -> str:
        """The fingerprint that a flow has proven by TLS, if it is that of one of the user's devices; else empty."""
        fingerprint = flow.peer_fingerprint or ""
        return fingerprint if fingerprint and self._directory.with_fingerprint(user, fingerprint) is not None else ""

    def proven(self, flow: Flow) -> frozenset[str]:
        """The users that a flow has proven to be."""
        return frozenset(self._proven.get(flow.id, ()))

    def forget_flow(self, flow: Flow) -> None:
        """A flow has ended."""
        self._proven.pop(flow.id, None)
        self._old_agents.forget_flow(flow)
