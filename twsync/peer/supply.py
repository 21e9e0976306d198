"""The end of the transfers that has the content: answers the other side's wants.

Only what was offered is given: a want must name a key and content of a row that was sent in this session. A file is read only as long
as it is the one its row describes. Bundles and large files are answered side by side, bundles in the order asked; reading goes on while
the wire takes what was read before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from twisted.internet.defer import Deferred

from twsync.errors import ProtocolError, TwsyncError
from twsync.limits import MAX_BUNDLE_BYTES, MAX_BUNDLE_BYTES_UNDER_WAY, MAX_REQUESTS_UNDER_WAY, SMALL_FILE
from twsync.peer.announcing import Announcing
from twsync.peer.dialogue import Dialogue
from twsync.peer.largeread import WantedFile, read_large
from twsync.peer.largesupply import LargeSupply
from twsync.peer.pace import Pace
from twsync.peer.sending import Sending
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame, FrameType, Payload
from twsync.reconcile.model import FILE, Item
from twsync.store.journal import CollectionJournal
from twsync.store.paths import Gate
from twsync.store.source import CHANGED, read_contents
from twsync.transport.buffers import Buffers


@dataclass(slots=True)
class _Bundle:
    transfer: int
    items: list[Item]
    size: int


class Supplier:
    """Answers wants.

    :param offered: rows sent in this session, by key; grows while the session goes on.
    :param announcing: knows what may be fetched ahead of the plan.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        workshop: Workshop,
        gate: Gate,
        journal: CollectionJournal,
        offered: Mapping[bytes, Item],
        announcing: Announcing,
        pace: Pace,
    ) -> None:
        self._dialogue = dialogue
        self._workshop = workshop
        self._gate = gate
        self._offered = offered
        self._announcing = announcing
        self._pace = pace
        self._bundles: deque[_Bundle] = deque()
        self._answering = False
        self._under_way: set[int] = set()
        self._bundle_bytes = 0
        self._requests = 0
        self._tasks = tasks
        self._buffers = Buffers()
        self._sending = Sending(dialogue, pace, self._buffers)
        read = partial(read_large, gate=gate, journal=journal, pace=pace, buffers=self._buffers)
        self._large = LargeSupply(dialogue, tasks, workshop, self._sending, read=read, answered=self._answered)
        #: Keys whose content was not what was offered any more, since the last `take_changed`.
        self._changed: set[bytes] = set()
        dialogue.supplier = self
        dialogue.when_over(self.stopped)

    @property
    def content_bytes(self) -> int:
        """Bytes of content sent."""
        return self._sending.content_bytes

    def take_changed(self) -> set[bytes]:
        """Keys that need another round, and forget them."""
        changed, self._changed = self._changed, set()
        return changed

    def close(self) -> None:
        """The session is over: free memory."""
        self._buffers.close()

    @property
    def busy(self) -> bool:
        """Whether a want is not answered yet."""
        return bool(self._under_way)

    # --- from the other side -----------------------------------------------------------------------------------------------------------

    def message_received(self, message: messages.AnyMessage) -> None:
        """A want, or something ahead of the plan."""
        if isinstance(message, messages.Fetch):
            item, reading = self._announcing.take(message.key)
            self._want_large(WantedFile(message.transfer, item, message.mode, reading=reading))
            return
        if isinstance(message, messages.Stop):
            self._large.stop(message.transfer)
            return
        assert isinstance(message, messages.Want)
        for transfer, entries in message.bundles:
            self._begin(transfer)
            items = [self._offer(key, content) for key, content in entries]
            sizes = [item.size for item in items]
            if max(sizes) > SMALL_FILE:
                raise ProtocolError("a large file in a bundle")
            size = sum(sizes)
            if size > MAX_BUNDLE_BYTES:
                raise ProtocolError("a bundle that is too large")
            self._bundle_bytes += size
            self._requests += len(entries)
            if self._bundle_bytes > MAX_BUNDLE_BYTES_UNDER_WAY or self._requests > MAX_REQUESTS_UNDER_WAY:
                raise ProtocolError("too much asked for at once")
            self._bundles.append(_Bundle(transfer, items, size))
        for transfer, key, content, mode, offset in message.files:
            item = self._offer(key, content)
            if offset > item.size:
                raise ProtocolError("a file from behind its end")
            self._want_large(WantedFile(transfer, item, mode, offset))
        if self._bundles and not self._answering:
            self._answering = True
            self._tasks.start(self._answer_bundles())

    def _want_large(self, wanted: WantedFile) -> None:
        self._begin(wanted.transfer)
        self._large.want(wanted)

    def _answered(self, wanted: WantedFile, status: str) -> None:
        if status == CHANGED and wanted.reading is None:
            self._changed.add(wanted.item.key)
        self._under_way.discard(wanted.transfer)

    def bulk_received(self, frame: Frame) -> None:
        """A piece of a signature; an empty one ends it."""
        self._large.bulk_received(frame)

    def stopped(self, error: TwsyncError) -> None:
        """The dialogue is over: what is being read is not wanted any more."""
        self._bundles.clear()
        self._large.end()

    def _begin(self, transfer: int) -> None:
        if transfer in self._under_way:
            raise ProtocolError("a transfer number used twice")
        self._under_way.add(transfer)

    def _offer(self, key: bytes, content: bytes) -> Item:
        item = self._offered.get(key)
        if item is None or item.kind is not FILE or item.content != content:
            raise ProtocolError("a want of something that was never offered")
        return item

    # --- bundles -----------------------------------------------------------------------------------------------------------------------

    async def _answer_bundles(self) -> None:
        reading = self._read_ahead()
        try:
            while reading is not None:
                bundle, coming = reading
                files, kind, payload, size = await coming
                # The next one is read while this one is sent.
                reading = self._read_ahead()
                self._dialogue.say(messages.Bundle(bundle.transfer, files))
                answers = zip(bundle.items, files, strict=True)
                self._changed.update(item.key for item, (status, _size) in answers if status == "changed")
                # Answered as soon as the last frame is said: the other side may ask for more before the wire lets us go on.
                self._under_way.discard(bundle.transfer)
                self._bundle_bytes -= bundle.size
                self._requests -= len(bundle.items)
                if size:
                    await self._sending.send(bundle.transfer, [(kind, payload)])
                else:
                    await self._dialogue.drained()
                if reading is None:
                    reading = self._read_ahead()
        finally:
            self._answering = False
            if reading is not None:
                with suppress(Exception):  # nobody leaves while a thread still reads
                    await reading[1]

    def _read_ahead(self) -> tuple[_Bundle, Deferred[tuple[tuple[tuple[str, int], ...], FrameType, Payload, int]]] | None:
        if not self._bundles:
            return None
        bundle = self._bundles.popleft()
        return bundle, self._workshop.read(self._read_bundle, bundle)

    def _read_bundle(self, bundle: _Bundle) -> tuple[tuple[tuple[str, int], ...], FrameType, Payload, int]:
        """Read all files of a bundle. In a reader's thread."""
        payload, reasons = read_contents(self._gate, bundle.items, self._buffers.take)
        kind, packed = self._pace.pack(payload)
        if packed is not payload:
            self._buffers.give(payload)
        files = tuple([(reason, 0) if reason else ("ok", item.size) for item, reason in zip(bundle.items, reasons, strict=True)])
        return files, kind, packed, len(payload)
