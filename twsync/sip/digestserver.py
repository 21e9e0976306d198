"""The server's side of digest authentication: challenges and their verification."""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sipmessage

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.digestproof import Algorithm, parse_digest, response
from twsync.sip.nonces import Nonces
from twsync.sip.values import URI

_COUNT = re.compile(r"[0-9a-fA-F]{8}")


class Outcome(enum.Enum):
    """What the server thinks of a request's credentials."""

    ACCEPTED = "accepted"
    MISSING = "missing"
    "No credentials for this realm with an algorithm that is offered: challenge."
    STALE = "stale"
    "The password is right, the nonce expired, unknown or its count already used: challenge with stale."
    REFUSED = "refused"
    "Wrong user or password, or a malformed answer: a failure to be counted; challenge."


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome and whom it is about."""

    outcome: Outcome
    user: str = ""
    "The user that the credentials claim; proven only if accepted."
    algorithm: Algorithm | None = None


#: HA1 in hexadecimal of a user, or None if there is no such user (or none for that algorithm).
Lookup = Callable[[str, Algorithm], str | None]


class Verifier:
    """The server's side: challenges and their verification.

    :param realm: the protection domain.
    :param secret: at least 16 random bytes; new at each start, as nonces of before are not to be accepted then (stale).
    :param algorithms: offered in this order.
    :param lifetime: of a nonce, seconds.
    :param window: nonce counts that may arrive out of order.
    :param nonces: nonces with a replay window in memory.
    """

    def __init__(
        self,
        realm: str,
        secret: bytes,
        algorithms: Sequence[Algorithm] = tuple(Algorithm),
        lifetime: float = limits.NONCE_LIFETIME,
        window: int = limits.NONCE_WINDOW,
        nonces: int = limits.MAX_NONCES,
    ) -> None:
        self.realm = realm
        self._secret = secret
        self._algorithms = tuple(algorithms)
        self._nonces = Nonces(secret, lifetime, window, nonces)

    def challenges(self, now: float, *, stale: bool = False) -> list[str]:
        """Header values, one per algorithm, for WWW-Authenticate or Proxy-Authenticate."""
        nonce = self._nonces.make(now)
        tail = ", stale=true" if stale else ""
        realm = grammar.quote(self.realm)
        return [f'Digest realm={realm}, nonce="{nonce}", algorithm={algorithm}, qop="auth"{tail}' for algorithm in self._algorithms]

    def claimed(self, values: Iterable[str]) -> str | None:
        """The user that `verify` would take those values for: "" if they are malformed, None if none is for this realm."""
        try:
            answer = self._answer(values)
        except FormatError:
            return ""
        return None if answer is None else answer.get("username", "")

    def verify(
        self,
        values: Iterable[str],
        method: str,
        uri: sipmessage.URI,
        lookup: Lookup,
        now: float,
        domain: Callable[[sipmessage.URI], bool] | None = None,
    ) -> Verdict:
        """Check the Authorization or Proxy-Authorization values of a request.

        :param values: all values of the header; those for other realms or schemes are passed over.
        :param uri: the Request-URI. The answer must be for it; ``sip`` or ``sips`` and the case of the host make no difference.
        :param lookup: is asked once, whether the user exists or not.
        :param domain: if given, an answer for the bare address of a URI that this accepts (`uri.Domain.owns`) passes too: SIPp and some
            old agents sign the registrar's address whatever they request. On TLS nobody can turn one request into another anyway.
        """
        try:
            answer = self._answer(values)
        except FormatError:
            return Verdict(Outcome.REFUSED)
        return Verdict(Outcome.MISSING) if answer is None else self._verify(answer, method, uri, lookup, now, domain)

    def _answer(self, values: Iterable[str]) -> Mapping[str, str] | None:
        """The first of the values that is for this realm.

        :raises FormatError: it, or one before it, is malformed.
        """
        for value in values:
            answer = parse_digest(value)
            if answer is not None and answer.get("realm") == self.realm:
                return answer
        return None

    def _verify(
        self,
        answer: Mapping[str, str],
        method: str,
        uri: sipmessage.URI,
        lookup: Lookup,
        now: float,
        domain: Callable[[sipmessage.URI], bool] | None,
    ) -> Verdict:
        user = answer.get("username", "")
        algorithm = _algorithm(answer.get("algorithm", "MD5"), self._algorithms)
        if algorithm is None:
            return Verdict(Outcome.MISSING, user)
        count, cnonce, nonce, signed = (answer.get(name, "") for name in ("nc", "cnonce", "nonce", "uri"))
        well_formed = answer.get("qop") == "auth" and cnonce != "" and _COUNT.fullmatch(count) is not None
        well_formed = _same_uri(signed, uri, domain) and well_formed
        known = lookup(user, algorithm)
        # The same work for everyone: a made-up secret stands in for a user that does not exist.
        secret = known if known is not None else self._made_up(user, algorithm)
        proof = response(algorithm, secret, method, signed, nonce, count, cnonce)
        right = hmac.compare_digest(proof.encode(), answer.get("response", "").lower().encode("utf-8", "surrogateescape"))
        if not (right and well_formed and known is not None):
            return Verdict(Outcome.REFUSED, user, algorithm)
        fresh = self._nonces.accept(nonce, int(count, 16), now)
        return Verdict(Outcome.ACCEPTED if fresh else Outcome.STALE, user, algorithm)

    def _made_up(self, user: str, algorithm: Algorithm) -> str:
        digest = hmac.digest(self._secret, f"user:{algorithm}:{user}".encode("utf-8", "surrogateescape"), hashlib.sha256)
        return digest.hex()[: 64 if algorithm is Algorithm.SHA256 else 32]


def _algorithm(name: str, offered: Sequence[Algorithm]) -> Algorithm | None:
    return next((algorithm for algorithm in offered if algorithm.lower() == name.lower()), None)


def _same_uri(signed: str, uri: sipmessage.URI, domain: Callable[[sipmessage.URI], bool] | None) -> bool:
    if signed == str(uri):
        return True
    try:
        claimed = URI.parse(signed)
    except FormatError:
        return False
    if _comparable(claimed) == _comparable(uri):
        return True
    return domain is not None and claimed.user is None and domain(claimed)


def _comparable(uri: sipmessage.URI) -> tuple[object, ...]:
    scheme = "sip" if uri.scheme == "sips" else uri.scheme
    return scheme, uri.user, uri.host.lower(), uri.port, frozenset((name.lower(), value) for name, value in uri.parameters.items())
