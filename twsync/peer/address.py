"""How people write servers, devices and HOST:PORT, checked."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from twsync import limits
from twsync.errors import ConfigError

#: The port of SIP over TLS (RFC 3261 section 19.1.2), and over TCP.
SIPS_PORT = 5061
SIP_PORT = 5060

_SERVER = re.compile(r"(?P<scheme>sips?):(?P<user>[^@\s]+)@(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:;?@/]+)(?::(?P<port>[0-9]{1,5}))?")
#: What separates names in text, URIs and headers.
_NO_NAME = '/\\@:;,<>?"'
_HOST = re.compile(r"(?=.{1,253}\.?$)[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*\.?")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the control server is and who the user is there."""

    user: str
    host: str
    "A name or an address; an IPv6 address without its brackets."
    port: int
    secure: bool = True
    "Whether TLS is spoken (``sips:``)."

    @property
    def domain(self) -> str:
        """The host as it stands in a URI."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def uri(self) -> str:
        """The whole URI, such as ``sips:alice@example.org:5061``."""
        return f"{'sips' if self.secure else 'sip'}:{quote(self.user)}@{self.domain}:{self.port}"


def parse_server(text: str, user: str | None = None) -> ServerAddress:
    """`text`, such as ``sips:alice@example.org:5061``. A user given apart must be the same one.

    Plain ``sip:`` is for a server on this host behind a TLS terminator, or a test: it is taken for loopback addresses only.

    :raises ConfigError: it is not such a URI.
    """
    match = _SERVER.fullmatch(text if "@" in text or user is None else re.sub(r"^(sips?):", lambda m: f"{m[0]}{quote(user)}@", text))
    if match is None:
        raise ConfigError(f"The server is written sips:USER@HOST:PORT, for example sips:alice@sync.example.org:5061, unlike {text!r}")
    found = unquote(match["user"])
    if user is not None and user != found:
        raise ConfigError(f"[device] user is {user!r}, but the server's URI names {found!r}; make them the same")
    if not _is_name(found):
        what = f"A user's name has 1 to {limits.MAX_DEVICE_NAME} bytes, no spaces and none of {' '.join(_NO_NAME)}, unlike {found!r}"
        raise ConfigError(what)
    secure = match["scheme"] == "sips"
    host = _host(match["host"])
    if not secure and not _loopback(host):
        raise ConfigError(f"The server must be reached by TLS: write sips: instead of sip: in {text!r}")
    port = int(match["port"]) if match["port"] else (SIPS_PORT if secure else SIP_PORT)
    if not 0 < port < 65536:
        raise ConfigError(f"The port in {text!r} must be between 1 and 65535")
    return ServerAddress(found, host, port, secure)


def device_name(text: str) -> str:
    """A device's name, as it is: 1 to 64 bytes of printable UTF-8, without white space and ``/\\@:;,<>?"``.

    :raises ConfigError: it is something else.
    """
    if not _is_name(text):
        raise ConfigError(
            f"A device's name has 1 to {limits.MAX_DEVICE_NAME} bytes, no spaces and none of {' '.join(_NO_NAME)}, unlike {text!r}"
        )
    return text


def _is_name(text: str) -> bool:
    size = len(text.encode("utf-8", "replace"))
    return 0 < size <= limits.MAX_DEVICE_NAME and text.isprintable() and text not in {".", ".."} and not set(text) & {*_NO_NAME, " "}


def host_port(text: str, default_port: int | None = None) -> tuple[str, int]:
    """``HOST:PORT`` as its two parts; an IPv6 address with a port stands in brackets.

    :param default_port: taken where the text names none.
    :raises ConfigError: it is not such a text.
    """
    match = re.fullmatch(r"(\[[^\]]+\]|[^\s:]+)(?::([0-9]{1,5}))?", text)
    if match is None and text.count(":") > 1:  # a bare IPv6 address
        match = re.fullmatch(r"([^\s\[\]]+)()", text)
    if match is None:
        raise ConfigError(f"An address is written HOST or HOST:PORT, unlike {text!r}")
    port = int(match[2]) if match[2] else default_port
    if port is None or not 0 < port < 65536:
        raise ConfigError(f"The address {text!r} needs a port between 1 and 65535")
    return _host(match[1]), port


def own_address(text: str, default_port: int) -> tuple[str, int]:
    """``ADDRESS`` or ``ADDRESS:PORT`` of this host as others reach it; numeric, as session descriptions hold no names.

    :raises ConfigError: it is something else.
    """
    host, port = host_port(text, default_port)
    try:
        ipaddress.ip_address(host)
    except ValueError:
        raise ConfigError(f"An advertised address is an IP address or ADDRESS:PORT, not a name such as {text!r}") from None
    return host, port


def _host(text: str) -> str:
    bare = text[1:-1] if text.startswith("[") else text
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if text.startswith("[") or not _HOST.fullmatch(text):
            raise ConfigError(f"{text!r} is neither a host name nor an address") from None
        return text


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
