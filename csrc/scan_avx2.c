/* The kernel for AVX2: sixteen windows at once.
 *
 * The sums of successive windows are prefix sums. With d = entering - leaving byte, s1 is the prefix sum of d; s2 is the prefix sum of
 * s1 - length * leaving byte. All is modulo 2**16, so 16-bit lanes do. The sums before a vector are added after its own, so that from one
 * vector to the next there hang only two additions and two broadcasts.
 *
 * The sums of a stretch are written down, out of order, then their words of the filter are looked up, then both are compared. */
#include "kernel.h"

#if TWD_X86
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))

/* In each lane the sum of all lanes up to it. */
static inline AVX2 __m256i prefix_sums(__m256i x) {
    const __m256i last_of_half = _mm256_set1_epi16(0x0F0E);
    x = _mm256_add_epi16(x, _mm256_slli_si256(x, 2));
    x = _mm256_add_epi16(x, _mm256_slli_si256(x, 4));
    x = _mm256_add_epi16(x, _mm256_slli_si256(x, 8));
    return _mm256_add_epi16(x, _mm256_shuffle_epi8(_mm256_permute2x128_si256(x, x, 0x08), last_of_half));
}

/* The last lane in all lanes. */
static inline AVX2 __m256i last_lane(__m256i x) {
    return _mm256_shuffle_epi8(_mm256_permute4x64_epi64(x, 0xFF), _mm256_set1_epi16(0x0F0E));
}

/* Writes down eight keys and where the filter has their words. */
static inline AVX2 void note(const twd_table *t, __m256i weak, uint32_t *key, uint32_t *index) {
    __m256i keys = _mm256_mullo_epi32(weak, _mm256_set1_epi32((int)TWD_KEY_FACTOR));
    _mm256_storeu_si256((void *)key, keys);
    _mm256_storeu_si256((void *)index, _mm256_srl_epi32(keys, _mm_cvtsi32_si128(t->filter_shift)));
}

/* Whether the table has one of the keys, whose words of the filter are given; `count` is a multiple of eight. */
static inline AVX2 int any_known(const twd_table *t, const uint32_t *key, const uint32_t *word, size_t count) {
    const __m256i one = _mm256_set1_epi32(1), mask = _mm256_set1_epi32(31);
    for (size_t i = 0; i < count; i += 8) {
        __m256i keys = _mm256_loadu_si256((const void *)(key + i)), words = _mm256_loadu_si256((const void *)(word + i));
        __m256i first = _mm256_sllv_epi32(one, _mm256_and_si256(keys, mask));
        __m256i second = _mm256_sllv_epi32(one, _mm256_and_si256(_mm256_srli_epi32(keys, 5), mask));
        __m256i bits = _mm256_or_si256(first, second);
        uint32_t maybe = (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(words, bits), bits)));
        for (; maybe; maybe &= maybe - 1)
            if (twd_table_has(t, key[i + (size_t)__builtin_ctz(maybe)])) return 1;
    }
    return 0;
}

static AVX2 int has_one(const twd_table *t, const uint8_t *p, size_t count, twd_weak *weak) {
    const uint8_t *in = p + t->block_length;
    const __m256i length = _mm256_set1_epi16((short)(uint16_t)t->block_length);
    __m256i s1 = _mm256_set1_epi16((short)(uint16_t)weak->s1), s2 = _mm256_set1_epi16((short)(uint16_t)weak->s2);
    uint32_t key[TWD_LONG_STRETCH], index[TWD_LONG_STRETCH], word[TWD_LONG_STRETCH];
    size_t i = 0;
    do {
        __m256i left = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(p + i)));
        __m256i entered = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(in + i)));
        s1 = _mm256_add_epi16(s1, prefix_sums(_mm256_sub_epi16(entered, left)));
        s2 = _mm256_add_epi16(s2, prefix_sums(_mm256_sub_epi16(s1, _mm256_mullo_epi16(left, length))));
        note(t, _mm256_unpacklo_epi16(s1, s2), key + i, index + i);
        note(t, _mm256_unpackhi_epi16(s1, s2), key + i + 8, index + i + 8);
        s1 = last_lane(s1);
        s2 = last_lane(s2);
        i += 16;
    } while (i < count);
    twd_look_up(t->filter, index, count, word);
    if (any_known(t, key, word, count)) return 1;
    *weak = (twd_weak){(uint16_t)_mm256_cvtsi256_si32(s1), (uint16_t)_mm256_cvtsi256_si32(s2)};
    return 0;
}

static size_t scan(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    return twd_scan_stretches(has_one, t, p, most, weak, hit);
}

static int runs_here(void) { return __builtin_cpu_supports("avx2"); }

const twd_kernel twd_avx2 = {"avx2", runs_here, scan, NULL};
#else
typedef int twd_no_avx2;
#endif
