/* Finds the blocks of a signature in the new file and writes a delta stream.
 *
 * Greedy: at each byte offset the first match is taken, then the search goes on behind it. What is tried at an offset, in order, is part of
 * the format's contract (docs/protocol/delta-format.md, "The search"), since both backends write the same bytes:
 *
 *   1. directly behind a match (and at the start): the block that follows, if it is of full length, by strong sum alone;
 *   2. the table, by weak sum;
 *   3. directly behind a match: the short last block, if it follows;
 *   4. at the end of the file: the short last block, as the file's last bytes.
 *
 * next_in is always the first byte that is not yet written as an operation; `at` counts from there. Nothing depends on how the input is
 * portioned. A copy is held back until something follows that does not continue it.
 *
 * Time is linear whatever the signature says: look-ups are logarithmic (blocktable.h), comparisons bounded, and strong sums computed in vain
 * are paid from `credit`, which grows with each byte of progress. Without credit, candidates are passed over: the stream gets longer, the
 * search does not get slower. */
#include <stdlib.h>

#include "kernel.h"
#include "xxh64.h"

enum {
    RUN = 16384,      /* literals from this length on are handed out where they lie; shorter ones are copied */
    RUN_OF_BLOCKS = 4 /* copied one behind the other, after which more are expected */
};

#define NONE UINT32_MAX

struct twd_search {
    twd_result (*state)(twd_search *, twd_buffers *);
    const twd_table *table;
    const twd_kernel *kernel;
    twd_pending pending;
    twd_xxh64_state output, frame; /* over the new file; over the stream without literal bytes */
    /* place of the search */
    size_t at;
    twd_weak weak;       /* of the window at `at`, when rolling */
    int rolling;         /* the window at `at` was tried in vain; otherwise the search stands directly behind a match, or at the start */
    uint32_t expected;   /* the block behind the last match; NONE after the last */
    uint64_t since;      /* literal bytes written since the last match */
    int64_t credit, credit_rate, credit_most;
    /* operations under way */
    size_t run_left;     /* bytes of a literal run that have no operation yet */
    size_t literal_left; /* bytes of the present literal operation */
    twd_result (*after_run)(twd_search *, twd_buffers *);
    uint32_t matched;    /* the block found behind the run */
    uint64_t found;      /* its strong sum, whole */
    uint32_t copy_first, copy_count;
    /* what another thread has found out about the windows behind foreseen */
    const uint8_t *foreseen;
    size_t foreseen_most, foreseen_count, foreseen_next;
    const twd_candidate *foreseen_at;
    /* strong sums of blocks that are likely to follow, made with those before: those of `ready` blocks from ready_at on */
    const uint8_t *ready_at;
    uint32_t ready;
    uint64_t ready_sums[TWD_GROUP];
    int weak_lost;       /* `weak` is not that of the window at `at` */
    twd_search_stats stats;
};

static twd_result s_search(twd_search *job, twd_buffers *b);
static twd_result s_run(twd_search *job, twd_buffers *b);

static size_t length_of(const twd_table *t, uint32_t block) { return block < t->full ? t->block_length : t->short_length; }

/* Queues bytes that are not literals, and takes them into the stream's own checksum. */
static void put(twd_search *job, const uint8_t *bytes, size_t n) {
    memcpy(twd_pending_add(&job->pending, n), bytes, n);
    twd_xxh64_update(&job->frame, bytes, n);
}

static void put_held_copy(twd_search *job) {
    uint8_t op[1 + 2 * TWD_MAX_VARINT] = {TWD_OP_COPY};
    size_t n = 1;
    if (!job->copy_count) return;
    n += twd_put_varint(op + n, job->copy_first);
    n += twd_put_varint(op + n, job->copy_count);
    put(job, op, n);
    job->stats.copies++;
    job->copy_count = 0;
}

static void consume(twd_buffers *b, size_t n) {
    b->next_in += n;
    b->avail_in -= n;
}

static twd_result s_done(twd_search *job, twd_buffers *b) {
    (void)job;
    (void)b;
    return TWD_DONE;
}

