"""Commands that carry changes, and the values that stores deal in (fact sheet sections 1.3, 3.3, 5).

How items are addressed: a client's changes name its LUID in Source. A server's Add names a temporary GUID in Source; its Replace and
Delete name the LUID in Target, and nothing in Source.

Between two twsync hosts an item's Meta carries ``EMI`` ``twsync-version=BASE64``, the packed version vector, and ``twsync-copy=BASE64``,
the LUID of the item whose conflict it is the copy of. Others ignore them.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from twsync import limits
from twsync.syncml.codes import StatusCode
from twsync.syncml.datastore import Action, Incoming, Outgoing, Record
from twsync.syncml.document import Change, Item, Location, Meta

VERSION_EMI = "twsync-version="
COPY_EMI = "twsync-copy="


def to_command(change: Outgoing, from_server: bool, twsync: bool) -> Change:
    """The command for a change, its CmdID not yet given.

    :param twsync: the other side is a twsync host: the version goes with it.
    """
    record = change.record
    version = record.version if record is not None else change.version
    said = ((VERSION_EMI, version), (COPY_EMI, record.copy_of.encode() if record is not None else b"")) if twsync else ()
    emi = tuple(name + base64.b64encode(value).decode() for name, value in said if value)
    meta = Meta(type=record.type or None) if record is not None and record.type else None
    here = Location(uri=change.id)
    by_target = from_server and change.action is not Action.ADD
    item = Item(
        target=here if by_target else None,
        source=None if by_target else here,
        meta=Meta(emi=emi) if emi else None,
        data=record.data if record is not None else None,
    )
    command = Change(name=change.action.value, cmd_id="", meta=meta, items=(item,))
    return encoded(command) if isinstance(item.data, bytes) else command


def encoded(command: Change) -> Change:
    """A change with its content in base64, for octets and for characters that XML cannot say."""
    item = command.items[0]
    raw = item.data.encode() if isinstance(item.data, str) else item.data
    if not isinstance(raw, bytes):
        raise TypeError("only text and bytes can be encoded")
    item = msgspec.structs.replace(item, data=base64.b64encode(raw).decode())
    return msgspec.structs.replace(command, meta=msgspec.structs.replace(command.meta or Meta(), format="b64"), items=(item,))


def is_encoded(command: Change) -> bool:
    """Whether a change that `to_command` made is in base64."""
    return command.meta is not None and command.meta.format == "b64"


def identity(item: Item, from_server: bool, action: Action) -> str:
    """The name by which a received item goes: empty if it has none."""
    first, second = (item.target, item.source) if from_server and action is not Action.ADD else (item.source, item.target)
    return (first.uri if first else "") or (second.uri if second else "")


def from_command(command: Change, item: Item, from_server: bool, twsync: bool) -> Incoming | StatusCode:
    """A received change, whole; or the status that says what is wrong with it.

    :param command: Add, Replace or Delete.
    """
    action = Action(command.name)
    name = identity(item, from_server, action)
    if not name:
        return StatusCode.INCOMPLETE
    if len(name) > limits.MAX_ITEM_NAME:
        return StatusCode.BAD_REQUEST
    version = _said(command, item, VERSION_EMI) if twsync else b""
    if action is Action.DELETE:
        return Incoming(action=action, id=name, version=version, archive=command.archive, soft=command.soft)
    if not isinstance(item.data, str | bytes):
        return StatusCode.INCOMPLETE
    kind = _of(command, item, "type") or ""
    partial = action is Action.REPLACE and any(meta.field_level for meta in (item.meta, command.meta) if meta is not None)
    data = plain(item.data, _of(command, item, "format"))
    copy_of = _said(command, item, COPY_EMI).decode("utf-8", "replace") if twsync else ""
    return Incoming(action=action, id=name, record=Record(kind, data, version, copy_of[: limits.MAX_ITEM_NAME]), partial=partial)


def plain(data: str | bytes, form: str | None) -> str | bytes:
    """Content without its transport encoding, byte order mark and closing NUL.

    Format ``b64`` that is no base64 is taken as it stands: devices name the format of what is inside.
    """
    raw = data.encode() if isinstance(data, str) else data
    if (form or "").strip().lower() == "b64":
        try:
            raw = base64.b64decode(b"".join(raw.split()), validate=True)
        except (binascii.Error, ValueError):
            return data
    try:
        return raw.decode().removeprefix("\ufeff").rstrip("\0")
    except UnicodeDecodeError:
        return raw


def _of(command: Change, item: Item, field: str) -> str | None:
    for meta in (item.meta, command.meta):
        value: str | None = getattr(meta, field) if meta is not None else None
        if value:
            return value
    return None


def _said(command: Change, item: Item, name: str) -> bytes:
    """What another twsync host says of an item beside its content; empty: nothing, or nothing that can be read."""
    for meta in (item.meta, command.meta):
        for text in meta.emi if meta is not None else ():
            if text.startswith(name):
                try:
                    return base64.b64decode(text.removeprefix(name), validate=True)
                except (binascii.Error, ValueError):
                    return b""
    return b""
