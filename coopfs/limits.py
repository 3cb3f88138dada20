"""Every bound, with its unit and its reason. Whatever comes from outside meets one of these before it meets memory."""

KIB = 1024
MIB = 1024 * KIB

# --- blocks and stripes -------------------------------------------------------------------------------------------
MIN_BLOCK_SIZE = 16 * KIB  # bytes; the largest record (an inode with name and target, 4.7 KiB) must fit into k = 1
MAX_BLOCK_SIZE = 1 * MIB  # bytes; measured best is 256 KiB, 1 MiB is slower and multiplies the memory of the pipeline
DEFAULT_BLOCK_SIZE = 256 * KIB  # bytes; until-acked throughput was 212 MB/s, against 100 at 64 KiB and 155 at 1 MiB
BLOCK_ROUNDING = 4 * KIB  # bytes; short blocks are padded to this, so that sizes tell little (P5)
UNIT_MAX = 128 * KIB  # bytes of content compressed by itself: a small read decodes 0.1 ms more than it needs
UNITS_PER_STRIPE = 8  # that fit into one at least: a unit lies in one stripe, half of one is what its end wastes
UNIT_GAIN = 512  # bytes that compressing a unit must win: twice what its extent takes in log, tables and directories
UNIT_SHARE = 16  # and at least 1/16 of it: less is not worth decoding it for every reader
UNTRIED_MAX = (
    64 * UNIT_MAX
)  # bytes of a file that did not shrink which go by before it is tried again: 1/64 of the cost
STUBBORN_FILES = 4096  # files known not to shrink: x ~200 bytes = 0.8 MB
AT_ONCE_BYTES = 16 * KIB  # of one request that are compressed on the loop: 0.06 ms, a hop to a thread costs 0.09
AT_ONCE_LEVEL = 3  # of zstd, up to which that holds
COMPRESSING_THREADS = 2  # the cores of a small machine: requests beyond wait, as they do for the disk
MAX_COLUMNS = 62  # columns of one layout; acks are one bit each in a signed 64-bit SQLite integer
MAX_ROWS = 1 << 31  # rows of a store; 2^31 x 256 KiB = 512 TiB per partner

# --- groups (R3, R9) ----------------------------------------------------------------------------------------------
GROUP_BYTES = 48 * MIB  # content bytes that close a group: 32 stripes of 6 x 256 KiB, a third of a second at 150 MB/s
GROUP_IMAGES = 20_000  # images that close a group: at ~100 bytes each 2 MB, two meta stripes of 6+2
GROUP_META_ROWS = 4  # stripes that images may fill before they close a group: 6 MB of 6+2, and few rows of any disk
GROUP_AGE = 30.0  # seconds after its first change an open group is closed: the recovery point of an idle disk
MAX_GROUPS_UNHELD = 64  # closed groups sent and not held (G of R9)
META_PREV = 16  # previous meta stripes that each meta stripe names
META_CHAIN_EVERY = 64  # every 64th meta stripe names the whole chain

# --- local durability ---------------------------------------------------------------------------------------------
COMMIT_INTERVAL = 1.0  # seconds between group commits: what a power loss may cost without fsync
SYNC_EARLY_BYTES = 64 * MIB  # content bytes that start a commit before its time: half a second of the slowest disks
UNSYNCED_MAX = 96 * MIB  # content bytes not yet being synced, above which writers wait: as many again may be under way
WAL_CHECKPOINT_BYTES = 16 * MIB  # bytes of write-ahead log after which it is checkpointed in the background
CROWDED_CHECK = 0.2  # seconds until it is asked again whether that is short while a check reads: 2 MB of changes
WAL_ROOM = 64 * MIB  # bytes allocated for the log ahead: four times what is checkpointed, and a burst of changes
DATABASE_GROWTH = 16 * MIB  # bytes allocated behind the database: 10^5 tombstones; what deletes free is used again
NODE_ROOM = 1 * MIB  # bytes allocated for node.sqlite and again for its log, of a few hundred rows
NODE_CHECKPOINT = 64  # pages of that log after which it is used again: a quarter of its room
LOCAL_HEADROOM = (
    64 * MIB
)  # bytes kept free on the local disk for SQLite: below it writes get ENOSPC, deletes still work

