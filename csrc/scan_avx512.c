/* The kernel for AVX-512 (F and BW): 32 windows at once. See scan_avx2.c for how. */
#include "kernel.h"

#if TWD_X86
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,bmi2,popcnt")))

/* In each lane the sum of all lanes up to it. */
static inline AVX512 __m512i prefix_sums(__m512i x) {
    const __m512i low_to_high = _mm512_broadcast_i32x4(_mm_set_epi8(7, 6, 7, 6, 7, 6, 7, 6, -1, -1, -1, -1, -1, -1, -1, -1));
    const __m512i last_of_even = _mm512_inserti64x4(_mm512_set1_epi16(23), _mm256_set1_epi16(7), 0);
    x = _mm512_add_epi16(x, _mm512_slli_epi64(x, 16));
    x = _mm512_add_epi16(x, _mm512_slli_epi64(x, 32));
    x = _mm512_add_epi16(x, _mm512_shuffle_epi8(x, low_to_high));
    x = _mm512_add_epi16(x, _mm512_maskz_permutexvar_epi16(0xFF00FF00, last_of_even, x));
    return _mm512_add_epi16(x, _mm512_maskz_permutexvar_epi16(0xFFFF0000, _mm512_set1_epi16(15), x));
}

/* Which of sixteen windows pass the filter. */
static inline AVX512 uint32_t filtered(const twd_table *t, __m512i weak) {
    const __m512i one = _mm512_set1_epi32(1);
    __m512i key = _mm512_mullo_epi32(weak, _mm512_set1_epi32((int)TWD_KEY_FACTOR));
    __m512i word = _mm512_i32gather_epi32(_mm512_srl_epi32(key, _mm_cvtsi32_si128(t->filter_shift)), (const void *)t->filter, 4);
    __m512i bits = _mm512_or_si512(_mm512_rolv_epi32(one, key), _mm512_rolv_epi32(one, _mm512_srli_epi32(key, 5)));
    return _mm512_cmpeq_epi32_mask(_mm512_and_si512(word, bits), bits);
}

static AVX512 size_t scan_all(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    const uint8_t *in = p + t->block_length;
    const __m512i length = _mm512_set1_epi16((short)(uint16_t)t->block_length), last = _mm512_set1_epi16(31);
    __m512i s1 = _mm512_set1_epi16((short)(uint16_t)weak->s1), s2 = _mm512_set1_epi16((short)(uint16_t)weak->s2);
    size_t i = 0;
    for (; i + 32 <= most; i += 32) {
        __m512i left = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(p + i)));
        __m512i entered = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(in + i)));
        s1 = _mm512_add_epi16(s1, prefix_sums(_mm512_sub_epi16(entered, left)));
        s2 = _mm512_add_epi16(s2, prefix_sums(_mm512_sub_epi16(s1, _mm512_mullo_epi16(left, length))));
        uint32_t low = filtered(t, _mm512_unpacklo_epi16(s1, s2)), high = filtered(t, _mm512_unpackhi_epi16(s1, s2));
        if (low | high) {
            uint16_t a[32], b[32];
            _mm512_storeu_si512(a, s1);
            _mm512_storeu_si512(b, s2);
            /* the unpacked windows stand in fours: low four, high four, of each eighth */
            size_t k = twd_first_hit(t, a, b, _pdep_u32(low, 0x0F0F0F0F) | _pdep_u32(high, 0xF0F0F0F0), 32);
            if (k < 32) {
                *weak = (twd_weak){a[k], b[k]};
                *hit = 1;
                return i + k + 1;
            }
        }
        s1 = _mm512_permutexvar_epi16(last, s1);
        s2 = _mm512_permutexvar_epi16(last, s2);
    }
    *weak = (twd_weak){(uint32_t)_mm512_cvtsi512_si32(s1), (uint32_t)_mm512_cvtsi512_si32(s2)};
    return i + twd_scan_bytes(t, p + i, most - i, weak, hit);
}

