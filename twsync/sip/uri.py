"""Names within one SIP domain: users, devices, GRUUs. See docs/protocol/signalling.md, "Names".

A user is canonical as ``sips:alice@REALM``, a device as the public GRUU ``sips:alice@REALM;gr=laptop`` (RFC 5627), in text for
people ``alice/laptop``. Domain names know no case, users and devices do (RFC 3261 section 19.1.4); ``sip:`` and ``sips:``, ports and
other parameters make no difference to who is meant.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterable

import sipmessage

from twsync import limits
from twsync.errors import FormatError
from twsync.sip.values import URI, Parameters


class Domain:
    """One SIP domain and the other names it answers to.

    :param realm: the domain's name.
    :param aliases: host names and addresses that mean the same; addresses of IPv6 without brackets.
    """

    def __init__(self, realm: str, aliases: Iterable[str] = ()) -> None:
        self.realm = realm
        self._names = frozenset(_normal(name) for name in (realm, *aliases))

    def owns(self, uri: sipmessage.URI, also: Iterable[str] = ()) -> bool:
        """Whether a SIP or SIPS URI is in this domain.

        :param also: more aliases for this one question, such as the address that a connection came in on.
        """
        host = _normal(uri.host)
        return uri.scheme in ("sip", "sips") and (host in self._names or host in {_normal(name) for name in also})

    def user(self, uri: sipmessage.URI, also: Iterable[str] = ()) -> str | None:
        """The user that a URI of this domain names; None for another domain, no user or a name that cannot be one."""
        if not self.owns(uri, also) or uri.user is None or not is_name(uri.user):
            return None
        return uri.user

    def device(self, uri: sipmessage.URI, also: Iterable[str] = ()) -> str | None:
        """The device that a GRUU of this domain names; None if the URI names a user, or nothing here."""
        if self.user(uri, also) is None:
            return None
        device = uri.parameters.get("gr")
        return device if device and is_name(device) else None

    def aor(self, user: str) -> str:
        """The canonical address of record of a user."""
        return str(self.uri(user))

    def gruu(self, user: str, device: str) -> str:
        """The public GRUU of a device."""
        return str(self.uri(user, device))

    def uri(self, user: str, device: str | None = None, scheme: str = "sips") -> URI:
        """The URI of a user, or of one of the user's devices.

        :raises FormatError: if a name cannot be one.
        """
        if not is_name(user) or (device is not None and not is_name(device)):
            raise FormatError("A user's or device's name is not allowed.")
        parameters = Parameters() if device is None else Parameters(gr=device)
        return URI(scheme=scheme, host=self.realm, user=user, parameters=parameters)


def is_name(text: str) -> bool:
    """Whether `text` can name a user or a device: 1 to 64 bytes of UTF-8, printable, no space at the ends, no slash."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return False
    if text in (".", "..") or text != text.strip() or "/" in text:
        return False
    return 0 < size <= limits.MAX_DEVICE_NAME and text.isprintable()


def parse_name(text: str, own_user: str = "") -> tuple[str, str]:
    """User and device of ``alice/laptop``, or of ``laptop`` for the own user.

    :raises FormatError: if it is neither.
    """
    user, slash, device = text.rpartition("/")
    user = user if slash else own_user
    if not is_name(user) or not is_name(device):
        raise FormatError("A device is named as user/device.")
    return user, device


def quoted(name: str) -> str:
    """`name` percent-escaped for one component of a URL path."""
    return urllib.parse.quote(name, safe="")


def _normal(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()
