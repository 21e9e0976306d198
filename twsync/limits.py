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
#: Steps of the handshake's machine that one TLS connection may take. A handshake takes some twenty, a change of keys three, or six if it is
#: answered; a library changes them after 2^24 records (256 GiB) at the soonest, or never. All together take some ten milliseconds.
MAX_TLS_STEPS = 1024
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
#: Small files that are asked for ahead of the plan: it waits in memory what has become of each.
MAX_SMALL_AHEAD = 65_536
#: Large transfers under way per direction.
MAX_LARGE_UNDER_WAY = 2
#: Files at least this large are announced before they are hashed: hashing one takes as long as asking for it over a wire of some length.
AHEAD_FILE = 8 * MIB
#: Such files that one side may announce in a session: the other keeps their keys.
MAX_AHEAD = 1024
#: Received bytes waiting for the disk before the connection is paused.
MAX_RECEIVE_QUEUE = 8 * MIB

# --- safety ------------------------------------------------------------------------------------------------------------------------
#: A session that would delete more than this many items and more than this share of a side's items stops.
DELETE_GUARD_ITEMS = 25
DELETE_GUARD_SHARE = 0.20
#: Bytes that are read of `.twsync/collection`, which holds about 100.
MAX_OWNER = 1024

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
#: Files at least this large are read by one thread and hashed by another, and how much at once: a hand-over costs 50 µs or so.
PARALLEL_HASH = 16 * MIB
HASH_AHEAD = 2 * MIB
#: While a file that is being hashed is sent as well, one thread reads it for both, if in so many seconds it comes so many bytes further.
#: Else the wire is what it waits for, and the scan goes on by itself, this many bytes at a time.
READ_FOR_BOTH_SECONDS = 0.05
READ_FOR_BOTH_BYTES = 2 * MIB
HASH_ALONE = 16 * MIB
#: If it will be sent as a delta, the scan waits for the signature once, no longer than it takes to hash the file at this rate (bytes per
#: second).
HASH_RATE = 2e9
#: Up to so many files a batch are flushed one by one; for more, the whole file system is flushed once.
MAX_SINGLE_FLUSHES = 8
#: Directories that are held open at once while many small files are read or placed.
MAX_FOLDERS_TOGETHER = 64
#: Bytes of a received file from which on its signature is kept: to read a smaller one again for it takes a disk a tenth of a second.
SIGNED_FILE = 16 * MIB
#: Bytes that a disk has to have free for signatures to be kept on it: they must not take the room of files.
SIGNATURES_ROOM = 64 * MIB
#: Seconds and bytes that received files, whole or in part, are kept for in staging.
STAGING_AGE = 14 * 86400.0
STAGING_BYTES = 8 * 1024 * MIB
#: Folders one session may open in the trash for one name that comes up again and again.
MAX_TRASH_GENERATIONS = 1000
#: Days that a trash can be told to be kept: a hundred years, so that the time before them is one that a clock can show.
MAX_TRASH_DAYS = 36_500
#: Seconds to wait for another process to finish writing the journal.
JOURNAL_BUSY = 10.0

# --- record stores (docs/architecture.md, "Records") ---------------------------------------------------------------------------------
#: Sessions that can be taken back, and the seconds that they are kept for: what is older holds texts that nobody asks for any more.
RECORD_SESSIONS = 200
RECORD_HISTORY = 60 * 86_400.0
#: Tries at a record whose file changes while a change of the other side is put in its place.
MAX_RECORD_TRIES = 3
#: Records read and named together while changes are given out: one transaction.
RECORDS_TOGETHER = 128
#: Bytes of the files of records that are read together.
RECORD_BYTES_TOGETHER = 4 * MIB
#: Records that are read from files and written into the journal together.
RECORDS_LEARNED = 1024
#: Records of one batch while a collection is restored.
RESTORE_BATCH = 1024
#: Devices that are remembered, and bytes of one's device information: an account can claim any number of them.
MAX_SYNCML_DEVICES = 256
MAX_DEVINF = 256 * KIB
#: Devices of one account that may have a change log of their own in one collection: each has a row for each item.
MAX_SYNCML_PARTNERS = 64

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
#: Characters of names of skipped items, and of what stands around them, in one message between hosts that synchronise records: with the
#: escapes of JSON it fits into a SyncML document.
MAX_RECORD_SKIPPED = 500_000
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
#: Seconds that the wire may take for so many frames that are sent together; if it takes longer they go one by one.
SLOW_SENDING = 0.1
#: Bytes per second of the wire above which compressing costs more than it saves.
FAST_WIRE = 50e6
#: A sample must shrink below this share of its size to be worth compressing.
COMPRESSIBLE = 0.85
#: zstd level: about 400 MB/s on one core.
ZSTD_LEVEL = 1

# --- control server ----------------------------------------------------------------------------------------------------------------
#: Failed sign-ins of one device that is known, or of one user from one address; and of one address whatever the user; after which further
#: ones are not looked at for a while.
SIGN_IN_USER_FAILURES = 5
SIGN_IN_ADDRESS_FAILURES = 20
#: Longest single wait, seconds; and seconds without a failure after which all is forgotten.
SIGN_IN_LONGEST_WAIT = 30.0
SIGN_IN_FORGET_AFTER = 600.0
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

