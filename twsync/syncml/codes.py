"""Status and alert codes (Representation Protocol 1.1 chapter 10, OMA DS 1.2; fact sheet sections 2.1 and 2.2)."""

from __future__ import annotations

import enum

from twsync.reconcile.model import SyncType


class StatusCode(enum.IntEnum):
    """What a Status says of a command."""

    IN_PROGRESS = 101
    OK = 200
    ADDED = 201
    ACCEPTED = 202
    NON_AUTHORITATIVE = 203
    NO_CONTENT = 204
    RESET_CONTENT = 205
    PARTIAL_CONTENT = 206
    CONFLICT_MERGED = 207
    CONFLICT_CLIENT_WINS = 208
    CONFLICT_DUPLICATED = 209
    NOT_ARCHIVED = 210
    NOT_DELETED = 211
    AUTHENTICATED = 212
    CHUNK_TAKEN = 213
    CANCELLED = 214
    NOT_EXECUTED = 215
    ROLLED_BACK = 216
    BAD_REQUEST = 400
    WRONG_CREDENTIALS = 401
    FORBIDDEN = 403
    NOT_FOUND = 404
    NOT_ALLOWED = 405
    NOT_SUPPORTED = 406
    MISSING_CREDENTIALS = 407
    CONFLICT = 409
    GONE = 410
    SIZE_REQUIRED = 411
    INCOMPLETE = 412
    TOO_LARGE = 413
    UNSUPPORTED_TYPE = 415
    OBJECT_TOO_LARGE = 416
    RETRY_LATER = 417
    ALREADY_EXISTS = 418
    CONFLICT_SERVER_WINS = 419
    DEVICE_FULL = 420
    UNKNOWN_FILTER_GRAMMAR = 421
    BAD_FILTER = 422
    SOFT_DELETE_CONFLICT = 423
    SIZE_MISMATCH = 424
    PERMISSION_DENIED = 425
    COMMAND_FAILED = 500
    NOT_IMPLEMENTED = 501
    UNAVAILABLE = 503
    VERSION_NOT_SUPPORTED = 505
    PROCESSING_ERROR = 506
    ATOMIC_FAILED = 507
    REFRESH_REQUIRED = 508
    CANNOT_RESUME = 509
    "Reserved by the specification; libsynthesis: another alert stands in the place of the resume that was asked for."
    DATASTORE_FAILURE = 510
    SERVER_FAILURE = 511
    SYNC_FAILED = 512
    PROTOCOL_NOT_SUPPORTED = 513
    OPERATION_CANCELLED = 514


class AlertCode(enum.IntEnum):
    """What an Alert asks for."""

    DISPLAY = 100
    TWO_WAY = 200
    SLOW = 201
    ONE_WAY_FROM_CLIENT = 202
    REFRESH_FROM_CLIENT = 203
    ONE_WAY_FROM_SERVER = 204
    REFRESH_FROM_SERVER = 205
    TWO_WAY_BY_SERVER = 206
    ONE_WAY_FROM_CLIENT_BY_SERVER = 207
    REFRESH_FROM_CLIENT_BY_SERVER = 208
    ONE_WAY_FROM_SERVER_BY_SERVER = 209
    REFRESH_FROM_SERVER_BY_SERVER = 210
    RESULT = 221
    NEXT_MESSAGE = 222
    NO_END_OF_DATA = 223
    SUSPEND = 224
    RESUME = 225


#: Statuses by which credentials are asked for.
CHALLENGES = frozenset({StatusCode.WRONG_CREDENTIALS, StatusCode.MISSING_CREDENTIALS})

#: The sync type that an alert of a client starts.
SYNC_TYPES: dict[int, SyncType] = {
    AlertCode.TWO_WAY: SyncType.TWO_WAY,
    AlertCode.SLOW: SyncType.SLOW,
    AlertCode.ONE_WAY_FROM_CLIENT: SyncType.ONE_WAY_FROM_CLIENT,
    AlertCode.REFRESH_FROM_CLIENT: SyncType.REFRESH_FROM_CLIENT,
    AlertCode.ONE_WAY_FROM_SERVER: SyncType.ONE_WAY_FROM_SERVER,
    AlertCode.REFRESH_FROM_SERVER: SyncType.REFRESH_FROM_SERVER,
}
#: And back.
ALERTS: dict[SyncType, AlertCode] = {sync_type: AlertCode(code) for code, sync_type in SYNC_TYPES.items()}

#: What a server alerts (206-210) and the type that the client then starts.
BY_SERVER: dict[int, SyncType] = {
    AlertCode.TWO_WAY_BY_SERVER: SyncType.TWO_WAY,
    AlertCode.ONE_WAY_FROM_CLIENT_BY_SERVER: SyncType.ONE_WAY_FROM_CLIENT,
    AlertCode.REFRESH_FROM_CLIENT_BY_SERVER: SyncType.REFRESH_FROM_CLIENT,
    AlertCode.ONE_WAY_FROM_SERVER_BY_SERVER: SyncType.ONE_WAY_FROM_SERVER,
    AlertCode.REFRESH_FROM_SERVER_BY_SERVER: SyncType.REFRESH_FROM_SERVER,
}

#: What stands in for a type when the anchors do not match.
FULL: dict[SyncType, SyncType] = {
    SyncType.TWO_WAY: SyncType.SLOW,
    SyncType.SLOW: SyncType.SLOW,
    SyncType.ONE_WAY_FROM_CLIENT: SyncType.REFRESH_FROM_CLIENT,
    SyncType.REFRESH_FROM_CLIENT: SyncType.REFRESH_FROM_CLIENT,
    SyncType.ONE_WAY_FROM_SERVER: SyncType.REFRESH_FROM_SERVER,
    SyncType.REFRESH_FROM_SERVER: SyncType.REFRESH_FROM_SERVER,
}

#: Types in which the server's changes go to the client, and the client's to the server.
FROM_SERVER = frozenset({SyncType.TWO_WAY, SyncType.SLOW, SyncType.ONE_WAY_FROM_SERVER, SyncType.REFRESH_FROM_SERVER})
FROM_CLIENT = frozenset({SyncType.TWO_WAY, SyncType.SLOW, SyncType.ONE_WAY_FROM_CLIENT, SyncType.REFRESH_FROM_CLIENT})


def number(code: str | None) -> int:
    """A code as it came, as a number; -1 if it is none.

    >>> number("200"), number(" 08 "), number("two"), number(None)
    (200, 8, -1, -1)
    """
    text = (code or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else -1


def succeeded(code: int) -> bool:
    """Whether a status says that a change is done and need not be sent again: all 2xx, and what both sides treat so (418, 419)."""
    return 200 <= code < 300 or code in (StatusCode.ALREADY_EXISTS, StatusCode.CONFLICT_SERVER_WINS)