# --- the cache (R8, P6) -------------------------------------------------------------------------------------------
DEFAULT_CACHE = 10 * 1024 * MIB  # bytes of content on the local disk, or what that has free when the disk is opened
DIRTY_SHARE = 0.75  # of the cache that content not yet safe may fill: the rest lets reads go on while writers wait
RECALL_SHARE = 0.5  # of the cache up to which endangered content is fetched back: a third of the dirty cap is left
REFILL_SHARE = 0.9  # of the cache up to which a takeover fetches content ahead: what is read or written needs room too
GROUPS_OF_DIRTY = 4  # groups that fit under the dirty cap: one is filled while others are sent
MIN_CACHE_FACTOR = 2  # 4/3 for the dirty share x 4/3 for the group that is open, rounded up
WRITE_MAX = 1 * MIB  # bytes of one write request: libfuse's limit, 256 pages
GHOST_STRIPES = 65_536  # ids of stripes remembered after they went: x ~100 bytes = 6.5 MB
READ_APART = 64  # stripes between two reads of one that count as two: some readers take turns in requests of 128 KiB
RECALL_INTERVAL = 5.0  # seconds between looks for endangered content that is not here
RECALL_AGAIN = 60.0  # seconds until it is tried again if none could be had, and nothing happened meanwhile
RECALL_BATCH = 16  # stripes fetched back in one look, so that more endangered ones come first soon

# --- memory of the pipeline (P6) ----------------------------------------------------------------------------------
DISPUTES_MAX = 256  # blocks that one partner may refuse one by one: with more it is wrong as a whole, and is left alone
COLUMN_QUEUE = 8  # blocks queued to one partner, one run; a slower one is left to the cleaner
PUT_RUN = 8  # puts that one round of a column sends and waits for together: 2 MiB of 256 KiB blocks
PUTS_IN_FLIGHT = 8  # unanswered puts per partner: 2 MiB, so 160 Mbit/s at 100 ms round trip
FETCH_BYTES = 24 * MIB  # bytes of decoded stripes that readers keep where no cache takes them: two runs each, for two
READERS = 64  # stripes that readers turned to last: so many may read sequentially at once
READ_AHEAD_STRIPES = 4  # stripes of a run that is fetched ahead of a sequential reader: more spares no more of the cost
READ_RUN_BYTES = 6 * MIB  # bytes of such a run, or one stripe: 4 of 6 x 256 KiB, and 0.5 s of a link of 100 Mbit/s
SPARE_DELAY = 0.5  # seconds after which a reader asks one more partner than k
READ_TIMEOUT = 300.0  # seconds a read waits for partners before EIO (documented in mount.coopfs(8))

# --- the filesystem -----------------------------------------------------------------------------------------------
NAME_MAX = 255  # bytes of one name, as on ext4
XATTR_NAME_MAX = 255  # bytes, as in Linux
XATTR_VALUE_MAX = 64 * KIB  # bytes, as in Linux
XATTR_LIST_MAX = 64 * KIB  # bytes of all names of one inode, as in Linux
ACL_MAX = 4 * KIB  # bytes of one ACL, 511 entries: a page, which is the most that the kernel asks a FUSE filesystem for
LINK_MAX = 65_000  # hard links of one inode, as on ext4
SYMLINK_MAX = 4095  # bytes of a target: PATH_MAX less its NUL
FILE_SIZE_MAX = (1 << 63) - 1  # bytes: off_t
TIME_MAX = (1 << 63) - 1  # ns since 1970, in the year 2262
CACHED_NODES = 16_384  # inodes kept in memory beside those not yet written to the table: x ~700 bytes = 11 MiB
CHANGES_SOON = 5000  # changed rows that force a commit before its time: 16 MB of log at the worst, and 0.2 s of loop
CHANGES_MOST = 8000  # changed rows beyond which operations wait for that commit: 26 MB
CACHED_NAMES = 16_384  # names kept in memory, absent ones too: x ~300 bytes = 5 MB, and 9 MB if all are of 255 bytes
CACHED_ENTRIES = 4096  # answers to stat kept as the kernel takes them: x ~400 bytes = 2 MB, a large directory
STRIPE_IDS = 16  # stripe ids taken at once: ids may have gaps, and a row is written for each taking
KEPT_PAGE = 128  # names of a directory kept from one part of its listing to the next: x ~250 bytes = 32 KB, and
KEPT_PAGES = 64  # of so many directories: 2 MB, and 5 MB if all are of 255 bytes
LISTING_PAGE = 256  # names read at once by who walks the tree, and may wait between two pages
EXTENTS_AT_ONCE = 1024  # extents that one operation drops: 2 ms; a file of more is dropped in slices of so many
RECLAIM_COMMIT = 4  # such slices in one transaction: the stripes of each extent may lie in pages of their own, 16 MB
BURIED_AT_ONCE = 4096  # stripes without extents that die in one transaction
MAX_GRAVES = 65_536  # files that wait to be dropped in slices: x ~100 bytes; with more, a delete waits for its own
DECODED_UNITS = 32  # units kept decoded: 4 MiB, so that small sequential reads, a few at once, decode each only once
SCRIBE_PIECE = 256 * KIB  # bytes of one piece that is worth a hop to a thread: copying it takes 0.1 ms, the hop 0.03
SCRIBE_BYTES = 8 * MIB  # bytes on their way into stage files: beyond them the loop copies itself
SPARE_FILES = 4  # empty stage files made ahead: 6 MB of a stream
GROUPS_AHEAD = 16  # groups that the stage may be ahead of the database after a crash: UNSYNCED_MAX twice is 4 of them
DESCRIPTOR_PATIENCE = 60.0  # seconds that a sync or a read waits where no descriptor is left
STAGE_DESCRIPTORS = 64  # stage files kept open for reading
BACKGROUND_REQUESTS = 1024  # reads that may wait for partners before those of content that is here wait behind them
KERNEL_READ_AHEAD = 512 * KIB  # bytes of one read of a file in turn, where root mounts: four times the kernel's own
FUSE_TASKS = 2 * BACKGROUND_REQUESTS  # concurrent requests, x ~18 KB = 37 MB: as many again for all others
MAX_FSYNCS = 512  # calls of fsync that may wait for partners: half of those tasks that reads leave to all others
FORGET_MAX = 65_536  # names and inodes that the kernel is to forget after a repair: x ~150 bytes; others just expire
CACHE_SECONDS = 300.0  # that the kernel may keep names and attributes: every change comes through the mount itself
FILESYSTEM_BLOCK = 4096  # bytes: f_bsize and st_blksize; glibc emulates fallocate with one write for each
ROOT_INO = 1  # FUSE's root inode
MAX_RECORD = XATTR_VALUE_MAX + XATTR_NAME_MAX + 64  # bytes of the longest record, an xattr: its key has lengths too

