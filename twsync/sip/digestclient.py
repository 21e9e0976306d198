"""The client's side of digest authentication: answering a challenge, and going on with the next nonce count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sipmessage

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.digestproof import Algorithm, ha1, parse_digest, response


@dataclass(slots=True)
class _Challenge:
    """The challenge that is being answered."""

    realm: str
    nonce: str
    algorithm: Algorithm
    opaque: str | None
    secret: str
    count: int = 0


class Credentials:
    """Answers challenges, and goes on with the next nonce count on later requests.

    :param realm: if given, challenges of other realms are not answered: a password's proof goes to nobody else.
    :param algorithms: accepted ones, preferred ones first.
    """

    def __init__(self, user: str, password: str, realm: str | None = None, algorithms: Sequence[Algorithm] = tuple(Algorithm)) -> None:
        self.user = user
        self._password = password
        self._realm = realm
        self._algorithms = tuple(algorithms)
        self._challenge: _Challenge | None = None

    def challenged(self, answer: sipmessage.Response, request: sipmessage.Request | None = None) -> bool:
        """Take a 401 or 407 in.

        :param request: the request that it answers. If not given, it is taken to have carried an answer, if there ever was one.
        :returns: whether trying again makes sense: False if no challenge can be answered, or the request carried an answer and the
            server does not say that its nonce was stale (wrong password).
        """
        found = self._best([*answer.headers.getlist("WWW-Authenticate"), *answer.headers.getlist("Proxy-Authenticate")])
        if found is None:
            return False
        challenge, stale = found
        before = self._challenge
        if request is not None:
            name = "Authorization" if answer.code == 401 else "Proxy-Authorization"
            tried = before is not None and request.headers.get(name) is not None
        else:
            tried = before is not None and before.count > 0
        self._challenge = challenge
        return stale or not tried

    def authorize(self, request: sipmessage.Request, cnonce: str, header: str = "Authorization") -> bool:
        """Set Authorization or Proxy-Authorization on a request; replaces an earlier one.

        :param cnonce: at least 8 random bytes as text.
        :param header: ``Authorization`` (401) or ``Proxy-Authorization`` (407).
        :returns: False, the request unchanged, if there was no challenge yet.
        """
        challenge = self._challenge
        if challenge is None:
            return False
        challenge.count += 1
        count, uri = f"{challenge.count:08x}", str(request.uri)
        proof = response(challenge.algorithm, challenge.secret, request.method, uri, challenge.nonce, count, cnonce)
        quote = grammar.quote
        parts = [
            f"username={quote(self.user)}",
            f"realm={quote(challenge.realm)}",
            f"nonce={quote(challenge.nonce)}",
            f"uri={quote(uri)}",
            f'response="{proof}"',
            f"algorithm={challenge.algorithm}",
            f"cnonce={quote(cnonce)}",
            "qop=auth",
            f"nc={count}",
        ]
        if challenge.opaque is not None:
            parts.append(f"opaque={quote(challenge.opaque)}")
        request.headers.set(header, "Digest " + ", ".join(parts))
        return True

    def forget(self) -> None:
        """Drop the challenge, such as when the flow to the server was made anew."""
        self._challenge = None

    def _best(self, values: Sequence[str]) -> tuple[_Challenge, bool] | None:
        found: dict[Algorithm, tuple[_Challenge, bool]] = {}
        for value in values[: limits.MAX_CHALLENGES]:
            try:
                told = parse_digest(value)
            except FormatError:
                continue
            if told is None or not told.get("nonce") or "realm" not in told or (self._realm is not None and told["realm"] != self._realm):
                continue
            algorithm = next((known for known in self._algorithms if known.lower() == told.get("algorithm", "MD5").lower()), None)
            offered = [qop.strip().lower() for qop in told.get("qop", "").split(",")]
            if algorithm is None or algorithm in found or "auth" not in offered:
                continue
            secret = ha1(self.user, told["realm"], self._password, algorithm)
            challenge = _Challenge(told["realm"], told["nonce"], algorithm, told.get("opaque"), secret)
            found[algorithm] = challenge, told.get("stale", "").lower() == "true"
        return next((found[algorithm] for algorithm in self._algorithms if algorithm in found), None)
