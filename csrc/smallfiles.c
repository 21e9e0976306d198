/* Many small files in one call: listed, hashed, read, staged, placed. Linux. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "files.h"

/* The same as twsync.store.place: O_NONBLOCK keeps a fifo that took a file's place from holding the thread. */
#define READING (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define MAKING (O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC)
#define NOREPLACE 1u

static int64_t nanoseconds(struct timespec t) {
    int64_t result;
    if (__builtin_mul_overflow((int64_t)t.tv_sec, (int64_t)1000000000, &result) || __builtin_add_overflow(result, (int64_t)t.tv_nsec, &result))
        return t.tv_sec < 0 ? INT64_MIN : INT64_MAX;
    return result;
}

static void note(twf_stat *to, const struct stat *found) {
    to->size = found->st_size;
    to->mtime_ns = nanoseconds(found->st_mtim);
    to->ctime_ns = nanoseconds(found->st_ctim);
    to->ino = (int64_t)((uint64_t)found->st_ino & INT64_MAX);
    to->mode = found->st_mode & (S_IFMT | 0777);
    to->error = 0;
}

static void look(int fd, const char *name, twf_stat *to) {
    struct stat found;
    memset(to, 0, sizeof *to);
    if (fstatat(fd, name, &found, AT_SYMLINK_NOFOLLOW)) to->error = errno;
    else note(to, &found);
}

/* As the kernel gives entries; the C library's own structure is for its own buffer. */
struct entry {
    uint64_t ino;
    int64_t off;
    unsigned short length;
    unsigned char type;
    char name[];
};

ptrdiff_t twf_list(int fd, char *names, size_t *names_room, twf_stat *stats, size_t stats_room) {
    _Alignas(struct entry) char buffer[TWF_LIST_NAMES];
    size_t used = 0, count = 0;
    while (*names_room - used >= TWF_LIST_NAMES && stats_room - count >= TWF_LIST_ENTRIES) {
        long got = syscall(SYS_getdents64, fd, buffer, sizeof buffer);
        if (got < 0) return -errno;
        if (!got) break;
        for (long at = 0; at < got;) {
            const struct entry *entry = (const void *)(buffer + at);
            at += entry->length;
            if (!strcmp(entry->name, ".") || !strcmp(entry->name, "..")) continue;
            size_t length = strlen(entry->name) + 1;
            memcpy(names + used, entry->name, length);
            used += length;
            look(fd, entry->name, &stats[count++]);
        }
    }
    *names_room = used;
    return (ptrdiff_t)count;
}

/* What is left to read of a file that is said to have so many bytes; one more shows that it has grown, and -1 is an error. To have read just
 * so many, with room for more, is to have read all. */
static ptrdiff_t read_all(int fd, uint8_t *to, size_t size) {
    size_t got = 0;
    do {
        ssize_t n = read(fd, to + got, size + 1 - got);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        if (!n) break;
        got += (size_t)n;
    } while (got < size);
    return (ptrdiff_t)got;
}

