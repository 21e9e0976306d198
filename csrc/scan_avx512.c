/* The kernel for AVX-512 (F and BW): 32 windows at once. See scan_avx2.c for how.
 *
 * With a sieve, that is asked first: the sums of a stretch that it lets through are put together, and only they go to the filter. */
#include "kernel.h"

#if TWD_X86
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,popcnt")))

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

static inline AVX512 __m512i key_of(__m512i weak) { return _mm512_mullo_epi32(weak, _mm512_set1_epi32((int)TWD_KEY_FACTOR)); }

/* Which of sixteen words have both bits that are chosen by the low ten bits of `by`. */
static inline AVX512 __mmask16 both_bits(const uint32_t *word, __m512i by) {
    const __m512i one = _mm512_set1_epi32(1);
    __m512i bits = _mm512_or_si512(_mm512_rolv_epi32(one, by), _mm512_rolv_epi32(one, _mm512_srli_epi32(by, 5)));
    return _mm512_cmpeq_epi32_mask(_mm512_and_si512(_mm512_loadu_si512(word), bits), bits);
}

/* Writes down sixteen weak sums and where the sieve, or else the filter, has their words. */
static inline AVX512 void note(const twd_table *t, __m512i sums, uint32_t *weak, uint32_t *index) {
    _mm512_storeu_si512(weak, sums);
    _mm512_storeu_si512(index, t->sieve ? _mm512_srli_epi32(sums, TWD_SIEVE_SHIFT)
                                        : _mm512_srl_epi32(key_of(sums), _mm_cvtsi32_si128(t->filter_shift)));
}

/* Puts the weak sums that the sieve lets through together, and where the filter has their words; returns how many they are. Vectors are written
 * whole; what stands behind the last index is another's, or the sieve's, whose words are as many as the filter's at least. */
static inline AVX512 size_t sieved(const twd_table *t, uint32_t *weak, uint32_t *index, const uint32_t *word, size_t count) {
    const __m128i shift = _mm_cvtsi32_si128(t->filter_shift);
    size_t through = 0;
    for (size_t i = 0; i < count; i += 16) {
        __m512i sums = _mm512_loadu_si512(weak + i);
        __mmask16 pass = both_bits(word + i, sums);
        sums = _mm512_maskz_compress_epi32(pass, sums);
        _mm512_storeu_si512(weak + through, sums);
        _mm512_storeu_si512(index + through, _mm512_srl_epi32(key_of(sums), shift));
        through += (size_t)__builtin_popcount(pass);
    }
    return through;
}

/* Whether the table has one of the weak sums, whose words of the filter are given. */
static inline AVX512 int any_known(const twd_table *t, const uint32_t *weak, const uint32_t *word, size_t count) {
    for (size_t i = 0; i < count; i += 16) {
        uint32_t maybe = both_bits(word + i, key_of(_mm512_loadu_si512(weak + i)));
        if (count - i < 16) maybe &= (1u << (count - i)) - 1;
        for (; maybe; maybe &= maybe - 1)
            if (twd_table_has(t, twd_key(weak[i + (size_t)__builtin_ctz(maybe)]))) return 1;
    }
    return 0;
}

static AVX512 int has_one(const twd_table *t, const uint8_t *p, size_t count, twd_weak *weak) {
    const uint8_t *in = p + t->block_length;
    const __m512i length = _mm512_set1_epi16((short)(uint16_t)t->block_length), last = _mm512_set1_epi16(31);
    __m512i s1 = _mm512_set1_epi16((short)(uint16_t)weak->s1), s2 = _mm512_set1_epi16((short)(uint16_t)weak->s2);
    uint32_t sums[TWD_LONG_STRETCH], index[TWD_LONG_STRETCH], word[TWD_LONG_STRETCH];
    size_t i = 0;
    do {
        __m512i left = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(p + i)));
        __m512i entered = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const void *)(in + i)));
        s1 = _mm512_add_epi16(s1, prefix_sums(_mm512_sub_epi16(entered, left)));
        s2 = _mm512_add_epi16(s2, prefix_sums(_mm512_sub_epi16(s1, _mm512_mullo_epi16(left, length))));
        note(t, _mm512_unpacklo_epi16(s1, s2), sums + i, index + i);
        note(t, _mm512_unpackhi_epi16(s1, s2), sums + i + 16, index + i + 16);
        s1 = _mm512_permutexvar_epi16(last, s1);
        s2 = _mm512_permutexvar_epi16(last, s2);
        i += 32;
    } while (i < count);
    if (t->sieve) {
        twd_look_up(t->sieve, index, count, word);
        count = sieved(t, sums, index, word, count);
    }
    twd_look_up(t->filter, index, count, word);
    if (any_known(t, sums, word, count)) return 1;
    *weak = (twd_weak){(uint16_t)_mm512_cvtsi512_si32(s1), (uint16_t)_mm512_cvtsi512_si32(s2)};
    return 0;
}

static size_t scan(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    return twd_scan_stretches(has_one, t, p, most, weak, hit);
}

static int runs_here(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("popcnt");
}

const twd_kernel twd_avx512 = {"avx512", runs_here, scan, twd_sums_avx512};
#else
typedef int twd_no_avx512;
#endif
