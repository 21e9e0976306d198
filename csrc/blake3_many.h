/* BLAKE3 of many short inputs at once: what its sources share. */
#ifndef TWF_BLAKE3_MANY_H
#define TWF_BLAKE3_MANY_H

#include "files.h"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define TWF_X86 1
#else
#define TWF_X86 0
#endif

enum { TWF_CHUNK_START = 1, TWF_CHUNK_END = 2, TWF_PARENT = 4, TWF_ROOT = 8 };

/* What one lane hashes: a chunk of at most 1,024 bytes (CHUNK_START and CHUNK_END are added where they belong), or, with PARENT, the 64
 * bytes of two chaining values. With ROOT the result is the hash itself. */
typedef struct {
    const uint8_t *data;
    uint32_t length;
    uint32_t flags;
    uint64_t counter;
    uint8_t *out; /* 32 bytes */
} twf_piece;

struct twf_kernel {
    const char *name;
    size_t lanes;
    int (*runs_here)(void);
    void (*hash)(const twf_piece *pieces, size_t count); /* at most `lanes`; fastest if all are of one length */
};

extern const uint32_t twf_blake3_iv[8];
#if TWF_X86
extern const twf_kernel twf_avx2, twf_avx512;
#endif

/* Longest input. */
#define TWF_LONGEST 65536

static inline uint32_t twf_get32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void twf_put32(uint8_t *p, uint32_t x) {
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(x >> 8 * i);
}

#endif
