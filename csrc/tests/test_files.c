/* The batches of small files: BLAKE3 against itself in every way, and files in a folder of their own. */
#define _GNU_SOURCE
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files.h"

static const char *const hashers[] = {"portable", "avx2", "avx512"};

static void hash_one(const twf_kernel *kernel, const uint8_t *data, size_t length, uint8_t *out) {
    uint32_t size = (uint32_t)length;
    twf_blake3_many(kernel, data, &size, 1, out);
}

static void blake3_has_the_published_values(void) {
    /* test_vectors.json of the specification's authors: the input is 0, 1, ... 250, 0, 1, ... */
    static const struct {
        size_t length;
        uint8_t begins[8];
    } known[] = {
        {0, {0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6}},     {1, {0x2d, 0x3a, 0xde, 0xdf, 0xf1, 0x1b, 0x61, 0xf1}},
        {1023, {0x10, 0x10, 0x89, 0x70, 0xee, 0xda, 0x3e, 0xb9}},  {1024, {0x42, 0x21, 0x47, 0x39, 0xf0, 0x95, 0xa4, 0x06}},
        {1025, {0xd0, 0x02, 0x78, 0xae, 0x47, 0xeb, 0x27, 0xb3}},  {2048, {0xe7, 0x76, 0xb6, 0x02, 0x8c, 0x7c, 0xd2, 0x2a}},
        {31744, {0x62, 0xb6, 0x96, 0x0e, 0x1a, 0x44, 0xbc, 0xc1}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        bytes b = bytes_random(known[i].length, 256);
        for (size_t k = 0; k < b.length; k++) b.data[k] = (uint8_t)(k % 251);
        uint8_t out[32];
        hash_one(twf_kernel_find("portable"), b.data, b.length, out);
        CHECK(!memcmp(out, known[i].begins, 8));
        bytes_free(&b);
    }
}

/* Together and by any unit, each input has the hash that it has alone. */
static void blake3_is_the_same_in_any_company(void) {
    const twf_kernel *portable = twf_kernel_find("portable");
    for (int round = 0; round < 30; round++) {
        size_t count = random_below(60), total = 0;
        uint32_t *lengths = malloc(4 * count + 1);
        uint8_t *many = malloc(32 * count + 1), one[32];
        CHECK(lengths && many);
        for (size_t i = 0; i < count; i++) {
            lengths[i] = (uint32_t)(i % 9 == 8 ? random_below(65537) : random_below(i % 2 ? 3000 : 66));
            total += lengths[i];
        }
        bytes data = bytes_random(total, 256);
        for (size_t k = 0; k < sizeof hashers / sizeof *hashers; k++) {
            const twf_kernel *kernel = twf_kernel_find(hashers[k]);
            if (!kernel) continue;
            memset(many, 0, 32 * count);
            twf_blake3_many(kernel, data.data, lengths, count, many);
            for (size_t i = 0, at = 0; i < count; at += lengths[i++]) {
                hash_one(portable, data.data + at, lengths[i], one);
                CHECK(!memcmp(one, many + 32 * i, 32));
            }
        }
        bytes_free(&data);
        free(lengths);
        free(many);
    }
}

/* Stage, place, list, hash, read, in a folder that is removed again. */
static void files_go_round(void) {
    char folder[] = "/tmp/twf-test-XXXXXX";
    CHECK(mkdtemp(folder));
    int root = open(folder, O_RDONLY | O_DIRECTORY);
    CHECK(root >= 0 && !mkdirat(root, "from", 0700) && !mkdirat(root, "to", 0700));
    int from = openat(root, "from", O_RDONLY | O_DIRECTORY), to = openat(root, "to", O_RDONLY | O_DIRECTORY);
    CHECK(from >= 0 && to >= 0);
    const twf_kernel *kernel = twf_kernel_find(NULL);

    static const char data[] = "onetwo...three";
    const uint32_t sizes[] = {3, 3, 3, 5}, modes[] = {0640, 0600, 0600, 0777};
    const int64_t mtimes[] = {-1, 0, 1, INT64_MAX / 1000};
    uint8_t contents[4 * 32], sums[4 * 32];
    int32_t errors[4];
    twf_blake3_many(kernel, (const uint8_t *)data, sizes, 4, contents);
    contents[2 * 32] ^= 1;
    twf_stage(kernel, from, "a\0b\0c\0d", 4, (const uint8_t *)data, sizes, contents, modes, mtimes, sums, errors);
    CHECK(errors[0] == 0 && errors[1] == 0 && errors[2] == TWF_CHANGED && errors[3] == 0);
    twf_stage(kernel, from, "a", 1, (const uint8_t *)data, sizes, contents, modes, mtimes, sums, errors);
    CHECK(errors[0] == EEXIST);

    const int32_t there[] = {to, to, to, to};
    twf_stat stats[4];
    CHECK(!symlinkat("nowhere", to, "B"));
    twf_place(from, "a\0b\0c\0d", there, "A\0B\0C\0D", 4, stats);
    CHECK(!stats[0].error && stats[1].error == EEXIST && stats[2].error == ENOENT && !stats[3].error);
    CHECK(stats[0].size == 3 && stats[0].mtime_ns == -1 && stats[0].mode == (S_IFREG | 0640));

    char *names = malloc(TWF_LIST_NAMES);
    twf_stat *listed = malloc(TWF_LIST_ENTRIES * sizeof *listed);
    size_t room = TWF_LIST_NAMES;
    CHECK(names && listed && twf_list(to, names, &room, listed, TWF_LIST_ENTRIES) == 3 && room == 6);
    room = TWF_LIST_NAMES;
    CHECK(twf_list(to, names, &room, listed, TWF_LIST_ENTRIES) == 0 && room == 0);
    room = TWF_LIST_NAMES;
    CHECK(twf_list(-1, names, &room, listed, TWF_LIST_ENTRIES) == -EBADF);
    free(names);
    free(listed);

    uint32_t found[4];
    uint8_t *buffer = malloc(9), *out = malloc(3 + 3 + 3 + 5 + 1);
    CHECK(buffer && out);
    twf_hash(kernel, to, "A\0B\0C\0D", 4, 8, buffer, 9, found, sums, stats);
    CHECK(!stats[0].error && stats[1].error == ELOOP && stats[2].error == ENOENT && !stats[3].error);
    CHECK(!memcmp(sums, contents, 32) && !memcmp(sums + 96, contents + 96, 32));
    twf_hash(kernel, to, "D", 1, 4, buffer, 9, found, sums, stats);
    CHECK(stats[0].error == TWF_OTHER);

    CHECK(twf_read(kernel, there, "A\0B\0C\0D", 4, sizes, contents, out, found, sums, errors) == 8);
    CHECK(!memcmp(out, "onethree", 8) && !errors[0] && errors[1] == ELOOP && errors[2] == ENOENT && !errors[3]);
    contents[0] ^= 1;
    CHECK(twf_read(kernel, there, "A\0B\0C\0D", 4, sizes, contents, out, found, sums, errors) == 5);
    CHECK(!memcmp(out, "three", 5) && errors[0] == TWF_CHANGED);
    free(buffer);
    free(out);

    for (const char *name = "A\0B\0D\0"; *name; name += 2) CHECK(!unlinkat(to, name, 0));
    CHECK(!unlinkat(from, "b", 0) && !unlinkat(root, "from", AT_REMOVEDIR) && !unlinkat(root, "to", AT_REMOVEDIR));
    close(from), close(to), close(root);
    CHECK(!rmdir(folder));
}

void test_files(void) {
    blake3_has_the_published_values();
    blake3_is_the_same_in_any_company();
    files_go_round();
}
