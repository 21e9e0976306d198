"""Who a registered contact is: the rules that bind a device's name to its key."""

from __future__ import annotations

import re
from dataclasses import dataclass

from twsync.control.directory import Directory
from twsync.control.names import is_name, stock_device
from twsync.control.refusal import Refusal
from twsync.sip.values import URI, Address
from twsync.transport.siptls import Flow

DEVICE = "+vnd.twsync.device"
FINGERPRINT = "+vnd.twsync.fingerprint"
INSTANCE = "+sip.instance"
_FINGERPRINT = re.compile(r"sha256:[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class Identity:
    """A device, or a stock user agent."""

    name: str
    fingerprint: str | None
    instance: str | None
    lasting: bool
    "Whether it is remembered when it is offline."


def identify(contact: Address, flow: Flow, user: str, directory: Directory) -> Identity:
    """Name and key of a contact of `user` that came by `flow`.

    :raises Refusal: the two do not belong together, or the device is blocked.
    """
    named, claimed = contact.parameters.get(DEVICE), contact.parameters.get(FINGERPRINT)
    instance = (contact.parameters.get(INSTANCE) or "").strip("<>") or None
    if named is None:
        name = stock_device(URI.parse(str(contact.uri)), instance)
    elif not is_name(named):
        raise Refusal(400, "Bad device name")
    else:
        name = named
    fingerprint = _proven_fingerprint(claimed, flow) if named is not None else None
    known = directory.device(user, name)
    if known is not None and known.blocked:
        raise Refusal(403, "Device blocked")
    if known is not None and known.fingerprint is not None and known.fingerprint != fingerprint:
        raise Refusal(403, "Device key changed")
    if fingerprint is not None:
        namesake = directory.with_fingerprint(user, fingerprint)
        if namesake is not None and namesake.name != name:
            # One key, one name: an administrator renames devices, otherwise a blocked one would come back under another name.
            raise Refusal(403, f"Device is named {namesake.name}")
    return Identity(name, fingerprint, instance, lasting=fingerprint is not None or instance is not None)


def _proven_fingerprint(claimed: str | None, flow: Flow) -> str:
    """The key of a twsync device: the one of its TLS certificate, or the one it claims where the server sees no TLS."""
    if claimed is not None and _FINGERPRINT.fullmatch(claimed) is None:
        raise Refusal(400, "Bad device fingerprint")
    if flow.secure:
        if flow.peer_fingerprint is None:
            raise Refusal(403, "Device certificate missing")
        if claimed is not None and claimed.lower() != flow.peer_fingerprint:
            raise Refusal(403, "Device certificate is another")
        return flow.peer_fingerprint
    if claimed is None:
        raise Refusal(400, "Device fingerprint missing")
    return claimed.lower()
