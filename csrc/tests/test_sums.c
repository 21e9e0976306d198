/* The two sums against known values and against their definitions. */
#include "check.h"
#include "weaksum.h"
#include "xxh64.h"

static void xxh64_has_the_published_values(void) {
    CHECK(twd_xxh64((const uint8_t *)"", 0, 0) == 0xEF46DB3751D8E999u);
    CHECK(twd_xxh64((const uint8_t *)"a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
    CHECK(twd_xxh64((const uint8_t *)"abc", 3, 0) == 0x44BC2CF5AD770999u);
    CHECK(twd_xxh64((const uint8_t *)"Nobody inspects the spammish repetition", 39, 0) == 0xFBCEA83C8A378BF1u);
}

static void xxh64_is_the_same_in_portions(void) {
    for (size_t length = 0; length < 200; length += 1 + length / 40) {
        bytes b = bytes_random(length, 256);
        uint64_t whole = twd_xxh64(b.data, length, length * 77);
        for (size_t portion = 1; portion < 70; portion++) {
            twd_xxh64_state s;
            twd_xxh64_begin(&s, length * 77);
            for (size_t at = 0; at < length; at += portion) twd_xxh64_update(&s, b.data + at, twd_min(portion, length - at));
            CHECK(twd_xxh64_digest(&s) == whole);
        }
        bytes_free(&b);
    }
}

static uint32_t weak_by_definition(const uint8_t *p, size_t n) {
    uint32_t s1 = 0, s2 = 0;
    for (size_t i = 0; i < n; i++) {
        s1 += p[i];
        s2 += (uint32_t)(n - i) * p[i];
    }
    return (s1 & 0xffff) | s2 << 16;
}

static void weaksum_is_its_definition(void) {
    CHECK(twd_weaksum((const uint8_t *)"\1\2\3", 3) == (6u | 10u << 16)); /* 3*1 + 2*2 + 1*3 = 10 */
    for (size_t length = 0; length < 5000; length += 1 + length / 3) {
        bytes b = bytes_random(length, 256), high = bytes_random(length, 1);
        if (length) memset(high.data, 255, length);
        CHECK(twd_weaksum(b.data, length) == weak_by_definition(b.data, length));
        CHECK(twd_weaksum(high.data, length) == weak_by_definition(high.data, length));
        size_t cut = random_below(length + 1);
        twd_weak w = twd_weak_extend((twd_weak){0, 0}, b.data, cut);
        CHECK(twd_weak_pack(twd_weak_extend(w, b.data + cut, length - cut)) == twd_weaksum(b.data, length));
        bytes_free(&b);
        bytes_free(&high);
    }
}

static void both_sums_in_one_pass(void) {
    for (size_t length = 0; length < 3000; length += 1 + length / 7) {
        bytes b = bytes_random(length, 256);
        uint32_t weak;
        uint64_t strong;
        twd_block_sums(b.data, length, length * 99, &weak, &strong);
        CHECK(weak == weak_by_definition(b.data, length) && strong == twd_xxh64(b.data, length, length * 99));
        bytes_free(&b);
    }
}

static void weaksum_rolls(void) {
    bytes b = bytes_random(3000, 256);
    static const uint32_t lengths[] = {1, 2, 31, 32, 700, 2000};
    for (size_t k = 0; k < sizeof lengths / sizeof *lengths; k++) {
        uint32_t n = lengths[k];
        twd_weak w = twd_weak_extend((twd_weak){0, 0}, b.data, n);
        for (size_t at = 0; at + n < b.length; at++) {
            w = twd_weak_roll(w, n, b.data[at], b.data[at + n]);
            CHECK(twd_weak_pack(w) == twd_weaksum(b.data + at + 1, n));
        }
    }
    bytes_free(&b);
}

void test_sums(void) {
    xxh64_has_the_published_values();
    xxh64_is_the_same_in_portions();
    weaksum_is_its_definition();
    both_sums_in_one_pass();
    weaksum_rolls();
}
