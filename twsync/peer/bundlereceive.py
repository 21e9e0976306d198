"""Small files that come: asked for in bundles, and put into staging a bundle at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias, cast

from twsync.errors import ProtocolError
from twsync.limits import MAX_BUNDLE_BYTES, MAX_BUNDLE_BYTES_UNDER_WAY, MAX_BUNDLE_FILES, MAX_REQUESTS_UNDER_WAY, MESSAGE_BYTES
from twsync.peer.backlog import Backlog
from twsync.peer.dialogue import Dialogue
from twsync.peer.needs import Need
from twsync.peer.smallfiles import stage_bundle
from twsync.peer.streams import Workshop
from twsync.peer.tasks import Tasks
from twsync.peerwire import messages
from twsync.peerwire.frames import Frame, FrameType
from twsync.store.staging import Staged, Staging

#: A need, the status and size that the other side told, and one file for each of its changes; None if what came is not that content.
SmallAnswer: TypeAlias = tuple[Need, tuple[str, int], list[Staged] | None]


@dataclass(slots=True)
class _Bundle:
    """A bundle under way."""

    needs: list[Need]
    size: int
    header: messages.Bundle | None = None


class Bundles:
    """Gets small files.

    :param number: gives transfer numbers.
    :param done: called with what came of the files of each bundle.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: Tasks,
        workshop: Workshop,
        staging: Staging,
        backlog: Backlog,
        *,
        number: Callable[[], int],
        done: Callable[[list[SmallAnswer]], None],
    ) -> None:
        self._dialogue = dialogue
        self._tasks = tasks
        self._workshop = workshop
        self._staging = staging
        self._backlog = backlog
        self._number = number
        self._done = done
        self._waiting: deque[Need] = deque()
        self._gathered: _Bundle | None = None
        self._under_way: dict[int, _Bundle] = {}
        self._bytes = 0
        self._requests = 0

    def add(self, needs: Iterable[Need]) -> None:
        """Get these too, from the next `ask` on."""
        self._waiting.extend(needs)

    def keep(self, wanted: Callable[[list[Need]], Iterable[Need]]) -> None:
        """Of what is not asked for yet, get only what is `wanted`."""
        gathered, self._gathered = self._gathered, None
        self._waiting = deque(wanted([*(gathered.needs if gathered is not None else ()), *self._waiting]))

    def ask(self) -> None:
        """Ask for as much as may be under way."""
        while (self._waiting or self._gathered) and self._dialogue.error is None:
            bundle = self._next()
            if bundle is None:
                return
            transfer = self._number()
            self._under_way[transfer] = bundle
            # One message each: a bundle's keys may fill a frame.
            self._dialogue.say(
                messages.Want(bundles=((transfer, tuple([(need.changes[0].item.key, need.content) for need in bundle.needs])),))
            )

    def _next(self) -> _Bundle | None:
        """The next bundle, None if there is no room for it yet."""
        if self._gathered is None:
            self._gathered = self._gather()
        bundle = self._gathered
        if self._bytes + bundle.size > MAX_BUNDLE_BYTES_UNDER_WAY or self._requests + len(bundle.needs) > MAX_REQUESTS_UNDER_WAY:
            return None
        self._gathered = None
        self._bytes += bundle.size
        self._requests += len(bundle.needs)
        return bundle

    def _gather(self) -> _Bundle:
        needs: list[Need] = []
        size = keys = 0
        while self._waiting and len(needs) < MAX_BUNDLE_FILES:
            need = self._waiting[0]
            size += need.size
            keys += len(need.changes[0].item.key)
            if needs and (size > MAX_BUNDLE_BYTES or keys > MESSAGE_BYTES):
                size -= need.size
                break
            needs.append(self._waiting.popleft())
        return _Bundle(needs, size)

    # --- from the other side -----------------------------------------------------------------------------------------------------------

    def begins(self, message: messages.Bundle) -> None:
        """The beginning of an answer.

        :raises ProtocolError: nobody asked for it, or it is not of what was asked for.
        """
        bundle = self._under_way.get(message.transfer)
        if bundle is None or bundle.header is not None:
            raise ProtocolError("an answer to what was not asked")
        if len(message.files) != len(bundle.needs):
            raise ProtocolError("a bundle of another number of files than asked for")
        for need, (status, size) in zip(bundle.needs, message.files, strict=True):
            if status == "ok" and size != need.size:
                raise ProtocolError("a file of another size than its row")
        bundle.header = message
        if not any(size for _status, size in message.files):
            self._tasks.start(self._keep(bundle, Frame(FrameType.DATA, b"", message.transfer)))

    def bulk_received(self, frame: Frame) -> bool:
        """Content.

        :returns: whether it is a bundle's.
        :raises ProtocolError: its bundle has not begun.
        """
        bundle = self._under_way.get(frame.transfer)
        if bundle is None:
            return False
        if bundle.header is None:
            raise ProtocolError("content before the bundle begins")
        self._backlog.add(len(frame.payload))
        self._tasks.start(self._keep(bundle, frame))
        return True

    async def _keep(self, bundle: _Bundle, frame: Frame) -> None:
        # A second frame of the same transfer finds none.
        del self._under_way[frame.transfer]
        files, size = cast(messages.Bundle, bundle.header).files, len(frame.payload)
        try:
            results = await self._workshop.write(stage_bundle, bundle.needs, files, frame.kind, frame.payload, self._staging)
            frame.release()
        finally:
            if size:
                self._backlog.taken(size)
        self._dialogue.check()
        self._bytes -= bundle.size
        self._requests -= len(bundle.needs)
        self._done([*zip(bundle.needs, files, results, strict=True)])