# --- the wire (R16) -----------------------------------------------------------------------------------------------
NOISE_MESSAGE = 65_535  # bytes: the Noise specification's limit
MAX_FRAME = (
    MAX_BLOCK_SIZE + 64 * KIB
)  # bytes: the largest block with its header; more is a ProtocolError before it is read
MAX_REQUESTS = 64  # requests that one peer may have unanswered; more is a ProtocolError
MAX_STORES_PER_SESSION = 64  # stores one peer may hold open in one connection
INVENTORY_PAGE = 8192  # slots in one inventory answer: 8192 x ~20 bytes = 160 KiB
HANDSHAKE_TIMEOUT = 10.0  # seconds for the whole handshake: a slow drip ends here
REQUEST_TIMEOUT = 60.0  # seconds for one answer, and for the blocks that it is about
SLOWEST_LINE = 500  # bytes per second in addition: half of a line of 1 kB/s, on which a 256 KiB block takes 4 minutes
KEEPALIVE_INTERVAL = 20.0  # seconds of own silence after which a ping is sent: below the 30 s of the meanest NATs
KEEPALIVE_TIMEOUT = 60.0  # seconds of silence after which the connection is dead
RECONNECT_MIN = 0.5  # seconds; doubled with jitter up to
RECONNECT_MAX = 300.0  # seconds: an hour of absence costs a partner a dozen attempts
MAX_PENDING_CONNECTIONS = 64  # strangers in handshake at once
MAX_ADDRESSES = 8  # addresses of one node
MAX_ADDRESS = 255  # bytes of one address: a DNS name with port, and what one length byte of an invitation holds
MAX_TEXT = 1024  # bytes of a name, address or reason from outside
MAX_LAYOUTS = 16  # layouts of a disk in force at once: one, and one more for each resizing under way
MAX_KEY_ID = (1 << 16) - 1  # it is a u16: the disk can be given a new key that often
KEY_LEAP = 1 << 30  # versions left out before a new key's first one: 64 TiB may be sealed until all know of it
RUN_LEAP = 1 << 28  # versions that a run of the daemon leaps over at the most: 2^21 runs, or 5 a day for 1000 years
LEAPS_REMEMBERED = 256  # of a home: who runs a copy of it is met long before as many restarts, each of which leaves a
# few if it was killed while stripes were coded; 20 bytes each
MAX_KEY_IDS = 64  # key ids of a disk in use at once: one for each rekeying whose old stripes are still alive
MAX_STORES = 3  # stores of one column in a master block: primary, incoming, vault (R14)
MAX_TRUSTEES = 16  # partners of a disk that hold its master block only: a kit needs f + 1 in all
MAX_RETURNS = 64  # stores that a master block names as to be given back: of one layout; 64 x 54 bytes = 3.4 KiB
MAX_MASTER = 64 * KIB  # bytes of a sealed master block: 62 columns x 3 stores x ~200 bytes = 37 KiB
MASTER_ADDRESSES = 512  # bytes of them for one store there: 62 columns and one spare x ~700 bytes = 44 KiB
MAX_MAP = 16 * KIB  # bytes of one message map: the largest are 8 addresses or 192 feature names of 64 bytes, ~12 KiB
MAX_FEATURES = 64  # names in one feature list of HELLO
MAX_FEATURE_NAME = 64  # bytes of one feature name
STRANGER_TIMEOUT = 60.0  # seconds that a stranger's connection lives: one AGREE, which preallocates a reservation
GOODBYE_TIMEOUT = 1.0  # seconds to get the reason of a closing out: courtesy, never a reason to hang
MAX_LINKS_PER_PEER = 8  # connections of one peer key: a node, its restore views and what is not yet known to be dead

