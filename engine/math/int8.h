/* int8.h: products of 8-bit integers. oneDNN does them where the CPU has VNNI, whose instruction multiplies four unsigned by four
 * signed bytes and adds them in 32 bits; a kernel of our own where AVX2 is all there is. Internal to engine/.
 *
 * A row of x (a token) is rounded to u8 over its own range, weights are rounded to s8 output by output, so that
 *
 *     y[r][n] = scale[r] * scale[n] * (sum over k of u[r][k] s[n][k]  -  zero[r] * total[n])  + bias[n],  total[n] = sum over k of s[n][k]
 *
 * Why scales are not oneDNN's own post-operations: a scale for each row sends it to its reference code.
 *
 * AVX2's instruction (vpmaddubsw) adds two products in 16 bits, and saturates there. Our kernel adds two of its results besides, still
 * in 16 bits, and only then widens: a quarter fewer instructions. It is exact because weights are rounded such that no
 * four of them that meet there exceed 128 in sum, the positive ones and the negative ones taken apart: 255 * 128 < 2^15. That costs
 * a weight between half a bit and two of its 8: the longer the tails of their distribution, the less (tests/bench/RESULTS.md). */
#ifndef CLIP_INT8_H
#define CLIP_INT8_H

#include <math.h>
#include <stdbool.h>

#include "engine/error.h"
#include "engine/math/kernels.h"

/* The size of the largest weight, for oneDNN. Without VNNI its two products in 16 bits would saturate at 2 * 255 * 127. */
#define CLIP_INT8_MOST 127
#define CLIP_INT8_MOST_WITHOUT_VNNI 64

/* So many that sums keep inside 32 bits. */
#define CLIP_INT8_INPUTS (INT32_MAX / (255 * CLIP_INT8_MOST))

/* How a row is rounded whose numbers, and 0, lie between these two. */
static inline clip_u8_row clip_u8_range(float least, float most, bool finite)
{
    float range = most - least;
    if (!finite || !isfinite(range)) return (clip_u8_row){NAN, 0};
    if (range < 1e-30f) return (clip_u8_row){0, 0};
    return (clip_u8_row){range / 255, (int32_t)lrintf(least * (-255 / range))};
}

/* x * factor + shift, which is never far below 0, to nearest */
static inline uint8_t clip_u8_of(float x, float factor, float shift)
{
    float v = x * factor + (shift + 0.5f);
    return (uint8_t)(int32_t)(v < 255 ? v : 255);
}

/* A matrix of such rows is one block of memory: the rows, dense, then the clip_u8_row of each. */
static inline size_t clip_int8_bytes(size_t rows, int in) { return ((rows * (size_t)in + 63) & ~(size_t)63) + rows * sizeof(clip_u8_row); }
static inline clip_u8_row *clip_int8_rows(const void *x, size_t rows, int in)
{
    return (clip_u8_row *)((uintptr_t)x + ((rows * (size_t)in + 63) & ~(size_t)63));
}

typedef struct clip_int8_outputs {
    float *scale, *bias;  /* [out] */
    int32_t *total;       /* [out] */
} clip_int8_outputs;

/* w: [out][in], b: [out] or NULL -> rounded: [out][in], and the rest in one block, to be freed by o->scale. An output with a
 * weight that is not finite comes out as NaN. */
CLIP_MUST_USE clip_status clip_int8_round(const float *w, const float *b, int in, int out, int most, int8_t *rounded,
                                          clip_int8_outputs *o, clip_error *err);

/* ---- our own kernel ------------------------------------------------------------------------------------------------ */

#define CLIP_INT8_PANEL 16 /* outputs whose weights lie together */
#define CLIP_INT8_STEP 8   /* inputs that are taken at once: of each output two fours, whose pairs 0 and 1 are added in 16 bits */
#define CLIP_INT8_SUM 128  /* at most, of four weights of one sign */

/* One layer's weights: [panels][steps][2 fours][CLIP_INT8_PANEL][4], zero behind the last output and input. */
typedef struct clip_int8_weights {
    int in, out, panels, steps;
    int8_t *w;
    clip_int8_outputs o;   /* [panels * CLIP_INT8_PANEL] */
} clip_int8_weights;

CLIP_MUST_USE clip_status clip_int8_pack(const float *w, const float *b, int in, int out, clip_int8_weights **packed, clip_error *err);
void clip_int8_destroy(clip_int8_weights *w);

typedef struct clip_int8_args {
    const clip_int8_weights *w;
    const void *x;         /* the matrix of `rows` rows */
    int rows;
    float *y;              /* [rows][out], ldy floats from row to row */
    size_t ldy;
    bool add;              /* to what y holds */
} clip_int8_args;

typedef struct clip_int8_kernel {
    const char *name;
    void (*product)(const clip_int8_args *a);
} clip_int8_kernel;

extern const clip_int8_kernel clip_int8_plain; /* the reference */
extern const clip_int8_kernel clip_int8_avx2;  /* only where built for x86-64 */
const clip_int8_kernel *clip_int8_best(void);
bool clip_int8_is_fast(void);                  /* whether that is worth it */

#endif
