/* BLAKE3 of many inputs: cut into chunks, the chunks of equal length side by side, then the trees of all inputs level by level. */
#include "blake3_many.h"

#define LANES 1
#define VEC uint32_t
#define SPLAT(x) (x)
#define LOAD(words) (*(words))
#define STRIDED(bytes) twf_get32(bytes)
#define TARGET
#define NAME single
#include "blake3_lanes.h"

const uint32_t twf_blake3_iv[8] = {0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19};

#define CHUNK 1024u
/* Chunks that are hashed before their trees are: enough that few lanes stay empty. */
#define TOGETHER 256
#define LONGEST_CHUNKS (TWF_LONGEST / CHUNK)

static int always(void) { return 1; }

static const twf_kernel portable = {"portable", 1, always, single};

/* Best first. */
static const twf_kernel *const kernels[] = {
#if TWF_X86
    &twf_avx512,
    &twf_avx2,
#endif
    &portable,
};

const twf_kernel *twf_kernel_find(const char *name) {
    for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++)
        if ((!name || !strcmp(name, kernels[i]->name)) && kernels[i]->runs_here()) return kernels[i];
    return NULL;
}

const char *twf_kernel_name(const twf_kernel *kernel) { return kernel->name; }

static void hash_all(const twf_kernel *kernel, const twf_piece *pieces, size_t count) {
    for (size_t at = 0; at < count; at += kernel->lanes) kernel->hash(pieces + at, count - at < kernel->lanes ? count - at : kernel->lanes);
}

/* Chunks of equal numbers of blocks beside each other, the longest first: a vector works as long as its longest lane. */
static void hash_chunks(const twf_kernel *kernel, const twf_piece *chunks, size_t count) {
    twf_piece sorted[TOGETHER + LONGEST_CHUNKS];
    size_t begins[18] = {0};
    for (size_t i = 0; i < count; i++) begins[17 - (chunks[i].length + 63) / 64]++;
    for (size_t i = 1; i < 18; i++) begins[i] += begins[i - 1];
    for (size_t i = 0; i < count; i++) sorted[--begins[17 - (chunks[i].length + 63) / 64]] = chunks[i];
    hash_all(kernel, sorted, count);
}

/* Inputs whose chunks are in work together. */
typedef struct {
    size_t first; /* where its chaining values begin */
    size_t values;
    uint8_t *out;
} tree;

/* Chaining values of neighbours become one, until each tree has its root. The odd one at the end goes up as it is, which gives the tree
 * of the specification: a left part of the largest power of two. */
static void grow(const twf_kernel *kernel, uint8_t values[][32], tree *trees, size_t count) {
    twf_piece parents[TOGETHER + LONGEST_CHUNKS];
    for (;;) {
        size_t made = 0;
        for (size_t t = 0; t < count; t++) {
            size_t first = trees[t].first, n = trees[t].values;
            for (size_t pair = 0; pair + 1 < n; pair += 2) {
                uint8_t *to = n == 2 ? trees[t].out : values[first + pair];
                parents[made++] = (twf_piece){values[first + pair], 64, n == 2 ? TWF_PARENT | TWF_ROOT : TWF_PARENT, 0, to};
            }
        }
        if (!made) return;
        hash_all(kernel, parents, made);
        for (size_t t = 0; t < count; t++) {
            size_t first = trees[t].first, n = trees[t].values;
            for (size_t i = 1; i < (n + 1) / 2; i++) memcpy(values[first + i], values[first + 2 * i], 32);
            if (n > 1) trees[t].values = (n + 1) / 2;
        }
    }
}

void twf_blake3_many(const twf_kernel *kernel, const uint8_t *data, const uint32_t *lengths, size_t count, uint8_t *out) {
    uint8_t values[TOGETHER + LONGEST_CHUNKS][32];
    twf_piece chunks[TOGETHER + LONGEST_CHUNKS];
    tree trees[TOGETHER];
    size_t waiting = 0, inputs = 0;
    for (size_t i = 0; i < count; i++) {
        size_t parts = lengths[i] > CHUNK ? (lengths[i] + CHUNK - 1) / CHUNK : 1;
        trees[inputs++] = (tree){waiting, parts, out + 32 * i};
        for (size_t part = 0; part < parts; part++) {
            uint32_t begins = (uint32_t)part * CHUNK, length = lengths[i] - begins < CHUNK ? lengths[i] - begins : CHUNK;
            uint8_t *to = parts == 1 ? out + 32 * i : values[waiting];
            chunks[waiting++] = (twf_piece){data + begins, length, parts == 1 ? TWF_ROOT : 0, part, to};
        }
        data += lengths[i];
        if (waiting >= TOGETHER || i + 1 == count) {
            hash_chunks(kernel, chunks, waiting);
            grow(kernel, values, trees, inputs);
            waiting = inputs = 0;
        }
    }
}
