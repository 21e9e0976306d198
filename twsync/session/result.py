"""What a session comes to: the document of ``twsync sync --json``, and the exit code of the command."""

from __future__ import annotations

import enum

import msgspec

#: Exit codes of ``twsync sync``.
EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_PARTIAL = 3
EXIT_QUEUED = 4


class State(enum.StrEnum):
    """How a session ended."""

    DONE = "done"
    "Both sides are in step. (Special files, which never travel, may have been skipped.)"
    PARTIAL = "partial"
    "In step but for what was skipped: by an error, or since no round was left for it; the next session tries it again."
    FAILED = "failed"
    "Ended by an error; what was placed before it stays."
    QUEUED = "queued"
    "The other device is offline; the server keeps the request."


class Traffic(msgspec.Struct, kw_only=True):
    """One direction, seen by this side."""

    added: int = 0
    changed: int = 0
    deleted: int = 0
    "Items, as the receiving side's user sees them."
    literal_bytes: int = 0
    "Bytes of content that travelled as they are."
    matched_bytes: int = 0
    "Bytes of content that the receiving side had already."
    wire_bytes: int = 0
    "Bytes on the data connection; with a stock SyncML client or server, of the messages of the whole session."


class Conflict(msgspec.Struct, kw_only=True, frozen=True):
    """An item that was changed on both sides."""

    item: str
    resolution: str
    "A value of `reconcile.operation.Resolution`; ``ours`` is the caller's content."
    copy: str | None = None
    "Where the losing content goes on; None if it went to the trash."


class Skipped(msgspec.Struct, kw_only=True, frozen=True):
    """An item that was left alone."""

    item: str
    reason: str
    "A word such as ``special-file``."


class Error(msgspec.Struct, kw_only=True, frozen=True):
    """Why a session failed or was queued."""

    code: str
    message: str


class SessionResult(msgspec.Struct, kw_only=True):
    """The document. Items are text: bytes that are not UTF-8 stand as ``\\xNN``."""

    session: str
    "The Call-ID."
    collection: str
    device: str
    "The partner, ``user/device``."
    protocol: str
    type: str
    "The type that was asked for."
    state: State
    effective_type: str | None = None
    "The type that the session had: the first two-way session of two devices compares everything, as a slow one. None if it never began."
    sent: Traffic = msgspec.field(default_factory=Traffic)
    received: Traffic = msgspec.field(default_factory=Traffic)
    conflicts: list[Conflict] = msgspec.field(default_factory=list)
    skipped: list[Skipped] = msgspec.field(default_factory=list)
    seconds: float = 0.0
    error: Error | None = None

    def exit_code(self) -> int:
        """0 done, 1 failed, 3 done with conflicts kept or items skipped, 4 queued."""
        if self.state is State.FAILED:
            return EXIT_FAILED
        if self.state is State.QUEUED:
            return EXIT_QUEUED
        # SyncML's client is told that both were kept, and not under which name.
        kept = any(conflict.copy is not None or conflict.resolution == "duplicate" for conflict in self.conflicts)
        return EXIT_PARTIAL if self.state is State.PARTIAL or self.skipped or kept else EXIT_DONE

    def to_json(self) -> bytes:
        """The document, UTF-8."""
        return msgspec.json.encode(self)


def printable(text: str) -> str:
    """Words of somebody else for logs and terminals: what moves a cursor or turns the direction of text is a blank."""
    return "".join(character if character.isprintable() else " " for character in text)


def sentence(text: str) -> str:
    """Words of somebody else as one line, `printable`, without blanks around them and with one between them."""
    return " ".join(printable(text).split())


def shown(name: bytes) -> str:
    """A key as text for people and JSON: bytes that are not UTF-8 as ``\\xNN``."""
    return name.decode("utf-8", "backslashreplace")
