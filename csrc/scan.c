/* The portable kernel, and the choice among all. */
#include "kernel.h"

#if defined(__GNUC__) || defined(__clang__)
#define TWD_RARELY(x) __builtin_expect(!!(x), 0)
#else
#define TWD_RARELY(x) (x)
#endif

/* Rolls the weak sum byte by byte, in registers: for each two loads of input, one of the filter, and a branch that is rarely taken. */
size_t twd_scan_bytes(const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    const uint32_t length = t->block_length;
    const uint8_t *in = p + length;
    twd_weak w = *weak;
    size_t i = 0;
    *hit = 0;
    while (i < most && !*hit) {
        w = twd_weak_roll(w, length, p[i], in[i]);
        i++;
        uint32_t key = twd_key(twd_weak_pack(w));
        if (TWD_RARELY(twd_filter_has(t, key))) *hit = twd_table_has(t, key);
    }
    *weak = w;
    return i;
}

void twd_look_up(const uint32_t *table, const uint32_t *index, size_t count, uint32_t *word) {
    for (size_t i = 0; i < count; i += 4) {
        uint64_t two, more; /* indexes of two words in one load */
        memcpy(&two, index + i, 8);
        memcpy(&more, index + i + 2, 8);
        word[i] = table[(uint32_t)two];
        word[i + 1] = table[two >> 32];
        word[i + 2] = table[(uint32_t)more];
        word[i + 3] = table[more >> 32];
    }
}

size_t twd_scan_stretches(twd_stretch *has_one, const twd_table *t, const uint8_t *p, size_t most, twd_weak *weak, int *hit) {
    size_t i = 0, stretch = TWD_SHORT_STRETCH;
    while (i + stretch <= most) {
        if (!has_one(t, p + i, stretch, weak)) {
            i += stretch;
            if (stretch < TWD_LONG_STRETCH) stretch *= 2;
        } else if (stretch > TWD_SHORT_STRETCH) {
            stretch = TWD_SHORT_STRETCH;
        } else {
            most = i + stretch;
            break;
        }
    }
    return i + twd_scan_bytes(t, p + i, most - i, weak, hit);
}

static int always(void) { return 1; }

const twd_kernel twd_portable = {"portable", always, twd_scan_bytes, NULL};

/* Best first. */
static const twd_kernel *const kernels[] = {
#if TWD_X86
    &twd_avx512,
    &twd_avx2,
#endif
    &twd_portable,
};

const twd_kernel *twd_kernel_find(const char *name) {
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if ((!name || !strcmp(name, kernels[i]->name)) && kernels[i]->runs_here()) return kernels[i];
    return NULL;
}

const char *twd_kernel_name(const twd_kernel *kernel) { return kernel->name; }