# --- SyncML documents (docs/protocol/syncml-representation.md) ---------------------------------------------------------------------
#: Bytes of one message, or of a device information in it. Phones take 5 to 20 KiB, SyncEvolution 150,000 bytes.
MAX_SYNCML_DOCUMENT = 4 * MIB
#: Elements of one message: a map of 20,000 items. In memory each takes some 200 bytes, however few on the wire.
MAX_SYNCML_ELEMENTS = 100_000
#: Elements of one device information: what SyncEvolution sends for one datastore has 700.
MAX_DEVINF_ELEMENTS = 20_000
#: Device informations in one message that are looked into: one side's, and one by mistake.
MAX_DEVINFS = 4
#: Elements within elements: the DTDs come to 13, Atomic and Sequence may stand in each other.
MAX_SYNCML_DEPTH = 64
#: Commands of one message, those within Sync, Atomic and Sequence too; and their items, pairs of a Map, and references of a Status.
MAX_SYNCML_COMMANDS = 10_000
MAX_SYNCML_ITEMS = 40_000
#: Characters of anything but Data: URIs, names, EMI. The longest is the version vector of an item in base64.
MAX_SYNCML_TEXT = 16 * KIB
#: Characters of an XML namespace: the longest of those that are in use have 70, and each element and attribute costs as many.
MAX_SYNCML_NAMESPACE = 200
#: Digits of a number.
MAX_SYNCML_DIGITS = 18
#: Bytes of a notification: it has to fit a WAP push.
MAX_NOTIFICATION = 4 * KIB

# --- records (docs/protocol/records.md) ----------------------------------------------------------------------------------------------
#: Characters of one record: a contact with a picture of 3 MB in base64, what cameras of phones make.
MAX_RECORD = 4 * MIB
#: Physical lines of a record: that picture in lines of 75.
MAX_RECORD_LINES = 65_536
#: Properties of a record with all its components: a weekly meeting with a changed instance each week of ten years.
MAX_RECORD_PROPERTIES = 20_000
#: Components one in another: calendar, event, alarm make three; a message holds four.
MAX_RECORD_DEPTH = 8
#: Parameters of one property: the longest list of TYPEs in the field has nine.
MAX_RECORD_PARAMETERS = 64
#: Lines of a note (and of one multi-line property) that are merged line by line; comparing them takes quadratic time. Longer ones
#: that both sides changed are a conflict as a whole.
MAX_MERGE_LINES = 2000
#: Values of one property that is a list (categories, exception dates), and of all that a record has: a date costs 100 us when it is merged.
MAX_RECORD_LIST = 10_000
#: Characters of a record whose parsed form is remembered; 256 of them are.
MAX_REMEMBERED_RECORD = 32 * KIB
#: UTF-8 bytes of a file name made for a record, suffix included: what every file system takes, with room for a conflict mark.
MAX_RECORD_NAME = 100

# --- SyncML over HTTP (docs/protocol/syncml.md) ------------------------------------------------------------------------------------
#: Seconds for a TCP and TLS connection to a SyncML server.
HTTP_CONNECT_TIMEOUT = 30.0
#: Seconds from a request to the end of its answer: as long as the most patient stock client waits (SyncEvolution: five minutes).
HTTP_TIMEOUT = 300.0
#: Seconds that an idle HTTP connection of a client is kept; a session goes on over a new one.
HTTP_IDLE = 120.0
#: Seconds after which a client whose message is still worked on is told so: SyncEvolution sends it again after two minutes.
SYNCML_BUSY_AFTER = 60.0
#: Bytes of the status line and headers of an answer; and of the whole of it on the wire: chunks can be small.
MAX_HTTP_HEAD = 256 * KIB
MAX_HTTP_ANSWER = 2 * MAX_SYNCML_DOCUMENT
#: Interim answers (1xx) before one answer; proxies send one or two.
MAX_HTTP_INTERIM = 8
#: HTTP connections to the port for stock clients at once; bytes of the messages on them that are dealt with at once.
MAX_HTTP_CONNECTIONS = 256
MAX_HTTP_AT_WORK = 64 * MAX_SYNCML_DOCUMENT

