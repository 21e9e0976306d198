/* BLAKE3 of pieces (a chunk or a parent each), LANES at once: the body that each kernel includes with its own kind of vector.
 *
 * A small file has few chunks, so by itself it leaves most lanes of a vector empty; here chunks of many files fill them. Written after
 * the BLAKE3 specification (O'Connor, Aumasson, Neves, Wilcox-O'Hearn, 2020), section 2. The includer defines:
 *
 *   LANES    pieces hashed at once
 *   VEC      a type of LANES 32-bit words that + ^ | & ~ << >> work on
 *   SPLAT    SPLAT(x): x in each lane
 *   LOAD     LOAD(words): LANES words that follow each other
 *   STRIDED  STRIDED(bytes): the little-endian words at bytes, bytes + 64, bytes + 128 ...
 *   TARGET   what lets the compiler use the unit
 *   NAME     of the function */
#include "blake3_many.h"

#define ROTATED(x, n) ((x) >> (n) | (x) << (32 - (n)))

#define MIX(a, b, c, d, x, y)                                   \
    do {                                                        \
        a = a + b + (x), d = d ^ a, d = ROTATED(d, 16);         \
        c = c + d, b = b ^ c, b = ROTATED(b, 12);               \
        a = a + b + (y), d = d ^ a, d = ROTATED(d, 8);          \
        c = c + d, b = b ^ c, b = ROTATED(b, 7);                \
    } while (0)

/* One round, with the message words where the permutation has brought them by then. */
#define ROUND(m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, ma, mb, mc, md, me, mf) \
    do {                                                                      \
        MIX(v[0], v[4], v[8], v[12], m[m0], m[m1]);                           \
        MIX(v[1], v[5], v[9], v[13], m[m2], m[m3]);                           \
        MIX(v[2], v[6], v[10], v[14], m[m4], m[m5]);                          \
        MIX(v[3], v[7], v[11], v[15], m[m6], m[m7]);                          \
        MIX(v[0], v[5], v[10], v[15], m[m8], m[m9]);                          \
        MIX(v[1], v[6], v[11], v[12], m[ma], m[mb]);                          \
        MIX(v[2], v[7], v[8], v[13], m[mc], m[md]);                           \
        MIX(v[3], v[4], v[9], v[14], m[me], m[mf]);                           \
    } while (0)

/* At most LANES pieces; a lane that has ended, or none to begin with, is hashed on and its result not kept. */
static TARGET void NAME(const twf_piece *pieces, size_t count) {
    uint8_t blocks[LANES][64];
    uint32_t flags[LANES], lengths[LANES], low[LANES], high[LANES], alive[LANES], out[8][LANES];
    size_t most = 1;
    VEC cv[8], v[16], m[16];
    for (size_t lane = 0; lane < LANES; lane++) {
        uint64_t counter = lane < count ? pieces[lane].counter : 0;
        low[lane] = (uint32_t)counter, high[lane] = (uint32_t)(counter >> 32);
        if (lane < count && (pieces[lane].length + 63u) / 64u > most) most = (pieces[lane].length + 63u) / 64u;
    }
    for (int i = 0; i < 8; i++) cv[i] = SPLAT(twf_blake3_iv[i]);
    for (size_t at = 0; at < most * 64; at += 64) {
        for (size_t lane = 0; lane < LANES; lane++) {
            size_t rest = lane < count && pieces[lane].length > at ? pieces[lane].length - at : 0;
            flags[lane] = lane < count ? pieces[lane].flags & (rest > 64 ? ~(uint32_t)TWF_ROOT : UINT32_MAX) : 0;
            if (!(flags[lane] & TWF_PARENT)) flags[lane] |= (at ? 0u : TWF_CHUNK_START) | (rest > 64 ? 0u : TWF_CHUNK_END);
            alive[lane] = rest || !at ? UINT32_MAX : 0;
            lengths[lane] = (uint32_t)(rest < 64 ? rest : 64);
            if (rest >= 64) {
                memcpy(blocks[lane], pieces[lane].data + at, 64);
            } else {
                memset(blocks[lane], 0, 64);
                if (rest) memcpy(blocks[lane], pieces[lane].data + at, rest);
            }
        }
        for (int j = 0; j < 16; j++) m[j] = STRIDED(&blocks[0][4 * j]);
        for (int i = 0; i < 8; i++) v[i] = cv[i];
        for (int i = 0; i < 4; i++) v[8 + i] = SPLAT(twf_blake3_iv[i]);
        v[12] = LOAD(low), v[13] = LOAD(high), v[14] = LOAD(lengths), v[15] = LOAD(flags);
        ROUND(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        ROUND(2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8);
        ROUND(3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1);
        ROUND(10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6);
        ROUND(12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4);
        ROUND(9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7);
        ROUND(11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13);
        VEC keep = LOAD(alive);
        for (int i = 0; i < 8; i++) cv[i] = ((v[i] ^ v[i + 8]) & keep) | (cv[i] & ~keep);
    }
    for (int i = 0; i < 8; i++) memcpy(out[i], &cv[i], sizeof out[i]);
    for (size_t lane = 0; lane < count; lane++)
        for (int i = 0; i < 8; i++) twf_put32(pieces[lane].out + 4 * i, out[i][lane]);
}

#undef ROUND
#undef MIX
#undef ROTATED
