/* The sums of many bytes.
 *
 * The weak sum, shaped for vector units: the bytes are read as lines of COLUMNS. Each column has two 16-bit sums: c1 of its bytes, c2 of
 * the successive values of c1, so that after R lines the byte in line r counts R - r times in c2. No multiplication per byte, and 16-bit lanes
 * may wrap, since the sums are modulo 2**16 anyway. Weights inside a line are mended once at the end:
 *     sum of (n - i) x[i]  with i = COLUMNS r + j, n = COLUMNS R   =   COLUMNS * sum of c2[j]  -  sum of j * c1[j] */
#include "weaksum.h"

#include "xxh64.h"

enum { COLUMNS = 32 };

#if defined(__GNUC__) || defined(__clang__)
/* Vector types of the compiler, not of a CPU: gcc and clang make SSE2 or NEON of them, or plain code. Of sixteen bytes, taken as eight
 * numbers, the low and the high halves are two times eight columns; which is the even one depends on the byte order. Longer vectors than
 * the CPU has, arrays, and conversions of bytes to numbers were tried; gcc 12 leaves them in memory between lines, at half the speed. */
typedef uint16_t lanes_t __attribute__((vector_size(COLUMNS / 2)));

typedef struct {
    lanes_t c1[4], c2[4];
} columns_t;

static inline void add_line(columns_t *c, const uint8_t *p) {
    lanes_t x[2];
    memcpy(x, p, sizeof x);
    c->c1[0] += x[0] & 0xff;
    c->c1[1] += x[0] >> 8;
    c->c1[2] += x[1] & 0xff;
    c->c1[3] += x[1] >> 8;
    for (int k = 0; k < 4; k++) c->c2[k] += c->c1[k];
}

static inline void column(const columns_t *c, int j, uint32_t *c1, uint32_t *c2) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    int k = j / 16 * 2 + j % 2;
#else
    int k = j / 16 * 2 + !(j % 2);
#endif
    *c1 = c->c1[k][j % 16 / 2];
    *c2 = c->c2[k][j % 16 / 2];
}
#else
typedef struct {
    uint16_t c1[COLUMNS], c2[COLUMNS];
} columns_t;

static inline void add_line(columns_t *c, const uint8_t *p) {
    for (int j = 0; j < COLUMNS; j++) {
        c->c1[j] = (uint16_t)(c->c1[j] + p[j]);
        c->c2[j] = (uint16_t)(c->c2[j] + c->c1[j]);
    }
}

static inline void column(const columns_t *c, int j, uint32_t *c1, uint32_t *c2) {
    *c1 = c->c1[j];
    *c2 = c->c2[j];
}
#endif

/* The sums w with `count` more lines at the end of the block. */
static inline twd_weak folded(const columns_t *c, size_t count, twd_weak w) {
    columns_t copy = *c; /* so that only the copy has to be in memory */
    w.s2 += (uint32_t)(count * COLUMNS) * w.s1; /* what was there counts once more for each new byte */
    for (int j = 0; j < COLUMNS; j++) {
        uint32_t c1, c2;
        column(&copy, j, &c1, &c2);
        w.s1 += c1;
        w.s2 += COLUMNS * c2 - (uint32_t)j * c1;
    }
    return w;
}

twd_weak twd_weak_extend(twd_weak w, const uint8_t *p, size_t n) {
    size_t count = n / COLUMNS;
    if (count) {
        columns_t c = {0};
        for (size_t i = 0; i < count; i++, p += COLUMNS) add_line(&c, p);
        w = folded(&c, count, w);
    }
    for (n %= COLUMNS; n; n--) {
        w.s1 += *p++;
        w.s2 += w.s1;
    }
    return w;
}

uint32_t twd_weaksum(const uint8_t *data, size_t length) {
    twd_weak w = {0, 0};
    return twd_weak_pack(twd_weak_extend(w, data, length));
}

/* One pass for both sums. XXH64 is bound by its multiplications and the weak sum runs beside them in the
 * vector units for nothing. It is not compiled for wider vectors: gcc then makes vectors of XXH64 too, at half the speed. */
void twd_block_sums(const uint8_t *data, size_t length, uint64_t seed, uint32_t *weak, uint64_t *strong) {
    const uint8_t *p = data;
    size_t count = length / COLUMNS;
    twd_weak w = {0, 0};
    uint64_t lane[4];
    columns_t c = {0};
    twd_xxh64_lanes(lane, seed);
    for (size_t i = 0; i < count; i++, p += COLUMNS) {
        twd_xxh64_stripe(lane, p);
        add_line(&c, p);
    }
    *weak = twd_weak_pack(twd_weak_extend(folded(&c, count, w), p, length % COLUMNS));
    *strong = twd_xxh64_end(lane, seed, length, p, length % COLUMNS);
}
