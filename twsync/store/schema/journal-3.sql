-- Brings a journal of version 2 to version 3: record folders are compared in one piece.

-- A record folder as its rows were at a sequence number, in one piece (twsync.store.listing).
CREATE TABLE listing (
    collection INTEGER PRIMARY KEY REFERENCES collection (id),
    seq        INTEGER NOT NULL,
    names      BLOB NOT NULL,
    stats      BLOB NOT NULL
);
