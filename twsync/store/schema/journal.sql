-- The journal of one host, version 4 (PRAGMA user_version). See docs/architecture.md, "The sync model".
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

-- One row an item; tombstones (kind 0) stay for ever. (With a rowid: entries of the indexes are shorter then, and new rows cost less.)
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
    UNIQUE (collection, key)
);
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

-- --- records (docs/architecture.md, "Records") ---

-- Texts of records by content, for every content that a row, the history or a partner's base speaks of.
CREATE TABLE record_text (
    collection INTEGER NOT NULL REFERENCES collection (id),
    content    BLOB NOT NULL,                -- BLAKE3 of the file's bytes
    text       BLOB NOT NULL,                -- the file's bytes, zstd
    uid        TEXT NOT NULL,                -- twsync.records.Identity of it
    digest     BLOB NOT NULL,
    likeness   BLOB NOT NULL,                -- its keys, MessagePack
    loose      INTEGER NOT NULL DEFAULT 1    -- a reference may have gone: looked at when a session ends
);
CREATE UNIQUE INDEX record_text_content ON record_text (collection, content);
CREATE INDEX record_text_uid ON record_text (collection, uid) WHERE uid != '';
CREATE INDEX record_text_digest ON record_text (collection, digest);
CREATE INDEX record_text_loose ON record_text (collection) WHERE loose = 1;

-- The tree as its rows were at a sequence number (twsync.store.listing), in parts by key. The last part is empty: without it there is none.
CREATE TABLE listing (
    collection INTEGER NOT NULL REFERENCES collection (id),
    part       INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    keys       BLOB NOT NULL,
    stats      BLOB NOT NULL,
    UNIQUE (collection, part)
);

-- What stood at a key until sequence number `ended`. What stands there now, the item table says.
CREATE TABLE record_past (
    collection INTEGER NOT NULL REFERENCES collection (id),
    ended      INTEGER NOT NULL,
    key        BLOB NOT NULL,
    content    BLOB NOT NULL,                -- empty: nothing
    PRIMARY KEY (collection, ended, key)
) WITHOUT ROWID;
CREATE INDEX record_past_content ON record_past (content);

-- Where a collection stood before a session that changed it.
CREATE TABLE record_session (
    session    TEXT NOT NULL,
    collection INTEGER NOT NULL REFERENCES collection (id),
    seq        INTEGER NOT NULL,
    began_ns   INTEGER NOT NULL,
    PRIMARY KEY (session, collection)
) WITHOUT ROWID;
CREATE INDEX record_session_seq ON record_session (collection, seq);

-- A device that synchronises a collection by SyncML, once for each role: the names of a map mean something in one role only.
CREATE TABLE syncml_partner (
    n          INTEGER PRIMARY KEY,
    collection INTEGER NOT NULL REFERENCES collection (id),
    account    TEXT NOT NULL,
    device     TEXT NOT NULL,
    side       TEXT NOT NULL,                -- the own one: client or server
    replica    INTEGER NOT NULL,             -- the number its changes are counted under here (two's complement)
    own        TEXT,                         -- anchors: the own Next and the other side's, of the last session that both finished
    remote     TEXT,
    seq        INTEGER NOT NULL DEFAULT 0,   -- rows up to here were told to it, but for those owed
    stamp      INTEGER NOT NULL DEFAULT 0,   -- number of the last session that compared everything
    numbers    INTEGER NOT NULL DEFAULT 0,   -- the last temporary GUID
    used_ns    INTEGER NOT NULL DEFAULT 0,
    UNIQUE (collection, account, device, side)
);

-- What a partner has: for each own key its name for it, and the content and version that it was last known to hold.
CREATE TABLE syncml_map (
    partner INTEGER NOT NULL REFERENCES syncml_partner (n),
    key     BLOB NOT NULL,
    luid    TEXT,                            -- a client's name for it
    guid    TEXT,                            -- a server's (temporary) name for it
    held    INTEGER NOT NULL,                -- 0: a name was set aside, nobody has said that the item arrived
    soft    INTEGER NOT NULL DEFAULT 0,      -- it dropped the item to make room
    told    INTEGER NOT NULL DEFAULT 0,      -- the server has confirmed the pair (guid, own key)
    base    BLOB NOT NULL,                   -- content, as it is stored here
    version BLOB NOT NULL,                   -- packed; empty from a device that is not twsync
    stamp   INTEGER NOT NULL,
    PRIMARY KEY (partner, key)
) WITHOUT ROWID;
CREATE UNIQUE INDEX syncml_map_luid ON syncml_map (partner, luid) WHERE luid IS NOT NULL;
CREATE UNIQUE INDEX syncml_map_guid ON syncml_map (partner, guid) WHERE guid IS NOT NULL;
CREATE INDEX syncml_map_untold ON syncml_map (partner) WHERE guid IS NOT NULL AND held = 1 AND told = 0;
CREATE INDEX syncml_map_base ON syncml_map (base);

-- Keys that a partner has to be told of although their rows are older than its sequence number.
CREATE TABLE syncml_owed (
    partner INTEGER NOT NULL REFERENCES syncml_partner (n),
    key     BLOB NOT NULL,
    PRIMARY KEY (partner, key)
) WITHOUT ROWID;

CREATE TRIGGER record_past_gone AFTER DELETE ON record_past WHEN OLD.content != x'' BEGIN
    UPDATE record_text SET loose = 1 WHERE collection = OLD.collection AND content = OLD.content;
END;
CREATE TRIGGER syncml_map_moved AFTER UPDATE OF base ON syncml_map WHEN OLD.base != NEW.base AND OLD.base != x'' BEGIN
    UPDATE record_text SET loose = 1
        WHERE collection = (SELECT collection FROM syncml_partner WHERE n = OLD.partner) AND content = OLD.base;
END;
CREATE TRIGGER syncml_map_gone AFTER DELETE ON syncml_map WHEN OLD.base != x'' BEGIN
    UPDATE record_text SET loose = 1
        WHERE collection = (SELECT collection FROM syncml_partner WHERE n = OLD.partner) AND content = OLD.base;
END;
CREATE TRIGGER syncml_partner_gone BEFORE DELETE ON syncml_partner BEGIN
    DELETE FROM syncml_map WHERE partner = OLD.n;
    DELETE FROM syncml_owed WHERE partner = OLD.n;
END;

-- Accounts of stock SyncML clients, and what is kept of devices. The file is readable by its owner alone.
CREATE TABLE syncml_account (
    name        TEXT PRIMARY KEY,
    digest      TEXT NOT NULL,               -- B64(MD5(name:password)), what SyncML's md5 scheme needs from 1.1 on
    password    TEXT,                        -- in clear, only if the account was made for SyncML 1.0
    collections TEXT,                        -- JSON list; NULL: all record collections
    added_ns    INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE syncml_device (
    account TEXT NOT NULL,
    device  TEXT NOT NULL,
    nonce   BLOB NOT NULL DEFAULT x'',
    devinf  BLOB NOT NULL DEFAULT x'',       -- MessagePack
    seen_ns INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, device)
) WITHOUT ROWID;
