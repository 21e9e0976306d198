"""Large objects: an item larger than a message travels in chunks (fact sheet section 8).

The first chunk names the size of the whole in Meta; all but the last carry MoreData. One object at a time, its chunks in consecutive
messages, no other new command between them.
"""

from __future__ import annotations

import msgspec

from twsync import limits
from twsync.syncml.codes import StatusCode
from twsync.syncml.document import Change, Item, Meta


def octets(data: str | bytes) -> int:
    """The size of content as MaxObjSize and Size count it.

    >>> octets("ä"), octets(b"ab")
    (2, 2)
    """
    return len(data.encode()) if isinstance(data, str) else len(data)


class LargeObject:
    """An object that is sent in chunks.

    :param change: the whole: one item with text or bytes.
    """

    def __init__(self, change: Change) -> None:
        data = change.items[0].data
        if not isinstance(data, str | bytes):
            raise TypeError("only text and bytes can be cut")
        self._change = change
        self._text = isinstance(data, str)
        self._data = data.encode() if isinstance(data, str) else data
        self._at = 0

    @property
    def sent(self) -> int:
        """Bytes that were taken."""
        return self._at

    @property
    def done(self) -> bool:
        """Whether the last chunk was taken."""
        return self._at >= len(self._data)

    def chunk(self, length: int) -> Change:
        """The next chunk; `take` moves on behind it.

        :param length: bytes at most; text is cut between characters, so it can be up to three less (but never none).
        """
        end = min(len(self._data), self._at + max(1, length))
        data: str | bytes
        if self._text:
            start = end
            while end < len(self._data) and end > self._at and self._data[end] & 0xC0 == 0x80:
                end -= 1
            if end == self._at:
                end = start
                while end < len(self._data) and self._data[end] & 0xC0 == 0x80:
                    end += 1
            data = self._data[self._at : end].decode()
        else:
            data = self._data[self._at : end]
        whole = self._change.items[0]
        meta = whole.meta or Meta()
        item = msgspec.structs.replace(
            whole,
            data=data,
            more_data=end < len(self._data),
            meta=msgspec.structs.replace(meta, size=len(self._data))
            if self._at == 0
            else (whole.meta and msgspec.structs.replace(meta, size=None)),
        )
        return msgspec.structs.replace(self._change, items=(item,))

    def take(self, chunk: Change) -> None:
        """`chunk`, the last that `chunk` gave, was written."""
        data = chunk.items[0].data
        assert isinstance(data, str | bytes)
        self._at += octets(data)


class Taken(msgspec.Struct, frozen=True):
    """What came of an item that was received."""

    item: Item | None = None
    "Whole: to be carried out, with the Meta of its first chunk."
    status: int | None = None
    "Of a chunk, or of an object that failed; None if `item` is there."
    lost: Item | None = None
    "An object whose end did not come: Alert 223 names it."


class Assembly:
    """Puts the chunks of one datastore's items together.

    :param max_object: bytes of the largest object taken.
    """

    def __init__(self, max_object: int = limits.MAX_OBJECT) -> None:
        self._max = max_object
        self._key: tuple[str, str] | None = None
        self._first: Item | None = None
        self._parts: list[str | bytes] = []
        self._have = 0
        self._want: int | None = None
        self._refused: tuple[tuple[str, str], int] | None = None

    @property
    def unfinished(self) -> Item | None:
        """The first chunk of the object that is under way."""
        return self._first

    def receive(self, command: Change, item: Item) -> Taken:
        """An item came, whole or a chunk.

        Sizes: a chunked object may be off by the one byte and by the carriage returns that devices and XML parsers lose; the Size of
        one that comes whole is not looked at.
        """
        name = (item.source.uri if item.source else "", item.target.uri if item.target else "")
        lost: Item | None = None
        if self._key is not None and self._key != name:
            lost = self.abandon()
        data = item.data if isinstance(item.data, str | bytes) else ""
        size = _size(command, item)
        refused, self._refused = self._refused, None
        if self._key is None:
            if refused is not None and refused[0] == name and size is None:
                return self._refuse(name, refused[1], item, lost)
            if not item.more_data:
                too_large = octets(data) > self._max
                return Taken(status=StatusCode.OBJECT_TOO_LARGE, lost=lost) if too_large else Taken(item=item, lost=lost)
            if size is None:
                return self._refuse(name, StatusCode.SIZE_REQUIRED, item, lost)
            if size > self._max:
                return self._refuse(name, StatusCode.OBJECT_TOO_LARGE, item, lost)
            self._key, self._first, self._want = name, item, size
        self._parts.append(data)
        self._have += octets(data)
        if self._have > self._max:
            self._forget()
            return self._refuse(name, StatusCode.OBJECT_TOO_LARGE, item, lost)
        if item.more_data:
            return Taken(status=StatusCode.CHUNK_TAKEN, lost=lost)
        return self._finish(lost)

    def _refuse(self, name: tuple[str, str], status: int, item: Item, lost: Item | None) -> Taken:
        # What a device still sends of a refused object must not be taken for a whole one.
        if item.more_data:
            self._refused = (name, status)
        return Taken(status=status, lost=lost)

    def abandon(self) -> Item | None:
        """The other side went on without the end: what is there is forgotten.

        :returns: the first chunk of the unfinished object, for an Alert 223.
        """
        first = self._first
        self._forget()
        return first

    def _finish(self, lost: Item | None) -> Taken:
        first, parts, want = self._first, self._parts, self._want
        self._forget()
        whole: str | bytes
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            whole = "".join(texts)
        else:
            raw = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
            try:
                whole = raw.decode()
            except UnicodeDecodeError:
                whole = raw
        if first is None or want is None or not _plausible(whole, want):
            return Taken(status=StatusCode.SIZE_MISMATCH, lost=lost)
        return Taken(item=msgspec.structs.replace(first, data=whole, more_data=False), lost=lost)

    def _forget(self) -> None:
        self._key, self._first, self._parts, self._have, self._want = None, None, [], 0, None


def _size(command: Change, item: Item) -> int | None:
    if item.meta is not None and item.meta.size is not None:
        return item.meta.size
    return command.meta.size if command.meta is not None else None


def _plausible(whole: str | bytes, want: int) -> bool:
    have = octets(whole)
    if have in (want, want - 1):
        return True
    data = whole.encode() if isinstance(whole, str) else whole
    bare = data.count(b"\n") - data.count(b"\r\n")
    if have + bare in (want, want - 1):
        return True
    # Format b64: some count the encoded bytes, some what they stand for.
    return have % 4 == 0 and have // 4 * 3 - data[-2:].count(b"=") == want
