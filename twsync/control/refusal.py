"""A request that is not granted: what the answer to it says."""

from __future__ import annotations

from collections.abc import Iterable


class Refusal(Exception):  # noqa: N818 - an answer, not an error
    """Ends the treatment of a request; `control.signalling` turns it into the response.

    :param code: SIP status, 300 to 699.
    :param phrase: the reason for people; None takes the standard one.
    :param headers: more headers of the response.
    """

    def __init__(self, code: int, phrase: str | None = None, headers: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(f"{code} {phrase or ''}".rstrip())
        self.code = code
        self.phrase = phrase
        self.headers = tuple(headers)


def warning(realm: str, text: str) -> tuple[str, str]:
    """A Warning header for people (RFC 3261 section 20.43, code 399)."""
    return "Warning", f'399 {realm} "{text}"'
