"""The own device information, and where device information stands in messages (fact sheet section 10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from twsync.syncml.document import CTCap, DataStore, DevInf, Encoding, Item, Location, Meta, Property, Protocol, Put, Results

#: Media type of device information, by the encoding of the message that holds it.
TYPES: dict[Encoding, str] = {
    Encoding.XML: "application/vnd.syncml-devinf+xml",
    Encoding.WBXML: "application/vnd.syncml-devinf+wbxml",
}

#: The plain sync types, two-way to server-alerted: more chokes old clients.
SYNC_TYPES = ("1", "2", "3", "4", "5", "6", "7")
#: Properties that stand in every CTCap: they say which form is meant.
_EDGES = frozenset({"BEGIN", "END", "VERSION"})


class OwnDevice(msgspec.Struct, frozen=True):
    """What a host says of itself."""

    device_id: str
    software: str
    "Version of twsync."
    device_type: str = "server"
    "``server``, or ``workstation`` for a client."
    manufacturer: str = "twsync"
    model: str = "twsync"
    firmware: str = "unknown"
    hardware: str = "unknown"


def own_devinf(own: OwnDevice, protocol: Protocol, datastores: Sequence[DataStore]) -> DevInf:
    """The device information to send.

    :param datastores: their entries, `source_ref` as the other side is to read it: the spelling that it alerted.
    """
    shown = tuple(msgspec.structs.replace(store, sync_types=store.sync_types or SYNC_TYPES) for store in datastores)
    flat = {(cap.type, cap.version): cap for store in shown for cap in store.ctcaps} if protocol is not Protocol.V1_2 else {}
    later = protocol is not Protocol.V1_0
    return DevInf(
        version=protocol,
        device_id=own.device_id,
        device_type=own.device_type,
        manufacturer=own.manufacturer,
        model=own.model,
        firmware=own.firmware,
        software=own.software,
        hardware=own.hardware,
        utc=later,
        large_objects=later,
        number_of_changes=later,
        datastores=shown if not flat else tuple(msgspec.structs.replace(store, ctcaps=()) for store in shown),
        ctcaps=tuple(flat.values()),
    )


def shortened(devinf: DevInf) -> Iterator[DevInf]:
    """The same in ever fewer words, for a device that takes small messages: whole; without values and parameters; without properties; of
    each datastore's content types the preferred one only."""
    yield devinf
    yield _with(devinf, lambda found: (msgspec.structs.replace(found, values=found.values if found.name in _EDGES else (), params=()),))
    bare_lists = _with(devinf, lambda found: (found,) if found.name in _EDGES else ())
    yield bare_lists
    stores = tuple(msgspec.structs.replace(store, ctcaps=store.ctcaps[:1], rx=(), tx=()) for store in bare_lists.datastores)
    yield msgspec.structs.replace(bare_lists, datastores=stores, ctcaps=())


def _with(devinf: DevInf, change: Callable[[Property], tuple[Property, ...]]) -> DevInf:
    def changed(caps: tuple[CTCap, ...]) -> tuple[CTCap, ...]:
        return tuple(msgspec.structs.replace(cap, properties=tuple(kept for one in cap.properties for kept in change(one))) for cap in caps)

    stores = tuple(msgspec.structs.replace(store, ctcaps=changed(store.ctcaps)) for store in devinf.datastores)
    return msgspec.structs.replace(devinf, datastores=stores, ctcaps=changed(devinf.ctcaps))


def is_devinf(uri: str) -> bool:
    """Whether an address is that of device information, in any version and spelling.

    >>> is_devinf("./devinf12"), is_devinf("devinf11"), is_devinf("http://host/devinf10"), is_devinf("./contacts")
    (True, True, True, False)
    """
    return uri.rpartition("/")[2].lower().startswith("devinf1")


def put_devinf(devinf: DevInf, encoding: Encoding) -> Put:
    """The Put of the own device information."""
    item = Item(source=Location(uri=devinf.version.devinf_uri), data=devinf)
    return Put(name="Put", cmd_id="", meta=Meta(type=TYPES[encoding]), items=(item,))


def get_devinf(protocol: Protocol, encoding: Encoding) -> Put:
    """The Get for the other side's."""
    item = Item(target=Location(uri=protocol.devinf_uri))
    return Put(name="Get", cmd_id="", meta=Meta(type=TYPES[encoding]), items=(item,))


def results_devinf(devinf: DevInf, encoding: Encoding, msg_ref: str, cmd_ref: str) -> Results:
    """The answer to a Get for the own."""
    item = Item(source=Location(uri=devinf.version.devinf_uri), data=devinf)
    return Results(cmd_id="", msg_ref=msg_ref, cmd_ref=cmd_ref, meta=Meta(type=TYPES[encoding]), items=(item,))


def find_devinf(command: Put | Results) -> DevInf | None:
    """The device information in a Put or Results."""
    return next((item.data for item in command.items if isinstance(item.data, DevInf)), None)


def entry_for(devinf: DevInf | None, name: str) -> DataStore | None:
    """The entry of a datastore: spelled as it is, then without ``./`` and case; the only one if there is one only."""
    if devinf is None:
        return None
    for store in devinf.datastores:
        if store.source_ref == name:
            return store
    plain = bare(name).lower()
    for store in devinf.datastores:
        if bare(store.source_ref).lower() == plain:
            return store
    return devinf.datastores[0] if len(devinf.datastores) == 1 else None


def bare(uri: str) -> str:
    """The address of a datastore without ``./``, a query and closing slashes.

    >>> bare("./contacts"), bare("contacts/"), bare("contacts?/fi(x)")
    ('contacts', 'contacts', 'contacts')
    """
    return uri.partition("?")[0].strip().removeprefix("./").strip("/")
