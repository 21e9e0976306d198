/* The inner loop of the search: roll the weak sum byte by byte and stop where the bitmap may have it.
 *
 * Everything is in registers; per byte there are two loads of input, one of the bitmap, and one branch that is nearly never taken. Kernels
 * for wider vector units have this same signature. */
#ifndef TWD_SCAN_H
#define TWD_SCAN_H

#include "blocktable.h"
#include "weaksum.h"

#if defined(__GNUC__) || defined(__clang__)
#define TWD_RARELY(x) __builtin_expect(!!(x), 0)
#else
#define TWD_RARELY(x) (x)
#endif

#define TWD_SCAN_STEP(k)                                                                                                              \
    {                                                                                                                                 \
        w = twd_weak_roll(w, length, p[i + (k)], in[i + (k)]);                                                                        \
        uint32_t key = twd_key(twd_weak_pack(w));                                                                                     \
        if (TWD_RARELY(twd_bit(bitmap, key >> shift)) && twd_bit(t->second, twd_second_key(key) >> shift)) {                          \
            i += (k) + 1;                                                                                                             \
            *hit = 1;                                                                                                                 \
            break;                                                                                                                    \
        }                                                                                                                             \
    }

/* The window is the block at p, its sum *weak. Moves it on by up to `most` bytes; p[0 .. block_length + most) must be there.
 * Returns how far it went; *hit says whether the bitmaps have the sum at that place (the place where it began is not tried). */
static inline size_t twd_scan(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    const uint64_t *bitmap = t->bitmap;
    const int shift = t->bitmap_shift;
    const uint32_t length = t->block_length;
    const uint8_t *in = p + length;
    twd_weak w = *weak;
    size_t i = 0;
    *hit = 0;
    for (; i + 8 <= most; i += 8) {
        TWD_SCAN_STEP(0)
        TWD_SCAN_STEP(1)
        TWD_SCAN_STEP(2)
        TWD_SCAN_STEP(3)
        TWD_SCAN_STEP(4)
        TWD_SCAN_STEP(5)
        TWD_SCAN_STEP(6)
        TWD_SCAN_STEP(7)
    }
    if (!*hit)
        for (; i < most; i++) TWD_SCAN_STEP(0)
    *weak = w;
    return i;
}

#undef TWD_SCAN_STEP
#endif
