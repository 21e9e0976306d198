"""Who this device is in SIP's terms, and the requests that say so (docs/protocol/signalling.md). Pure: ids and tags come in."""

from __future__ import annotations

from dataclasses import dataclass

from twsync import __version__
from twsync.peer.settings import Settings
from twsync.sip.message import URI, Address, CSeq, Parameters, Request

#: What this device understands, told in REGISTER and in answers to OPTIONS.
SUPPORTED = "path, outbound, gruu"
ALLOW = "INVITE, ACK, CANCEL, BYE, INFO, MESSAGE, NOTIFY, OPTIONS"
AGENT = f"twsync/{__version__}"
MEDIA_SESSION = "application/vnd.twsync.session+xml"
MEDIA_REQUEST = "application/vnd.twsync.request+xml"
MEDIA_PROGRESS = "application/vnd.twsync.progress+json"
MEDIA_REGINFO = "application/reginfo+xml"


@dataclass(frozen=True, slots=True)
class Identity:
    """A device at its control server."""

    user: str
    device: str
    domain: str
    "The SIP domain: the server's host until the server has named its realm."
    secure: bool
    fingerprint: str
    instance: str
    "``urn:uuid:`` of the device's certificate."

    @classmethod
    def of(cls, settings: Settings, fingerprint: str, instance: str) -> Identity:
        """The identity that the settings and the device's certificate give."""
        return cls(settings.user, settings.device, settings.server.domain, settings.server.secure, fingerprint, instance)

    @property
    def scheme(self) -> str:
        """``sips``, or ``sip`` behind a TLS terminator."""
        return "sips" if self.secure else "sip"

    @property
    def full_name(self) -> str:
        """``alice/laptop``."""
        return f"{self.user}/{self.device}"

    def user_uri(self, user: str) -> URI:
        """The address of record of a user of this domain."""
        return URI(scheme=self.scheme, host=self.domain, user=user)

    def device_uri(self, name: str) -> URI:
        """The GRUU of ``user/device``."""
        user, _, device = name.partition("/")
        return URI(scheme=self.scheme, host=self.domain, user=user, parameters=Parameters(gr=device))

    def binding(self, local: tuple[str, int]) -> str:
        """The Contact of REGISTER: where the flow comes from, and which device this is."""
        host = f"[{local[0]}]" if ":" in local[0] else local[0]
        parameters = Parameters([("transport", "tls" if self.secure else "tcp"), ("ob", None)])
        uri = URI(scheme=self.scheme, host=host, user=self.user, port=local[1], parameters=parameters)
        about = Parameters(
            [
                ("+sip.instance", f"<{self.instance}>"), ("reg-id", "1"),
                ("+vnd.twsync.device", self.device), ("+vnd.twsync.fingerprint", self.fingerprint),
            ]
        )  # fmt: skip
        return str(Address(uri=uri, parameters=about))

    @property
    def contact(self) -> str:
        """The Contact of dialogs: the GRUU, which stays good when the flow is replaced by another."""
        return str(Address(uri=self.device_uri(self.full_name)))

    def register(self, local: tuple[str, int], call_id: str, sequence: int, tag: str, expires: int) -> Request:
        """REGISTER (RFC 3261 section 10.2, RFC 5626 section 4.2)."""
        own = self.user_uri(self.user)
        request = self._request("REGISTER", URI(scheme=self.scheme, host=self.domain), own, call_id, sequence, tag)
        request.headers.set("Contact", self.binding(local))
        request.headers.set("Supported", SUPPORTED)
        request.headers.set("Expires", str(expires))
        return request

    def subscribe(self, call_id: str, sequence: int, tag: str, expires: int) -> Request:
        """SUBSCRIBE to the registrations one may see (RFC 6665, 3680)."""
        own = self.user_uri(self.user)
        request = self._request("SUBSCRIBE", own, own, call_id, sequence, tag)
        request.headers.set("Contact", self.contact)
        request.headers.set("Event", "reg")
        request.headers.set("Accept", MEDIA_REGINFO)
        request.headers.set("Expires", str(expires))
        return request

    def invite(self, callee: str, call_id: str, sequence: int, tag: str, offer: bytes) -> Request:
        """INVITE of ``user/device`` with a session description."""
        target = self.device_uri(callee)
        request = self._request("INVITE", target, target, call_id, sequence, tag, offer, MEDIA_SESSION)
        request.headers.set("Contact", self.contact)
        request.headers.set("Supported", SUPPORTED)
        request.headers.set("Allow", ALLOW)
        request.headers.set("Accept", MEDIA_SESSION)
        return request

    def message(self, callee: str, call_id: str, sequence: int, tag: str, body: bytes) -> Request:
        """MESSAGE to ``user/device`` with a request to open a session (RFC 3428)."""
        target = self.device_uri(callee)
        return self._request("MESSAGE", target, target, call_id, sequence, tag, body, MEDIA_REQUEST)

    def _request(
        self, method: str, uri: URI, to: URI, call_id: str, sequence: int, tag: str, body: bytes = b"", media: str = ""
    ) -> Request:
        request = Request(method, uri, body)
        request.headers.set("From", str(Address(uri=self.user_uri(self.user)).with_tag(tag)))
        request.headers.set("To", str(Address(uri=to)))
        request.call_id = call_id
        request.cseq = CSeq(sequence, method)
        request.headers.set("User-Agent", AGENT)
        if media:
            request.headers.set("Content-Type", media)
        return request
