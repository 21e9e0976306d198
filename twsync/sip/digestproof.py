"""What both sides of digest authentication compute (RFC 7616, 8760; RFC 3261 section 22)."""

from __future__ import annotations

import enum
import hashlib

from twsync.errors import FormatError
from twsync.sip import grammar


class Algorithm(enum.StrEnum):
    """Hash algorithms, strongest first."""

    SHA256 = "SHA-256"
    MD5 = "MD5"


def ha1(user: str, realm: str, password: str, algorithm: Algorithm) -> str:
    """The stored secret of a user: H(user ":" realm ":" password), hexadecimal."""
    return _hash(algorithm, f"{user}:{realm}:{password}")


def response(algorithm: Algorithm, secret: str, method: str, uri: str, nonce: str, count: str, cnonce: str) -> str:
    """The proof of a request (RFC 7616 section 3.4.1), for ``qop=auth``.

    :param secret: HA1, hexadecimal.
    :param count: the nonce count, eight hexadecimal digits.
    """
    return _hash(algorithm, f"{secret}:{nonce}:{count}:{cnonce}:auth:{_hash(algorithm, f'{method}:{uri}')}")


def parse_digest(value: str) -> dict[str, str] | None:
    """The parameters of a Digest challenge or answer, names in lower case, values without quotes; None for another scheme.

    :raises FormatError: if they are malformed or one comes twice.
    """
    scheme, _, rest = value.strip(" \t").partition(" ")
    if scheme.lower() != "digest":
        return None
    parameters: dict[str, str] = {}
    for part in _split(rest):
        name, equals, raw = part.partition("=")
        name, raw = name.strip(" \t").lower(), raw.strip(" \t")
        if not equals or not grammar.is_token(name) or name in parameters:
            raise FormatError("Digest parameters are malformed.")
        parameters[name] = grammar.unquote(raw)
    return parameters


def _hash(algorithm: Algorithm, text: str) -> str:
    name = "sha256" if algorithm is Algorithm.SHA256 else "md5"
    return hashlib.new(name, text.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()


def _split(text: str) -> list[str]:
    # Angle brackets mean nothing here, so this is not `grammar.split`.
    parts: list[str] = []
    start = position = 0
    while position < len(text):
        if text[position] == '"':
            position = grammar.quoted_end(text, position)
        else:
            if text[position] == ",":
                parts.append(text[start:position])
                start = position + 1
            position += 1
    return [*parts, text[start:]]
