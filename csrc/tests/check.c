#include "check.h"
#include "blocktable.h"

static uint64_t random_state = 88172645463325252u;

uint64_t random64(void) { /* xorshift64* of Marsaglia and Vigna */
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 2685821657736338717u;
}

size_t random_below(size_t limit) { return limit ? (size_t)(random64() >> 16) % limit : 0; }

bytes bytes_of(const void *data, size_t length) {
    bytes b = {malloc(length + !length), length, length};
    CHECK(b.data);
    if (length) memcpy(b.data, data, length);
    return b;
}

bytes bytes_random(size_t length, unsigned letters) {
    bytes b = {malloc(length + !length), length, length};
    CHECK(b.data);
    for (size_t i = 0; i < length; i++) b.data[i] = (uint8_t)random_below(letters);
    return b;
}

void bytes_append(bytes *b, const void *data, size_t length) {
    if (!length) return;
    if (b->room < b->length + length) {
        b->room = 2 * b->length + length;
        b->data = realloc(b->data, b->room);
        CHECK(b->data);
    }
    memcpy(b->data + b->length, data, length);
    b->length += length;
}

void bytes_free(bytes *b) {
    free(b->data);
    b->data = NULL;
    b->length = b->room = 0;
}

int bytes_equal(bytes a, bytes b) { return a.length == b.length && (!a.length || !memcmp(a.data, b.data, a.length)); }

const char *const KERNELS[] = {"portable", "avx2", "avx512", NULL};

const twd_kernel *any_kernel(void) {
    const twd_kernel *kernel = NULL;
    while (!kernel) kernel = twd_kernel_find(KERNELS[random_below(3)]);
    return kernel;
}

/* An output buffer of its own for each step: exactly p.out bytes. */
static void open_output(twd_buffers *b, size_t size) {
    b->next_out = malloc(size);
    CHECK(b->next_out);
    b->avail_out = size;
}

static void close_output(twd_buffers *b, size_t size, bytes *out) {
    size_t n = size - b->avail_out;
    uint8_t *start = b->next_out - n;
    bytes_append(out, start, n);
    free(start);
}

bytes make_signature(bytes old, uint32_t block_length, uint64_t seed, portions p) {
    twd_signature *job = twd_signature_new(any_kernel(), block_length, 4 + (uint32_t)(seed % 5), seed);
    bytes out = bytes_of("", 0);
    size_t at = 0;
    twd_result result = TWD_MORE;
    CHECK(job);
    while (result != TWD_DONE) {
        size_t n = twd_min(p.in, old.length - at);
        bytes portion = bytes_of(old.data + at, n);
        twd_buffers b = {.next_in = portion.data, .avail_in = n, .last_in = at + n == old.length};
        do {
            open_output(&b, p.out);
            result = twd_signature_step(job, &b);
            close_output(&b, p.out, &out);
        } while (result == TWD_FULL);
        CHECK(result == TWD_DONE || (result == TWD_MORE && !b.last_in));
        CHECK(b.avail_in == 0);
        at += n;
        bytes_free(&portion);
    }
    twd_signature_free(job);
    return out;
}

bytes make_signature_in_parts(bytes old, uint32_t block_length, uint64_t seed) {
    twd_signature *job = twd_signature_new(any_kernel(), block_length, 4 + (uint32_t)(seed % 5), seed);
    size_t room = 100 + 12 * (old.length / block_length + 1), at = 0;
    bytes out = {malloc(room), 0, room};
    CHECK(job && out.data);
    twd_buffers b = {.next_out = out.data, .avail_out = room};
    CHECK(twd_signature_add(job, out.data, 0) == TWD_CORRUPT); /* the header comes first */
    CHECK(twd_signature_step(job, &b) == TWD_MORE);
    while (old.length - at >= block_length) {
        bytes part = bytes_of(old.data + at, twd_min(old.length - at, block_length * (1 + random_below(3)) + random_below(block_length)));
        size_t n = twd_signature_sum(job, part.data, part.length, b.next_out);
        CHECK(twd_signature_add(job, b.next_out, n - 1) == TWD_CORRUPT);
        CHECK(twd_signature_add(job, b.next_out, n) == TWD_DONE);
        b.next_out += n;
        b.avail_out -= n;
        at += part.length - part.length % block_length;
        bytes_free(&part);
    }
    b.next_in = old.data + at;
    b.avail_in = old.length - at;
    b.last_in = 1;
    CHECK(twd_signature_step(job, &b) == TWD_DONE);
    CHECK(twd_signature_add(job, out.data, 0) == TWD_CORRUPT);
    out.length = room - b.avail_out;
    twd_signature_free(job);
    return out;
}

