/* int16.h: products of 16-bit integers, for CPUs that have no better narrow arithmetic than AVX2's. Internal to engine/.
 *
 * Both operands are rounded to integers: x row by row (a row is a token or a pixel), W output by output, so that
 *
 *     y[r][n] = act(scale[r] * w->scale[n] * sum over k of x[r][k] w[n][k]  + bias[n])
 *
 * with a sum in 32 bits that cannot overflow: |x| <= most, and the weights of an output are scaled such that
 * most * (sum of their sizes) <= 2^31 - 1. That leaves 10 to 14 bits for a weight. Why not 8 bits: without VNNI the 8-bit
 * instruction adds pairs in 16 bits, where it saturates unless the operands lose a bit more. */
#ifndef CLIP_INT16_H
#define CLIP_INT16_H

#include "engine/error.h"
#include "engine/math/types.h"

#define CLIP_INT16_MOST 4095  /* the size of the largest number in a row that was rounded: see clip_kernels.to_int16 */
#define CLIP_INT16_PANEL 16   /* outputs whose weights lie together */

/* One layer's weights, in panels of outputs: [panels][pairs][CLIP_INT16_PANEL][2], zero behind the last output and input. */
typedef struct clip_int16_weights {
    int in, out, panels, pairs;
    int16_t *w;
    float *scale, *bias;      /* [panels * CLIP_INT16_PANEL] */
} clip_int16_weights;

/* w: [out][in]; b: [out] or NULL; neither is kept. most: the largest size that a number of x will have, 1..32767.
 * An output with a weight that is not finite comes out as NaN, as it does in f32. */
CLIP_MUST_USE clip_status clip_int16_pack(const float *w, const float *b, int in, int out, int most, clip_int16_weights **packed,
                                          clip_error *err);
void clip_int16_destroy(clip_int16_weights *w);

/* A matrix of such rows is one block of memory: the rows, each padded with zeros to a whole number of vectors, then their
 * scales. */
static inline size_t clip_int16_stride(int in) { return ((size_t)in + 15) & ~(size_t)15; }
static inline size_t clip_int16_bytes(size_t rows, int in) { return rows * (clip_int16_stride(in) * sizeof(int16_t) + sizeof(float)); }
static inline float *clip_int16_scales(const void *x, size_t rows, int in)
{
    return (float *)((uintptr_t)x + rows * clip_int16_stride(in) * sizeof(int16_t));
}

typedef struct clip_int16_args {
    const clip_int16_weights *w;
    const void *x;            /* the matrix of `rows` rows */
    int rows;
    float *y;                 /* [rows][out], ldy floats from row to row */
    size_t ldy;
    clip_activation act;      /* none, ReLU or ReLU6 */
    bool add;                 /* to what y holds, before the activation */
} clip_int16_args;

typedef struct clip_int16_kernel {
    const char *name;
    void (*product)(const clip_int16_args *a);
} clip_int16_kernel;

extern const clip_int16_kernel clip_int16_plain; /* the reference */
extern const clip_int16_kernel clip_int16_avx2;  /* only where built for x86-64 */

/* Whether that is an activation that a product can do. */
static inline bool clip_int16_knows(clip_activation act)
{
    return act == CLIP_ACT_NONE || act == CLIP_ACT_RELU || act == CLIP_ACT_RELU6;
}

/* The fastest that this CPU runs; a CPU without AVX2 has none that is worth it, and runs the reference. */
const clip_int16_kernel *clip_int16_best(void);
bool clip_int16_is_fast(void);

#endif
