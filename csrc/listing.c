/* What of a listing is not as it was known. */
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
static uint64_t hash_of(const uint64_t secret[2], const char *name, size_t length) {
    uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d, secret[0] ^ 0x6c7967656e657261,
                     secret[1] ^ 0x7465646279746573};
    for (size_t at = 0; at <= length; at += 8) {
        uint64_t word = 0;
        if (length - at >= 8) {
            memcpy(&word, name + at, 8);
        } else {
            memcpy(&word, name + at, length - at);
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

int twf_known_begin(twf_known *known) {
    size_t at = 0;
    if (known->count > TWF_KNOWN_MOST || known->mask < 2 * (uint64_t)known->count || (known->mask & (known->mask + 1))) return -1;
    memset(known->table, 0, (known->mask + 1) * sizeof *known->table);
    for (size_t i = 0; i < known->count; i++) {
        const char *name = known->names + at, *end = memchr(name, 0, known->names_size - at);
        if (!end || end == name) return -1;
        known->starts[i] = at;
        known->met[i] = 0;
        at += (size_t)(end - name) + 1;
        uint64_t hash = hash_of(known->secret, name, (size_t)(end - name)), *place = place_of(known, hash);
        while (*place) place = next_place(known, place);
        *place = (hash & UPPER) | (i + 1);
    }
    known->equal = known->other = 0;
    return at == known->names_size ? 0 : -1;
}

static int same(const twf_stat *a, const twf_stat *b) {
    return a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns && a->ino == b->ino && a->mode == b->mode && !a->error &&
           !b->error;
}

/* Whether an entry is known just so. */
static int as_known(twf_known *known, const char *name, size_t length, const twf_stat *stat) {
    uint64_t hash = hash_of(known->secret, name, length), *place = place_of(known, hash);
    for (; *place; place = next_place(known, place)) {
        if ((*place ^ hash) & UPPER) continue;
        size_t i = (*place & ~UPPER) - 1;
        if (strcmp(known->names + known->starts[i], name)) continue;
        known->met[i] = 1;
        return same(known->stats + i, stat);
    }
    return 0;
}

size_t twf_differing(twf_known *known, const char *suffix, const char *own, char *names, size_t *names_size, twf_stat *stats, size_t count) {
    size_t kept = 0, used = 0, suffix_length = strlen(suffix);
    const char *name = names;
    for (size_t i = 0, size; i < count; i++, name += size) {
        size = strlen(name) + 1;
        if (name[0] == '.' || size - 1 < suffix_length || memcmp(name + size - 1 - suffix_length, suffix, suffix_length)) {
            known->other += strcmp(name, own) != 0;
        } else if (as_known(known, name, size - 1, stats + i)) {
            known->equal++;
        } else {
            memmove(names + used, name, size);
            stats[kept++] = stats[i];
            used += size;
        }
    }
    *names_size = used;
    return kept;
}
