/* BLAKE3 with AVX-512: sixteen pieces at once. */
#include "blake3_many.h"

#if TWF_X86
#include <immintrin.h>

typedef uint32_t vector __attribute__((vector_size(64)));
#define LANES 16
#define VEC vector
#define SPLAT(x) ((vector)_mm512_set1_epi32((int)(x)))
#define LOAD(words) ((vector)_mm512_loadu_si512(words))
#define STRIDED(bytes) \
    ((vector)_mm512_i32gather_epi32(_mm512_setr_epi32(0, 16, 32, 48, 64, 80, 96, 112, 128, 144, 160, 176, 192, 208, 224, 240), bytes, 4))
#define TARGET __attribute__((target("avx512f")))
#define NAME sixteen
#include "blake3_lanes.h"

static int runs_here(void) { return __builtin_cpu_supports("avx512f"); }

const twf_kernel twf_avx512 = {"avx512", LANES, runs_here, sixteen};
#else
typedef int twf_no_avx512;
#endif
