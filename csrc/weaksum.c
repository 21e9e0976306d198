/* The sum of a whole block, shaped for vector units.
 *
 * The block is read as rows of COLUMNS bytes. Each column has two 16-bit sums: c1 of its bytes, c2 of the successive values of c1, so that
 * after R rows the byte in row r counts R - r times in c2. No multiplication per byte, and 16-bit lanes may wrap, since the sums are
 * modulo 2**16 anyway. Weights inside a row are mended once at the end:
 *     sum of (n - i) x[i]  with i = COLUMNS r + j, n = COLUMNS R   =   COLUMNS * sum of c2[j]  -  sum of j * c1[j]
 */
#include "weaksum.h"

enum { COLUMNS = 32 };

#if defined(__GNUC__) || defined(__clang__)
/* Vector types of the compiler, not of a CPU: gcc and clang make SSE2, AVX2 or NEON of them, or plain code. Arrays of columns in a plain
 * loop were tried first; gcc 12 leaves them in memory between rows, at a third of the speed. */
typedef uint8_t bytes_t __attribute__((vector_size(COLUMNS / 2)));
typedef uint16_t lanes_t __attribute__((vector_size(COLUMNS)));

static twd_weak rows(const uint8_t *p, size_t count) {
    lanes_t c1a = {0}, c1b = {0}, c2a = {0}, c2b = {0};
    for (; count; count--, p += COLUMNS) {
        bytes_t a, b;
        memcpy(&a, p, sizeof a);
        memcpy(&b, p + sizeof a, sizeof b);
        c1a += __builtin_convertvector(a, lanes_t);
        c1b += __builtin_convertvector(b, lanes_t);
        c2a += c1a;
        c2b += c1b;
    }
    twd_weak w = {0, 0};
    for (uint32_t j = 0; j < COLUMNS / 2; j++) {
        w.s1 += (uint32_t)c1a[j] + c1b[j];
        w.s2 += COLUMNS * ((uint32_t)c2a[j] + c2b[j]) - j * c1a[j] - (j + COLUMNS / 2) * c1b[j];
    }
    return w;
}
#else
static twd_weak rows(const uint8_t *p, size_t count) {
    uint16_t c1[COLUMNS] = {0}, c2[COLUMNS] = {0};
    for (; count; count--, p += COLUMNS)
        for (int j = 0; j < COLUMNS; j++) {
            c1[j] = (uint16_t)(c1[j] + p[j]);
            c2[j] = (uint16_t)(c2[j] + c1[j]);
        }
    twd_weak w = {0, 0};
    for (uint32_t j = 0; j < COLUMNS; j++) {
        w.s1 += c1[j];
        w.s2 += COLUMNS * (uint32_t)c2[j] - j * c1[j];
    }
    return w;
}
#endif

twd_weak twd_weak_extend(twd_weak w, const uint8_t *p, size_t n) {
    size_t count = n / COLUMNS;
    if (count) {
        twd_weak r = rows(p, count);
        w.s2 += (uint32_t)(count * COLUMNS) * w.s1 + r.s2; /* what was there counts once more for each new byte */
        w.s1 += r.s1;
        p += count * COLUMNS;
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