# --- addresses ----------------------------------------------------------------------------------------------------
MAX_OBSERVED = 2  # addresses of a node that only others have seen: IPv4 and IPv6, or the old one and the new one
MAX_SIGHTINGS = 256  # partners whose word about that is kept: x ~200 bytes
SIGHTING_LIFETIME = 86_400.0  # seconds that it counts: providers give other addresses every night
ADDRESSES_INTERVAL = 6 * 3600.0  # seconds after which partners tell each other again: before that is over
ADDRESSES_APART = 30.0  # seconds between two changes: each is a write to the disk of every partner
HEAD_START = 1.0  # seconds that one address has before the next is tried too: a handshake over 300 ms round trip

# --- relays -------------------------------------------------------------------------------------------------------
MAX_RELAYS = 2  # relays that one node waits at: the second for when the first is down
RELAY_CONNECTIONS = 960  # of one relay, of 1024 descriptors that a process has; x (32 KiB + socket buffers) = 0.3 GB
RELAY_PER_SOURCE = 128  # connections from one IPv4 address or IPv6 /64: a household of two nodes with all partners
RELAY_PER_NODE = 64  # connections of one node key: one to each partner of the largest layout, and one that waits
RELAY_SHAKING = 16  # handshakes at once from one address, of MAX_PENDING_CONNECTIONS: half-open ones last 10 s
RELAY_NEW = 240  # new connections a minute from one address: such a household when its relay comes back, twice
RELAY_SOURCES = 65_536  # addresses of which new connections are counted: x ~100 bytes, forgotten each minute
RELAY_NODES = 65_536  # nodes of which a day's bytes are counted: x ~100 bytes; with more, new ones wait until tomorrow
RELAY_LIST = 16 * MIB  # bytes of the list of nodes that a relay serves: RELAY_NODES lines with 190 letters of comment
RELAY_PIECE = 32 * KIB  # bytes that one direction of a joined connection holds: 65 s of the SLOWEST_LINE
RELAY_IDLE = (
    90.0  # seconds without a byte in one direction: a node that is alive sends a PING after 20, and gives up after 60
)
RELAY_PATIENCE = 3.0  # seconds that a caller waits for a node which is just about to wait again
RELAY_ANSWER = 4.0  # seconds that a node has to take a call: with RELAY_PATIENCE less than a caller's own patience
DIRECT_AGAIN = 3600.0  # seconds up to which the pause grows between two looks for a way without the relay in use
RELAY_CALLS_APART = 0.1  # seconds between two calls that a node takes at one relay, up to
RELAY_CALLS = 64  # of them in a minute: as many as partners; then
RELAY_CALLS_SLOW = 1.0  # seconds: whoever calls for nothing, and a relay that lies, cost a handshake a second
RELAY_REPORT = 60.0  # seconds between two log lines about whom the relay turned away: a flood must not fill the disk
DEFAULT_NODE_RATE = 2 * MIB  # bytes per second of one node: the uplink of a household
DEFAULT_NODE_DAILY = 20 * 1024 * MIB  # bytes per day of one node: 1 TB of content at 6+2 takes two months

# --- partner's side (R15) -----------------------------------------------------------------------------------------
INDEX_ENTRY = 64  # bytes: a power of two, so that no entry straddles two sectors
PUT_GATHER = 0.1  # seconds that a run of puts has to arrive in, to be stored together: 2 MiB at 160 Mbit/s
PUT_BATCH = 64  # puts covered by one fdatasync
MAX_DISKS_PER_PEER = 16  # disks one partner may keep here; each can cost 2 master blocks, 128 KiB of node.sqlite
MAX_STORES_PER_DISK = 64  # stores one partner may keep here for one disk: one per layout column, with room for resizing
MAX_READERS = 16  # nodes that an owner may let in to read one store: each read-only kit is one
SLICES = 32  # a disk that moves to another layout does so by 1/32 at least: half of MAX_GROWTHS, the owner has the rest
MAX_GROWTHS = 64  # times a store can grow: what its header says of that fits into one sector
IDLE_STORES = 64  # store files kept open that no session uses: a descriptor and 12 bytes per row each, seconds to load
INVITATION_LIFETIME = 14 * 86400  # seconds an invitation may be answered, and holds its space: a code travels by mail
CARVE_STEP = 64 * MIB  # bytes that leave a reservation before a store has them: what another program could snatch

