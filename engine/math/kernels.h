/* kernels.h: the arithmetic of our own, for what oneDNN does not reach: few rows against weights that still lie in the
 * mapped file as f16, attention of many small heads, and the passes between two matrix products. Internal to engine/.
 *
 * Each table holds the same functions; clip_kernels_plain is the reference that the others are tested against, and all
 * that a CPU without AVX2 has. Nothing here allocates, locks or starts a thread: layers.h splits the work. */
#ifndef CLIP_KERNELS_H
#define CLIP_KERNELS_H

#include <stdbool.h>

#include "engine/math/types.h"

/* One linear layer as its file holds it; y = act(x Wᵀ + b), or y += x Wᵀ + b when `add`. */
typedef struct clip_linear_args {
    const float *x;     /* [rows][in], ldx floats from row to row */
    size_t ldx;
    int rows, in;
    const void *w;      /* [out][in], of type `type`, at any alignment */
    clip_type type;     /* f32, f16 or bf16 */
    const float *b;     /* [out] or NULL */
    float *y;           /* [rows][out], ldy floats from row to row */
    size_t ldy;
    clip_activation act;
    bool add;
} clip_linear_args;

/* One head of attention over one sequence. Row t of q, k, v and out begins ld (ldo) floats after row t-1. */
typedef struct clip_attention_args {
    const float *q, *k, *v; /* [queries][head], [keys][head], [keys][head] */
    size_t ldq, ldkv;
    float scale;            /* of q k, usually 1 / sqrt(head) */
    float *out;             /* [queries][head] */
    size_t ldo;
    int queries, keys, head;
    bool causal;            /* query i sees keys 0 .. keys - queries + i */
    float *scratch;         /* clip_attention_scratch(keys, head) floats, 64-byte aligned */
} clip_attention_args;

/* Vectors are at most 16 floats wide and rows are taken at most 8 at a time. */
static inline size_t clip_attention_scratch(int keys, int head)
{
    size_t t = ((size_t)keys + 15) & ~(size_t)15, d = ((size_t)head + 15) & ~(size_t)15;
    return t * d * 2 + 8 * t + 8 * d;
}

/* How a row was rounded to u8: x = scale * (u - zero). */
typedef struct clip_u8_row {
    float scale;
    int32_t zero;
} clip_u8_row;

/* One row of a product of 8-bit integers: y = row.scale * scale * (sums - row.zero * total) + bias, added to y when `add`. */
typedef struct clip_sums_args {
    const int32_t *sums, *total; /* [n]; sums may be where y is */
    const float *scale, *bias;   /* [n] */
    clip_u8_row row;
    size_t n;
    float *y;                    /* [n] */
    bool add;
} clip_sums_args;

typedef struct clip_kernels {
    const char *name;
    void (*linear)(const clip_linear_args *a, int first, int end); /* output columns first .. end-1 */
    void (*attention)(const clip_attention_args *a);
    void (*layer_norm)(const float *x, const float *gain, const float *bias, float eps, int width, float *y); /* one row */
    void (*activate)(float *x, size_t n, clip_activation act);     /* in place */
    void (*to_f32)(const void *src, clip_type type, float *dst, size_t n);
    void (*to_bf16)(const float *src, uint16_t *dst, size_t n);    /* to nearest, ties to even */
    /* dst = src / scale to nearest, of sizes up to CLIP_INT16_MOST; returns the scale, a NaN when a number is not finite.
     * bound: none of the sizes is larger; 0: the largest is looked for */
    float (*to_int16)(const float *src, int16_t *dst, size_t n, float bound);
    /* dst = src / scale + zero to nearest, 0..255 being the range of src and 0; the scale is a NaN when a number is not finite */
    clip_u8_row (*to_u8)(const float *src, uint8_t *dst, size_t n);
    void (*from_sums)(const clip_sums_args *a);
    void (*bytes_to_f32)(const uint8_t *src, float *dst, size_t n); /* 0..255, not scaled */
} clip_kernels;

extern const clip_kernels clip_kernels_plain;
extern const clip_kernels clip_kernels_avx2;   /* only where built for x86-64 */
extern const clip_kernels clip_kernels_avx512;

/* The fastest table that this CPU runs. */
const clip_kernels *clip_kernels_best(void);

#endif
