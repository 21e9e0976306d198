/* Listings beside what is known of a tree, in buffers of the exact size. */
#include "check.h"

#include "files.h"

/* What is known of `count` keys, with a table of `places`; free it with forget. */
static twf_known know(const char *keys, size_t size, const twf_stat *stats, size_t count, size_t places) {
    char *kept_keys = malloc(size + !size);
    twf_stat *kept_stats = malloc((count + !count) * sizeof *stats);
    twf_known known = {kept_keys,
                       kept_stats,
                       size,
                       count,
                       places - 1,
                       {random_below(SIZE_MAX), random_below(SIZE_MAX)},
                       malloc(count + !count),
                       malloc((count + !count) * sizeof(size_t)),
                       malloc(places * sizeof(uint64_t)),
                       7,
                       7};
    CHECK(kept_keys && kept_stats && known.met && known.starts && known.table);
    if (size) memcpy(kept_keys, keys, size);
    if (count) memcpy(kept_stats, stats, count * sizeof *stats);
    return known;
}

static void forget(twf_known *known) {
    free((void *)(uintptr_t)known->keys);
    free((void *)(uintptr_t)known->stats);
    free(known->met);
    free(known->starts);
    free(known->table);
}

static int begins(const char *names, size_t size, size_t count, size_t places) {
    twf_stat stats[4] = {{0}};
    twf_known known = know(names, size, stats, count, places);
    int result = twf_known_begin(&known);
    forget(&known);
    return result;
}

static void what_is_known_is_checked(void) {
    CHECK(!begins("", 0, 0, 1));
    CHECK(!begins("a\0b", 4, 2, 8));
    /* An empty one. */
    CHECK(begins("", 1, 1, 4));
    CHECK(begins("\0b", 3, 2, 8));
    CHECK(begins("a\0", 3, 2, 8));
    /* Another number of them. */
    CHECK(begins("a\0b", 3, 2, 8));
    CHECK(begins("a\0b", 4, 1, 8));
    CHECK(begins("a\0b", 4, 3, 8));
    CHECK(begins("a", 1, 1, 4));
    CHECK(begins("", 0, 1, 4));
    /* A table that is too full, and one whose size is no power of two. */
    CHECK(begins("a\0b", 4, 2, 4));
    CHECK(begins("a\0b", 4, 2, 7));
    twf_known known = {0};
    known.count = (size_t)TWF_KNOWN_MOST + 1, known.mask = SIZE_MAX;
    CHECK(twf_known_begin(&known) == -1);
}

