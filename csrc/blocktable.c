#include "blocktable.h"

#include <stdlib.h>

#include "xxh64.h"

enum {
    FILTER_MIN_BITS = 11,  /* log2 of words: 8 KiB */
    FILTER_MAX_BITS = 20,  /* 4 MiB: beyond a second-level cache a larger one costs more than it spares */
    FILTER_BITS_PER_BLOCK = 1, /* log2: with two words for each block one offset in 400 is let through in vain */
    SIEVE_MIN_BLOCKS = 4096, /* the filter has 32 KiB then */
    SIEVE_MAX_BLOCKS = 131072, /* it lets four of ten through then, and spares nothing */
    BUCKET_MIN_BITS = 4,
    BUCKET_MAX_BITS = 22
};

static int bits_for(uint32_t count, int more, int least, int most) {
    int bits = more;
    while (bits < most && (1ull << (bits - more)) < count) bits++;
    return bits < least ? least : bits > most ? most : bits;
}

/* Stable radix sort by key, three passes of eleven bits. `spare` is as long as `entry`; the result is in one of the two, which is returned. */
static twd_entry *sorted(twd_entry *entry, twd_entry *spare, uint32_t count) {
    for (int shift = 0; shift < 33; shift += 11) {
        uint32_t at[2048] = {0}, sum = 0;
        for (uint32_t i = 0; i < count; i++) at[entry[i].key >> shift & 2047]++;
        for (int d = 0; d < 2048; d++) {
            uint32_t n = at[d];
            at[d] = sum;
            sum += n;
        }
        for (uint32_t i = 0; i < count; i++) spare[at[entry[i].key >> shift & 2047]++] = entry[i];
        twd_entry *swap = entry;
        entry = spare;
        spare = swap;
    }
    return entry;
}

/* Drops equal blocks and what is above TWD_MAX_BLOCK_CANDIDATES for one key; returns how many are left. */
static uint32_t thinned(twd_entry *entry, uint32_t count, const uint64_t *strong) {
    uint32_t kept = 0, group = 0; /* group: first kept entry with the present key */
    for (uint32_t i = 0; i < count; i++) {
        if (kept == group || entry[group].key != entry[i].key) group = kept;
        if (kept - group == TWD_MAX_BLOCK_CANDIDATES) continue;
        uint32_t j = group;
        while (j < kept && strong[entry[j].block] != strong[entry[i].block]) j++;
        if (j == kept) entry[kept++] = entry[i];
    }
    return kept;
}

static twd_result fill(twd_table *t, const uint8_t *blocks, uint32_t total, size_t strong_length) {
    twd_entry *work = malloc(((size_t)t->full + 1) * sizeof *work), *spare = malloc(((size_t)t->full + 1) * sizeof *spare);
    t->strong = malloc(((size_t)total + 1) * sizeof *t->strong);
    int filter_bits = bits_for(t->full, FILTER_BITS_PER_BLOCK, FILTER_MIN_BITS, FILTER_MAX_BITS);
    int bucket_bits = bits_for(t->full, 1, BUCKET_MIN_BITS, BUCKET_MAX_BITS);
    t->filter_shift = 32 - filter_bits;
    t->bucket_shift = 32 - bucket_bits;
    t->filter = calloc((size_t)1 << filter_bits, sizeof *t->filter);
    t->bucket = malloc((((size_t)1 << bucket_bits) + 1) * sizeof *t->bucket);
    int sieve = t->full >= SIEVE_MIN_BLOCKS && t->full <= SIEVE_MAX_BLOCKS;
    if (sieve) t->sieve = calloc(TWD_SIEVE_WORDS, sizeof *t->sieve);
    if (!work || !spare || !t->strong || !t->filter || !t->bucket || (sieve && !t->sieve)) {
        free(work);
        free(spare);
        return TWD_NO_MEMORY;
    }
    for (uint32_t i = 0; i < total; i++, blocks += TWD_WEAK_BYTES + strong_length) {
        uint64_t strong = 0;
        for (size_t k = 0; k < strong_length; k++) strong = strong << 8 | blocks[TWD_WEAK_BYTES + k];
        t->strong[i] = strong;
        if (i < t->full) {
            uint32_t weak = twd_get32(blocks);
            work[i].key = twd_key(weak);
            if (sieve) t->sieve[weak >> TWD_SIEVE_SHIFT] |= 1u << (weak & 31) | 1u << (weak >> 5 & 31);
            work[i].block = i;
        }
    }
    t->entry = sorted(work, spare, t->full);
    free(t->entry == work ? spare : work);
    t->count = thinned(t->entry, t->full, t->strong);
    uint32_t next = 0;
    for (uint32_t k = 0; k <= (1u << bucket_bits); k++) {
        while (next < t->count && t->entry[next].key >> t->bucket_shift < k) next++;
        t->bucket[k] = next;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        uint32_t key = t->entry[i].key;
        t->filter[key >> t->filter_shift] |= 1u << (key & 31) | 1u << (key >> 5 & 31);
    }
    return TWD_DONE;
}

twd_result twd_table_new(const uint8_t *signature, size_t length, twd_table **table) {
    *table = NULL;
    if (length > TWD_MAX_SIGNATURE || length < TWD_SIGNATURE_HEADER + TWD_SIGNATURE_TRAILER) return TWD_CORRUPT;
    size_t body = length - TWD_SIGNATURE_HEADER - TWD_SIGNATURE_TRAILER;
    const uint8_t *trailer = signature + length - TWD_SIGNATURE_TRAILER;
    uint32_t block_length = twd_get32(signature + 8), total = twd_get32(trailer + 12);
    size_t strong_length = signature[12], entry = TWD_WEAK_BYTES + strong_length;
    uint64_t old_length = twd_get64(trailer + 4);
    if (memcmp(signature, TWD_SIGNATURE_MAGIC, TWD_MAGIC_BYTES) || memcmp(trailer, TWD_SIGNATURE_END, 4)) return TWD_CORRUPT;
    if (!block_length || block_length > TWD_MAX_BLOCK_LENGTH) return TWD_CORRUPT;
    if (strong_length < TWD_MIN_STRONG_LENGTH || strong_length > TWD_MAX_STRONG_LENGTH) return TWD_CORRUPT;
    if (body % entry || total != body / entry || total > TWD_MAX_SIGNATURE_BLOCKS || old_length > INT64_MAX) return TWD_CORRUPT;
    if (old_length / block_length + (old_length % block_length != 0) != total) return TWD_CORRUPT;
    if (twd_xxh64(signature, length - 8, 0) != twd_get64(trailer + 16)) return TWD_CORRUPT;
    twd_table *t = calloc(1, sizeof *t);
    if (!t) return TWD_NO_MEMORY;
    t->block_length = block_length;
    t->strong_shift = 64 - 8 * (int)strong_length;
    t->seed = twd_get64(signature + 13);
    t->length = old_length;
    t->full = (uint32_t)(old_length / block_length);
    t->short_length = (uint32_t)(old_length % block_length);
    twd_result result = fill(t, signature + TWD_SIGNATURE_HEADER, total, strong_length);
    if (result == TWD_DONE)
        *table = t;
    else
        twd_table_free(t);
    return result;
}

void twd_table_free(twd_table *t) {
    if (!t) return;
    free(t->strong);
    free(t->entry);
    free(t->bucket);
    free(t->filter);
    free(t->sieve);
    free(t);
}
