/* The kernel for AVX2: sixteen windows at once.
 *
 * The sums of successive windows are prefix sums. With d = entering - leaving byte, s1 is the prefix sum of d; s2 is the prefix sum of
 * s1 - length * leaving byte. All is modulo 2**16, so 16-bit lanes do. The sums before a vector are added after its own, so that from one
 * vector to the next there hang only two additions and two broadcasts. */
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

/* Which of eight windows pass the filter. */
static inline AVX2 uint32_t filtered(const twd_table *t, __m256i weak) {
    const __m256i one = _mm256_set1_epi32(1), mask = _mm256_set1_epi32(31);
    __m256i key = _mm256_mullo_epi32(weak, _mm256_set1_epi32((int)TWD_KEY_FACTOR));
    __m256i word = _mm256_i32gather_epi32((const void *)t->filter, _mm256_srl_epi32(key, _mm_cvtsi32_si128(t->filter_shift)), 4);
    __m256i first = _mm256_sllv_epi32(one, _mm256_and_si256(key, mask));
    __m256i second = _mm256_sllv_epi32(one, _mm256_and_si256(_mm256_srli_epi32(key, 5), mask));
    __m256i bits = _mm256_or_si256(first, second);
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(word, bits), bits)));
}

static AVX2 size_t scan(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    const uint8_t *in = p + t->block_length;
    const __m256i length = _mm256_set1_epi16((short)(uint16_t)t->block_length);
    __m256i s1 = _mm256_set1_epi16((short)(uint16_t)weak->s1), s2 = _mm256_set1_epi16((short)(uint16_t)weak->s2);
    size_t i = 0;
    for (; i + 16 <= most; i += 16) {
        __m256i left = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(p + i)));
        __m256i entered = _mm256_cvtepu8_epi16(_mm_loadu_si128((const void *)(in + i)));
        s1 = _mm256_add_epi16(s1, prefix_sums(_mm256_sub_epi16(entered, left)));
        s2 = _mm256_add_epi16(s2, prefix_sums(_mm256_sub_epi16(s1, _mm256_mullo_epi16(left, length))));
        uint32_t low = filtered(t, _mm256_unpacklo_epi16(s1, s2)), high = filtered(t, _mm256_unpackhi_epi16(s1, s2));
        if (low | high) {
            uint16_t a[16], b[16];
            _mm256_storeu_si256((void *)a, s1);
            _mm256_storeu_si256((void *)b, s2);
            /* the unpacked windows stand in fours: low four, high four, of each half */
            uint32_t maybe = (low & 15) | (high & 15) << 4 | (low & 0xF0) << 4 | (high & 0xF0) << 8;
            size_t k = twd_first_hit(t, a, b, maybe, 16);
            if (k < 16) {
                *weak = (twd_weak){a[k], b[k]};
                *hit = 1;
                return i + k + 1;
            }
        }
        s1 = last_lane(s1);
        s2 = last_lane(s2);
    }
    *weak = (twd_weak){(uint32_t)_mm256_cvtsi256_si32(s1), (uint32_t)_mm256_cvtsi256_si32(s2)};
    return i + twd_scan_bytes(t, p + i, most - i, weak, hit);
}

static int runs_here(void) { return __builtin_cpu_supports("avx2"); }

const twd_kernel twd_avx2 = {"avx2", runs_here, scan, NULL};
#else
typedef int twd_no_avx2;
#endif
