/* The whole interface of the delta core. Only typedefs, constants and prototypes: this file is included by the C sources
 * (through delta.h, which brings stdint.h) and given to cffi's cdef() as it stands.
 *
 * Jobs are pull-style. The caller owns all buffers: a step takes bytes from next_in, puts bytes to next_out, moves both on, and says
 * why it stopped. Jobs do no I/O, have no globals, and may run in any thread, one thread at a time each.
 */

#define TWD_MAX_BLOCK_LENGTH 16777216
#define TWD_MAX_SIGNATURE 16777216
#define TWD_MAX_SIGNATURE_BLOCKS 1398097
#define TWD_MIN_STRONG_LENGTH 4
#define TWD_MAX_STRONG_LENGTH 8
#define TWD_MAX_LITERAL 262144
#define TWD_MAX_BLOCK_CANDIDATES 8
#define TWD_CONFIRM_BYTES_PER_BYTE 16
#define TWD_CONFIRM_SHARE_SHIFT 30
#define TWD_CONFIRM_BURST_BLOCKS 256

typedef enum {
    TWD_DONE = 0,      /* the stream is complete */
    TWD_MORE = 1,      /* all that can be done with this input is done: give more, or set last_in */
    TWD_FULL = 2,      /* next_out is full */
    TWD_LITERAL = 3,   /* after what is in the output buffer, the bytes run[0..run_length) belong to the output */
    TWD_COPY = 4,      /* patch: the caller is to copy up to copy_length bytes from copy_offset of the old file */
    TWD_CORRUPT = 5,   /* the input has not the format that it claims */
    TWD_TOO_MANY = 6,  /* signature: more blocks than a signature may have */
    TWD_NO_MEMORY = 7
} twd_result;

typedef struct {
    const uint8_t *next_in;
    size_t avail_in;
    int last_in; /* nothing follows after avail_in */
    uint8_t *next_out;
    size_t avail_out;
    const uint8_t *run; /* points into the input; good until the caller changes it */
    size_t run_length;
    uint64_t copy_offset;
    uint64_t copy_length;
} twd_buffers;

uint64_t twd_xxh64(const uint8_t *data, size_t length, uint64_t seed);
uint32_t twd_weaksum(const uint8_t *data, size_t length);

/* A kernel is the inner loops of search and sums for one kind of vector unit: "portable", "avx2", "avx512". All give the same bytes. NULL asks for
 * the best that this CPU can run. The result is NULL if the named one is unknown, was not built, or cannot run here. */
typedef struct twd_kernel twd_kernel;
const twd_kernel *twd_kernel_find(const char *name);
const char *twd_kernel_name(const twd_kernel *kernel);

/* Signature: input in any portions. NULL if there is no memory or a length is out of bounds. */
typedef struct twd_signature twd_signature;
twd_signature *twd_signature_new(const twd_kernel *kernel, uint32_t block_length, uint32_t strong_length, uint64_t seed);
void twd_signature_free(twd_signature *job);
twd_result twd_signature_step(twd_signature *job, twd_buffers *buffers);
/* The same in parts, for several threads. twd_signature_sum only looks at what never changes in a job: it may run beside anything. It writes
 * the entries of the whole blocks in data to out and returns their bytes. twd_signature_add takes them into the stream, in the order of the
 * file, which then goes on behind these blocks; the caller writes them behind what the steps before gave out. TWD_CORRUPT if the stream is
 * not at the start of a block. */
size_t twd_signature_sum(const twd_signature *job, const uint8_t *data, size_t length, uint8_t *out);
twd_result twd_signature_add(twd_signature *job, const uint8_t *entries, size_t length);

/* The blocks of one signature, ready to be searched. Never changed after it was made: several searches may share it. */
typedef struct twd_table twd_table;
twd_result twd_table_new(const uint8_t *signature, size_t length, twd_table **table);
void twd_table_free(twd_table *table);

typedef struct {
    uint64_t literal_bytes;
    uint64_t matched_bytes;
    uint64_t literals;
    uint64_t copies;
    uint64_t candidates;  /* offsets whose weak sum is one of the table's */
    uint64_t compared;    /* strong sums compared */
    uint64_t false_hits;  /* candidates hashed in vain */
    uint64_t passed_over; /* candidates not looked at, because too many before were in vain */
} twd_search_stats;

/* Search: what a step leaves of its input (avail_in) must be given again, in one piece, with what follows. A step goes on only when it
 * has at least a block and a byte, or last_in; with window bytes (a block, the longest literal, a byte) it always does. */
typedef struct twd_search twd_search;
twd_search *twd_search_new(const twd_table *table, const twd_kernel *kernel);
void twd_search_free(twd_search *job);
size_t twd_search_window(const twd_search *job);
twd_result twd_search_step(twd_search *job, twd_buffers *buffers);
/* What other threads can do for a search beforehand: twd_foresee finds the windows whose weak sum the table has, among the `most` behind the
 * one at data; data[0 .. block length + most) must be there. It stops when `found` is full; *most then says how far it came. Returns how many it
 * found. twd_search_foreseen tells a search, whose input data is a part of; it holds until the next call, at latest until the caller
 * changes the input. The result is the same with or without it. */
typedef struct {
    uint32_t at, weak; /* the window at data + at */
} twd_candidate;
size_t twd_foresee(const twd_table *table, const twd_kernel *kernel, const uint8_t *data, size_t *most, twd_candidate *found, size_t room);
void twd_search_foreseen(twd_search *job, const uint8_t *data, size_t most, const twd_candidate *found, size_t count);
void twd_search_counters(const twd_search *job, twd_search_stats *stats);

/* Patch: the delta stream in any portions. Literal bytes come out as runs of the input. At TWD_COPY the caller copies some of the range of the
 * old file, says so by twd_patch_copied, and steps again; output buffers are not used. When the stream has ended it is known to be unaltered.
 *
 * Whether the bytes written are those of the new file is known by twd_patch_prove, if they were all given, in order, to twd_patch_take_bytes
 * (literals) and twd_patch_take_blocks (what was copied, with its place in the old file). One thread may do that while another one steps on. */
typedef struct twd_patch twd_patch;
twd_patch *twd_patch_new(const twd_kernel *kernel, uint64_t max_output);
void twd_patch_free(twd_patch *job);
twd_result twd_patch_step(twd_patch *job, twd_buffers *buffers);
twd_result twd_patch_copied(twd_patch *job, uint64_t length);
void twd_patch_take_bytes(twd_patch *job, const uint8_t *data, size_t length);
twd_result twd_patch_take_blocks(twd_patch *job, uint64_t offset, const uint8_t *data, size_t length);
twd_result twd_patch_prove(twd_patch *job);
uint64_t twd_patch_literal_bytes(const twd_patch *job);
uint64_t twd_patch_matched_bytes(const twd_patch *job);
const char *twd_patch_reason(const twd_patch *job); /* why TWD_CORRUPT; never NULL */
