/* BLAKE3 with AVX2: eight pieces at once. */
#include "blake3_many.h"

#if TWF_X86
#include <immintrin.h>

typedef uint32_t vector __attribute__((vector_size(32)));
#define LANES 8
#define VEC vector
#define SPLAT(x) ((vector)_mm256_set1_epi32((int)(x)))
#define LOAD(words) ((vector)_mm256_loadu_si256((const void *)(words)))
#define STRIDED(bytes) ((vector)_mm256_i32gather_epi32((const void *)(bytes), _mm256_setr_epi32(0, 16, 32, 48, 64, 80, 96, 112), 4))
#define TARGET __attribute__((target("avx2")))
#define NAME eight
#include "blake3_lanes.h"

static int runs_here(void) { return __builtin_cpu_supports("avx2"); }

const twf_kernel twf_avx2 = {"avx2", LANES, runs_here, eight};
#else
typedef int twf_no_avx2;
#endif
