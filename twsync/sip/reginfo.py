"""``application/reginfo+xml``: who is registered (RFC 3680), with public GRUUs (RFC 5628) and unknown-param elements.

A watcher keeps a `View`: full documents replace it, partial ones are laid over it, and a gap in the versions says that a full one is
needed (RFC 3680 section 5.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from lxml import etree

from twsync import limits
from twsync.errors import FormatError
from twsync.sip import grammar, xml

MEDIA_TYPE = "application/reginfo+xml"
NAMESPACE = "urn:ietf:params:xml:ns:reginfo"
GRUU_NAMESPACE = "urn:ietf:params:xml:ns:gruuinfo"
STATES = frozenset(("init", "active", "terminated"))
EVENTS = frozenset(("registered", "created", "refreshed", "shortened", "expired", "deactivated", "probation", "unregistered", "rejected"))


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact of a registration: a device, online (`active`) or not (`terminated`)."""

    id: str
    "Names the contact within its registration, for as long as it is known."
    uri: str
    state: str = "active"
    event: str = "registered"
    "registered, created, refreshed, shortened, expired, deactivated, probation, unregistered, rejected."
    display_name: str = ""
    expires: int | None = None
    "Seconds left; None if not told."
    duration_registered: int | None = None
    callid: str = ""
    cseq: int | None = None
    pub_gruu: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    "unknown-param elements: Contact parameters such as ``+vnd.twsync.device``, without quotes."

    @property
    def active(self) -> bool:
        """Whether the device is online."""
        return self.state == "active"


@dataclass(frozen=True, slots=True)
class Registration:
    """The registration of one address of record."""

    aor: str
    id: str
    state: str
    "init, active or terminated."
    contacts: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class RegInfo:
    """One document."""

    version: int
    full: bool
    registrations: tuple[Registration, ...] = ()


def build(info: RegInfo) -> bytes:
    """The document. Characters that XML cannot carry are replaced by U+FFFD."""
    root = etree.Element(f"{{{NAMESPACE}}}reginfo", nsmap={None: NAMESPACE, "gr": GRUU_NAMESPACE})  # type: ignore[dict-item]
    root.set("version", str(info.version))
    root.set("state", "full" if info.full else "partial")
    for registration in info.registrations:
        element = etree.SubElement(root, f"{{{NAMESPACE}}}registration")
        _set(element, aor=registration.aor, id=registration.id, state=registration.state)
        for contact in registration.contacts:
            _build_contact(element, contact)
    return etree.tostring(root, xml_declaration=True, encoding="UTF-8")


def _build_contact(parent: etree._Element, contact: Contact) -> None:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}contact")
    _set(element, id=contact.id, state=contact.state, event=contact.event)
    for name, value in (
        ("duration-registered", contact.duration_registered),
        ("expires", contact.expires),
        ("callid", contact.callid or None),
        ("cseq", contact.cseq),
    ):
        if value is not None:
            element.set(name, _clean(str(value)))
    etree.SubElement(element, f"{{{NAMESPACE}}}uri").text = _clean(contact.uri)
    if contact.display_name:
        etree.SubElement(element, f"{{{NAMESPACE}}}display-name").text = _clean(contact.display_name)
    for name, text in contact.params.items():
        parameter = etree.SubElement(element, f"{{{NAMESPACE}}}unknown-param")
        _set(parameter, name=name)
        parameter.text = _clean(text)
    if contact.pub_gruu:
        _set(etree.SubElement(element, f"{{{GRUU_NAMESPACE}}}pub-gruu"), uri=contact.pub_gruu)


def parse(data: bytes) -> RegInfo:
    """Read a document; elements and attributes of other namespaces are passed over.

    :raises FormatError: if it is larger than 64 KiB, malformed, or has more than 128 contacts in one registration.
    """
    root = xml.parse(data, limits.MAX_REGINFO)
    if root.tag != f"{{{NAMESPACE}}}reginfo" or root.get("state") not in ("full", "partial"):
        raise FormatError("This is not a reginfo document.")
    version = grammar.number(root.get("version", ""), limits.MAX_SIP_SECONDS)
    registrations = tuple(_registration(child) for child in xml.elements(root) if child.tag == f"{{{NAMESPACE}}}registration")
    return RegInfo(version, root.get("state") == "full", registrations)


