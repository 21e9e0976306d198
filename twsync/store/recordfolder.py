"""A folder of records in vdir layout: one file an item, all at the top; what is no record is left alone.

See https://vdirsyncer.pimutils.org/en/stable/vdir.html. Files whose name does not end as the family's do, folders, links and hidden files
are none of ours; a file that has the right name and is no valid record is reported, and neither sent nor touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from twsync import limits, records
from twsync.errors import FormatError, PathError
from twsync.reconcile.model import Kind
from twsync.records import Family
from twsync.store.ignore import Ignore
from twsync.store.paths import Gate, validate_key
from twsync.store.recordjournal import RecordJournal
from twsync.store.recordtexts import Text
from twsync.store.rows import Row
from twsync.store.scan import ScanResult, scan
from twsync.store.source import read_contents

INVALID = "invalid-record"
TOO_LARGE = "too-large"
NOT_TEXT = "invalid-name"
CHANGING = "changing"


class RecordNames(Ignore):
    """What may be a record: a file at the top with the family's suffix, not hidden."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self._suffix = records.suffix(family).encode()
        self._usual = re.compile(rb"[A-Za-z0-9_@][A-Za-z0-9_@ .+-]*" + re.escape(self._suffix)).fullmatch

    @property
    def trivial(self) -> bool:
        """Each name is looked at."""
        return False

    def matches(self, key: bytes, directory: bool = False) -> bool:
        """Whether the key is left out."""
        if not directory and self._usual(key):
            return False
        return directory or not key.endswith(self._suffix) or b"/" in key or key.startswith(b".")

    def travels(self, key: bytes) -> bool:
        """Whether a record of this name can be sent: a name travels as text, in XML too."""
        try:
            return not self.matches(key) and key.decode().isprintable()
        except UnicodeDecodeError:
            return False


class RecordFolder:
    """The files of one record collection."""

    def __init__(self, gate: Gate, journal: RecordJournal, family: Family, device: str) -> None:
        """For one collection.

        :param device: name of this device, for the rows.
        """
        self.gate = gate
        self.journal = journal
        self.family = family
        self.device = device
        self.names = RecordNames(family)

    def look(self, now_ns: int, only: list[bytes] | None = None) -> ScanResult:
        """Find local changes; see `scan`."""
        suffix = records.suffix(self.family).encode()
        return scan(self.gate, self.journal, self.names, now_ns=now_ns, device=self.device, only=only, suffix=suffix)

    def settle(self) -> None:
        """When a session is over: what makes the next look cheap."""
        self.journal.listing.renew()

    def learn(self, found: ScanResult) -> list[tuple[bytes, str]]:
        """Write what `look` found into the journal, some at a time: their texts take memory.

        :returns: keys that were left out, with a reason: those of the scan, and `INVALID`, `TOO_LARGE`, `NOT_TEXT`, `CHANGING`.
        """
        return [skipped for part in found.parts(limits.RECORDS_LEARNED) for skipped in self._learn(part)]

    def _learn(self, found: ScanResult) -> list[tuple[bytes, str]]:
        skipped = list(found.skipped)
        changes: list[Row] = []
        wanted: list[Row] = []
        texts: list[Text] = []
        for row in found.changes:
            if not row.item.live:
                changes.append(row)
                continue
            if not self.names.travels(row.key):
                skipped.append((row.key, NOT_TEXT))
                continue
            if row.item.kind is not Kind.FILE:
                skipped.append((row.key, INVALID))
                continue
            if row.item.size > limits.MAX_RECORD * 4:
                skipped.append((row.key, TOO_LARGE))
                continue
            wanted.append(row)
        for row, data in self._read_many(wanted):
            try:
                text = self.read(row.key) if data is None else self._text(data, row.item.content)
            except FormatError as error:
                skipped.append((row.key, TOO_LARGE if error.code == TOO_LARGE else INVALID))
                continue
            if text is None or text.content != row.item.content:
                skipped.append((row.key, CHANGING))
                continue
            texts.append(text)
            changes.append(row)
        changes.sort(key=lambda row: row.key)
        self.journal.learn(replace(found, changes=changes, skipped=skipped), texts)
        return skipped

    def adopt(self) -> None:
        """Texts of rows that were written before this collection held records."""
        if self.journal.texts or not self.journal.known:
            return
        texts = []
        for row in self.journal.under(b""):
            if row.item.kind is Kind.FILE and self.names.travels(row.key):
                try:
                    text = self.read(row.key)
                except FormatError:
                    continue
                if text is not None and text.content == row.item.content:
                    texts.append(text)
        with self.journal.database.transaction():
            self.journal.texts.put(texts)

    def read(self, key: bytes) -> Text | None:
        """The record in a file; None if it cannot be read.

        :raises FormatError: it is no record.
        """
        try:
            fd = self.gate.open_read(key)
        except (OSError, PathError):
            return None
        with open(fd, "rb") as file:
            return self._text(file.read(limits.MAX_RECORD * 4 + 1))

    def _text(self, data: bytes, content: bytes = b"") -> Text:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            raise FormatError("A record is not UTF-8 text.") from error
        return Text.of(self.family, text, content)

    def _read_many(self, rows: list[Row]) -> Iterator[tuple[Row, bytes | None]]:
        """The files of rows, each proved to be what its row says; None for one that is not, or cannot be read."""
        start = 0
        while start < len(rows):
            size, end = 0, start
            while end < len(rows) and (end == start or size + rows[end].item.size <= limits.RECORD_BYTES_TOGETHER):
                size += rows[end].item.size
                end += 1
            some = rows[start:end]
            data, reasons = read_contents(self.gate, [row.item for row in some])
            at = 0
            for row, reason in zip(some, reasons, strict=True):
                yield row, None if reason else bytes(data[at : at + row.item.size])
                at += 0 if reason else row.item.size
            start = end

    def free(self, wanted: str, taken: Callable[[bytes], bool]) -> bytes | None:
        """The key of this name if a record may be put there: it is valid, nothing stands there, and it is not taken.

        :param taken: whether a key means something already to the one who asks.
        """
        try:
            key = os.fsencode(wanted)
            validate_key(key)
        except (PathError, UnicodeEncodeError):
            return None
        if not self.names.travels(key) or taken(key):
            return None
        row = self.journal.get(key)
        if row is not None and row.item.live:
            return None
        return key if self.gate.lstat(key) is None else None

    def name(self, text: Text, taken: Callable[[bytes], bool], wanted: str = "") -> bytes:
        """A free key for a new record: the wanted one, or one made from its UID or content; see `free`."""
        found = self.free(wanted, taken) if wanted else None
        if found is not None:
            return found
        made = records.name_for(self.family, text.text)
        suffix = records.suffix(self.family)
        stem = made.removesuffix(suffix)
        key = self.free(made, taken)
        # Numbers from 2 on. In doubled steps, then between the last two: a device may send any number of items with one UID.
        step, high = 1, 1
        while key is None:
            low, high = high, high + step
            key, step = self.free(f"{stem}-{high}{suffix}", taken), step * 2
            if key is not None:
                while high - low > 1:
                    middle = (low + high) // 2
                    lower = self.free(f"{stem}-{middle}{suffix}", taken)
                    low, high, key = (middle, high, key) if lower is None else (low, middle, lower)
        return key
