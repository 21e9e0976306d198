-- Brings a journal of version 3 to version 4: rows have a rowid.

DROP INDEX item_seq;
DROP INDEX item_content;
ALTER TABLE item RENAME TO item_before;
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
INSERT INTO item SELECT * FROM item_before ORDER BY collection, key;
DROP TABLE item_before;
CREATE INDEX item_seq ON item (collection, seq);
CREATE INDEX item_content ON item (content) WHERE kind = 1;
