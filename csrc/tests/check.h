/* What the tests of the C core share. */
#ifndef TWD_TESTS_CHECK_H
#define TWD_TESTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#include "delta.h"

#define CHECK(condition)                                                                                    \
    do {                                                                                                    \
        if (!(condition)) {                                                                                 \
            fprintf(stderr, "%s:%d: %s: not true: %s\n", __FILE__, __LINE__, __func__, #condition);         \
            exit(1);                                                                                        \
        }                                                                                                   \
    } while (0)

/* Bytes that grow. What bytes_of and bytes_random make is exactly as large as its bytes, so that the sanitizer sees each step beyond. */
typedef struct {
    uint8_t *data;
    size_t length, room;
} bytes;

/* Sizes in which input comes and output goes. */
typedef struct {
    size_t in, out;
} portions;

uint64_t random64(void); /* the same numbers in every run */
size_t random_below(size_t limit);
bytes bytes_of(const void *data, size_t length);
bytes bytes_random(size_t length, unsigned letters);
void bytes_append(bytes *b, const void *data, size_t length);
void bytes_free(bytes *b);
int bytes_equal(bytes a, bytes b);

/* The names of all kernels, the portable one first; NULL ends the list. */
extern const char *const KERNELS[];

const twd_kernel *any_kernel(void); /* of those that run here, at random */

/* The three jobs, driven to their end. A delta is made by every kernel that runs here, with
 * and without other threads' help, and all have to be equal, counters included. */
bytes make_signature(bytes old, uint32_t block_length, uint64_t seed, portions p);
bytes make_signature_in_parts(bytes old, uint32_t block_length, uint64_t seed);
bytes make_delta(bytes signature, bytes new_file, portions p, twd_search_stats *stats);
twd_result apply_patch(bytes old, bytes delta, portions p, uint64_t most, bytes *out);

void test_sums(void);
void test_kernels(void);
void test_streams(void);
void test_hostile(void);
void test_files(void);
void test_listing(void);
void test_bulk(void);

#endif
