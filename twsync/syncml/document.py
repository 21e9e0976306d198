"""A SyncML message as values: the content models of the SyncML, MetInf and DevInf DTDs (1.0, 1.1, 1.2).

Lenient by shape: what a real device may leave out is optional here. The codecs make and read these values; the sessions work with
nothing else. Numbers that a session only echoes (CmdID, MsgRef, CmdRef) stay text, as they came.
"""

from __future__ import annotations

import enum
from typing import TypeAlias

import msgspec


class Protocol(enum.StrEnum):
    """Version of the representation protocol: the value of VerDTD."""

    V1_0 = "1.0"
    V1_1 = "1.1"
    V1_2 = "1.2"

    @property
    def proto(self) -> str:
        """The value of VerProto."""
        return f"SyncML/{self.value}"

    @property
    def devinf_uri(self) -> str:
        """The address of the device information, such as ``./devinf12``."""
        return f"./devinf{self.value.replace('.', '')}"


#: The versions by the value of VerDTD.
PROTOCOLS = {protocol.value: protocol for protocol in Protocol}


class Encoding(enum.StrEnum):
    """How a message is written; the values are the MIME types."""

    XML = "application/vnd.syncml+xml"
    WBXML = "application/vnd.syncml+wbxml"


class Anchor(msgspec.Struct, frozen=True):
    """MetInf Anchor: opaque strings."""

    next: str
    last: str | None = None


class Mem(msgspec.Struct, frozen=True):
    """MetInf Mem: free room of a datastore."""

    free_mem: int | None = None
    "Bytes."
    free_id: int | None = None
    "Items."
    shared: bool = False


