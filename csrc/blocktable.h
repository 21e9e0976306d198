/* The blocks of one signature, ready to be found by weak sum.
 *
 * Four stages, each cheaper than the next and asked more often: two bitmaps small enough for the second-level cache; buckets of sorted keys;
 * the strong sums. A key is the weak sum times an odd constant, a bijection of 32 bits, so that the top bits are well mixed; the first
 * bitmap and the buckets go by the top bits of the key, the second bitmap by those of another multiple.
 *
 * The weak sums may be a stranger's choice. In a table with open addressing he could choose them so that all fall in one cluster, and
 * make each look-up as long as the table. Here keys are in order within their bucket and are found by bisection: 21 steps at worst.
 *
 * Of blocks with one weak sum at most TWD_MAX_CANDIDATES of different content are kept, the earliest ones; of equal blocks, the first. */
#ifndef TWD_BLOCKTABLE_H
#define TWD_BLOCKTABLE_H

#include "delta.h"

typedef struct {
    uint32_t key, block;
} twd_entry;

struct twd_table {
    uint64_t seed;
    uint64_t length; /* bytes of the old file */
    uint32_t block_length;
    uint32_t short_length; /* bytes of the last block if it is short, else 0 */
    uint32_t full;         /* blocks of full length */
    uint32_t count;        /* entries */
    int bitmap_shift, bucket_shift;
    uint64_t *strong;  /* of every block, the short one included, in file order */
    twd_entry *entry;  /* by key, then file order */
    uint32_t *bucket;  /* bucket[k]: first entry whose key's top bits are k or more */
    uint64_t *bitmap, *second;
};

static inline uint32_t twd_key(uint32_t weak) { return weak * 0x9E3779B1u; }

static inline uint32_t twd_second_key(uint32_t key) { return key * 0x85EBCA77u; }

static inline int twd_bit(const uint64_t *bitmap, uint32_t bit) { return (int)(bitmap[bit >> 6] >> (bit & 63) & 1); }

/* The entries with this key: *first up to but not including the result. */
static inline uint32_t twd_table_find(const twd_table *t, uint32_t key, uint32_t *first) {
    uint32_t low = t->bucket[key >> t->bucket_shift], end = t->bucket[(key >> t->bucket_shift) + 1], high = end;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->entry[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    *first = low;
    while (low < end && t->entry[low].key == key) low++; /* at most TWD_MAX_CANDIDATES */
    return low;
}

#endif
