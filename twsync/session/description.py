"""The session description: who wants to synchronise what with whom, in which way, and how to reach and recognise them.

It is the body of INVITE (the offer, by the caller) and of its 200 (the answer, by the callee),
``application/vnd.twsync.session+xml``; byte by byte in docs/protocol/session-description.md. Each is signed by its maker's device key, so
that the server that carries it can neither alter it nor make one.

The schema is read from the package when this module is imported: the one file that floor 2 reads, and never one that a user could name.
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

from lxml import etree

from twsync import limits
from twsync.errors import FormatError, SessionError
from twsync.session import signature
from twsync.session.datatypes import DataType, SyncProtocol

NAMESPACE = "urn:twsync:session:1"
MEDIA_TYPE = "application/vnd.twsync.session+xml"

_SCHEMA = etree.RelaxNG(etree.fromstring(resources.files("twsync.session").joinpath("description.rng").read_bytes()))

#: Besides white space and control characters: what separates names in text, URIs and headers.
_NO_NAME = frozenset('/\\@:;,<>?"')


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address at which the callee may be reachable."""

    address: str
    "IPv4 or IPv6, canonical text."
    port: int
    "1 to 65535."


@dataclass(frozen=True, slots=True)
class Description:
    """An offer, or with a token and the destination an answer."""

    session: str
    "The Call-ID of the INVITE."
    caller: str
    "``user/device`` of the client."
    callee: str
    "``user/device`` of the server of the session."
    source_ip: str
    "The caller's address, as it knows it."
    source_port: int
    "The caller's port; 0 if it is any (it connects)."
    data_type: DataType
    sync_protocol: SyncProtocol
    collection: str
    sync_type: str
    "A value of `reconcile.model.SyncType`."
    policy: str
    "A value of `reconcile.model.Policy`."
    fingerprint: str
    "``sha256:`` and 64 hex digits: the certificate of the maker, which it will present on the data connection too."
    created: datetime.datetime
    "When it was made: UTC, whole seconds."
    destination_ip: str | None = None
    "The callee's address; in an offer, if the caller knows one."
    destination_port: int | None = None
    "The callee's port; None if and only if the address is."
    token: bytes | None = None
    "Answer only: 32 bytes that the caller shows on the data connection."
    candidates: tuple[Candidate, ...] = ()
    "The maker's addresses, the best first; an answer has at least one."

    @property
    def is_answer(self) -> bool:
        """Whether this is the callee's."""
        return self.token is not None

    def check(self) -> None:
        """Refuse values that no honest maker writes.

        :raises FormatError: naming the first that is wrong.
        """
        _check_text(self.session, "id")
        _check_text(self.collection, "collection")
        for name, text in (("caller", self.caller), ("callee", self.callee)):
            user, slash, device = text.partition("/")
            if not slash or not _is_name(user) or not _is_name(device):
                raise FormatError(f"a session description whose {name} is not written user/device")
        _check_address(self.source_ip, self.source_port, 0)
        if (self.destination_ip is None) != (self.destination_port is None):
            raise FormatError("a session description with half a destination")
        if self.destination_ip is not None and self.destination_port is not None:
            _check_address(self.destination_ip, self.destination_port, 1)
        for candidate in self.candidates:
            _check_address(candidate.address, candidate.port, 1)
        if len(self.candidates) > limits.MAX_DESCRIPTION_CANDIDATES:
            raise FormatError(f"a session description with more than {limits.MAX_DESCRIPTION_CANDIDATES} candidates")
        if self.token is not None and (len(self.token) != 32 or self.destination_ip is None or not self.candidates):
            raise FormatError("an answer without a whole token, a destination or a candidate")
        if self.created.tzinfo is not datetime.UTC or self.created.microsecond:
            raise FormatError("a session description whose time is not in whole seconds of UTC")

    def fresh(self, now: datetime.datetime) -> bool:
        """Whether it was made within `limits.DESCRIPTION_AGE` seconds of `now`; clocks may differ either way."""
        return abs((now - self.created).total_seconds()) <= limits.DESCRIPTION_AGE


@dataclass(frozen=True, slots=True)
class Signed:
    """A description whose signature was found right."""

    description: Description
    certificate: bytes
    "The maker's certificate in DER."

    @property
    def fingerprint(self) -> str:
        """The maker's fingerprint, that of the certificate and of the description."""
        return self.description.fingerprint


