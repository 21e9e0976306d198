/* The blocks of one signature, ready to be found by weak sum.
 *
 * Stages, each cheaper than the next and asked more often: a sieve in the first-level cache, for kernels that can make use of it; a filter small
 * enough for the second-level cache; buckets of sorted keys; the strong sums. A key is the weak sum times an odd constant, a bijection of 32
 * bits, so that the top bits are well mixed; filter and buckets go by them. Filter and sieve are Bloom filters in words: one word is chosen,
 * and two bits in it, so that one load tells as much as two look-ups in bitmaps. The filter goes by the key. The sieve goes by the weak
 * sum itself: 13 bits of its upper half choose the word, 5 and 5 of its lower half the bits; with 65,536 blocks it lets 16 of 100 windows through.
 *
 * The weak sums may be a stranger's choice. In a table with open addressing he could choose them so that all fall in one cluster, and
 * make each look-up as long as the table. Here keys are in order within their bucket and are found by bisection: 21 steps at worst.
 *
 * Of blocks with one weak sum at most TWD_MAX_BLOCK_CANDIDATES of different content are kept, the earliest ones; of equal blocks, the
 * first. */
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
    int strong_shift;      /* what the signature leaves away of a strong sum */
    uint32_t short_length; /* bytes of the last block if it is short, else 0 */
    uint32_t full;         /* blocks of full length */
    uint32_t count;        /* entries */
    int filter_shift, bucket_shift;
    uint64_t *strong;  /* of every block, the short one included, in file order; only the bits that the signature has */
    twd_entry *entry;  /* by key, then file order */
    uint32_t *bucket;  /* bucket[k]: first entry whose key's top bits are k or more */
    uint32_t *filter;
    uint32_t *sieve;   /* TWD_SIEVE_WORDS; NULL if there are so few blocks that it is not needed, or so many that it lets all through */
};

enum { TWD_SIEVE_WORDS = 1 << 13, TWD_SIEVE_SHIFT = 19 };

#define TWD_KEY_FACTOR 0x9E3779B1u

static inline uint32_t twd_key(uint32_t weak) { return weak * TWD_KEY_FACTOR; }

/* Whether the filter has both bits of a key; if not, the table has not the key. */
static inline int twd_filter_has(const twd_table *t, uint32_t key) {
    uint32_t word = t->filter[key >> t->filter_shift];
    return (int)(word >> (key & 31) & word >> (key >> 5 & 31) & 1);
}

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
    while (low < end && t->entry[low].key == key) low++; /* at most TWD_MAX_BLOCK_CANDIDATES */
    return low;
}

static inline int twd_table_has(const twd_table *t, uint32_t key) {
    uint32_t first;
    return twd_table_find(t, key, &first) > first;
}

#endif
