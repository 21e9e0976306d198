"""All datastores of a server's session: found by their addresses, opened at their Alert, gone through together, each failing alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from twsync import limits
from twsync.errors import TwsyncError
from twsync.reconcile.model import SyncType
from twsync.syncml.anchors import decide, own_anchor
from twsync.syncml.codes import StatusCode
from twsync.syncml.datastore import Datastore, Datastores, Peer
from twsync.syncml.deviceinfo import bare, entry_for
from twsync.syncml.document import DataStore, DevInf, Item, Location, Map, Protocol, Sync
from twsync.syncml.interrupted import Interrupted
from twsync.syncml.outbox import Outbox
from twsync.syncml.packages import Event, Stage
from twsync.syncml.receiving import CheckCred, Received
from twsync.syncml.references import Awaited
from twsync.syncml.sending import Answer
from twsync.syncml.serverstore import Partner, ServerStore, error_status, take_map

#: Record grammar of the filters that SyncML 1.2 defines.
CGI_FILTER = "syncml:filtertype-cgi"
#: How the 1.1 way of filtering begins, in the query of an address.
CGI_QUERY = "/fi("


class Alerted(msgspec.Struct, frozen=True):
    """What is answered to an Alert of a datastore."""

    code: int
    text: str = ""
    store: ServerStore | None = None
    "The datastore whose own Alert has to be sent."


class Failed(msgspec.Struct, frozen=True):
    """A datastore that failed when a package of the client was over."""

    store: ServerStore
    error: TwsyncError
    ending: bool
    "Whether it failed to commit; else to take the changes as a whole."


class ServerStores:
    """See the module.

    :param datastores: what the account may reach.
    :param device: of the client, with `account`: whose anchors and maps are meant.
    :param twsync: the client is a twsync host.
    :param interrupted: what sessions that broke were begun as.
    :param agreed: the only sync type that the client may ask for, or, for two-way, slow; None: any.
    :param set_free: asked to have other sessions let go of a datastore; whether any did.
    """

    def __init__(
        self,
        datastores: Datastores,
        account: str,
        device: str,
        twsync: bool,
        devinf: DevInf | None,
        interrupted: Interrupted,
        set_free: Callable[[str], bool],
        agreed: SyncType | None = None,
    ) -> None:
        self._datastores = datastores
        self._interrupted = interrupted
        self._set_free = set_free
        self._agreed = agreed
        self._account = account
        self._device = device
        self._twsync = twsync
        self._devinf = devinf
        self._stores: list[ServerStore] = []
        self._shown: dict[str, str] = {}

    def __iter__(self) -> Iterator[ServerStore]:
        """Those that were alerted."""
        return iter(self._stores)

    @property
    def partner(self) -> Partner:
        """What the client can do. A twsync host can do all, whatever it says."""
        if self._twsync:
            return Partner(twsync=True, large_objects=True, number_of_changes=True)
        known = self._devinf
        return Partner(
            large_objects=known is not None and known.large_objects,
            number_of_changes=known is not None and known.number_of_changes,
        )

    @property
    def devinf(self) -> DevInf | None:
        """The client's device information."""
        return self._devinf

    @property
    def knows_device(self) -> bool:
        """Whether the client's device information is known."""
        return self._devinf is not None

    def know(self, devinf: DevInf) -> None:
        """Device information came: stores that are open and not begun are opened again with it."""
        self._devinf = devinf
        for store in self._stores:
            if store.alive and not store.begun:
                store.close()
                try:
                    store.exchange(self._open(store.name, store.client_uri))
                except TwsyncError as error:
                    store.fail(error.message)

    def describe(self) -> list[DataStore]:
        """Entries for the own device information: the alerted stores by the addresses that were alerted; if none was, all.

        Newer Nokias look for the address that they alerted, and old Funambol clients choke on what they do not know.
        """
        shown = self._shown or {name: name for name in self._datastores.names()}
        return [msgspec.structs.replace(self._datastores.describe(name), source_ref=uri) for uri, name in shown.items()]

    def alert(self, code: int, item: Item, protocol: Protocol, now: float, max_object: int | None) -> Alerted:
        """An Alert that starts, or resumes, the synchronisation of a datastore.

        :param code: 200 to 210, 225.
        :param now: seconds since 1970: the own Next anchor is made of it.
        :param max_object: MaxObjSize of the header.
        """
        filtered = _filter_status(item.target)
        if filtered is not None:
            return Alerted(filtered, "filters are not supported")
        anchor = item.meta.anchor if item.meta is not None else None
        if anchor is not None and max(len(anchor.next), len(anchor.last or "")) > limits.MAX_ANCHOR:
            return Alerted(StatusCode.BAD_REQUEST, "the anchor is too long")
        uri = _address(item.target) or _address(item.source)
        if not uri:
            return Alerted(StatusCode.INCOMPLETE)
        client_uri = _address(item.source) or uri
        known = self._by_uri(uri)
        if known is not None and known.alive and not known.course.allows(Event.AGAIN):
            return Alerted(StatusCode.NOT_ALLOWED, "this datastore is being synchronised already")
        if known is None and len(self._stores) >= limits.MAX_SYNCML_DATASTORES:
            return Alerted(StatusCode.TOO_LARGE, "too many datastores in one session")
        if known is not None:
            known.close()
            self._stores.remove(known)
        name = self._name(uri)
        try:
            datastore = self._open(name, client_uri)
        except TwsyncError as error:
            return Alerted(error_status(error), error.message)
        self._shown[uri] = name
        last = anchor.last if anchor is not None else None
        decision = decide(code, last, datastore.anchors, protocol, self._interrupted.asked(self._account, self._device, name))
        if decision.sync_type is None or decision.asked is None:
            datastore.close()
            return Alerted(decision.status)
        if self._agreed is not None and not _fits(decision.asked, self._agreed):
            datastore.close()
            return Alerted(StatusCode.NOT_ALLOWED, f"the devices agreed on {self._agreed}")
        self._interrupted.begin(self._account, self._device, name, decision.asked)
        named = item.meta.max_obj_size if item.meta is not None else None
        own = own_anchor(now, datastore.anchors.own)
        store = ServerStore(name, uri, client_uri, datastore, decision, own, anchor.next if anchor else None, named or max_object, now)
        self._stores.append(store)
        return Alerted(decision.status, store=store)

    def sync(self, command: Sync, msg_ref: str, check: CheckCred) -> Received | int:
        """A Sync; or the status with which it is refused whole."""
        filtered = _filter_status(command.target)
        if filtered is not None:
            return filtered
        store = self._of(command.target, command.source)
        if store is None:
            return StatusCode.NOT_FOUND
        try:
            return store.receive(command, msg_ref, self.partner, check)
        except TwsyncError as error:
            store.fail(error.message)
            return error_status(error)

    def map(self, command: Map) -> int:
        """A Map: of this session, early; or late, when its store is closed already; or of a session that broke."""
        store = self._of(command.target, command.source)
        try:
            if store is not None and not store.closed:
                return store.map(command)
            name = store.name if store is not None else self._name(command.target.uri)
            datastore = self._open(name, command.source.uri)
            try:
                return take_map(datastore, command)
            finally:
                datastore.close()
        except TwsyncError as error:
            return error_status(error)

    def waits_for_changes(self) -> bool:
        """Whether a client that says Final has told of more changes than it sent."""
        return any(store.expects_more() for store in self._stores)

    def package_over(self) -> tuple[list[Item], list[Failed]]:
        """The client's package is over: each store goes on.

        :returns: first chunks of objects without end, for Alerts 223; and what failed.
        """
        lost: list[Item] = []
        failed: list[Failed] = []
        for store in self._stores:
            ending = store.course.stage is Stage.SENT
            try:
                missing = store.package_over(self.partner)
            except TwsyncError as error:
                store.fail(error.message)
                failed.append(Failed(store, error, ending))
                continue
            lost += [missing] if missing is not None else []
            if store.course.stage is Stage.DONE:
                self._interrupted.end(self._account, self._device, store.name)
        return lost, failed

    def fill(self, outbox: Outbox, awaited: Awaited[Answer]) -> bool:
        """Write own changes, store by store; whether all are written."""
        for store in self._stores:
            try:
                if not store.fill(outbox, awaited):
                    return False
            except TwsyncError as error:
                store.fail(error.message)
        return True

    def lost(self, name: str) -> None:
        """Alert 223 for the object `name`."""
        for store in self._stores:
            store.lost(name)

    def fail(self, reason: str) -> None:
        """All that are not done are out."""
        for store in self._stores:
            store.fail(reason)

    def _open(self, name: str, client_uri: str) -> Datastore:
        entry = entry_for(self._devinf, client_uri)
        peer = Peer(device=self._device, account=self._account, devinf=self._devinf, datastore=entry, twsync=self._twsync)
        try:
            return self._datastores.open(name, peer)
        except TwsyncError as error:
            if error.code != "busy":
                raise
            self._set_free(name)
        # (The second time it may wait a little for others.)
        return self._datastores.open(name, peer)

    def _of(self, target: Location | None, source: Location | None) -> ServerStore | None:
        """By the server's address, or the client's own where that is missing, or the only one."""
        uri = _address(target)
        if uri:
            return self._by_uri(uri)
        own = _address(source)
        found = [store for store in self._stores if not own or bare(store.client_uri) == bare(own)]
        return found[0] if len(found) == 1 else None

    def _by_uri(self, uri: str) -> ServerStore | None:
        spelled = [store for store in self._stores if store.uri == uri]
        found = spelled or [store for store in self._stores if store.name == self._name(uri)]
        return found[0] if found else None

    def _name(self, uri: str) -> str:
        """The collection that an address means: as spelled, then whatever the case, then by its last part."""
        plain = bare(uri)
        names = self._datastores.names()
        for spelled in (plain, plain.rpartition("/")[2]):
            for name in names:
                if name == spelled:
                    return name
            for name in names:
                if name.lower() == spelled.lower():
                    return name
        return plain


def _fits(asked: SyncType, agreed: SyncType) -> bool:
    """Whether a client asks for what was agreed on. Two-way is slow at the first meeting."""
    return asked is agreed or (asked is SyncType.SLOW and agreed is SyncType.TWO_WAY)


def _address(place: Location | None) -> str:
    return place.uri.strip() if place is not None else ""


def _filter_status(target: Location | None) -> StatusCode | None:
    """The status of a filter: none can be kept, and to leave it out would send what the client does not want."""
    if target is None:
        return None
    if CGI_QUERY in target.uri.partition("?")[2]:
        return StatusCode.NOT_SUPPORTED
    if target.filter is None:
        return None
    record = target.filter.record
    if record is None:
        return StatusCode.NOT_SUPPORTED
    grammar = record.meta.type if record.meta is not None else target.filter.meta.type if target.filter.meta is not None else None
    if (grammar or "").lower() != CGI_FILTER:
        return StatusCode.UNKNOWN_FILTER_GRAMMAR
    query = record.data if isinstance(record.data, str) else ""
    return StatusCode.NOT_SUPPORTED if "&" in query else StatusCode.BAD_FILTER
