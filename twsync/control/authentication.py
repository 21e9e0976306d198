"""Who sends a request: digest credentials (RFC 3261 section 22), and how long an attempt has to wait after failures."""

from __future__ import annotations

from twsync.control.directory import Directory
from twsync.control.oldagents import OldAgents
from twsync.control.refusal import Refusal
from twsync.control.routing import Routes
from twsync.control.slowdown import SlowDown
from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.digest import Outcome, Verifier
from twsync.sip.message import Request
from twsync.transport.siptls import Flow


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

    def wait(self, request: Request, flow: Flow, now: float, proxy: bool) -> float:
        """Seconds to wait before `examine`; mostly 0.

        A flow that has proven to be a user is not slowed down as that user, whatever others behind its address do.

        :raises Refusal: 503, because too many attempts wait already.
        """
        values = request.headers.getlist(_header(proxy))
        user = _claimed_user(values)
        if not values or user in self._proven.get(flow.id, ()):
            return 0.0
        wait = self._slowdown.wait(user, flow.remote[0], now)
        if wait is None:
            raise Refusal(503, "Too many failed sign-ins", [("Retry-After", "60")])
        return wait

    def examine(self, request: Request, flow: Flow, now: float, proxy: bool) -> str:
        """The user who sends a request.

        :param proxy: whether the proxy asks (407, Proxy-Authorization) or the server itself (401, Authorization).
        :raises Refusal: the challenge. It is the same for a wrong password and an unknown user.
        """
        values = request.headers.getlist(_header(proxy))
        also = self._routes.aliases(flow)
        verdict = self._verifier.verify(
            values, request.method, request.uri, self._directory.secret, now, lambda signed: self._routes.domain.owns(signed, also)
        )
        if verdict.outcome is Outcome.ACCEPTED:
            self._old_agents.answered(request, flow)
            self._proven.setdefault(flow.id, set()).add(verdict.user)
            flow.authenticated()
            return verdict.user
        if verdict.outcome is Outcome.REFUSED:
            self._slowdown.failed(_claimed_user(values), flow.remote[0], now)
        challenges = self._old_agents.suited(self._verifier.challenges(now, stale=verdict.outcome is Outcome.STALE), request, flow)
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        raise Refusal(407 if proxy else 401, None, [(name, challenge) for challenge in challenges])

    def proven(self, flow: Flow) -> frozenset[str]:
        """The users that a flow has proven to be."""
        return frozenset(self._proven.get(flow.id, ()))

    def forget_flow(self, flow: Flow) -> None:
        """A flow has ended."""
        self._proven.pop(flow.id, None)
        self._old_agents.forget_flow(flow)


def _header(proxy: bool) -> str:
    return "Proxy-Authorization" if proxy else "Authorization"


def _claimed_user(values: list[str]) -> str:
    """The user name of the first credentials that have one; what is malformed claims nobody."""
    for value in values:
        try:
            for part in grammar.split(value.partition(" ")[2], ","):
                name, equals, raw = part.partition("=")
                if equals and name.strip().lower() == "username":
                    return grammar.unquote(raw.strip())
        except FormatError:
            continue
    return ""