/* Which of the weak sums, 16 in a vector and `count` in all, the table has: whether any. */
static AVX512 int any_known(const twd_table *t, const uint32_t *weak, size_t count) {
    for (size_t i = 0; i < count; i += 16) {
        uint32_t maybe = filtered(t, _mm512_loadu_si512(weak + i));
        if (count - i < 16) maybe &= (1u << (count - i)) - 1;
        for (; maybe; maybe &= maybe - 1)
            if (twd_table_has(t, twd_key(weak[i + (size_t)__builtin_ctz(maybe)]))) return 1;
    }
    return 0;
}

/* With a sieve: the weak sums of a stretch that it lets through are put together, and only they go to the filter. Where in the stretch they stand
 * is not kept; if the table has one, the stretch is scanned again without the sieve. Stretches begin short after each hit, so that
 * hits side by side cost no more than twice as much. */
enum { STRETCH = 256 };

static AVX512 size_t scan(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    const uint8_t *in = p + t->block_length;
    size_t i = t->sieve && most > 64 ? 64 : most;
    i = scan_all(t, p, i, weak, hit);
    if (*hit || i == most) return i;
    const __m512i length = _mm512_set1_epi16((short)(uint16_t)t->block_length), last = _mm512_set1_epi16(31), one = _mm512_set1_epi32(1);
    __m512i s1 = _mm512_set1_epi16((short)(uint16_t)weak->s1), s2 = _mm512_set1_epi16((short)(uint16_t)weak->s2);
    uint32_t through[STRETCH + 32];
    for (size_t stretch = 64; i + stretch <= most; i += stretch, stretch += stretch < STRETCH ? stretch : 0) {
        twd_weak before = {(uint32_t)_mm512_cvtsi512_si32(s1) & 0xffff, (uint32_t)_mm512_cvtsi512_si32(s2) & 0xffff};
        size_t count = 0;
        for (size_t k = i; k < i + stretch; k += 32) {
            __m512i left = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(p + k)));
            __m512i entered = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(in + k)));
            s1 = _mm512_add_epi16(s1, prefix_sums(_mm512_sub_epi16(entered, left)));
            s2 = _mm512_add_epi16(s2, prefix_sums(_mm512_sub_epi16(s1, _mm512_mullo_epi16(left, length))));
            __m512i low = _mm512_unpacklo_epi16(s1, s2), high = _mm512_unpackhi_epi16(s1, s2);
            __m512i low_word = _mm512_i32gather_epi32(_mm512_srli_epi32(low, TWD_SIEVE_SHIFT), (const void *)t->sieve, 4);
            __m512i high_word = _mm512_i32gather_epi32(_mm512_srli_epi32(high, TWD_SIEVE_SHIFT), (const void *)t->sieve, 4);
            __mmask16 a = _mm512_test_epi32_mask(low_word, _mm512_rolv_epi32(one, low));
            __mmask16 b = _mm512_test_epi32_mask(high_word, _mm512_rolv_epi32(one, high));
            _mm512_storeu_si512(through + count, _mm512_maskz_compress_epi32(a, low));
            count += (size_t)__builtin_popcount(a);
            _mm512_storeu_si512(through + count, _mm512_maskz_compress_epi32(b, high));
            count += (size_t)__builtin_popcount(b);
            s1 = _mm512_permutexvar_epi16(last, s1);
            s2 = _mm512_permutexvar_epi16(last, s2);
        }
        if (any_known(t, through, count)) {
            *weak = before;
            return i + scan_all(t, p + i, stretch, weak, hit);
        }
    }
    *weak = (twd_weak){(uint32_t)_mm512_cvtsi512_si32(s1), (uint32_t)_mm512_cvtsi512_si32(s2)};
    return i + scan_all(t, p + i, most - i, weak, hit);
}

static int runs_here(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("popcnt");
}

const twd_kernel twd_avx512 = {"avx512", runs_here, scan, twd_sums_avx512};
#else
typedef int twd_no_avx512;
#endif
