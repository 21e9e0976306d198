#include "xxh64.h"

static const uint64_t P1 = 0x9E3779B185EBCA87u, P2 = 0xC2B2AE3D27D4EB4Fu, P3 = 0x165667B19E3779F9u, P4 = 0x85EBCA77C2B2AE63u,
                      P5 = 0x27D4EB2F165667C5u;

/* Byte order is spelt out; compilers make one load of it on little-endian machines. */
static inline uint64_t read64(const uint8_t *p) {
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

static inline uint32_t read32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t rotl(uint64_t x, int r) { return x << r | x >> (64 - r); }

static inline uint64_t round64(uint64_t lane, uint64_t input) { return rotl(lane + input * P2, 31) * P1; }

static inline uint64_t merge(uint64_t h, uint64_t lane) { return (h ^ round64(0, lane)) * P1 + P4; }

static inline void lanes_begin(uint64_t lane[4], uint64_t seed) {
    lane[0] = seed + P1 + P2;
    lane[1] = seed + P2;
    lane[2] = seed;
    lane[3] = seed - P1;
}

/* Takes all whole 32-byte stripes; returns what is left. */
static inline const uint8_t *stripes(uint64_t lane[4], const uint8_t *p, const uint8_t *end) {
    uint64_t a = lane[0], b = lane[1], c = lane[2], d = lane[3];
    while ((size_t)(end - p) >= 32) {
        a = round64(a, read64(p));
        b = round64(b, read64(p + 8));
        c = round64(c, read64(p + 16));
        d = round64(d, read64(p + 24));
        p += 32;
    }
    lane[0] = a;
    lane[1] = b;
    lane[2] = c;
    lane[3] = d;
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
    for (; left >= 8; p += 8, left -= 8) h = rotl(h ^ round64(0, read64(p)), 27) * P1 + P4;
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

uint64_t twd_xxh64(const uint8_t *data, size_t length, uint64_t seed) {
    uint64_t lane[4];
    lanes_begin(lane, seed);
    const uint8_t *rest = length ? stripes(lane, data, data + length) : data;
    return finish(lane, seed, length, rest, length & 31);
}

void twd_xxh64_begin(twd_xxh64_state *s, uint64_t seed) {
    lanes_begin(s->lane, seed);
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
        stripes(s->lane, s->rest, s->rest + 32);
    }
    const uint8_t *rest = stripes(s->lane, data, data + length);
    memcpy(s->rest, rest, length & 31);
}

uint64_t twd_xxh64_digest(const twd_xxh64_state *s) { return finish(s->lane, s->seed, s->total, s->rest, s->total & 31); }
