"""Who is there: the subscription to the registrations one may see (RFC 6665, 3680), and what it tells of each device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twsync.errors import FormatError, ProtocolError
from twsync.peer.asking import Asker
from twsync.peer.identity import Identity
from twsync.sip.dialog import Dialog
from twsync.sip.message import URI, Request, Response
from twsync.sip.reginfo import Contact, Registration, View, parse
from twsync.transport.interfaces import Clock, Delayed

#: Seconds asked for.
EXPIRES = 3600
#: Share of the granted time after which the subscription is refreshed.
REFRESH = 0.8
#: Seconds until a refused or ended subscription is tried again.
PAUSE = 30.0

_log = Logger()


@dataclass(frozen=True, slots=True)
class Device:
    """A device as the server describes it."""

    name: str
    "``alice/desktop``."
    online: bool
    address: str | None
    "Where the server sees it."
    last_seen: str | None
    "RFC 3339."
    fingerprint: str | None
    agent: str | None


def device_of(registration: Registration, contact: Contact) -> Device | None:
    """One contact of the document as a device; None if it has no name that one could call it by."""
    try:
        user = URI.parse(registration.aor).user
        gruu = URI.parse(contact.pub_gruu) if contact.pub_gruu else None
    except FormatError:
        return None
    params = contact.params
    name = params.get("+vnd.twsync.device") or (gruu.parameters.get("gr") if gruu is not None else None)
    if not user or not name:
        return None
    return Device(
        name=f"{user}/{name}", online=contact.active, address=params.get("+vnd.twsync.observed") or None,
        last_seen=params.get("+vnd.twsync.last-seen") or None, fingerprint=params.get("+vnd.twsync.fingerprint") or None,
        agent=params.get("+vnd.twsync.agent") or None,
    )  # fmt: skip


class Presence:
    """One subscription, over one flow at a time; what was learnt stays when the flow goes."""

    def __init__(
        self,
        clock: Clock,
        changed: Callable[[dict[str, Device]], None],
    ) -> None:
        self.devices: dict[str, Device] = {}
        "By full name."
        self._clock = clock
        self._changed = changed
        self._asker: Asker | None = None
        self._identity: Identity | None = None
        self._dialog: Dialog | None = None
        self._view = View()
        self._call_id = ""
        self._tag = ""
        self._timer: Delayed | None = None

    def start(self, asker: Asker, identity: Identity) -> None:
        """Subscribe anew, over this flow."""
        self.stop()
        self._asker, self._identity = asker, identity
        self._subscribe()

    def stop(self) -> None:
        """The flow has gone, or the daemon stops: no device is known to be online any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._asker = self._dialog = None
        self._call_id = ""

    def notified(self, request: Request) -> int:
        """Take a NOTIFY in.

        :returns: the code to answer with.
        """
        if not self._call_id or request.call_id != self._call_id or request.to_tag != self._tag:
            return 481
        if request.event_package.lower() != "reg":
            return 489
        state = (request.headers.get("Subscription-State") or "active").partition(";")[0].strip().lower()
        if request.body:
            try:
                complete = self._view.update(parse(request.body))
            except FormatError as error:
                _log.warn("The server's list of devices cannot be read: {error}", error=error)
                return 400
            if complete:
                self._learn()
            elif state != "terminated":
                # A document is missing in between: a refresh brings a full one (RFC 6665 section 4.1.2.2).
                self._later(0.0)
        if state == "terminated":
            self._dialog = None
            self._later(PAUSE)
        return 200

    def _learn(self) -> None:
        found = {}
        for registration in self._view.registrations:
            for contact in registration.contacts:
                device = device_of(registration, contact)
                if device is not None:
                    found[device.name] = device
        self.devices = found
        self._changed(found)

    def _subscribe(self) -> None:
        Deferred.fromCoroutine(self._attempt()).addErrback(lambda failure: _log.failure("Subscribing failed.", failure=failure))

    async def _attempt(self) -> None:
        asker, identity = self._asker, self._identity
        if asker is None or identity is None:
            return
        dialog = self._dialog
        if dialog is None:
            self._call_id, self._tag, self._view = asker.name(), asker.name(), View()
        call_id, tag, sequence = self._call_id, self._tag, 0

        def build() -> Request:
            nonlocal sequence
            if dialog is not None:
                headers = (("Event", "reg"), ("Accept", "application/reginfo+xml"), ("Expires", str(EXPIRES)))
                return dialog.request("SUBSCRIBE", headers=headers)
            sequence += 1
            return identity.subscribe(call_id, sequence, tag, EXPIRES)

        try:
            request, response = await asker.ask(build)
        except ProtocolError:
            self._dialog = None
            self._later(PAUSE)
            return
        if self._asker is not asker or self._call_id != call_id:
            return
        if isinstance(response, Response) and 200 <= response.code < 300:
            if dialog is None:
                self._dialog = Dialog.from_response(request, response)
            else:
                dialog.answered(response)
            granted = response.expires if response.expires is not None else EXPIRES
            self._later(max(5.0, granted * REFRESH))
            return
        self._dialog = None
        # A refused refresh means that the server has forgotten the subscription: a new one is due at once.
        self._later(0.0 if dialog is not None else PAUSE)

    def _later(self, pause: float) -> None:
        if self._asker is None:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._clock.callLater(pause, self._due)

    def _due(self) -> None:
        self._timer = None
        self._subscribe()
