/* Streams that were altered, that lie, or that were made to cost time. */
#include "check.h"
#include "blocktable.h"
#include "xxh64.h"

static const portions WHOLE = {1u << 30, 4096};

/* One random change: a byte altered, a part cut out, bytes put in. Always gives another stream. */
static bytes mutated(bytes b) {
    bytes m = {NULL, 0, 0};
    do {
        bytes_free(&m);
        size_t at = random_below(b.length + 1);
        m = bytes_of(b.data, at);
        switch (random_below(4)) {
        case 0: /* truncated */ break;
        case 1: /* a part cut out */ {
            size_t skip = 1 + random_below(8);
            if (at + skip < b.length) bytes_append(&m, b.data + at + skip, b.length - at - skip);
            break;
        }
        case 2: /* bytes put in */ {
            bytes fresh = bytes_random(1 + random_below(8), 256);
            bytes_append(&m, fresh.data, fresh.length);
            bytes_append(&m, b.data + at, b.length - at);
            bytes_free(&fresh);
            break;
        }
        default: /* one to three bytes altered */
            bytes_append(&m, b.data + at, b.length - at);
            for (size_t i = random_below(3) + 1; i; i--) m.data[random_below(m.length)] ^= (uint8_t)(1u << random_below(8));
        }
    } while (bytes_equal(m, b));
    return m;
}

static void altered_streams_are_refused(void) {
    bytes old = bytes_random(500, 256), new_file = bytes_random(30, 256), out;
    bytes_append(&new_file, old.data + 50, 400);
    bytes_append(&new_file, old.data, 64);
    bytes signature = make_signature(old, 32, 1, WHOLE), delta = make_delta(signature, new_file, WHOLE, NULL);
    for (int round = 0; round < 20000; round++) {
        bytes bad = mutated(delta);
        CHECK(apply_patch(old, bad, (portions){1 + random_below(100), 1 + random_below(50)}, 1u << 20, &out) != TWD_DONE);
        bytes_free(&out);
        bytes_free(&bad);
        twd_table *table;
        bad = mutated(signature);
        CHECK(twd_table_new(bad.data, bad.length, &table) == TWD_CORRUPT && !table);
        bytes_free(&bad);
    }
    bytes_free(&old);
    bytes_free(&new_file);
    bytes_free(&signature);
    bytes_free(&delta);
}

/* Bytes without any sense, behind a good magic. */
static void noise_is_refused(void) {
    bytes old = bytes_random(500, 256), out;
    for (int round = 0; round < 20000; round++) {
        bytes noise = bytes_of(TWD_DELTA_MAGIC, TWD_MAGIC_BYTES), rest = bytes_random(random_below(60), round % 2 ? 3 : 256);
        uint8_t numbers[20] = {0};
        numbers[11] = (uint8_t)(1 + random_below(20));
        numbers[18] = 1;
        bytes_append(&noise, numbers, sizeof numbers); /* seed 0, a block length, an old file of 256 bytes */
        bytes_append(&noise, rest.data, rest.length);
        CHECK(apply_patch(old, noise, (portions){1 + random_below(20), 7}, 100000, &out) != TWD_DONE);
        bytes_free(&noise);
        bytes_free(&rest);
        bytes_free(&out);
    }
    bytes_free(&old);
}

/* Operations behind a good header, with a good end: what a liar sends. */
static bytes forged_delta(uint64_t old_length, const void *ops, size_t length, uint64_t total) {
    bytes d = bytes_of(TWD_DELTA_MAGIC, TWD_MAGIC_BYTES);
    uint8_t n[25] = {0};
    n[11] = 1; /* blocks of one byte, so that their numbers are places */
    twd_put64(n + 12, old_length);
    bytes_append(&d, n, 20);
    bytes_append(&d, ops, length);
    n[0] = TWD_OP_END;
    twd_put64(n + 1, total);
    twd_put64(n + 9, twd_xxh64(NULL, 0, 0));
    bytes_append(&d, n, 17);
    twd_put64(n, twd_xxh64(d.data, d.length, 0));
    bytes_append(&d, n, 8);
    return d;
}

