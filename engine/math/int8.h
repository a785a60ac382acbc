/* int8.h: products of 8-bit integers, for CPUs with VNNI, whose instruction multiplies four unsigned by four signed bytes and
 * adds them in 32 bits. oneDNN does the product; rounding before it and scaling after it are ours. Internal to engine/.
 *
 * A row of x (a token) is rounded to u8 over its own range, weights are rounded to s8 output by output, so that
 *
 *     y[r][n] = scale[r] * scale[n] * (sum over k of u[r][k] s[n][k]  -  zero[r] * total[n])  + bias[n],  total[n] = sum over k of s[n][k]
 *
 * Why not as oneDNN's own post-operations: a scale for each row sends it to its reference code. */
#ifndef CLIP_INT8_H
#define CLIP_INT8_H

#include <math.h>

#include "engine/error.h"
#include "engine/math/kernels.h"

/* The size of the largest weight. Without VNNI two products are added in 16 bits first, where 2 * 255 * 127 would saturate. */
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

#endif