def to_xml(description: Description, certificate: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """The signed document.

    :param certificate: the maker's certificate in DER; its fingerprint must be the description's.
    :param sign: gives the DER signature (ECDSA with SHA-256) of bytes by the maker's key.
    :raises FormatError: the description has values that :func:`from_xml` would refuse.
    """
    description.check()
    if not hmac.compare_digest(description.fingerprint, _fingerprint(certificate)):
        raise FormatError("a session description that names another certificate than its maker's")
    # lxml takes None for the default namespace; its stubs know prefixes only.
    root = etree.Element(f"{{{NAMESPACE}}}session", nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    for name, value in _fields(description):
        _append(root, name, value)
        if name == "token" or (name == "fingerprint" and description.token is None):
            inside = etree.SubElement(root, f"{{{NAMESPACE}}}candidates")
            for candidate in description.candidates:
                pair = etree.SubElement(inside, f"{{{NAMESPACE}}}candidate")
                _append(pair, "address", candidate.address)
                _append(pair, "port", str(candidate.port))
    signature.attach(root, certificate, sign)
    if not _SCHEMA.validate(root):
        raise FormatError(f"a session description that its schema refuses: {_SCHEMA.error_log.last_error}")
    data = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    if len(data) > limits.MAX_DESCRIPTION:
        raise FormatError("a session description that is too large")
    return data


def from_xml(data: bytes) -> Signed:
    """Read, check and verify a document from a stranger.

    :raises FormatError: it is too large, not well-formed, does not fit the schema, has values that cannot be, or a signature that is not
        that of this document by the certificate it carries and names. Who that is has still to be asked.
    """
    root = _parse(data)
    if not _SCHEMA.validate(root):
        raise FormatError("a session description that does not fit its schema")
    certificate = signature.detach(root)
    description = _read(root)
    description.check()
    if not hmac.compare_digest(description.fingerprint, _fingerprint(certificate)):
        raise FormatError("a session description signed by another key than it names")
    return Signed(description, certificate)


def check_answer(offer: Description, answer: Description) -> None:
    """Refuse an answer that belongs to another offer.

    :raises SessionError: a field that the callee has to repeat is not the offer's.
    """
    same = ("session", "caller", "callee", "source_ip", "source_port", "data_type", "sync_protocol", "collection", "sync_type", "policy")
    wrong = [name for name in same if getattr(offer, name) != getattr(answer, name)]
    if not answer.is_answer or wrong:
        what = "has no token" if not wrong else f"differs in {', '.join(wrong)}"
        raise SessionError(f"the other device's answer does not belong to this session ({what}); try again", "wrong-answer")


def _fields(description: Description) -> list[tuple[str, str]]:
    """Element names and texts in the schema's order, without candidates and signature."""
    destination = (("destinationIP", description.destination_ip), ("destinationPort", description.destination_port))
    pairs: tuple[tuple[str, object], ...] = (
        ("id", description.session),
        ("caller", description.caller),
        ("callee", description.callee),
        ("sourceIP", description.source_ip),
        ("sourcePort", description.source_port),
        *destination,
        ("dataType", description.data_type),
        ("syncProtocol", description.sync_protocol),
        ("collection", description.collection),
        ("syncType", description.sync_type),
        ("policy", description.policy),
        ("fingerprint", description.fingerprint),
        ("token", description.token.hex() if description.token is not None else None),
        ("created", description.created.strftime("%Y-%m-%dT%H:%M:%SZ")),
    )
    return [(name, str(value)) for name, value in pairs if value is not None]


def _append(parent: etree._Element, name: str, text: str) -> None:
    try:
        etree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = text
    except ValueError as error:
        raise FormatError(f"a {name} with characters that XML cannot hold") from error


def _parse(data: bytes) -> etree._Element:
    """The root element; see signature.py for why comments and instructions are refused."""
    if len(data) > limits.MAX_DESCRIPTION:
        raise FormatError("a session description that is too large")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        recover=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise FormatError("a session description that is not well-formed") from error
    info = root.getroottree().docinfo
    if info.internalDTD is not None or info.externalDTD is not None:
        raise FormatError("a session description with a document type declaration")
    around = root.getprevious() is not None or root.getnext() is not None
    if around or any(not isinstance(element.tag, str) for element in root.iter()):
        raise FormatError("a session description with comments or processing instructions")
    return root


def _read(root: etree._Element) -> Description:
    """The values of a document that fits the schema."""
    texts = {etree.QName(element).localname: element.text or "" for element in root}
    candidates = root.find(f"{{{NAMESPACE}}}candidates")
    assert candidates is not None, "the schema asks for it"
    port = texts.get("destinationPort")
    token = texts.get("token")
    try:
        return Description(
            session=texts["id"],
            caller=texts["caller"],
            callee=texts["callee"],
            source_ip=texts["sourceIP"],
            source_port=_number(texts["sourcePort"]),
            data_type=DataType(texts["dataType"]),
            sync_protocol=SyncProtocol(texts["syncProtocol"]),
            collection=texts["collection"],
            sync_type=texts["syncType"],
            policy=texts["policy"],
            fingerprint=texts["fingerprint"],
            created=datetime.datetime.strptime(texts["created"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.UTC),
            destination_ip=texts.get("destinationIP"),
            destination_port=None if port is None else _number(port),
            token=None if token is None else bytes.fromhex(token),
            candidates=tuple(Candidate(pair[0].text or "", _number(pair[1].text or "")) for pair in candidates),
        )
    except (KeyError, ValueError) as error:
        raise FormatError("a session description with values that cannot be") from error


def _number(text: str) -> int:
    """A port as this module writes it: no sign, no spaces, no leading zeros."""
    number = int(text)
    if str(number) != text:
        raise ValueError("a number in an unusual form")
    return number


def _fingerprint(certificate: bytes) -> str:
    """``sha256:`` and the hex digest of a certificate in DER."""
    return "sha256:" + hashlib.sha256(certificate).hexdigest()


def _check_address(address: str, port: int, least: int) -> None:
    try:
        canonical = str(ipaddress.ip_address(address))
    except ValueError as error:
        raise FormatError("a session description with an address that is none") from error
    if canonical != address or "%" in address or not least <= port <= 65535:
        raise FormatError("a session description with an address that cannot be called")


def _check_text(text: str, name: str) -> None:
    """Names that people and journals see: printable, no white space around them."""
    if not text or text != text.strip() or not text.isprintable() or len(text.encode("utf-8", "replace")) > 255:
        raise FormatError(f"a session description with an impossible {name}")


def _is_name(text: str) -> bool:
    """Whether `text` can name a user or a device, by the rules of the control server."""
    if not text or text in (".", "..") or len(text.encode("utf-8", "replace")) > limits.MAX_DEVICE_NAME or not text.isprintable():
        return False
    return not any(character.isspace() or character in _NO_NAME for character in text)