static int same(const struct stat *a, const struct stat *b) {
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/* One file of at most `most` bytes to `to`, where there is room for one byte more. Returns 0, an errno, TWF_OTHER, or TWF_CHANGED if it was
 * written to meanwhile; that is for the caller to find out where `stat` is NULL. */
static int32_t read_whole(int directory, const char *name, uint32_t most, uint8_t *to, uint32_t *size, twf_stat *stat) {
    struct stat before, after;
    int32_t error = 0;
    *size = 0;
    int fd = openat(directory, name, READING);
    if (fd < 0 || fstat(fd, &before)) {
        error = errno;
    } else if (!S_ISREG(before.st_mode) || before.st_size > (off_t)most) {
        error = TWF_OTHER;
    } else {
        ptrdiff_t got = read_all(fd, to, (size_t)before.st_size);
        if (got < 0 || (stat && fstat(fd, &after))) error = errno;
        else if (got != before.st_size || (stat && !same(&before, &after))) error = TWF_CHANGED;
        else *size = (uint32_t)got;
        if (stat && !error) note(stat, &after);
    }
    if (fd >= 0) close(fd);
    return error;
}

void twf_hash(const twf_kernel *kernel, int fd, const char *names, size_t count, uint32_t most, uint8_t *buffer, size_t room, uint32_t *sizes,
              uint8_t *contents, twf_stat *stats) {
    size_t used = 0, hashed = 0;
    for (size_t i = 0; i < count; i++, names += strlen(names) + 1) {
        if (room - used <= most) {
            twf_blake3_many(kernel, buffer, sizes + hashed, i - hashed, contents + 32 * hashed);
            used = 0, hashed = i;
        }
        memset(&stats[i], 0, sizeof stats[i]);
        stats[i].error = read_whole(fd, names, most, buffer + used, &sizes[i], &stats[i]);
        used += sizes[i];
    }
    twf_blake3_many(kernel, buffer, sizes + hashed, count - hashed, contents + 32 * hashed);
}

size_t twf_read(const twf_kernel *kernel, const int32_t *fds, const char *names, size_t count, const uint32_t *sizes, const uint8_t *contents,
                uint8_t *out, uint32_t *found, uint8_t *sums, int32_t *errors) {
    size_t used = 0, kept = 0, at = 0;
    for (size_t i = 0; i < count; i++, names += strlen(names) + 1) {
        errors[i] = read_whole(fds[i], names, sizes[i], out + used, &found[i], NULL);
        if (!errors[i] && found[i] != sizes[i]) errors[i] = TWF_CHANGED;
        used += found[i];
    }
    twf_blake3_many(kernel, out, found, count, sums);
    for (size_t i = 0; i < count; at += found[i++]) {
        if (!errors[i] && memcmp(sums + 32 * i, contents + 32 * i, 32)) errors[i] = TWF_CHANGED;
        if (errors[i]) continue;
        if (kept != at) memmove(out + kept, out + at, found[i]);
        kept += found[i];
    }
    return kept;
}

static int write_all(int fd, const uint8_t *data, size_t length) {
    while (length) {
        ssize_t n = write(fd, data, length);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        data += n, length -= (size_t)n;
    }
    return 0;
}

static struct timespec moment(int64_t ns) {
    int64_t second = ns / 1000000000, rest = ns % 1000000000;
    if (rest < 0) second--, rest += 1000000000;
    return (struct timespec){second, rest};
}

void twf_stage(const twf_kernel *kernel, int fd, const char *names, size_t count, const uint8_t *data, const uint32_t *sizes,
               const uint8_t *contents, const uint32_t *modes, const int64_t *mtimes, uint8_t *sums, int32_t *errors) {
    twf_blake3_many(kernel, data, sizes, count, sums);
    for (size_t i = 0; i < count; data += sizes[i++], names += strlen(names) + 1) {
        errors[i] = TWF_CHANGED;
        if (memcmp(sums + 32 * i, contents + 32 * i, 32)) continue;
        int made = openat(fd, names, MAKING, 0600);
        if (made < 0) {
            errors[i] = errno;
            continue;
        }
        struct timespec times[2] = {moment(mtimes[i]), moment(mtimes[i])};
        errors[i] = write_all(made, data, sizes[i]) || fchmod(made, (mode_t)modes[i] & 0777) || futimens(made, times) ? errno : 0;
        if (close(made) && !errors[i]) errors[i] = errno;
        if (errors[i]) unlinkat(fd, names, 0);
    }
}

void twf_place(int from, const char *from_names, const int32_t *to, const char *to_names, size_t count, twf_stat *stats) {
    for (size_t i = 0; i < count; i++) {
        if (syscall(SYS_renameat2, from, from_names, to[i], to_names, NOREPLACE)) {
            memset(&stats[i], 0, sizeof stats[i]);
            stats[i].error = errno;
        } else {
            look(to[i], to_names, &stats[i]);
            stats[i].error = 0;
        }
        from_names += strlen(from_names) + 1, to_names += strlen(to_names) + 1;
    }
}
