"""One large file: how it is read for the other side, whole or as a delta. Work for a streamer's thread."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from twsync import delta
from twsync.delta.format import SIGNATURE_HEADER, SIGNATURE_TRAILER
from twsync.delta.threads import Threads
from twsync.errors import FormatError, ProtocolError, StoreError
from twsync.limits import MAX_LITERAL, MIN_GIVEN_BLOCK_LENGTH
from twsync.peer.basis import largest_basis
from twsync.peer.pace import Pace
from twsync.peerwire.frames import FrameType, Payload
from twsync.reconcile.model import Item, Kind
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.reading import Reading
from twsync.store.source import CHANGED, UNREADABLE, Source, open_ahead, open_source
from twsync.transport.buffers import Buffers

#: Statuses of an answer that are no content.
NO_CONTENT = frozenset({CHANGED, UNREADABLE})
#: Bytes of a delta's chunk from which on it is a piece of a long literal.
LONG_LITERAL = MAX_LITERAL // 2

#: A data frame's kind and payload.
DataFrame: TypeAlias = tuple[FrameType, Payload]
#: That, or a status.
Chunk: TypeAlias = DataFrame | str


@dataclass(slots=True)
class WantedFile:
    """A large file that the other side asked for."""

    transfer: int
    item: Item
    mode: str
    offset: int = 0
    reading: Reading | None = None
    "Of the scan, if it is fetched ahead of the plan; then its content is not known."
    stopped: bool = False
    "Whether it is not wanted any more."
    signature: bytearray = field(default_factory=bytearray)
    started: bool = False


def read_large(wanted: WantedFile, gate: Gate, journal: CollectionJournal, pace: Pace, buffers: Buffers) -> Iterator[Chunk]:
    """A status; after `ok` the chunks and another status.

    :raises ProtocolError: the signature cannot be read.
    """
    try:
        source = _open(wanted, gate, journal)
    except StoreError as error:
        yield _status(error)
        return
    with source:
        yield "ok"
        try:
            for payload in _payloads(wanted, source, buffers):
                yield pace.pack(payload)
                if wanted.stopped:
                    yield CHANGED
                    return
            yield "ok" if source.unchanged() else CHANGED
        except StoreError as error:
            yield _status(error)


def _open(wanted: WantedFile, gate: Gate, journal: CollectionJournal) -> Source:
    item = wanted.item
    if wanted.reading is not None:
        return open_ahead(gate, item.key, item.size, wanted.reading)
    row = journal.get(item.key)
    if row is None or row.item.kind is not Kind.FILE or row.item.content != item.content:
        raise StoreError("The journal has another content.", CHANGED)
    return open_source(gate, row)


def _status(error: StoreError) -> str:
    """What the other side is told; an error that concerns more than this file goes up."""
    if error.code not in NO_CONTENT:
        raise error
    return error.code


def _payloads(wanted: WantedFile, source: Source, buffers: Buffers) -> Iterator[Payload]:
    if wanted.mode == "delta":
        with Threads(2) as beside:
            try:
                chunks = delta.delta(bytes(wanted.signature), source, executor=beside)
            except FormatError as error:
                raise ProtocolError(f"a signature that cannot be read: {error}") from None
            wanted.signature = bytearray()
            yield from full_frames(chunks, buffers)
        return
    source.seek(wanted.offset)
    while count := source.readinto(buffer := buffers.take()):
        yield buffer[:count]


def full_frames(chunks: Iterable[bytes], buffers: Buffers) -> Iterator[Payload]:
    """The pieces of long literals in full frames, since a frame costs a turn of both reactors; all else at once, so that the other side
    can patch while this one searches.
    """
    buffer, filled = buffers.take(), 0
    for chunk in chunks:
        if filled and (len(chunk) < LONG_LITERAL or filled + len(chunk) > len(buffer)):
            yield buffer[:filled]
            buffer, filled = buffers.take(), 0
        if len(chunk) < LONG_LITERAL:
            yield chunk
        else:
            buffer[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
    if filled:
        yield buffer[:filled]


def check_signature(signature: bytearray, size: int) -> None:
    """Refuse a signature whose search would take unduly long; all else about it is checked by who reads it.

    :param size: of the file that is to be described by it.
    :raises ProtocolError: its blocks are too short, or its file is far larger than this one.
    """
    if len(signature) < SIGNATURE_HEADER.size + SIGNATURE_TRAILER.size:
        return
    _magic, block_length, _strong_length, _seed = SIGNATURE_HEADER.unpack_from(signature)
    _marker, length, _blocks, _checksum = SIGNATURE_TRAILER.unpack_from(signature, len(signature) - SIGNATURE_TRAILER.size)
    if block_length < MIN_GIVEN_BLOCK_LENGTH or length > largest_basis(size):
        raise ProtocolError("a signature that nobody needs")
