/* rsync's rolling sum of a block x[0..n): low half s1 = sum of x[i], high half s2 = sum of (n - i) * x[i], both modulo 2**16.
 *
 * All arithmetic is done modulo 2**32 or 2**16 without ever reducing: 2**16 divides both, so only the packing cuts. */
#ifndef TWD_WEAKSUM_H
#define TWD_WEAKSUM_H

#include "delta.h"

typedef struct {
    uint32_t s1, s2; /* only the low 16 bits count */
} twd_weak;

static inline uint32_t twd_weak_pack(twd_weak w) { return (w.s1 & 0xffff) | w.s2 << 16; }

/* The sums with n more bytes at the end of the block. */
twd_weak twd_weak_extend(twd_weak w, const uint8_t *p, size_t n);

/* The weak and the strong sum (XXH64) of a whole block. */
void twd_block_sums(const uint8_t *data, size_t length, uint64_t seed, uint32_t *weak, uint64_t *strong);

/* One byte further: `out` leaves a block of n bytes, `in` enters. */
static inline twd_weak twd_weak_roll(twd_weak w, uint32_t n, uint8_t out, uint8_t in) {
    w.s1 += (uint32_t)in - out;
    w.s2 += w.s1 - n * out;
    return w;
}

#endif