static void lying_deltas_are_refused(void) {
#define LIE(old_length, ops, total, why) {old_length, ops, sizeof ops - 1, total, why}
    static const struct {
        uint64_t old_length;
        const char *ops;
        size_t length;
        uint64_t total;
        const char *why;
    } lies[] = {
        LIE(100, "\2\0\145", 101, "a copy reaches beyond the end of the old file"),
        LIE(100, "\2\144\1", 1, "a copy reaches beyond the end of the old file"),
        LIE(100, "\2\145\1", 1, "a copy reaches beyond the end of the old file"),
        LIE(100, "\2\1\377\377\377\377\377\377\377\377\177", 1, "a copy reaches beyond the end of the old file"),
        LIE(100, "\2\377\377\377\377\377\377\377\377\377\0\1", 1, "a number is too long"),
        LIE(100, "\2\0\377\377\377\377\377\377\377\377\377\377\377\1", 1, "a number is too long"),
        LIE(100, "\2\200\0\1", 1, "a number is not in its shortest form"),
        LIE(100, "\1\0", 0, "an operation of no bytes"),
        LIE(100, "\2\0\0", 0, "an operation of no bytes"),
        LIE(100, "\1\201\200\20", 0, "a literal is too long"),
        LIE(100, "\3", 0, "an unknown operation"),
        LIE((uint64_t)INT64_MAX + 1, "", 0, "the old file's length is out of bounds"),
        LIE(100, "", 1, "it does not write as many bytes as it says"),
        LIE(100, "\2\0\1\2\0\144\2\0\144", 201, "it writes more than is allowed"),
    };
#undef LIE
    bytes old = bytes_random(1000, 256); /* longer than any of them says */
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        bytes d = forged_delta(lies[i].old_length, lies[i].ops, lies[i].length, lies[i].total);
        twd_patch *job = twd_patch_new(any_kernel(), 200);
        twd_buffers b = {.next_in = d.data, .avail_in = d.length};
        twd_result result;
        while ((result = twd_patch_step(job, &b)) == TWD_LITERAL || result == TWD_COPY)
            if (result == TWD_COPY) CHECK(twd_patch_copied(job, b.copy_length) == TWD_DONE);
        CHECK(result == TWD_CORRUPT);
        CHECK(!strcmp(twd_patch_reason(job), lies[i].why));
        CHECK(twd_patch_step(job, &b) == TWD_CORRUPT); /* and stays so */
        twd_patch_free(job);
        bytes_free(&d);
    }
    bytes d = forged_delta(100, "", 0, 0), out;
    CHECK(apply_patch(old, d, WHOLE, 0, &out) == TWD_DONE && !out.length);
    bytes_free(&d);
    bytes_free(&out);
    bytes_free(&old);
}

/* A caller that takes back input, or copies what was not asked for, gets an answer, not a crash. */
static void careless_callers_are_safe(void) {
    bytes old = bytes_random(64, 256), new_file = bytes_random(40000, 256);
    bytes signature = make_signature(old, 16, 0, WHOLE);
    twd_table *table;
    CHECK(twd_table_new(signature.data, signature.length, &table) == TWD_DONE);
    twd_search *job = twd_search_new(table, twd_kernel_find(NULL));
    uint8_t out[100];
    twd_buffers b = {.next_in = new_file.data, .avail_in = new_file.length, .next_out = out, .avail_out = sizeof out};
    CHECK(twd_search_step(job, &b) == TWD_MORE);
    b.avail_in = 3;
    CHECK(twd_search_step(job, &b) == TWD_MORE);
    b.last_in = 1;
    CHECK(twd_search_step(job, &b) == TWD_MORE);
    twd_search_free(job);
    twd_table_free(table);
    twd_patch *patch = twd_patch_new(any_kernel(), 10);
    CHECK(twd_patch_take_blocks(patch, 0, old.data, 1) == TWD_CORRUPT);
    CHECK(twd_patch_prove(patch) == TWD_CORRUPT);
    CHECK(twd_patch_copied(patch, 1) == TWD_CORRUPT);
    twd_patch_free(patch);
    bytes_free(&old);
    bytes_free(&new_file);
    bytes_free(&signature);
}

/* A signature with a good checksum and any contents. */
static bytes forged(uint32_t block_length, uint64_t length, uint32_t blocks, uint32_t (*weak)(uint32_t)) {
    bytes s = bytes_of(TWD_SIGNATURE_MAGIC, TWD_MAGIC_BYTES);
    uint8_t n[24];
    twd_put32(n, block_length);
    n[4] = 8;
    twd_put64(n + 5, 0);
    bytes_append(&s, n, 13);
    for (uint32_t i = 0; i < blocks; i++) {
        twd_put32(n, weak(i));
        twd_put64(n + 4, random64());
        bytes_append(&s, n, 12);
    }
    memcpy(n, TWD_SIGNATURE_END, 4);
    twd_put64(n + 4, length);
    twd_put32(n + 12, blocks);
    bytes_append(&s, n, 16);
    twd_put64(n, twd_xxh64(s.data, s.length, 0));
    bytes_append(&s, n, 8);
    return s;
}

