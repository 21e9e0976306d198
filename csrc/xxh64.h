/* XXH64, the 64-bit hash of Yann Collet's xxHash family, after doc/xxhash_spec.md of that project. Not cryptographic. */
#ifndef TWD_XXH64_H
#define TWD_XXH64_H

#include "delta.h"

typedef struct {
    uint64_t lane[4];
    uint64_t seed, total;
    uint8_t rest[32]; /* total % 32 bytes not yet in the lanes */
} twd_xxh64_state;

#define TWD_XXH64_P1 0x9E3779B185EBCA87u
#define TWD_XXH64_P2 0xC2B2AE3D27D4EB4Fu

/* Byte order is spelt out; compilers make one load of it on little-endian machines. */
static inline uint64_t twd_xxh64_read(const uint8_t *p) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
#else
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
#endif
}

static inline uint64_t twd_xxh64_round(uint64_t lane, uint64_t input) {
    lane += input * TWD_XXH64_P2;
    return (lane << 31 | lane >> 33) * TWD_XXH64_P1;
}

/* One stripe of 32 bytes. */
static inline void twd_xxh64_stripe(uint64_t lane[4], const uint8_t *p) {
    lane[0] = twd_xxh64_round(lane[0], twd_xxh64_read(p));
    lane[1] = twd_xxh64_round(lane[1], twd_xxh64_read(p + 8));
    lane[2] = twd_xxh64_round(lane[2], twd_xxh64_read(p + 16));
    lane[3] = twd_xxh64_round(lane[3], twd_xxh64_read(p + 24));
}

/* The hash in pieces, for those who take the stripes themselves: its lanes at the start; its end, with the last `left` of `total` bytes. */
void twd_xxh64_lanes(uint64_t lane[4], uint64_t seed);
uint64_t twd_xxh64_end(uint64_t lane[4], uint64_t seed, uint64_t total, const uint8_t *rest, size_t left);

void twd_xxh64_begin(twd_xxh64_state *s, uint64_t seed);
void twd_xxh64_update(twd_xxh64_state *s, const uint8_t *data, size_t length);
uint64_t twd_xxh64_digest(const twd_xxh64_state *s);

#endif