# --- matching (2.1) -----------------------------------------------------------------------------------------------
MAX_ANNOUNCEMENT = 4 * KIB  # bytes signed by a node: 8 addresses of 255 letters and its texts are below 3 KiB
MAX_SITE = 64  # letters of a site or of an operating system's name
MAX_WANTED = 256  # partners that a node may want or have: four disks of 62 columns
MAX_BONDS = 4  # agreements between whose sides others may step that one node tells of: enough supply, and less to learn
FORMER_INCARNATIONS = 4  # remembered of a member, to tell a copy of it from a restart: 64 bytes
MATCH_SKEW = 900  # seconds that an announcement's time may be off: clocks without NTP drift by minutes in a year
MATCH_EXPIRY = 2 * MATCH_SKEW  # seconds that an entry lives: three announcements, and as long as one may be replayed
MATCH_BODY = 64 * KIB  # bytes of one question to a matching server: 512 node keys and an announcement are 40 KiB
MATCH_READ_TIMEOUT = 10.0  # seconds in which a question must come: 64 KiB at 50 kbit/s
MATCH_CANDIDATES = 16  # of one answer: 90 KB of base64 at the most, and more than most nodes have partners
MATCH_PAIRS = 8  # of one answer, each of two candidates
MATCH_POOL = 128  # members of a level among which these are chosen: 1 ms of work, and spread enough
MATCH_MEMBERS = 2_000_000  # of one server: x ~700 bytes = 1.4 GB with its indexes
MATCH_RATE = 1.0  # questions a second from one subnet, and of one node: a town behind one address still announces
MATCH_BURST = 60  # of them at once
MATCH_BUCKETS = 131_072  # subnets and nodes whose questions are counted: x ~200 bytes = 26 MB
MATCH_CONNECTIONS = 8  # to PostgreSQL, of one server: its queries take below 1 ms, so 8 are 8,000 a second
MATCH_LOCK = 5.0  # seconds that a transaction waits for another one, and for PostgreSQL to answer
MATCH_EXPIRE_INTERVAL = 60.0  # seconds between looks for entries that have ended
MATCH_RECENT = 50  # matches kept for the status page: a screen or two
MATCH_LISTED = 50  # members on the status page, likewise of all that are counted
MATCH_OVERVIEW = 15  # seconds that a count of all is shown: 10^6 members take about one second
MATCH_SERVERS = 8  # matching servers of one node: it tells each of itself every ten minutes
MATCH_SITES = 64  # sites and nodes that an owner may exclude
MATCH_ANSWER = 128 * KIB  # bytes of a matching server's answer: 16 candidates in base64 are 88 KiB
MATCH_TIMEOUT = 15.0  # seconds that a matching server may take: a slow one holds up nothing but its own answer
ANNOUNCE_INTERVAL = 600.0  # seconds between announcements, less up to a tenth so that nodes spread out
FIND_MIN = 15.0  # seconds between two searches while partners are lacking; doubled up to ANNOUNCE_INTERVAL
FIND_PATIENCE = 90.0  # seconds that one candidate may take, dialling and preallocating the space on both sides
SUCCESSION_CHECK = 600.0  # seconds between looks for somebody to follow a partner that is lost, if nothing changes
FIND_AGAIN = 600  # seconds until a candidate that could not be had is asked again
FIND_REFUSED = 60  # the same of one that refused: it may just have been agreeing with others, and lack one again soon
OFFER_LIFETIME = 120  # seconds that space is held for a stranger that was welcomed: it gives up after FIND_PATIENCE
STEP_AFTER = 3600.0  # seconds of finding nobody after which a node asks to step between two: six searches at least
STEP_AGAIN = 6 * 3600  # seconds until a pair that would not have it is asked again
STEP_PATIENCE = 3600  # seconds that space is held for a newcomer: the two that it asks must reach each other meanwhile
STEP_UNDO = 86_400  # seconds after which who agreed with a newcomer takes it back, if the other one says it has not
BID_CHECK = 300.0  # seconds between looks whether partners are lacking, if nobody tells: a twelfth of STEP_AFTER
STEP_CHECK = 10.0  # seconds between two looks at a step that is under way, and two words to the other one: 200 bytes
OFFERS_A_MINUTE = 30  # strangers' offers looked at: a signature costs 0.1 ms, the rest is to bore who tries keys

