BEGIN TRANSACTION;
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
INSERT INTO "anchor" VALUES(1,'alice/desktop',X'0000000000000009',X'74747474747474747474747474747474',1,2,NULL,NULL,NULL);
CREATE TABLE collection (
    id       INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    replica  BLOB NOT NULL,              -- 8 random bytes, big endian: one life of this journal
    seq      INTEGER NOT NULL DEFAULT 0, -- sequence number of the last change
    patterns BLOB NOT NULL DEFAULT x''   -- hash of the ignore patterns that the rows were made with
);
INSERT INTO "collection" VALUES(1,'photos',X'EE63BB3845506D1E',3,X'');
INSERT INTO "collection" VALUES(2,'music',X'99BBE216E6AC9CB9',0,X'');
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
INSERT INTO "conflict" VALUES(1,'photos',X'612E747874',X'','ours',0,'call@host','alice/desktop',3,3);
CREATE TABLE deferred (
    collection INTEGER NOT NULL REFERENCES collection (id),
    key        BLOB NOT NULL,
    mode       INTEGER NOT NULL,
    mtime_ns   INTEGER NOT NULL,
    PRIMARY KEY (collection, key)
) WITHOUT ROWID;
CREATE TABLE durable (n INTEGER NOT NULL);
INSERT INTO "durable" VALUES(0);
CREATE TABLE intent (
    collection INTEGER NOT NULL REFERENCES collection (id),
    n          INTEGER NOT NULL,
    record     BLOB NOT NULL,
    PRIMARY KEY (collection, n)
) WITHOUT ROWID;
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
INSERT INTO "item" VALUES(1,X'612E747874',1,X'6363636363636363636363636363636363636363636363636363636363636363',3,5,420,X'','laptop',X'EE63BB3845506D1E0000000000000001',1,0,3,5,6,7,420);
INSERT INTO "item" VALUES(1,X'62',2,X'',0,5,493,X'','laptop',X'EE63BB3845506D1E0000000000000001',2,0,0,0,0,0,0);
INSERT INTO "item" VALUES(1,X'6F6C64',0,X'',0,5,0,X'','laptop',X'EE63BB3845506D1E0000000000000001',3,0,0,0,0,0,0);
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
INSERT INTO "session" VALUES(1,'call@host','photos','alice/desktop','client','done',1,2,'{}');
CREATE TABLE trace (
    session TEXT NOT NULL,
    n       INTEGER NOT NULL,
    line    TEXT NOT NULL,
    PRIMARY KEY (session, n)
) WITHOUT ROWID;
INSERT INTO "trace" VALUES('call@host',0,'{}');
CREATE TABLE trusted (
    device        TEXT PRIMARY KEY,
    fingerprint   TEXT NOT NULL,
    first_seen_ns INTEGER NOT NULL,
    offered       TEXT NOT NULL DEFAULT '',
    offered_ns    INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX item_seq ON item (collection, seq);
CREATE INDEX item_content ON item (content) WHERE kind = 1;
CREATE INDEX conflict_key ON conflict (collection, key);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('conflict',1);
COMMIT;
PRAGMA application_id=1953985386;
PRAGMA user_version=1;