static twd_result s_end(twd_search *job, twd_buffers *b) {
    uint8_t end[1 + TWD_DELTA_TRAILER] = {TWD_OP_END};
    (void)b;
    put_held_copy(job);
    twd_put64(end + 1, job->stats.literal_bytes + job->stats.matched_bytes);
    twd_put64(end + 9, twd_xxh64_digest(&job->output));
    put(job, end, 17);
    twd_put64(twd_pending_add(&job->pending, 8), twd_xxh64_digest(&job->frame));
    job->state = s_done;
    return TWD_RUNNING;
}

/* The block at next_in is `matched`. */
static twd_result s_matched(twd_search *job, twd_buffers *b) {
    const twd_table *t = job->table;
    size_t n = length_of(t, job->matched);
    if (b->avail_in < n) return TWD_MORE; /* only if the caller took back what was there */
    if (!job->copy_count || job->copy_first + job->copy_count != job->matched) {
        put_held_copy(job);
        job->copy_first = job->matched;
    }
    job->copy_count++;
    job->stats.matched_bytes += n;
    uint8_t sum[8];
    twd_put64(sum, job->found);
    twd_xxh64_update(&job->output, sum, sizeof sum);
    consume(b, n);
    job->at = 0;
    job->since = 0;
    job->rolling = 0;
    job->expected = job->matched + 1 < t->full + (t->short_length != 0) ? job->matched + 1 : NONE;
    job->state = s_search;
    return TWD_RUNNING;
}

/* Bytes of the present literal operation, copied or handed out where they lie. */
static twd_result s_literal(twd_search *job, twd_buffers *b) {
    size_t n = twd_min(job->literal_left, b->avail_in);
    if (!n) return TWD_MORE; /* only if the caller took back what was there */
    twd_result result = TWD_RUNNING;
    if (n >= RUN) {
        b->run = b->next_in;
        b->run_length = n;
        result = TWD_LITERAL;
    } else {
        n = twd_min(n, b->avail_out);
        if (!n) return TWD_FULL;
        memcpy(b->next_out, b->next_in, n);
        b->next_out += n;
        b->avail_out -= n;
    }
    twd_xxh64_update(&job->output, b->next_in, n);
    consume(b, n);
    job->literal_left -= n;
    if (!job->literal_left) job->state = s_run;
    return result;
}

/* Writes the literal run at next_in, then goes on to after_run. */
static twd_result s_run(twd_search *job, twd_buffers *b) {
    uint8_t op[1 + TWD_MAX_VARINT] = {TWD_OP_LITERAL};
    (void)b;
    if (!job->run_left) {
        job->state = job->after_run;
        return TWD_RUNNING;
    }
    put_held_copy(job);
    job->literal_left = twd_min(job->run_left, TWD_MAX_LITERAL);
    job->run_left -= job->literal_left;
    job->stats.literals++;
    job->stats.literal_bytes += job->literal_left;
    put(job, op, 1 + twd_put_varint(op + 1, job->literal_left));
    job->state = s_literal;
    return TWD_RUNNING;
}

static twd_result write_run(twd_search *job, size_t length, twd_result (*after)(twd_search *, twd_buffers *)) {
    job->run_left = length;
    job->after_run = after;
    job->state = s_run;
    return TWD_RUNNING;
}

static twd_result match_at(twd_search *job, size_t at, uint32_t block) {
    job->matched = block;
    return write_run(job, at, s_matched);
}

/* Whether that block stands at p; keeps its strong sum. */
static int is_block(twd_search *job, const uint8_t *p, uint32_t block) {
    job->found = twd_xxh64(p, length_of(job->table, block), job->table->seed);
    return job->found >> job->table->strong_shift == job->table->strong[block];
}

/* The same for the expected block, with `ahead` bytes at p: if it follows some others, more of them are likely to follow, and their sums are made
 * together. So what is summed in vain is at most a group for each RUN_OF_BLOCKS that matched. */
static int is_expected(twd_search *job, const uint8_t *p, size_t ahead) {
    const twd_table *t = job->table;
    if (!job->ready || p != job->ready_at) {
        if (!job->kernel->sums || job->copy_count < RUN_OF_BLOCKS || ahead / t->block_length < TWD_GROUP) return is_block(job, p, job->expected);
        job->kernel->sums(p, t->block_length, t->seed, NULL, job->ready_sums);
        job->ready_at = p;
        job->ready = TWD_GROUP;
    }
    job->found = job->ready_sums[TWD_GROUP - job->ready--];
    job->ready_at += t->block_length;
    return job->found >> t->strong_shift == t->strong[job->expected];
}

