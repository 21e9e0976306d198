"""The control messages: one MessagePack map each, told apart by the field ``type``.

Every message is checked as it is decoded (types, lengths, ranges), and by its `check` for what a schema cannot say. What comes out of
:func:`decode` can be used as it is; whether it may come *now* is for :mod:`twsync.peerwire.session`, whether it is *true* for the exchange.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from twsync.errors import ProtocolError
from twsync.limits import (
    MAX_BUNDLE_FILES,
    MAX_FILE_SIZE,
    MAX_FRAME,
    MAX_ITEMS_PER_MESSAGE,
    MAX_ITEMS_PER_SESSION,
    MAX_LARGE_UNDER_WAY,
    MAX_REFUSED_PER_MESSAGE,
    MAX_SKIPPED_PER_MESSAGE,
    SMALL_FILE,
)
from twsync.peerwire.rows import CONTENT_BYTES, KeyBytes, Row, check_key
from twsync.reconcile.model import Policy, SyncType

#: The version of the protocol that this package speaks.
PROTOCOL = 1
#: Bytes of an anchor's token.
ANCHOR_BYTES = 16
#: Bytes of a connection's token.
TOKEN_BYTES = 32
#: Optional abilities this package has; one is used if both sides name it.
FEATURES = ("zstd", "ahead")

_Transfer = Annotated[int, msgspec.Meta(ge=1, le=2**32 - 1)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_FILE_SIZE)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Content = Annotated[bytes, msgspec.Meta(min_length=CONTENT_BYTES, max_length=CONTENT_BYTES)]
_Anchor = Annotated[bytes, msgspec.Meta(min_length=ANCHOR_BYTES, max_length=ANCHOR_BYTES)]
_Token = Annotated[bytes, msgspec.Meta(min_length=TOKEN_BYTES, max_length=TOKEN_BYTES)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Code = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9-]{0,39}\Z")]
_Sentence = Annotated[str, msgspec.Meta(max_length=500)]
_Mode = Annotated[str, msgspec.Meta(pattern=r"\A(whole|delta)\Z")]
_Status = Annotated[str, msgspec.Meta(pattern=r"\A(ok|changed|unreadable)\Z")]
#: The same, for a bundle's files: a pattern would take most of the time that reading their message does.
_STATUSES = frozenset({"ok", "changed", "unreadable"})


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type"):
    """Base of all messages."""

    kind: ClassVar[str] = ""

    def check(self) -> None:
        """What the schema cannot say.

        :raises ProtocolError: it does not hold.
        """


class Hello(Message, frozen=True, tag="hello"):
    """The first message of each side; the client's carries the token of the INVITE."""

    kind: ClassVar[str] = "hello"
    protocol: Annotated[int, msgspec.Meta(ge=1, le=255)]
    features: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=32)], ...], msgspec.Meta(max_length=16)]
    session: _Name
    collection: _Name
    token: _Token | None = None


class Open(Message, frozen=True, tag="open"):
    """What each side stands on: its journal's life, its anchors of this partner, and what the client asked for."""

    kind: ClassVar[str] = "open"
    replica: int
    anchors: Annotated[tuple[_Anchor, ...], msgspec.Meta(max_length=2)]
    sync_type: SyncType = msgspec.field(name="sync")
    policy: Policy
    next: _Anchor
    live: _Count
    allow_deletes: bool

    def check(self) -> None:
        """A replica is 64 bits and never 0 (the schema cannot say it: its bounds are signed)."""
        if not 1 <= self.replica < 2**64:
            raise ProtocolError("a replica that is none")


class Items(Message, frozen=True, tag="items"):
    """Rows that changed."""

    kind: ClassVar[str] = "items"
    items: Annotated[tuple[Row, ...], msgspec.Meta(min_length=1, max_length=MAX_ITEMS_PER_MESSAGE)]


class ItemsEnd(Message, frozen=True, tag="items-end"):
    """All rows of this round have been sent."""

    kind: ClassVar[str] = "items-end"
    seq: _Count
    full: bool
    count: Annotated[int, msgspec.Meta(ge=0, le=MAX_ITEMS_PER_SESSION)]


class Counterparts(Message, frozen=True, tag="counterparts"):
    """Own rows of keys that the other side sent, where they matter, and keys that will not be taken."""

    kind: ClassVar[str] = "counterparts"
    items: Annotated[tuple[Row, ...], msgspec.Meta(max_length=MAX_ITEMS_PER_MESSAGE)]
    refused: Annotated[tuple[tuple[KeyBytes, _Code], ...], msgspec.Meta(max_length=MAX_REFUSED_PER_MESSAGE)]
    final: bool

    def check(self) -> None:
        """Refused keys are keys."""
        for key, _reason in self.refused:
            check_key(key)


class Plan(Message, frozen=True, tag="plan"):
    """The decision, to be compared. A side whose guards refuse it sends `error` instead."""

    kind: ClassVar[str] = "plan"
    digest: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    deletes: _Count


class Ahead(Message, frozen=True, tag="ahead"):
    """A large file that this side is about to hash, and the content id of its row before, if it had one."""

    kind: ClassVar[str] = "ahead"
    key: KeyBytes
    size: Annotated[int, msgspec.Meta(gt=SMALL_FILE, le=MAX_FILE_SIZE)]
    content: Annotated[bytes, msgspec.Meta(max_length=CONTENT_BYTES)]

    def check(self) -> None:
        """It is a key, and a content id or none."""
        check_key(self.key)
        if len(self.content) not in (0, CONTENT_BYTES):
            raise ProtocolError("a content id of another length")


