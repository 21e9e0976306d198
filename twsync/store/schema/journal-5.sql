-- Brings a journal of version 4 to version 5: the listing is of the whole tree, and in parts. Those that were are of what lies at the top.

DROP TABLE listing;

-- The tree as its rows were at a sequence number (twsync.store.listing), in parts by key. The last part is empty: without it there is none.
CREATE TABLE listing (
    collection INTEGER NOT NULL REFERENCES collection (id),
    part       INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    keys       BLOB NOT NULL,
    stats      BLOB NOT NULL,
    UNIQUE (collection, part)
);
