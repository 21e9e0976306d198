"""From endpoint strings of the settings to listening ports."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from twsync.errors import ConfigError, StoreError
from twsync.transport import tls


class Port(Protocol):
    """A listening port."""

    def getHost(self) -> object:
        """Its address."""

    def stopListening(self) -> object:
        """Close it; perhaps a Deferred."""


def listen(reactor: Any, description: str, factory: Any) -> Port:  # noqa: ANN401 - zope's interfaces are no types
    """Listen at an endpoint; ``ssl:`` gets this project's TLS: 1.2 and above, a client certificate asked for and not demanded.

    :raises ConfigError: the description is wrong, or a certificate or key cannot be used.
    :raises StoreError: the port is taken, or must not be used.
    """
    kind, arguments, named = _parsed(description)
    plain = description
    if kind == "ssl":
        unknown = sorted(named.keys() - {"port", "privateKey", "certKey", "interface", "backlog"})
        if unknown:
            raise ConfigError(f"[server] sip: {unknown[0]!r} cannot stand in {description!r}; certKey may hold the whole chain.")
        certificate, key = named.pop("certKey", ""), named.pop("privateKey", "")
        if not certificate or not key:
            raise ConfigError(f"[server] sip: {description!r} needs privateKey= and certKey=.")
        context = tls.control_server(Path(certificate), Path(key))
        wrapped: Any = TLSMemoryBIOFactory
        factory = wrapped(context, False, factory)
        plain = ":".join(["tcp", *arguments, *(f"{name}={_escaped(value)}" for name, value in named.items())])
    try:
        endpoint = serverFromString(reactor, plain)
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ConfigError(f"[server] sip: {description!r} is not an endpoint: {str(error).rstrip('.')}.") from error
    results: list[Any] = []
    endpoint.listen(factory).addBoth(results.append)
    if not results:
        raise ConfigError(f"[server] sip: {description!r} cannot be listened at by a server.")
    (result,) = results
    if not isinstance(result, Failure):
        port: Port = result
        return port
    cause = result.value
    if isinstance(cause, CannotListenError):
        reason = getattr(cause.socketError, "strerror", None) or str(cause.socketError)
        raise StoreError(f"Cannot listen at {description}: {reason}; is another server running there?", "port-taken")
    raise StoreError(f"Cannot listen at {description}: {result.getErrorMessage()}.", "port-taken")


def _parsed(description: str) -> tuple[str, list[str], dict[str, str]]:
    """Kind, positional and named arguments of an endpoint string, unescaped; Twisted keeps its own parser to itself."""
    kind, *parts = re.split(r"(?<!\\):", description)
    arguments: list[str] = []
    named: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if equals:
            named[name] = re.sub(r"\\(.)", r"\1", value)
        else:
            arguments.append(part)
    return kind, arguments, named


def _escaped(value: str) -> str:
    return re.sub(r"([\\:=])", r"\\\1", value)
