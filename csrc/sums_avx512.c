/* The sums of eight blocks at once, with AVX-512 (F, BW and DQ).
 *
 * XXH64 of one block is bound by its multiplications, one after the other in each of four lanes. Eight blocks side by side have 32 lanes,
 * in four vectors that do not wait for each other. The weak sums are added up beside them, as in weaksum.c: 32 columns of 16 bits. */
#include "kernel.h"

#if TWD_X86
#include <immintrin.h>

#include "xxh64.h"

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq")))

static inline AVX512 __m512i rounded(__m512i lanes, __m512i input) {
    const __m512i p1 = _mm512_set1_epi64((long long)TWD_XXH64_P1), p2 = _mm512_set1_epi64((long long)TWD_XXH64_P2);
    lanes = _mm512_add_epi64(lanes, _mm512_mullo_epi64(input, p2));
    return _mm512_mullo_epi64(_mm512_rol_epi64(lanes, 31), p1);
}

/* The stripes of two blocks. */
static inline AVX512 __m512i pair(const uint8_t *a, const uint8_t *b) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_loadu_si256((const void *)a)), _mm256_loadu_si256((const void *)b), 1);
}

static AVX512 twd_weak folded(__m512i c1, __m512i c2) {
    uint16_t first[32], second[32];
    twd_weak w = {0, 0};
    _mm512_storeu_si512(first, c1);
    _mm512_storeu_si512(second, c2);
    for (uint32_t j = 0; j < 32; j++) {
        w.s1 += first[j];
        w.s2 += 32u * second[j] - j * first[j];
    }
    return w;
}

static inline AVX512 __attribute__((always_inline)) void sums(
    const uint8_t *data, size_t length, uint64_t seed, uint32_t *weak, uint64_t *strong) {
    uint64_t lane[8][4];
    __m512i v[4], c1[8], c2[8];
    size_t whole = length / 32 * 32;
    twd_xxh64_lanes(lane[0], seed);
    for (int k = 0; k < 4; k++) v[k] = _mm512_broadcast_i64x4(_mm256_loadu_si256((const void *)lane[0]));
    for (int k = 0; k < 8; k++) c1[k] = c2[k] = _mm512_setzero_si512();
    for (size_t at = 0; at < whole; at += 32) {
        const uint8_t *p = data + at;
        for (int k = 0; k < 4; k++) v[k] = rounded(v[k], pair(p + 2 * (size_t)k * length, p + (2 * (size_t)k + 1) * length));
        if (weak)
            for (int k = 0; k < 8; k++) {
                c1[k] = _mm512_add_epi16(c1[k], _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(p + (size_t)k * length))));
                c2[k] = _mm512_add_epi16(c2[k], c1[k]);
            }
    }
    for (int k = 0; k < 4; k++) _mm512_storeu_si512(lane[2 * k], v[k]);
    for (size_t k = 0; k < 8; k++) {
        const uint8_t *rest = data + k * length + whole;
        strong[k] = twd_xxh64_end(lane[k], seed, length, rest, length - whole);
        if (weak) weak[k] = twd_weak_pack(twd_weak_extend(folded(c1[k], c2[k]), rest, length - whole));
    }
}

AVX512 void twd_sums_avx512(const uint8_t *data, size_t length, uint64_t seed, uint32_t *weak, uint64_t *strong) {
    if (weak)
        sums(data, length, seed, weak, strong);
    else
        sums(data, length, seed, NULL, strong);
}
#else
typedef int twd_no_avx512_sums;
#endif