# --- quorum (R7) --------------------------------------------------------------------------------------------------
AWAY_AFTER = 12 * 3600.0  # seconds unreachable before a column is away
GRACE_PERIOD = 14 * 86400  # seconds unreachable after which a column is lost by itself: a holiday, not a house move
FLOOR_INTERVAL = 86400  # seconds by which the floor may lag behind what is held: one 2 KiB put per partner and day
FOLLOW_INTERVAL = 3600.0  # seconds between looks whether partners have moved: each move is a put to every partner
FLOOR_CHECK = 60.0  # seconds between looks whether it does

# --- what an owner may hope for (plan) ----------------------------------------------------------------------------
DEFAULT_TARGET = 99.9  # per cent of the moments at which a restore works at once: 8 partners, as 4+4, reach it
DEFAULT_PARTNER_UP = 0.9  # of the time: what the paper's figures assume of a machine on the Internet
DEFAULT_LOST = 0.1  # of the partners in a year: disks fail at 1 to 5 %, and people move on
DEFAULT_REPAIR_DAYS = 21.0  # the grace period, and a week to find a partner and to fill its store
OUTLOOK_KINDS = 64  # kinds of stripes looked at for the present figure: 2 ms x 62 partners
PLAN_PARTNERS = 20  # that one owner may be able to find

# --- space (R9) ---------------------------------------------------------------------------------------------------
IMAGE_BYTES = 256  # bytes charged for one image not yet sealed: an inode with name and extent is ~110, plus tombstone
INODE_BYTES = 60  # bytes of an inode's image without its name, target and extent: 52 with a small number
NAME_BYTES = 16  # bytes of a name beside its letters: 14 of a further link
EXTENT_BYTES = 36  # bytes of an extent's image: 33 in a file below 4 GiB
XATTR_BYTES = 12  # bytes of an extended attribute beside its name and value
STRIPE_BYTES = 100  # bytes of a data stripe's record: 81 of 6+2
LARGE_IMAGE = 4 * KIB  # bytes: a meta stripe of the smallest disk takes 16 of these, so less leave little of it empty
DIRECTORY_BYTES = 48  # bytes that an extent takes in the directories of the blocks, with a name of 20 letters
MIN_RESERVE_ROWS = 24  # R (derived in core/space): half of it can empty stripes of which a third is dead
MAX_RESERVE_ROWS = 160  # and that, of which a twentieth is
RESERVE_SHARE = 32  # rows of which one is kept back: half of what it wins for the writers of a disk of 1000 rows
LOG_SPARE = 2  # rows kept for each that live images fill, for what is told again: see core/space
SHORT_SHARE = 16  # of the rows: when less is free, stripes are emptied of which little is dead

# --- the command line ---------------------------------------------------------------------------------------------
CONTROL_LINE = 4 * MIB  # bytes of one line on the control socket: a status with 62 columns and a kit are below 100 KiB
CONTROL_TEXT = 64 * KIB  # letters of one argument on the control socket: PATH_MAX is 4096, an invitation has < 10,000
MAX_SCHEDULE = 168  # entries of a limit in coopfs.toml: one for each hour of the week
CONTROL_LIST = 256  # texts in one list there: 62 partners, or the options of a mount
MAX_KIT_PARTNERS = 256  # partners of one kit: a node with four disks of 62 columns
MAX_KIT_DISKS = 64  # disks of one kit
KIT_PASSES = 3  # of Argon2id, over
KIT_MEMORY = 256 * KIB  # KiB: together about a second here; fits a small board with 512 MB
MAX_KIT_PASSES = 8  # that a kit may ask of who opens it, over
MAX_KIT_MEMORY = 1024 * KIB  # KiB: together some 15 s, and 1 GiB for that time
MAX_PASSPHRASE = 1024  # bytes: a sentence of any script
MAX_KIT = 1 * MIB  # bytes of a recovery kit's text: a page or two when sane, so more is another file