/* With `foresee`, what another thread could find out is told for a part of each window, cut short at random. */
static bytes search(const twd_table *table, const twd_kernel *kernel, bytes new_file, portions p, int foresee, twd_search_stats *stats) {
    twd_search *job = twd_search_new(table, kernel);
    bytes out = bytes_of("", 0);
    size_t at = 0, end = 0;
    twd_result result = TWD_MORE;
    CHECK(job);
    while (result != TWD_DONE) {
        end += twd_min(p.in, new_file.length - end);
        bytes window = bytes_of(new_file.data + at, end - at);
        twd_buffers b = {.next_in = window.data, .avail_in = window.length, .last_in = end == new_file.length};
        twd_candidate found[40];
        size_t from = random_below(window.length + 1), room = 1 + random_below(sizeof found / sizeof *found);
        if (foresee && window.length - from >= table->block_length) {
            size_t most = window.length - from - table->block_length;
            size_t count = twd_foresee(table, kernel, window.data + from, &most, found, room);
            CHECK(count <= room && (count == room || from + most + table->block_length == window.length));
            twd_search_foreseen(job, window.data + from, most, found, count);
        } else {
            twd_search_foreseen(job, NULL, 0, NULL, 0);
        }
        do {
            open_output(&b, p.out);
            result = twd_search_step(job, &b);
            close_output(&b, p.out, &out);
            if (result == TWD_LITERAL) bytes_append(&out, b.run, b.run_length);
        } while (result == TWD_FULL || result == TWD_LITERAL);
        CHECK(result == TWD_DONE || (result == TWD_MORE && !b.last_in));
        CHECK(b.avail_in < twd_search_window(job));
        at = end - b.avail_in;
        bytes_free(&window);
    }
    CHECK(at == new_file.length);
    twd_search_counters(job, stats);
    twd_search_free(job);
    return out;
}

bytes make_delta(bytes signature, bytes new_file, portions p, twd_search_stats *stats) {
    twd_table *table;
    twd_search_stats first, again;
    CHECK(twd_table_new(signature.data, signature.length, &table) == TWD_DONE);
    bytes out = search(table, twd_kernel_find(KERNELS[0]), new_file, p, 0, &first);
    for (size_t k = 1; KERNELS[k / 2]; k++) {
        const twd_kernel *kernel = twd_kernel_find(KERNELS[k / 2]);
        if (!kernel) continue; /* not on this CPU; main() says so */
        bytes other = search(table, kernel, new_file, p, k % 2, &again);
        CHECK(bytes_equal(out, other));
        CHECK(!memcmp(&first, &again, sizeof first));
        bytes_free(&other);
    }
    if (stats) *stats = first;
    twd_table_free(table);
    return out;
}

static twd_result apply(bytes old, bytes delta, portions p, uint64_t most, int late, bytes *out) {
    twd_patch *job = twd_patch_new(any_kernel(), most);
    twd_result result = TWD_MORE;
    CHECK(job);
    *out = bytes_of("", 0);
    for (size_t at = 0; at < delta.length && (result == TWD_MORE || result == TWD_DONE); at += p.in) {
        size_t n = twd_min(p.in, delta.length - at);
        bytes portion = bytes_of(delta.data + at, n);
        twd_buffers b = {.next_in = portion.data, .avail_in = n};
        for (;;) {
            result = twd_patch_step(job, &b);
            if (result == TWD_LITERAL) {
                CHECK(b.run >= portion.data && b.run + b.run_length <= portion.data + n);
                bytes_append(out, b.run, b.run_length);
                twd_patch_take_bytes(job, b.run, b.run_length);
            } else if (result == TWD_COPY) {
                CHECK(b.copy_length > 0);
                if (b.copy_offset > old.length || b.copy_length > old.length - b.copy_offset) {
                    result = TWD_CORRUPT; /* the old file is shorter than the stream says */
                    break;
                }
                size_t part = late ? (size_t)b.copy_length : twd_min(p.out, (size_t)b.copy_length);
                CHECK(twd_patch_copied(job, part) == TWD_DONE);
                for (size_t done = 0, some; done < part; done += some) {
                    some = late ? twd_min(1 + random_below(p.out), part - done) : part;
                    CHECK(twd_patch_take_blocks(job, b.copy_offset + done, old.data + b.copy_offset + done, some) == TWD_DONE);
                }
                bytes_append(out, old.data + b.copy_offset, part);
            } else {
                break;
            }
            CHECK(out->length <= most);
        }
        bytes_free(&portion);
    }
    if (result == TWD_DONE) result = twd_patch_prove(job);
    if (result == TWD_DONE) CHECK(twd_patch_literal_bytes(job) + twd_patch_matched_bytes(job) == out->length);
    CHECK(twd_patch_reason(job));
    twd_patch_free(job);
    return result;
}

twd_result apply_patch(bytes old, bytes delta, portions p, uint64_t most, bytes *out) {
    bytes again;
    twd_result result = apply(old, delta, p, most, 0, out);
    CHECK(apply(old, delta, p, most, 1, &again) == result);
    CHECK(result != TWD_DONE || bytes_equal(*out, again));
    bytes_free(&again);
    return result;
}

int main(void) {
    for (size_t k = 0; KERNELS[k]; k++) printf("%s: %s\n", KERNELS[k], twd_kernel_find(KERNELS[k]) ? "tested" : "not on this CPU");
    test_sums();
    test_kernels();
    test_streams();
    test_hostile();
    test_files();
    test_listing();
    test_bulk();
    puts("ok");
    return 0;
}
