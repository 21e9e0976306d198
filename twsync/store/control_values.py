"""The rows of the control database as values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class User:
    """Who may sign in. The two HA1 values are secrets: never logged, never shown."""

    name: str
    ha1_sha256: str
    ha1_md5: str | None
    admin: bool
    created: float

    def __repr__(self) -> str:
        return f"User({self.name!r}, admin={self.admin})"


@dataclass(frozen=True, slots=True)
class Device:
    """A device known under a name of its user; with a fingerprint, the name is bound to it."""

    user: str
    name: str
    fingerprint: str | None = None
    instance: str | None = None
    blocked: bool = False
    first_seen: float = 0.0
    last_seen: float = 0.0
    agent: str = ""
    observed: str = ""
    claimed: str = ""

    @property
    def full_name(self) -> str:
        """Such as ``alice/laptop``."""
        return f"{self.user}/{self.name}"


@dataclass(frozen=True, slots=True)
class BindingRow:
    """A registered contact, as the database remembers it for `twsync ctl` and the web pages."""

    user: str
    key: str
    device: str
    contact: str
    instance: str | None
    reg_id: int | None
    call_id: str
    cseq: int
    flow: str
    expires: float


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """'Open a session of this type on this collection with this partner', kept until the device is online."""

    id: str
    partner: str
    user: str
    device: str
    collection: str
    sync_type: str
    created: float


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that was introduced."""

    call_id: str
    caller: str
    callee: str
    collection: str
    sync_type: str
    state: str
    "calling, running, done, failed, lost or stored."
    progress: str = ""
    reason: str = ""
    started: float = 0.0
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class TraceRow:
    """One message of a session's ladder."""

    call_id: str
    at: float
    line: str
