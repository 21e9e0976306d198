/* The whole interface of the batches of small files. Only typedefs, constants and prototypes: this file is included by the C sources
 * (through files.h) and given to cffi's cdef() as it stands.
 *
 * Each call does one thing for many names, each in a directory that the caller holds open. Names are single components, each with a NUL
 * behind it, one after the other. No call follows a link. What does not go as it should is left to the caller, who does it once more
 * by itself and sees why: `error` says so much as is needed to choose. */

/* What fstatat says of an entry; times in nanoseconds since the epoch, as far as 63 bits go. */
typedef struct {
    int64_t size, mtime_ns, ctime_ns, ino;
    uint32_t mode;
    int32_t error; /* 0, an errno, or one of the values below */
} twf_stat;

#define TWF_CHANGED -1 /* not the content or the file that it should be */
#define TWF_OTHER -2   /* too large, or no regular file */

/* Bytes that one step of twf_list may need of `names`, and entries of `stats`. */
#define TWF_LIST_NAMES 32768
#define TWF_LIST_ENTRIES 1366

typedef struct twf_kernel twf_kernel;

/* The best version of BLAKE3 that this CPU can run, or the one of this name (portable, avx2, avx512), or NULL. */
const twf_kernel *twf_kernel_find(const char *name);
const char *twf_kernel_name(const twf_kernel *kernel);

/* BLAKE3 of each of `count` inputs of at most 65,536 bytes that follow each other; 32 bytes each. */
void twf_blake3_many(const twf_kernel *kernel, const uint8_t *data, const uint32_t *lengths, size_t count, uint8_t *out);

/* The next entries of an open directory but "." and "..", with their stat; of the mode the type and the permissions. As many as there is
 * room for: `names_room` says how many bytes that is, then how many were needed. Returns the number of entries, 0 at the end, or -errno. */
ptrdiff_t twf_list(int fd, char *names, size_t *names_room, twf_stat *stats, size_t stats_room);

/* Entries of a tree as they are known. The caller gives the upper part, with room, and the secret anew for each tree. */
typedef struct {
    const char *keys;      /* each once, a NUL behind each */
    const twf_stat *stats; /* error: 0, or the entry is like none on the disk */
    size_t keys_size, count, mask;
    uint64_t secret[2];
    uint8_t *met;    /* count: whether an entry was listed, and looked at; 2: forgotten */
    size_t *starts;  /* count: where its key begins */
    uint64_t *table; /* mask + 1, a power of two, more than twice count */
    uint64_t equal, other; /* entries that were listed and not kept: as they are known; of no interest */
} twf_known;

#define TWF_KNOWN_MOST 0x7fffffff

/* What `error` says of an entry that is listed: a directory as it is known; another thing than is known there. */
#define TWF_EQUAL -3
#define TWF_DIFFERS -4

/* Ready for a walk. -1: these are not so many keys, or one is empty, or the table is no such table. */
int twf_known_begin(twf_known *known);

/* No longer knows a key, with a NUL behind it. Whether it did. */
int twf_known_forget(twf_known *known, const char *key);

/* Keeps those entries of a step of twf_list that are not as they are known, and the directories. If there is a suffix, those that are hidden
 * or have another one are left out, and counted but for the one named `own`. Returns how many are kept; `names_size` says how many bytes of
 * names. `key` begins with `prefix` bytes, the directory's key and a slash, and has TWF_NAME bytes more. */
#define TWF_NAME 256
size_t twf_differing(twf_known *known, char *key, size_t prefix, const char *suffix, const char *own, char *names, size_t *names_size,
                     twf_stat *stats, size_t count);

/* Content ids of the files of a directory that have at most `most` bytes, with the stat that belongs to each. `buffer` holds contents on
 * the way, `room` bytes, more than `most`. error: as above; TWF_CHANGED for a file that was written meanwhile. */
void twf_hash(const twf_kernel *kernel, int fd, const char *names, size_t count, uint32_t most, uint8_t *buffer, size_t room, uint32_t *sizes,
              uint8_t *contents, twf_stat *stats);

/* The files that have these sizes and contents, one after the other to `out`, which has a byte more than they need. Returns how many
 * bytes. `found` and `sums` are for work: `count` and 32 times as many. */
size_t twf_read(const twf_kernel *kernel, const int32_t *fds, const char *names, size_t count, const uint32_t *sizes, const uint8_t *contents,
                uint8_t *out, uint32_t *found, uint8_t *sums, int32_t *errors);

/* New files in a directory, with mode and modification time, from contents that follow each other; those that are not what they should be
 * are not made. What cannot be written is removed again. `sums` is for work: 32 times `count`. */
void twf_stage(const twf_kernel *kernel, int fd, const char *names, size_t count, const uint8_t *data, const uint32_t *sizes,
               const uint8_t *contents, const uint32_t *modes, const int64_t *mtimes, uint8_t *sums, int32_t *errors);

/* Moves files of one directory to names that nothing holds, and looks at them there. mode 0: moved, and gone since. */
void twf_place(int from, const char *from_names, const int32_t *to, const char *to_names, size_t count, twf_stat *stats);
