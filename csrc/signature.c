/* Makes a signature stream: header, an entry for each block, trailer. Input comes in any portions; a block that lies whole in one portion is
 * summed where it lies, one that does not goes through the running states. */
#include <stdlib.h>

#include "kernel.h"
#include "xxh64.h"

struct twd_signature {
    twd_result (*state)(twd_signature *, twd_buffers *);
    twd_pending pending;
    twd_xxh64_state stream; /* over all that was written */
    const twd_kernel *kernel;
    uint64_t seed, length;
    uint32_t block_length, strong_length, blocks;
    /* the block under way, if it began in an earlier portion */
    uint32_t held;
    twd_weak weak;
    twd_xxh64_state strong;
};

static uint8_t *add(twd_signature *job, size_t n) { return twd_pending_add(&job->pending, n); }

static twd_result s_done(twd_signature *job, twd_buffers *b) {
    (void)job;
    (void)b;
    return TWD_DONE;
}

/* The first bytes of the strong sum, of a number of which the highest byte is the first. */
static void put_entry(const twd_signature *job, uint8_t *p, uint32_t weak, uint64_t strong) {
    uint8_t sum[8];
    twd_put32(p, weak);
    twd_put64(sum, strong);
    memcpy(p + TWD_WEAK_BYTES, sum, job->strong_length);
}

static void add_entry(twd_signature *job, uint32_t weak, uint64_t strong) {
    size_t n = TWD_WEAK_BYTES + job->strong_length;
    uint8_t *p = add(job, n);
    put_entry(job, p, weak, strong);
    twd_xxh64_update(&job->stream, p, n);
    job->blocks++;
}

static twd_result s_trailer(twd_signature *job, twd_buffers *b) {
    (void)b;
    uint8_t *p = add(job, TWD_SIGNATURE_TRAILER);
    memcpy(p, TWD_SIGNATURE_END, 4);
    twd_put64(p + 4, job->length);
    twd_put32(p + 12, job->blocks);
    twd_xxh64_update(&job->stream, p, 16);
    twd_put64(p + 16, twd_xxh64_digest(&job->stream));
    job->state = s_done;
    return TWD_RUNNING;
}

static void end_held_block(twd_signature *job) {
    add_entry(job, twd_weak_pack(job->weak), twd_xxh64_digest(&job->strong));
    job->held = 0;
}

/* The sums of the first of `most` blocks at data: of a group, if there are enough, else of one. Returns of how many. */
static size_t sum(const twd_signature *job, const uint8_t *data, size_t most, uint32_t *weak, uint64_t *strong) {
    if (job->kernel->sums && most >= TWD_GROUP) {
        job->kernel->sums(data, job->block_length, job->seed, weak, strong);
        return TWD_GROUP;
    }
    twd_block_sums(data, job->block_length, job->seed, weak, strong);
    return 1;
}

static twd_result s_blocks(twd_signature *job, twd_buffers *b) {
    if (!b->avail_in) {
        if (!b->last_in) return TWD_MORE;
        if (job->held) end_held_block(job);
        job->state = s_trailer;
        return TWD_RUNNING;
    }
    if (!job->held) {
        if (job->blocks == TWD_MAX_SIGNATURE_BLOCKS) return TWD_TOO_MANY;
        if (b->avail_in >= job->block_length) {
            uint32_t weak[TWD_GROUP];
            uint64_t strong[TWD_GROUP];
            size_t n = sum(job, b->next_in, twd_min(b->avail_in / job->block_length, TWD_MAX_SIGNATURE_BLOCKS - job->blocks), weak, strong);
            for (size_t k = 0; k < n; k++) add_entry(job, weak[k], strong[k]);
            n *= job->block_length;
            job->length += n;
            b->next_in += n;
            b->avail_in -= n;
            return TWD_RUNNING;
        }
        job->weak.s1 = job->weak.s2 = 0;
        twd_xxh64_begin(&job->strong, job->seed);
    }
    size_t n = twd_min(job->block_length - job->held, b->avail_in);
    job->weak = twd_weak_extend(job->weak, b->next_in, n);
    twd_xxh64_update(&job->strong, b->next_in, n);
    job->held += (uint32_t)n;
    job->length += n;
    b->next_in += n;
    b->avail_in -= n;
    if (job->held == job->block_length) end_held_block(job);
    return TWD_RUNNING;
}

static twd_result s_header(twd_signature *job, twd_buffers *b) {
    (void)b;
    uint8_t *p = add(job, TWD_SIGNATURE_HEADER);
    memcpy(p, TWD_SIGNATURE_MAGIC, TWD_MAGIC_BYTES);
    twd_put32(p + 8, job->block_length);
    p[12] = (uint8_t)job->strong_length;
    twd_put64(p + 13, job->seed);
    twd_xxh64_update(&job->stream, p, TWD_SIGNATURE_HEADER);
    job->state = s_blocks;
    return TWD_RUNNING;
}

twd_signature *twd_signature_new(const twd_kernel *kernel, uint32_t block_length, uint32_t strong_length, uint64_t seed) {
    if (!block_length || block_length > TWD_MAX_BLOCK_LENGTH) return NULL;
    if (strong_length < TWD_MIN_STRONG_LENGTH || strong_length > TWD_MAX_STRONG_LENGTH) return NULL;
    twd_signature *job = calloc(1, sizeof *job);
    if (!job) return NULL;
    job->state = s_header;
    job->kernel = kernel;
    job->block_length = block_length;
    job->strong_length = strong_length;
    job->seed = seed;
    twd_xxh64_begin(&job->stream, 0);
    return job;
}

void twd_signature_free(twd_signature *job) { free(job); }

twd_result twd_signature_step(twd_signature *job, twd_buffers *b) {
    for (;;) {
        if (!twd_pending_flush(&job->pending, b)) return TWD_FULL;
        twd_result result = job->state(job, b);
        if (result != TWD_RUNNING) return result;
    }
}

size_t twd_signature_sum(const twd_signature *job, const uint8_t *data, size_t length, uint8_t *out) {
    uint8_t *p = out;
    for (size_t left = length / job->block_length, n; left; left -= n, data += n * job->block_length) {
        uint32_t weak[TWD_GROUP];
        uint64_t strong[TWD_GROUP];
        n = sum(job, data, left, weak, strong);
        for (size_t k = 0; k < n; k++, p += TWD_WEAK_BYTES + job->strong_length) put_entry(job, p, weak[k], strong[k]);
    }
    return (size_t)(p - out);
}

twd_result twd_signature_add(twd_signature *job, const uint8_t *entries, size_t length) {
    size_t entry = TWD_WEAK_BYTES + job->strong_length, count = length / entry;
    if (job->state != s_blocks || job->held || job->pending.length || length % entry) return TWD_CORRUPT;
    if (count > TWD_MAX_SIGNATURE_BLOCKS - job->blocks) return TWD_TOO_MANY;
    twd_xxh64_update(&job->stream, entries, length);
    job->blocks += (uint32_t)count;
    job->length += (uint64_t)count * job->block_length;
    return TWD_DONE;
}