def _registration(element: etree._Element) -> Registration:
    contacts = tuple(_contact(child) for child in xml.elements(element) if child.tag == f"{{{NAMESPACE}}}contact")
    if len(contacts) > limits.MAX_CONTACTS:
        raise FormatError("A registration has too many contacts.")
    registration = Registration(
        aor=_needed(element, "aor"), id=_needed(element, "id"), state=_one_of(element, "state", STATES), contacts=contacts
    )
    if len({contact.id for contact in contacts}) != len(contacts):
        raise FormatError("A registration names a contact twice.")
    return registration


def _contact(element: etree._Element) -> Contact:
    uri = display_name = pub_gruu = ""
    params: dict[str, str] = {}
    for child in xml.elements(element):
        if child.tag == f"{{{NAMESPACE}}}uri":
            uri = xml.text(child)
        elif child.tag == f"{{{NAMESPACE}}}display-name":
            display_name = xml.text(child)
        elif child.tag == f"{{{NAMESPACE}}}unknown-param":
            params[_needed(child, "name")] = xml.text(child)
        elif child.tag == f"{{{GRUU_NAMESPACE}}}pub-gruu":
            pub_gruu = _needed(child, "uri")
    if not uri:
        raise FormatError("A contact has no URI.")
    return Contact(
        id=_needed(element, "id"),
        uri=uri,
        state=_one_of(element, "state", STATES - {"init"}),
        event=_one_of(element, "event", EVENTS),
        display_name=display_name,
        expires=_number(element, "expires"),
        duration_registered=_number(element, "duration-registered"),
        callid=element.get("callid", ""),
        cseq=_number(element, "cseq"),
        pub_gruu=pub_gruu,
        params=params,
    )


class View:
    """What a watcher knows, kept up to date by documents."""

    def __init__(self) -> None:
        self.version: int | None = None
        "Of the last document that was taken in; None when a full one is needed."
        self._registrations: dict[str, Registration] = {}

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """All registrations known, by address of record."""
        return tuple(self._registrations[aor] for aor in sorted(self._registrations))

    def update(self, info: RegInfo) -> bool:
        """Take a document in.

        :returns: False if a document before it was missed: subscribe again for a full one. An old version is passed over (True).
        """
        if info.full:
            self._registrations = {registration.aor: registration for registration in info.registrations}
            self.version = info.version
            return True
        if self.version is None or info.version > self.version + 1:
            self.version = None
            return False
        if info.version == self.version + 1:
            for registration in info.registrations:
                self._registrations[registration.aor] = _laid_over(self._registrations.get(registration.aor), registration)
            self.version = info.version
        return True


def _laid_over(known: Registration | None, told: Registration) -> Registration:
    """What is known after a partial document: contacts that it does not name stay as they were."""
    if known is None:
        return told
    contacts = {contact.id: contact for contact in known.contacts} | {contact.id: contact for contact in told.contacts}
    return replace(told, contacts=tuple(contacts.values())[-limits.MAX_CONTACTS :])


def _set(element: etree._Element, **attributes: str) -> None:
    for name, value in attributes.items():
        element.set(name, _clean(value))


def _clean(text: str) -> str:
    return "".join(character if _allowed(ord(character)) else "\ufffd" for character in text)


def _allowed(code: int) -> bool:
    # XML 1.0, production 2.
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or code >= 0x10000


def _needed(element: etree._Element, name: str) -> str:
    value = element.get(name, "")
    if not value:
        raise FormatError(f"A reginfo document lacks the attribute {name}.")
    return value


def _one_of(element: etree._Element, name: str, values: frozenset[str]) -> str:
    value = _needed(element, name)
    if value not in values:
        raise FormatError(f"A reginfo document has an unknown {name}.")
    return value


def _number(element: etree._Element, name: str) -> int | None:
    text = element.get(name)
    return None if text is None else grammar.number(text, limits.MAX_SIP_SECONDS)
