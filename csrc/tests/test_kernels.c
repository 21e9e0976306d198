/* Each kernel's scan against the definition of the sum, window by window, in memory that ends where the scan may read last. */
#include "check.h"
#include "kernel.h"

/* A table whose only blocks are the windows of `data` at the given places. */
static twd_table *table_of(bytes data, uint32_t length, const size_t *places, uint32_t count) {
    bytes old = bytes_of("", 0);
    for (uint32_t i = 0; i < count; i++) bytes_append(&old, data.data + places[i], length);
    bytes signature = make_signature(old, length, 0, (portions){1u << 30, 4096});
    twd_table *table;
    CHECK(twd_table_new(signature.data, signature.length, &table) == TWD_DONE);
    bytes_free(&old);
    bytes_free(&signature);
    return table;
}

/* Scans from place 0 on for `most` bytes, going on behind each hit, and compares with looking at every window. */
static void scan_all(const twd_kernel *kernel, const twd_table *table, bytes data, size_t most) {
    uint32_t length = table->block_length;
    bytes exact = bytes_of(data.data, length + most);
    twd_weak w = twd_weak_extend((twd_weak){0, 0}, exact.data, length);
    size_t at = 0;
    while (at < most) {
        int hit = 7;
        size_t gone = kernel->scan(table, exact.data + at, most - at, &w, &hit);
        CHECK(gone && gone <= most - at && (hit == 0 || hit == 1) && (hit || gone == most - at));
        for (size_t k = at + 1; k <= at + gone; k++)
            CHECK(twd_table_has(table, twd_key(twd_weaksum(exact.data + k, length))) == (hit && k == at + gone));
        at += gone;
        CHECK(twd_weak_pack(w) == twd_weaksum(exact.data + at, length));
    }
    bytes_free(&exact);
}

static void every_place_is_found(const twd_kernel *kernel) {
    bytes data = bytes_random(400, 256);
    for (size_t place = 0; place < 140; place++) {
        twd_table *table = table_of(data, 50, &place, 1);
        for (size_t most = 0; most < 140; most += 1 + most / 5) scan_all(kernel, table, data, most);
        scan_all(kernel, table, data, place);
        scan_all(kernel, table, data, place + 1);
        twd_table_free(table);
    }
    bytes_free(&data);
}

/* Stretches of every length, with a hit at any place of them, and another one behind it. */
static void hits_in_every_stretch(const twd_kernel *kernel) {
    enum { LENGTH = 30, MOST = 3 * TWD_LONG_STRETCH + 2 * TWD_SHORT_STRETCH };
    bytes data = bytes_random(LENGTH + MOST + 1, 256);
    for (size_t place = 1; place <= MOST; place++) {
        size_t places[] = {place, place + random_below(MOST + 1 - place)};
        twd_table *table = table_of(data, LENGTH, places, 2);
        scan_all(kernel, table, data, MOST - random_below(2 * TWD_SHORT_STRETCH));
        twd_table_free(table);
    }
    bytes_free(&data);
}

static void any_length_and_any_bytes(const twd_kernel *kernel) {
    static const uint32_t lengths[] = {1, 2, 15, 16, 31, 32, 33, 255, 700, 32767, 32768, 65535, 65536, 65537, 100000};
    static const unsigned alphabets[] = {1, 2, 256};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
        for (size_t a = 0; a < 3; a++) {
            size_t most = lengths[i] < 1000 ? 300 : 70, places[] = {3, most / 3, most / 2, most - 1, most};
            bytes data = bytes_random(lengths[i] + most + 1, alphabets[a]);
            if (a == 0) memset(data.data, i % 2 ? 255 : 0, data.length); /* every window is a hit */
            twd_table *table = table_of(data, lengths[i], places, 5);
            scan_all(kernel, table, data, most);
            twd_table_free(table);
            bytes_free(&data);
        }
}

