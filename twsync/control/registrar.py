"""REGISTER (RFC 3261 section 10.3), with outbound flows (RFC 5626), GRUUs (RFC 5627) and names bound to device keys.

The registrar decides and changes nothing but the location and directory in memory; what has to be remembered comes out as a value. A
request is carried out whole or not at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from twsync import limits
from twsync.control.directory import Directory
from twsync.control.identity import INSTANCE, identify
from twsync.control.location import Binding, Location
from twsync.control.refusal import Refusal
from twsync.control.settings import RegistrationSettings
from twsync.errors import FormatError
from twsync.sip import grammar
from twsync.sip.message import Request
from twsync.sip.uri import Domain
from twsync.sip.values import Address, Parameters
from twsync.store.control_values import Device
from twsync.transport.siptls import Flow


@dataclass(frozen=True, slots=True)
class Registered:
    """What a REGISTER brought about."""

    headers: tuple[tuple[str, str], ...]
    "Of the 200."
    added: tuple[Binding, ...] = ()
    removed: tuple[Binding, ...] = ()
    "Those that have nothing in their place now."
    devices: tuple[Device, ...] = ()
    "To be remembered."
    appeared: tuple[Binding, ...] = ()
    "Those of `added` that are no mere refresh."


class Registrar:
    """Decides about REGISTER requests of users who have proven to be who they are."""

    def __init__(self, domain: Domain, settings: RegistrationSettings, directory: Directory, location: Location) -> None:
        self._domain = domain
        self._settings = settings
        self.directory = directory
        self._location = location

    def seen(self, user: str, device: str, wall: float) -> Device | None:
        """A device was there until now; None if it is not one that is remembered."""
        return self.directory.seen(user, device, wall)

    def register(self, request: Request, flow: Flow, user: str, now: float, wall: float) -> Registered:
        """Carry out a REGISTER of `user`.

        :param now: seconds of the reactor's clock.
        :param wall: seconds since the epoch.
        :raises Refusal: with the answer.
        :raises FormatError: a header is malformed.
        """
        call_id, cseq = request.call_id, request.cseq.sequence
        if request.contacts_wildcard:
            return self._remove_all(request, user, call_id, cseq)
        contacts = [address for value in request.headers.getlist("Contact") for address in Address.parse_list(value)]
        if len(contacts) > limits.MAX_CONTACTS:
            raise Refusal(403, "Too many contacts")
        added: list[Binding] = []
        removed: list[Binding] = []
        devices: dict[str, Device] = {}
        for contact in contacts:
            seconds = self._lifetime(contact, request)
            key = _key(contact)
            before = self._location.find(user, key)
            _check_order(before, call_id, cseq)
            if seconds == 0:
                removed.extend([before] if before is not None else [])
                continue
            binding, device = self._bind(request, contact, key, before, flow, user, now, seconds, wall)
            added.append(binding)
            if device is not None:
                devices[device.name] = device
        standing = {binding.key for binding in self._location.of_user(user)} - {binding.key for binding in removed}
        if len(standing | {binding.key for binding in added}) > limits.MAX_CONTACTS:
            raise Refusal(403, "Too many contacts")
        appeared = self._carry_out(added, removed, devices)
        gone = tuple(binding for binding in removed if self._location.find(user, binding.key) is None)
        headers = self._answer(request, user, added, now)
        return Registered(headers, tuple(added), gone, tuple(devices.values()), appeared)

    def _remove_all(self, request: Request, user: str, call_id: str, cseq: int) -> Registered:
        if request.expires != 0:
            raise Refusal(400, "Contact * needs Expires: 0")
        bindings = self._location.of_user(user)
        for binding in bindings:
            _check_order(binding, call_id, cseq)
        for binding in bindings:
            self._location.remove(binding)
        return Registered((), removed=tuple(bindings))

    def _carry_out(self, added: list[Binding], removed: list[Binding], devices: dict[str, Device]) -> tuple[Binding, ...]:
        for binding in removed:
            self._location.remove(binding)
        appeared = []
        for binding in added:
            before = self._location.add(binding)
            if before is None or before.flow is not binding.flow or str(before.contact.uri) != str(binding.contact.uri):
                appeared.append(binding)
        for device in devices.values():
            self.directory.save(device)
        return tuple(appeared)

    def _lifetime(self, contact: Address, request: Request) -> int:
        """Seconds granted to a contact: its own `expires`, else the Expires header, else the default (section 10.2.1.1)."""
        text = contact.parameters.get("expires")
        try:
            asked = grammar.number(text, limits.MAX_SIP_SECONDS) if text is not None else request.expires
        except FormatError:
            asked = None  # section 10.2.1.1: malformed values are as if absent
        if asked is None:
            return self._settings.expires
        if 0 < asked < self._settings.min_expires:
            raise Refusal(423, None, [("Min-Expires", str(self._settings.min_expires))])
        return min(asked, self._settings.max_expires)

    def _bind(
        self, request: Request, contact: Address, key: str, before: Binding | None, flow: Flow, user: str, now: float, seconds: int,
        wall: float,
    ) -> tuple[Binding, Device | None]:  # fmt: skip
        if contact.uri.scheme not in ("sip", "sips"):
            raise Refusal(400, "Contact must be a SIP URI")
        identity = identify(contact, flow, user, self.directory)
        agent = _printable(request.headers.get("User-Agent") or "")
        observed = _host_port(flow.remote)
        binding = Binding(
            user=user,
            device=identity.name,
            key=key,
            contact=contact,
            instance=identity.instance,
            reg_id=_reg_id(contact),
            call_id=request.call_id,
            cseq=request.cseq.sequence,
            flow=flow,
            path=tuple(str(address) for value in request.headers.getlist("Path") for address in Address.parse_list(value)),
            expires=now + seconds,
            registered=before.registered if before is not None else now,
            fingerprint=identity.fingerprint,
            agent=agent,
            observed=observed,
        )
        if not identity.lasting:
            return binding, None
        known = self.directory.device(user, identity.name)
        if known is None and len(self.directory.devices(user)) >= limits.MAX_DEVICES:
            if identity.fingerprint is not None:
                raise Refusal(403, "Too many devices")
            return binding, None  # a stock agent is served all the same; only it is not remembered
        first_seen = known.first_seen if known is not None else wall
        claimed = _printable(contact.uri.host if contact.uri.port is None else f"{contact.uri.host}:{contact.uri.port}")
        device = Device(user, identity.name, identity.fingerprint, identity.instance, False, first_seen, wall, agent, observed, claimed)
        return binding, device

    def _answer(self, request: Request, user: str, own: list[Binding], now: float) -> tuple[tuple[str, str], ...]:
        """Headers of the 200. The contacts of this request come first; of the others, as many as a message head can take."""
        to = request.to_address.uri
        wants_gruu = "gruu" in request.supported
        others = [binding for binding in self._location.of_user(user) if binding not in own]
        lines: list[str] = []
        room = limits.MAX_LISTED_CONTACTS
        for binding in [*own, *others]:
            value = self._listed(binding, wants_gruu, to.scheme, now)
            room -= len(value) + 2
            if room < 0:
                break
            if lines and len(lines[-1]) + len(value) + 2 < limits.MAX_SIP_LINE // 2:
                lines[-1] += ", " + value
            else:
                lines.append(value)
        headers = [("Contact", line) for line in lines]
        headers.append(("Supported", "path, outbound, gruu"))
        headers.append(("Flow-Timer", "90"))
        if "outbound" in request.supported and any(binding.reg_id is not None for binding in own):
            headers.append(("Require", "outbound"))  # RFC 5626 section 6
        path = request.headers.getlist("Path")
        headers.extend(("Path", value) for value in path)
        return tuple(headers)

    def _listed(self, binding: Binding, gruu: bool, scheme: str, now: float) -> str:
        changes: dict[str, str | None] = {"expires": str(max(0, round(binding.expires - now)))}
        if gruu and binding.instance is not None:
            changes["pub-gruu"] = str(self._domain.uri(binding.user, binding.device, scheme))
        return str(Address(binding.contact.uri, "", Parameters(binding.contact.parameters).set(changes)))


def _key(contact: Address) -> str:
    """What makes a contact the same one: instance and reg-id (RFC 5626 section 6), or the instance of a twsync device, or its URI."""
    instance = contact.parameters.get(INSTANCE)
    reg_id = _reg_id(contact)
    if instance is not None and reg_id is not None:
        return f"{instance.strip('<>')} {reg_id}"
    return str(contact.uri)[:1024]


def _reg_id(contact: Address) -> int | None:
    """The reg-id; without an instance it means nothing (RFC 5626 section 6)."""
    text = contact.parameters.get("reg-id")
    if text is None or contact.parameters.get(INSTANCE) is None:
        return None
    return grammar.number(text, limits.MAX_CSEQ)


def _check_order(before: Binding | None, call_id: str, cseq: int) -> None:
    """A registration of one Call-ID must have a higher number than the one before it (section 10.3, step 7)."""
    if before is not None and before.call_id == call_id and cseq <= before.cseq:
        raise Refusal(500, "CSeq out of order", [("Retry-After", "1")])


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())[: limits.MAX_AGENT]


def _host_port(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
