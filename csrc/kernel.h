/* The inner loops of search and sums, in one version for each kind of vector unit, and how one is picked.
 *
 * Each kernel gives the same results as the portable one, bit for bit; they differ in speed alone. Which ones a CPU can run is asked at
 * run time, so one build serves all. On other CPUs and compilers only the portable kernel exists. */
#ifndef TWD_KERNEL_H
#define TWD_KERNEL_H

#include "blocktable.h"
#include "weaksum.h"

#if (defined(__GNUC__) || defined(__clang__)) && defined(__x86_64__)
#define TWD_X86 1
#else
#define TWD_X86 0
#endif

enum { TWD_GROUP = 8 };

struct twd_kernel {
    const char *name;
    int (*runs_here)(void);
    /* The window is the block at p, its sum *weak. Moves it on, by at most `most` bytes, to the first place whose sum the table has (the
     * place where it began is not tried); p[0 .. block_length + most) must be there. Returns how far it went; *hit says whether it found
     * one. */
    size_t (*scan)(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit);
    /* The sums of TWD_GROUP adjacent blocks, `length` bytes each; weak may be NULL. NULL if that is no faster than one by one. */
    void (*sums)(const uint8_t *data, size_t length, uint64_t seed, uint32_t *weak, uint64_t *strong);
};

extern const twd_kernel twd_portable;
#if TWD_X86
extern const twd_kernel twd_avx2, twd_avx512;
void twd_sums_avx512(const uint8_t *data, size_t length, uint64_t seed, uint32_t *weak, uint64_t *strong);
#endif

/* A scan byte by byte: the portable kernel, and the ends that are shorter than a vector of the others. */
size_t twd_scan_bytes(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit);

/* Finishes what vectors have begun: of the `count` windows whose halves are in s1 and s2, those with a bit in `maybe` passed the filter.
 * Returns the first that the table has, or `count`. */
static inline size_t twd_first_hit(const twd_table *t, const uint16_t *s1, const uint16_t *s2, uint32_t maybe, size_t count) {
    for (size_t k = 0; maybe; k++, maybe >>= 1)
        if (maybe & 1 && twd_table_has(t, twd_key((uint32_t)s2[k] << 16 | s1[k]))) return k;
    return count;
}

#endif