class Fetch(Message, frozen=True, tag="fetch"):
    """Content of an announced file, whatever it is; a signature follows if it is asked for as a delta."""

    kind: ClassVar[str] = "fetch"
    transfer: _Transfer
    key: KeyBytes
    mode: _Mode

    def check(self) -> None:
        """It is a key."""
        check_key(self.key)


class Stop(Message, frozen=True, tag="stop"):
    """What was fetched by this transfer is not wanted any more."""

    kind: ClassVar[str] = "stop"
    transfer: _Transfer


class Want(Message, frozen=True, tag="want"):
    """Content that this side lacks.

    A bundle is a transfer of small files, answered together; a file is a transfer of its own, `whole` from an offset (what is before it
    was received in an earlier session) or as a `delta` against the signature that follows.
    """

    kind: ClassVar[str] = "want"
    bundles: Annotated[
        tuple[
            tuple[_Transfer, Annotated[tuple[tuple[KeyBytes, _Content], ...], msgspec.Meta(min_length=1, max_length=MAX_BUNDLE_FILES)]], ...
        ],
        msgspec.Meta(max_length=64),
    ] = ()
    files: Annotated[
        tuple[tuple[_Transfer, KeyBytes, _Content, _Mode, _Size], ...],
        msgspec.Meta(max_length=MAX_LARGE_UNDER_WAY),
    ] = ()

    def check(self) -> None:
        """It asks for something, and a delta for all of it."""
        if not self.bundles and not self.files:
            raise ProtocolError("a want that asks for nothing")
        if any(mode == "delta" and offset for _transfer, _key, _content, mode, offset in self.files):
            raise ProtocolError("a delta from an offset")


class Bundle(Message, frozen=True, tag="bundle"):
    """Begins the answer to a bundle: status and size of each file in the order asked; the contents follow, one after the other."""

    kind: ClassVar[str] = "bundle"
    transfer: _Transfer
    files: Annotated[
        tuple[tuple[Annotated[str, msgspec.Meta(max_length=10)], Annotated[int, msgspec.Meta(ge=0, le=SMALL_FILE)]], ...],
        msgspec.Meta(min_length=1, max_length=MAX_BUNDLE_FILES),
    ]

    def check(self) -> None:
        """Each has a status, and only a file that is there has a size."""
        statuses = {status for status, _size in self.files}
        if not statuses <= _STATUSES:
            raise ProtocolError("a status that no file has")
        if statuses != {"ok"} and any(size and status != "ok" for status, size in self.files):
            raise ProtocolError("a size on a file that does not come")


class File(Message, frozen=True, tag="file"):
    """Begins the answer to a file. With a status other than ``ok`` it is also the end."""

    kind: ClassVar[str] = "file"
    transfer: _Transfer
    status: _Status
    size: _Size


class FileEnd(Message, frozen=True, tag="file-end"):
    """The last byte of a file was sent; whether it is still the file that was asked for."""

    kind: ClassVar[str] = "file-end"
    transfer: _Transfer
    status: _Status


class RoundEnd(Message, frozen=True, tag="round-end"):
    """This side has all it wanted; how many items need another round, and whether it left something of the other's behind for good."""

    kind: ClassVar[str] = "round-end"
    retry: _Count
    held: bool


class Switch(Message, frozen=True, tag="switch"):
    """This side is ready for the other protocol that the session goes by; it sends no more frames."""

    kind: ClassVar[str] = "switch"


class Counters(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """What one side received and made durable."""

    added: _Count = 0
    changed: _Count = 0
    deleted: _Count = 0
    literal_bytes: _Count = 0
    matched_bytes: _Count = 0


class Skipped(Message, frozen=True, tag="skipped"):
    """Items this side could not send or take, with reasons; before `commit`, in as many messages as it takes."""

    kind: ClassVar[str] = "skipped"
    items: Annotated[tuple[tuple[KeyBytes, _Code], ...], msgspec.Meta(min_length=1, max_length=MAX_SKIPPED_PER_MESSAGE)]

    def check(self) -> None:
        """They are keys."""
        for key, _reason in self.items:
            check_key(key)


class Commit(Message, frozen=True, tag="commit"):
    """Everything this side received is durable and the next anchor prepared."""

    kind: ClassVar[str] = "commit"
    token: _Anchor
    received: Counters


class Error(Message, frozen=True, tag="error"):
    """Why the session ends; the last message."""

    kind: ClassVar[str] = "error"
    code: _Code
    message: _Sentence


AnyMessage = (
    Hello | Open | Items | ItemsEnd | Counterparts | Plan | Ahead | Fetch | Stop | Want | Bundle | File | FileEnd | RoundEnd | Switch
    | Skipped | Commit | Error
)  # fmt: skip

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(AnyMessage)


def encode(message: AnyMessage) -> bytes:
    """The payload of a CONTROL frame.

    :raises ValueError: it does not fit a frame; the sender asked for too much at once.
    """
    payload = _encoder.encode(message)
    if len(payload) >= MAX_FRAME:
        raise ValueError("message too large for one frame")
    return payload


def decode(payload: bytes | memoryview) -> AnyMessage:
    """The message in the payload of a CONTROL frame.

    :raises ProtocolError: it is none, or not a possible one.
    """
    try:
        message: AnyMessage = _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"a message that cannot be read: {error}") from None
    message.check()
    return message
