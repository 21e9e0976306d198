/* Round trips: every small buffer size, random edits, runs longer than a literal operation. */
#include "check.h"

static const portions WHOLE = {1u << 30, 4096};

static void round_trip(bytes old, bytes new_file, uint32_t block_length, portions p) {
    bytes signature = make_signature(old, block_length, 5, WHOLE), same = make_signature(old, block_length, 5, p);
    CHECK(bytes_equal(signature, same));
    bytes_free(&same);
    same = make_signature_in_parts(old, block_length, 5);
    CHECK(bytes_equal(signature, same));
    bytes delta = make_delta(signature, new_file, WHOLE, NULL), other = make_delta(signature, new_file, p, NULL), out;
    CHECK(bytes_equal(delta, other));
    CHECK(apply_patch(old, delta, p, new_file.length, &out) == TWD_DONE);
    CHECK(bytes_equal(out, new_file));
    bytes_free(&out);
    if (new_file.length) {
        CHECK(apply_patch(old, delta, p, new_file.length - 1, &out) == TWD_CORRUPT);
        bytes_free(&out);
    }
    bytes_free(&signature);
    bytes_free(&same);
    bytes_free(&delta);
    bytes_free(&other);
}

static void every_small_buffer_size(void) {
    bytes old = bytes_random(700, 256), new_file = bytes_of(old.data, 300);
    bytes_append(&new_file, "between", 7);
    bytes_append(&new_file, old.data + 100, 600);
    for (size_t in = 1; in < 50; in++)
        for (size_t out = 1; out < 30; out += 1 + out / 5) round_trip(old, new_file, 32, (portions){in, out});
    bytes_free(&old);
    bytes_free(&new_file);
}

static void random_edits(void) {
    static const unsigned alphabets[] = {1, 2, 4, 256};
    for (int round = 0; round < 1500; round++) {
        unsigned letters = alphabets[random_below(4)];
        bytes old = bytes_random(random_below(600), letters), new_file = bytes_of("", 0);
        size_t pieces = random_below(6);
        for (size_t i = 0; i < pieces; i++) {
            size_t from = random_below(old.length + 1), n = random_below(old.length - from + 1);
            if (random_below(3)) {
                bytes_append(&new_file, old.data + from, n);
            } else {
                bytes fresh = bytes_random(random_below(60), letters);
                bytes_append(&new_file, fresh.data, fresh.length);
                bytes_free(&fresh);
            }
        }
        round_trip(old, new_file, 1 + (uint32_t)random_below(80), (portions){1 + random_below(200), 1 + random_below(40)});
        bytes_free(&old);
        bytes_free(&new_file);
    }
}

static void long_runs(void) {
    bytes old = bytes_random(100000, 256), new_file = bytes_random(2 * TWD_MAX_LITERAL + 777, 256);
    twd_search_stats stats;
    bytes_append(&new_file, old.data, old.length);
    bytes signature = make_signature(old, 1024, 0, WHOLE), delta = make_delta(signature, new_file, WHOLE, &stats);
    CHECK(stats.literals == 3 && stats.copies == 1 && stats.literal_bytes == 2 * TWD_MAX_LITERAL + 777);
    round_trip(old, new_file, 1024, (portions){30000, 1000});
    round_trip(old, new_file, 1024, (portions){300000, 5});
    bytes_free(&old);
    bytes_free(&new_file);
    bytes_free(&signature);
    bytes_free(&delta);
}

static void adjacent_blocks_are_one_copy(void) {
    bytes old = bytes_random(10007, 256);
    twd_search_stats stats;
    bytes signature = make_signature(old, 100, 0, WHOLE), delta = make_delta(signature, old, WHOLE, &stats);
    CHECK(stats.copies == 1 && stats.literals == 0 && stats.matched_bytes == old.length);
    CHECK(delta.length == TWD_DELTA_HEADER + 1 + 1 + 1 + 1 + TWD_DELTA_TRAILER);
    bytes_free(&old);
    bytes_free(&signature);
    bytes_free(&delta);
}

static void bounds_of_jobs(void) {
    CHECK(!twd_signature_new(any_kernel(), 0, 4, 0));
    CHECK(!twd_signature_new(any_kernel(), TWD_MAX_BLOCK_LENGTH + 1, 4, 0));
    CHECK(!twd_signature_new(any_kernel(), 1, TWD_MIN_STRONG_LENGTH - 1, 0));
    CHECK(!twd_signature_new(any_kernel(), 1, TWD_MAX_STRONG_LENGTH + 1, 0));
    bytes nothing = bytes_of("", 0);
    round_trip(nothing, nothing, 1, (portions){1, 1});
    round_trip(nothing, nothing, TWD_MAX_BLOCK_LENGTH, (portions){1, 1});
    bytes_free(&nothing);
}

static void too_many_blocks(void) {
    bytes old = bytes_random(TWD_MAX_SIGNATURE_BLOCKS + 1, 2);
    twd_signature *job = twd_signature_new(any_kernel(), 1, 8, 0);
    size_t room = TWD_MAX_SIGNATURE + 100;
    uint8_t *out = malloc(room);
    twd_buffers b = {.next_in = old.data, .avail_in = old.length - 1, .next_out = out, .avail_out = room};
    CHECK(job && out);
    CHECK(twd_signature_step(job, &b) == TWD_MORE);
    b.avail_in = 1;
    CHECK(twd_signature_step(job, &b) == TWD_TOO_MANY);
    twd_signature_free(job);
    free(out);
    bytes_free(&old);
}

void test_streams(void) {
    every_small_buffer_size();
    random_edits();
    long_runs();
    adjacent_blocks_are_one_copy();
    bounds_of_jobs();
    too_many_blocks();
}
