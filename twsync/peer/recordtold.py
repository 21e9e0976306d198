"""What two hosts tell each other at the end of a session of records, beside SyncML: why it failed, what was left alone.

The client POSTs below its server's address, and the answer is what the server has to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

from twsync import limits
from twsync.errors import SessionError, TwsyncError
from twsync.session.result import Skipped, printable, sentence
from twsync.syncml.clientrefusals import MAX_SAID

#: Where a client says why it ends a session.
FAILED = "failed"
#: Where a client says what was left alone.
SKIPPED = "skipped"
#: What the code of an error, and a reason, look like.
CODE = re.compile(r"[a-z0-9-]{1,40}")


def failure(error: TwsyncError) -> bytes:
    """Why the session is ended here."""
    return msgspec.json.encode([error.code, error.message])


def told_failure(body: bytes) -> TwsyncError:
    """Why the other side has ended the session, in its words."""
    try:
        code, message = msgspec.json.decode(body, type=tuple[str, str])
    except msgspec.MsgspecError:
        return SessionError("The other device ended the session.", "failed")
    said = sentence(message[:MAX_SAID])
    return SessionError(said or "The other device ended the session.", code if CODE.fullmatch(code) else "failed")


def skips(skipped: Iterable[Skipped]) -> bytes:
    """What was left alone here, as much as the other side takes."""
    told: list[tuple[str, str]] = []
    size = 0
    for one in skipped:
        size += len(one.item) + len(one.reason) + len('["",""],')
        if size > limits.MAX_RECORD_SKIPPED:
            break
        told.append((one.item, one.reason))
    return msgspec.json.encode(told)


def told_skips(body: bytes) -> list[Skipped]:
    """What was left alone there; nothing, if that cannot be read."""
    try:
        told = msgspec.json.decode(body, type=list[tuple[str, str]]) if len(body) <= limits.MAX_SYNCML_DOCUMENT else []
    except msgspec.MsgspecError:
        return []
    return [Skipped(item=printable(item[: limits.MAX_KEY]), reason=reason if CODE.fullmatch(reason) else "failed") for item, reason in told]
