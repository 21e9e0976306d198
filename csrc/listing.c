/* What of a tree is not as it was known. */
#include <stdlib.h>

#include "files.h"

#define ROTATED(x, b) ((x) << (b) | (x) >> (64 - (b)))

static void sip_round(uint64_t v[4]) {
    v[0] += v[1], v[2] += v[3];
    v[1] = ROTATED(v[1], 13) ^ v[0], v[3] = ROTATED(v[3], 16) ^ v[2];
    v[0] = ROTATED(v[0], 32);
    v[2] += v[1], v[0] += v[3];
    v[1] = ROTATED(v[1], 17) ^ v[2], v[3] = ROTATED(v[3], 21) ^ v[0];
    v[2] = ROTATED(v[2], 32);
}

/* SipHash-1-3: whoever gives names out must not be able to make them meet in one place of the table. */
static uint64_t hash_of(const uint64_t secret[2], const char *key, size_t length) {
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d, secret[0] ^ 0x6c7967656e657261,
                     secret[1] ^ 0x7465646279746573};
    for (size_t at = 0; at <= length; at += 8) {
        uint64_t word = 0;
        if (length - at >= 8) {
            memcpy(&word, key + at, 8);
        } else {
            memcpy(&word, key + at, length - at);
            word |= (uint64_t)length << 56;
        }
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < 3; i++) sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* A place of the table: the upper half of the hash, and the entry's number from 1; 0: none. Half of the places at least are free. */
static uint64_t *place_of(const twf_known *known, uint64_t hash) { return known->table + (hash & known->mask); }

static uint64_t *next_place(const twf_known *known, uint64_t *place) {
    return place == known->table + known->mask ? known->table : place + 1;
}

#define UPPER 0xffffffff00000000u

enum { MET = 1, FORGOTTEN = 2 };
enum { TYPE = 0170000, DIRECTORY = 0040000 }; /* of a mode */

int twf_known_begin(twf_known *known) {
    size_t at = 0;
    if (known->count > TWF_KNOWN_MOST || known->mask < 2 * (uint64_t)known->count || (known->mask & (known->mask + 1))) return -1;
    memset(known->table, 0, (known->mask + 1) * sizeof *known->table);
    for (size_t i = 0; i < known->count; i++) {
        const char *key = known->keys + at, *end = memchr(key, 0, known->keys_size - at);
        if (!end || end == key) return -1;
        known->starts[i] = at;
        known->met[i] = 0;
        at += (size_t)(end - key) + 1;
        uint64_t hash = hash_of(known->secret, key, (size_t)(end - key)), *place = place_of(known, hash);
        while (*place) place = next_place(known, place);
        *place = (hash & UPPER) | (i + 1);
    }
    known->equal = known->other = 0;
    return at == known->keys_size ? 0 : -1;
}

/* Number of the entry with this key, or `count`. */
static size_t find(const twf_known *known, const char *key, size_t length) {
    uint64_t hash = hash_of(known->secret, key, length), *place = place_of(known, hash);
    for (; *place; place = next_place(known, place)) {
        if ((*place ^ hash) & UPPER) continue;
        size_t i = (*place & ~UPPER) - 1;
        if (!strcmp(known->keys + known->starts[i], key)) return known->met[i] == FORGOTTEN ? known->count : i;
    }
    return known->count;
}

int twf_known_forget(twf_known *known, const char *key) {
    size_t i = find(known, key, strlen(key));
    if (i == known->count) return 0;
    known->met[i] = FORGOTTEN;
    return 1;
}

static int same(const twf_stat *a, const twf_stat *b) {
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->ino == b->ino && a->mode == b->mode && !a->error &&
           !b->error;
}

/* 0, TWF_EQUAL or TWF_DIFFERS. */
static int32_t compare(twf_known *known, const char *key, size_t length, const twf_stat *stat) {
    size_t i = find(known, key, length);
    if (i == known->count) return 0;
    known->met[i] = MET;
    return same(known->stats + i, stat) ? TWF_EQUAL : TWF_DIFFERS;
}

size_t twf_differing(twf_known *known, char *key, size_t prefix, const char *suffix, const char *own, char *names, size_t *names_size,
                     twf_stat *stats, size_t count) {
    size_t kept = 0, used = 0, suffix_length = strlen(suffix);
    const char *name = names;
    for (size_t i = 0, size; i < count; i++, name += size) {
        size = strlen(name) + 1;
        if (suffix_length && (name[0] == '.' || size - 1 < suffix_length || memcmp(name + size - 1 - suffix_length, suffix, suffix_length))) {
            known->other += strcmp(name, own) != 0;
            continue;
        }
        int32_t result = 0;
        /* What could not be looked at was not met: it may be gone by now. No file system that is known here has longer names; what has one
         * would be looked at. */
        if (!stats[i].error && size <= TWF_NAME) {
            memcpy(key + prefix, name, size);
            result = compare(known, key, prefix + size - 1, stats + i);
        }
        if (result == TWF_EQUAL && (stats[i].mode & TYPE) != DIRECTORY) {
            known->equal++;
            continue;
        }
        memmove(names + used, name, size);
        stats[kept] = stats[i];
        stats[kept].error += result; /* one of them is 0 */
        kept++;
        used += size;
    }
    *names_size = used;
    return kept;
}
