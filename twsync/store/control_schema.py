"""The tables of the control database, for SQLite and PostgreSQL alike.

Times are seconds since the epoch. A device is named inside its user; rows that mention devices of other users (stored requests, sessions)
keep their names as text, because a session outlives the device it was held with.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

#: Raised whenever a table changes; a database of a newer version is not opened, and one of an older version gets `UPGRADES` first.
SCHEMA_VERSION = 2

metadata = MetaData()

#: Exactly one row. `changes` is raised by every change that a running daemon must take up (see `Transaction.changes`).
state = Table(
    "state",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("version", Integer, nullable=False),
    # HA1 values hold for one realm only, so the database belongs to it.
    Column("realm", String(255), nullable=False),
    Column("changes", Integer, nullable=False),
    # `changes` as the running daemon last took them up; absent while none runs.
    Column("taken_up", Integer),
)

#: For each older version, what makes the next one of it.
UPGRADES = {1: "ALTER TABLE state ADD COLUMN taken_up INTEGER"}

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    # H(user:realm:password) per digest algorithm: as good as the password at this server, and never logged or shown.
    Column("ha1_sha256", String(64), nullable=False),
    # Absent where the server refuses MD5.
    Column("ha1_md5", String(32)),
    Column("admin", Boolean, nullable=False),
    Column("created", Double, nullable=False),
)

devices = Table(
    "devices",
    metadata,
    Column("user", String(64), ForeignKey("users.name", ondelete="CASCADE"), primary_key=True),
    Column("name", String(64), primary_key=True),
    # "sha256:" and hex of the certificate first seen under this name; absent for stock user agents.
    Column("fingerprint", String(71)),
    Column("instance", String(255)),
    Column("blocked", Boolean, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("agent", String(255), nullable=False),
    # Where the connection came from, and where the device says it is.
    Column("observed", String(255), nullable=False),
    Column("claimed", String(255), nullable=False),
)

bindings = Table(
    "bindings",
    metadata,
    Column("user", String(64), primary_key=True),
    # "instance reg-id" (RFC 5626) or the contact's URI.
    Column("key", String(1024), primary_key=True),
    Column("device", String(64), nullable=False),
    Column("contact", Text, nullable=False),
    Column("instance", String(255)),
    Column("reg_id", Integer),
    Column("call_id", String(1024), nullable=False),
    Column("cseq", BigInteger, nullable=False),
    # The connection of this daemon's life that requests go back over; bindings of an earlier life are dead.
    Column("flow", String(64), nullable=False),
    Column("expires", Double, nullable=False),
    ForeignKeyConstraint(["user"], ["users.name"], ondelete="CASCADE"),
)

requests = Table(
    "requests",
    metadata,
    Column("id", String(64), primary_key=True),
    # "user/device" that the receiver shall open the session with.
    Column("partner", String(160), nullable=False),
    Column("user", String(64), ForeignKey("users.name", ondelete="CASCADE"), nullable=False),
    Column("device", String(64), nullable=False),
    Column("collection", String(255), nullable=False),
    # As the receiver shall open it, being the client.
    Column("sync_type", String(32), nullable=False),
    Column("created", Double, nullable=False),
    UniqueConstraint("partner", "user", "device", "collection", "sync_type"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("call_id", String(1024), primary_key=True),
    Column("caller", String(160), nullable=False),
    Column("callee", String(160), nullable=False),
    Column("collection", String(255), nullable=False),
    Column("sync_type", String(32), nullable=False),
    Column("state", String(16), nullable=False),
    # The last progress document that was seen, JSON as the device sent it; empty before the first.
    Column("progress", Text, nullable=False),
    # Why it ended, in words; empty while it runs and after a plain end.
    Column("reason", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    Index("sessions_by_start", "started"),
)

trace = Table(
    "trace",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("call_id", String(1024), nullable=False),
    Column("at", Double, nullable=False),
    # The line as `twsync.session.trace` writes it, JSON.
    Column("line", Text, nullable=False),
    Index("trace_by_call", "call_id", "id"),
    Index("trace_by_time", "at"),
)
