"""This host's addresses: which one leads to the server, and which ones to name to other devices."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Sequence
from pathlib import Path

from twsync.limits import MAX_DESCRIPTION_CANDIDATES
from twsync.peer.address import own_address


def route_address(remote: str) -> str | None:
    """The own address from which the kernel would send to `remote`, a numeric address; None if there is no route.

    No packet is sent: connecting a datagram socket only asks the routing table.
    """
    family = socket.AF_INET6 if ":" in remote else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((remote, 9))
            return str(probe.getsockname()[0])
    except OSError:
        return None


def read_fib_trie(text: str) -> list[str]:
    """The IPv4 addresses of this host in the text of Linux's ``/proc/net/fib_trie``, without repetition."""
    found = re.findall(r"\|-- ([0-9.]+)\n\s+/32 host LOCAL", text)
    return list(dict.fromkeys(found))


def read_if_inet6(text: str) -> list[str]:
    """The IPv6 addresses of this host in the text of Linux's ``/proc/net/if_inet6``."""
    rows = [line.split() for line in text.splitlines()]
    return [str(ipaddress.IPv6Address(int(row[0], 16))) for row in rows if len(row) >= 4 and re.fullmatch(r"[0-9a-f]{32}", row[0])]


def interface_addresses() -> list[str]:
    """All addresses of this host that another one may reach, IPv4 first; empty where the kernel does not tell."""
    found: list[str] = []
    for path, read in (("/proc/net/fib_trie", read_fib_trie), ("/proc/net/if_inet6", read_if_inet6)):
        try:
            found += read(Path(path).read_text("ascii", "replace"))
        except OSError:
            continue
    return [address for address in found if not _useless(ipaddress.ip_address(address))]


def candidates(
    port: int,
    *,
    bound: str = "",
    advertise: Sequence[str] = (),
    flow: str | None = None,
    interfaces: Iterable[str] = (),
    observed: str | None = None,
) -> list[tuple[str, int]]:
    """Where other devices may reach the data port, the most promising first, without repetition.

    :param port: the data port.
    :param bound: the address that it listens on; empty or a wildcard for all.
    :param advertise: what the settings name, ``ADDRESS`` or ``ADDRESS:PORT``; checked there.
    :param flow: the own address of the flow to the server.
    :param observed: the address that the server sees this device at.
    """
    found = [own_address(text, port) for text in advertise]
    if bound and not ipaddress.ip_address(bound).is_unspecified:
        found.append((bound, port))
    else:
        both = not bound or ":" in bound
        addresses = [address for address in (flow, *interfaces, observed) if address and (both or ":" not in address)]
        found += [(address, port) for address in addresses if bound or ":" not in address]
    return list(dict.fromkeys(found))[:MAX_DESCRIPTION_CANDIDATES]


def _useless(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
