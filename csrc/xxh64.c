#include "xxh64.h"

static const uint64_t P1 = TWD_XXH64_P1, P2 = TWD_XXH64_P2, P3 = 0x165667B19E3779F9u, P4 = 0x85EBCA77C2B2AE63u, P5 = 0x27D4EB2F165667C5u;

static inline uint32_t read32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t rotl(uint64_t x, int r) { return x << r | x >> (64 - r); }

static inline uint64_t merge(uint64_t h, uint64_t lane) { return (h ^ twd_xxh64_round(0, lane)) * P1 + P4; }

void twd_xxh64_lanes(uint64_t lane[4], uint64_t seed) {
    lane[0] = seed + P1 + P2;
    lane[1] = seed + P2;
    lane[2] = seed;
    lane[3] = seed - P1;
}

/* Takes all whole 32-byte stripes; returns what is left. */
static inline const uint8_t *stripes(uint64_t lane[4], const uint8_t *p, size_t length) {
    uint64_t local[4] = {lane[0], lane[1], lane[2], lane[3]}; /* in registers: p could point to lane */
    for (; length >= 32; p += 32, length -= 32) twd_xxh64_stripe(local, p);
    memcpy(lane, local, sizeof local);
    return p;
}

static inline uint64_t finish(const uint64_t lane[4], uint64_t seed, uint64_t total, const uint8_t *p, size_t left) {
    uint64_t h;
    if (total >= 32) {
        h = rotl(lane[0], 1) + rotl(lane[1], 7) + rotl(lane[2], 12) + rotl(lane[3], 18);
        for (int i = 0; i < 4; i++) h = merge(h, lane[i]);
    } else {
        h = seed + P5;
    }
    h += total;
    for (; left >= 8; p += 8, left -= 8) h = rotl(h ^ twd_xxh64_round(0, twd_xxh64_read(p)), 27) * P1 + P4;
    if (left >= 4) {
        h = rotl(h ^ read32(p) * P1, 23) * P2 + P3;
        p += 4;
        left -= 4;
    }
    for (; left; p++, left--) h = rotl(h ^ *p * P5, 11) * P1;
    h = (h ^ h >> 33) * P2;
    h = (h ^ h >> 29) * P3;
    return h ^ h >> 32;
}

uint64_t twd_xxh64_end(uint64_t lane[4], uint64_t seed, uint64_t total, const uint8_t *rest, size_t left) {
    return finish(lane, seed, total, stripes(lane, rest, left), left & 31);
}

uint64_t twd_xxh64(const uint8_t *data, size_t length, uint64_t seed) {
    uint64_t lane[4];
    twd_xxh64_lanes(lane, seed);
    return twd_xxh64_end(lane, seed, length, data, length);
}

void twd_xxh64_begin(twd_xxh64_state *s, uint64_t seed) {
    twd_xxh64_lanes(s->lane, seed);
    s->seed = seed;
    s->total = 0;
}

void twd_xxh64_update(twd_xxh64_state *s, const uint8_t *data, size_t length) {
    if (!length) return;
    size_t held = s->total & 31;
    s->total += length;
    if (held) {
        size_t n = twd_min(32 - held, length);
        memcpy(s->rest + held, data, n);
        data += n;
        length -= n;
        if (held + n < 32) return;
        stripes(s->lane, s->rest, 32);
    }
    const uint8_t *rest = stripes(s->lane, data, length);
    memcpy(s->rest, rest, length & 31);
}

uint64_t twd_xxh64_digest(const twd_xxh64_state *s) { return finish(s->lane, s->seed, s->total, s->rest, s->total & 31); }
