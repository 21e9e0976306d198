/* What every source of the delta core shares: the interface, and numbers as bytes (big endian, see docs/protocol/delta-format.md). */
#ifndef TWD_DELTA_H
#define TWD_DELTA_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "delta_api.h"

/* A state function has set the next state and wants to be called again; never leaves the library. */
#define TWD_RUNNING ((twd_result)100)

#define TWD_SIGNATURE_MAGIC "\x89twsig2\n"
#define TWD_DELTA_MAGIC "\x89twdel2\n"
#define TWD_SIGNATURE_END "\0end"
enum {
    TWD_MAGIC_BYTES = 8,
    TWD_SIGNATURE_HEADER = 21,
    TWD_WEAK_BYTES = 4,
    TWD_MAX_ENTRY = TWD_WEAK_BYTES + TWD_MAX_STRONG_LENGTH,
    TWD_SIGNATURE_TRAILER = 24,
    TWD_DELTA_HEADER = 28,
    TWD_DELTA_TRAILER = 24,
    TWD_OP_END = 0,
    TWD_OP_LITERAL = 1,
    TWD_OP_COPY = 2,
    TWD_MAX_VARINT = 9 /* 63 bits */
};

static inline void twd_put32(uint8_t *p, uint32_t v) {
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static inline void twd_put64(uint8_t *p, uint64_t v) {
    twd_put32(p, (uint32_t)(v >> 32));
    twd_put32(p + 4, (uint32_t)v);
}

static inline uint32_t twd_get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t twd_get64(const uint8_t *p) { return (uint64_t)twd_get32(p) << 32 | twd_get32(p + 4); }

/* Writes v (below 2**63) in 1 to 9 bytes; returns how many. */
static inline size_t twd_put_varint(uint8_t *p, uint64_t v) {
    size_t n = 0;
    while (v > 0x7f) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static inline size_t twd_min(size_t a, size_t b) { return a < b ? a : b; }

/* A few bytes made by a job that wait for room in the caller's buffer. */
typedef struct {
    uint8_t bytes[128];
    size_t length, done;
} twd_pending;

/* Room for n more bytes, which the caller fills; jobs queue at most an operation pair, or the entries of eight blocks, between flushes. */
static inline uint8_t *twd_pending_add(twd_pending *q, size_t n) {
    uint8_t *p = q->bytes + q->length;
    q->length += n;
    return p;
}

/* Hands out what fits; 1 when nothing waits any more. */
static inline int twd_pending_flush(twd_pending *q, twd_buffers *b) {
    size_t n = twd_min(q->length - q->done, b->avail_out);
    if (n) {
        memcpy(b->next_out, q->bytes + q->done, n);
        b->next_out += n;
        b->avail_out -= n;
        q->done += n;
    }
    if (q->done < q->length) return 0;
    q->length = q->done = 0;
    return 1;
}

#endif