# --- threads ------------------------------------------------------------------------------------------------------
BAD_INDEX_PAGES = 8  # of a store file, 64 rows each, that are given up when it is opened: more is a disk that fails
HOSTING_THREADS = 8  # that work for partners at a time: what they ask for must not keep the own disk from being synced
CODING_THREADS = 2  # threads that code and seal: the cores of a small machine, the event loop waits meanwhile
STALL_TIMEOUT = 2.0  # seconds that a full queue may stand still before its partner is left to the cleaner
ONLINE_AFTER = 3600.0  # seconds online before anybody is lost: after an outage back-off alone keeps partners for 5 min
CLOCK_STEP = 60.0  # seconds between two looks by which two clocks differ when the machine slept, or its clock was set
AWAY_CHECK = 5.0  # seconds at least between looks at how far columns are, as blocks are acked all the time
LOST_CHECK = 600.0  # seconds between looks for how long one is missed: the clock on the wall may be set
CLEANER_INTERVAL = 1.0  # seconds between looks for missing blocks: what a returned partner waits at the most
CLEANER_AGAIN = 60.0  # seconds until stripes that cannot be had are tried again; doubled up to MEND_REST_MAX
LOST_AT_ONCE = 256  # stripes compared with an inventory in one step: 5 to 15 ms if all are lost, 0.7 if none
LEARN_SLICE = 512  # stripes told in one step of which a column's new store has more than the old one: 8 ms if all are
FORGET_SLICE = 4096  # stripes or remains in one step of which a store that comes to nothing is forgotten: 5 ms, 0.5 MB
STRIPE_ROW_BYTES = 128  # of the database that are written for a stripe whose acks change with all others': 112 measured
ROOM_CHECK = 60.0  # seconds until it is asked again whether others have left that much of the local disk
REMAINS_BYTES = 40  # the same for remains
COMPARE_ROWS = 8192  # rows of an inventory noted in one step: as long
WALK_SLICE = 4096  # stripes below target looked at in one step for what a new store lacks: 5 ms
WALK_ROWS = 32768  # stripes of the table looked at in one step for the same: 20 ms
WALK_REST = 10  # looks between two walks over all stripes for what a new store lacks, of 80 steps with 2.5 x 10^6 rows
RATE_WINDOW = 900.0  # seconds of repair from which its rate is taken: links and limits change within hours
RATE_NOTES = 256  # runs of PUT_RUN blocks remembered for that: x ~100 bytes for each column
CLEANER_BATCH = 256  # stripes taken in one look, so that new, more endangered ones come first soon
WRITER_RUNS = 2  # runs of PUT_RUN stripes under way, one coded, one sealed: 2 x 8 x 2 MiB beside the columns' queues
META_CHAIN_MAX = 4096  # places in a whole-chain list: 64 KiB of a meta stripe; older ones stand in older lists
CONTROL_QUEUE = 64  # waiting connections, and progress lines of one that reads slowly
FORMAT_TIMEOUT = 60.0  # seconds that `format` waits for all partners to be reached
RESTORE_NOTICE = 0.1  # seconds in which whoever keeps a connection notices what broke a request on it: it takes hops
RESTORE_HEADERS = 16  # blocks asked for at once in search of the newest END: 4 MB, so that no line is idle
RESTORE_TRIES = 16  # that a state is tried while lines break and come back: reading a long log may take many minutes
RESTORE_YOUNG = 256  # newest stripes opened before a state is believed: 384 MB, several times what is usually unheld
RESTORE_SPOT = 16  # and of the older ones: who lacks a fifth of what it claims is found out with 1 - 0.8^16 = 97 %
CANDIDATES = 1024  # newest stripes sorted out of the inventories at once, among which the newest END is searched
FORK_LOOKS = 64  # blocks, 16 MB: asked for in search of a copy's END, which is among the newest that T does not name
FORK_KNOWN = 4096  # newest stripes of T that such a search passes over: 600 KB, and more than is ever sent and not held
CLAIM_TRIES = 8  # epochs that one takeover tries: one more than granted does, unless another machine tries too
CLAIM_LEAP = 256  # epochs that a partner may be ahead: one comes with each takeover, and there are 65535 in all
RESTORE_PATIENCE = 15.0  # seconds that a restore waits for partners before it goes on with those that answer
MIN_ROWS = 2 * MIN_RESERVE_ROWS  # rows of the smallest disk: as many again as the reserve
PROTOCOL_VERSION = 0  # the only one spoken; 0 until the formats are frozen as 1
PROGRESS_INTERVAL = 0.2  # seconds between two progress lines of one call: as often as an eye can use
GRANT_PATIENCE = 10.0  # seconds that a read-only kit waits for the partners that are up to know its reader
AMEND_PATIENCE = 10.0  # seconds that asking for another size waits for those that are up to answer: a trip, and some
FAREWELL_PATIENCE = 20.0  # seconds that ending an agreement waits for those that are up to know: a dial and an answer
RATE_CHECK = 10.0  # seconds after which who waits for a rate looks whether another one holds by now
PARTNER_PATIENCE = 30.0  # seconds that limits hold up a partner's request: half of its REQUEST_TIMEOUT
MILESTONES = 256  # moments at which a group became held: 4 KiB in the database, written with each
LOG_EXTENTS = 10_000  # extents of one file that `coopfs log` lists: 1 MB of JSON
LAST_SEEN_INTERVAL = 60.0  # seconds between looks which partners are up
UPTIME_SAVE = 600.0  # seconds of them that a crash may take away, of the 90 days that are told of
UPTIME_DAYS = 90  # of uptime looked back on: a season; x 96 bytes x 63 nodes = 0.5 MB in node.sqlite
PROMISE_DAYS = 30  # over which at least what may be missed is counted: 36 hours of a promise of 95 %
PROMISE_NEAR = 0.25  # of that left when the owner is told: 9 hours there
PROMISE_CHECK = 600.0  # seconds between looks: 20 ms each of hours of the week
PROMISE_AGAIN = 86_400.0  # seconds until the same is told again
KIT_CHECK = 3600.0  # seconds between looks whether another recovery kit is wanted
KIT_AGAIN = 86_400.0  # seconds until the owner is told again that one is
WEEKLY_KEPT = 0.95  # of hours promised by the week: one in twenty may be missed
OWNER_PATIENCE = 60.0  # seconds that the owner's command may take: a mail through a slow line
MAX_COMMAND = 32  # words of it
UPTIME_KNOWN = 7 * 86_400  # seconds seen of a node before its uptime is believed: a week has its own course