/* A random listing of a folder, of entries that a random part of is known, and known as it is: against a plain search for each. */
static void what_differs_is_kept(void) {
    for (int round = 0; round < 400; round++) {
        enum { MOST = 40, LENGTH = 12, FOLDER = 4, KEY = FOLDER + LENGTH + 1 };
        const char *suffix = round % 2 ? ".vcf" : "", *folder = round % 4 < 2 ? "" : "d/e/";
        const size_t prefix = strlen(folder);
        char pool[MOST][LENGTH + 1] = {{0}}, known_keys[MOST * KEY], listed[MOST * (LENGTH + 1)], wanted[MOST * (LENGTH + 1)];
        twf_stat stats[MOST], known_stats[MOST], listed_stats[MOST];
        int32_t errors[MOST];
        int is_known[MOST], differs[MOST];
        size_t count = 0, known_size = 0, all = 0, listed_size = 0, equal = 0, other = 0, expected = 0, wanted_size = 0;
        size_t pooled = random_below(MOST + 1), number[MOST];
        uint8_t met[MOST] = {0};
        for (size_t i = 0; i < pooled; i++) {
            /* Each once: its number is in it. */
            size_t length = (size_t)snprintf(pool[i], LENGTH, "%s%zu%s", random_below(8) ? "" : ".", i, random_below(8) ? ".vcf" : "vc");
            stats[i] = (twf_stat){(int64_t)random_below(3), 1, 2, (int64_t)i, random_below(8) ? 0100644 : 040755, random_below(8) ? 0 : 2};
            is_known[i] = random_below(4) != 0, differs[i] = random_below(4) == 0;
            if (is_known[i]) {
                memcpy(known_keys + known_size, folder, prefix);
                memcpy(known_keys + known_size + prefix, pool[i], length + 1);
                known_size += prefix + length + 1;
                number[i] = count;
                known_stats[count] = stats[i];
                known_stats[count].error = 0;
                known_stats[count++].ctime_ns += differs[i];
            }
        }
        size_t places = 1;
        while (places <= 2 * count) places *= 2;
        twf_known known = know(known_keys, known_size, known_stats, count, places);
        CHECK(!twf_known_begin(&known));
        char *key = malloc(prefix + TWF_NAME);
        CHECK(key);
        memcpy(key, folder, prefix);
        for (size_t i = 0; i < pooled; i++) {
            if (random_below(8)) continue;
            snprintf(key + prefix, LENGTH + 1, "%s", pool[i]);
            CHECK(twf_known_forget(&known, key) == is_known[i]);
            if (is_known[i]) met[number[i]] = 2;
            is_known[i] = 0;
            CHECK(!twf_known_forget(&known, key));
        }
        for (size_t i = pooled; i-- > 0;) {
            if (!random_below(4)) continue;
            size_t length = strlen(pool[i]);
            memcpy(listed + listed_size, pool[i], length + 1);
            listed_size += length + 1;
            listed_stats[all++] = stats[i];
            int same = is_known[i] && !differs[i] && !stats[i].error;
            if (*suffix && (pool[i][0] == '.' || length < 4 || strcmp(pool[i] + length - 4, ".vcf"))) {
                other += strcmp(pool[i], ".0.vcf") != 0;
                continue;
            }
            /* What could not be looked at may be gone. */
            if (is_known[i] && !stats[i].error) met[number[i]] = 1;
            if (same && stats[i].mode == 0100644) {
                equal++;
            } else {
                memcpy(wanted + wanted_size, pool[i], length + 1);
                wanted_size += length + 1;
                errors[expected++] = stats[i].error ? stats[i].error : same ? TWF_EQUAL : is_known[i] ? TWF_DIFFERS : 0;
            }
        }
        char *names = malloc(listed_size + 1);
        twf_stat *step = malloc((all + 1) * sizeof *step);
        CHECK(names && step);
        memcpy(names, listed, listed_size);
        memcpy(step, listed_stats, all * sizeof *step);
        size_t used = listed_size;
        CHECK(twf_differing(&known, key, prefix, suffix, ".0.vcf", names, &used, step, all) == expected);
        CHECK(!memcmp(known.met, met, count));
        CHECK(known.equal == equal && known.other == other && used == wanted_size && !memcmp(names, wanted, used));
        for (size_t i = 0; i < expected; i++) CHECK(step[i].ctime_ns == 2 && step[i].error == errors[i]);
        free(key);
        free(names);
        free(step);
        forget(&known);
    }
}

/* A name that is longer than any file system's is given, whatever is known: it does not fit behind the prefix. */
static void a_long_name_is_given(void) {
    char name[TWF_NAME + 2], key[2 + TWF_NAME] = "d/", *known_key = malloc(sizeof name + 2);
    memset(name, 'n', sizeof name);
    for (size_t length = TWF_NAME - 1; length <= TWF_NAME; length++) {
        name[length] = 0;
        memcpy(known_key, "d/", 2);
        memcpy(known_key + 2, name, length + 1);
        twf_stat stat = {1, 1, 1, 1, 0100644, 0};
        twf_known known = know(known_key, length + 3, &stat, 1, 4);
        CHECK(!twf_known_begin(&known));
        size_t used = length + 1;
        CHECK(twf_differing(&known, key, 2, "", "", name, &used, &stat, 1) == (length == TWF_NAME));
        CHECK(!stat.error && known.equal == (length < TWF_NAME));
        forget(&known);
        name[length] = 'n';
    }
    free(known_key);
}

void test_listing(void) {
    what_is_known_is_checked();
    what_differs_is_kept();
    a_long_name_is_given();
}