# --- SyncML sessions (docs/protocol/syncml.md) ---------------------------------------------------------------------------------------
#: Bytes of a message that we take (MaxMsgSize in our headers): what SyncEvolution names, so a 100 KiB photo goes in one piece.
SYNCML_MESSAGE = 150_000
#: Bytes of a message between twsync hosts: fewer round trips, and a message still decodes in a few hundred milliseconds.
SYNCML_TWSYNC_MESSAGE = MIB
#: Bytes of a message that we send to a device that names no MaxMsgSize: the smallest that stock phones name, times four.
SYNCML_UNSAID_MESSAGE = 10_000
#: Whatever a device names, a message of ours may have this many bytes: a Status and one chunk have to fit.
SYNCML_LEAST_MESSAGE = 2_000
#: Bytes that stay free in each message: devices miscount by their own headers.
SYNCML_MESSAGE_MARGIN = 200
#: A change that would take less than this share of an empty message waits for the next one rather than being cut.
SYNCML_WHOLE_SHARE = 0.5
#: Bytes of data in a chunk at least: below, the frame costs more than what it carries.
MIN_CHUNK = 64
#: Bytes of the largest object taken (MaxObjSize): a contact with a photo; also the memory that one session's unfinished object can take.
MAX_OBJECT = 4_000_000
#: Changes that were sent and are not answered, and the bytes they hold; the oldest are forgotten beyond, and sent again in a later session.
MAX_AWAITED = 20_000
MAX_AWAITED_BYTES = 16 * MIB
#: Bytes that such a change costs beside its content.
AWAITED_COST = 300
#: Characters of a LUID or GUID: a file name, and what stock devices use as long ids.
MAX_ITEM_NAME = 512
#: Characters of an anchor, a device id, an account name and a session id: they are stored, or kept as keys.
MAX_ANCHOR = 255
MAX_SYNCML_NAME = 255
#: Datastores of one session, and messages of one session: 4,000 items in chunks of a phone's size, many times over.
MAX_SYNCML_DATASTORES = 32
MAX_SYNCML_MESSAGES = 100_000
#: Statuses that wait for room in a message: as many as the commands of one message of 150 kB, with room for devices that let them pile up.
MAX_WAITING_STATUSES = 20_000
#: Characters of the text for people in a Status.
MAX_STATUS_TEXT = 200
#: Commands that wait to be sent, device information above all: an Alert for each datastore, and some more.
MAX_WAITING_COMMANDS = 100
#: Sessions at once, and of one account; a session costs its device information and what it awaits.
MAX_SYNCML_SESSIONS = 512
MAX_SYNCML_ACCOUNT_SESSIONS = 128
#: Seconds that a message of a client waits for a collection that another client has, and how often in a session: less in all than clients
#: wait for an answer. Messages that wait so at once, and threads that deal with messages: some are left for those that are waited for.
SYNCML_PATIENCE = 20.0
MAX_SYNCML_WAITS = 2
MAX_SYNCML_WAITING = 100
MAX_SYNCML_THREADS = 128
#: Sessions that broke of which the type is remembered, about 200 bytes each.
MAX_SYNCML_INTERRUPTED = 4096
#: Seconds without a message after which a session is given up: Nokia waits 15 minutes for a slow server, SyncEvolution 5.
SYNCML_SESSION_TIMEOUT = 900.0
#: Seconds in which a session did not get on (no message, or none but Alert 222) after which it has to give way to another that wants one of
#: its datastores; and the seconds that it has a datastore after which it has to give way whatever it says. Slow phones take a minute or two
#: to store what one message brings; 5,000 contacts at ten a second take ten minutes.
SYNCML_QUIET = 120.0
SYNCML_LONGEST_HOLD = 1800.0
#: Seconds that the last reply of an ended session is kept for a client that did not get it.
SYNCML_RESEND_TIME = 300.0
#: Seconds for which a user allows the clients of an account to delete as much as they like: long enough to take up the phone.
SYNCML_ALLOWANCE = 3600.0
#: Failed sign-ins of one account, and of one device, from one address and from all of them after which further ones have to wait; the
#: longest wait, and the seconds without a failure after which all is forgotten. SyncEvolution itself tries four times with one wrong
#: password; who guesses from many addresses gets no further than a hundred and then one each five minutes.
SYNCML_FAILURES = 10
SYNCML_FAILURES_ANYWHERE = 100
SYNCML_LONGEST_WAIT = 300.0
SYNCML_FORGET_AFTER = 1800.0
#: Accounts and devices whose failures are remembered, about 200 bytes each.
MAX_SYNCML_FAILURE_PLACES = 10_000
#: Failed sign-ins within one session, after which it is over.
SYNCML_SESSION_FAILURES = 4
#: Random bytes of a nonce, and of the token in the address of a session.
NONCE_BYTES = 16
TOKEN_BYTES = 16

# --- SyncML client sessions ----------------------------------------------------------------------------------------------------------
#: New beginnings of one session: three for credentials, three versions, two encodings, and one for each datastore that needs another type.
MAX_CLIENT_ROUNDS = 16
#: Messages in a row in which a server says nothing but "wait", with pauses that grow to the longest: about a quarter of an hour.
MAX_CLIENT_IDLE = 34
CLIENT_LONGEST_PAUSE = 30.0
#: Seconds to wait before another session with a server that said it is busy.
CLIENT_BUSY_PAUSE = 60.0
#: Pairs of one Map: a third of the elements that a message may have.
MAX_CLIENT_MAP = 5_000
#: Texts of one session that a server wants to be shown to the user, and their characters.
MAX_SHOWN_MESSAGES = 20
MAX_SHOWN_TEXT = 1000
#: Times that a message is sent again whose reply did not come, and seconds before the first of them; each pause is twice the one before.
SYNCML_RETRIES = 3
SYNCML_RETRY_PAUSE = 2.0
