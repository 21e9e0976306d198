"""Keeps this device registered over one flow (RFC 3261 section 10.2, RFC 5626 section 4.2.1)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twsync import limits
from twsync.peer.asking import Asker
from twsync.peer.identity import Identity
from twsync.peer.refusals import Refusal, understood
from twsync.sip.message import Address, Request, Response, Via
from twsync.transport.interfaces import Clock, Delayed
from twsync.transport.siptls import Lost

#: Seconds asked for; the server may answer with others.
EXPIRES = 60
#: Share of the granted time after which the binding is refreshed, at least and at most: the rest is for a slow server and lost packets.
REFRESH_FROM, REFRESH_TO = 0.70, 0.80
#: Seconds until a refused password, key or device is tried again, at least; up to half as much again is drawn. Only a person can lift a
#: refusal, who should not have to touch every host after that; and one try a minute wears no server out and guesses no password.
REFUSED_PAUSE = 60.0
#: Seconds to wait after failed sign-ins if the server does not say how long.
DELAYED_PAUSE = 30.0
#: Longest pause that a server may ask for by Retry-After, seconds.
LONGEST_RETRY_AFTER = 3600
#: Times that 423 may raise the interval.
MAX_RAISES = 2

_log = Logger()


class Outcome(enum.Enum):
    """How an attempt to register ended."""

    REGISTERED = "registered"
    REFUSED = "refused"
    "By a decision that a person has to change: password, key, block."
    DELAYED = "delayed"
    "The server did not look at the password yet, after failed sign-ins."
    FAILED = "failed"
    "For a reason that may pass."


@dataclass(frozen=True, slots=True)
class Binding:
    """What the server said of a registration."""

    expires: float
    "Seconds that it holds."
    realm: str | None = None
    "The SIP domain, from the public GRUU."
    observed: tuple[str, int] | None = None
    "The address that the server sees this device at (RFC 3581)."
    skew: float | None = None
    "Seconds that the server's clock is ahead."


class Registration:
    """REGISTER now and again, as long as the flow lives.

    :param clock: seconds for timers and, by `now`, since the epoch for the clock's skew.
    :param registered: told after each success, with the binding and whether it is the first over this flow.
    :param failed: told when the flow is of no use, with the pause in seconds that is due (none: as usual).
    """

    def __init__(
        self,
        asker: Asker,
        identity: Identity,
        clock: Clock,
        now: Callable[[], float],
        uniform: Callable[[], float],
        registered: Callable[[Binding, bool], None],
        failed: Callable[[Outcome, str, float | None], None],
    ) -> None:
        self._asker = asker
        self._identity = identity
        self._clock = clock
        self._now = now
        self._uniform = uniform
        self._registered = registered
        self._failed = failed
        self.call_id = asker.name()
        self._tag = asker.name()
        self._sequence = 0
        self._expires = EXPIRES
        self._first = True
        self._timer: Delayed | None = None
        self._stopped = False
        self._busy = False

    def start(self) -> None:
        """Register, and keep registered."""
        if not self._busy and not self._stopped:
            self._cancel_timer()
            self._busy = True
            Deferred.fromCoroutine(self._attempt()).addErrback(lambda failure: _log.failure("Registering failed.", failure=failure))

    def stop(self) -> None:
        """No more refreshes; what is under way is not heard any more."""
        self._stopped = True
        self._cancel_timer()

    async def remove(self) -> None:
        """Take the binding back (``Expires: 0``); returns whether or not the server answered."""
        self.stop()
        await self._asker.ask(lambda: self._request(0))

    def _request(self, expires: int) -> Request:
        self._sequence += 1
        return self._identity.register(self._asker.flow.local, self.call_id, self._sequence, self._tag, expires)

    async def _attempt(self) -> None:
        raises = 0
        try:
            while True:
                _, response = await self._asker.ask(lambda: self._request(self._expires))
                if self._stopped:
                    return
                if isinstance(response, Response) and response.code == 423 and raises < MAX_RAISES:
                    raises += 1
                    self._expires = max(self._expires + 1, response.min_expires or 0)
                    continue
                break
        finally:
            self._busy = False
        if isinstance(response, Response) and 200 <= response.code < 300:
            self._accepted(response)
        else:
            self._refused(response)

    def _accepted(self, response: Response) -> None:
        binding = read_binding(response, self._identity.instance, self._expires, self._now())
        pause = binding.expires * (REFRESH_FROM + (REFRESH_TO - REFRESH_FROM) * self._uniform())
        self._timer = self._clock.callLater(max(1.0, pause), self._refresh)
        first, self._first = self._first, False
        self._registered(binding, first)

    def _refresh(self) -> None:
        self._timer = None
        self.start()

    def _refused(self, response: Response | Lost) -> None:
        refusal = understood(response, "the server")
        if refusal.status in (401, 403, 404, 407):
            self._failed(Outcome.REFUSED, _advice(refusal, self._identity), REFUSED_PAUSE * (1.0 + 0.5 * self._uniform()))
            return
        pause = retry_after(response) if isinstance(response, Response) else None
        if refusal.code == "failed-sign-ins":
            pause = pause or DELAYED_PAUSE
            self._failed(Outcome.DELAYED, f"the server makes this host wait {pause:.0f} s after failed sign-ins", pause)
            return
        self._failed(Outcome.FAILED, refusal.message, pause)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def read_binding(response: Response, instance: str, asked: int, now: float) -> Binding:
    """What a 200 to REGISTER says.

    :param asked: the expiry that was asked for, which holds if the response names none for this instance.
    :param now: seconds since the epoch.
    """
    expires: float = response.expires if response.expires is not None else asked
    realm = None
    for contact in response.contact:
        if (contact.parameters.get("+sip.instance") or "").strip("<>") != instance:
            continue
        granted = contact.parameters.get("expires") or ""
        if granted.isdecimal() and len(granted) < 10:
            expires = int(granted)
        gruu = contact.parameters.get("pub-gruu")
        if gruu:
            realm = _host_of(gruu)
    return Binding(max(1.0, float(expires)), realm, _observed(response), _skew(response, now))


def retry_after(response: Response) -> float | None:
    """The seconds of Retry-After (RFC 3261 section 20.33), within bounds; None without one."""
    text = (response.headers.get("Retry-After") or "").strip().partition(";")[0].partition("(")[0].strip()
    return float(min(int(text), LONGEST_RETRY_AFTER)) if text.isdecimal() and len(text) < 10 else None


def _advice(refusal: Refusal, identity: Identity) -> str:
    if refusal.code == "not-authenticated":
        return f"the server refuses the password of {identity.user}; put the right one into the file `password`, it is tried at once then"
    return f"the server refuses this device: {refusal.message.rstrip('.')}; its administrator can look with `twsync ctl device`"


def _host_of(gruu: str) -> str | None:
    try:
        return Address.parse(f"<{gruu}>").uri.host or None
    except ValueError:
        return None


def _observed(response: Response) -> tuple[str, int] | None:
    try:
        via: Via = response.top_via
    except ValueError:
        return None
    host = via.parameters.get("received") or via.host
    port = via.parameters.get("rport") or ""
    found = int(port) if port.isdecimal() and len(port) < 6 else via.port
    return (host.strip("[]"), found) if found else None


def _skew(response: Response, now: float) -> float | None:
    text = response.headers.get("Date")
    if text is None or len(text) > limits.MAX_COMPONENT:
        return None
    try:
        return parsedate_to_datetime(text).timestamp() - now
    except (ValueError, OverflowError):
        return None