/* The table's block that stands at p, or NONE. Of equal blocks the one that goes on from the last match is preferred: where it would
 * stand if the bytes between had been replaced, else inserted. */
static uint32_t look_up(twd_search *job, const uint8_t *p, uint32_t key) {
    const twd_table *t = job->table;
    uint32_t entry, end = twd_table_find(t, key, &entry);
    if (entry == end) return NONE;
    job->stats.candidates++;
    if (job->credit < (int64_t)t->block_length) {
        job->stats.passed_over++;
        return NONE;
    }
    job->found = twd_xxh64(p, t->block_length, t->seed);
    uint64_t strong = job->found >> t->strong_shift;
    for (; entry < end; entry++) {
        job->stats.compared++;
        if (t->strong[t->entry[entry].block] == strong) break;
    }
    if (entry == end) {
        job->stats.false_hits++;
        job->credit -= t->block_length;
        return NONE;
    }
    if (job->expected < t->full) {
        uint64_t gone = job->since + job->at, replaced = job->expected + gone / t->block_length;
        if (gone % t->block_length == 0 && replaced < t->full && t->strong[replaced] == strong) return (uint32_t)replaced;
        if (t->strong[job->expected] == strong) return job->expected;
    }
    return t->entry[entry].block;
}

static void earn(twd_search *job, size_t n) {
    job->credit += job->credit_rate * (int64_t)n; /* at most 2**18 * 2**18, no overflow */
    if (job->credit > job->credit_most) job->credit = job->credit_most;
}

/* Less than a window is left, or all windows were tried: only the short last block can still be found. */
static twd_result search_tail(twd_search *job, twd_buffers *b) {
    const twd_table *t = job->table;
    size_t n = t->short_length;
    if (n) {
        if (!job->rolling && job->expected == t->full && b->avail_in - job->at >= n && is_block(job, b->next_in + job->at, t->full))
            return match_at(job, job->at, t->full);
        if (b->avail_in - job->at >= n && is_block(job, b->next_in + (b->avail_in - n), t->full))
            return match_at(job, b->avail_in - n, t->full);
    }
    return write_run(job, b->avail_in, s_end);
}

static void find_weak(twd_search *job, const uint8_t *p) {
    job->weak = twd_weak_extend((twd_weak){0, 0}, p, job->table->block_length);
    job->weak_lost = 0;
}

/* Tries the window directly behind a match, or at the start of the file. */
static twd_result search_fresh(twd_search *job, twd_buffers *b) {
    const twd_table *t = job->table;
    const uint8_t *p = b->next_in + job->at;
    if (job->expected < t->full && is_expected(job, p, b->avail_in - job->at)) return match_at(job, job->at, job->expected);
    find_weak(job, p);
    uint32_t block = look_up(job, p, twd_key(twd_weak_pack(job->weak)));
    if (block != NONE) return match_at(job, job->at, block);
    if (t->short_length && job->expected == t->full && is_block(job, p, t->full)) return match_at(job, job->at, t->full);
    job->rolling = 1;
    return TWD_RUNNING;
}

/* From the window at p, already tried, at most `most` bytes on, to the first window that the table may have. */
static size_t scan(twd_search *job, const uint8_t *p, size_t most, int *hit) {
    if (!job->table->count) return most;
    /* As numbers: the two pointers need not be into one buffer. */
    uintptr_t here = (uintptr_t)p - (uintptr_t)job->foreseen;
    if (here < job->foreseen_most) {
        const twd_candidate *c = job->foreseen_at;
        while (job->foreseen_next < job->foreseen_count && c[job->foreseen_next].at <= here) job->foreseen_next++;
        *hit = job->foreseen_next < job->foreseen_count;
        size_t to = *hit ? c[job->foreseen_next].at : job->foreseen_most;
        if (to - here > most) {
            to = here + most;
            *hit = 0;
        }
        job->weak_lost = !*hit;
        if (*hit) job->weak = (twd_weak){c[job->foreseen_next].weak & 0xffff, c[job->foreseen_next].weak >> 16};
        return to - here;
    }
    if (job->weak_lost) find_weak(job, p);
    return job->kernel->scan(job->table, p, most, &job->weak, hit);
}

