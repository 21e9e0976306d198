"""Requests that others make of this host: to open a session itself, now (docs/protocol/signalling.md, "Stored and alerted requests")."""

from __future__ import annotations

from collections import OrderedDict

from twisted.logger import Logger

from twsync.errors import ConfigError
from twsync.peer.caller import Caller, Order
from twsync.peer.host import Host
from twsync.sip.request import SyncRequest

#: Ids of requests that were carried out: one that comes again, because its answer was lost, is answered and not done again.
REMEMBERED = 1000
#: Seconds to keep trying; who asked may be busy with other stored requests.
TIMEOUT = 120.0
#: Sessions under way at the most for a further one to be opened for somebody else.
MAX_SESSIONS = 16

_log = Logger()


class Invitations:
    """Opens the sessions that others ask for."""

    def __init__(self, host: Host, caller: Caller) -> None:
        self._host = host
        self._caller = caller
        self._done: OrderedDict[str, None] = OrderedDict()

    def requested(self, request: SyncRequest) -> tuple[int, str]:
        """Open the session, or say why not.

        :returns: the SIP status of the answer, and a sentence with a refusal.
        """
        settings = self._host.settings
        if request.id in self._done:
            return 202, ""
        try:
            collection = settings.collection(request.collection)
        except ConfigError:
            return 404, f"{settings.full_name} has no collection '{request.collection}'."
        if request.partner == settings.full_name:
            return 400, "A device does not synchronise with itself."
        if not collection.allows(request.partner, settings.user):
            return 403, f"{settings.full_name} does not share '{request.collection}' with {request.partner}."
        if len(self._host.sessions.running) >= MAX_SESSIONS:
            return 486, f"{settings.full_name} has too many sessions under way."
        self._done[request.id] = None
        while len(self._done) > REMEMBERED:
            self._done.popitem(last=False)
        _log.info("Asked to synchronise {name} with {partner}.", name=request.collection, partner=request.partner)
        # Not before the answer has gone out: the server lets the call through once it knows that the request was taken.
        self._host.clock.callLater(0, self._open, Order(request.collection, request.partner, request.sync_type, timeout=TIMEOUT))
        return 202, ""

    def _open(self, order: Order) -> None:
        try:
            self._caller.start(order)
        except Exception as error:
            _log.error("The session that was asked for cannot be started: {error}", error=error)
