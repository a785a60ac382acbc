/* kernels_avx512.c: the vector kernels on 16 floats, for CPUs with AVX-512 F, BW, DQ and VL. 32 registers: dots keeps
 * 6 x 4 sums, four weights and one row of x; tile 6 x 4 sums, four columns and one broadcast. */
#include <immintrin.h>
#include <stdint.h>

#define LANES 16
#define DOT_ROWS 6
#define DOT_COLS 4
#define TILE_ROWS 6
#define TILE_COLS 4

typedef __m512 vf;

static inline vf v_set(float x) { return _mm512_set1_ps(x); }
static inline vf v_load(const void *p) { return _mm512_loadu_ps(p); }
static inline void v_store(float *p, vf x) { _mm512_storeu_ps(p, x); }
static inline vf v_max(vf a, vf b) { return _mm512_max_ps(a, b); }
static inline vf v_min(vf a, vf b) { return _mm512_min_ps(a, b); }
static inline vf v_abs(vf a) { return _mm512_abs_ps(a); }
static inline vf v_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
static inline vf v_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
static inline vf v_scale(vf x, vf n) { return _mm512_scalef_ps(x, n); }
static inline float v_sum(vf x) { return _mm512_reduce_add_ps(x); }
static inline float v_maximum(vf x) { return _mm512_reduce_max_ps(x); }

/* to nearest; within 16 bits */
static inline void v_store_int16(int16_t *p, vf x)
{
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(x)));
}

static inline vf v_load_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

#include "engine/math/kernels_vector.h"

const clip_kernels clip_kernels_avx512 = CLIP_VECTOR_KERNELS("AVX-512");