static twd_result s_search(twd_search *job, twd_buffers *b) {
    const twd_table *t = job->table;
    for (;;) {
        if (b->avail_in < job->at) return TWD_MORE; /* only if the caller took back what was there */
        size_t ahead = b->avail_in - job->at;
        if (ahead < t->block_length) return b->last_in ? search_tail(job, b) : TWD_MORE;
        if (!job->rolling) return search_fresh(job, b);
        if (job->at == TWD_MAX_LITERAL) {
            job->since += TWD_MAX_LITERAL;
            job->at = 0;
            return write_run(job, TWD_MAX_LITERAL, s_search);
        }
        size_t most = twd_min(ahead - t->block_length, TWD_MAX_LITERAL - job->at);
        if (!most) return b->last_in ? search_tail(job, b) : TWD_MORE;
        int hit = 0;
        size_t gone = scan(job, b->next_in + job->at, most, &hit);
        job->at += gone;
        earn(job, gone);
        if (hit) {
            uint32_t block = look_up(job, b->next_in + job->at, twd_key(twd_weak_pack(job->weak)));
            if (block != NONE) return match_at(job, job->at, block);
        }
    }
}

static twd_result s_header(twd_search *job, twd_buffers *b) {
    uint8_t header[TWD_DELTA_HEADER];
    (void)b;
    memcpy(header, TWD_DELTA_MAGIC, TWD_MAGIC_BYTES);
    twd_put64(header + 8, job->table->seed);
    twd_put32(header + 16, job->table->block_length);
    twd_put64(header + 20, job->table->length);
    put(job, header, sizeof header);
    job->state = s_search;
    return TWD_RUNNING;
}

twd_search *twd_search_new(const twd_table *table, const twd_kernel *kernel) {
    twd_search *job = calloc(1, sizeof *job);
    if (!job) return NULL;
    job->state = s_header;
    job->table = table;
    job->kernel = kernel;
    twd_xxh64_begin(&job->output, table->seed);
    twd_xxh64_begin(&job->frame, table->seed);
    job->expected = table->full || table->short_length ? 0 : NONE;
    job->credit_most = (int64_t)table->block_length * TWD_CONFIRM_BURST_BLOCKS;
    job->credit = job->credit_most;
    job->credit_rate = TWD_CONFIRM_BYTES_PER_BYTE + (int64_t)(table->length >> TWD_CONFIRM_SHARE_SHIFT);
    return job;
}

void twd_search_free(twd_search *job) { free(job); }

size_t twd_search_window(const twd_search *job) { return (size_t)job->table->block_length + TWD_MAX_LITERAL + 1; }

twd_result twd_search_step(twd_search *job, twd_buffers *b) {
    job->ready = 0; /* the input may be another */
    for (;;) {
        if (!twd_pending_flush(&job->pending, b)) return TWD_FULL;
        twd_result result = job->state(job, b);
        if (result != TWD_RUNNING) return result;
    }
}

size_t twd_foresee(const twd_table *t, const twd_kernel *kernel, const uint8_t *data, size_t *most, twd_candidate *found, size_t room) {
    twd_weak weak = twd_weak_extend((twd_weak){0, 0}, data, t->block_length);
    size_t at = 0, count = 0;
    while (at < *most && count < room) {
        int hit = 0;
        at += t->count ? kernel->scan(t, data + at, *most - at, &weak, &hit) : *most;
        if (hit) found[count++] = (twd_candidate){(uint32_t)at, twd_weak_pack(weak)};
    }
    *most = at;
    return count;
}

void twd_search_foreseen(twd_search *job, const uint8_t *data, size_t most, const twd_candidate *found, size_t count) {
    job->foreseen = data;
    job->foreseen_most = most;
    job->foreseen_at = found;
    job->foreseen_count = count;
    job->foreseen_next = 0;
}

void twd_search_counters(const twd_search *job, twd_search_stats *stats) { *stats = job->stats; }
