/* Reads a delta stream and says what to write: runs of its own input, and ranges of the old file.
 *
 * Every number is checked before it is used: no state holds an offset or a length that the stream only claims. What was written is worthless
 * until the last step has compared its length and the stream's own checksum, and the output is proved. */
#include <stdlib.h>

#include "kernel.h"
#include "xxh64.h"

struct twd_patch {
    twd_result (*state)(twd_patch *, twd_buffers *);
    twd_xxh64_state output, frame;
    const twd_kernel *kernel;
    uint8_t fixed[TWD_DELTA_HEADER]; /* header or trailer as it comes in */
    size_t got;
    uint64_t number; /* variable-length number as it comes in */
    int digits;
    uint64_t seed, old_length, max_output, written;
    uint64_t copy_offset, left; /* of the present operation */
    uint32_t block_length;
    twd_xxh64_state block; /* of the output, where it came in several portions; nothing else but `output` changes with it */
    uint64_t literal_bytes, matched_bytes;
    const char *reason;
};

static twd_result s_op(twd_patch *job, twd_buffers *b);

static twd_result s_corrupt(twd_patch *job, twd_buffers *b) {
    (void)job;
    (void)b;
    return TWD_CORRUPT;
}

static twd_result corrupt(twd_patch *job, const char *reason) {
    job->reason = reason;
    job->state = s_corrupt;
    return TWD_CORRUPT;
}

/* Collects n bytes in fixed[]; 1 when they are there. */
static int collect(twd_patch *job, twd_buffers *b, size_t n) {
    size_t take = twd_min(n - job->got, b->avail_in);
    if (take) memcpy(job->fixed + job->got, b->next_in, take);
    job->got += take;
    b->next_in += take;
    b->avail_in -= take;
    if (job->got < n) return 0;
    job->got = 0;
    return 1;
}

/* Reads a variable-length number into job->number: TWD_DONE when it is whole. The longest form has 63 bits, so nothing can overflow. */
static twd_result read_number(twd_patch *job, twd_buffers *b) {
    while (b->avail_in) {
        uint8_t digit = *b->next_in++;
        b->avail_in--;
        twd_xxh64_update(&job->frame, &digit, 1);
        if (!job->digits) job->number = 0;
        job->number |= (uint64_t)(digit & 0x7f) << 7 * job->digits++;
        if (digit < 0x80) {
            if (!digit && job->digits > 1) return corrupt(job, "a number is not in its shortest form");
            job->digits = 0;
            return TWD_DONE;
        }
        if (job->digits == TWD_MAX_VARINT) return corrupt(job, "a number is too long");
    }
    return TWD_MORE;
}

/* Checks an operation's length against what may still be written, and opens it. */
static twd_result open_operation(twd_patch *job, uint64_t length, twd_result (*state)(twd_patch *, twd_buffers *)) {
    if (!length) return corrupt(job, "an operation of no bytes");
    if (length > job->max_output - job->written) return corrupt(job, "it writes more than is allowed");
    job->written += length;
    job->left = length;
    job->state = state;
    return TWD_RUNNING;
}

static twd_result s_literal(twd_patch *job, twd_buffers *b) {
    if (!job->left) {
        job->state = s_op;
        return TWD_RUNNING;
    }
    if (!b->avail_in) return TWD_MORE;
    size_t n = job->left < b->avail_in ? (size_t)job->left : b->avail_in;
    b->run = b->next_in;
    b->run_length = n;
    b->next_in += n;
    b->avail_in -= n;
    job->left -= n;
    job->literal_bytes += n;
    return TWD_LITERAL;
}

static twd_result s_literal_length(twd_patch *job, twd_buffers *b) {
    twd_result result = read_number(job, b);
    if (result != TWD_DONE) return result;
    if (job->number > TWD_MAX_LITERAL) return corrupt(job, "a literal is too long");
    return open_operation(job, job->number, s_literal);
}

static twd_result s_copy(twd_patch *job, twd_buffers *b) {
    if (!job->left) {
        job->state = s_op;
        return TWD_RUNNING;
    }
    b->copy_offset = job->copy_offset;
    b->copy_length = job->left;
    return TWD_COPY;
}

static twd_result s_copy_length(twd_patch *job, twd_buffers *b) {
    twd_result result = read_number(job, b);
    if (result != TWD_DONE) return result;
    uint64_t first = job->copy_offset, blocks = job->old_length / job->block_length + (job->old_length % job->block_length != 0);
    if (first > blocks || job->number > blocks - first) return corrupt(job, "a copy reaches beyond the end of the old file");
    if (!job->number) return corrupt(job, "an operation of no bytes");
    job->copy_offset = first * job->block_length;
    uint64_t behind = job->old_length - job->copy_offset; /* at most 2**24 less than the blocks have, so that nothing below overflows */
    uint64_t length = job->number <= behind / job->block_length ? job->number * job->block_length : behind;
    return open_operation(job, length, s_copy);
}

static twd_result s_copy_offset(twd_patch *job, twd_buffers *b) {
    twd_result result = read_number(job, b);
    if (result != TWD_DONE) return result;
    job->copy_offset = job->number; /* a block, until the number of blocks is known too */
    job->state = s_copy_length;
    return TWD_RUNNING;
}

static twd_result s_done(twd_patch *job, twd_buffers *b) {
    if (b->avail_in) return corrupt(job, "other bytes follow its end");
    return TWD_DONE;
}

