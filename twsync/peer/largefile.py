"""One large file: how it is asked for, and how what comes is put into staging. Work for a streamer's thread.

A file that was partly received is asked for from where it broke off. If there is an older file here, a delta is asked for instead, with
that file as its basis, and behind what was received of the new one: so a broken delta goes on as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from twsync import delta
from twsync.delta.threads import Threads
from twsync.delta.tuning import LARGEST_FILE
from twsync.errors import FormatError, ProtocolError, StoreError, TwsyncError
from twsync.limits import MAX_BULK, SIGNED_FILE, SMALL_FILE
from twsync.peer.basis import Basis, Part, Received, largest_basis
from twsync.peer.needs import Need
from twsync.peer.pace import unpack
from twsync.peer.streams import Feed
from twsync.peerwire.frames import Frame, Payload
from twsync.store.paths import Gate
from twsync.store.signatures import Signatures
from twsync.store.source import open_source
from twsync.store.staging import Partial, Staged, Staging

#: A delta stream may be this much longer than the file it makes, and an eighth: its operations cost a few bytes for a block.
_DELTA_OVERHEAD = 64 * 1024

#: Data frames as they came.
Chunks: TypeAlias = Feed[Frame]


class NotComingError(TwsyncError):
    """The other side says that a file does not come; `code` is the status that said so. Ends a feed, and never leaves a session."""


@dataclass(slots=True)
class Opening:
    """What a large file is received into, and from what."""

    partial: Partial
    basis: Basis | None = None
    "Then it is asked for as a delta."
    staged: Staged | None = None
    "It turned out to be complete already."
    offset: int = 0
    "Bytes that are here, if it is asked for whole."
    kept: list[Part] = field(default_factory=list)
    "Open files of the basis."
    older: bytes = b""
    "Content id of the basis, if that is one file."

    def close(self) -> None:
        """Close everything; what was received stays for next time, unless it was used up or discarded."""
        for part in self.kept:
            part.close()
        self.partial.keep()


def open_large(need: Need, gate: Gate, staging: Staging, seed: int) -> Opening:
    """Decide how a large file is asked for. What was received earlier is hashed again, so this takes its time.

    :param seed: of the signature that is made of it while it comes.
    :raises StoreError: the disk cannot take it.
    """
    opening = _open(need, gate, staging)
    # The pure core takes longer to sum the blocks than it takes to read the file again.
    if delta.BACKEND == "native" and SIGNED_FILE <= need.size <= LARGEST_FILE and not opening.partial.size:
        opening.partial.signing = delta.signing(need.size, seed)
    return opening


def _open(need: Need, gate: Gate, staging: Staging) -> Opening:
    kept: list[Part] = []
    try:
        return _begin(need, gate, staging, kept)
    except BaseException:
        for part in kept:
            part.close()
        raise


def _begin(need: Need, gate: Gate, staging: Staging, kept: list[Part]) -> Opening:
    """:param kept: takes what was opened."""
    if need.content and not staging.find_partial(need.content):
        staging.claim_unknown(need.key, need.size, need.content)
    basis = _older(need, gate, staging, kept) if not need.whole and need.size <= LARGEST_FILE else None
    older = need.basis.item.content if need.basis is not None and len(kept) == 1 else b""
    if not need.content:
        return Opening(staging.create_unknown(need.key, need.size), basis, kept=kept, older=older)
    if basis is not None or need.tries:
        return Opening(staging.create(need.content), basis, kept=kept, older=older)
    partial = staging.resume(need.content)
    if partial.size == need.size:
        staged = partial.finish()
        if staged is not None:
            return Opening(partial, staged=staged)
        partial = staging.create(need.content)
    elif partial.size > need.size:
        partial.discard()
        partial = staging.create(need.content)
    return Opening(partial, offset=partial.size)


def _older(need: Need, gate: Gate, staging: Staging, kept: list[Part]) -> Basis | None:
    """What a delta could start from, None if nothing here is worth it."""
    row = need.basis
    if row is None or row.item.size <= SMALL_FILE:
        return None
    try:
        source = open_source(gate, row)
    except StoreError:
        return None
    kept.append(source)
    parts: list[tuple[Part, int]] = [(source, source.size)]
    received = staging.open_basis(need.content) if need.content else None
    if received is not None:
        before = Received(received)
        kept.append(before)
        parts.insert(0, (before, staging.find_partial(need.content)))
    basis = Basis(parts)
    if basis.size <= min(LARGEST_FILE, largest_basis(need.size)):
        return basis
    while kept:
        kept.pop().close()
    return None


def signature(basis: Basis, older: bytes, signatures: Signatures, seed: int) -> Iterator[bytes]:
    """The signature stream of a basis: the one that was kept, or one that is made now.

    :param older: the basis' content id, if it is one file.
    """
    kept = signatures.find(older, basis.size) if older else None
    if kept is not None:
        yield from (kept[at : at + MAX_BULK] for at in range(0, len(kept), MAX_BULK))
        return
    basis.seek(0)
    with Threads(2) as beside:
        yield from delta.signature_chunks(basis, delta.block_length_for(basis.size), seed, executor=beside)


def take_in(need: Need, opening: Opening, feed: Chunks, signatures: Signatures) -> tuple[Staged | None, int, int]:
    """Write what comes to staging until it ends, and keep its signature for next time.

    :returns: the staged file, None if it is not the content that was asked for; literal and matched bytes.
    :raises NotComingError: it was changed while it was read.
    :raises ProtocolError: more came than there should be.
    """
    partial, basis = opening.partial, opening.basis
    try:
        if basis is None:
            literal = 0
            for data in _unpacked(feed, need.size - opening.offset):
                partial.append(data)
                literal += len(data)
            return _finish(partial, signatures), literal, opening.offset
        basis.seek(0)
        most = need.size + need.size // 8 + _DELTA_OVERHEAD
        chunks = _unpacked(feed, most)
        try:
            # The content id proves it: the core has no sums to make.
            with Threads(2) as beside:
                stats = delta.patch(basis, chunks, partial, max_output=need.size, executor=beside, prove=partial.prove)
        except FormatError:
            # It does not fit the basis, or was spoilt on the way: read to its end, then ask again.
            partial.discard()
            _doubt(opening, signatures)
            for _rest in chunks:  # nothing, if it had come to its end before the error was seen
                pass
            return None, 0, 0
        for _rest in chunks:
            raise ProtocolError("content behind the end of a delta")
        staged = _finish(partial, signatures)
        if staged is None:
            _doubt(opening, signatures)
        return staged, stats.literal_bytes, stats.matched_bytes
    except (NotComingError, ProtocolError):
        # What came is of no one content.
        partial.discard()
        raise


def _finish(partial: Partial, signatures: Signatures) -> Staged | None:
    staged = partial.finish()
    if staged is not None and partial.signing is not None:
        signatures.keep(staged.content, partial.signing.finish())
    return staged


def _doubt(opening: Opening, signatures: Signatures) -> None:
    """What a delta made is not the file: if a kept signature was to blame, it is the last time."""
    if opening.older:
        signatures.forget(opening.older)


def _unpacked(feed: Chunks, most: int) -> Iterator[Payload]:
    """The content of data frames, no more than `most` bytes of it; each piece is good until the next is asked for."""
    total = 0
    for frame in feed:
        data = unpack(frame.kind, frame.payload)
        total += len(data)
        if total > most:
            raise ProtocolError("a file that is longer than it says")
        yield data
        frame.release()