/* More blocks than the filter has words for: most windows pass it in vain, and many are found. */
static void a_filter_that_lets_all_through(const twd_kernel *kernel) {
    enum { LENGTH = 20, MOST = 3000 };
    bytes data = bytes_random(LENGTH + MOST + 1, 256);
    size_t places[200];
    for (size_t i = 0; i < 200; i++) places[i] = random_below(MOST);
    twd_table *table = table_of(data, LENGTH, places, 200);
    memset(table->filter, 255, sizeof *table->filter << (32 - table->filter_shift));
    scan_all(kernel, table, data, MOST);
    twd_table_free(table);
    bytes_free(&data);
}

/* Enough blocks for a sieve; found often, rarely, and when the sieve lets all through. */
static void sieves(const twd_kernel *kernel) {
    enum { LENGTH = 40, MOST = 20000, BLOCKS = 5000 };
    bytes data = bytes_random(LENGTH + MOST + BLOCKS + 1, 256);
    size_t *places = malloc(BLOCKS * sizeof *places);
    CHECK(places);
    static const size_t rare[] = {1, 30, 100, 4000, BLOCKS};
    memset(data.data + MOST + BLOCKS / 2, 0, LENGTH); /* a weak sum of 0, as what stands behind the last in a vector may have */
    for (size_t r = 0; r < sizeof rare / sizeof *rare; r++) {
        for (size_t i = 0; i < BLOCKS; i++) places[i] = i < rare[r] ? random_below(MOST) : MOST + 1 + random_below(BLOCKS);
        if (rare[r] < BLOCKS) places[BLOCKS - 1] = MOST + BLOCKS / 2;
        twd_table *table = table_of(data, LENGTH, places, BLOCKS);
        CHECK(table->sieve);
        scan_all(kernel, table, data, MOST);
        if (r % 2) memset(table->sieve, 255, TWD_SIEVE_WORDS * sizeof *table->sieve);
        for (size_t most = 0; most < 700; most += 1 + most / 7) scan_all(kernel, table, data, most);
        twd_table_free(table);
    }
    free(places);
    bytes_free(&data);
}

/* Eight blocks side by side against one by one. */
static void sums_of_groups(const twd_kernel *kernel) {
    static const size_t lengths[] = {1, 3, 31, 32, 33, 63, 64, 100, 704, 4097, 70000};
    for (size_t i = 0; kernel->sums && i < sizeof lengths / sizeof *lengths; i++) {
        for (int kind = 0; kind < 2; kind++) {
            size_t length = lengths[i];
            bytes data = bytes_random(TWD_GROUP * length, 256);
            uint32_t weak[TWD_GROUP], one_weak;
            uint64_t strong[TWD_GROUP], alone[TWD_GROUP], one_strong, seed = random64();
            if (kind) memset(data.data, 255, data.length);
            kernel->sums(data.data, length, seed, weak, strong);
            kernel->sums(data.data, length, seed, NULL, alone);
            for (size_t k = 0; k < TWD_GROUP; k++) {
                twd_block_sums(data.data + k * length, length, seed, &one_weak, &one_strong);
                CHECK(weak[k] == one_weak && strong[k] == one_strong && alone[k] == one_strong);
            }
            bytes_free(&data);
        }
    }
}

void test_kernels(void) {
    CHECK(twd_kernel_find("portable") == &twd_portable);
    CHECK(!twd_kernel_find("") && !twd_kernel_find("avx"));
    CHECK(twd_kernel_find(NULL));
    for (size_t k = 0; KERNELS[k]; k++) {
        const twd_kernel *kernel = twd_kernel_find(KERNELS[k]);
        if (!kernel) continue;
        CHECK(!strcmp(twd_kernel_name(kernel), KERNELS[k]));
        every_place_is_found(kernel);
        hits_in_every_stretch(kernel);
        any_length_and_any_bytes(kernel);
        a_filter_that_lets_all_through(kernel);
        sieves(kernel);
        sums_of_groups(kernel);
    }
}
