"""URI, address and Via of RFC 3261, as `sipmessage` names them, with parsing and writing of our own.

Each class is a subclass of its namesake in `sipmessage`, so code written for that package takes them. What differs, and why:
parameters keep quoted strings whole and are found whatever their case; header parameters are not percent-decoded (``%`` is a plain
character there, so a tag would change); ``+sip.instance`` survives writing; URIs may have headers, host names may end in a digit or
hold underscores, unknown schemes are kept for a 416; a parameter named ``self`` is no TypeError.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass, field
from functools import lru_cache

import sipmessage
from sipmessage import grammar as _upstream

from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.parameters import Parameters

__all__ = ["URI", "Address", "Parameters", "Via", "split_host_port"]

#: Values of headers that are kept as they were read, of each kind.
_KEPT = 64

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*")
_ESCAPES = re.compile(r"(?:[^%]|%[0-9A-Fa-f]{2})*")
_USER = re.compile("[" + re.escape(_upstream.C_USER_SAFE + "%") + "]+")
_PASSWORD = re.compile("[" + re.escape(_upstream.C_PASSWORD_SAFE + "%") + "]*")
_URI_PARAMETER = re.compile("[" + re.escape(_upstream.C_URI_PARAM_SAFE + "%") + "]+")
_OPAQUE = re.compile(r"[!-~]+")
_URI_HEADERS = re.compile("[" + re.escape(_upstream.C_UNRESERVED + "[]/?:+$%&=") + "]+")
_DISPLAY = re.compile(r"[A-Za-z0-9\-.!%*_+`'~ \t\u0080-\U0010ffff]*")
_TRANSPORT = re.compile(
    r"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*(?P<transport>[A-Za-z0-9\-.!%*_+`'~]+)[ \t]+(?P<rest>.*)", re.DOTALL | re.IGNORECASE
)


@dataclass(frozen=True)
class URI(sipmessage.URI):
    """A SIP or SIPS URI (RFC 3261 section 19.1), or a URI of another scheme kept as it is."""

    parameters: sipmessage.Parameters = field(default_factory=Parameters)
    headers: str = ""
    "What stands behind ``?``, still escaped."
    opaque: str = ""
    "Everything behind the scheme's colon, if the scheme is neither sip nor sips; host is empty then."

    @classmethod
    def parse(cls, value: str) -> URI:
        """Read a URI.

        :raises FormatError: if it is malformed.
        """
        scheme, colon, rest = value.partition(":")
        if not colon or _SCHEME.fullmatch(scheme) is None or _ESCAPES.fullmatch(rest) is None:
            raise FormatError("A URI is malformed.")
        scheme = scheme.lower()
        if scheme not in ("sip", "sips"):
            if _OPAQUE.fullmatch(rest) is None or any(character in rest for character in '<>"'):
                raise FormatError("A URI is malformed.")
            return cls(scheme=scheme, host="", opaque=rest)
        return cls._parse_sip(scheme, rest)

    @classmethod
    def _parse_sip(cls, scheme: str, rest: str) -> URI:
        userinfo, at, hostpart = rest.rpartition("@")
        user = password = None
        if at:
            raw_user, colon, raw_password = userinfo.partition(":")
            if _USER.fullmatch(raw_user) is None or (colon and _PASSWORD.fullmatch(raw_password) is None):
                raise FormatError("A URI's user is malformed.")
            user = _unescape(raw_user)
            password = _unescape(raw_password) if colon else None
        hostpart, question, headers = hostpart.partition("?")
        if question and _URI_HEADERS.fullmatch(headers) is None:
            raise FormatError("A URI's headers are malformed.")
        address, *raw_parameters = hostpart.split(";")
        host, port = split_host_port(address)
        pairs: list[tuple[str, str | None]] = []
        for raw in raw_parameters:
            name, equals, text = raw.partition("=")
            if _URI_PARAMETER.fullmatch(name) is None or (equals and _URI_PARAMETER.fullmatch(text) is None):
                raise FormatError("A URI's parameter is malformed.")
            pairs.append((_unescape(name), _unescape(text) if equals else None))
        parameters = Parameters(pairs)
        if len(parameters) != len(pairs):
            raise FormatError("A URI's parameter comes twice.")
        return cls(scheme=scheme, host=host, user=user, password=password, port=port, parameters=parameters, headers=headers)

    def __str__(self) -> str:
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        if self.scheme not in ("sip", "sips"):
            return super().__str__()
        text = self.scheme + ":"
        if self.user is not None:
            text += _escape(self.user, _upstream.C_USER_SAFE)
            if self.password is not None:
                text += ":" + _escape(self.password, _upstream.C_PASSWORD_SAFE)
            text += "@"
        text += self.host if self.port is None else f"{self.host}:{self.port}"
        for name, value in self.parameters.items():
            text += ";" + _escape(name, _upstream.C_URI_PARAM_SAFE)
            if value is not None:
                text += "=" + _escape(value, _upstream.C_URI_PARAM_SAFE)
        return text + ("?" + self.headers if self.headers else "")


@dataclass(frozen=True)
class Address(sipmessage.Address):
    """A name-addr or addr-spec with its header parameters: From, To, Contact, Route, Record-Route."""

    parameters: sipmessage.Parameters = field(default_factory=Parameters)

    @classmethod
    def parse(cls, value: str) -> Address:
        """Read one address.

        :raises FormatError: if it is malformed or there are several.
        """
        found = cls.parse_list(value)
        if len(found) != 1:
            raise FormatError("There must be one address.")
        return found[0]

    @classmethod
    def parse_list(cls, value: str) -> list[Address]:
        """Read a comma-separated list of addresses.

        :raises FormatError: if one is malformed.
        """
        return list(_addresses(value))

    @classmethod
    def _read(cls, value: str) -> Address:
        head, pairs = grammar.split_parameters(value)
        parameters = Parameters(pairs)
        if not head.endswith(">"):
            # Without brackets a question mark would belong to the URI and a semicolon to the header (RFC 3261 section 20.10).
            uri = URI.parse(head)
            if uri.headers:
                raise FormatError("A URI with headers must stand in angle brackets.")
            return cls(uri=uri, parameters=parameters)
        if head.startswith('"'):
            end = grammar.quoted_end(head, 0)
            name, rest = grammar.unquote(head[:end]), head[end:].lstrip(" \t")
        else:
            start = head.index("<")
            name, rest = head[:start].rstrip(" \t"), head[start:]
            if _DISPLAY.fullmatch(name) is None:
                raise FormatError("A display name must be quoted.")
        if not rest.startswith("<"):
            raise FormatError("An address is malformed.")
        return cls(uri=URI.parse(rest[1:-1]), name=name, parameters=parameters)

    @property
    def tag(self) -> str | None:
        """The tag parameter of From or To; None if absent or empty."""
        return self.parameters.get("tag") or None

    def with_tag(self, tag: str) -> Address:
        """A copy with this tag."""
        return Address(uri=self.uri, name=self.name, parameters=Parameters(self.parameters).set({"tag": tag}))

    def __str__(self) -> str:
        name = grammar.quote(self.name) + " " if self.name else ""
        return f"{name}<{self.uri}>{Parameters(self.parameters)}"


@dataclass(frozen=True)
class Via(sipmessage.Via):
    """One hop of a Via header (RFC 3261 section 20.42)."""

    parameters: sipmessage.Parameters = field(default_factory=Parameters)

    @classmethod
    def parse(cls, value: str) -> Via:
        """Read one Via value.

        :raises FormatError: if it is malformed or there are several.
        """
        found = cls.parse_list(value)
        if len(found) != 1:
            raise FormatError("There must be one Via.")
        return found[0]

    @classmethod
    def parse_list(cls, value: str) -> list[Via]:
        """Read a comma-separated list of Via values.

        :raises FormatError: if one is malformed.
        """
        return list(_vias(value))

    @classmethod
    def _read(cls, value: str) -> Via:
        head, pairs = grammar.split_parameters(value)
        match = _TRANSPORT.fullmatch(head)
        if match is None:
            raise FormatError("A Via is malformed.")
        host, port = split_host_port(re.sub(r"[ \t]*:[ \t]*", ":", match["rest"]))
        return cls(transport=match["transport"].upper(), host=host, port=port, parameters=Parameters(pairs))

    @property
    def branch(self) -> str | None:
        """The branch parameter; None if absent or empty."""
        return self.parameters.get("branch") or None

    def __str__(self) -> str:
        address = self.host if self.port is None else f"{self.host}:{self.port}"
        return f"SIP/2.0/{self.transport} {address}{Parameters(self.parameters)}"


# Several readers of one message ask for the same values, and the messages of a dialog or a registration bring them again. (What they are
# read into never changes.)
@lru_cache(maxsize=_KEPT)
def _addresses(value: str) -> tuple[Address, ...]:
    return tuple([Address._read(part) for part in grammar.split_list(value)])


@lru_cache(maxsize=_KEPT)
def _vias(value: str) -> tuple[Via, ...]:
    return tuple([Via._read(part) for part in grammar.split_list(value)])


def split_host_port(text: str) -> tuple[str, int | None]:
    """The host and the port of ``host[:port]``.

    :raises FormatError: if one is malformed.
    """
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host = text
    if not grammar.is_host(host):
        raise FormatError("A host is malformed.")
    return host, grammar.number(port, 65535) if colon else None


def _unescape(text: str) -> str:
    # Escaped bytes that are no UTF-8 come back the same when written.
    return urllib.parse.unquote(text, errors="surrogateescape")


def _escape(text: str, safe: str) -> str:
    return urllib.parse.quote(text, safe=safe, errors="surrogateescape")