class Meta(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The MetInf children of a Meta (or, for anchors in a Status, of a Data) element."""

    format: str | None = None
    type: str | None = None
    mark: str | None = None
    size: int | None = None
    anchor: Anchor | None = None
    version: str | None = None
    next_nonce: str | None = None
    "As it stands: base64 text (or raw, latin-1)."
    max_msg_size: int | None = None
    max_obj_size: int | None = None
    field_level: bool = False
    emi: tuple[str, ...] = ()
    mem: Mem | None = None


class Filter(msgspec.Struct, frozen=True):
    """Filter of a Target (1.2)."""

    meta: Meta | None = None
    field: Item | None = None
    record: Item | None = None
    filter_type: str | None = None


class Location(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Target or Source."""

    uri: str
    name: str | None = None
    "LocName."
    filter: Filter | None = None


class ContentType(msgspec.Struct, frozen=True):
    """CTType with VerCT."""

    type: str
    version: str = ""


class PropParam(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parameter of a property that a device knows."""

    name: str
    data_type: str | None = None
    values: tuple[str, ...] = ()
    "ValEnum; empty: any."
    display_name: str | None = None


class Property(msgspec.Struct, frozen=True, omit_defaults=True):
    """A property that a device knows."""

    name: str
    data_type: str | None = None
    max_occur: int | None = None
    max_size: int | None = None
    no_truncate: bool = False
    values: tuple[str, ...] = ()
    "ValEnum; empty: any."
    display_name: str | None = None
    params: tuple[PropParam, ...] = ()


class CTCap(msgspec.Struct, frozen=True):
    """What a device knows of one content type."""

    type: str
    version: str = ""
    field_level: bool = False
    properties: tuple[Property, ...] = ()


class DataStore(msgspec.Struct, frozen=True, omit_defaults=True):
    """A datastore of a device."""

    source_ref: str
    display_name: str | None = None
    max_guid_size: int | None = None
    rx_pref: ContentType | None = None
    rx: tuple[ContentType, ...] = ()
    tx_pref: ContentType | None = None
    tx: tuple[ContentType, ...] = ()
    ctcaps: tuple[CTCap, ...] = ()
    "1.2: here. 1.0 and 1.1: in `DevInf.ctcaps`."
    mem: Mem | None = None
    hierarchical: bool = False
    sync_types: tuple[str, ...] = ()
    filter_rx: tuple[ContentType, ...] = ()
    filter_caps: tuple[FilterCap, ...] = ()


class FilterCap(msgspec.Struct, frozen=True):
    """What a device can filter by (1.2)."""

    type: str
    version: str = ""
    keywords: tuple[str, ...] = ()
    properties: tuple[str, ...] = ()


class Ext(msgspec.Struct, frozen=True):
    """A vendor extension."""

    name: str
    values: tuple[str, ...] = ()


class DevInf(msgspec.Struct, frozen=True, omit_defaults=True):
    """Device information."""

    version: Protocol
    device_id: str
    device_type: str = "workstation"
    manufacturer: str | None = None
    model: str | None = None
    oem: str | None = None
    firmware: str | None = None
    software: str | None = None
    hardware: str | None = None
    utc: bool = False
    large_objects: bool = False
    number_of_changes: bool = False
    datastores: tuple[DataStore, ...] = ()
    ctcaps: tuple[CTCap, ...] = ()
    "1.0 and 1.1 only."
    exts: tuple[Ext, ...] = ()


#: What stands in Data: text; octets that are no UTF-8 text; device information; MetInf children (the anchor in a Status).
Data: TypeAlias = str | bytes | DevInf | Meta


class Item(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Item."""

    target: Location | None = None
    source: Location | None = None
    source_parent: str | None = None
    target_parent: str | None = None
    meta: Meta | None = None
    data: Data | None = None
    more_data: bool = False


class Cred(msgspec.Struct, frozen=True):
    """Credentials; `repr` does not show them."""

    data: str | bytes
    meta: Meta | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Cred({self.meta!r})"


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """SyncHdr."""

    protocol: Protocol
    session_id: str
    msg_id: str
    target: Location
    source: Location
    resp_uri: str | None = None
    no_resp: bool = False
    cred: Cred | None = None
    meta: Meta | None = None
    foreign: str = ""
    "VerProto (or VerDTD) of a received message if it is none of ours, such as ``DM/1.2``: to be answered 513. Never written."


class Status(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Status."""

    cmd_id: str
    msg_ref: str
    cmd_ref: str
    cmd: str
    code: str
    target_refs: tuple[str, ...] = ()
    source_refs: tuple[str, ...] = ()
    cred: Cred | None = None
    chal: Meta | None = None
    items: tuple[Item, ...] = ()


class Alert(msgspec.Struct, frozen=True, omit_defaults=True):
    """Alert."""

    cmd_id: str
    code: str | None = None
    items: tuple[Item, ...] = ()
    no_resp: bool = False
    cred: Cred | None = None
    correlator: str | None = None


class Change(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Add, Replace, Delete, Copy or Move (`name` says which)."""

    name: str
    cmd_id: str
    items: tuple[Item, ...] = ()
    meta: Meta | None = None
    no_resp: bool = False
    cred: Cred | None = None
    archive: bool = False
    soft: bool = False


class Sync(msgspec.Struct, frozen=True, omit_defaults=True):
    """Sync."""

    cmd_id: str
    target: Location | None = None
    source: Location | None = None
    commands: tuple[SyncCommand, ...] = ()
    number_of_changes: int | None = None
    meta: Meta | None = None
    no_resp: bool = False
    cred: Cred | None = None


class Group(msgspec.Struct, frozen=True, omit_defaults=True):
    """Atomic or Sequence (`name` says which)."""

    name: str
    cmd_id: str
    commands: tuple[Command, ...] = ()
    meta: Meta | None = None
    no_resp: bool = False


class MapItem(msgspec.Struct, frozen=True, gc=False):
    """One pair of a Map."""

    target: str
    "The server's (temporary) GUID."
    source: str
    "The client's LUID."


class Map(msgspec.Struct, frozen=True, omit_defaults=True):
    """Map."""

    cmd_id: str
    target: Location
    source: Location
    items: tuple[MapItem, ...] = ()
    meta: Meta | None = None
    cred: Cred | None = None


class Put(msgspec.Struct, frozen=True, omit_defaults=True):
    """Put or Get (`name` says which)."""

    name: str
    cmd_id: str
    items: tuple[Item, ...] = ()
    meta: Meta | None = None
    lang: str | None = None
    no_resp: bool = False
    cred: Cred | None = None


class Results(msgspec.Struct, frozen=True, omit_defaults=True):
    """Results."""

    cmd_id: str
    cmd_ref: str
    msg_ref: str | None = None
    items: tuple[Item, ...] = ()
    meta: Meta | None = None
    target_ref: str | None = None
    source_ref: str | None = None


class Other(msgspec.Struct, frozen=True, omit_defaults=True):
    """A command that is answered without being carried out: Exec, Search, or one that no DTD knows."""

    name: str
    cmd_id: str
    no_resp: bool = False


SyncCommand: TypeAlias = Change | Group | Other
Command: TypeAlias = Status | Alert | Change | Sync | Group | Map | Put | Results | Other


class Message(msgspec.Struct, frozen=True):
    """A SyncML document."""

    header: Header
    body: tuple[Command, ...] = ()
    final: bool = False
