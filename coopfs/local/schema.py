"""The database of one disk: the view of the log that the filesystem works on (design section 4).

Two kinds of tables. The tree (inodes, names, extents, xattrs) is what the mount shows; it equals the newest image of
every key in all groups. The log's bookkeeping (stripes, fragments, groups, open_images, facts) says where content lies
and what has still to be sent.
"""

APPLICATION_ID = 0x636F6670  # "cofp": tells our file from any other SQLite database
SCHEMA_VERSION = 6  # of this machine's files only; never sent

TABLES = """
-- Facts of the disk: one row each, by name. Numbers the filesystem keeps: next_ino, next_stripe, clock (the highest
-- time ever given, ns since 1970). Others belong to those who set them (layout, epoch, version counter, barrier).
CREATE TABLE facts (
    key   TEXT PRIMARY KEY,
    value
) WITHOUT ROWID;

-- One row per inode. Numbers are never used again.
CREATE TABLE inodes (
    ino     INTEGER PRIMARY KEY,
    mode    INTEGER NOT NULL,   -- type and permissions, as in stat(2)
    uid     INTEGER NOT NULL,
    gid     INTEGER NOT NULL,
    nlink   INTEGER NOT NULL,   -- 0: unlinked while open; removed at the next start
    rdev    INTEGER NOT NULL,   -- as in makedev(3)
    size    INTEGER NOT NULL,   -- bytes
    atime   INTEGER NOT NULL,   -- ns since 1970, all three
    mtime   INTEGER NOT NULL,
    ctime   INTEGER NOT NULL,
    parent  INTEGER,            -- first name, part of the image. NULL: root, unlinked, or further links only
    name    BLOB,
    target  BLOB,               -- of a symbolic link
    born    INTEGER NOT NULL,   -- group in which it was created: born in the open group = no closed group knows it
    changed INTEGER NOT NULL,   -- group of its newest image
    stored  INTEGER NOT NULL    -- bytes that all its extents keep alive: st_blocks without a scan
);
CREATE INDEX orphans ON inodes (ino) WHERE nlink = 0;

-- Every name, the first one of each inode too. The cookie is the position in readdir: it stays as others come and go.
CREATE TABLE names (
    cookie INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    name   BLOB NOT NULL,
    ino    INTEGER NOT NULL,
    changed INTEGER NOT NULL,   -- group of its newest image, if it is a further link
    UNIQUE (parent, name)
);
CREATE INDEX listing ON names (parent, cookie);

-- Where content lies; what no extent covers is a hole. Bytes of the file, stripe id, byte in the stripe's content; of a
-- compressed unit the bytes it has there and decoded, and the byte of these at which the extent begins (core/units).
CREATE TABLE extents (
    ino    INTEGER NOT NULL,
    offset INTEGER NOT NULL,
    length INTEGER NOT NULL,
    stripe INTEGER NOT NULL,
    at     INTEGER NOT NULL,
    stored INTEGER NOT NULL,
    raw    INTEGER NOT NULL,
    skip   INTEGER NOT NULL,
    codec  INTEGER NOT NULL,    -- 0: plain, and stored = raw = length, skip = 0
    changed INTEGER NOT NULL,   -- group of its newest image, unless it lies at offset 0
    PRIMARY KEY (ino, offset)
) WITHOUT ROWID;

-- Files whose extents at or after an offset are gone for everybody, but not from the table yet (local/graves).
CREATE TABLE graves (
    ino    INTEGER PRIMARY KEY, -- of an inode that is gone, or was cut
    offset INTEGER NOT NULL
);

CREATE TABLE xattrs (
    ino   INTEGER NOT NULL,
    name  BLOB NOT NULL,
    value BLOB NOT NULL,
    changed INTEGER NOT NULL,   -- group of its newest image
    PRIMARY KEY (ino, name)
) WITHOUT ROWID;

-- Every stripe, of data and of meta. The first six columns are filled when it is opened, the others at sealing (R5).
CREATE TABLE stripes (
    id          INTEGER PRIMARY KEY,
    kind        INTEGER NOT NULL,           -- types.Kind
    born        INTEGER NOT NULL,           -- group
    died        INTEGER,                    -- group in which its last extent went; it counts for the one before (R7)
    length      INTEGER NOT NULL,           -- bytes of content
    live        INTEGER NOT NULL,           -- bytes that extents keep alive (units.CHARGE)
    layout      INTEGER,                    -- given early if another one came into use: NULL until sealed else
    slices      BLOB,                       -- content bytes in each data shard
    tag         BLOB,
    row         INTEGER,                    -- NULL until sealed; with version, given together (R5)
    version     INTEGER,
    end_row     INTEGER,                    -- (row, version) of the newest END known written, fixed at sealing (R2)
    end_version INTEGER,
    grp         INTEGER,                    -- group number in the header
    changed     INTEGER,                    -- group of the newest record of a data stripe, once it is sealed
    acks        INTEGER NOT NULL DEFAULT 0  -- a bit for each seat (core/seats): its column has acked; bit 62: the
                                            -- store that is being filled has
);
CREATE INDEX unsealed ON stripes (id) WHERE row IS NULL;
CREATE INDEX stripes_of_group ON stripes (born);
CREATE INDEX dead ON stripes (died) WHERE died IS NOT NULL;
CREATE INDEX chain ON stripes (version) WHERE kind != 1;
CREATE INDEX sparse ON stripes (live) WHERE kind = 1 AND died IS NULL AND row IS NOT NULL;

-- What each data stripe carries, in content order: sealing puts it into the directories of the blocks (R2).
CREATE TABLE fragments (
    stripe INTEGER PRIMARY KEY,
    list   BLOB NOT NULL        -- msgpack: [[ino, offset, length, parent, name], ...], of units codec and stored too
);

CREATE TABLE groups (
    id        INTEGER PRIMARY KEY,
    state     INTEGER NOT NULL,             -- groups.State
    opened_at INTEGER,                      -- wall seconds of the first change; NULL: nothing changed yet
    closed_at INTEGER,                      -- wall seconds of the boundary
    images    INTEGER NOT NULL DEFAULT 0,   -- records, exact once closed
    bytes     INTEGER NOT NULL DEFAULT 0    -- of content
);
CREATE INDEX groups_of_state ON groups (state);

-- The records of groups whose meta stripes are not sealed yet: frozen when the group closes (R3).
CREATE TABLE open_images (
    grp   INTEGER NOT NULL,
    type  INTEGER NOT NULL,     -- records.Type
    a     INTEGER NOT NULL,     -- ino, parent or stripe id
    b     NOT NULL,             -- name, offset, or 0
    image BLOB NOT NULL,        -- one encoded record
    stands INTEGER NOT NULL,    -- 1: an image; 0: a tombstone or truncate, which is never told again (R4)
    PRIMARY KEY (grp, type, a, b)
) WITHOUT ROWID;

-- The keys of the images in each live meta stripe: what must be put into the log again before its head can move on.
CREATE TABLE meta_keys (
    stripe INTEGER PRIMARY KEY,
    keys   BLOB NOT NULL        -- msgpack: [[type, a, b], ...]
);

-- The payload of each sealed meta stripe until it is complete and held: it is sealed again from here, byte for byte,
-- after a crash or for a partner that was away. Afterwards it is fetched back like any content.
CREATE TABLE meta_payloads (
    stripe  INTEGER PRIMARY KEY,
    payload BLOB NOT NULL
);

-- The partners' columns of all layouts, by their seats (R7): whose acks count. Only what a restart must not forget.
CREATE TABLE columns (
    number            INTEGER PRIMARY KEY,
    unreachable_since INTEGER,              -- wall seconds; NULL: reached now, or never yet
    state             INTEGER NOT NULL      -- core/columnstate
);

-- What each column's slots hold (local/slots), so that a partner that returns need not tell it slot by slot (R16).
CREATE TABLE digests (
    number INTEGER PRIMARY KEY, -- the column's seat; 62: the store that is being filled
    digest BLOB NOT NULL        -- 16 bytes: of all stripes that it acked, and all remains that it has
);

-- What lies in the columns' slots beside what they have acked: stripes that are gone from the table of stripes, in rows
-- that not all columns have used again; and where the row and version are those of a stripe that is there, something
-- that was found not to be its block: the column may claim to hold that stripe, which does not count until it acks it.
CREATE TABLE remains (
    row     INTEGER NOT NULL,
    version INTEGER NOT NULL,
    acks    INTEGER NOT NULL,   -- a bit for each seat: the slot of its column still holds it; bit 62 as for stripes
    PRIMARY KEY (row, version)
) WITHOUT ROWID;
"""
