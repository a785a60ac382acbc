/* layers.h: the kernels of kernels.h over whole activations. Internal to engine/. */
#ifndef CLIP_LAYERS_H
#define CLIP_LAYERS_H

#include "engine/math/kernels.h"

/* y: [rows][width] of y_type (f32, bf16, or the matrix of int16.h or int8.h), dense; x: rows of width floats, ldx from row to row. */
typedef struct clip_norm_args {
    const float *x;
    size_t ldx;
    const float *gain, *bias; /* [width] */
    float eps;
    int rows, width;          /* width is at most CLIP_MAX_WIDTH */
    void *y;
    clip_type y_type;
} clip_norm_args;
#define CLIP_MAX_WIDTH 16384
void clip_layer_norm(const clip_kernels *k, const clip_norm_args *a);

/* x becomes act(x), then the matrix y of 16-bit rows. x: [rows][width], dense; bound: of the sizes in x, 0 when unknown. */
void clip_layer_int16(const clip_kernels *k, float *x, int rows, int width, clip_activation act, float bound, void *y);

/* The same to 8 bits: the matrix of int8.h. */
void clip_layer_u8(const clip_kernels *k, float *x, int rows, int width, clip_activation act, void *y);

/* Multi-head attention of many sequences: q, k, v and out hold `heads` heads side by side, sequence after sequence.
 * scratch: clip_mha_scratch() floats for the longest, 64-byte aligned. */
typedef struct clip_mha_args {
    const float *q, *k, *v; /* [sequences][queries or keys][heads * head] */
    size_t ldq, ldkv;       /* floats from row to row */
    float scale;
    void *out;              /* [sequences][queries][heads * head] of out_type (f32 or bf16), dense */
    clip_type out_type;
    int sequences, queries, keys, heads, head;
    const int *starts;      /* NULL, or [sequences + 1]: sequence i has keys starts[i] .. starts[i+1]-1, not `keys` ... */
    bool last_only;         /* ... and only its last row as a query, q and out being [sequences][...]; else each row is one */
    bool causal;
    float *scratch;
} clip_mha_args;
size_t clip_mha_scratch(int queries, int keys, int head);
void clip_layer_mha(const clip_kernels *k, const clip_mha_args *a);

/* Images to rows of their patches: out[image][patch] = the patch's pixels, 0..255, in the order y, x, channel, as f32 or as
 * the matrix of int16.h with the scale 1. */
void clip_layer_patches(const clip_kernels *k, const uint8_t *images, int n, int size, int patch, void *out, clip_type type);

/* A ViT's tokens: x[s][0] = norm(first + positions[0]), x[s][1+p] = norm(rest[s][p] + positions[1+p]). */
typedef struct clip_embed_args {
    const float *first;     /* [width] */
    const float *rest;      /* [sequences][tokens - 1][width] */
    const float *positions; /* [tokens][width] */
    const float *gain, *bias;
    float eps;
    int sequences, tokens, width;
    float *x;               /* [sequences][tokens][width] */
} clip_embed_args;
void clip_layer_embed(const clip_kernels *k, const clip_embed_args *a);

/* Bytes to numbers: out[i] = (pixels[i] / 255 - mean[i % 3]) / std[i % 3], for n pixels of three channels. */
void clip_layer_pixels(const uint8_t *pixels, size_t n, const float mean[3], const float std[3], float *out);

/* y[s][i] = mean of x[s][...][i]; x: [sequences][rows][width], y: [sequences][width] */
void clip_layer_mean(const float *x, int sequences, int rows, int width, float *y);

#endif
