-- The journal of one host, version 1 (PRAGMA user_version). See docs/architecture.md, "The sync model".
-- An upgrade is a file journal-N.sql beside this one, which brings version N-1 to N; it and this file change together.

-- A counter that is raised to make everything before it durable (one synchronous transaction flushes the log up to itself).
CREATE TABLE durable (n INTEGER NOT NULL);
INSERT INTO durable VALUES (0);

CREATE TABLE collection (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    replica  BLOB NOT NULL,              -- 8 random bytes, big endian: one life of this journal
    seq      INTEGER NOT NULL DEFAULT 0, -- sequence number of the last change
    patterns BLOB NOT NULL DEFAULT x''   -- hash of the ignore patterns that the rows were made with
);

-- One row an item; tombstones (kind 0) stay for ever.
CREATE TABLE item (
    collection  INTEGER NOT NULL REFERENCES collection (id),
    key         BLOB NOT NULL,
    kind        INTEGER NOT NULL,        -- 0 deleted, 1 file, 2 directory, 3 symlink
    content     BLOB NOT NULL,           -- BLAKE3, 32 bytes, or empty
    size        INTEGER NOT NULL,
    mtime_ns    INTEGER NOT NULL,
    mode        INTEGER NOT NULL,
    target      BLOB NOT NULL,
    device      TEXT NOT NULL,
    version     BLOB NOT NULL,           -- pairs of (replica, counter), 8 + 8 bytes, big endian, ascending
    seq         INTEGER NOT NULL,
    partner     INTEGER NOT NULL,        -- replica the row was last taken from (two's complement), 0 for a local change
    st_size     INTEGER NOT NULL,        -- stat cache: what lstat said when the row was written
    st_mtime_ns INTEGER NOT NULL,
    st_ctime_ns INTEGER NOT NULL,        -- 0: not to be trusted
    st_ino      INTEGER NOT NULL,
    st_mode     INTEGER NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;
CREATE INDEX item_seq ON item (collection, seq);
CREATE INDEX item_content ON item (content) WHERE kind = 1;

-- What a batch is about to do (MessagePack of a list of intents.Intent, n being the number of the first); empty between batches.
CREATE TABLE intent (
    collection INTEGER NOT NULL REFERENCES collection (id),
    n          INTEGER NOT NULL,
    record     BLOB NOT NULL,
    PRIMARY KEY (collection, n)
) WITHOUT ROWID;

-- Modes and times that directories get when a session's work in them is over; empty between sessions.
CREATE TABLE deferred (
    collection INTEGER NOT NULL REFERENCES collection (id),
    key        BLOB NOT NULL,
    mode       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;

-- Up to where a partner device is in step: two marks, each all NULL or all set (twsync.reconcile.anchors).
CREATE TABLE anchor (
    collection           INTEGER NOT NULL REFERENCES collection (id),
    device               TEXT NOT NULL,
    partner              BLOB NOT NULL,  -- the device's replica, 8 bytes
    last_token           BLOB,
    last_own_seq         INTEGER,
    last_partner_seq     INTEGER,
    prepared_token       BLOB,
    prepared_own_seq     INTEGER,
    prepared_partner_seq INTEGER,
    PRIMARY KEY (collection, device)
) WITHOUT ROWID;

CREATE TABLE session (
    n          INTEGER PRIMARY KEY,
    session    TEXT NOT NULL UNIQUE,     -- Call-ID
    collection TEXT NOT NULL,
    device     TEXT NOT NULL,
    role       TEXT NOT NULL,
    state      TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    ended_ns   INTEGER NOT NULL DEFAULT 0,
    result     TEXT NOT NULL DEFAULT ''
);

CREATE TABLE trace (
    session TEXT NOT NULL,
    n       INTEGER NOT NULL,
    line    TEXT NOT NULL,
    PRIMARY KEY (session, n)
) WITHOUT ROWID;

CREATE TABLE conflict (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    collection  TEXT NOT NULL,
    key         BLOB NOT NULL,
    copy        BLOB NOT NULL,
    resolution  TEXT NOT NULL,
    own_lost    INTEGER NOT NULL,
    session     TEXT NOT NULL,
    device      TEXT NOT NULL,
    seen_ns     INTEGER NOT NULL,
    resolved_ns INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX conflict_key ON conflict (collection, key);

CREATE TABLE trusted (
    device        TEXT PRIMARY KEY,
    fingerprint   TEXT NOT NULL,
    first_seen_ns INTEGER NOT NULL,
    offered       TEXT NOT NULL DEFAULT '',
    offered_ns    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
