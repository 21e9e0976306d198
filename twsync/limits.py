"""Every limit of twsync, with its reason. A number that bounds what comes from outside stands here and nowhere else."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# --- names and items -------------------------------------------------------------------------------------------------------------
#: Bytes of one path component: what Linux file systems take.
MAX_COMPONENT = 255
#: Bytes of a whole key. Longer than PATH_MAX on purpose: the path gate walks directory descriptors, so deep trees work.
MAX_KEY = 16 * KIB
#: Components of a key: each open one costs a descriptor while walking, and 1024 descriptors is the usual limit of a process.
MAX_DEPTH = 512
#: Bytes of a symlink's target: PATH_MAX.
MAX_LINK_TARGET = 4096
#: Entries of one version vector: as many replicas as ever changed one item.
MAX_VERSION_ENTRIES = 256
#: Entries that a session may give to a row, and the greatest counter: what the host itself then adds must still fit what others take.
MAX_GIVEN_ENTRIES = 240
MAX_GIVEN_COUNTER = 2**62
#: UTF-8 bytes of a device name.
MAX_DEVICE_NAME = 64
#: Largest file: the largest off_t.
MAX_FILE_SIZE = 2**63 - 1

# --- peer protocol (docs/protocol/peer.md) -----------------------------------------------------------------------------------------
#: Payload of one bulk frame.
MAX_BULK = MIB
#: A frame's length field: a bulk payload, its transfer number and type, some room.
MAX_FRAME = MAX_BULK + 64
#: The only frame an unidentified connection may send (hello).
MAX_HELLO_FRAME = 4 * KIB
#: Seconds until a new data connection must have identified itself.
HELLO_TIMEOUT = 10.0
#: Data connections that may stand unidentified at once.
MAX_UNIDENTIFIED = 64
#: Seconds that a token is good for after the INVITE was answered.
TOKEN_LIFETIME = 30.0
#: Rows in one items message.
MAX_ITEMS_PER_MESSAGE = 1000
#: Rows one side may send in one session: bounds the memory of a plan.
MAX_ITEMS_PER_SESSION = 4_000_000
#: Bytes that the rows and refused keys of one side may take in the memory of the other in one round: what that many rows with names and
#: versions as people have them need. Keys of 16 KiB and versions of 256 entries would make it a hundred times as much.
MAX_ROW_BYTES_PER_ROUND = 2048 * MIB
#: Rounds of one session.
MAX_ROUNDS = 4
#: Seconds without a frame before PING, and before the session is given up.
IDLE_PING = 20.0
IDLE_TIMEOUT = 60.0
#: Largest file that travels in a bundle rather than alone.
SMALL_FILE = 64 * KIB
#: Bytes and requests of bundles under way per direction.
MAX_BUNDLE_BYTES_UNDER_WAY = 8 * MIB
MAX_REQUESTS_UNDER_WAY = 4096
#: Large transfers under way per direction.
MAX_LARGE_UNDER_WAY = 2
#: Received bytes waiting for the disk before the connection is paused.
MAX_RECEIVE_QUEUE = 8 * MIB

# --- safety ------------------------------------------------------------------------------------------------------------------------
#: A session that would delete more than this many items and more than this share of a side's items stops.
DELETE_GUARD_ITEMS = 25
DELETE_GUARD_SHARE = 0.20

# --- signalling (docs/protocol/signalling.md) --------------------------------------------------------------------------------------
#: Bytes of one SIP message with its body: what UDP could carry, and far more than a session description with every candidate needs.
MAX_SIP_MESSAGE = 64 * KIB
#: Bytes of start line and headers: the usual limit of HTTP servers, twice what a proxied INVITE with credentials needs.
MAX_SIP_HEAD = 16 * KIB
#: Header lines (unfolded): a proxied INVITE has about 25; bounds the work of every look-up.
MAX_SIP_HEADERS = 100
#: Bytes of one header line, unfolded: a digest answer or a Record-Route list stays below 2 KiB.
MAX_SIP_LINE = 8 * KIB
#: Largest CSeq number (RFC 3261 section 8.1.1.5).
MAX_CSEQ = 2**31 - 1
#: Largest number of seconds in Expires and its kin (RFC 3261 section 20.19).
MAX_SIP_SECONDS = 2**32 - 1
#: Contacts of one user's registration, and in one REGISTER.
MAX_CONTACTS = 128
#: Hops of a message: RFC 3261 section 8.1.1.6 names 70 as the start value.
MAX_FORWARDS = 70
#: Seconds between CRLF pings of a client, and until the pong must be there (RFC 5626 section 4.4.1 names 10).
PING_INTERVAL = 25.0
PONG_TIMEOUT = 10.0
#: Seconds between attempts to connect again: the first pause, and the longest. Between half and the whole of it is drawn, so that
#: a restarted server meets its clients one after the other.
RECONNECT_FIRST = 1.0
RECONNECT_LONGEST = 120.0
#: Seconds that a digest nonce is good for.
NONCE_LIFETIME = 300.0
#: Nonce counts that may arrive out of order on one nonce: the requests one device has under way at once.
NONCE_WINDOW = 128
#: Nonces with a replay window in memory, about 200 bytes each; when full, the oldest becomes stale.
MAX_NONCES = 65_536
#: Challenges of one 401 that a client looks at.
MAX_CHALLENGES = 8
#: SIP connections to one server: a descriptor and about 40 KiB of TLS state each.
MAX_SIP_FLOWS = 4096
#: New SIP connections per second and address on average, and how many at once: a company behind one address after a restart of the
#: server, or a TLS terminator. A handshake costs about 2 ms, so one address can take a fifth of a core.
SIP_FLOW_RATE = 100.0
SIP_FLOW_BURST = 512
#: SIP connections of one address that have not authenticated; with that rate and 30 s each there could be 3,000.
MAX_SIP_STRANGERS = 512
#: Addresses whose rate is remembered.
MAX_SIP_ADDRESSES = 16_384
#: Seconds until a new SIP connection must have authenticated.
SIP_AUTHENTICATION_TIMEOUT = 30.0
#: Seconds without a byte after which an authenticated SIP connection is closed: twice the longest registration by default. Nobody
#: is told when a client behind a NAT vanishes, and its connection would stand for ever.
SIP_SILENCE_TIMEOUT = 7200.0
#: Seconds without a byte after which it is closed when its last registration expires: the Flow-Timer that devices are told.
SIP_FLOW_TIMER = 90.0
#: Messages of one SIP connection that are dealt with before the others have their turn, and bytes that are looked at in one go.
SIP_MESSAGES_PER_TURN = 8
SIP_BYTES_PER_TURN = 4 * KIB
#: Seconds that a message may stay unfinished.
SIP_UNFINISHED_TIMEOUT = 10.0
#: Bytes waiting to be written to one SIP connection before it is closed: a client that does not read.
MAX_SIP_WRITE_BUFFER = 512 * KIB
#: Received requests of one SIP connection that have no final response yet; more are answered 503. Another proxy or a load test brings
#: all its calls by one connection: a hundred a second that ring for some seconds.
MAX_SIP_TRANSACTIONS = 1024
#: Received requests of one SIP connection that are answered and kept for repetitions and ACK; beyond, the oldest are forgotten.
MAX_SIP_ANSWERED = 4096
#: Seconds until the TLS handshake of a SIP connection must be done.
SIP_HANDSHAKE_TIMEOUT = 10.0
#: Seconds that a closed SIP connection has to write what it still holds.
SIP_CLOSE_TIMEOUT = 5.0
#: Bytes of a reginfo document: what one message can carry. More devices than that come as a full document and partial ones behind it.
MAX_REGINFO = MAX_SIP_MESSAGE
#: Bytes of a stored or alerted request document.
MAX_REQUEST_DOCUMENT = 4 * KIB

# --- store -------------------------------------------------------------------------------------------------------------------------
#: Directories whose descriptors the path gate keeps open between two uses; emptied when full.
MAX_OPEN_DIRECTORIES = 200
#: Deeper keys are walked anew each time, two descriptors at once, so that one deep tree cannot take all descriptors.
MAX_CACHED_DEPTH = 32
#: An entry that changed less than this long (ns) before it was looked at could change again without its stat showing it: file
#: systems take their time from a clock that ticks every 1 to 10 ms.
RACY_NS = 20_000_000
#: Tries at a file that changes while it is read.
MAX_READ_TRIES = 3
#: Bytes read at a time while hashing and copying.
READ_CHUNK = MIB
#: Files at least this large are hashed by several threads.
PARALLEL_HASH = 16 * MIB
#: Up to so many files a batch are flushed one by one; for more, the whole file system is flushed once.
MAX_SINGLE_FLUSHES = 8
#: Seconds and bytes that partly received files are kept for.
STAGING_AGE = 14 * 86400.0
STAGING_BYTES = 8 * 1024 * MIB
#: Folders one session may open in the trash for one name that comes up again and again.
MAX_TRASH_GENERATIONS = 1000
#: Seconds to wait for another process to finish writing the journal.
JOURNAL_BUSY = 10.0

# --- exchange (docs/protocol/peer.md) ------------------------------------------------------------------------------------------------
#: Files and bytes of one bundle: one read, one frame.
MAX_BUNDLE_FILES = 256
MAX_BUNDLE_BYTES = MAX_BULK
#: Refused keys in one counterparts message, and skipped ones in one skipped message.
MAX_REFUSED_PER_MESSAGE = 1000
MAX_SKIPPED_PER_MESSAGE = 1000
#: Messages that wait for a session which is busy (scanning, planning), before its connection is paused.
MAX_HEARD = 256
#: Bytes of such messages as they came; in memory the worst ones take thirty times as much.
MAX_HEARD_BYTES = 8 * MIB
#: Skipped items one side may report in one session: each is a line of the result.
MAX_SKIPPED_PER_SESSION = 100_000
#: Bytes of the keys of skipped items that one side may report: they are kept in the history.
MAX_SKIPPED_BYTES_PER_SESSION = 16 * MIB
#: Bytes at which a list of rows, keys or requests is cut into messages, so that long keys cannot make one too large for a frame.
MESSAGE_BYTES = 512 * KIB
#: Bytes that a received frame of a large file counts beside its content: else empty ones could pile up without end.
FRAME_COST = 128
#: Data connections that one `connect` tries at most, and seconds it gives each of them.
MAX_CANDIDATES = 16
CONNECT_TIMEOUT = 5.0
#: Seconds after which the next candidate is tried beside the ones still being tried (RFC 8305, section 8).
CONNECT_STAGGER = 0.25
#: Files, bytes and seconds after which received content is put into place (a batch shares one durability barrier), and most of one batch.
BATCH_FILES = 1024
MAX_BATCH_FILES = 2048
BATCH_BYTES = 32 * MIB
BATCH_SECONDS = 0.5
#: Contents that are looked for on this host in one step, before the first of them are asked for.
LOCAL_LOOKUPS = 512
#: Chunks of a large file read ahead of the connection.
READ_AHEAD = 4
#: Bytes per second of the wire above which compressing costs more than it saves.
FAST_WIRE = 50e6
#: A sample must shrink below this share of its size to be worth compressing.
COMPRESSIBLE = 0.85
#: zstd level: about 400 MB/s on one core.
ZSTD_LEVEL = 1

# --- control server ----------------------------------------------------------------------------------------------------------------
#: Failed sign-ins of one user from one address, and of one address whatever the user, after which further ones have to wait.
SIGN_IN_USER_FAILURES = 5
SIGN_IN_ADDRESS_FAILURES = 20
#: Longest single wait, seconds; and seconds without a failure after which all is forgotten.
SIGN_IN_LONGEST_WAIT = 30.0
SIGN_IN_FORGET_AFTER = 600.0
#: Attempts that would wait behind others for longer than this (seconds) are refused at once, so that they take no memory.
SIGN_IN_LONGEST_QUEUE = 120.0
#: Agents whose challenge is not answered yet that are remembered, to find those that cannot answer it.
MAX_UNANSWERED_CHALLENGES = 4096
#: Users and addresses whose failures are remembered, about 200 bytes each.
MAX_SIGN_IN_PLACES = 50_000
#: Stored requests of one device, and seconds that one is kept.
MAX_STORED_REQUESTS = 100
STORED_REQUEST_LIFETIME = 7 * 86_400.0
#: Seconds after delivery in which the receiver of a stored request may open that one session without a grant of its own.
STORED_REQUEST_GRACE = 600.0
#: Seconds after which a dialog is recycled: both flows dead, or nothing heard.
DIALOG_DEAD_AFTER = 60.0
DIALOG_SILENT_AFTER = 86_400.0
#: Dialogs at once, about 1 KiB each; a further call is answered 503.
MAX_DIALOGS = 65_536
#: Seconds that a called device may ring (RFC 3261 section 16.6, timer C: more than three minutes).
RINGING_TIMEOUT = 181.0
#: Seconds in which a twsync device has to show any answer to an INVITE (100 comes at once); without one its flow is dead. As a pong.
SIGN_OF_LIFE_TIMEOUT = 10.0
#: Seconds in which registration changes are gathered into one NOTIFY.
NOTIFY_COALESCE = 0.2
#: Contacts described in one NOTIFY, about 800 bytes each: it has to stay below MAX_SIP_MESSAGE.
MAX_CONTACTS_PER_NOTIFY = 48
#: Subscriptions of one connection, and the seconds that one may last.
MAX_SUBSCRIPTIONS_PER_FLOW = 8
MAX_SUBSCRIPTION_SECONDS = 3600
#: Characters of the Contact values in a 200 to REGISTER: the whole head has to stay below MAX_SIP_HEAD.
MAX_LISTED_CONTACTS = 12 * KIB
#: Characters kept of a User-Agent, and of an address that a device claims.
MAX_AGENT = 255
#: Lines of one session's ladder, and seconds that ladders and ended sessions are kept.
MAX_LADDER_LINES = 400
SESSION_HISTORY = 30 * 86_400.0
#: Characters of the Call-ID of a session that is written down: it stands in each line of its ladder. Ours have 40.
MAX_SESSION_CALL_ID = 255
#: Ended sessions that are kept however young they are, and after how many new ones that is looked at.
MAX_SESSION_HISTORY = 20_000
SESSIONS_PER_PRUNE = 1000
#: Devices of one user that are remembered.
MAX_DEVICES = 256
#: Characters of a progress document that are kept.
MAX_PROGRESS = 2 * KIB

# --- session description (docs/protocol/session-description.md) --------------------------------------------------------------------
#: Bytes of a document: a certificate and a signature in base64, 16 candidates and the names come to 4 KiB.
MAX_DESCRIPTION = 16 * KIB
#: Addresses in one document: the interfaces of a host that has many.
MAX_DESCRIPTION_CANDIDATES = 16
#: Seconds that a document's time may be off the reader's clock: clocks of hosts without NTP differ by minutes, and an old one may be
#: replayed only within it (and then meets the one-time token).
DESCRIPTION_AGE = 600.0

# --- delta (docs/protocol/delta-format.md) -----------------------------------------------------------------------------------------
#: Shortest and longest block of a signature. The longest bounds the window that a search keeps in memory (twice a block and 2 MiB).
MIN_BLOCK_LENGTH = 1
MAX_BLOCK_LENGTH = 16 * MIB
#: Shortest block in a signature from another host, which makes none below 704: a shorter one costs more time and bytes than it saves.
MIN_GIVEN_BLOCK_LENGTH = 512
#: The old file that a delta starts from is at most this many times as large as the new one, and this many bytes: a search may take longer
#: the larger the old file is (see CONFIRM_SHARE_SHIFT), and how large it is is only said.
MAX_BASIS_TIMES = 4
MAX_BASIS_MORE = 1024 * MIB
#: Bytes of a whole signature stream: what one side holds in memory for the other. Enough for 0.5 TiB at square-root block lengths.
MAX_SIGNATURE = 16 * MIB
#: Bytes of a strong sum in a signature. With fewer than four, one in 65,000 wrong guesses that a block follows the last would be believed.
MIN_STRONG_LENGTH = 4
MAX_STRONG_LENGTH = 8
#: Blocks of a signature: what fits at the longest strong sum, 12 bytes each beside 45 bytes of header and trailer.
MAX_SIGNATURE_BLOCKS = (MAX_SIGNATURE - 45) // 12
#: Bytes of one literal operation; a longer run is several. Bounds what a search must hold back before it knows a length.
MAX_LITERAL = 256 * KIB
#: Bytes of one chunk of a signature or delta stream that leaves the encoder: fits one bulk frame.
MAX_DELTA_CHUNK = MIB
#: Blocks of different content kept for one weak sum: bounds the comparisons at one offset.
MAX_BLOCK_CANDIDATES = 8
#: Bytes that may be strongly hashed in vain for each byte that the search goes forward, so that hostile weak sums cost a constant
#: factor and not a block length. Honest weak sums need (bytes of the old file) / 2**32; this leaves room for four times as many, and 16.
CONFIRM_BYTES_PER_BYTE = 16
CONFIRM_SHARE_SHIFT = 30
#: Blocks that may be hashed in vain in one place before that rate counts.
CONFIRM_BURST_BLOCKS = 256