# --- checking -----------------------------------------------------------------------------------------------------
DEPTH_MAX = 10_000  # directories above a file that are named: a damaged tree may have a ring
FINDINGS_MAX = 1000  # findings of one question that are told one by one: 100 KB of JSON, and more than anybody reads
CHECK_SLICE = 256  # rows or images looked at between two operations: about 2 ms
MEND_INTERVAL = 10.0  # seconds between two looks for the stripes of damaged blocks: 1 s of work for 10^7 rows
CHALLENGE_AGAIN = 600.0  # seconds at most between challenges of who has given nothing: 80 until it does not count
MEND_REST_MIN = 60.0  # seconds until a block is sent again that a partner acked and did not give back; doubled up to
MEND_REST_MAX = 21_600.0  # so 4 times a day: CLEANER_BATCH blocks each time, 256 MiB a day at the most
CHECK_STRIPES = 4  # blocks fetched at once from each partner: a link of 100 Mbit/s stays busy at 100 ms
CHECK_PAGE = 32  # stripes after which it is noted how far a check is: 8 MiB of each partner, fetched again at the most
CHECK_LASTS = 30 * 86_400.0  # seconds that an interrupted check may be gone on with: then it is no check of one state
CHECK_PATIENCE = 60.0  # seconds that a check waits for a partner that went away meanwhile, each of
CHECK_TRIES = 3  # times that it is asked

# --- the scrub ----------------------------------------------------------------------------------------------------
SCRUB_DAYS_MAX = 3650  # days of one pass: in ten years a disk is bought anew
SCRUB_HASTE = 4  # times its pace at which a scrub catches up: a machine that runs 6 hours a day still gets through
SCRUB_NOTE = 600.0  # seconds of looks done again after a crash: noting each would keep an idle disk awake
SCRUB_ROUNDS = 64  # notes of a pass at least, however short that is
SCRUB_COUNT = 86_400.0  # seconds between counts of what is left, 0.3 s of work for each 10^6 rows
SCRUB_SLICE = 4096  # rows counted between two operations: about 1 ms
SCRUB_YIELD = 1.0  # seconds between looks whether readers still wait for partners
SCRUB_TRIES = 3  # times that a block is asked for: the partner's loss of its link is not the block's

# --- cleaning (R3) ------------------------------------------------------------------------------------------------
LOG_FACTOR = 2  # rows of the log for each row that the live images would fill: what a restore reads more than it needs
LOG_SLACK = 16  # rows that even the smallest log may have: a head is not worth moving for less
MIN_LOG_SLACK = 4  # of a disk of few rows, of which it takes 1/16
HEADS_PER_GROUP = 8  # heads retired in one group: with 1.5 MB each, a group still fits into a few meta stripes
HEADS_BYTES = 12 * MIB  # of images, and as many more heads as these are when stripes are small
SALVAGE_RETRY = 60.0  # seconds after which what was never sent is tried again on a disk that was full
RELEASE_SLICE = 256  # dead stripes forgotten between two operations: 2 to 4 ms
RELEASE_COMMIT = 16  # such slices in one transaction: 4096 stripes of up to 1.5 KB in the log of the database, 6 MB
RETIRE_SLICE = 256  # keys looked at between two operations: about 2 ms
RETIRE_COMMIT = 8  # such slices in one transaction: each key is up to two pages of the log of the database, 16 MB
DATA_FACTOR = 1.2  # rows of data stripes for each row that the live bytes would fill: with the log less than 1.3
SPARSE_SHARE = 0.75  # of a full stripe: one in which more lives is not worth emptying, it wins less than it writes
COMPACT_STRIPES = 8  # stripes emptied for each group that becomes held: at most 6 x 1.5 MB written again
MOVES_A_DAY = 256  # stripes written anew since a partner will not take them: 0.5 GB, if it takes none of the new ones
MOVE_AGAIN = 3600.0  # seconds until what could not be moved is tried again, if nothing else happens
CLEANING_GAIN = 2  # rows that emptying stripes must win: one more than the group that does it may cost
