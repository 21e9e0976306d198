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

/* word[i] = table[index[i]], in fours: up to three indexes behind the last must be there, and be good. Little endian. Vector kernels look windows up
 * by it, a stretch at a time, and not by gathers: on many CPUs a lane of a gather takes longer than a load and a store. It stands
 * in a file without vector instructions, so that no compiler makes gathers of it. */
void twd_look_up(const uint32_t *table, const uint32_t *index, size_t count, uint32_t *word);

/* Looks at the `count` windows behind the one at p, whose sum is *weak: whether the table has one of them. If not, *weak becomes the sum of the
 * last. */
typedef int twd_stretch(const twd_table *t, const uint8_t *p, size_t count, twd_weak *weak);

/* What a stretch can be: TWD_SHORT_STRETCH times a power of two. */
enum { TWD_SHORT_STRETCH = 64, TWD_LONG_STRETCH = 512 };

/* A scan by stretches. They begin short and grow; where the table has a window of one, it is gone through again in shorter ones, and the
 * shortest byte by byte. */
size_t twd_scan_stretches(twd_stretch *has_one, const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit);

#endif