static twd_result s_trailer(twd_patch *job, twd_buffers *b) {
    if (!collect(job, b, TWD_DELTA_TRAILER)) return TWD_MORE;
    twd_xxh64_update(&job->frame, job->fixed, 16);
    if (twd_get64(job->fixed + 16) != twd_xxh64_digest(&job->frame)) return corrupt(job, "altered (its checksum does not fit)");
    if (twd_get64(job->fixed) != job->written) return corrupt(job, "it does not write as many bytes as it says");
    job->state = s_done;
    return TWD_RUNNING;
}

static twd_result s_op(twd_patch *job, twd_buffers *b) {
    if (!b->avail_in) return TWD_MORE;
    uint8_t op = *b->next_in++;
    b->avail_in--;
    twd_xxh64_update(&job->frame, &op, 1);
    switch (op) {
    case TWD_OP_END: job->state = s_trailer; break;
    case TWD_OP_LITERAL: job->state = s_literal_length; break;
    case TWD_OP_COPY: job->state = s_copy_offset; break;
    default: return corrupt(job, "an unknown operation");
    }
    return TWD_RUNNING;
}

static twd_result s_header(twd_patch *job, twd_buffers *b) {
    if (!collect(job, b, TWD_DELTA_HEADER)) return TWD_MORE;
    if (memcmp(job->fixed, TWD_DELTA_MAGIC, TWD_MAGIC_BYTES)) return corrupt(job, "not a delta stream, or of another version");
    job->seed = twd_get64(job->fixed + 8);
    job->block_length = twd_get32(job->fixed + 16);
    job->old_length = twd_get64(job->fixed + 20);
    if (!job->block_length || job->block_length > TWD_MAX_BLOCK_LENGTH) return corrupt(job, "the block length is out of bounds");
    if (job->old_length > INT64_MAX) return corrupt(job, "the old file's length is out of bounds");
    twd_xxh64_begin(&job->output, job->seed);
    twd_xxh64_begin(&job->frame, job->seed);
    twd_xxh64_update(&job->frame, job->fixed, TWD_DELTA_HEADER);
    job->state = s_op;
    return TWD_RUNNING;
}

twd_patch *twd_patch_new(const twd_kernel *kernel, uint64_t max_output) {
    twd_patch *job = calloc(1, sizeof *job);
    if (!job) return NULL;
    job->state = s_header;
    job->kernel = kernel;
    job->max_output = max_output < INT64_MAX ? max_output : INT64_MAX;
    job->reason = "truncated";
    return job;
}

void twd_patch_free(twd_patch *job) { free(job); }

twd_result twd_patch_step(twd_patch *job, twd_buffers *b) {
    for (;;) {
        twd_result result = job->state(job, b);
        if (result != TWD_RUNNING) return result;
    }
}

twd_result twd_patch_copied(twd_patch *job, uint64_t length) {
    if (job->state != s_copy || length > job->left) return corrupt(job, "more was copied than was asked for");
    job->copy_offset += length;
    job->left -= length;
    job->matched_bytes += length;
    return TWD_DONE;
}

void twd_patch_take_bytes(twd_patch *job, const uint8_t *data, size_t length) { twd_xxh64_update(&job->output, data, length); }

/* The sums of whole blocks at data, of which the last may be the short one: of a group together, as far as there are enough. */
static void take_whole(twd_patch *job, const uint8_t *data, size_t length) {
    while (length) {
        uint64_t sums[TWD_GROUP];
        uint8_t packed[8 * TWD_GROUP];
        size_t n = twd_min(job->block_length, length), count = 1;
        if (job->kernel->sums && length / TWD_GROUP >= job->block_length) {
            job->kernel->sums(data, n, job->seed, NULL, sums);
            n *= count = TWD_GROUP;
        } else {
            sums[0] = twd_xxh64(data, n, job->seed);
        }
        for (size_t k = 0; k < count; k++) twd_put64(packed + 8 * k, sums[k]);
        twd_xxh64_update(&job->output, packed, 8 * count);
        data += n;
        length -= n;
    }
}

twd_result twd_patch_take_blocks(twd_patch *job, uint64_t offset, const uint8_t *data, size_t length) {
    if (offset > job->old_length || length > job->old_length - offset) return TWD_CORRUPT;
    while (length) {
        uint64_t behind = job->old_length - offset;
        size_t within = (size_t)(offset % job->block_length), n = length - length % job->block_length;
        if (behind == length) n = length;
        if (!within && n) {
            take_whole(job, data, n);
        } else {
            size_t left = behind < job->block_length - within ? (size_t)behind : job->block_length - within; /* of the block */
            n = twd_min(left, length);
            if (!within) twd_xxh64_begin(&job->block, job->seed);
            twd_xxh64_update(&job->block, data, n);
            if (n == left) {
                uint8_t sum[8];
                twd_put64(sum, twd_xxh64_digest(&job->block));
                twd_xxh64_update(&job->output, sum, sizeof sum);
            }
        }
        offset += n;
        data += n;
        length -= n;
    }
    return TWD_DONE;
}

twd_result twd_patch_prove(twd_patch *job) {
    if (job->state != s_done) return TWD_CORRUPT;
    if (twd_get64(job->fixed + 8) != twd_xxh64_digest(&job->output))
        return corrupt(job, "the bytes written are not those of the new file (altered, or made for another old file)");
    return TWD_DONE;
}

uint64_t twd_patch_literal_bytes(const twd_patch *job) { return job->literal_bytes; }

uint64_t twd_patch_matched_bytes(const twd_patch *job) { return job->matched_bytes; }

const char *twd_patch_reason(const twd_patch *job) { return job->reason; }
