/* XXH64, the 64-bit hash of Yann Collet's xxHash family, after doc/xxhash_spec.md of that project. Not cryptographic. */
#ifndef TWD_XXH64_H
#define TWD_XXH64_H

#include "delta.h"

typedef struct {
    uint64_t lane[4];
    uint64_t seed, total;
    uint8_t rest[32]; /* total % 32 bytes not yet in the lanes */
} twd_xxh64_state;

void twd_xxh64_begin(twd_xxh64_state *s, uint64_t seed);
void twd_xxh64_update(twd_xxh64_state *s, const uint8_t *data, size_t length);
uint64_t twd_xxh64_digest(const twd_xxh64_state *s);

#endif