static uint32_t weak_zero(uint32_t i) {
    (void)i;
    return 0;
}

static uint32_t weak_count(uint32_t i) { return i; }

static void lying_signatures_are_refused(void) {
    static const struct {
        uint32_t block_length;
        uint64_t length;
        uint32_t blocks;
    } lies[] = {
        {0, 0, 0}, {TWD_MAX_BLOCK_LENGTH + 1, 5, 1}, {10, 20, 3}, {10, 31, 3}, {10, 0, 1}, {10, UINT64_MAX, 3}, {1, (uint64_t)1 << 63, 3},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        twd_table *table;
        bytes s = forged(lies[i].block_length, lies[i].length, lies[i].blocks, weak_zero);
        CHECK(twd_table_new(s.data, s.length, &table) == TWD_CORRUPT);
        bytes_free(&s);
    }
}

/* Many blocks with the weak sum of every window, none of which matches: the worst that a signature can ask for. */
static void one_weak_sum_costs_a_constant_factor(void) {
    enum { BLOCK_LENGTH = 1000, BLOCKS = 2000, NEW = 200000 };
    bytes signature = forged(BLOCK_LENGTH, (uint64_t)BLOCK_LENGTH * BLOCKS, BLOCKS, weak_zero), new_file = bytes_random(NEW, 1);
    twd_search_stats stats;
    bytes delta = make_delta(signature, new_file, WHOLE, &stats);
    CHECK(stats.candidates == NEW - BLOCK_LENGTH + 1);
    CHECK(stats.false_hits * BLOCK_LENGTH <= (uint64_t)NEW * TWD_CONFIRM_BYTES_PER_BYTE + BLOCK_LENGTH * TWD_CONFIRM_BURST_BLOCKS);
    CHECK(stats.compared <= stats.false_hits * TWD_MAX_BLOCK_CANDIDATES);
    CHECK(stats.passed_over + stats.false_hits == stats.candidates);
    CHECK(stats.literal_bytes == NEW);
    bytes_free(&signature);
    bytes_free(&new_file);
    bytes_free(&delta);
}

static void tables_keep_few_equal_blocks(void) {
    twd_table *table;
    bytes zeros = bytes_random(100000, 1), signature = make_signature(zeros, 100, 0, WHOLE);
    CHECK(twd_table_new(signature.data, signature.length, &table) == TWD_DONE);
    CHECK(table->full == 1000 && table->count == 1);
    twd_table_free(table);
    bytes_free(&signature);
    signature = forged(10, 20000, 2000, weak_zero);
    CHECK(twd_table_new(signature.data, signature.length, &table) == TWD_DONE);
    CHECK(table->count == TWD_MAX_BLOCK_CANDIDATES);
    for (uint32_t i = 0; i < table->count; i++) CHECK(table->entry[i].block == i);
    twd_table_free(table);
    bytes_free(&signature);
    bytes_free(&zeros);
}

static void tables_find_every_weak_sum(void) {
    twd_table *table;
    bytes signature = forged(10, 50000, 5000, weak_count);
    CHECK(twd_table_new(signature.data, signature.length, &table) == TWD_DONE);
    for (uint32_t weak = 0; weak < 6000; weak++) {
        uint32_t first, end = twd_table_find(table, twd_key(weak), &first);
        CHECK(end - first == (weak < 5000));
        if (end > first) CHECK(table->entry[first].block == weak);
    }
    twd_table_free(table);
    bytes_free(&signature);
}

static void zero_runs_jump_by_blocks(void) {
    bytes old = bytes_random(64 * 100, 1), new_file = bytes_random(1000000, 1);
    twd_search_stats stats;
    bytes signature = make_signature(old, 64, 0, WHOLE), delta = make_delta(signature, new_file, WHOLE, &stats);
    CHECK(stats.compared <= new_file.length / old.length + 1);
    CHECK(stats.matched_bytes == new_file.length);
    bytes_free(&old);
    bytes_free(&new_file);
    bytes_free(&signature);
    bytes_free(&delta);
}

void test_hostile(void) {
    altered_streams_are_refused();
    noise_is_refused();
    lying_signatures_are_refused();
    lying_deltas_are_refused();
    careless_callers_are_safe();
    one_weak_sum_costs_a_constant_factor();
    tables_keep_few_equal_blocks();
    tables_find_every_weak_sum();
    zero_runs_jump_by_blocks();
}
